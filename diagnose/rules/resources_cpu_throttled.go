package rules

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"crashloop/diagnose"
)

func resourcesCPUThrottled() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.cpu-throttled", Category: "resource-limits", Title: "Its CPU limit is so small that it misses its probes",
		Doc: diagnose.Doc{
			Means:   "The container may use so little CPU that it cannot answer its liveness probe in time, and is killed. The probe is only the symptom.",
			Confirm: "`kubectl describe pod POD`: Liveness probe failed with a timeout, and a small CPU limit; `kubectl top pod POD --containers` shows it at the limit.",
			Mend:    "Raise or remove the CPU limit; keep the request.",
			Source:  "kubernetes.io/docs/concepts/configuration/manage-resources-containers; kernel CFS bandwidth control",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || !timedOut(p.text) {
				return nil
			}
			limit, ok := c.Container.Resources.Limits[corev1.ResourceCPU]
			if !ok {
				return nil
			}
			cited, used, at := citeCPU(c)
			if limit.MilliValue() > 150 && !at {
				return nil
			}
			f := p.finding(c)
			f.Weight = 50
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.cpu"), Text: limit.String()})
			f.Evidence = append(f.Evidence, cited...)
			f.Summary = fmt.Sprintf("%s, which gets no answer in time: its CPU limit is only %s", p.says(c), limit.String())
			if at {
				f.Summary = fmt.Sprintf("%s, which gets no answer in time: it uses %s of the %s CPU that its limit allows", p.says(c), diagnose.Cores(used), diagnose.Cores(limit))
			} else {
				f.Confidence = diagnose.Likely
				f.Settle = c.Kubectl("top", "pod", c.Subject.Pod, "--containers") + " shows whether it is at its limit"
			}
			more := diagnose.Cores(*resource.NewMilliQuantity(max(500, (limit.MilliValue()*2+99)/100*100), resource.DecimalSI))
			f.Advice = fmt.Sprintf("Raise its CPU limit, to %s for a start; the probe is only the symptom", more)
			f.Fixes = []diagnose.Fix{{Title: "Raise the CPU limit to " + more, Command: c.Kubectl("set", "resources", c.Target(), "-c", c.Subject.Container, "--limits=cpu="+more)}}
			return []diagnose.Finding{f}
		},
	}
}
