package diagnose

import (
	"bytes"

	corev1 "k8s.io/api/core/v1"
)

// StripSecret takes the values out of a Secret and leaves its keys. Every View does so before it hands one out. The annotation in which
// `kubectl apply` keeps the manifest goes too: it holds the values again.
func StripSecret(s *corev1.Secret) {
	keys := make(map[string][]byte, len(s.Data)+len(s.StringData))
	for k := range s.Data {
		keys[k] = nil
	}
	for k := range s.StringData {
		keys[k] = nil
	}
	s.Data, s.StringData = keys, nil
	delete(s.Annotations, corev1.LastAppliedConfigAnnotation)
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

// WithoutCutLine leaves out the line with which a log begins that was read up to a limit of bytes, when it is as long as that: the line may
// lack its beginning, and half of a token does not show what it is, so that nothing could redact it. Of a log without line breaks it leaves
// out the word.
func WithoutCutLine(log []byte, limit int64) []byte {
	if limit <= 0 || int64(len(log)) < limit {
		return log
	}
	if i := bytes.IndexByte(log, '\n'); i >= 0 && i+1 < len(log) {
		return log[i+1:]
	}
	word := log[:min(len(log), lineTail)]
	if i := bytes.IndexAny(word, " \t\"',;&"); i >= 0 {
		return log[i:]
	}
	return log[len(word):]
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
	e, ok := obj.(*corev1.Event)
	return !ok || w.Involved.takes(&e.InvolvedObject)
}

// takes says whether the reference names that object; its empty fields match anything.
func (r Reference) takes(o *corev1.ObjectReference) bool {
	return (r.Kind == "" || r.Kind == o.Kind) && (r.Name == "" || r.Name == o.Name) && (r.UID == "" || r.UID == o.UID)
}
