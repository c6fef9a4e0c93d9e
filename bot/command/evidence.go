package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/bot/access"
	"crashloop/bot/evidence"
	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
	"crashloop/notify"

	"github.com/spf13/pflag"
)

const (
	// maxKeptLog and maxKeptEvents bound what is shown in place, in bytes and events; the archive has all.
	maxKeptLog    = 1500
	maxKeptEvents = 8
)

// Evidence is what was kept of incidents. *evidence.Keeper is one.
type Evidence interface {
	// Of returns the recordings of an incident, oldest first.
	Of(incident string) []evidence.Recording
	// Find returns the recordings of the incidents whose subject matches, one list to an incident, the oldest first.
	Find(match func(diagnose.Subject) bool) [][]evidence.Recording
	Open(ctx context.Context, r evidence.Recording) (evidence.Evidence, error)
	// Age is how long recordings are kept.
	Age() time.Duration
}

func keptEvidence() command {
	return command{
		name: "evidence", args: "NAME", short: "shows what was captured when it crashed", least: 1, most: 1,
		long: "Shows the logs and events that were captured when a workload crashed, also when its pods or the workload itself are gone. NAME is a workload, a pod " +
			"or an incident's id. It needs the permission to get pods/log in its namespace. --archive sends everything that was captured, as far as you may read it, " +
			"as a .tar.gz that crashloop diagnose --from FILE replays.",
		flags: func(fs *pflag.FlagSet) {
			fs.IntP("recording", "r", 0, "which recording, counted from 1; without it, the newest")
			fs.BoolP("archive", "a", false, "send everything as a .tar.gz file")
			namespaceFlag(fs)
		},
		examples: []string{"evidence shop/web", "evidence shop/web --recording 1", "evidence shop/web --archive"},
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			number, _ := c.flags.GetInt("recording")
			archive, _ := c.flags.GetBool("archive")
			if number < 0 {
				return notify.Message{}, misuse("--recording is %d; it counts from 1.", number)
			}
			have := c.o.Evidence.Of(c.args[0])
			if len(have) > 0 {
				return c.evidence(ctx, have, number, archive, "")
			}
			n, err := parseName(c.args[0], c.flags.Lookup("namespace").Value.String())
			if err != nil {
				return notify.Message{}, err
			}
			return c.evidenceOf(ctx, n, number, archive)
		},
		kept: map[string]onKept{
			notify.ActionEvidence: func(ctx context.Context, c *call, value string) (notify.Message, error) {
				return c.evidenceByClick(ctx, value, false)
			},
			notify.ActionEvidenceFile: func(ctx context.Context, c *call, value string) (notify.Message, error) {
				return c.evidenceByClick(ctx, value, true)
			},
		},
	}
}

// evidenceByClick answers a button, whose value is an incident's id, and for one recording of it a slash and its number.
func (c *call) evidenceByClick(ctx context.Context, value string, archive bool) (notify.Message, error) {
	id, rest, _ := strings.Cut(value, "/")
	number, _ := strconv.Atoi(rest)
	have := c.o.Evidence.Of(id)
	if len(have) == 0 {
		return say("Nothing is kept of this incident: it was captured more than " + days(c.o.Evidence.Age()) + " ago, or made room for others, or the incident is only seconds old."), nil
	}
	at := 0 // numbers in buttons are those of the store: what is counted may have changed since
	if number > 0 {
		if at = 1 + slices.IndexFunc(have, func(r evidence.Recording) bool { return r.Number == number }); at == 0 {
			return say("That recording is not kept any more. " + c.o.Name + " evidence " + id + " shows what is."), nil
		}
	}
	return c.evidence(ctx, have, at, archive, "")
}

// evidenceOf finds what is kept under a name that was typed. Nothing is said of a namespace before the person's permission there is known.
func (c *call) evidenceOf(ctx context.Context, n named, number int, archive bool) (notify.Message, error) {
	found := c.o.Evidence.Find(func(s diagnose.Subject) bool {
		own := s.Name() == n.name && (n.kind == "" || n.kind == s.Kind())
		pod := s.Pod == n.name && (n.kind == "" || n.kind == "Pod")
		return (own || pod) && (n.namespace == "" || n.namespace == s.Namespace)
	})
	if n.namespace == "" {
		var in []string
		for _, have := range found {
			in = append(in, have[0].Subject.Namespace)
		}
		slices.Sort(in)
		may, err := c.o.Access.Namespaces(ctx, c.person, slices.Compact(in))
		if err != nil {
			return notify.Message{}, c.deny(ctx, n.String(), err)
		}
		found = slices.DeleteFunc(found, func(have []evidence.Recording) bool { return !slices.Contains(may, have[0].Subject.Namespace) })
	}
	var matches []match
	for _, have := range found {
		if m := (match{target: target(have[0].Subject)}); !slices.Contains(matches, m) {
			matches = append(matches, m)
		}
	}
	switch {
	case len(matches) > 1 && n.namespace == "":
		return notify.Message{}, c.choices(n, matches)
	case len(matches) > 1:
		return c.read(ctx, n.String(), "", []access.Permission{podLogs(n.namespace, "")}, func(context.Context) (notify.Message, error) {
			return c.choices(n, matches).message, nil
		})
	case len(found) == 0 && n.namespace == "":
		return say(fmt.Sprintf("Nothing is kept of %q where you may list pods: it did not crash within the last %s, as far as the bot saw.", n.name, days(c.o.Evidence.Age()))), nil
	case len(found) == 0:
		return c.read(ctx, n.String(), "", []access.Permission{podLogs(n.namespace, "")}, func(context.Context) (notify.Message, error) {
			return say(fmt.Sprintf("Nothing is kept of %s: it did not crash within the last %s, as far as the bot saw.", n, days(c.o.Evidence.Age()))), nil
		})
	}
	last := found[len(found)-1]
	earlier := ""
	if len(found) > 1 {
		before := found[len(found)-2]
		earlier = fmt.Sprintf("An earlier incident is kept, too: %s evidence %s (%s)", c.o.Name, before[0].Incident, stamp(before[0].At))
	}
	return c.evidence(ctx, last, number, archive, earlier)
}

// evidence shows one recording of an incident, the at-th, or the newest when at is 0.
func (c *call) evidence(ctx context.Context, have []evidence.Recording, at int, archive bool, earlier string) (notify.Message, error) {
	r := have[len(have)-1]
	if at == 0 {
		at = len(have)
	} else if at <= len(have) {
		r = have[at-1]
	}
	of := target(r.Subject)
	return c.read(ctx, of.String(), r.Incident, []access.Permission{podLogs(of.Namespace, "")}, func(ctx context.Context) (notify.Message, error) {
		if at > len(have) {
			return say(fmt.Sprintf("There are only %d recordings of this incident.", len(have))), nil
		}
		e, err := c.o.Evidence.Open(ctx, r)
		if errors.Is(err, evidence.ErrGone) {
			return say("That recording was dropped just now, to make room or because of its age."), nil
		}
		if err != nil {
			return notify.Message{}, err
		}
		if archive {
			return c.archive(ctx, e)
		}
		m, err := c.drawEvidence(ctx, e, at, len(have))
		if err != nil {
			return notify.Message{}, err
		}
		if earlier != "" {
			m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(earlier)}})
		}
		m.Blocks = append(m.Blocks, notify.Block{Actions: evidenceControls(have, at)})
		return m, nil
	})
}

// evidenceControls lead to the archive, and to the other recordings.
func evidenceControls(have []evidence.Recording, at int) *notify.Controls {
	value := func(r evidence.Recording) string { return r.Incident + "/" + strconv.Itoa(r.Number) }
	c := &notify.Controls{Buttons: []notify.Button{{Action: notify.ActionEvidenceFile, Value: value(have[at-1]), Text: "Download everything"}}}
	for i, r := range have {
		if i != at-1 {
			c.Menu = append(c.Menu, notify.Button{Action: notify.ActionEvidence, Value: value(r), Text: cut(fmt.Sprintf("%s: %s", stamp(r.At), r.Cause), 70)})
		}
	}
	return c
}

// drawEvidence shows the logs and the events.
func (c *call) drawEvidence(ctx context.Context, e evidence.Evidence, at, of int) (notify.Message, error) {
	r := e.Recording
	what := target(r.Subject).Words()
	if r.Subject.Container != "" {
		what += ", container " + r.Subject.Container
	}
	m := notify.Message{Text: fmt.Sprintf("Evidence of %s, captured %s.", what, stamp(r.At))}
	head := []notify.Span{notify.T("Captured "), {Time: r.At.Unix()}}
	if r.Subject.Pod != "" {
		head = append(head, notify.T(" from pod "), notify.C(r.Subject.Pod))
	}
	if r.Restarts > 0 {
		head = append(head, notify.T(fmt.Sprintf(" after %s", countRestarts(r.Restarts))))
	}
	summary, err := c.keptSummary(ctx, r)
	if err != nil {
		return notify.Message{}, err
	}
	head = append(head, notify.T(". "+summary))
	m.Blocks = []notify.Block{{Text: []notify.Span{notify.B("Evidence of " + what)}}, {Text: head}}

	if r.Subject.Pod != "" && r.Subject.Container != "" {
		m.Blocks = append(m.Blocks, c.keptLogs(ctx, e)...)
	} else if !r.Log {
		m.Blocks = append(m.Blocks, notify.Block{Text: []notify.Span{notify.T("There was no log to capture.")}})
	}
	events, err := c.keptEvents(ctx, e)
	if err != nil {
		return notify.Message{}, err
	}
	m.Blocks = append(m.Blocks, events...)
	small := "Without what looks like a secret. Kept until " + stamp(r.At.Add(c.o.Evidence.Age()))
	if of > 1 {
		small = fmt.Sprintf("Recording %d of %d. ", at, of) + small
	}
	m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(small + ".")}})
	return m, nil
}

// keptSummary is what the diagnosis said, or only the cause's id where it tells of a namespace whose logs the person may not read: the bot
// had looked there with its own rights.
func (c *call) keptSummary(ctx context.Context, r evidence.Recording) (string, error) {
	for _, namespace := range r.Elsewhere {
		if may, err := c.o.Access.May(ctx, c.person, podLogs(namespace, "")); err != nil {
			return "", err
		} else if !may {
			return "The cause was " + r.Cause + ".", nil
		}
	}
	return c.o.Redact(notify.Clean(r.Summary)), nil
}

// keptLogs shows the end of the log of the run that crashed, and of the other one that there was. While the container waits for its next
// start, the current log is that of the crash.
func (c *call) keptLogs(ctx context.Context, e evidence.Evidence) []notify.Block {
	s := e.Recording.Subject
	type titled struct {
		previous bool
		title    string
	}
	logs := []titled{{true, "Log of the run that crashed"}, {false, "Log of the run after it, until then"}}
	if !c.wasRunning(ctx, e) {
		logs = []titled{{false, "Log of the run that crashed"}, {true, "Log of the run before it"}}
	}
	var blocks []notify.Block
	for i, l := range logs {
		raw, err := e.View.Log(ctx, diagnose.LogRequest{Namespace: s.Namespace, Pod: s.Pod, Container: s.Container, Previous: l.previous})
		switch {
		case errors.Is(err, diagnose.ErrNotFound), err != nil && i > 0:
			continue
		case errors.Is(err, diagnose.ErrGone):
			blocks = append(blocks, notify.Block{Text: []notify.Span{notify.B(l.title), notify.T(": the node had dropped it already.")}})
			continue
		case err != nil:
			blocks = append(blocks, notify.Block{Text: []notify.Span{notify.B(l.title), notify.T(" could not be captured: " + sentence(cut(c.o.Redact(err.Error()), 300)))}})
			continue
		}
		text, shown, all := c.tailOf(raw)
		if all == 0 {
			if len(raw) == 0 && i == 0 {
				blocks = append(blocks, notify.Block{Text: []notify.Span{notify.B(l.title), notify.T(": it is empty.")}})
			}
			continue
		}
		note := ""
		if shown < all {
			note = fmt.Sprintf(" (the last %d of %d lines)", shown, all)
		}
		blocks = append(blocks, notify.Block{Text: []notify.Span{notify.B(l.title), notify.T(note)}}, notify.Block{Code: text})
	}
	return blocks
}

// wasRunning says whether the container ran when the recording was made.
func (c *call) wasRunning(ctx context.Context, e evidence.Evidence) bool {
	o, err := e.View.Get(ctx, diagnose.Pods, e.Recording.Subject.Namespace, e.Recording.Subject.Pod)
	if err != nil {
		return true
	}
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return true
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s.Name == e.Recording.Subject.Container {
			return s.State.Running != nil
		}
	}
	return true
}

// tailOf gives the end of a log that fits in place, and how many of its lines that is.
func (c *call) tailOf(raw []byte) (text string, shown, all int) {
	clean := strings.TrimRight(c.o.Redact(notify.Clean(string(raw))), "\n")
	if clean == "" {
		return "", 0, 0
	}
	lines := strings.Split(clean, "\n")
	size, from := 0, len(lines)
	for from > 0 && len(lines)-from < defaultTail {
		if len(lines[from-1]) > maxKeptLog/3 {
			lines[from-1] = strings.ToValidUTF8(lines[from-1][:maxKeptLog/3], "") + "…"
		}
		if size += len(lines[from-1]) + 1; size > maxKeptLog {
			break
		}
		from--
	}
	return strings.Join(lines[from:], "\n"), len(lines) - from, len(lines)
}

// keptEvents lists the newest events about the pod and its workload, for those who may list events.
func (c *call) keptEvents(ctx context.Context, e evidence.Evidence) ([]notify.Block, error) {
	s := e.Recording.Subject
	may, err := c.o.Access.May(ctx, c.person, access.Permission{Verb: "list", Resource: "events", Namespace: s.Namespace})
	if err != nil {
		return nil, err
	}
	if !may {
		return []notify.Block{{Context: []notify.Span{notify.T("Events are not shown: you may not list them.")}}}, nil
	}
	objects, err := e.View.List(ctx, diagnose.Events, s.Namespace, diagnose.Where{})
	if err != nil {
		return []notify.Block{{Context: []notify.Span{notify.T("Events could not be captured: " + sentence(cut(c.o.Redact(err.Error()), 300)))}}}, nil
	}
	var events []diagnose.Event
	for _, o := range objects {
		if ev, ok := o.(*corev1.Event); ok && (ev.InvolvedObject.Name == s.Pod || ev.InvolvedObject.Kind == s.Kind() && ev.InvolvedObject.Name == s.Name()) {
			events = append(events, diagnose.ReadEvent(ev))
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(events, func(a, b diagnose.Event) int { return a.Last.Compare(b.Last) })
	title := "Events"
	if all := len(events); all > maxKeptEvents {
		events = events[all-maxKeptEvents:]
		title = fmt.Sprintf("Events (the last %d of %d)", maxKeptEvents, all)
	}
	var list [][]notify.Span
	for _, ev := range events {
		line := []notify.Span{{Time: ev.Last.Unix()}, notify.T(" "), notify.B(cut(notify.Clean(ev.Reason), 60))}
		if ev.Count > 1 {
			line = append(line, notify.T(fmt.Sprintf(" ×%d", ev.Count)))
		}
		list = append(list, append(line, notify.T(" "+cut(c.o.Redact(strings.Join(strings.Fields(notify.Clean(ev.Message)), " ")), 220))))
	}
	return []notify.Block{{Text: []notify.Span{notify.B(title)}}, {List: list}}, nil
}

// archive sends a recording as a file, without what the person may not get. What was left out is forbidden in a replay, not missing.
func (c *call) archive(ctx context.Context, e evidence.Evidence) (notify.Message, error) {
	parts, err := e.View.Parts()
	if err != nil {
		return notify.Message{}, err
	}
	var hide []snapshot.Part
	var hidden []string
	for _, p := range parts {
		needs := podLogs(p.Namespace, "")
		what := "logs"
		if !p.Logs() {
			needs = access.Permission{Verb: "get", Group: p.Kind.Group, Resource: p.Kind.Resource, Namespace: p.Namespace}
			what = p.Kind.Resource
		}
		may, err := c.o.Access.May(ctx, c.person, needs)
		if err != nil {
			return notify.Message{}, err
		}
		if !may {
			if p.Namespace != "" {
				what += " in " + p.Namespace
			}
			hide, hidden = append(hide, p), append(hidden, what)
		}
	}
	packed, err := e.Without(hide)
	if err != nil {
		return notify.Message{}, err
	}
	s := e.Recording.Subject
	name := fmt.Sprintf("evidence-%s-%s-%s.tar.gz", s.Namespace, s.Name(), e.Recording.At.UTC().Format("20060102-1504"))
	about := target(s).Words() + ", captured " + stamp(e.Recording.At)
	m := notify.Message{Text: "Evidence of " + about, File: &notify.File{Name: name, Title: "Evidence of " + about, Content: packed}}
	m.Blocks = []notify.Block{
		{Text: []notify.Span{notify.B("Evidence of " + about)}},
		{Text: []notify.Span{notify.T("It is redacted; look through it before you pass it on. This diagnoses it again:")}},
		{Code: "crashloop diagnose --from " + name},
	}
	if len(hidden) > 0 {
		m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T("Left out, since you may not read it: " + cut(strings.Join(hidden, ", "), 600) + ". The diagnosis may say less for it.")}})
	}
	for _, what := range e.View.LeftOut(hide) {
		m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(sentence(cut("Left out when this was recorded, since there was too much: "+what, 300)))}})
	}
	return m, nil
}

// stamp is a moment in words, for places that know no time zone of the reader.
func stamp(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }

// days is a long time in words.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); {
	case d%(24*time.Hour) != 0 || n == 0:
		return ago(d)
	case n == 1:
		return "1 day"
	default:
		return strconv.Itoa(n) + " days"
	}
}

func countRestarts(n int32) string {
	if n == 1 {
		return "1 restart"
	}
	return strconv.Itoa(int(n)) + " restarts"
}

// off answers evidence's buttons where nothing is kept.
func off(c notify.Click) (notify.Message, bool) {
	if c.Action != notify.ActionEvidence && c.Action != notify.ActionEvidenceFile {
		return notify.Message{}, false
	}
	return say("This bot keeps no evidence any more: CRASHLOOP_EVIDENCE_AGE is 0."), true
}
