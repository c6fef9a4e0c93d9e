package rules

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"crashloop/diagnose"
)

// inSentence is what a hit says for a sentence, in at most that many characters.
func inSentence(h diagnose.Hit, runes int) string { return within(quote(h.Text), h.Match(), runes) }

// within shortens a text to the part that holds the words which matched, from the beginning of a clause: what an error is wrapped in says less
// than what it carries.
func within(text, match string, runes int) string {
	at := strings.Index(text, strings.Join(strings.Fields(match), " "))
	if match == "" || at < 0 || utf8.RuneCountInString(text) <= runes {
		return diagnose.Shorten(text, runes)
	}
	end := at + min(len(match), runes/2)
	for from := 0; from <= at; {
		if utf8.RuneCountInString(text[from:end]) <= runes*2/3 {
			return diagnose.Shorten(unquotedEnd(text[from:]), runes)
		}
		next := clause.FindStringIndex(text[from:at])
		if next == nil {
			break
		}
		from += next[1]
	}
	return diagnose.Shorten(text[at:], runes)
}

// lastColon keeps the end of a long chain of wrapped errors.
func lastColon(s string) string {
	parts := strings.Split(strings.TrimSpace(s), ": ")
	if len(parts) > 3 {
		parts = parts[len(parts)-3:]
	}
	return unquotedEnd(strings.Join(parts, ": "))
}

// unquotedEnd takes off the quote that ends a text whose beginning, with the quote that opened it, was cut.
func unquotedEnd(text string) string {
	if strings.Count(text, `"`)%2 == 1 {
		return strings.TrimSuffix(text, `"`)
	}
	return text
}

// containerPatch is a strategic-merge patch that sets fields of the subject's container, for `kubectl patch`. The lines of body are
// indented to stand below the container's name.
func containerPatch(c *diagnose.Case, body string) string { return bothPatch(c, body, "") }

// bothPatch sets fields of the subject's container and of its pods' spec.
func bothPatch(c *diagnose.Case, container, pod string) string {
	list := "containers"
	if c.Subject.ContainerType != diagnose.App {
		list = "initContainers"
	}
	return podPatch(c, list+":\n- name: "+diagnose.Scalar(c.Subject.Container)+"\n"+indent(container, 2)+pod)
}

// podPatch is a patch of the workload that sets fields of its pods' spec.
func podPatch(c *diagnose.Case, body string) string {
	switch c.Subject.Kind() {
	case "CronJob":
		return "spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n" + indent(body, 10)
	case "Pod":
		return "spec:\n" + indent(body, 2)
	}
	return "spec:\n  template:\n    spec:\n" + indent(body, 6)
}

func indent(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		if lines[i] != "" {
			lines[i] = strings.Repeat(" ", n) + lines[i]
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// quote takes the words out of a line of a log for a sentence: without the time, level, thread and place in the source before them, and
// without the keys of logfmt.
func quote(line string) string {
	rest := strings.TrimSpace(line)
	for range 9 {
		head := timeHead.FindString(rest)
		if head == "" {
			head = logHead.FindString(rest)
		}
		if head == "" {
			break
		}
		after := strings.TrimSpace(rest[len(head):])
		if after == "" {
			break
		}
		rest = after
	}
	// A report of several lines ends where the stack begins.
	if at := stack.FindStringIndex(rest); at != nil {
		rest = rest[:at[0]]
	}
	rest = strings.Join(strings.Fields(rest), " ")
	fields := logfmt.FindAllStringSubmatch(rest, 6)
	for _, at := range logfmt.FindAllStringIndex(rest, 6) {
		// A value of several words without quotes: no logfmt that could be taken apart.
		if tail := rest[at[1]:]; strings.TrimSpace(tail) != "" && !key.MatchString(tail) {
			return rest
		}
	}
	if len(fields) == 0 || len(fields) == 1 && !strings.Contains(rest, " msg=") && !strings.Contains(rest, "level=") {
		return rest
	}
	var words []string
	for _, m := range fields {
		if word := strings.TrimSuffix(unquoted(m[1]), ":"); !strings.Contains(strings.Join(words, ": "), word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ": ")
}

// The parts of a time, as loggers write it.
const (
	clock     = `\d{1,2}:\d{2}(?::\d{2})?` + clockRest
	clockRest = `(?:[.,:]\d{1,9})?(?: ?[AP]M)?(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}|[CEW]ES?T|[ECMP][SD]T|MSK|IST|JST))?`
	date      = `\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/]\d{1,2}[-/]\d{4}`
	month     = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*`
	longDate  = `(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?(?:\d{1,2}[ /-]` + month + `(?:[ /-]\d{2,4})?|` + month + ` +\d{1,2}(?:,? \d{4})?)`
	moment    = `(?:` + date + `|` + longDate + `|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{2}[-/]\d{2}|\d{8}|\d{6})(?:,? +|[T_:-])` + clock + `(?: \d{4})?|\d{8}T\d{6}Z?|\d+:\d{8}:\d{6}[.]\d{3}|\d{10}:|` + date + `|\d{1,2}:\d{2}:\d{2}` + clockRest
)

var (
	// timeHead is the time before a logger's words, up to the bar, the colon or the blank behind it. A name of a month or a short date is one only
	// with the time of day.
	timeHead = regexp.MustCompile(`^(?:\d+:[MSCX] |--)?(?:` + moment + `|\[(?:` + moment + `)(?:[: ][^\]]{1,40})?\]|\((?:` + moment + `)\))(?: [#*]|--)?(?:\||[:,]?(?:\s|$)|:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b:?)`)
	// stack is where the frames of Java, Node.js or Go begin below a message.
	stack = regexp.MustCompile(`\n(?:\s+at |[\w./*()]+\n\t/)`)
	// clause is where a wrapped error begins.
	clause = regexp.MustCompile(`: |; |[.] | - `)
	// logHead is one piece of what loggers put before their words: [main], (1), FATAL:, startup.go 586:, server.go:12], a lone hyphen or colon.
	logHead = regexp.MustCompile(`^(?:(?:debug|info|warn|warning|error|fatal|panic)\t|(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\||(?:\[ \d+ \] \{[^}]*\} <\w+>|[a-z]{2,8}\[\]\[[\w.$]+\]|\[Nest\] +\d+ +- [\d/]+, [\d:]+ [AP]M|<\d+\.\d+\.\d+>|Caused by:|\d{1,7} \[(?:ERROR|Warning|Note|System)\](?: \[MY-\d+\])?|(?:\[[\w .:/#,-]{1,40}\])+|\(\d+\)|(?:EMERG|ALERT|CRIT|CRITICAL|FATAL|SEVERE|ERROR|ERR|WARN|WARNING|NOTICE|INFO|LOG|PANIC|DETAIL)(?::|\b)|[\w/.-]+\.(?:go|java|cc|cpp|py|rs|c|rb)[: ]\d+(?:[:\]]| -)?|[IWEF]\d{4} [\d:.]+\s+\d+ [\w.-]+:\d+\]|[A-Z]+ +\d+ --- \[[^\]]*\] [\w.$\[\]/]+ +:|\[(?:error|fatal)\]:?|\|(?: (?:CORE|TRACE|PROCESS|CLUSTER))? \| (?:ERROR|CRITICAL|WARN|INFO) \||\([\w/.-]+\.go:\d+ in \w+\) \||\([\w -]+\) ERROR:|[-:]+)(?:\s|:\s|$))`)
	key     = regexp.MustCompile(`^\s+[\w.-]+=`)
	// logfmt is the words or the error in a line of key=value pairs.
	logfmt = regexp.MustCompile(`(?:^|\s)(?:msg|err|error|error_class)=("(?:[^"\\]|\\.)*"|\S+)`)
)

// unquoted is a value of logfmt without its quotes.
func unquoted(value string) string {
	if words, err := strconv.Unquote(value); err == nil {
		return words
	}
	return strings.Trim(value, `"`)
}
