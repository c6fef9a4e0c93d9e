package diagnose

import (
	"strings"
	"time"
)

// The kubelet's back-off (k8s.io/kubernetes/pkg/kubelet: initial 10 s, doubled at each restart, at most 5 minutes, forgotten once a
// container has run for twice that long).
const (
	firstBackoff = 10 * time.Second
	lastBackoff  = 5 * time.Minute
	backoffReset = 2 * lastBackoff
)

// Backoff is how long the kubelet waits before it starts a container for the nth time after it ended, n counted from 1.
func Backoff(n int32) time.Duration {
	d := firstBackoff
	for ; n > 1 && d < lastBackoff; n-- {
		d *= 2
	}
	return min(d, lastBackoff)
}

// nextRetry is when the kubelet next starts the container, zero when it runs, is not waiting for that, or the moment has passed.
func (c *Case) nextRetry() time.Time {
	if c.Status == nil || c.Pod == nil || c.Pod.Spec.RestartPolicy == "Never" && c.Subject.ContainerType != Sidecar || c.Running() || c.Pod.DeletionTimestamp != nil {
		return time.Time{}
	}
	t := c.Last()
	if t == nil || t.FinishedAt.IsZero() || c.Pod.Status.Phase == "Failed" || c.Pod.Status.Phase == "Succeeded" {
		return time.Time{}
	}
	if t.ExitCode == 0 && (c.Pod.Spec.RestartPolicy == "OnFailure" || c.Subject.ContainerType == Init) {
		return time.Time{}
	}
	reason, message := c.Waiting()
	wait := Backoff(max(c.Status.RestartCount, 1))
	if c.Ran() >= backoffReset {
		wait = firstBackoff
	}
	switch {
	case reason == "CrashLoopBackOff":
		// "back-off 2m40s restarting failed container=web pod=...": the kubelet's own number, whatever it is configured to.
		if _, rest, ok := strings.Cut(message, "back-off "); ok {
			said, _, _ := strings.Cut(rest, " ")
			if d, err := time.ParseDuration(said); err == nil && d > 0 {
				wait = d
			}
		}
	case reason != "":
		return time.Time{}
	case c.Status.State.Terminated == nil:
		return time.Time{}
	}
	at := t.FinishedAt.Add(wait)
	if at.Before(c.Now) {
		return time.Time{}
	}
	return at
}
