package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"crashloop/diagnose"
)

// RenderOptions say what may stand in a channel and what can be clicked.
type RenderOptions struct {
	// HideLogs keeps log lines out of channels; whoever may read them asks for them with a button.
	HideLogs bool
	// Title gives the title of a cause in the catalogue, which stands where a summary would quote a log; the cause's id when nil.
	Title func(cause string) string
	// Without lists actions that are not offered, such as ActionScaleToZero.
	Without []string
	// Evidence says that what diagnoses read is kept, so that a thread can offer it.
	Evidence bool
}

func (o RenderOptions) offers(action string) bool { return !slices.Contains(o.Without, action) }

// Root is the one message of an incident in the channel, edited as the incident goes on: what fails and where, why, what to do, and
// buttons. d is nil as long as the cause is being looked for. Once the incident is over it says how it ended, without buttons.
func Root(inc diagnose.Incident, d *diagnose.Diagnosis, o RenderOptions) Message {
	if d != nil {
		public := o.Public(*d)
		d = &public
	}
	s := inc.Subject
	where := Cut(s.Namespace+"/"+s.Name(), 110) // a header takes 150 characters
	emoji, state := stateOf(inc)
	m := Message{Blocks: []Block{{Header: fmt.Sprintf("%s %s: %s", emoji, state, where)}}}
	why := cause(inc, d)
	switch inc.State {
	case diagnose.Open:
		m.Text = fmt.Sprintf("%s %s %s. %s", emoji, where, verb(inc.Condition), why)
		m.Blocks = append(m.Blocks, Block{Text: []Span{T(why)}})
	default:
		ended := sentence(inc.EndedSays)
		if ended == "" {
			ended = fallbackEnd(inc)
		}
		m.Text = fmt.Sprintf("%s %s: %s. %s", emoji, state, where, ended)
		m.Blocks = append(m.Blocks, Block{Text: []Span{T(ended)}})
		if d != nil {
			m.Blocks = append(m.Blocks, Block{Text: []Span{B("It was: "), T(why)}})
		}
	}
	m.Text = oneLine(m.Text, 600)
	m.Blocks = append(m.Blocks, Block{Fields: facts(inc, d)}, Block{Context: smallPrint(inc, d)})
	if inc.State == diagnose.Open {
		if c := controls(inc, o); c != nil {
			m.Blocks = append(m.Blocks, Block{Actions: c})
		}
	}
	return m
}

// stateOf is an incident's state as an emoji and a word.
func stateOf(inc diagnose.Incident) (emoji, state string) {
	switch inc.State {
	case diagnose.Recovered:
		return "✅", "Recovered"
	case diagnose.Closed:
		return "⚪", "Closed"
	}
	switch inc.Condition {
	case diagnose.SlowLoop:
		return "🟠", "Restarts again and again"
	case diagnose.CannotStart:
		return "🔴", "Cannot start"
	case diagnose.PodsFail:
		return "🔴", "Pods keep failing"
	case diagnose.CannotCreate:
		return "🔴", "No pods can be created"
	}
	return "🔴", "Crash loop"
}

func verb(c diagnose.Condition) string {
	switch c {
	case diagnose.SlowLoop:
		return "restarts again and again"
	case diagnose.CannotStart:
		return "cannot start"
	case diagnose.PodsFail:
		return "has pods that keep failing"
	case diagnose.CannotCreate:
		return "gets no pods"
	}
	return "is crash-looping"
}

// cause is what is wrong, and what to do: a diagnosis says both in its summary.
func cause(inc diagnose.Incident, d *diagnose.Diagnosis) string {
	if d == nil {
		return seen(inc, 600) + " The cause is being looked for."
	}
	return sentence(oneLine(d.Summary, 700))
}

// seen is what opened the incident, as a sentence.
func seen(inc diagnose.Incident, limit int) string {
	says := oneLine(inc.Says, limit)
	if says == "" {
		says = verb(inc.Condition)
	}
	if inc.Subject.Container == "" && inc.Says != "" { // it speaks of pods, not of a container
		first, n := utf8.DecodeRuneInString(says)
		return sentence(string(unicode.ToUpper(first)) + says[n:])
	}
	return sentence(who(inc.Subject) + " " + says)
}

// who is the subject in words: "Container web", "Init container migrate", or the workload when no container can be named.
func who(s diagnose.Subject) string {
	switch {
	case s.Container == "":
		return s.Kind() + " " + s.Name()
	case s.ContainerType == diagnose.Init:
		return "Init container " + s.Container
	case s.ContainerType == diagnose.Sidecar:
		return "Sidecar " + s.Container
	}
	return "Container " + s.Container
}

// sentence ends a text with a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "…") {
		return s
	}
	return s + "."
}

// rootRuns is how many runs the root tells the length of.
const rootRuns = 3

// facts are the root's name and value pairs.
func facts(inc diagnose.Incident, d *diagnose.Diagnosis) []Field {
	s := inc.Subject
	out := []Field{{Name: "Workload", Value: []Span{C(s.Workload)}}} // the header names the namespace
	if s.Container != "" {
		v := []Span{C(s.Container)}
		switch s.ContainerType {
		case diagnose.Init:
			v = append(v, T(" (init)"))
		case diagnose.Sidecar:
			v = append(v, T(" (sidecar)"))
		}
		out = append(out, Field{Name: "Container", Value: v})
	}
	if s.Cluster != "" {
		out = append(out, Field{Name: "Cluster", Value: []Span{C(s.Cluster)}})
	}
	if inc.Restarts > 0 || s.Container != "" {
		text := fmt.Sprint(inc.Restarts)
		if inc.ExitCode != nil {
			text += fmt.Sprintf(", last exit code %d", *inc.ExitCode)
		}
		if d != nil {
			if lived := diagnose.LivedSays(d.Timeline, rootRuns); lived != "" {
				text += ", lived " + lived
			}
		}
		out = append(out, Field{Name: "Restarts", Value: []Span{T(text)}})
	}
	if inc.State == diagnose.Open && inc.Instances > 0 {
		out = append(out, Field{Name: "Failing", Value: []Span{T(fmt.Sprintf("%d of %s", inc.Failing, count(inc.Instances, "pod")))}})
	}
	if !inc.Since.IsZero() {
		out = append(out, Field{Name: "Since", Value: []Span{{Time: inc.Since.Unix()}}})
	}
	if inc.State == diagnose.Open {
		if at, ok := nextTry(d); ok {
			out = append(out, Field{Name: "Next try", Value: []Span{T("about "), {Time: at.Unix()}}})
		}
	} else if !inc.Ended.IsZero() {
		out = append(out, Field{Name: "Until", Value: []Span{{Time: inc.Ended.Unix()}}})
	}
	return out
}

func nextTry(d *diagnose.Diagnosis) (time.Time, bool) {
	if d == nil || d.NextRetry == "" {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339, d.NextRetry)
	return at, err == nil
}

func smallPrint(inc diagnose.Incident, d *diagnose.Diagnosis) []Span {
	text := "incident " + inc.ID
	if d != nil && d.Cause != "" {
		text = certainty(d.Confidence) + ": " + d.Cause + " · " + text
		if inc.State == diagnose.Open {
			text += " · evidence and fixes in the thread"
		}
	}
	return []Span{T(text)}
}

func certainty(c diagnose.Confidence) string {
	switch c {
	case diagnose.Certain:
		return "Certain"
	case diagnose.Likely:
		return "Likely"
	}
	return "Possible"
}

func fallbackEnd(inc diagnose.Incident) string {
	if inc.State == diagnose.Recovered {
		return "Every instance runs again."
	}
	return "The workload is gone or was scaled to zero."
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
