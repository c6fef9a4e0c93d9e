package diagnose

import (
	"bytes"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lastApplied is where `kubectl apply` keeps the whole manifest, values of a Secret included.
const lastApplied = corev1.LastAppliedConfigAnnotation

// Normalize gives an object the one form in which every View hands it out, and changes it in place. A Secret loses its values and
// keeps its keys; an Event gets first and last time and count also where the API leaves them null, as it does for events in the
// events.k8s.io style. Other objects stay as they are.
func Normalize(obj Object) {
	switch obj := obj.(type) {
	case *corev1.Secret:
		normalizeSecret(obj)
	case *corev1.Event:
		normalizeEvent(obj)
	}
}

func normalizeSecret(s *corev1.Secret) {
	keys := make(map[string][]byte, len(s.Data)+len(s.StringData))
	for k := range s.Data {
		keys[k] = nil
	}
	for k := range s.StringData {
		keys[k] = nil
	}
	s.Data, s.StringData = keys, nil
	delete(s.Annotations, lastApplied)
}

func normalizeEvent(e *corev1.Event) {
	if e.FirstTimestamp.IsZero() {
		e.FirstTimestamp = metav1.NewTime(e.EventTime.Time)
	}
	if e.FirstTimestamp.IsZero() {
		e.FirstTimestamp = e.CreationTimestamp
	}
	if e.LastTimestamp.IsZero() && e.Series != nil {
		e.LastTimestamp = metav1.NewTime(e.Series.LastObservedTime.Time)
	}
	if e.LastTimestamp.IsZero() {
		e.LastTimestamp = e.FirstTimestamp
	}
	if e.Count == 0 && e.Series != nil {
		e.Count = e.Series.Count
	}
	if e.Count == 0 {
		e.Count = 1
	}
	if e.Source.Component == "" {
		e.Source.Component = e.ReportingController
	}
}

// CutLog takes from a log what a request asks for: its last TailLines lines, and of those the last LimitBytes bytes. An unfinished
// line at the end counts as a line.
func CutLog(log []byte, which LogRequest) []byte {
	if n := which.TailLines; n > 0 {
		end := len(log)
		if end > 0 && log[end-1] == '\n' {
			end--
		}
		start := end
		for ; n > 0 && start >= 0; n-- {
			start = bytes.LastIndexByte(log[:start], '\n')
		}
		log = log[start+1:]
	}
	if n := which.LimitBytes; n > 0 && int64(len(log)) > n {
		log = log[int64(len(log))-n:]
	}
	return log
}

// TakesEvent says whether an event speaks of the object that the reference names. The zero Reference takes every event.
func (r Reference) TakesEvent(e *corev1.Event) bool {
	o := &e.InvolvedObject
	return (r.Kind == "" || r.Kind == o.Kind) && (r.Name == "" || r.Name == o.Name) && (r.UID == "" || r.UID == o.UID)
}

// Takes says whether an object passes: its labels, and for an Event what it is about. A View that reads from a store of its own uses it.
func (w Where) Takes(obj Object) bool {
	if len(w.Labels) > 0 {
		have := obj.GetLabels()
		for k, v := range w.Labels {
			if got, ok := have[k]; !ok || got != v {
				return false
			}
		}
	}
	if w.Involved == (Reference{}) {
		return true
	}
	e, ok := obj.(*corev1.Event)
	return !ok || w.Involved.TakesEvent(e)
}
