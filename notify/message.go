package notify

// Message is what a person reads, free of any transport's form. Every text in it is plain: a transport escapes it, and must never let it
// page anyone or be read as markup.
type Message struct {
	// Text says it all in one line: notifications and screen readers read it, and it stands in where blocks cannot be drawn.
	Text   string  `json:"text"`
	Blocks []Block `json:"blocks,omitempty"`
	// File is sent after the message, in the same thread. Only messages to a channel or to a person directly may have one.
	File *File `json:"file,omitempty"`
}

// File is a text that is too long for a message.
type File struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Content []byte `json:"content"`
}

// Block is one part of a message. Exactly one of its fields is set.
type Block struct {
	Header  string    `json:"header,omitempty"`
	Text    []Span    `json:"text,omitempty"`    // a paragraph
	Fields  []Field   `json:"fields,omitempty"`  // name and value pairs, in two columns
	Context []Span    `json:"context,omitempty"` // small print
	List    [][]Span  `json:"list,omitempty"`    // bullets
	Code    string    `json:"code,omitempty"`    // preformatted: a command, a patch, log lines
	Table   *Table    `json:"table,omitempty"`
	Image   *Image    `json:"image,omitempty"`
	Divider bool      `json:"divider,omitempty"`
	Actions *Controls `json:"actions,omitempty"`
}

// Field is a name and its value.
type Field struct {
	Name  string `json:"name"`
	Value []Span `json:"value"`
}

// Style is how a span of text is set.
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "bold"
	Italic Style = "italic"
	Code   Style = "code"
	Strike Style = "strike"
)

// Span is a run of text in one style. At most one of Text, Emoji, User and Time is set.
type Span struct {
	Text  string `json:"text,omitempty"`
	Style Style  `json:"style,omitempty"`
	Link  string `json:"link,omitempty"`  // an http or https URL behind Text
	Emoji string `json:"emoji,omitempty"` // a short name such as "red_circle"
	User  string `json:"user,omitempty"`  // a Slack user id: names the person, who is notified
	Time  int64  `json:"time,omitempty"`  // seconds since 1970, shown in the reader's own time zone
}

// Table has a header row and rows of plain cells.
type Table struct {
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

// Image is a picture with its text for those who do not see it.
type Image struct {
	URL string `json:"url"`
	Alt string `json:"alt"`
}

// Controls are the buttons of a message, at most three, and a menu for the rest.
type Controls struct {
	Buttons []Button `json:"buttons,omitempty"`
	Menu    []Button `json:"menu,omitempty"` // at most five
}

// Button is something to click: Action says what, Value on what (an incident's id; never a secret).
type Button struct {
	Action  string   `json:"action"`
	Value   string   `json:"value"`
	Text    string   `json:"text"`
	Danger  bool     `json:"danger,omitempty"`
	Confirm *Confirm `json:"confirm,omitempty"`
}

// Confirm is asked before a click counts. It names the object and the effect.
type Confirm struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	Yes   string `json:"yes"`
	No    string `json:"no"`
}

// T, B and C make spans of plain, bold and code text.
func T(text string) Span { return Span{Text: text} }

// B makes bold text.
func B(text string) Span { return Span{Text: text, Style: Bold} }

// C makes code text.
func C(text string) Span { return Span{Text: text, Style: Code} }
