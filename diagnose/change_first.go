package diagnose

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// firstCrash estimates when the workload's container began to fail: the earliest of what its pods tell, and of the moment since which its
// Deployment has been short of pods while it crashed. It is zero when nothing tells.
func (c *Case) firstCrash() time.Time {
	if c.Pod == nil {
		return c.firstRefusal()
	}
	first := c.firstCrashOf(c.Pod, c.ContainerEvents())
	for _, p := range c.Siblings() {
		if l, name, _ := loops(p); l && name == c.Subject.Container {
			if at := c.firstCrashOf(p, nil); !at.IsZero() && at.Before(first) {
				first = at
			}
		}
	}
	if first.IsZero() {
		first = c.Pod.CreationTimestamp.Add(10 * time.Second) // it never started
	}
	return first
}

// firstCrashOf estimates when a container of one pod began to crash: from the runs and events that the cluster still knows, and from how
// long that many restarts take at least by the kubelet's back-off. The newest restart of a long loop is not its beginning.
func (c *Case) firstCrashOf(p *corev1.Pod, events []Event) time.Time {
	status := statusOf(p, c.Subject.Container)
	if status == nil {
		return time.Time{}
	}
	last := status.State.Terminated
	if last == nil {
		last = status.LastTerminationState.Terminated
	}
	if last == nil || last.FinishedAt.IsZero() {
		return time.Time{}
	}
	ran := time.Duration(0)
	if !began(last.StartedAt).IsZero() {
		ran = max(last.FinishedAt.Sub(last.StartedAt.Time), 0)
	}
	first, created := last.FinishedAt.Time, p.CreationTimestamp.Time
	if t := status.LastTerminationState.Terminated; t != nil && !t.FinishedAt.IsZero() && t.FinishedAt.Time.Before(first) {
		first = t.FinishedAt.Time
	}
	waits := status.RestartCount // between the first end and the last
	if status.State.Running != nil {
		waits--
	}
	backoff, ok := scheduleOf(pausesOf(status))
	if !ok {
		backoff = defaultSchedule()
	}
	needed := time.Duration(0)
	for n := int32(1); n <= min(waits, 10000); n++ {
		needed += backoff.wait(n) + ran
	}
	if at := last.FinishedAt.Add(-needed); at.Before(first) {
		first = at
	}
	for _, e := range events {
		if (e.Reason == "BackOff" || e.Reason == "Unhealthy") && e.Warning && !e.First.IsZero() && e.First.Before(first) && e.Has("back-off", "liveness", "startup") {
			first = e.First
		}
	}
	if first.Before(created) {
		first = created
	}
	// Looping for most of its life means from its start.
	if age := last.FinishedAt.Sub(created); first.Sub(created) < age/3 && !began(last.StartedAt).IsZero() {
		first = created.Add(min(ran, age))
	}
	return first
}

// statusOf is the status of one of a pod's containers, nil where the kubelet has not reported it.
func statusOf(p *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if list[i].Name == container {
				return &list[i]
			}
		}
	}
	return nil
}

// firstRefusal is when the API server first refused to create the workload's pods.
func (c *Case) firstRefusal() time.Time {
	var first time.Time
	for _, e := range c.Events() {
		if e.Reason == "FailedCreate" && !e.First.IsZero() && (first.IsZero() || e.First.Before(first)) {
			first = e.First
		}
	}
	if d, ok := c.Workload().(*appsv1.Deployment); ok {
		for _, cond := range d.Status.Conditions {
			if at := cond.LastTransitionTime.Time; cond.Type == appsv1.DeploymentReplicaFailure && cond.Status == corev1.ConditionTrue && !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// shortSince is since when the Deployment has had fewer ready pods than it needs, zero when it has enough or does not say. A revision that
// was rolled out later never made it whole.
func (c *Case) shortSince() time.Time {
	if d, ok := c.Workload().(*appsv1.Deployment); ok {
		for _, cond := range d.Status.Conditions {
			if cond.Type == appsv1.DeploymentAvailable && cond.Status == corev1.ConditionFalse {
				return cond.LastTransitionTime.Time
			}
		}
	}
	return time.Time{}
}

// ownedBy returns the pods of a controller.
func (c *Case) ownedBy(kind, name string) []*corev1.Pod {
	var out []*corev1.Pod
	for p := range c.pods(c.Subject.Namespace) {
		if p.DeletionTimestamp == nil && controlledBy(p, kind, name) {
			out = append(out, p)
		}
	}
	return out
}
