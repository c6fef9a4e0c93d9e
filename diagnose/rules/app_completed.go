package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func appCompleted() diagnose.Rule {
	link := regexp.MustCompile(`(?:tcp|udp)://\d`)
	complains := regexp.MustCompile(`(?i)\b(?:error|errors|invalid|failed|cannot|could not|couldn't|unable to|fatal|denied|not found|missing|refused|unauthorized)\b`)
	return diagnose.Rule{
		ID: "app.completed", Category: "app-error", Title: "The program finishes, and is started again",
		Doc: diagnose.Doc{
			Means:   "The program did its work and ended with exit code 0. The pod's restartPolicy is Always, so the kubelet starts it again, and waits longer each time. Nothing failed: the container is run as a service and behaves like a task.",
			Confirm: "`kubectl describe pod POD` shows Last State: Terminated, Reason: Completed, Exit Code: 0, and no event that a probe failed.",
			Mend:    "Run it as a Job or CronJob if it is a task. If it should stay, give it a command that stays in the foreground: no `&`, no daemon mode, no shell that only starts something.",
			Source:  "kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle (restart policy)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil || t.ExitCode != 0 || !ran(t) || t.Reason == "OOMKilled" || c.Pod == nil || c.Subject.ContainerType == diagnose.Init {
				return nil
			}
			if _, ok := hookFailed(c); ok {
				return nil
			}
			always := c.Spec.RestartPolicy == "Always" || c.Spec.RestartPolicy == "" || c.Subject.ContainerType == diagnose.Sidecar
			if !always || probeKilled(c).killed || stopped(c) || toldToStop(c) > 0 {
				return nil
			}
			if l := c.Log(); l.Len() > 0 && t.ExitCode == 0 && usageOf(c) {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Evidence: c.CiteLast()}
			f.Summary = fmt.Sprintf("%s finishes normally (exit code 0)", c.Who())
			if d := c.Ran(); d > 0 {
				f.Summary += " after " + diagnose.Duration(d)
			}
			f.Summary += ", and its restart policy Always starts it again each time"
			f.Advice = "Run it as a Job or CronJob if it is a task, or give it a command that stays in the foreground"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.restartPolicy", Text: "Always"})
			if cmd := append(append([]string{}, c.Container.Command...), c.Container.Args...); len(cmd) > 0 {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("command and args"), Text: strings.Join(cmd, " ")})
			}
			if len(c.Events()) == 0 {
				f.Confidence = diagnose.Likely // a probe's kill would stand in events, and there are none to read
			}
			if l := c.Log(); l.Len() > 0 {
				n := lastWords(l)
				// What it warned of may stand before its words about stopping.
				for m := beforeStopping(l); !complains.MatchString(l.Line(n)) && m > 0 && m > beforeStopping(l)-3; m-- {
					if diagnose.LineLevel(l.Line(m)) >= diagnose.Warn && complains.MatchString(l.Line(m)) {
						n = m
					}
				}
				if diagnose.LineLevel(l.Line(n)) >= diagnose.Error || complains.MatchString(l.Line(n)) {
					f.Confidence = diagnose.Likely // some programs fail and exit 0 all the same
					if diagnose.LineLevel(l.Line(n)) >= diagnose.Warn {
						f.Proof = diagnose.Messenger
					}
					if link.MatchString(l.Line(n)) && refusesNumber.MatchString(l.Line(n)) {
						return nil
					}
					f.Evidence = append(f.Evidence, l.Cite(n))
				}
			}
			f.Fixes = []diagnose.Fix{{Title: "Run the same image as a task", Command: c.Kubectl("create", "job", c.Subject.Name()+"-once", "--image="+c.Container.Image)}}
			return []diagnose.Finding{f}
		},
	}
}

// stopped says that the pod is being taken down, or was told to stop from outside.
func stopped(c *diagnose.Case) bool {
	return c.Pod.DeletionTimestamp != nil || c.Pod.Status.Reason == "Evicted" || c.Pod.Status.Reason == "Preempting"
}
