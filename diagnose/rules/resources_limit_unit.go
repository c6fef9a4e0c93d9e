package rules

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func resourcesLimitUnit() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.limit-unit", Category: "resource-limits", Title: "A memory limit with the wrong unit",
		Doc: diagnose.Doc{
			Means:   "The memory limit is so small that nothing can run in it, because of its unit: `128m` is 0.128 bytes (m is milli), `512` is 512 bytes. Not even the pod's sandbox or its token volume fits.",
			Confirm: "`kubectl get pod POD -o jsonpath='{.spec.containers[*].resources.limits.memory}'`; the pod stays in ContainerCreating with \"no space left on device\" or is killed at once.",
			Mend:    "Write Mi or Gi: 128Mi, 1Gi.",
			Source:  "kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			containers := []*corev1.Container{}
			if c.Container != nil {
				containers = append(containers, c.Container)
			}
			for i := range c.Spec.Containers {
				containers = append(containers, &c.Spec.Containers[i])
			}
			for _, ct := range containers {
				q, ok := ct.Resources.Limits[corev1.ResourceMemory]
				if !ok || q.IsZero() || q.Value() >= 4<<20 {
					continue
				}
				written := q.String()
				meant := strings.TrimRight(written, "mkKMG") + "Mi"
				if n := q.MilliValue(); strings.HasSuffix(written, "m") || n%1000 != 0 {
					meant = fmt.Sprintf("%dMi", n)
				} else if q.Value() >= 1<<10 && q.Value()%1000 == 0 {
					meant = fmt.Sprintf("%dMi", q.Value()/1000)
				}
				f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 80}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.containers[" + ct.Name + "].resources.limits.memory", Text: written})
				for _, s := range statements(c) {
					if s.text != "" {
						f.Evidence = append(f.Evidence, s.cite())
						break
					}
				}
				size := fmt.Sprintf("%d bytes", q.Value())
				if q.Value() <= 1 {
					size = "less than one byte"
				}
				f.Summary = fmt.Sprintf("%s cannot run: its memory limit %s means %s", c.Who(), written, size)
				f.Advice = "Write " + meant + ", which is surely meant"
				f.Fixes = []diagnose.Fix{raiseMemory(c, meant)}
				return []diagnose.Finding{f}
			}
			return nil
		},
	}
}
