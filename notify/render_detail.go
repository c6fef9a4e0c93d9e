package notify

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"crashloop/diagnose"
)

// How much of each part the detail shows, in characters and in entries. Together they stay below what one Slack message takes; what is
// left out is counted.
const (
	detailFixes        = 4
	detailFix          = 900 // of one command or patch
	detailFixesText    = 2600
	detailChain        = 8
	detailEvidence     = 8
	detailEvidenceText = 260
	detailLogLines     = 20
	detailLogLine      = 300
	detailLogText      = 2200
	detailRuns         = 5
	detailAlternatives = 3
	detailGaps         = 4
)

// Detail is the first reply in an incident's thread: the whole diagnosis, to check it and to act on it.
func Detail(inc diagnose.Incident, d diagnose.Diagnosis, o RenderOptions) Message {
	summary := sentence(oneLine(d.Summary, 700))
	m := Message{Text: oneLine("Diagnosis: "+summary, 600)}
	add := func(b ...Block) { m.Blocks = append(m.Blocks, b...) }
	add(Block{Text: []Span{B(certainty(d.Confidence) + ": "), T(summary)}})
	if c := d.Change; c != nil {
		spans := []Span{B("Set off by: "), C(c.Object), T(" " + oneLine(c.Says, 500))}
		if !c.At.IsZero() {
			spans = append(spans, T(", "), Span{Time: c.At.Unix()})
		}
		add(Block{Text: spans})
	}
	add(fixes(d.Fixes)...)
	if len(d.Chain) > 0 {
		add(title("How it comes about"), chain(d.Chain))
	}
	if len(d.Evidence) > 0 {
		add(title("Evidence"), evidence(d.Evidence, o))
	}
	add(excerpt(inc, d.Excerpt, o)...)
	add(timeline(d)...)
	if len(d.Alternatives) > 0 {
		add(title("What else it could be"), alternatives(d.Alternatives))
	}
	if len(d.Gaps) > 0 {
		add(title("What could not be read"), bullets(d.Gaps, detailGaps, 220))
	}
	return m
}

func title(s string) Block { return Block{Text: []Span{B(s)}} }

// fixes lists the ways out, with what there is to copy.
func fixes(all []diagnose.Fix) []Block {
	if len(all) == 0 {
		return nil
	}
	out := []Block{title("What to do")}
	left := detailFixesText
	for i, f := range all {
		if i == detailFixes || left < 100 {
			return append(out, more(len(all)-i, "more way out", "more ways out"))
		}
		head := oneLine(f.Title, 300)
		if len(all) > 1 {
			head = fmt.Sprintf("%d. %s", i+1, head)
		}
		out = append(out, Block{Text: []Span{T(head)}})
		left -= utf8.RuneCountInString(head)
		for _, code := range []string{f.Command, f.Patch} {
			if code = cutCode(code, min(detailFix, left)); code != "" {
				out = append(out, Block{Code: code})
				left -= utf8.RuneCountInString(code)
			}
		}
	}
	return out
}

// cutCode bounds what is to be copied. A command that was cut must not look whole.
func cutCode(s string, limit int) string {
	s = strings.Trim(Clean(s), "\n")
	n := utf8.RuneCountInString(s)
	if n <= limit {
		return s
	}
	if limit < 60 {
		return ""
	}
	kept := Cut(s, limit-40)
	return fmt.Sprintf("%s\n# cut: %d more characters", kept, n-utf8.RuneCountInString(kept)+1)
}

func more(n int, one, many string) Block {
	what := many
	if n == 1 {
		what = one
	}
	return Block{Context: []Span{T(fmt.Sprintf("%d %s", n, what))}}
}

func chain(links []diagnose.Link) Block {
	var list [][]Span
	for i, l := range links {
		if i == detailChain-1 && len(links) > detailChain { // the last link is the root: it is always shown
			list = append(list, []Span{T(fmt.Sprintf("… %d more in between", len(links)-detailChain))})
			l = links[len(links)-1]
			return Block{List: append(list, []Span{C(oneLine(l.Object, 160)), T(" " + oneLine(l.Says, 220))})}
		}
		list = append(list, []Span{C(oneLine(l.Object, 160)), T(" " + oneLine(l.Says, 220))})
	}
	return Block{List: list}
}

func evidence(all []diagnose.Evidence, o RenderOptions) Block {
	var list [][]Span
	for i, e := range all {
		if i == detailEvidence {
			list = append(list, []Span{T(fmt.Sprintf("… and %d more", len(all)-i))})
			break
		}
		if o.HideLogs && strings.HasPrefix(e.Source, "log ") {
			list = append(list, []Span{T(oneLine(e.Source, 120) + ": not shown in channels")})
			continue
		}
		list = append(list, []Span{T(oneLine(e.Source, 120) + ": "), C(oneLine(e.Text, detailEvidenceText))})
	}
	return Block{List: list}
}

// excerpt is the last log lines that matter.
func excerpt(inc diagnose.Incident, x diagnose.Excerpt, o RenderOptions) []Block {
	of := "Log of " + who(inc.Subject)
	if x.Container != "" {
		of = "Log of " + x.Container
	}
	if x.Previous {
		of += ", crashed instance"
	}
	switch {
	case x.Missing != "":
		return []Block{{Text: []Span{B(of + ": "), T("could not be read: " + oneLine(x.Missing, 300))}}}
	case x.Empty:
		return []Block{{Text: []Span{B(of + ": "), T("empty. The program wrote nothing before it ended.")}}}
	case len(x.Lines) == 0:
		return nil
	case o.HideLogs:
		return []Block{{Text: []Span{B(of + ": "), T("not shown in channels. The Logs button shows it to whoever may read it.")}}}
	}
	lines := x.Lines
	skipped := 0
	if len(lines) > detailLogLines {
		skipped = len(lines) - detailLogLines
		lines = lines[skipped:]
	}
	for { // the last lines matter most, and those that evidence quotes
		text := logText(lines)
		if utf8.RuneCountInString(text) <= detailLogText || len(lines) == 1 {
			out := []Block{title(of), {Code: Cut(text, detailLogText)}}
			if skipped > 0 {
				out = append(out, more(skipped, "line before these is left out; the Logs button shows all", "lines before these are left out; the Logs button shows all"))
			}
			return out
		}
		lines, skipped = lines[1:], skipped+1
	}
}

func logText(lines []diagnose.Line) string {
	width := len(fmt.Sprint(lines[len(lines)-1].Number))
	var b strings.Builder
	last := 0
	for i, l := range lines {
		if i > 0 && l.Number > last+1 {
			fmt.Fprintf(&b, "%s\n", strings.Repeat(" ", width+2)+"…")
		}
		last = l.Number
		mark := " "
		if l.Cited {
			mark = ">"
		}
		text := Cut(strings.TrimRight(strings.ReplaceAll(Clean(l.Text), "\n", " "), " \t"), detailLogLine)
		fmt.Fprintf(&b, "%s%*d %s\n", mark, width, l.Number, text)
	}
	return strings.TrimRight(b.String(), "\n")
}

// timeline tells the last runs of the container, and when the next is due.
func timeline(d diagnose.Diagnosis) []Block {
	runs := d.Timeline
	if len(runs) > detailRuns {
		runs = runs[len(runs)-detailRuns:]
	}
	var list [][]Span
	for _, r := range runs {
		list = append(list, run(r))
	}
	if at, ok := nextTry(&d); ok {
		list = append(list, []Span{T("next try "), {Time: at.Unix()}})
	}
	if len(list) == 0 {
		return nil
	}
	return []Block{title(fmt.Sprintf("Restarts: %d", d.Restarts)), {List: list}}
}

func run(r diagnose.Run) []Span {
	how := fmt.Sprintf("exit code %d", r.ExitCode)
	if r.Reason != "" && r.Reason != "Error" {
		how += " (" + oneLine(r.Reason, 60) + ")"
	}
	switch {
	case r.Ended.IsZero() && r.Started.IsZero():
		return []Span{T(how)}
	case r.Ended.IsZero():
		return []Span{T("runs since "), {Time: r.Started.Unix()}}
	case r.Started.IsZero():
		return []Span{{Time: r.Ended.Unix()}, T(" ended with " + how)}
	}
	return []Span{{Time: r.Ended.Unix()}, T(fmt.Sprintf(" ended after %s with %s", span(r.Ended.Sub(r.Started)), how))}
}

// span is a duration for people: "4s", "2m10s", "3h5m".
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than 1s"
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func alternatives(all []diagnose.Alternative) Block {
	var list [][]Span
	for i, a := range all {
		if i == detailAlternatives {
			list = append(list, []Span{T(fmt.Sprintf("… and %d more", len(all)-i))})
			break
		}
		list = append(list, []Span{C(oneLine(a.Cause, 60)), T(" (" + strings.ToLower(certainty(a.Confidence)) + "): " + oneLine(a.Says, 260))})
	}
	return Block{List: list}
}

func bullets(all []string, most, limit int) Block {
	var list [][]Span
	for i, s := range all {
		if i == most {
			list = append(list, []Span{T(fmt.Sprintf("… and %d more", len(all)-i))})
			break
		}
		list = append(list, []Span{T(oneLine(s, limit))})
	}
	return Block{List: list}
}
