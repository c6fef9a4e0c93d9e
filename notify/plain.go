package notify

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Plain is the message as plain text with line breaks: for a file, a terminal or a log.
func (m Message) Plain() string {
	if len(m.Blocks) == 0 {
		return Clean(m.Text)
	}
	var parts []string
	for _, b := range m.Blocks {
		if p := b.plain(); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "\n\n")
}

// Len counts the characters that a reader sees in the message, its controls left out.
func (m Message) Len() int {
	if len(m.Blocks) == 0 {
		return utf8.RuneCountInString(m.Text)
	}
	n := 0
	for _, b := range m.Blocks {
		n += utf8.RuneCountInString(b.plain())
	}
	return n
}

func (b Block) plain() string {
	switch {
	case b.Header != "":
		return Clean(b.Header)
	case b.Text != nil:
		return plainSpans(b.Text)
	case b.Fields != nil:
		lines := make([]string, len(b.Fields))
		for i, f := range b.Fields {
			lines[i] = Clean(f.Name) + ": " + plainSpans(f.Value)
		}
		return strings.Join(lines, "\n")
	case b.Context != nil:
		return plainSpans(b.Context)
	case b.List != nil:
		lines := make([]string, len(b.List))
		for i, l := range b.List {
			lines[i] = "- " + plainSpans(l)
		}
		return strings.Join(lines, "\n")
	case b.Code != "":
		return Clean(b.Code)
	case b.Table != nil:
		lines := []string{Clean(strings.Join(b.Table.Header, "\t"))}
		for _, r := range b.Table.Rows {
			lines = append(lines, Clean(strings.Join(r, "\t")))
		}
		return strings.Join(lines, "\n")
	case b.Image != nil:
		return Clean(b.Image.Alt)
	}
	return ""
}

func plainSpans(spans []Span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.plain())
	}
	return b.String()
}

func (s Span) plain() string {
	switch {
	case s.Time != 0:
		return Stamp(s.Time)
	case s.User != "":
		return "@" + Clean(s.User)
	case s.Emoji != "":
		return ":" + Clean(s.Emoji) + ":"
	}
	return Clean(s.Text)
}

// Stamp writes seconds since 1970 for those to whom the time cannot be shown in their own zone.
func Stamp(seconds int64) string {
	return time.Unix(seconds, 0).UTC().Format("2006-01-02 15:04:05 UTC")
}
