package diagnose

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// nodeChanges returns what happened to the node right before the first crash, where the cause is one that a node can bring about.
func (c *Case) nodeChanges(f *Finding, first time.Time) []candidate {
	weight := bearsWell
	switch {
	case f.elsewhere != nil:
		return nil
	case strings.HasPrefix(f.Root, "Node//"):
		weight = bearsDirectly
	case f.Cause == "node.unschedulable":
		return c.taintedNodes(first)
	case strings.HasPrefix(f.Cause, "node."):
	default:
		switch f.Cause {
		case "resources.oom-node", "resources.evicted", "resources.too-many-files", "image.exec-format", "volume.host-path", "volume.mount-failed", "component.cni-ip-exhausted", "app.segfault":
		default:
			return nil
		}
	}
	n := c.Node()
	if n == nil {
		return nil
	}
	object := "Node//" + n.Name
	var out []candidate
	add := func(at time.Time, within time.Duration, says string) {
		if !at.IsZero() && !at.After(first) && first.Sub(at) <= within {
			out = append(out, candidate{Change: Change{Object: object, At: at.UTC(), Says: says + howLong(at, first)}, weight: weight})
		}
	}
	if w := c.Workload(); w != nil && n.CreationTimestamp.After(w.GetCreationTimestamp().Time) {
		add(n.CreationTimestamp.Time, changeWindow, "node "+n.Name+" joined the cluster"+c.differs(n))
	}
	for _, e := range c.EventsOf("Node", "", n.Name) {
		switch e.Reason {
		case "Rebooted":
			add(e.First, nearWindow, "node "+n.Name+" was rebooted")
		case "NodeNotReady":
			add(e.First, nearWindow, "node "+n.Name+" stopped being ready")
		}
	}
	for _, cond := range n.Status.Conditions {
		bad := cond.Status == corev1.ConditionTrue
		if cond.Type == corev1.NodeReady {
			bad = cond.Status != corev1.ConditionTrue
		}
		if bad && f.Cause != "resources.evicted" && f.Cause != "node.not-ready" { // where the condition is the cause itself it is no change before it
			add(cond.LastTransitionTime.Time, nearWindow, fmt.Sprintf("node %s: condition %s became %s", n.Name, cond.Type, cond.Status))
		}
	}
	return out
}

// differs says how a node differs from the others in what programs may feel.
func (c *Case) differs(n *corev1.Node) string {
	count := map[string]int{}
	values := func(n *corev1.Node) [3]string {
		i := n.Status.NodeInfo
		return [3]string{"kubelet " + i.KubeletVersion, "kernel " + i.KernelVersion, "architecture " + i.Architecture}
	}
	others := 0
	for other := range typed[*corev1.Node](c, Nodes, "") {
		if other.Name == n.Name {
			continue
		}
		others++
		for _, v := range values(other) {
			count[v]++
		}
	}
	var out []string
	for _, v := range values(n) {
		if others > 0 && count[v] == 0 && !strings.HasSuffix(v, " ") {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ", as the only one with " + strings.Join(out, ", ")
}

// taintedNodes names a node that was closed to pods right before one found no place.
func (c *Case) taintedNodes(first time.Time) []candidate {
	var out []candidate
	for n := range typed[*corev1.Node](c, Nodes, "") {
		for _, t := range n.Spec.Taints {
			if t.TimeAdded == nil || t.TimeAdded.After(first) || first.Sub(t.TimeAdded.Time) > nearWindow || t.Effect == corev1.TaintEffectPreferNoSchedule {
				continue
			}
			says := "node " + n.Name + " got the taint " + t.Key
			if t.Key == corev1.TaintNodeUnschedulable {
				says = "node " + n.Name + " was cordoned"
			}
			out = append(out, candidate{Change: Change{Object: "Node//" + n.Name, At: t.TimeAdded.UTC(), Says: says + howLong(t.TimeAdded.Time, first)}, weight: bearsWell})
		}
	}
	return out
}
