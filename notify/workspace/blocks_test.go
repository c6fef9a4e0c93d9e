package workspace_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"crashloop/notify/workspace"
)

// call sends a Web API call as a form with the bot's token and returns its answer.
func call(t *testing.T, w *workspace.Workspace, method string, args map[string]string) map[string]any {
	t.Helper()
	form := url.Values{"token": {w.BotToken()}}
	for k, v := range args {
		form.Set(k, v)
	}
	res, err := http.PostForm(w.APIURL()+method, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatalf("%s answered %s, which is not JSON: %v", method, res.Status, err)
	}
	return out
}

func repeat(n int, s string) string {
	return strings.TrimSuffix(strings.Repeat(s+",", n), ",")
}

func x(n int) string { return strings.Repeat("x", n) }

// numbered repeats a block or option with %d replaced by its number.
func numbered(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

const (
	button  = `{"type":"button","text":{"type":"plain_text","text":"Go"},"action_id":"a%d"}`
	section = `{"type":"section","text":{"type":"mrkdwn","text":"x"}}`
	option  = `{"text":{"type":"plain_text","text":"o"},"value":"v%d"}`
)

func actions(element string) string { return `[{"type":"actions","elements":[` + element + `]}]` }

func confirm(title, text, yes, no string) string {
	return fmt.Sprintf(`{"type":"button","text":{"type":"plain_text","text":"Go"},"confirm":{"title":{"type":"plain_text","text":%q},"text":{"type":"plain_text","text":%q},"confirm":{"type":"plain_text","text":%q},"deny":{"type":"plain_text","text":%q}}}`, title, text, yes, no)
}

func rich(element string) string {
	return `[{"type":"rich_text","elements":[` + element + `]}]`
}

func table(rows, cols int) string {
	return `[{"type":"table","rows":[` + repeat(rows, `[`+repeat(cols, `{"type":"raw_text","text":"x"}`)+`]`) + `]}]`
}

// TestBlockLimits posts each case and expects it to pass (no error named) or to be
// refused with that error and a message that holds says.
func TestBlockLimits(t *testing.T) {
	w := start(t)
	for _, c := range []struct{ name, blocks, err, says string }{
		{"50 blocks", `[` + repeat(50, section) + `]`, "", ""},
		{"51 blocks", `[` + repeat(51, section) + `]`, "invalid_blocks", "no more than 50 items allowed [json-pointer:/blocks]"},
		{"not an array", `{"type":"divider"}`, "invalid_blocks_format", ""},
		{"not JSON", `[{`, "invalid_blocks_format", ""},
		{"unknown block", `[{"type":"wobble"}]`, "invalid_blocks", "unsupported type: wobble [json-pointer:/blocks/0/type]"},
		{"no type", `[{"text":"x"}]`, "invalid_blocks", "missing required field: type"},
		{"unknown field", `[{"type":"divider","color":"red"}]`, "invalid_blocks", "invalid additional property: color"},

		{"section text 3000", `[{"type":"section","text":{"type":"mrkdwn","text":"` + x(3000) + `"}}]`, "", ""},
		{"section text 3001", `[{"type":"section","text":{"type":"mrkdwn","text":"` + x(3001) + `"}}]`, "invalid_blocks", "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		{"section text empty", `[{"type":"section","text":{"type":"mrkdwn","text":""}}]`, "invalid_blocks", "must be more than 0 characters"},
		{"section without text", `[{"type":"section"}]`, "invalid_blocks", "missing required field: text"},
		{"section 10 fields", `[{"type":"section","fields":[` + repeat(10, `{"type":"mrkdwn","text":"x"}`) + `]}]`, "", ""},
		{"section 11 fields", `[{"type":"section","fields":[` + repeat(11, `{"type":"mrkdwn","text":"x"}`) + `]}]`, "invalid_blocks", "no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		{"field 2001", `[{"type":"section","fields":[{"type":"mrkdwn","text":"` + x(2001) + `"}]}]`, "invalid_blocks", "must be less than 2001 characters"},
		{"text of unknown type", `[{"type":"section","text":{"type":"html","text":"x"}}]`, "invalid_blocks", "must be equal to one of the allowed values"},

		{"header 150", `[{"type":"header","text":{"type":"plain_text","text":"` + x(150) + `"}}]`, "", ""},
		{"header 151", `[{"type":"header","text":{"type":"plain_text","text":"` + x(151) + `"}}]`, "invalid_blocks", "must be less than 151 characters"},
		{"header mrkdwn", `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`, "invalid_blocks", "plain_text"},
		{"context 10", `[{"type":"context","elements":[` + repeat(10, `{"type":"mrkdwn","text":"x"}`) + `]}]`, "", ""},
		{"context 11", `[{"type":"context","elements":[` + repeat(11, `{"type":"mrkdwn","text":"x"}`) + `]}]`, "invalid_blocks", "no more than 10 items"},

		{"25 buttons", actions(numbered(25, button)), "", ""},
		{"26 buttons", actions(numbered(26, button)), "invalid_blocks", "no more than 25 items allowed [json-pointer:/blocks/0/elements]"},
		{"no buttons", `[{"type":"actions","elements":[]}]`, "invalid_blocks", "no fewer than 1 items"},
		{"same action_id twice", actions(strings.ReplaceAll(numbered(2, button), "a1", "a0")), "invalid_blocks", `action_id "a0" already exists`},
		{"same action_id in two blocks", `[{"type":"actions","elements":[` + strings.ReplaceAll(button, "%d", "") + `]},{"type":"actions","elements":[` + strings.ReplaceAll(button, "%d", "") + `]}]`, "", ""},
		{"same block_id twice", `[{"type":"divider","block_id":"b"},{"type":"divider","block_id":"b"}]`, "invalid_blocks", `block_id "b" already exists`},
		{"block_id 256", `[{"type":"divider","block_id":"` + x(256) + `"}]`, "invalid_blocks", "must be less than 256 characters"},
		{"action_id 256", actions(`{"type":"button","text":{"type":"plain_text","text":"x"},"action_id":"` + x(256) + `"}`), "invalid_blocks", "must be less than 256 characters"},
		{"button text 76", actions(`{"type":"button","text":{"type":"plain_text","text":"` + x(76) + `"}}`), "invalid_blocks", "must be less than 76 characters"},
		{"button value 2001", actions(`{"type":"button","text":{"type":"plain_text","text":"x"},"value":"` + x(2001) + `"}`), "invalid_blocks", "must be less than 2001 characters"},
		{"button style", actions(`{"type":"button","text":{"type":"plain_text","text":"x"},"style":"default"}`), "invalid_blocks", "primary, danger"},
		{"unknown element", actions(`{"type":"slider"}`), "invalid_blocks", "unsupported type: slider"},
		{"element that only Slack has", actions(`{"type":"datepicker"}`), "invalid_blocks", "this workspace does not"},
		{"overflow 5", actions(`{"type":"overflow","options":[` + numbered(5, option) + `]}`), "", ""},
		{"overflow 6", actions(`{"type":"overflow","options":[` + numbered(6, option) + `]}`), "invalid_blocks", "no more than 5 items"},
		{"select 101", actions(`{"type":"static_select","options":[` + numbered(101, option) + `]}`), "invalid_blocks", "no more than 100 items"},
		{"option value 151", actions(`{"type":"overflow","options":[{"text":{"type":"plain_text","text":"o"},"value":"` + x(151) + `"}]}`), "invalid_blocks", "must be less than 151 characters"},

		{"confirm at its limits", actions(confirm(x(100), x(300), x(30), x(30))), "", ""},
		{"confirm title 101", actions(confirm(x(101), "x", "x", "x")), "invalid_blocks", "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]"},
		{"confirm text 301", actions(confirm("x", x(301), "x", "x")), "invalid_blocks", "must be less than 301 characters"},
		{"confirm button 31", actions(confirm("x", "x", x(31), "x")), "invalid_blocks", "must be less than 31 characters"},
		{"confirm deny 31", actions(confirm("x", "x", "x", x(31))), "invalid_blocks", "must be less than 31 characters"},

		{"rich text", rich(`{"type":"rich_text_section","elements":[{"type":"text","text":"x","style":{"bold":true}},{"type":"link","url":"https://example.com"},{"type":"user","user_id":"U0DEV"},{"type":"emoji","name":"fire"}]},{"type":"rich_text_list","style":"bullet","indent":0,"border":0,"elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"x"}]}]},{"type":"rich_text_preformatted","border":0,"elements":[{"type":"text","text":"x"}]},{"type":"rich_text_quote","elements":[]}`), "", ""},
		{"rich text with empty text", rich(`{"type":"rich_text_section","elements":[{"type":"text","text":""}]}`), "invalid_blocks", "must be more than 0 characters"},
		{"rich text of unknown kind", rich(`{"type":"rich_text_table","elements":[]}`), "invalid_blocks", "unsupported type: rich_text_table"},
		{"rich text of unknown inline kind", rich(`{"type":"rich_text_section","elements":[{"type":"blink"}]}`), "invalid_blocks", "unsupported type: blink"},
		{"rich text style", rich(`{"type":"rich_text_section","elements":[{"type":"text","text":"x","style":{"blink":true}}]}`), "invalid_blocks", "invalid additional property: blink"},
		{"list in a list", rich(`{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_list","style":"bullet","elements":[]}]}`), "invalid_blocks", "unsupported type: rich_text_list"},
		{"link to javascript", rich(`{"type":"rich_text_section","elements":[{"type":"link","url":"javascript:alert(1)"}]}`), "invalid_blocks", "invalid url"},

		{"table 100 x 20", table(100, 20), "", ""},
		{"table 101 rows", table(101, 1), "invalid_blocks", "no more than 100 items"},
		{"table 21 columns", table(1, 21), "invalid_blocks", "no more than 20 items"},
		{"two tables", strings.TrimSuffix(table(1, 1), "]") + "," + strings.TrimPrefix(table(1, 1), "["), "invalid_blocks", "only_one_table_allowed"},
		{"table text", `[{"type":"table","rows":[[{"type":"raw_text","text":"` + x(10_001) + `"}]]}]`, "invalid_blocks", "must be less than 10001 characters"},

		{"image without alt", `[{"type":"image","image_url":"https://example.com/a.png"}]`, "invalid_blocks", "missing required field: alt_text"},
		{"image of a file that is not there", `[{"type":"image","alt_text":"x","slack_file":{"id":"F0"}}]`, "invalid_blocks", "invalid slack file"},

		{"11,000 characters in all", `[` + repeat(3, `{"type":"section","text":{"type":"mrkdwn","text":"`+x(3000)+`"}}`) + `,{"type":"section","text":{"type":"mrkdwn","text":"` + x(2000) + `"}}]`, "", ""},
		{"11,001 characters in all", `[` + repeat(3, `{"type":"section","text":{"type":"mrkdwn","text":"`+x(3000)+`"}}`) + `,{"type":"section","text":{"type":"mrkdwn","text":"` + x(2001) + `"}}]`, "msg_blocks_too_long", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := call(t, w, "chat.postMessage", map[string]string{"channel": workspace.ChannelIncidents, "text": "x", "blocks": c.blocks})
			if err, _ := got["error"].(string); err != c.err {
				t.Fatalf("answer is %v, want error %q", got, c.err)
			}
			meta, _ := json.Marshal(got["response_metadata"])
			var notes struct{ Messages []string }
			_ = json.Unmarshal(meta, &notes)
			if c.says != "" && !strings.Contains(strings.Join(notes.Messages, "\n"), c.says) {
				t.Errorf("messages are %q, want one with %q", notes.Messages, c.says)
			}
		})
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add(`[{"type":"section","text":{"type":"mrkdwn","text":"x"}}]`)
	f.Add(`[{"type":"actions","elements":[` + numbered(2, button) + `]}]`)
	f.Add(table(2, 2))
	f.Add(rich(`{"type":"rich_text_list","style":"bullet","elements":[null]}`))
	f.Add(`[null,{"type":"table","rows":[null,[null]]},{"type":"section","accessory":1}]`)
	opts := workspace.DefaultOptions(discard())
	opts.Pace.Off = true
	w, err := workspace.New(opts)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, blocks string) {
		form := url.Values{"token": {w.BotToken()}, "channel": {workspace.ChannelIncidents}, "text": {"x"}, "blocks": {blocks}}
		req, rec := formRequest("/api/chat.postMessage", form)
		w.ServeHTTP(rec, req)
		if rec.Code != 200 {
			t.Fatalf("%q answers %d", blocks, rec.Code)
		}
		for _, m := range w.Messages(workspace.ChannelIncidents) {
			_ = m.Visible()
			_ = m.Elements()
		}
		call := url.Values{"token": {w.BotToken()}, "channel": {workspace.ChannelIncidents}}
		for _, m := range w.Messages(workspace.ChannelIncidents) { // do not let them pile up
			call.Set("ts", m.TS)
			req, rec := formRequest("/api/chat.delete", call)
			w.ServeHTTP(rec, req)
		}
	})
}
