package rules

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func nodeBadNode() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.bad-node", Category: "node", Title: "Only the replicas on one node crash",
		Doc: diagnose.Doc{
			Means:   "The same template runs well on other nodes and crashes on this one: something is wrong with the node - a disk, the network, the runtime, a driver.",
			Confirm: "`kubectl get pods -o wide -l SELECTOR`: those that crash share a node. `kubectl describe node NODE` shows its conditions.",
			Mend:    "`kubectl cordon NODE`, delete the pods there so that they start elsewhere, and then look into the node.",
			Source:  "kubernetes.io/docs/tasks/administer-cluster/safely-drain-node",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			node := c.Spec.NodeName
			if node == "" || c.Pod == nil || c.Subject.Kind() == "Pod" {
				return nil
			}
			good, bad, here := 0, 1, 1
			otherNodes := map[string]bool{}
			for _, p := range c.Siblings() {
				if p.DeletionTimestamp != nil || p.Spec.NodeName == "" {
					continue
				}
				crashes := false
				for _, s := range p.Status.ContainerStatuses {
					crashes = crashes || s.Name == c.Subject.Container && (s.RestartCount > 1 || !s.Ready && s.State.Running == nil)
				}
				switch {
				case crashes && p.Spec.NodeName == node:
					bad++
					here++
				case crashes:
					return nil // it crashes elsewhere too
				case p.Spec.NodeName == node:
					return nil // another one is well here
				default:
					good++
					otherNodes[p.Spec.NodeName] = true
				}
			}
			if good < 2 || len(otherNodes) < 2 {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Messenger, Weight: 80, Root: "Node//" + node}
			if bad == 1 {
				f.Weight, f.Confidence = 20, diagnose.Possible
			}
			f.Summary = fmt.Sprintf("%s crashes only on node %s (%d of %d pods); %d others run well on %d other nodes", c.Who(), node, here, good+bad, good, len(otherNodes))
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "is the only node on which it crashes"}}
			if n := c.Node(); n != nil {
				for _, cond := range n.Status.Conditions {
					if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue || cond.Type != corev1.NodeReady && cond.Status == corev1.ConditionTrue {
						f.Weight += 60
						f.Confidence = diagnose.Likely
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Node " + node + " status.conditions[" + string(cond.Type) + "]", Text: string(cond.Status) + ": " + cond.Message})
					}
				}
			}
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "pods of " + c.Subject.Workload, Text: fmt.Sprintf("%d crash on %s, %d run on %d other nodes", bad, node, good, len(otherNodes))})
			f.Advice = "Take the node out of use and let the pod start elsewhere"
			f.Settle = "Whether it runs on another node."
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "Put no more pods on the node", Command: diagnose.Kubectl("", "cordon", node)}}
			if kind := c.Subject.Kind(); kind != "DaemonSet" && kind != "Pod" { // which would come back to the same node, or not at all
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Let the pod start elsewhere", Command: c.Kubectl("delete", "pod", c.Subject.Pod)})
			}
			return []diagnose.Finding{f}
		},
	}
}
