package rules

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func nodeNotReady() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.not-ready", Category: "node", Title: "Its node went away or was restarted",
		Doc: diagnose.Doc{
			Means:   "The container ended because its node rebooted, lost its kubelet or the network, not because of the program: the kubelet found it gone (exit code 255, reason Unknown or ContainerStatusUnknown).",
			Confirm: "`kubectl describe node NODE`: conditions, and the events NodeNotReady and Rebooted; `kubectl get pod POD -o yaml` shows reason Unknown.",
			Mend:    "Find out why the node goes away: its own log, its cloud's events, memory pressure.",
			Source:  "kubernetes.io/docs/concepts/architecture/nodes; k8s.io/kubernetes/pkg/kubelet (ContainerStatusUnknown)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if c.Pod == nil || c.Spec.NodeName == "" {
				return nil
			}
			node := c.Spec.NodeName
			lost := c.Pod.Status.Reason == "NodeLost" || t != nil && (t.Reason == "ContainerStatusUnknown" || t.Reason == "Unknown")
			var proof []diagnose.Evidence
			for _, e := range c.EventsOf("Node", "", node) {
				if (e.Reason == "NodeNotReady" || e.Reason == "Rebooted" || e.Reason == "Starting") && (t == nil || near(e, t, 5*time.Minute)) {
					proof = append(proof, e.Cite())
				}
			}
			for _, e := range c.Events() {
				if e.Reason == "NodeNotReady" {
					proof = append(proof, e.Cite())
				}
			}
			down := false
			if n := c.Node(); n != nil {
				for _, cond := range n.Status.Conditions {
					if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue {
						down = true
						proof = append(proof, diagnose.Evidence{Source: "Node " + node + " status.conditions[Ready]", Text: string(cond.Status) + ": " + cond.Message})
					}
				}
			}
			if !lost && !(t != nil && t.ExitCode == 255 && len(proof) > 0) {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Structural, Root: "Node//" + node, Evidence: append(c.CiteLast(), proof...)}
			if len(proof) > 0 {
				f.Confidence = diagnose.Certain
			}
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "went away or was restarted"}}
			f.Summary = fmt.Sprintf("%s ended because its node %s went away or was restarted", c.Who(), node)
			if down {
				f.Summary = fmt.Sprintf("%s ended because its node %s is not ready", c.Who(), node)
			}
			f.Advice = "Find out why the node goes away; the program is not at fault"
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "See the node's conditions and events", Command: diagnose.Kubectl("", "describe", "node", node)}}
			return []diagnose.Finding{f}
		},
	}
}
