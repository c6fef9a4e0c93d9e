package diagnose

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The kubelet's back-off. The first restart comes at once; before the nth one after it the kubelet waits for n-1 doublings of 10 s, at most
// 5 minutes, counted from the end of the last run. It forgets once a container has run for 10 minutes, whatever it is configured to, and
// then starts it at once again (pkg/kubelet/kubelet.go, newCrashLoopBackOff; kuberuntime_manager.go, doBackOff).
//
// Two settings shorten it, and no object of the cluster shows them: crashLoopBackOff.maxContainerRestartPeriod of the KubeletConfiguration,
// 1 s to 300 s (feature gate KubeletCrashLoopBackOffMax: alpha and off from 1.32, beta and on from 1.35), and the gate
// ReduceDefaultCrashLoopBackOffDecay (alpha and off from 1.33 to 1.36), which makes it 1 s to 60 s. What they are is read from what the
// kubelet says and does.
const backoffReset = 10 * time.Minute

// schedule is how a kubelet backs off: from first, doubled at each restart, to at most last.
type schedule struct{ first, last time.Duration }

func defaultSchedule() schedule { return schedule{10 * time.Second, 5 * time.Minute} }
func reducedSchedule() schedule { return schedule{time.Second, time.Minute} }

// wait is how long the kubelet waits after a container that was restarted n times has ended once more.
func (s schedule) wait(n int32) time.Duration {
	if n < 1 {
		return 0
	}
	d := s.first
	for ; n > 1 && d < s.last; n-- {
		d *= 2
	}
	return min(d, s.last)
}

// pause is a back-off that was seen: of a container that had been restarted n times the kubelet said how long it waits, or, where said is
// zero, it was seen to wait for as long as seen and no longer.
type pause struct {
	n          int32
	said, seen time.Duration
}

// timestampSlack is what the whole seconds of a pod's status can be off by.
const timestampSlack = 2 * time.Second

// fits says that a kubelet with that schedule could have done what was seen.
func (s schedule) fits(pauses []pause) bool {
	for _, p := range pauses {
		switch w := s.wait(p.n); {
		case p.said > 0 && w != p.said:
			return false
		case p.said == 0 && w > p.seen+timestampSlack:
			return false
		}
	}
	return true
}

// scheduleOf finds the schedule that fits what was seen: the default where nothing speaks against it, another only by the kubelet's own
// word. False means that it cannot be told.
func scheduleOf(pauses []pause) (schedule, bool) {
	if s := defaultSchedule(); s.fits(pauses) {
		return s, true
	}
	longest := time.Duration(0)
	for _, p := range pauses {
		longest = max(longest, p.said)
	}
	if longest == 0 {
		return schedule{}, false
	}
	for _, s := range []schedule{reducedSchedule(), {min(10*time.Second, longest), longest}} {
		if s.fits(pauses) {
			return s, true
		}
	}
	return schedule{}, false
}

// readBackoff reads the kubelet's word on how long it waits: "back-off 2m40s restarting failed container=web pod=web-1_shop(uid)", in a
// container's waiting message or within an event. It takes the first that is about the container, or about any when container is empty.
func readBackoff(message, container string) (time.Duration, bool) {
	for rest := message; ; {
		_, after, ok := strings.Cut(rest, "ack-off ") // "Back-off" before Kubernetes 1.16
		if !ok {
			return 0, false
		}
		rest = after
		said, after, _ := strings.Cut(after, " ")
		name, ok := strings.CutPrefix(after, "restarting failed container=")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		d, err := time.ParseDuration(said)
		// No kubelet accepts more than five minutes: a longer one is not its word.
		if err != nil || d <= 0 || d > defaultSchedule().last || container != "" && strings.Trim(name, `"'`) != container {
			continue
		}
		return d, true
	}
}

// nextRetry is when the kubelet starts the container at the earliest; it may be late by some seconds. It is zero when the container runs,
// is not waiting for that, when the moment has passed or when the kubelet's rule for it is not known.
func (c *Case) nextRetry() time.Time {
	if c.Status == nil || c.Pod == nil || c.Running() || c.Pod.DeletionTimestamp != nil {
		return time.Time{}
	}
	t := c.Last()
	if t == nil || t.FinishedAt.IsZero() || c.Pod.Status.Phase == corev1.PodFailed || c.Pod.Status.Phase == corev1.PodSucceeded {
		return time.Time{}
	}
	wait := time.Duration(0)
	switch reason, message := c.Waiting(); {
	case reason == "CrashLoopBackOff":
		wait, _ = readBackoff(message, "")
	case reason != "" || c.Status.State.Terminated == nil:
		return time.Time{}
	}
	if wait == 0 {
		wait = c.saidSince(t.FinishedAt.Time)
	}
	if wait == 0 && c.restarts(t) && c.Ran() < backoffReset {
		// The first wait of all is over before anybody reads of it, and nothing has shown yet whether this kubelet keeps to the default.
		pauses := c.pauses()
		if s, ok := scheduleOf(pauses); ok && (c.Status.RestartCount > 1 || c.Status.State.Waiting != nil || slices.ContainsFunc(pauses, func(p pause) bool { return p.n > 0 })) {
			wait = s.wait(c.Status.RestartCount)
		}
	}
	if at := t.FinishedAt.Add(wait); wait > 0 && !at.Before(c.Now) {
		return at
	}
	return time.Time{}
}

// restarts says that the kubelet starts a container which ended like that again, by the restart policy of the pod, or of the container
// where it has one. Where rules for exit codes decide, nothing is claimed.
func (c *Case) restarts(t *corev1.ContainerStateTerminated) bool {
	policy := string(c.Pod.Spec.RestartPolicy)
	if c.Container != nil && c.Container.RestartPolicy != nil {
		if len(c.Container.RestartPolicyRules) > 0 {
			return false
		}
		policy = string(*c.Container.RestartPolicy)
	}
	switch policy {
	case string(corev1.RestartPolicyNever):
		return false
	case string(corev1.RestartPolicyOnFailure):
		return t.ExitCode != 0
	}
	return t.ExitCode != 0 || c.Subject.ContainerType != Init
}

// saidSince is the back-off that an event names for the container after it last ended, 0 when none does.
func (c *Case) saidSince(ended time.Time) time.Duration {
	for _, e := range c.ContainerEvents() {
		if d, ok := readBackoff(e.Message, c.Subject.Container); ok && !e.Last.Before(ended) {
			return d
		}
	}
	return 0
}

// pauses collects what can be seen of how this node's kubelet backs off: of the pod's other containers, and of the pods of the same
// controller on the node.
func (c *Case) pauses() []pause {
	var out []pause
	look := func(pod *corev1.Pod) {
		for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for i := range list {
				out = append(out, pausesOf(&list[i])...)
			}
		}
	}
	look(c.Pod)
	for _, p := range c.Siblings() {
		if p.Spec.NodeName == c.Spec.NodeName {
			look(p)
		}
	}
	return out
}

func pausesOf(s *corev1.ContainerStatus) []pause {
	var out []pause
	last := s.LastTerminationState.Terminated
	if w := s.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
		if d, ok := readBackoff(w.Message, ""); ok {
			out = append(out, pause{n: s.RestartCount, said: d})
		}
	}
	if last == nil || last.FinishedAt.IsZero() || began(last.StartedAt).IsZero() || last.FinishedAt.Sub(last.StartedAt.Time) >= backoffReset {
		return out
	}
	var started time.Time
	switch {
	case s.State.Running != nil:
		started = began(s.State.Running.StartedAt)
	case s.State.Terminated != nil:
		started = began(s.State.Terminated.StartedAt)
	}
	if !started.IsZero() && !started.Before(last.FinishedAt.Time) {
		out = append(out, pause{n: s.RestartCount - 1, seen: started.Sub(last.FinishedAt.Time)})
	}
	return out
}
