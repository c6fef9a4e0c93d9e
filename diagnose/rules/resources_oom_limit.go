package rules

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"crashloop/diagnose"
)

func resourcesOOMLimit() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-limit", Category: "resource-limits", Title: "It needs more memory than its limit allows",
		Doc: diagnose.Doc{
			Means:   "The container used more memory than resources.limits.memory, and the kernel killed it. The kubelet says so with the reason OOMKilled; the exit code is usually 137, but can be another when the kernel killed a child of the main process.",
			Confirm: "`kubectl describe pod POD`: Last State: Terminated, Reason: OOMKilled. `kubectl top pod POD --containers` shows what it uses, where metrics-server runs.",
			Mend:    "Raise the limit if it needs that much, or make the program use less: smaller caches, fewer workers, streaming instead of loading. Set the request to what it really uses.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource; kernel cgroups v1 and v2, memory.oom.group",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			f, ok := oomKilled(c)
			if !ok {
				return nil
			}
			limit, has := memoryLimit(c)
			if !has {
				return nil // then it is the node's memory
			}
			f.Summary = fmt.Sprintf("%s is killed for using more memory than its limit of %s", c.Who(), limit.String())
			if d := c.Ran(); d > 0 {
				f.Summary += fmt.Sprintf(", %s after it starts", diagnose.Duration(d))
			}
			more := moreMemory(limit)
			f.Advice = fmt.Sprintf("Raise the limit, to %s for a start, or make it use less", more)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.memory"), Text: limit.String()})
			f.Fixes = []diagnose.Fix{raiseMemory(c, more)}
			return []diagnose.Finding{f}
		},
	}
}

// oomKilled starts a finding for a container whose last run the kernel ended for its memory. The reason counts, not the exit code.
func oomKilled(c *diagnose.Case) (diagnose.Finding, bool) {
	t := c.Last()
	if t == nil || t.Reason != "OOMKilled" {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 50, Evidence: c.CiteLast()}
	f.Settle = "The reason OOMKilled in the container's last state."
	if usage, ok := memoryUsage(c); ok {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "metrics of pod " + c.Subject.Pod, Text: "it uses " + usage.String() + " of memory now"})
	}
	return f, true
}

func memoryLimit(c *diagnose.Case) (resource.Quantity, bool) {
	if c.Container == nil {
		return resource.Quantity{}, false
	}
	q, ok := c.Container.Resources.Limits[corev1.ResourceMemory]
	if !ok && c.Status != nil && c.Status.Resources != nil {
		q, ok = c.Status.Resources.Limits[corev1.ResourceMemory]
	}
	return q, ok && !q.IsZero()
}

// moreMemory doubles a limit and rounds it to a number that people write.
func moreMemory(limit resource.Quantity) string {
	const mi = 1 << 20
	n := max(limit.Value()*2, 64*mi)
	if n >= 1<<30 && n%(1<<30) == 0 {
		return fmt.Sprintf("%dGi", n>>30)
	}
	return fmt.Sprintf("%dMi", (n+mi-1)/mi)
}

func raiseMemory(c *diagnose.Case, to string) diagnose.Fix {
	return diagnose.Fix{
		Title:   "Raise the memory limit to " + to,
		Command: c.Kubectl("set", "resources", c.Target(), "-c", c.Subject.Container, "--limits=memory="+to),
		Patch:   containerPatch(c, "resources:\n  limits:\n    memory: "+to),
	}
}
