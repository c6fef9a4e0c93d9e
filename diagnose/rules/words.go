package rules

import (
	"regexp"
	"strings"

	"crashloop/diagnose"
)

// reader holds the expressions that take what a line of a log says out of what its logger puts around it. They are compiled once, with the
// rules.
type reader struct {
	unended  *regexp.Regexp
	where    *regexp.Regexp // a line that only adds the place
	named    *regexp.Regexp // port 8080
	tuple    *regexp.Regexp // ('0.0.0.0', 8080)
	endpoint *regexp.Regexp // 0.0.0.0:8080, [::]:8080, :8080
}

func newReader() *reader {
	return &reader{
		unended:  regexp.MustCompile(`(?i):$|validation errors? for \S+$|unmarshal errors:?$|while (?:scanning|parsing) [\w ]+$|FATAL CONFIG FILE ERROR|Caused by:$`),
		where:    regexp.MustCompile(`(?i)^(?:error found at |(?:at|in|on) (?:line|file|config\w*) )`),
		named:    regexp.MustCompile(`(?i)\bport:?[ =]{0,2}(\d{2,5})\b`),
		tuple:    regexp.MustCompile(`['"], (\d{2,5})\)`),
		endpoint: regexp.MustCompile(`(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]*\]|:::?|\*|localhost|EADDRINUSE[^:]*: address already in use [^\s:]*|(?:^|\s)(?:tcp[46]? )?):?:(\d{2,5})(?:\D|$)`),
	}
}

// whole is what a hit says with the lines that belong to it, for messages of several lines: "line 3: field x not found" below
// "unmarshal errors:".
func (r *reader) whole(h diagnose.Hit) string {
	text := quote(h.Text)
	if !r.unended.MatchString(strings.TrimRight(text, " *")) {
		if next := strings.TrimSpace(h.Log.Line(h.Line + 1)); r.where.MatchString(next) {
			text += " " + next
		}
		if before := strings.TrimSpace(h.Log.Line(h.Line - 1)); before != "" && strings.HasPrefix(text, "Please check") {
			return before + " " + text
		}
		for n := h.Line + 1; n <= h.Line+2; n++ {
			if strings.TrimSpace(h.Log.Line(n)) == "Caused by:" {
				return text + ": " + strings.TrimSpace(h.Log.Line(n+1))
			}
		}
		return text
	}
	for n := h.Line + 1; n <= h.Line+3; n++ {
		next := strings.TrimSpace(h.Log.Line(n))
		if next == "" && n == h.Line+1 {
			continue
		}
		if next == "" || strings.HasPrefix(next, "at ") || strings.HasPrefix(next, "File \"") {
			break
		}
		text += " " + next
	}
	return text
}

// port is the port that a line says cannot be had, or "". Line numbers and times of day look like ports and are none.
func (r *reader) port(text string) string {
	for _, re := range []*regexp.Regexp{r.named, r.tuple, r.endpoint} {
		if m := re.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}
