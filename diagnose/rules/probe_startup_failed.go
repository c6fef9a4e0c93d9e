package rules

import (
	"fmt"
	"time"

	"crashloop/diagnose"
)

func probeStartupFailed() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.startup-failed", Category: "liveness-probe", Title: "The startup probe gives up before the program is up",
		Doc: diagnose.Doc{
			Means:   "The startup probe did not succeed within periodSeconds times failureThreshold, and the kubelet kills the container before it has started.",
			Confirm: "`kubectl describe pod POD`: \"Startup probe failed\" and \"failed startup probe, will be restarted\"; each run lasts as long as the probe's window.",
			Mend:    "Raise failureThreshold until the window is longer than the slowest start, or find out why the start takes so long or never ends.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (startup probes)",
		},
		Log: listening(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || p.which != "startup" {
				return nil
			}
			f := p.finding(c)
			f.Killing = p.says(c)
			f.Summary = fmt.Sprintf("%s: it gets %s to start, which is not enough", p.says(c), sum(p.probe))
			if lived := p.lived(c); lived != "" {
				f.Summary += "; it was killed after " + lived
			}
			if p.waitsFor(c, hits) {
				f.Weight = messenger
			}
			if h, ok := up(hits); ok {
				f.Evidence = append(f.Evidence, h.Cite())
			}
			failures := orDefault(p.probe.FailureThreshold, 3) * 3
			f.Advice = fmt.Sprintf("Allow it more: failureThreshold %d gives it %s, three times as long", failures, diagnose.Duration(time.Duration(failures*orDefault(p.probe.PeriodSeconds, 10))*time.Second))
			f.Fixes = []diagnose.Fix{{Title: "Allow a longer start", Patch: containerPatch(c, fmt.Sprintf("startupProbe:\n  failureThreshold: %d", failures))}}
			return []diagnose.Finding{f}
		},
	}
}
