package slack_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"crashloop/notify"
	"crashloop/notify/slack"
	"crashloop/notify/workspace"
)

const evil = "<!channel> <!here> <@U0ALICE> <#C0GENERAL> <!subteam^S1> *b* _i_ ~s~ `c` ```x``` &lt;!channel&gt; <https://evil.example|shop> :tada: @here #general > quote \u202eexe\x1b[31m\x00 http://evil.example"

// everything is a message with one of each block, all of it text that wants to be markup.
func everything(s string) notify.Message {
	spans := []notify.Span{notify.T(s), notify.B(s), notify.C(s), {Text: s, Style: notify.Italic}, {Text: s, Link: s}, {Text: s, Link: "https://example.com/a?b=<!channel>"},
		{Emoji: s}, {User: s}, {Time: 1777777777}, {Emoji: "red_circle"}}
	return notify.Message{Text: s, Blocks: []notify.Block{
		{Header: s}, {Text: spans}, {Fields: []notify.Field{{Name: s, Value: spans}, {Name: "Name", Value: []notify.Span{notify.T(s)}}, {Name: "Code", Value: []notify.Span{notify.C(s)}}}},
		{Context: spans}, {Context: []notify.Span{notify.T(s)}}, {List: [][]notify.Span{spans, {notify.T(s)}}}, {Code: s},
		{Table: &notify.Table{Header: []string{s, "b"}, Rows: [][]string{{s, s}, {s}}}}, {Table: &notify.Table{Header: []string{s}, Rows: [][]string{{s}}}},
		{Image: &notify.Image{URL: s, Alt: s}}, {Divider: true},
		{Actions: &notify.Controls{
			Buttons: []notify.Button{{Action: "restart", Value: "1", Text: s, Confirm: &notify.Confirm{Title: s, Text: s, Yes: s, No: s}}, {Action: s, Value: s, Text: s}},
			Menu:    []notify.Button{{Action: "describe", Value: "1", Text: s}, {Action: s, Value: s, Text: s}},
		}},
	}}
}

func TestNothingIsInterpreted(t *testing.T) {
	p, ctx := start(t), ctxOf(t)
	ts, err := p.client.Post(ctx, incidents, "", "evil", everything(evil))
	if err != nil {
		t.Fatal(err)
	}
	m := p.Snapshot().Message(incidents, ts)
	raw, err := json.Marshal(m.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	checkBlocks(t, m.Text, raw)
	if !strings.Contains(m.Visible(), "<!channel>") {
		t.Error("the text itself is gone: it should be shown as it is")
	}
}

// markup is what Slack acts on in mrkdwn; only our own dates, and mentions of people whom a message names on purpose, may be there.
var (
	markup = regexp.MustCompile(`<[^>]*>?`)
	quoted = regexp.MustCompile("`[^`\n]*`")
	named  = regexp.MustCompile(`^\*[^*\n]+\*\n`)
	emojis = regexp.MustCompile(`:[a-z0-9_+'-]+:`)
	ours   = regexp.MustCompile(`^<(!date\^\d+\^\{date_short_pretty\} at \{time_secs\}\|[0-9: UTC-]+|@[UW][A-Z0-9]+)>$`)
)

// checkBlocks walks everything that would be sent.
func checkBlocks(t *testing.T, text string, raw []byte) {
	t.Helper()
	if markup.MatchString(text) || utf8.RuneCountInString(text) > 4000 || text == "" {
		t.Errorf("top-level text of %d characters: %q", utf8.RuneCountInString(text), text)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if v["type"] == "broadcast" || v["type"] == "usergroup" || v["type"] == "channel" {
				t.Errorf("a mention of many: %v", v)
			}
			if s, ok := v["text"].(string); ok {
				if strings.ContainsAny(s, "\u202e\x1b\x00") || !utf8.ValidString(s) {
					t.Errorf("not clean: %q", s)
				}
				if v["type"] == "mrkdwn" {
					for _, m := range markup.FindAllString(s, -1) {
						if !ours.MatchString(m) {
							t.Errorf("mrkdwn %q holds %q", s, m)
						}
					}
					if v["verbatim"] != true {
						t.Errorf("mrkdwn %q is not verbatim", s)
					}
					// Outside of backticks, nothing that mrkdwn interprets but the bold field names.
					bare := quoted.ReplaceAllString(markup.ReplaceAllString(s, ""), "")
					bare = emojis.ReplaceAllString(named.ReplaceAllString(bare, ""), "")
					if strings.ContainsAny(bare, "_~`@#") {
						t.Errorf("mrkdwn %q leaves %q to be interpreted", s, bare)
					}
				}
				if v["type"] == "plain_text" && v["emoji"] != false {
					t.Errorf("plain_text %q interprets emoji names", s)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
}

// Whatever is drawn is taken by the workspace, which enforces Slack's limits.
func TestEverythingFits(t *testing.T) {
	p, ctx := start(t, func(w *workspace.Options, _ *slack.Options) { w.Pace.Off = true }), ctxOf(t)
	many := notify.Message{Text: "many"}
	for i := range 200 {
		many.Blocks = append(many.Blocks, notify.Block{Text: []notify.Span{notify.T(fmt.Sprint("block ", i))}})
	}
	many.Blocks = append(many.Blocks, notify.Block{Actions: &notify.Controls{Buttons: []notify.Button{{Action: "restart", Value: "1", Text: "Restart"}}}})
	rows := notify.Table{Header: make([]string, 20)}
	for range 300 {
		rows.Rows = append(rows.Rows, make([]string, 25))
	}
	fields := notify.Block{}
	for i := range 35 {
		fields.Fields = append(fields.Fields, notify.Field{Name: fmt.Sprint(i), Value: []notify.Span{notify.T("v")}})
	}
	for name, m := range map[string]notify.Message{
		"empty":       {},
		"text only":   {Text: "text"},
		"spaces":      everything(" "),
		"nothing":     everything(""),
		"line breaks": everything("\n\n"),
		"long word":   everything(strings.Repeat("x", 20_000)),
		"ampersands":  everything(strings.Repeat("&<>", 7_000)),
		"emoji":       everything(strings.Repeat("👩‍🚒", 5_000)),
		"many blocks": many,
		"big table":   {Text: "t", Blocks: []notify.Block{{Table: &rows}, {Table: &rows}}},
		"wide table":  {Text: "t", Blocks: []notify.Block{{Table: &notify.Table{Header: make([]string, 30), Rows: [][]string{{"a"}}}}}},
		"many fields": {Text: "t", Blocks: []notify.Block{fields}},
		"empty parts": {Text: "t", Blocks: []notify.Block{{}, {Text: []notify.Span{}}, {Context: []notify.Span{{}}}, {List: [][]notify.Span{}}, {Fields: []notify.Field{}}, {Actions: &notify.Controls{}}, {Table: &notify.Table{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			ts, err := p.client.Post(ctx, incidents, "", name, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.client.Update(ctx, incidents, ts, m); err != nil {
				t.Error(err)
			}
			if got := p.Snapshot().Message(incidents, ts); name == "many blocks" && len(got.Elements()) != 1 {
				t.Error("the button is gone")
			}
		})
	}
}

func TestWhatIsCutIsCounted(t *testing.T) {
	_, blocks := slack.Draw(notify.Message{Text: "t", Blocks: []notify.Block{{Code: strings.Repeat("x", 10_000)}, {Code: strings.Repeat("y", 500)}}})
	raw, _ := json.Marshal(blocks)
	if !strings.Contains(string(raw), "1501 more characters") { // 9,000 with an ellipsis
		t.Errorf("…%s", raw[len(raw)-300:])
	}
}

func FuzzDraw(f *testing.F) {
	f.Add(evil, uint8(1))
	f.Add("plain words: 12:30", uint8(3))
	f.Add("a`b", uint8(2))
	f.Fuzz(func(t *testing.T, s string, n uint8) {
		m := everything(s)
		for range n % 8 {
			m.Blocks = append(m.Blocks, everything(strings.Repeat(s, int(n))).Blocks...)
		}
		text, blocks := slack.Draw(m)
		raw, err := json.Marshal(blocks)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) > 50 {
			t.Errorf("%d blocks", len(blocks))
		}
		checkBlocks(t, text, raw)
	})
}
