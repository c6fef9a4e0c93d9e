package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Event is one or several events that say the same of the same object.
type Event struct {
	Warning         bool
	Reason, Message string
	Kind, Name      string // the object that it speaks of
	Container       string // from fieldPath; empty when it is about the whole object
	Component       string // who reports it: "kubelet"
	Count           int32
	First, Last     time.Time
	uid             types.UID // of the object that it speaks of
}

// Cite makes the event a piece of evidence.
func (e Event) Cite() Evidence {
	source := fmt.Sprintf("event %s of %s/%s", e.Reason, e.Kind, e.Name)
	if e.Count > 1 {
		source += fmt.Sprintf(" (%d times)", e.Count)
	}
	return Evidence{Source: source, Text: strings.TrimSpace(e.Message)}
}

// Has says whether the message holds one of the texts, in any case.
func (e Event) Has(texts ...string) bool {
	m := strings.ToLower(e.Message)
	for _, t := range texts {
		if strings.Contains(m, strings.ToLower(t)) {
			return true
		}
	}
	return false
}

// ReadEvent takes an event's times and count from whichever of its fields are set: the scheduler and other users of the newer API leave
// firstTimestamp, lastTimestamp and count empty and write eventTime and series.
func ReadEvent(e *corev1.Event) Event {
	out := Event{
		Warning: e.Type == corev1.EventTypeWarning, Reason: e.Reason, Message: e.Message,
		Kind: e.InvolvedObject.Kind, Name: e.InvolvedObject.Name, Container: fieldContainer(e.InvolvedObject.FieldPath),
		Component: e.Source.Component, Count: e.Count, First: e.FirstTimestamp.Time, Last: e.LastTimestamp.Time,
	}
	if out.Component == "" {
		out.Component = e.ReportingController
	}
	if out.First.IsZero() {
		out.First = e.EventTime.Time
	}
	if out.First.IsZero() {
		out.First = e.CreationTimestamp.Time
	}
	if e.Series != nil {
		out.Count = max(out.Count, e.Series.Count)
		if e.Series.LastObservedTime.After(out.Last) {
			out.Last = e.Series.LastObservedTime.Time
		}
	}
	if out.Last.IsZero() {
		out.Last = out.First
	}
	out.Count = max(out.Count, 1)
	out.uid = e.InvolvedObject.UID
	return out
}

// before says that the event is from before an object was created, and so about an older one of that name. The two times come from
// different clocks, which may lie apart: what names the object by its UID is about that one.
func (e Event) before(created time.Time, uid types.UID) bool {
	return (e.uid != uid || uid == "") && !e.Last.IsZero() && !created.IsZero() && e.Last.Before(created.Add(-5*time.Second))
}

// eventsAbout reads those of a list's events that are about one object.
func eventsAbout(objects []Object, kind, name string) []Event {
	var out []Event
	for _, o := range objects {
		if e, ok := o.(*corev1.Event); ok && e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name {
			out = append(out, ReadEvent(e))
		}
	}
	return out
}

// fieldContainer takes the name out of "spec.containers{web}".
func fieldContainer(path string) string {
	if i := strings.IndexByte(path, '{'); i >= 0 && strings.HasSuffix(path, "}") {
		return path[i+1 : len(path)-1]
	}
	return ""
}

// mergeEvents joins events that say the same and orders them by their last time.
func mergeEvents(events []Event) []Event {
	at := map[string]int{}
	var out []Event
	for _, e := range events {
		key := strings.Join([]string{e.Kind, e.Name, e.Container, e.Reason, e.Message}, "\x00")
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			out = append(out, e)
			continue
		}
		out[i].Count += e.Count
		if e.First.Before(out[i].First) {
			out[i].First = e.First
		}
		if e.Last.After(out[i].Last) {
			out[i].Last, out[i].uid = e.Last, e.uid
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.Last.Compare(b.Last) })
	return out
}
