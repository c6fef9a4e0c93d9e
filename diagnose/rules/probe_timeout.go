package rules

import (
	"fmt"

	"crashloop/diagnose"
)

func probeTimeout() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.timeout", Category: "liveness-probe", Title: "The liveness probe gives up before the answer comes",
		Doc: diagnose.Doc{
			Means:   "The program accepts the probe's connection but does not answer within timeoutSeconds (1 unless set), and is killed. It is busy, blocked, or its health check does too much.",
			Confirm: "`kubectl describe pod POD`: \"Liveness probe failed\" with \"context deadline exceeded\" or \"Client.Timeout exceeded\".",
			Mend:    "Raise timeoutSeconds; make the health check cheap; see what blocks the program at those times.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (timeoutSeconds)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || !timedOut(p.text) {
				return nil
			}
			f := p.finding(c)
			f.Weight, f.Killing = 10, p.says(c)
			if p.which == "startup" && f.Confidence == diagnose.Certain {
				f.Confidence = diagnose.Likely // a start that takes long may be all that keeps it from answering; that it did not come up is certain
			}
			t := orDefault(p.probe.TimeoutSeconds, 1)
			f.Summary = fmt.Sprintf("%s, which waits %ds for an answer and gets none", p.says(c), t)
			f.Advice = fmt.Sprintf("Give it more time, timeoutSeconds %d for a start, and see what keeps the program busy", max(5, 3*t))
			if q, ok := c.Container.Resources.Limits["cpu"]; ok {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.cpu"), Text: q.String()})
				cited, _, _ := citeCPU(c)
				f.Evidence = append(f.Evidence, cited...)
			}
			f.Fixes = []diagnose.Fix{{Title: "Wait longer for the answer", Patch: containerPatch(c, fmt.Sprintf("%sProbe:\n  timeoutSeconds: %d", p.which, max(5, 3*t)))}}
			return []diagnose.Finding{f}
		},
	}
}
