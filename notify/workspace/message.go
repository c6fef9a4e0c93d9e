package workspace

import (
	"encoding/json"
	"sort"
	"strings"
)

// Block is one Block Kit block as it was sent, with the block_id and action_ids
// that Slack adds where the sender left them out. Do not change one.
type Block = map[string]any

// Message is one message in a conversation. Messages that the workspace hands out
// are never changed afterwards: an edit makes a new one.
type Message struct {
	TS       string `json:"ts"`
	Channel  string `json:"-"`
	ThreadTS string `json:"thread_ts,omitempty"` // the root's ts; on a root, its own once it has replies
	Subtype  string `json:"subtype,omitempty"`
	User     string `json:"user,omitempty"`
	BotID    string `json:"bot_id,omitempty"`
	AppID    string `json:"app_id,omitempty"`
	Username string `json:"username,omitempty"` // a name that overrides the sender's

	Text        string          `json:"text"`
	Blocks      []Block         `json:"blocks,omitempty"`
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Metadata    *Metadata       `json:"metadata,omitempty"`
	Edited      *Edited         `json:"edited,omitempty"`
	Files       []File          `json:"files,omitempty"`
	Reactions   []Reaction      `json:"reactions,omitempty"`

	// Kept on the root of a thread.
	ReplyCount  int      `json:"reply_count,omitempty"`
	ReplyUsers  []string `json:"reply_users,omitempty"`
	LatestReply string   `json:"latest_reply,omitempty"`

	// EphemeralTo is the one person who sees the message; empty for everyone.
	EphemeralTo string `json:"-"`
}

// Metadata is what an app attached to a message for itself.
type Metadata struct {
	EventType    string         `json:"event_type"`
	EventPayload map[string]any `json:"event_payload"`
}

// Edited says who changed a message last, and when.
type Edited struct {
	User string `json:"user"`
	TS   string `json:"ts"`
}

// Reaction is one emoji under a message.
type Reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
	Count int      `json:"count"`
}

// File is an uploaded file. Its bytes are read with Workspace.FileContent.
type File struct {
	ID         string `json:"id"`
	Created    int64  `json:"created"`
	Name       string `json:"name"`
	Title      string `json:"title"`
	Mimetype   string `json:"mimetype"`
	Filetype   string `json:"filetype"`
	User       string `json:"user"`
	Size       int    `json:"size"`
	AltText    string `json:"alt_txt,omitempty"`
	URLPrivate string `json:"url_private,omitempty"`
	Download   string `json:"url_private_download,omitempty"`
}

// Element is an interactive element of a message, or of a section's accessory.
type Element struct {
	Type     string // button, overflow, static_select
	BlockID  string
	ActionID string
	Label    string   // the button's text, or the menu's placeholder
	Value    string   // of a button
	Style    string   // primary, danger or empty
	Options  []Option // of a menu
	Confirm  *ConfirmDialog
	raw      Block
}

// Option is one choice of a menu.
type Option struct {
	Label, Value string
	raw          Block
}

// ConfirmDialog is what Slack asks before it delivers a click.
type ConfirmDialog struct {
	Title, Text, Confirm, Deny, Style string
}

// IsReply tells whether the message stands in a thread and is not its root.
func (m *Message) IsReply() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// Elements lists what a person can press in the message, from top to bottom.
func (m *Message) Elements() []Element {
	var out []Element
	for _, b := range m.Blocks {
		id := str(b, "block_id")
		switch str(b, "type") {
		case "actions":
			for _, e := range list(b, "elements") {
				out = appendElement(out, id, e)
			}
		case "section":
			if acc, ok := b["accessory"].(map[string]any); ok {
				out = appendElement(out, id, acc)
			}
		}
	}
	return out
}

func appendElement(out []Element, blockID string, e Block) []Element {
	el := Element{Type: str(e, "type"), BlockID: blockID, ActionID: str(e, "action_id"), Value: str(e, "value"), Style: str(e, "style"), raw: e}
	switch el.Type {
	case "button":
		el.Label = textOf(e["text"])
	case "overflow", "static_select":
		el.Label = textOf(e["placeholder"])
		opts := list(e, "options")
		for _, g := range list(e, "option_groups") {
			opts = append(opts, list(g, "options")...)
		}
		for _, o := range opts {
			el.Options = append(el.Options, Option{Label: textOf(o["text"]), Value: str(o, "value"), raw: o})
		}
	default:
		return out
	}
	if c, ok := e["confirm"].(map[string]any); ok {
		el.Confirm = &ConfirmDialog{Title: textOf(c["title"]), Text: textOf(c["text"]), Confirm: textOf(c["confirm"]), Deny: textOf(c["deny"]), Style: str(c, "style")}
		setDefault(&el.Confirm.Confirm, "Yes")
		setDefault(&el.Confirm.Deny, "No")
	}
	return append(out, el)
}

// Visible returns all the text a person would see in the message, one line per
// text object, buttons included. Where there are blocks, Slack shows them instead
// of the top-level text, and so does Visible.
func (m *Message) Visible() string {
	var lines []string
	if len(m.Blocks) == 0 && m.Text != "" {
		lines = append(lines, m.Text)
	}
	for _, b := range m.Blocks {
		lines = appendVisible(lines, b)
	}
	if len(m.Attachments) > 0 {
		var atts []Block
		if json.Unmarshal(m.Attachments, &atts) == nil {
			for _, a := range atts {
				for _, k := range []string{"pretext", "title", "text"} {
					if s := str(a, k); s != "" {
						lines = append(lines, s)
					}
				}
				for _, b := range list(a, "blocks") {
					lines = appendVisible(lines, b)
				}
			}
		}
	}
	for _, f := range m.Files {
		lines = append(lines, f.Title)
	}
	return strings.Join(lines, "\n")
}

func appendVisible(lines []string, b Block) []string {
	switch str(b, "type") {
	case "rich_text_section", "rich_text_preformatted", "rich_text_quote":
		var s strings.Builder
		for _, e := range list(b, "elements") {
			s.WriteString(richTextOf(e))
		}
		return append(lines, s.String())
	case "table":
		rows, _ := b["rows"].([]any)
		for _, r := range rows {
			cells, _ := r.([]any)
			var row []string
			for _, c := range cells {
				if cell, ok := c.(map[string]any); ok {
					if str(cell, "type") == "rich_text" {
						row = append(row, strings.Join(appendVisible(nil, cell), " "))
					} else {
						row = append(row, str(cell, "text"))
					}
				}
			}
			lines = append(lines, strings.Join(row, "\t"))
		}
		return lines
	case "plain_text", "mrkdwn", "markdown":
		return append(lines, str(b, "text"))
	case "image":
		if t := textOf(b["title"]); t != "" {
			lines = append(lines, t)
		}
		return append(lines, str(b, "alt_text"))
	}
	for _, k := range []string{"text", "fields", "elements", "accessory", "placeholder"} {
		switch v := b[k].(type) {
		case map[string]any:
			lines = appendVisible(lines, v)
		case []any:
			for _, e := range v {
				if m, ok := e.(map[string]any); ok {
					lines = appendVisible(lines, m)
				}
			}
		}
	}
	return lines
}

func richTextOf(e Block) string {
	switch str(e, "type") {
	case "text":
		return str(e, "text")
	case "link":
		if t := str(e, "text"); t != "" {
			return t
		}
		return str(e, "url")
	case "emoji":
		return ":" + str(e, "name") + ":"
	case "user":
		return "<@" + str(e, "user_id") + ">"
	case "usergroup":
		return "<!subteam^" + str(e, "usergroup_id") + ">"
	case "channel":
		return "<#" + str(e, "channel_id") + ">"
	case "broadcast":
		return "<!" + str(e, "range") + ">"
	case "date":
		return str(e, "fallback")
	case "color":
		return str(e, "value")
	}
	return ""
}

// conversation is a channel or a direct message with what was said in it.
type conversation struct {
	Channel
	im       bool
	created  int64
	messages []*Message // by ts
}

func (c *conversation) has(user string) bool {
	for _, m := range c.Members {
		if m == user {
			return true
		}
	}
	return false
}

// find returns the index of the message with that ts, or -1.
func (c *conversation) find(ts string) int {
	i := sort.Search(len(c.messages), func(i int) bool { return c.messages[i].TS >= ts })
	if i < len(c.messages) && c.messages[i].TS == ts {
		return i
	}
	return -1
}

func (c *conversation) get(ts string) *Message {
	if i := c.find(ts); i >= 0 {
		return c.messages[i]
	}
	return nil
}

func str(b Block, key string) string { s, _ := b[key].(string); return s }

func list(b Block, key string) []Block {
	vs, _ := b[key].([]any)
	out := make([]Block, 0, len(vs))
	for _, v := range vs {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func textOf(v any) string {
	m, _ := v.(map[string]any)
	return str(m, "text")
}
