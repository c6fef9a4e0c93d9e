package diagnose

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The bounds of a line: a longer one keeps its beginning and its end.
const (
	lineHead = 8 << 10
	lineTail = 4 << 10
	// citeRunes bounds what evidence quotes of a line.
	citeRunes = 400
)

// Log is a container's log, made safe to read: without colours and control characters, valid UTF-8, no line longer than a few
// kilobytes.
type Log struct {
	// Source names it in evidence: "log web (previous)".
	Source    string
	Container string
	Previous  bool
	// Missing says why it could not be read; then there are no lines.
	Missing string
	// message is set when this is not a log but a termination message.
	message bool

	text   string
	starts []int32
}

// NewLog cleans raw log text.
func NewLog(source string, raw []byte) *Log {
	l := &Log{Source: source}
	l.text = withoutProcess(withoutLabel(cleanLog(raw)))
	for at := 0; at < len(l.text); {
		l.starts = append(l.starts, int32(at))
		end := strings.IndexByte(l.text[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return l
}

// Len is the number of lines.
func (l *Log) Len() int { return len(l.starts) }

// Empty says that the log was read and holds nothing but white space.
func (l *Log) Empty() bool { return l.Missing == "" && strings.TrimSpace(l.text) == "" }

// Line returns line n, counted from 1, or "".
func (l *Log) Line(n int) string {
	if n < 1 || n > len(l.starts) {
		return ""
	}
	end := len(l.text)
	if n < len(l.starts) {
		end = int(l.starts[n]) - 1
	} else if strings.HasSuffix(l.text, "\n") {
		end--
	}
	return l.text[l.starts[n-1]:end]
}

// Cite makes line n a piece of evidence.
func (l *Log) Cite(n int) Evidence {
	source := fmt.Sprintf("%s line %d", l.Source, n)
	if l.message {
		source = l.Source
	}
	return Evidence{Source: source, Text: Shorten(strings.TrimSpace(l.Line(n)), citeRunes)}
}

// lastText is the number of the last line that says something: no blank one, and none that closes what a package manager says, where there is
// another. It is 0 when there is none.
func (l *Log) lastText() int {
	last := 0
	for n := l.Len(); n > 0; n-- {
		line := l.Line(n)
		if strings.TrimSpace(line) == "" {
			continue
		}
		if !Epilogue(line) {
			return n
		}
		last = max(last, n)
	}
	return last
}

// epilogue is what npm, yarn and pnpm print once the program that they ran has failed, or once they have said why they fail themselves.
var epilogue = regexp.MustCompile(`^\s*(?:npm (?:ERR!|error)(?:\s*$|\s+(?:A complete log of this run|You can rerun the command|Log files were not written|/\S+\.log$|Lifecycle script|code (?:\d|ELIFECYCLE)|errno \d|Exit status|Failed at the \S+ \S+ script|This is probably not a problem with npm|(?:path|location|workspace|prefix|signal|command) ))` +
	`|error Command failed (?:with|due to)|info Visit https://yarnpkg\.com/|ELIFECYCLE\s|ERR_PNPM_RECURSIVE_RUN_FIRST_FAIL)`)

// Epilogue says that a line only closes what a package manager that ran the program says of its end.
func Epilogue(line string) bool {
	return epilogue.MatchString(line[:min(len(line), 200)])
}

// Shorten cuts a text to at most that many characters, the last of which then marks the cut. What may hold a secret is redacted before.
func Shorten(text string, runes int) string {
	if len(text) <= runes || utf8.RuneCountInString(text) <= runes {
		return text
	}
	n := 0
	for i := range text {
		if n == runes-1 {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// label is what tools that show several containers' logs together put before each line: "[web] ", "web-1  | ".
var label = regexp.MustCompile(`^(?:\[[a-z][a-z0-9.-]{1,62}\]|[a-z][a-z0-9._-]{1,62} +\|) `)

// process is what programs that start several others put before each line of theirs: foreman's and honcho's "12:26:26 worker.1 | ".
var process = regexp.MustCompile(`^\d{2}:\d{2}:\d{2} [A-Za-z][\w.-]{0,40} +\| ?`)

// withoutProcess takes off each line which process said it, when that stands on all of them.
func withoutProcess(text string) string {
	if process.FindString(text[:min(len(text), 100)]) == "" {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for line := range strings.Lines(text) {
		name := process.FindString(line[:min(len(line), 100)])
		if name == "" && strings.TrimSpace(line) != "" {
			return text
		}
		b.WriteString(line[len(name):])
	}
	return b.String()
}

// withoutLabel takes a label off a log that has the same one on each of its lines, as people paste it.
func withoutLabel(text string) string {
	name := label.FindString(text[:min(len(text), 100)])
	if name == "" || lineLevel(name) != NoLevel {
		return text
	}
	short, lines := strings.TrimRight(name, " "), 0
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, name) && line != short {
			return text
		}
		lines++
	}
	if lines < 3 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			b.WriteString(rest)
		} else {
			b.WriteString(strings.TrimPrefix(line, short))
		}
	}
	return b.String()
}

// cleanLog makes raw log bytes readable: one \n per line, no terminal escapes, no control characters, valid UTF-8, no endless line.
func cleanLog(raw []byte) string {
	var b strings.Builder
	b.Grow(min(len(raw), 1<<20) + 64)
	for len(raw) > 0 {
		var line []byte
		if end := bytes.IndexByte(raw, '\n'); end >= 0 {
			line, raw = raw[:end], raw[end+1:]
		} else {
			line, raw = raw, nil
		}
		if len(line) > lineHead+lineTail {
			writeLine(&b, line[:lineHead])
			b.WriteString(" … ")
			line = line[len(line)-lineTail:]
		}
		writeLine(&b, line)
		b.WriteByte('\n')
	}
	return b.String()
}

// writeLine writes one line. Most are plain, so look for that first.
func writeLine(b *strings.Builder, line []byte) {
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	plain := true
	for _, c := range line {
		if (c < 0x20 && c != '\t') || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		b.Write(line)
		return
	}
	// A bare carriage return redraws the line: what counts is what stands there in the end.
	// One that a quotation mark or a colon follows is part of a name, as of a script with the line ends of Windows, and is made visible.
	for i := len(line) - 2; i >= 0; i-- {
		if line[i] != '\r' {
			continue
		}
		if strings.IndexByte("'\":", line[i+1]) >= 0 {
			line = []byte(string(line[:i]) + "^M" + string(line[i+1:]))
			continue
		}
		line = line[i+1:]
		break
	}
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case c == 0x1b:
			i = skipEscape(line, i)
		case c == '\t' || (c >= 0x20 && c < 0x7f):
			b.WriteByte(c)
			i++
		case c < 0x80:
			i++ // other control characters
		default:
			r, size := utf8.DecodeRune(line[i:])
			if r >= 0xa0 { // 0x80-0x9f are control characters too
				b.WriteRune(r)
			}
			i += size
		}
	}
}

// skipEscape returns where the terminal escape sequence that begins at i ends (ECMA-48: CSI, OSC, or two characters).
func skipEscape(line []byte, i int) int {
	i++
	if i >= len(line) {
		return i
	}
	switch line[i] {
	case '[':
		for i++; i < len(line); i++ {
			if line[i] >= 0x40 && line[i] <= 0x7e {
				return i + 1
			}
		}
		return i
	case ']':
		for i++; i < len(line); i++ {
			if line[i] == 0x07 {
				return i + 1
			}
			if line[i] == 0x1b && i+1 < len(line) && line[i+1] == '\\' {
				return i + 2
			}
		}
		return i
	default:
		return i + 1
	}
}
