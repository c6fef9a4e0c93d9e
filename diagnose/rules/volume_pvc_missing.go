package rules

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func volumePVCMissing() diagnose.Rule {
	re := regexp.MustCompile(`(?i)persistentvolumeclaims? "(?P<name>[^"]+)" (?:not found|is being deleted)`)
	return diagnose.Rule{
		ID: "volume.pvc-missing", Category: "volume", Title: "A PersistentVolumeClaim that the pod needs does not exist",
		Doc: diagnose.Doc{
			Means:   "The pod mounts a claim that is not in its namespace, so that it can neither be scheduled nor started.",
			Confirm: "`kubectl describe pod POD` shows FailedScheduling or FailedMount with \"persistentvolumeclaim ... not found\"; `kubectl get pvc` shows those that there are.",
			Mend:    "Create the claim, or correct its name in the pod template. A StatefulSet makes its claims itself, from volumeClaimTemplates.",
			Source:  "kubernetes.io/docs/concepts/storage/persistent-volumes",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			if !stuck(c) || c.Pod == nil {
				return out
			}
			s, g, ok := said(c, re)
			if !ok {
				if s, g, ok = unscheduled(c, re); !ok {
					return out
				}
			}
			name := g["name"]
			if !c.Missing(diagnose.PersistentVolumeClaims, c.Subject.Namespace, name) && strings.Contains(s.text, "not found") {
				if o, err := c.Get(diagnose.PersistentVolumeClaims, c.Subject.Namespace, name); err == nil && o != nil {
					return out // it was made since
				}
			}
			f := fromStatement(s)
			f.Weight = 20
			f.Root = "PersistentVolumeClaim/" + c.Subject.Namespace + "/" + name
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
			f.Summary = fmt.Sprintf("%s cannot start: claim %s does not exist in namespace %s", c.Who(), name, c.Subject.Namespace)
			f.Advice = "Create the claim, or correct its name in the pod template"
			if strings.Contains(s.text, "is being deleted") {
				f.Chain[0].Says = "is being deleted"
				f.Summary = fmt.Sprintf("%s cannot start: claim %s is being deleted, and takes no new pod", c.Who(), name)
				f.Advice = "Once no pod uses it any more it goes away, and its data with it where the volume's reclaim policy is Delete; create it anew then"
				f.Fixes = []diagnose.Fix{{Title: "See what still uses the claim, and what becomes of its volume", Command: c.Kubectl("describe", "pvc", name)}}
				return append(out, f)
			}
			have := names(c, diagnose.PersistentVolumeClaims)
			if near := diagnose.Nearest(name, have); near != "" {
				f.Summary += "; the nearest name there is " + near
				f.Advice = fmt.Sprintf("Create it, or use %s if that is what is meant", near)
			}
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "PersistentVolumeClaims in " + c.Subject.Namespace, Text: list(have)})
			f.Fixes = []diagnose.Fix{
				{Title: "See which claims there are", Command: c.Kubectl("get", "pvc")},
				{Title: "Create the claim", Patch: fmt.Sprintf("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: %s\n  namespace: %s\nspec:\n  accessModes: [ReadWriteOnce]\n  resources:\n    requests:\n      storage: 10Gi\n", diagnose.Scalar(name), diagnose.Scalar(c.Subject.Namespace))},
			}
			return append(out, f)
		},
	}
}

// unscheduled matches the condition with which the scheduler says why the pod has no node.
func unscheduled(c *diagnose.Case, re *regexp.Regexp) (statement, map[string]string, bool) {
	if c.Pod == nil {
		return statement{}, nil, false
	}
	for _, cond := range c.Pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			if g := groups(re, cond.Message); g != nil {
				return statement{"status.conditions[PodScheduled]", cond.Reason, cond.Message}, g, true
			}
		}
	}
	return statement{}, nil, false
}
