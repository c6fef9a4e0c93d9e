package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Lives are how long runs of a container lasted.
type Lives struct {
	Count             int
	Shortest, Longest time.Duration
}

// Lives measures the runs of the container that the cluster still knows and that ended in the way that like describes: those of this pod,
// and those of the pods that the same controller made from the same template.
func (c *Case) Lives(like func(*corev1.ContainerStateTerminated) bool) Lives {
	var l Lives
	seen := map[string]bool{}
	add := func(s *corev1.ContainerStatus, t *corev1.ContainerStateTerminated) {
		if t == nil || s.Name != c.Subject.Container || t.FinishedAt.IsZero() || began(t.StartedAt).IsZero() || t.FinishedAt.Time.Before(t.StartedAt.Time) || !like(t) {
			return
		}
		if t.ContainerID != "" && seen[t.ContainerID] {
			return
		}
		seen[t.ContainerID] = true
		d := t.FinishedAt.Sub(t.StartedAt.Time)
		if l.Count == 0 || d < l.Shortest {
			l.Shortest = d
		}
		l.Longest = max(l.Longest, d)
		l.Count++
	}
	pods := []*corev1.Pod{}
	if c.Pod != nil {
		pods = append(pods, c.Pod)
	}
	for _, p := range append(pods, c.Replicas()...) {
		for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
			for i := range list {
				add(&list[i], list[i].State.Terminated)
				add(&list[i], list[i].LastTerminationState.Terminated)
			}
		}
	}
	return l
}

// sameTemplate says that two pods of one controller were made from the same pod template.
func sameTemplate(a, b *corev1.Pod) bool {
	for _, label := range []string{"pod-template-hash", "controller-revision-hash"} {
		if a.Labels[label] != b.Labels[label] {
			return false
		}
	}
	return true
}

// Range writes how long the runs lasted: "31s", or "30s to 2m10s" when they differ; empty when none is known.
func (l Lives) Range() string {
	switch from, to := Duration(l.Shortest), Duration(l.Longest); {
	case l.Count == 0:
		return ""
	case from == to:
		return from
	default:
		return from + " to " + to
	}
}

// String writes how long the runs lasted, and how many they are when that is more than one: "30s to 31s in 3 runs".
func (l Lives) String() string {
	if l.Count < 2 {
		return l.Range()
	}
	return fmt.Sprintf("%s in %d runs", l.Range(), l.Count)
}

// keptRuns is how many runs a timeline keeps.
const keptRuns = 8

// MergeRuns adds to what was known of a container's runs what is seen of them now, and keeps the last ones: a pod's status remembers one
// or two.
func MergeRuns(known, seen []Run) []Run {
	out := slices.Clone(seen)
	for _, k := range known {
		if k.Ended.IsZero() {
			continue // it has ended since, and stands among those that are seen, or nothing is known of its end
		}
		if !slices.ContainsFunc(out, func(s Run) bool { return s.Started.Equal(k.Started) && (s.Ended.IsZero() || s.Ended.Equal(k.Ended)) }) {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b Run) int { return a.at().Compare(b.at()) })
	return out[max(len(out)-keptRuns, 0):]
}

func (r Run) at() time.Time {
	if r.Started.IsZero() {
		return r.Ended
	}
	return r.Started
}

// Lived is how long a run lasted, false when that is not known or it has not ended.
func (r Run) Lived() (time.Duration, bool) {
	if r.Started.IsZero() || r.Ended.IsZero() || r.Ended.Before(r.Started) {
		return 0, false
	}
	return r.Ended.Sub(r.Started), true
}

// LivedSays lists how long the last runs lasted, oldest first: "31s, 30s, 31s"; empty when fewer than two are known.
func LivedSays(runs []Run, most int) string {
	var out []string
	for _, r := range runs {
		if d, ok := r.Lived(); ok {
			out = append(out, Duration(d))
		}
	}
	if len(out) < 2 {
		return ""
	}
	return strings.Join(out[max(len(out)-most, 0):], ", ")
}
