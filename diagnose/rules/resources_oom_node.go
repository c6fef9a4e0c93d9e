package rules

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func resourcesOOMNode() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-node", Category: "resource-limits", Title: "Its node ran out of memory",
		Doc: diagnose.Doc{
			Means:   "The kernel killed the container although it kept to its limit, or has none: the node as a whole had no memory left, and this container was what it chose.",
			Confirm: "`kubectl describe node NODE`: SystemOOM events, MemoryPressure, and how much is promised; `kubectl top pods -A --sort-by=memory` finds the neighbour that takes most.",
			Mend:    "Give every container a memory request that it really uses, so that the scheduler does not put too much on one node, and limits to those that grow.",
			Source:  "kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction (node out of memory behaviour)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil || t.ExitCode != 137 && t.Reason != "OOMKilled" || probeKilled(c).killed {
				return nil
			}
			node := c.Spec.NodeName
			var proof []diagnose.Evidence
			kills := 0
			for _, e := range c.EventsOf("Node", "", node) {
				if (e.Reason == "SystemOOM" || e.Reason == "OOMKilling") && near(e, t, time.Minute) {
					kills += max(int(e.Count), 1)
					proof = append(proof, e.Cite())
				}
			}
			if n := c.Node(); n != nil {
				for _, cond := range n.Status.Conditions {
					if cond.Type == corev1.NodeMemoryPressure && cond.Status == corev1.ConditionTrue {
						proof = append(proof, diagnose.Evidence{Source: "Node " + n.Name + " status.conditions[MemoryPressure]", Text: cond.Message})
					}
				}
			}
			_, limited := memoryLimit(c)
			if t.Reason == "OOMKilled" && limited || t.Reason != "OOMKilled" && len(proof) == 0 {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 40, Evidence: append(c.CiteLast(), proof...)}
			if u, ok := c.NodeUsage(node); ok && !u.Memory.IsZero() {
				text := diagnose.Bytes(u.Memory)
				if n := c.Node(); n != nil && !n.Status.Allocatable.Memory().IsZero() {
					text += " of " + diagnose.Bytes(*n.Status.Allocatable.Memory())
				}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "metrics of node " + node, Text: "memory " + text + " at " + u.At.UTC().Format("15:04:05 MST")})
			}
			f.Root = "Node//" + node
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "ran out of memory"}}
			f.Summary = fmt.Sprintf("%s is killed because its node %s ran out of memory", c.Who(), node)
			if !limited {
				f.Summary += "; it has no memory limit of its own"
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: "none"})
				if len(proof) == 0 {
					f.Confidence = diagnose.Likely
				}
			}
			if t.Reason != "OOMKilled" && kills < int(c.Status.RestartCount) {
				// The kernel killed something on the node, less often than this container ended. The kubelet tells of old kills, too, when it starts.
				f.Confidence = diagnose.Likely
			}
			f.Advice = "Set memory requests to what is really used, and find what takes the node's memory"
			f.Unchanged = len(proof) > 0
			f.Fixes = []diagnose.Fix{{Title: "See what takes the memory", Command: "kubectl top pods -A --sort-by=memory"}, {Title: "See what is promised on the node", Command: diagnose.Kubectl("", "describe", "node", node)}}
			return []diagnose.Finding{f}
		},
	}
}

// near says that an event is of the time in which a run ended, or that one of the two does not tell its time.
func near(e diagnose.Event, t *corev1.ContainerStateTerminated, within time.Duration) bool {
	return e.Last.IsZero() || t.FinishedAt.IsZero() || e.Last.Sub(t.FinishedAt.Time).Abs() < within
}
