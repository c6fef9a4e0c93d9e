package rules

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// statement is what the kubelet, the runtime or the scheduler says about why the container cannot start.
type statement struct {
	source, reason, text string
}

func (s statement) cite() diagnose.Evidence {
	text := strings.TrimSpace(s.text)
	if text == "" {
		text = s.reason
	}
	return diagnose.Evidence{Source: s.source, Text: text}
}

// stuck says that the container has not run in this pod, or does not get as far as running now.
func stuck(c *diagnose.Case) bool {
	if c.Pod == nil {
		return true
	}
	if c.Running() {
		return false
	}
	t := c.Last()
	return t == nil || !ran(t)
}

// ran tells a run from an attempt that the runtime gave up, for which the kubelet writes 1970 as its start.
func ran(t *corev1.ContainerStateTerminated) bool {
	return t.Reason != "StartError" && t.Reason != "ContainerCannotRun" && t.StartedAt.Unix() > 0
}

// statements returns what is said about the container's start, the status first, then events, the newest first.
func statements(c *diagnose.Case) []statement {
	var out []statement
	if reason, message := c.Waiting(); reason != "" && reason != "CrashLoopBackOff" && reason != "PodInitializing" {
		out = append(out, statement{c.StatusField("state.waiting"), reason, message})
	}
	if t := c.Last(); t != nil && !ran(t) {
		out = append(out, statement{c.StatusField("lastState.terminated"), t.Reason, t.Message})
	}
	if !stuck(c) {
		return out
	}
	events := c.Events()
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		if !e.Warning || e.Kind != "Pod" || e.Container != "" && e.Container != c.Subject.Container {
			continue
		}
		switch e.Reason {
		case "Failed", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedCreatePodContainer", "NetworkNotReady", "FailedScheduling", "InspectFailed", "ErrImageNeverPull", "FailedPodSandBoxStatus", "FailedPrepareDynamicResources", "FailedSync", "FailedMapVolume", "FailedKillPod", "FailedPreStopHook", "FailedPostStartHook", "FailedToRetrieveImagePullSecret":
			ev := e.Cite()
			out = append(out, statement{ev.Source, e.Reason, e.Message})
		}
	}
	return out
}

// said returns the first statement that the expression matches, and its groups by name.
func said(c *diagnose.Case, re *regexp.Regexp) (statement, map[string]string, bool) {
	for _, s := range statements(c) {
		if g := groups(re, s.text); g != nil {
			return s, g, true
		}
	}
	return statement{}, nil, false
}

// groups returns the named groups of a match, nil when there is none. Those of one name with a number behind it are one. Without an
// expression, any text will do.
func groups(re *regexp.Regexp, text string) map[string]string {
	if re == nil && text != "" {
		return map[string]string{}
	} else if re == nil {
		return nil
	}
	m := re.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	out := map[string]string{}
	for i, n := range re.SubexpNames() {
		if n = diagnose.GroupName(n); n != "" && m[i] != "" && out[n] == "" {
			out[n] = m[i]
		}
	}
	return out
}

// fromStatement starts a finding that rests on what the cluster itself says.
func fromStatement(s statement) diagnose.Finding {
	return diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Evidence: []diagnose.Evidence{s.cite()}}
}

// events returns the container's events with that reason whose message holds one of the texts, oldest first.
func events(c *diagnose.Case, reason string, texts ...string) []diagnose.Event {
	var out []diagnose.Event
	for _, e := range c.ContainerEvents() {
		if e.Reason == reason && (len(texts) == 0 || e.Has(texts...)) {
			out = append(out, e)
		}
	}
	return out
}

// exit is the exit code of the run that ended last, -1 when there is none.
func exit(c *diagnose.Case) int32 {
	if t := c.Last(); t != nil {
		return t.ExitCode
	}
	return -1
}
