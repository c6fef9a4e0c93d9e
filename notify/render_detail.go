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
	detailSummary      = 500
	detailFixes        = 4
	detailFix          = 900 // of one command or patch
	detailFixesText    = 2100
	detailChain        = 8
	detailChainText    = 1200
	detailEvidence     = 8
	detailEvidenceText = 1400
	detailLogLines     = 20
	detailLogLine      = 300
	detailLogText      = 1800
	detailRuns         = 5
	detailElse         = 3
	detailElseText     = 500
	detailGaps         = 4
	detailGapsText     = 400
)

// Detail is the first reply in an incident's thread: the whole diagnosis, to check it and to act on it.
func Detail(inc diagnose.Incident, d diagnose.Diagnosis, o RenderOptions) Message {
	d = o.Public(d)
	summary := sentence(oneLine(d.Summary, detailSummary))
	m := Message{Text: oneLine("Diagnosis: "+summary, 600)}
	add := func(b ...Block) { m.Blocks = append(m.Blocks, b...) }
	add(Block{Text: []Span{B(certainty(d.Confidence) + ": "), T(summary)}})
	if c := d.Change; c != nil {
		spans := []Span{B("Set off by: "), C(oneLine(c.Object, 120)), T(" " + oneLine(c.Says, 250))}
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
		add(title("What could not be read"), list(lines(d.Gaps, 220), detailGaps, detailGapsText))
	}
	if inc.Says != "" {
		add(Block{Context: []Span{T("Seen: " + seen(inc, 300))}})
	}
	if o.Evidence && inc.ID != "" {
		add(evidenceButton(inc))
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
		head := oneLine(f.Title, 250)
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

// chain shows the way from the symptom to the root. When it is long, links in the middle are left out: the last one is the root.
func chain(links []diagnose.Link) Block {
	show := func(l diagnose.Link) []Span { return []Span{C(oneLine(l.Object, 120)), T(" " + oneLine(l.Says, 180))} }
	last := show(links[len(links)-1])
	out, left := [][]Span{}, detailChainText-width(last)
	for i, l := range links[:len(links)-1] {
		item := show(l)
		if left -= width(item); left < 0 || i >= detailChain-1 {
			out = append(out, []Span{T(fmt.Sprintf("… %d more in between", len(links)-1-i))})
			break
		}
		out = append(out, item)
	}
	return Block{List: append(out, last)}
}

func width(spans []Span) int { return utf8.RuneCountInString(plainSpans(spans)) }

// list is a bulleted list of so many entries and characters at most, the first entry always; it says how many are left out.
func list(items [][]Span, most, chars int) Block {
	var out [][]Span
	for i, item := range items {
		if chars -= width(item); i > 0 && (i == most || chars < 0) {
			return Block{List: append(out, []Span{T(fmt.Sprintf("… and %d more", len(items)-i))})}
		}
		out = append(out, item)
	}
	return Block{List: out}
}

// lines makes one entry of each text.
func lines(texts []string, limit int) [][]Span {
	out := make([][]Span, len(texts))
	for i, s := range texts {
		out[i] = []Span{T(oneLine(s, limit))}
	}
	return out
}

func evidence(all []diagnose.Evidence, o RenderOptions) Block {
	items := make([][]Span, len(all))
	for i, e := range all {
		source := oneLine(e.Source, 100)
		if o.HideLogs && isLog(e) {
			items[i] = []Span{T(source + ": not shown in channels")}
			continue
		}
		text := T(bothEnds(e.Text, 260))
		if strings.HasPrefix(source, "log ") || strings.HasPrefix(source, "event ") { // quoted word by word
			text.Style = Code
		}
		items[i] = []Span{T(source + ": "), text}
	}
	return list(items, detailEvidence, detailEvidenceText)
}

// excerpt is the last log lines that matter.
func excerpt(inc diagnose.Incident, x diagnose.Excerpt, o RenderOptions) []Block {
	of := "Log of " + who(inc.Subject)
	if x.Container != "" {
		of = "Log of " + oneLine(x.Container, 63)
	}
	if x.Previous {
		of += ", crashed instance"
	}
	switch {
	case x.Missing != "":
		return []Block{{Text: []Span{B(of + ": "), T("could not be read: " + oneLine(x.Missing, 200))}}}
	case x.Empty:
		return []Block{{Text: []Span{B(of + ": "), T("empty. The program wrote nothing before it ended.")}}}
	case len(x.Lines) == 0:
		return nil
	case o.HideLogs:
		return []Block{{Text: []Span{B(of + ": "), T("not shown in channels. The Logs button shows it to whoever may read it.")}}}
	}
	rest := x.Lines
	skipped := 0
	if len(rest) > detailLogLines {
		skipped = len(rest) - detailLogLines
		rest = rest[skipped:]
	}
	for { // the last lines matter most
		text := logText(rest)
		if utf8.RuneCountInString(text) <= detailLogText || len(rest) == 1 {
			out := []Block{title(of), {Code: Cut(text, detailLogText)}}
			if skipped > 0 {
				out = append(out, more(skipped, "line before these is left out; the Logs button shows all", "lines before these are left out; the Logs button shows all"))
			}
			return out
		}
		rest, skipped = rest[1:], skipped+1
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
		text := l.Text
		if len(text) > 8*detailLogLine {
			text = strings.ToValidUTF8(text[:8*detailLogLine], "")
		}
		text = Cut(strings.TrimRight(strings.ReplaceAll(Clean(text), "\n", " "), " \t"), detailLogLine)
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
	var items [][]Span
	for _, r := range runs {
		items = append(items, run(r))
	}
	if at, ok := nextTry(&d); ok {
		items = append(items, []Span{T("next try about "), {Time: at.Unix()}})
	}
	if len(items) == 0 {
		return nil
	}
	head := fmt.Sprintf("Restarts: %d", d.Restarts)
	if lived := diagnose.LivedSays(d.Timeline, detailRuns); lived != "" {
		head += "; lived " + lived
	}
	return []Block{title(head), {List: items}}
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

// span is how long something lasted. A pod's status tells no less than a second.
func span(d time.Duration) string {
	if d < time.Second {
		return "less than 1s"
	}
	return diagnose.Duration(d)
}

func alternatives(all []diagnose.Alternative) Block {
	items := make([][]Span, len(all))
	for i, a := range all {
		items[i] = []Span{C(oneLine(a.Cause, 60)), T(" (" + strings.ToLower(certainty(a.Confidence)) + "): " + oneLine(a.Says, 220))}
	}
	return list(items, detailElse, detailElseText)
}
