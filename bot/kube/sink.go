package kube

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"crashloop/diagnose"
)

// podSink is where a reflector puts pods. It is a cache.TransformingStore, so that a list that is streamed at the start is reduced object
// by object and never stands in memory whole.
type podSink struct {
	w  *Watch
	st *stream
}

func reducePod(obj any) any {
	if p, ok := obj.(*corev1.Pod); ok {
		return compact(p)
	}
	return obj
}

func reduceWorkload(obj any) any {
	if r, ok := RecordWorkload(obj); ok {
		return r
	}
	return obj
}

func transform(reduce func(any) any) cache.TransformFunc {
	return func(obj any) (any, error) { return reduced{reduce(obj)}, nil }
}

// Transformer reduces a pod while a list is streamed.
func (s *podSink) Transformer() cache.TransformFunc { return transform(reducePod) }

// Add takes a new pod.
func (s *podSink) Add(obj any) error { return s.put(obj, false) }

// Update takes a pod's new state.
func (s *podSink) Update(obj any) error { return s.put(obj, true) }

func (s *podSink) put(obj any, known bool) error {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("taking a pod: it is a %T", obj)
	}
	if s.w.ignored(p.Namespace) {
		return nil
	}
	it := compact(p)
	g, tell := s.w.pods.put(it, known)
	if tell {
		s.w.tell(g, &it.pod, p, false)
	}
	return nil
}

// Delete takes a pod's end.
func (s *podSink) Delete(obj any) error {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("forgetting a pod: it is a %T", obj)
	}
	it := compact(p)
	if g, tell := s.w.pods.remove(it); g != nil && tell {
		s.w.tell(g, &it.pod, p, true)
	}
	return nil
}

// Replace takes all pods there are. The ones that are missing in it went while nobody watched.
func (s *podSink) Replace(list []any, _ string) error {
	items := make([]podItem, 0, len(list))
	for _, obj := range list {
		if r, ok := obj.(reduced); ok {
			obj = r.value
		}
		it, ok := obj.(podItem)
		if !ok {
			return fmt.Errorf("taking pods: one is a %T", obj)
		}
		if !s.w.ignored(it.owner.namespace) {
			items = append(items, it)
		}
	}
	for _, c := range s.w.pods.replace(s.st.namespace, items) {
		s.w.tell(c.group, &c.pod, nil, c.gone)
	}
	s.st.contact.synced()
	s.w.delivered(s.st)
	return nil
}

// Resync does nothing: nothing is queued that could be sent again.
func (s *podSink) Resync() error { return nil }

// tell gives a pod to the sink. from is the whole pod where there is one: of a healthy pod the store does not keep all.
func (w *Watch) tell(g *group, p *pod, from *corev1.Pod, gone bool) {
	workload := w.topmost(w.lookups, g, p)
	var rec diagnose.PodRecord
	if p.full == nil && from != nil {
		rec = diagnose.RecordPod(from)
		rec.Workload = workload
	} else {
		rec = p.expand(g.owner, workload)
	}
	w.out.Lock()
	defer w.out.Unlock()
	if gone {
		w.o.Sink.PodGone(rec)
	} else {
		w.o.Sink.Pod(rec)
	}
}

func (w *Watch) ignored(namespace string) bool {
	return slices.Contains(w.o.IgnoreNamespaces, namespace)
}

// Follow makes every change of the workload's pods be told, healthy ones too, until Unfollow. Following twice is following once.
func (w *Watch) Follow(namespace, workload string) {
	w.pods.mu.Lock()
	defer w.pods.mu.Unlock()
	w.pods.followed[workloadKey{namespace, workload}] = true
}

// Unfollow ends Follow.
func (w *Watch) Unfollow(namespace, workload string) {
	w.pods.mu.Lock()
	defer w.pods.mu.Unlock()
	delete(w.pods.followed, workloadKey{namespace, workload})
}

// PodsOf returns the pods of a workload, sorted by name. The record of a healthy pod tells its containers, since when they run and that
// they are ready, but not their IDs.
func (w *Watch) PodsOf(namespace, workload string) []diagnose.PodRecord {
	w.pods.mu.Lock()
	defer w.pods.mu.Unlock()
	var out []diagnose.PodRecord
	for o, g := range w.pods.spaces[namespace] {
		if g.workload != "" && g.workload != workload {
			continue
		}
		for i := range g.pods {
			if p := &g.pods[i]; g.of(p) == workload {
				out = append(out, p.expand(o, workload))
			}
		}
	}
	slices.SortFunc(out, func(a, b diagnose.PodRecord) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Count returns how many pods the watch knows.
func (w *Watch) Count() int {
	w.pods.mu.Lock()
	defer w.pods.mu.Unlock()
	return w.pods.count
}

// workloadSink is where a reflector puts the controllers of one kind.
type workloadSink struct {
	w  *Watch
	st *stream
}

// Transformer reduces a controller while a list is streamed.
func (s *workloadSink) Transformer() cache.TransformFunc { return transform(reduceWorkload) }

// Add takes a new controller.
func (s *workloadSink) Add(obj any) error { return s.Update(obj) }

// Update takes a controller's new state.
func (s *workloadSink) Update(obj any) error {
	r, ok := RecordWorkload(obj)
	if !ok {
		return fmt.Errorf("taking a workload: it is a %T", obj)
	}
	if s.kept(r) && s.w.workloads.put(r) {
		s.w.tellWorkload(r, false)
	}
	return nil
}

// kept says whether a controller is one to keep. A Deployment tells what its ReplicaSets are up to, and has up to ten old ones: only those
// that are their own, or an add-on's such as a Rollout, are kept.
func (s *workloadSink) kept(r diagnose.WorkloadRecord) bool {
	return !s.w.ignored(r.Namespace) && (r.Owner == "" || s.st.kind.kind != "ReplicaSet")
}

// Delete takes a controller's end.
func (s *workloadSink) Delete(obj any) error {
	r, ok := RecordWorkload(obj)
	if !ok {
		return fmt.Errorf("forgetting a workload: it is a %T", obj)
	}
	if s.w.workloads.remove(r) {
		s.w.tellWorkload(r, true)
	}
	return nil
}

// Replace takes all controllers of the kind that there are.
func (s *workloadSink) Replace(list []any, _ string) error {
	records := make([]diagnose.WorkloadRecord, 0, len(list))
	for _, obj := range list {
		if r, ok := obj.(reduced); ok {
			obj = r.value
		}
		r, ok := obj.(diagnose.WorkloadRecord)
		if !ok {
			return fmt.Errorf("taking workloads: one is a %T", obj)
		}
		if s.kept(r) {
			records = append(records, r)
		}
	}
	gone, changed := s.w.workloads.replace(s.st.kind.kind, s.st.namespace, records)
	for _, r := range gone {
		s.w.tellWorkload(r, true)
	}
	for _, r := range changed {
		s.w.tellWorkload(r, false)
	}
	s.w.mu.Lock()
	s.st.disabled = false
	s.w.mu.Unlock()
	s.st.contact.synced()
	s.w.delivered(s.st)
	return nil
}

// Resync does nothing: nothing is queued that could be sent again.
func (s *workloadSink) Resync() error { return nil }

func (w *Watch) tellWorkload(r diagnose.WorkloadRecord, gone bool) {
	w.out.Lock()
	defer w.out.Unlock()
	if gone {
		w.o.Sink.WorkloadGone(r)
	} else {
		w.o.Sink.Workload(r)
	}
}
