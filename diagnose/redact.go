package diagnose

import (
	"strings"
)

// Redacted stands in for what a [Redactor] took out.
const Redacted = "[redacted]"

// Redactor takes secrets out of text and objects: tokens of well-known forms, private keys, passwords in URLs and connection strings,
// credentials in headers, and values assigned to a name that says secret or that look like random letters. What a diagnosis needs
// stays: hosts, ports, users and databases, names of Secrets and of their keys, hashes, digests, UUIDs and pod names.
//
// It reads the text once, byte by byte, with no regular expression, so that time grows with the length alone whatever the text. The
// gitleaks rules were weighed as a library: they are made for finding keys in repositories, know none of the forms in which a crashing
// program prints its own configuration (URLs, DSNs, flags, environment, object dumps), and hold over two hundred compiled expressions
// in memory.
//
// Redacting twice is the same as redacting once, and the number of lines never changes. A Redactor is safe for concurrent use.
type Redactor struct {
	known    []string
	forms    *[256][]tokenForm // by their first letter
	triggers *[256]uint8
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

// Redact returns the text without its secrets. Text that holds none is returned as it is, without a copy.
func (r *Redactor) Redact(text string) string {
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

// span is a part of a text that goes.
type span struct{ start, end int }

// scan is one pass over one text.
type scan struct {
	*Redactor
	text  string
	spans []span // in order, not overlapping
	// valueUntil is how far a "value" that follows a telling "name" is a secret: {"name": "DB_PASSWORD", "value": "..."}.
	valueUntil int
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
