package slack

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// Draw turns a message into its top-level text, escaped, and its blocks. Whatever the message holds, the result is within Slack's
// limits, and no text in it is read as markup or pages anyone: text stands in rich_text elements and plain_text objects, and in mrkdwn
// only where it has no character that mrkdwn would interpret.
func Draw(m notify.Message) (string, []slackgo.Block) {
	d := drawing{left: maxText}
	blocks := m.Blocks
	if len(blocks) == 0 && m.Text != "" {
		blocks = []notify.Block{{Text: []notify.Span{notify.T(m.Text)}}}
	}
	for _, b := range blocks {
		d.block(b)
	}
	if d.cut > 0 {
		d.room()
		d.out = append(d.out, slackgo.NewContextBlock("", plain(fmt.Sprintf("%d more characters did not fit into this message.", d.cut), maxSection)))
	}
	return fallback(m), d.out
}

// fallback is the top-level text: one that notifications show and screen readers read.
func fallback(m notify.Message) string {
	text := m.Text
	if strings.TrimSpace(text) == "" {
		text = m.Plain()
	}
	text = notify.Cut(notify.Clean(text), maxFallback)
	for limit := maxFallback; utf8.RuneCountInString(escape(text)) > maxFallback; limit = limit * 3 / 4 {
		text = notify.Cut(text, limit)
	}
	if strings.TrimSpace(text) == "" {
		text = "…"
	}
	return escape(text)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(s string) string { return escaper.Replace(s) }

// drawing collects blocks within the limits.
type drawing struct {
	out   []slackgo.Block
	left  int // characters that still fit
	cut   int // characters that did not
	table bool
}

// room makes room for one more block, at the cost of the last one that holds only text.
func (d *drawing) room() {
	for i := len(d.out) - 1; i >= 0 && len(d.out) >= maxBlocks; i-- {
		if _, controls := d.out[i].(*slackgo.ActionBlock); !controls {
			d.out = append(d.out[:i], d.out[i+1:]...)
		}
	}
	if len(d.out) >= maxBlocks {
		d.out = d.out[:maxBlocks-1]
	}
}

// fit is as much of a text as there is room for. It counts what it leaves out.
func (d *drawing) fit(s string, limit int) string {
	s = notify.Clean(s)
	n := utf8.RuneCountInString(s)
	most := min(limit, d.left)
	if n > most {
		s = notify.Cut(s, most)
		kept := utf8.RuneCountInString(s)
		d.cut += n - kept + 1 // its last character is an ellipsis
		n = kept
	}
	d.left -= n
	return s
}

func (d *drawing) block(b notify.Block) {
	if b.Actions != nil {
		d.actions(*b.Actions)
		return
	}
	if len(d.out) >= maxBlocks-2 || d.left < 20 { // keep room for controls and for the note
		d.cut += (notify.Message{Blocks: []notify.Block{b}}).Len()
		return
	}
	switch {
	case b.Header != "":
		if s := d.fit(strings.Join(strings.Fields(notify.Clean(b.Header)), " "), maxHeader); s != "" {
			d.out = append(d.out, slackgo.NewHeaderBlock(plain(s, maxHeader)))
		}
	case b.Text != nil:
		d.rich(d.section(b.Text))
	case b.List != nil:
		var items []slackgo.RichTextElement
		for _, spans := range b.List {
			if s := d.section(spans); s != nil {
				items = append(items, s)
			}
		}
		if items != nil {
			d.rich(slackgo.NewRichTextList(slackgo.RTEListBullet, 0, items...))
		}
	case b.Code != "":
		if s := d.fit(strings.TrimRight(b.Code, "\n"), maxText); s != "" {
			d.rich(&slackgo.RichTextPreformatted{Type: slackgo.RTEPreformatted, Elements: []slackgo.RichTextSectionElement{slackgo.NewRichTextSectionTextElement(s, nil)}})
		}
	case b.Fields != nil:
		d.fields(b.Fields)
	case b.Context != nil:
		d.context(b.Context)
	case b.Table != nil:
		d.tableBlock(*b.Table)
	case b.Image != nil:
		if link, ok := webURL(b.Image.URL); ok {
			alt := d.fit(b.Image.Alt, maxAlt)
			if alt == "" {
				alt = "picture"
			}
			d.out = append(d.out, slackgo.NewImageBlock(link, alt, "", nil))
		}
	case b.Divider:
		d.out = append(d.out, slackgo.NewDividerBlock())
	}
}

// rich adds an element in a rich_text block of its own.
func (d *drawing) rich(e slackgo.RichTextElement) {
	if s, ok := e.(*slackgo.RichTextSection); ok && s == nil {
		return
	}
	d.out = append(d.out, slackgo.NewRichTextBlock("", e))
}

// section is a line of spans; nil when it is empty.
func (d *drawing) section(spans []notify.Span) *slackgo.RichTextSection {
	var out []slackgo.RichTextSectionElement
	for _, s := range spans {
		if e := d.span(s); e != nil {
			out = append(out, e)
		}
	}
	if out == nil {
		return nil
	}
	return slackgo.NewRichTextSection(out...)
}

var (
	emojiName = regexp.MustCompile(`^[a-z0-9_+'-]{1,80}$`)
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{1,30}$`)
)

func (d *drawing) span(s notify.Span) slackgo.RichTextSectionElement {
	var style *slackgo.RichTextSectionTextStyle
	switch s.Style {
	case notify.Bold:
		style = &slackgo.RichTextSectionTextStyle{Bold: true}
	case notify.Italic:
		style = &slackgo.RichTextSectionTextStyle{Italic: true}
	case notify.Code:
		style = &slackgo.RichTextSectionTextStyle{Code: true}
	case notify.Strike:
		style = &slackgo.RichTextSectionTextStyle{Strike: true}
	}
	switch {
	case s.Time != 0:
		fallback := notify.Stamp(s.Time)
		return slackgo.NewRichTextSectionDateElement(s.Time, dateFormat, nil, &fallback)
	case userID.MatchString(s.User):
		return slackgo.NewRichTextSectionUserElement(s.User, nil)
	case s.User != "":
		s.Text = "@" + s.User
	case emojiName.MatchString(s.Emoji):
		return slackgo.NewRichTextSectionEmojiElement(s.Emoji, 0, nil)
	case s.Emoji != "":
		return nil
	}
	text := d.fit(s.Text, maxText)
	if text == "" {
		return nil
	}
	if link, ok := webURL(s.Link); ok {
		return slackgo.NewRichTextSectionLinkElement(link, text, style)
	}
	return slackgo.NewRichTextSectionTextElement(text, style)
}

// dateFormat shows a moment in the reader's own time zone: "Today at 10:42:07".
const dateFormat = "{date_short_pretty} at {time_secs}"

func webURL(s string) (string, bool) {
	if s == "" || len(s) > maxURL {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return "", false
	}
	return u.String(), true
}

// fields draws name and value pairs in two columns. Slack has only mrkdwn and plain_text there.
func (d *drawing) fields(fields []notify.Field) {
	var objects []*slackgo.TextBlockObject
	for _, f := range fields {
		name := strings.Join(strings.Fields(d.fit(f.Name, 100)), " ")
		value, ok := "", safe(name)
		if ok {
			value, ok = d.mrkdwn(f.Value)
		}
		switch {
		case ok:
			objects = append(objects, &slackgo.TextBlockObject{Type: slackgo.MarkdownType, Text: "*" + escape(name) + "*\n" + value, Verbatim: true})
		default:
			v := d.fit((notify.Message{Blocks: []notify.Block{{Text: f.Value}}}).Plain(), maxField-200)
			objects = append(objects, plain(name+"\n"+v, maxField))
		}
	}
	for len(objects) > 0 {
		n := min(len(objects), maxFields)
		if len(d.out) >= maxBlocks-1 {
			d.cut += len(objects)
			return
		}
		d.out = append(d.out, slackgo.NewSectionBlock(nil, objects[:n:n], nil))
		objects = objects[n:]
	}
}

// mrkdwn writes spans as mrkdwn where that is safe: text that mrkdwn would interpret goes between backticks, where it does not, and text
// that has a backtick or a line break makes it say no.
func (d *drawing) mrkdwn(spans []notify.Span) (string, bool) {
	var b strings.Builder
	plain := 0
	for _, s := range spans {
		switch {
		case s.Time != 0:
			fmt.Fprintf(&b, "<!date^%d^%s|%s>", s.Time, dateFormat, notify.Stamp(s.Time))
			continue
		case userID.MatchString(s.User):
			b.WriteString("<@" + s.User + ">")
			continue
		case s.User != "":
			return "", false
		case emojiName.MatchString(s.Emoji):
			b.WriteString(":" + s.Emoji + ":")
			continue
		}
		text := notify.Clean(s.Text)
		if s.Link != "" || plain+len(text) > 1000 || len(text) > d.left {
			return "", false
		}
		plain += len(text)
		switch {
		case text == "":
		case s.Style == notify.Plain && safe(text):
			b.WriteString(escape(text))
		case strings.ContainsAny(text, "`\n") || strings.TrimSpace(text) != text:
			return "", false
		case s.Style == notify.Bold && safe(text):
			b.WriteString("*" + escape(text) + "*")
		default:
			b.WriteString("`" + escape(text) + "`")
		}
	}
	if b.Len() == 0 {
		return "", false
	}
	d.left -= plain
	return b.String(), true
}

// safe says whether mrkdwn shows a text as it is, once & and < are escaped: it has nothing that makes it bold, italic, code, a quote, an
// emoji, a link or a mention.
func safe(s string) bool {
	return s != "" && !strings.ContainsAny(s, "*_~`<>@#\n\t|^") && !emojiCode.MatchString(s) && !strings.Contains(s, "://")
}

var emojiCode = regexp.MustCompile(`:[^\s:]+:`)

// context draws small print.
func (d *drawing) context(spans []notify.Span) {
	if s, ok := d.mrkdwn(spans); ok {
		d.out = append(d.out, slackgo.NewContextBlock("", &slackgo.TextBlockObject{Type: slackgo.MarkdownType, Text: s, Verbatim: true}))
		return
	}
	var elements []slackgo.MixedElement
	var run []notify.Span
	flush := func() {
		if s := strings.TrimSpace(d.fit((notify.Message{Blocks: []notify.Block{{Text: run}}}).Plain(), maxSection)); s != "" {
			elements = append(elements, plain(s, maxSection))
		}
		run = nil
	}
	for _, s := range spans {
		special := s.Time != 0 || s.User != "" || s.Emoji != ""
		if !special {
			run = append(run, s)
			continue
		}
		flush()
		if text, ok := d.mrkdwn([]notify.Span{s}); ok {
			elements = append(elements, &slackgo.TextBlockObject{Type: slackgo.MarkdownType, Text: text, Verbatim: true})
		}
	}
	flush()
	if len(elements) > maxContext {
		elements = []slackgo.MixedElement{plain((notify.Message{Blocks: []notify.Block{{Text: spans}}}).Plain(), maxSection)}
	}
	if len(elements) > 0 {
		d.out = append(d.out, slackgo.NewContextBlock("", elements...))
	}
}

// tableBlock draws a table. Slack takes one per message; more are drawn as text.
func (d *drawing) tableBlock(t notify.Table) {
	if d.table || len(t.Header) > maxTableColumns || len(t.Header) == 0 {
		d.block(notify.Block{Code: (notify.Message{Blocks: []notify.Block{{Table: &t}}}).Plain()})
		return
	}
	d.table = true
	out := slackgo.NewTableBlock("")
	cell := func(s string) slackgo.TableCell {
		s = d.fit(s, 500)
		if s == "" {
			s = " "
		}
		return slackgo.NewTableRawTextCell(s)
	}
	rows := append([][]string{t.Header}, t.Rows...)
	for i, row := range rows {
		if i >= maxTableRows || d.left < 20 {
			d.cut += utf8.RuneCountInString(strings.Join(row, " "))
			continue
		}
		cells := make([]slackgo.TableCell, len(t.Header))
		for j := range cells {
			s := ""
			if j < len(row) {
				s = row[j]
			}
			cells[j] = cell(s)
		}
		out.Rows = append(out.Rows, cells)
	}
	d.out = append(d.out, out)
}

// plain is a plain_text object in which nothing is interpreted, not even emoji names. It is never empty, which Slack would refuse.
func plain(s string, limit int) *slackgo.TextBlockObject {
	s = notify.Cut(notify.Clean(s), limit)
	if s == "" {
		s = "…"
	}
	return slackgo.NewTextBlockObject(slackgo.PlainTextType, s, false, false)
}
