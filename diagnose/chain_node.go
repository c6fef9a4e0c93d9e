package diagnose

import (
	"fmt"
	corev1 "k8s.io/api/core/v1"
)

// lostNode returns the node of a pod when it is not ready, and nil otherwise: the pod's own status is then only what was last heard of it.
func (c *Case) lostNode(p *corev1.Pod) (*corev1.Node, corev1.NodeCondition) {
	n := c.node(p.Spec.NodeName)
	if n == nil {
		return nil, corev1.NodeCondition{}
	}
	for _, cond := range n.Status.Conditions {
		if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue {
			return n, cond
		}
	}
	return nil, corev1.NodeCondition{}
}

// onLostNode is the finding that what the subject needs stands on a node that went away.
func (c *Case) onLostNode(a Address, h Hit, f Finding, p *corev1.Pod) (Finding, bool) {
	n, ready := c.lostNode(p)
	if n == nil {
		return Finding{}, false
	}
	subject, _ := c.subjectOf(p)
	f.Cause, f.Root, f.Proof, f.Confidence = "node.not-ready", "Node//"+n.Name, Corroborated, Certain
	if last := c.Last(); last != nil && ready.LastTransitionTime.After(last.FinishedAt.Time) {
		f.Confidence = Possible // it went away later
	}
	says := "is not ready"
	if !ready.LastTransitionTime.IsZero() {
		says += " since " + Duration(c.Now.Sub(ready.LastTransitionTime.Time))
	}
	if f.Chain = append(f.Chain, Link{objectOf(subject), "its pod " + p.Name + " is on node " + n.Name}, Link{f.Root, says}); p.DeletionTimestamp != nil {
		f.Chain[len(f.Chain)-2].Says += ", and cannot be seen to end there"
	}
	f.Summary = fmt.Sprintf("%s: pod %s/%s is on node %s, which %s", couldNot(c, a, h.Pattern), p.Namespace, p.Name, n.Name, says)
	f.Advice = "Find out what happened to the node and bring it back"
	if subject.Kind() == "StatefulSet" {
		f.Advice += "; a StatefulSet's pod is not replaced elsewhere before the node is back or is removed from the cluster"
	}
	f.Evidence = append(f.Evidence, Evidence{"Node " + n.Name + " status.conditions[Ready]", string(ready.Status) + ": " + ready.Message})
	f.Fixes = []Fix{{Title: "See the node's conditions and events", Command: Kubectl("", "describe", "node", n.Name)}}
	f.Unchanged = true
	return f, true
}
