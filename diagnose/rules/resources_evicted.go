package rules

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func resourcesEvicted() diagnose.Rule {
	re := regexp.MustCompile(`(?is)low on resource: (?P<resource>[\w./-]+)|(?P<pressure>DiskPressure|MemoryPressure|PIDPressure)`)
	return diagnose.Rule{
		ID: "resources.evicted", Category: "resource-limits", Title: "Its node evicts it for lack of memory, disk or processes",
		Doc: diagnose.Doc{
			Means:   "The node ran low on memory, disk or process ids, and the kubelet evicted pods to protect it, first those that use more than they requested.",
			Confirm: "`kubectl describe pod POD`: Reason Evicted, and which resource the node was low on; `kubectl describe node NODE` shows the pressure.",
			Mend:    "Request what is really used, so that the pod is not first in line and the node is not overfilled; free the node's disk; look for the neighbour that takes it.",
			Source:  "kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := evictedSays(c, re)
			if !ok {
				s, g, ok = evictedSays(c, nil)
			}
			if !ok || c.Pod == nil || c.Pod.Status.Reason != "Evicted" && c.Last() != nil && ran(c.Last()) {
				return nil
			}
			f := fromStatement(s)
			f.Weight = 30
			resource := firstOf(g["resource"], strings.ToLower(strings.TrimSuffix(g["pressure"], "Pressure")), "a resource")
			node := c.Spec.NodeName
			for _, p := range c.Siblings() {
				if node == "" && p.Status.Reason == "Evicted" {
					node = p.Spec.NodeName
				}
			}
			f.Summary = fmt.Sprintf("%s is evicted: node %s is low on %s", c.Who(), firstOf(node, "of its own"), resource)
			f.Advice = "Set requests to what it really uses, and see what fills the node"
			if q := c.Pod.Status.QOSClass; q != "" {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "status.qosClass", Text: string(q)})
				if q == corev1.PodQOSBestEffort {
					f.Advice = "It requests nothing (BestEffort) and so goes first: set requests, and see what fills the node"
				}
			}
			if node != "" {
				f.Root = "Node//" + node
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is low on " + resource}}
			}
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "See the node's pressure and what is on it", Command: diagnose.Kubectl("", "describe", "node", node)}}
			return []diagnose.Finding{f}
		},
	}
}
