package notify

import (
	"fmt"
	"time"

	"crashloop/diagnose"
)

// CauseChanged is the line in the thread that says that the same failure now has another cause. Both are what RenderOptions.Public gives.
func CauseChanged(inc diagnose.Incident, before, now diagnose.Diagnosis) Message {
	why := sentence(oneLine(now.Summary, 700))
	m := Message{Text: oneLine(fmt.Sprintf("🔀 %s: the cause is another one now. %s", inc.Subject.Namespace+"/"+inc.Subject.Name(), why), 600)}
	m.Blocks = []Block{
		{Text: []Span{T("🔀 "), B("The cause is another one now. "), T(why)}},
		{Context: []Span{T(fmt.Sprintf("%s: %s · before: %s (%s)", certainty(now.Confidence), now.Cause, before.Cause, oneLine(before.Summary, 200)))}},
	}
	return m
}

// Action is what somebody did, for the thread.
type Action struct {
	User string // the Slack user id of who did it; empty for the bot itself
	Name string // their name, for notifications
	// Did is what was done, in the past tense: "restarted Deployment web".
	Did string
	// Failed is why it did not work out, empty when it did. The line then reads "tried to <Tried>, but it did not work: <Failed>".
	Tried  string // "restart Deployment web"
	Failed string
	// Notes are things to know now: what may scale it up again, how to undo it.
	Notes []string
	// Undo is offered as a button under the line.
	Undo *Button
}

// ActionLine is the public line in the thread about an action's outcome.
func ActionLine(a Action) Message {
	emoji, did := "🔧", oneLine(a.Did, 400)
	if a.Failed != "" {
		emoji, did = "⚠️", fmt.Sprintf("tried to %s, but it did not work: %s", oneLine(a.Tried, 200), oneLine(a.Failed, 400))
	}
	did = sentence(did)
	who, name := Span{User: a.User}, a.Name
	switch {
	case a.User == "" && name == "":
		who, name = T("Crashloop"), "Crashloop"
	case a.User == "":
		who = B(name)
	case name == "":
		name = "Somebody"
	}
	m := Message{Text: oneLine(emoji+" "+name+" "+did, 600), Blocks: []Block{{Text: []Span{T(emoji + " "), who, T(" " + did)}}}}
	if len(a.Notes) > 0 {
		m.Blocks = append(m.Blocks, list(lines(a.Notes, 400), 6, 3000))
	}
	if a.Undo != nil {
		m.Blocks = append(m.Blocks, Block{Actions: &Controls{Buttons: []Button{*a.Undo}}})
	}
	return m
}

// End is the line in the thread that says that an incident is over, and how.
func End(inc diagnose.Incident) Message {
	emoji, state := stateOf(inc)
	says := sentence(oneLine(inc.EndedSays, 400))
	if says == "" {
		says = fallbackEnd(inc)
	}
	m := Message{Text: oneLine(fmt.Sprintf("%s %s: %s. %s", emoji, state, inc.Subject.Namespace+"/"+inc.Subject.Name(), says), 600)}
	m.Blocks = []Block{{Text: []Span{T(emoji + " "), B(state + ". "), T(says)}}}
	if !inc.Since.IsZero() && inc.Ended.After(inc.Since) {
		small := "It lasted " + span(inc.Ended.Sub(inc.Since).Round(time.Second))
		if inc.Restarts > 0 {
			small += ", with " + count(int(inc.Restarts), "restart")
		}
		m.Blocks = append(m.Blocks, Block{Context: []Span{T(small + ".")}})
	}
	return m
}
