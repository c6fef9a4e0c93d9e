package notify

import (
	"strings"
	"unicode/utf8"
)

// Clean makes text that came from a cluster or a person fit to be shown: line breaks and tabs stay; other control characters, ANSI colour
// sequences, bytes that are no UTF-8, and the invisible characters that reorder or hide text (bidirectional controls, zero-width marks,
// tags) do not. What is dropped in the middle of a word is replaced by U+FFFD, so that nobody is shown a word that is not there.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if s[i] == 0x1b {
			i += escapeLength(s[i:])
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r' && i+1 < len(s) && s[i+1] == '\n':
		case r == '\r':
			b.WriteByte('\n')
		case r == 0x2028, r == 0x2029:
			b.WriteByte('\n')
		case harmful(r) || r == utf8.RuneError && n == 1:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func isClean(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if harmful(r) || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}

// harmful says whether a character must not be shown. U+FE0F and U+200D stay: emoji need them.
func harmful(r rune) bool {
	switch {
	case r >= 0x20 && r < 0x7f, r == '\n', r == '\t', r >= 0xa0 && r < 0x600 && r != 0xad:
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0: // C0, DEL, C1
		return true
	case r == 0x200d:
		return false
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0x061c, r == 0xfeff, r == 0x00ad, r == 0x180e:
		return true
	case r >= 0xe0000 && r <= 0xe007f: // tags
		return true
	}
	return r >= 0xe000 && r <= 0xf8ff || r >= 0xf0000 // for private use: every font shows something else
}

// escapeLength is how many bytes an escape sequence at the start of s takes (ECMA-48: CSI ends with a byte in @ to ~, OSC with BEL or ST).
func escapeLength(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s) && i < 64; i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] >= 0x7f {
				return i
			}
		}
		return 2
	case ']':
		for i := 2; i < len(s) && i < 4096; i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return 2
	}
	return 1
}

// Cut shortens s to at most limit characters, the last of which is then an ellipsis.
func Cut(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	if limit < 1 {
		return ""
	}
	n := 0
	for i := range s {
		if n == limit-1 {
			return strings.TrimRight(s[:i], " \t\n") + "…"
		}
		n++
	}
	return s
}

// oneLine is text without line breaks and with runs of white space as one space, cut to limit characters.
func oneLine(s string, limit int) string {
	if most := 16*limit + 1024; len(s) > most { // a text of megabytes is not gone through for a line
		return Cut(strings.Join(strings.Fields(Clean(strings.ToValidUTF8(s[:most], ""))), " ")+" …", limit)
	}
	return Cut(strings.Join(strings.Fields(Clean(s)), " "), limit)
}

// bothEnds is oneLine for what is quoted: of a long text the end stays too, where an error that was wrapped again and again says at last
// what happened.
func bothEnds(s string, limit int) string {
	line := []rune(oneLine(s, 100*limit))
	if len(line) <= limit {
		return string(line)
	}
	head := limit / 3
	return string(line[:head]) + " … " + string(line[len(line)-(limit-head-3):])
}
