package diagnose

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Level is how serious a line of a log says that it is.
type Level int

// The levels. NoLevel is a line that does not say.
const (
	NoLevel Level = iota
	Debug
	Info
	Warn
	Error
	Fatal
)

// entry is what a line of a log says: its level and its words, taken out of JSON or logfmt where it is written so.
type entry struct {
	level Level
	text  string
}

// readEntry reads one line. Text keeps the whole line unless it is JSON, of which it keeps the message, the error and the stack.
func readEntry(line string) entry {
	trimmed := strings.TrimSpace(line)
	if i := strings.IndexByte(trimmed, '{'); i >= 0 && i < 64 && strings.HasSuffix(trimmed, "}") {
		if e, ok := readJSON(trimmed[i:]); ok {
			if i > 0 {
				// zap's console encoder and its like: words first, fields after.
				e.text = trimmed[:i] + e.text
				if e.level == NoLevel {
					e.level = lineLevel(trimmed[:i])
				}
			}
			return e
		}
	}
	return entry{level: lineLevel(line), text: line}
}

func readJSON(line string) (entry, bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil || len(fields) == 0 {
		return entry{}, false
	}
	e := entry{}
	for _, k := range []string{"level", "severity", "lvl", "log.level", "levelname", "loglevel", "@l", "LogLevel", "Level", "s"} {
		switch v := fields[k].(type) {
		case string:
			e.level = levelNamed(v)
		case float64: // pino and bunyan: 10 trace to 60 fatal
			e.level = []Level{Debug, Debug, Info, Info, Warn, Error, Fatal}[min(max(int(v)/10, 0), 6)]
		case map[string]any:
			if name, ok := v["name"].(string); ok {
				e.level = levelNamed(name)
			}
		}
		if e.level != NoLevel {
			break
		}
	}
	// What another program wrote to its standard error is handed on at a level that says nothing of it.
	if e.level == Info && fields["pipe"] == "stderr" {
		e.level = NoLevel
	}
	// Rust's tracing keeps message and error one level down.
	if inner, ok := fields["fields"].(map[string]any); ok && fields["message"] == nil && fields["msg"] == nil {
		for _, k := range []string{"message", "error", "err", "error.message"} {
			if v, there := inner[k]; there {
				fields[k] = v
			}
		}
	}
	// A program that carries another's log, such as a database's manager, nests the record.
	if record, ok := fields["record"].(map[string]any); ok {
		if name, ok := record["error_severity"].(string); ok {
			e.level = levelNamed(name)
		}
		e.text = flatten(record, 0)
		return e, e.text != ""
	}
	var parts []string
	add := func(text string) {
		text = strings.TrimSpace(text)
		for _, p := range parts {
			if text == "" || strings.Contains(p, text) {
				return
			}
		}
		if text != "" {
			parts = append(parts, text)
		}
	}
	for _, k := range []string{
		"msg", "message", "@m", "@mt", "event", "short_message", "text", "textPayload", "log", "Message", "error", "err", "error.message", "errorMessage", "exception",
		"Exception", "reason", "cause", "details", "attr", "exc_info", "stack", "stacktrace", "stack_trace", "error.stack_trace", "stackTrace", "@x",
	} {
		add(flatten(fields[k], 0))
	}
	if len(parts) == 0 {
		return entry{level: e.level, text: line}, true
	}
	e.text = joinParts(parts)
	if len(e.text) > lineHead {
		e.text = e.text[:lineHead]
	}
	return e, true
}

// flatten writes a JSON value as words.
func flatten(v any, depth int) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var parts []string
		for i, x := range v {
			if i == 8 || depth > 2 {
				break
			}
			parts = append(parts, flatten(x, depth+1))
		}
		return strings.Join(parts, "\n")
	case map[string]any:
		if depth > 2 {
			return ""
		}
		var parts []string
		for _, k := range []string{"type", "class", "name", "kind", "code", "keyFile", "file", "filename", "path", "message", "msg", "errmsg", "error", "cause", "stack", "stack_trace"} {
			if text := flatten(v[k], depth+1); text != "" {
				parts = append(parts, text)
			}
		}
		return joinParts(parts)
	}
	return ""
}

// joinParts writes parts one after another; a stack trace begins on a line of its own and makes what it repeats needless.
func joinParts(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		repeated := false
		for _, later := range parts[i+1:] {
			repeated = repeated || strings.Contains(later, p)
		}
		if repeated {
			continue
		}
		if b.Len() > 0 {
			if strings.Contains(p, "\n") {
				b.WriteByte('\n')
			} else {
				b.WriteString(": ")
			}
		}
		b.WriteString(p)
	}
	return b.String()
}

func levelNamed(name string) Level {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "fatal", "panic", "critical", "crit", "emerg", "emergency", "alert", "dpanic", "f":
		return Fatal
	case "error", "err", "severe", "e", "eror":
		return Error
	case "warn", "warning", "w", "wrn":
		return Warn
	case "info", "notice", "information", "i", "inf", "log":
		return Info
	case "debug", "trace", "verbose", "fine", "d", "dbg", "d1", "d2":
		return Debug
	}
	return NoLevel
}

// lineLevel finds the level of a line of plain text or logfmt. It looks at the beginning only: "0 errors" later on says nothing.
func lineLevel(line string) Level {
	head := line[:min(len(line), 120)]
	if strings.Contains(head, "evel=") {
		_, rest, _ := strings.Cut(head, "evel=")
		name, _, _ := strings.Cut(rest, " ")
		if l := levelNamed(strings.Trim(name, `"`)); l != NoLevel {
			if l == Info && (strings.Contains(head, `msg="Error: `) || strings.Contains(head, `msg="error: `)) {
				return Error // what a program prints before it ends goes through a logger's Print
			}
			return l
		}
	}
	// klog: I0102 15:04:05.000000
	if len(head) > 6 && strings.IndexByte("IWEF", head[0]) >= 0 && isDigits(head[1:5]) && head[5] == ' ' {
		return map[byte]Level{'I': Info, 'W': Warn, 'E': Error, 'F': Fatal}[head[0]]
	}
	// capnslog: 2006-01-02 15:04:05.000000 I | package: words
	if i := strings.Index(head, " | "); i > 1 && i < 40 && head[i-2] == ' ' && head[0] >= '0' && head[0] <= '9' {
		if l := map[byte]Level{'C': Fatal, 'E': Error, 'W': Warn, 'N': Info, 'I': Info, 'D': Debug, 'T': Debug}[head[i-1]]; l != NoLevel {
			return l
		}
	}
	// .NET's console logger: crit: Microsoft.Extensions.Hosting.Internal.Host[10]
	switch {
	case strings.HasPrefix(head, "crit: "):
		return Fatal
	case strings.HasPrefix(head, "fail: "):
		return Error
	}
	if l, ok := cephLevel(head); ok {
		return l
	}
	best, at := NoLevel, len(head)
	for _, w := range []struct {
		word  string
		level Level
	}{
		{"FATAL", Fatal}, {"PANIC", Fatal}, {"CRITICAL", Fatal}, {"CRIT", Fatal}, {"EMERG", Fatal}, {"[emerg]", Fatal}, {"[alert]", Fatal}, {"[crit]", Fatal}, {"[fatal]", Fatal}, {"Fatal", Fatal}, {"[FTL]", Fatal}, {"\tfatal\t", Fatal}, {"\tpanic\t", Fatal},
		{"ERROR", Error}, {"SEVERE", Error}, {"[error]", Error}, {"Error", Error}, {"error:", Error}, {"ERR!", Error}, {"[ERR]", Error}, {"<error>", Error}, {"\terror\t", Error},
		{"WARNING", Warn}, {"WARN", Warn}, {"Warning", Warn}, {"warning:", Warn}, {"[warn]", Warn}, {"[warning]", Warn}, {"warn:", Warn}, {"[WRN]", Warn}, {"\twarn\t", Warn},
		{"INFO", Info}, {"[info]", Info}, {"info:", Info}, {"[notice]", Info}, {"NOTICE", Info}, {"[INF]", Info}, {"LOG:", Info}, {"[Note]", Info}, {"\tinfo\t", Info},
		{"DEBUG", Debug}, {"TRACE", Debug}, {"[debug]", Debug}, {"DEPRECAT", Warn}, {"Deprecat", Warn},
	} {
		if i := strings.Index(head[:min(len(head), at+1)], w.word); i >= 0 && i < at {
			best, at = w.level, i
		}
	}
	return best
}

// cephLevel is the level of a line of Ceph's: time, thread and a number, of which -1 is an error and what is above 0 is of interest only to who
// looks for a mistake in it.
func cephLevel(head string) (Level, bool) {
	head = strings.TrimPrefix(head, "debug ")
	if len(head) < 30 || head[0] != '2' || head[4] != '-' || head[10] != 'T' {
		return NoLevel, false
	}
	_, rest, _ := strings.Cut(head, " ")
	thread, rest, _ := strings.Cut(rest, " ")
	number, _, ok := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if !ok || len(thread) < 12 || strings.Trim(thread, "0123456789abcdef") != "" {
		return NoLevel, false
	}
	switch {
	case number == "-1":
		return Error, true
	case number == "0":
		return NoLevel, true
	case isDigits(number):
		return Debug, true
	}
	return NoLevel, false
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// LineLevel says how serious a line of a log says that it is.
func LineLevel(line string) Level { return readEntry(line).level }

// Say takes the words out of a line of a log: the message and the error of a JSON line, any other line as it is.
func Say(line string) string { return readEntry(line).text }
