package rules

import (
	"fmt"
	"time"

	"crashloop/diagnose"
)

func probeTooAggressive() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.too-aggressive", Category: "liveness-probe", Title: "The liveness probe forgives next to nothing",
		Doc: diagnose.Doc{
			Means:   "One failure, or a few seconds of them, are enough for the kubelet to kill the container: failureThreshold is 1, or period times failureThreshold is only seconds. Any pause - garbage collection, a slow disk - is then deadly.",
			Confirm: "`kubectl get pod POD -o jsonpath='{.spec.containers[*].livenessProbe}'`: failureThreshold times periodSeconds; the container served well before the kill.",
			Mend:    "failureThreshold 3 and periodSeconds 10 are the defaults; give the program half a minute before it is killed.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || p.which != "liveness" {
				return nil
			}
			tolerated := time.Duration(orDefault(p.probe.PeriodSeconds, 10)*orDefault(p.probe.FailureThreshold, 3)) * time.Second
			single := p.probe.FailureThreshold == 1
			if !single && tolerated > 6*time.Second || p.early(c) && !timedOut(p.text) {
				return nil
			}
			if code := status(p.text); code >= 300 && code < 500 {
				return nil
			}
			f := p.finding(c)
			f.Weight = 45
			f.Summary = fmt.Sprintf("%s, which forgives only %d failure(s) in %s", p.says(c), orDefault(p.probe.FailureThreshold, 3), diagnose.Duration(tolerated))
			if d := c.Ran(); d > 0 {
				f.Summary += fmt.Sprintf("; it had run for %s", diagnose.Duration(d))
			}
			f.Advice = "Let it fail for half a minute before it is killed: periodSeconds 10, failureThreshold 3, timeoutSeconds 5"
			f.Fixes = []diagnose.Fix{{Title: "Forgive more", Patch: containerPatch(c, "livenessProbe:\n  periodSeconds: 10\n  failureThreshold: 3\n  timeoutSeconds: 5")}}
			return []diagnose.Finding{f}
		},
	}
}
