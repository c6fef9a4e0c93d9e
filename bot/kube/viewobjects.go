package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dropValues leaves of a Secret its names, types and keys. The values are overwritten, too, so that they do not wait in memory for the
// garbage collector.
func dropValues(s *corev1.Secret) {
	for key, value := range s.Data {
		clear(value)
		s.Data[key] = nil
	}
	for key := range s.StringData {
		s.StringData[key] = ""
	}
	// kubectl apply writes the whole object, values and all, into an annotation; other tools have their own.
	s.Annotations = nil
}

// settleTimes fills in what newer event sources leave out: they write eventTime and series and leave firstTimestamp, lastTimestamp and
// count null, as the scheduler does.
func settleTimes(e *corev1.Event) {
	if e.FirstTimestamp.IsZero() {
		e.FirstTimestamp = metav1.Time{Time: e.EventTime.Time}
		if e.EventTime.IsZero() {
			e.FirstTimestamp = e.CreationTimestamp
		}
	}
	if e.Series != nil {
		if e.Series.LastObservedTime.After(e.LastTimestamp.Time) {
			e.LastTimestamp = metav1.Time{Time: e.Series.LastObservedTime.Time}
		}
		e.Count = max(e.Count, e.Series.Count)
	}
	if e.LastTimestamp.IsZero() {
		e.LastTimestamp = e.FirstTimestamp
	}
	if e.Count == 0 {
		e.Count = 1
	}
}
