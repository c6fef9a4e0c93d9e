package diagnose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Shape is how a program that ends speaks of one cause in general: a noun of what it is about near a verb of refusal, whatever the words
// between them. Shapes are tried on a program's last words alone, and only when no rule knows more than its exit code.
type Shape struct {
	Name   string // as a [Pattern]'s: what the rule's Match reads in [Hit].Pattern
	Regexp string // RE2
	Also   string // the line must match this, too, when it is not empty
	Unless string // a line that this matches is about something else; may be empty
	// Traced says that the shape holds of the message of an exception, too, unless the program's own code threw it.
	Traced bool
	// Panicked says that it holds of the error with which a program's own code calls panic, too.
	Panicked bool
	// Thrown says that it holds of an exception that its own code throws on purpose as it starts.
	Thrown bool
	// Foreign says that it holds of what a library throws as the program starts: its maker refuses what it is handed.
	Foreign bool
}

// closer is a compiled shape.
type closer struct {
	rule         int
	name         string
	traced       bool
	panicked     bool
	thrown       bool
	foreign      bool
	re           expression
	also, unless expression // nil when there is none
}

func newClosers(rules []Rule) ([]closer, error) {
	var out []closer
	for i := range rules {
		for _, s := range rules[i].Closing {
			c := closer{rule: i, name: s.Name, traced: s.Traced, panicked: s.Panicked, thrown: s.Thrown, foreign: s.Foreign}
			if s.Regexp == "" {
				return nil, fmt.Errorf("rule %q: shape %q has no regular expression", rules[i].ID, s.Name)
			}
			for to, text := range map[*expression]string{&c.re: s.Regexp, &c.also: s.Also, &c.unless: s.Unless} {
				var err error
				if *to, err = newExpression(text); err != nil {
					return nil, fmt.Errorf("rule %q: shape %q: %w", rules[i].ID, s.Name, err)
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}

const (
	// closingWindow is how far up from its end a log is read for last words, closingLines how many of them there are.
	closingWindow = 40
	closingLines  = 6
	// atStart is how long a program that throws what it says of its settings has not begun to work with anything else.
	atStart = 2 * time.Minute
)

// beside is what stands around last words without being any: frames of a stack, the addresses of a native one, rulers, captions.
var beside = regexp.MustCompile(`^(?:\s+at |\s*File "|\s*\.\.\. \d+ |goroutine \d|\s+[\w./@-]+\.(?:go|rs|c|cc|cpp):\d+|[\w./@*()]+\(.*\)$|\s*\d+[.:] [\w:<>~]+.*(?:@ 0x|::)|\s*#\d+ |\s*@ +0x|(?:\s*0x[0-9a-f]+)+\s*$|Caused by:\s*$|Traceback |[[:cntrl:][:punct:]\s]*$|\+{1,3} |>{3} ?$)`)

// ended is how programs tell that they end, without saying why.
var ended = regexp.MustCompile(`(?i)^[^a-z]*(?:error:? |fatal:? |info:? )?(?:\S+ )?(?:abort(?:ed|ing)|exit(?:ed|ing)|bye|shut(?:ting)? ?down|stopp?(?:ed|ing)|terminat(?:ed|ing)|failed running \S+|see \S+ (?:-h|--help))\b.{0,40}$`)

// lastWords are the lines that a program ended with: the errors near the end of its log that it did not get over, and the last that call
// themselves nothing at all. Of one that ended by an exception outside of its own code they are what that says. The order is the log's.
func (c *Case) lastWords(traced bool) []Hit {
	l := c.Log()
	var out []Hit
	if traced {
		for _, t := range c.Traces() {
			for _, n := range []int{t.At, t.CauseAt} {
				thrown := !t.Panic && c.Ran() < atStart
				if n > 0 && !t.Handled && (t.Own == "" || t.givesUp() || thrown) {
					out = append(out, Hit{Log: l, Line: n, Text: readEntry(l.Line(n)).text, Level: Error, panicked: t.Own != "" && t.givesUp(), thrown: t.Own != "" && thrown, foreign: t.Foreign && thrown})
				}
			}
		}
		return out
	}
	last := l.lastText()
	errors, plain, warned := 0, 0, Hit{}
	for n := last; n > 0 && n > last-closingWindow; n-- {
		line := l.Line(n)
		if strings.TrimSpace(line) == "" || beside.MatchString(line) || Epilogue(line) {
			continue
		}
		e := readEntry(line)
		if e.level != Fatal && ended.MatchString(e.text) {
			continue
		}
		h := Hit{Log: l, Line: n, Text: e.text, Level: e.level}
		switch {
		case e.level >= Error && errors < closingLines && !wentOn(l, n):
			errors++
			out = append(out, h)
		case e.level == NoLevel && plain < closingLines && n > last-2*closingLines:
			plain++
			out = append(out, h)
		case e.level == Info && len(out) > 0 && out[len(out)-1].Level == Fatal && out[len(out)-1].Line == n+1 && strings.Contains(strings.ToLower(e.text), "fail"):
			// What a fatal line sums up is told in full on the line before, whatever level that has.
			h.Level = Error
			out = append(out, h)
		case e.level == Warn && warned.Line == 0 && n > last-closingLines/2:
			warned = h
		}
	}
	if len(out) == 0 && warned.Line > 0 {
		warned.Level = NoLevel
		out = append(out, warned)
	}
	slices.Reverse(out)
	return out
}

// givesUp says that a Go program called panic with an error of its own, as others end by a logger's fatal line: not its runtime, which says so,
// and not to report a mistake in the program.
func (t *Trace) givesUp() bool {
	return t.Language == "Go" && t.Panic && !runtimePanic.MatchString(t.Message)
}

// runtimePanic is what Go's runtime, and the sync and reflect packages, say of a mistake in a program, and what programmers leave in places that
// should never be reached.
var runtimePanic = regexp.MustCompile(`^(?:runtime error|assignment to entry in nil map|interface conversion|(?:send on|close of) (?:closed|nil) channel|all goroutines are asleep|concurrent map|sync: |reflect[.:]|unreachable|not implemented|TODO|assert)`)

// closing asks the rules whose shapes the last words have. What they find is likely at most.
func (e *Engine) closing(c *Case, traced bool) []Finding {
	t := c.Last()
	if t == nil || !ranAtAll(t) || t.ExitCode == 0 || t.ExitCode > 128 && t.ExitCode != 134 && t.ExitCode < 192 && !c.OwnCode() || c.Log().Missing != "" {
		return nil
	}
	hits := map[int][]Hit{}
	for _, h := range c.lastWords(traced) {
		if slices.ContainsFunc(c.failures, func(f Hit) bool { return f.Line == h.Line }) {
			continue // of a connection, which chains follow
		}
		for _, s := range e.closers {
			if traced && !(s.traced && !h.panicked && !h.thrown || s.panicked && h.panicked || s.thrown && h.thrown || s.foreign && h.foreign) {
				continue
			}
			if h.groups = s.re().FindStringSubmatch(h.Text); h.groups == nil || s.also != nil && !s.also().MatchString(h.Text) || s.unless != nil && s.unless().MatchString(h.Text) {
				continue
			}
			h.Pattern, h.names = s.name, s.re().SubexpNames()
			hits[s.rule] = append(hits[s.rule], h)
		}
	}
	var out []Finding
	for i := range e.rules {
		if len(hits[i]) == 0 {
			continue
		}
		for _, f := range e.ask(c, i, func() []Finding { return e.rules[i].Match(c, hits[i]) }) {
			f.Cause = e.rules[i].ID
			if f.Confidence == Certain {
				f.Confidence = Likely
			}
			if f.Summary != "" {
				out = append(out, f)
			}
		}
	}
	return out
}
