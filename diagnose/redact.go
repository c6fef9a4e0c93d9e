package diagnose

import (
	"strings"
	"sync"
)

// Redacted stands in for what a [Redactor] took out.
const Redacted = "[redacted]"

// Redactor takes secrets out of text and objects: tokens of well-known forms, private keys, passwords in URLs and connection strings,
// credentials in headers, and values assigned to a name that says secret or that look like random letters. What a diagnosis needs
// stays: hosts, ports, users and databases, names of Secrets and of their keys, hashes, digests, UUIDs and pod names.
//
// It reads the text once, byte by byte, with no regular expression, so that time grows with the length alone whatever the text. gitleaks'
// rules were weighed as a library: made for finding keys in repositories, they know few of the forms in which a crashing program
// prints its own configuration (URLs, DSNs, flags, environment, object dumps). Measured with version 8 on two cores, its 222 rules
// found 17 of the hundred planted lines in testdata, took 14 MiB of memory for good and 25 ms per MiB of clean log; this takes a few
// kilobytes and 3 ms.
//
// Redacting twice is the same as redacting once, and the number of lines never changes. A Redactor is safe for concurrent use.
type Redactor struct {
	known    []string
	forms    *[256][]tokenForm // by their first letter
	triggers *[256]uint8
	layouts  sync.Map // of the structs that were redacted: reflect.Type to []fieldLayout
}

// NewRedactor makes a Redactor. known are exact texts that must never come through, such as the bot's own tokens; those shorter than six
// bytes are left out, as they would take ordinary words with them.
func NewRedactor(known ...string) *Redactor {
	r := &Redactor{forms: new([256][]tokenForm)}
	for _, f := range tokenForms() {
		r.forms[f.prefix[0]] = append(r.forms[f.prefix[0]], f)
	}
	r.triggers = makeTriggers(r.forms)
	for _, k := range known {
		if len(k) >= 6 && !strings.Contains(Redacted, k) {
			r.known = append(r.known, k)
		}
	}
	return r
}

// standard is the Redactor for what is said before an engine is there to say it with. Nothing changes it.
var standard = NewRedactor()

// Redact returns the text without its secrets. Text that holds none is returned as it is, without a copy. Terminal colours are taken out
// too: they would stand between a name and its value.
func (r *Redactor) Redact(text string) string {
	if strings.IndexByte(text, escape) >= 0 {
		text = withoutColours(text)
	}
	for _, k := range r.known {
		text = strings.ReplaceAll(text, k, Redacted)
	}
	// What was hidden behind a secret may show once it is gone, so passes follow until one finds nothing. Each pass makes at least one
	// span final, and two are enough for all but contrived text.
	for range maxPasses {
		s := scan{Redactor: r, text: text}
		s.run()
		if len(s.spans) == 0 {
			return text
		}
		next := s.replaced()
		if next == text {
			return text
		}
		text = next
	}
	return text
}

const maxPasses = 8

const escape = 0x1b

// withoutColours takes out control sequences as terminals have them (ECMA-48): ESC [ parameters final byte.
func withoutColours(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := strings.IndexByte(text, escape)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		text = text[i+1:]
		if strings.HasPrefix(text, "[") {
			n := runEnd(text, 1, func(c byte) bool { return c >= 0x20 && c <= 0x3f })
			if n < len(text) && text[n] >= 0x40 && text[n] <= 0x7e {
				n++
			}
			text = text[n:]
		}
	}
}

// span is a part of a text that goes.
type span struct{ start, end int }

// scan is one pass over one text.
type scan struct {
	*Redactor
	text  string
	spans []span // in order, not overlapping
	// valueUntil is how far a "value" that follows a telling "name" is a secret: {"name": "DB_PASSWORD", "value": "..."}.
	valueUntil int
	// longWord is the next long word of random base64; its end is 0 when there is none.
	longWord span
	// noCookieUntil is the end of a line that is known to hold no cookie.
	noCookieUntil int
}

// replaced builds the text with its spans replaced. Line breaks in a span stay, so that lines keep their numbers.
func (s *scan) replaced() string {
	var b strings.Builder
	b.Grow(len(s.text) + len(s.spans)*len(Redacted))
	at := 0
	for _, p := range s.spans {
		b.WriteString(s.text[at:p.start])
		for i, line := range strings.Split(s.text[p.start:p.end], "\n") {
			if i > 0 {
				b.WriteByte('\n')
			}
			if strings.TrimSpace(line) != "" {
				b.WriteString(Redacted)
			}
		}
		at = p.end
	}
	b.WriteString(s.text[at:])
	return b.String()
}

// hide marks a span and returns where the scan goes on. Blanks at either end stay, and what is redacted already is left alone.
func (s *scan) hide(start, end int) int {
	if n := len(s.spans); n > 0 && start < s.spans[n-1].end {
		start = s.spans[n-1].end
	}
	for start < end && isBlank(s.text[start]) {
		start++
	}
	for end > start && isBlank(s.text[end-1]) {
		end--
	}
	if start >= end {
		return max(start, end)
	}
	if s.text[start:end] != Redacted {
		s.spans = append(s.spans, span{start, end})
	}
	return end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

// isWord takes the letters of base64url and of most tokens.
func isWord(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

// isKeyByte takes the letters of the name of a setting.
func isKeyByte(c byte) bool { return isWord(c) || c == '.' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// runEnd is where the bytes that ok takes end, from i on.
func runEnd(text string, i int, ok func(byte) bool) int {
	for i < len(text) && ok(text[i]) {
		i++
	}
	return i
}
