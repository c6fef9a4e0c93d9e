package rules

import (
	"fmt"

	"crashloop/diagnose"
)

func componentCNIIPExhausted() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.cni-ip-exhausted", Category: "component", Title: "There are no IP addresses left for pods",
		Doc: diagnose.Doc{
			Means:   "The network plugin has no address to give to the pod: the subnet or the pool is used up, or the node may hold no more.",
			Confirm: "`kubectl describe pod POD`: FailedCreatePodSandBox with \"failed to assign an IP address\" or \"no available IP addresses\"; the plugin's log says the same.",
			Mend:    "Add a subnet or a larger pool, use prefix delegation where the plugin has it, or remove addresses that leaked. Fewer pods per node is a quick relief.",
			Source:  "github.com/aws/amazon-vpc-cni-k8s, docs.tigera.io (IP pools), learn.microsoft.com Azure CNI, host-local IPAM",
		},
		Log: []diagnose.Pattern{{Words: []string{"no available ip", "failed to assign an ip address", "no ip addresses available", "insufficientfreeaddresses", "no free ip", "no more ips", "ip address pool", "no addresses available", "unable to allocate ip", "ipam", "pod cidr not assigned"}, Regexp: `(?i)no (?:available|free|more) ip|failed to assign an ip address|no ip addresses available|InsufficientFreeAddresses|no addresses available|(?:pool|subnet|range).{0,40}(?:exhausted|full|used up)|unable to allocate ip|node "(?P<node>[^"]+)" pod cidr not assigned`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			for _, s := range statements(c) {
				if s.reason == "FailedCreatePodSandBox" && exhausted(s.text) {
					f := fromStatement(s)
					f.Weight = 30
					node := c.Spec.NodeName
					f.Summary = fmt.Sprintf("%s cannot start: the network plugin has no IP address left for it on node %s", c.Who(), node)
					f.Advice = "Give the plugin more addresses: another subnet, a larger pool, or prefixes"
					if node != "" {
						f.Root = "Node//" + node
						f.Chain = []diagnose.Link{{Object: f.Root, Says: "has no IP address left for pods"}}
					}
					f.Unchanged = true
					unwell, _ := pluginPods(c)
					f.Evidence = append(f.Evidence, unwell...)
					f.Fixes = []diagnose.Fix{{Title: "Count the pods on the node", Command: diagnose.Kubectl("", "get", "pods", "-A", "--field-selector=spec.nodeName="+node)}}
					return []diagnose.Finding{f}
				}
			}
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Weight = 40
			if node := h.Group("node"); node != "" {
				f.Confidence, f.Root = diagnose.Possible, "Node//"+node
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "has no range of pod addresses (spec.podCIDR)"}}
				f.Summary = fmt.Sprintf("%s ends because node %s was given no range of pod addresses", c.Who(), node)
				f.Advice = "See whether the controller manager hands out ranges (--allocate-node-cidrs, --cluster-cidr), and whether the cluster's range is used up"
				for _, e := range c.EventsOf("Node", "", node) {
					if e.Reason == "CIDRNotAvailable" {
						f.Confidence, f.Proof = diagnose.Certain, diagnose.Structural
						f.Advice = "The cluster's range is used up: a larger --cluster-cidr, a smaller range per node, or fewer nodes"
						f.Evidence = append(f.Evidence, e.Cite())
					}
				}
				f.Fixes = []diagnose.Fix{{Title: "See which nodes have a range", Command: "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDR"}}
				return []diagnose.Finding{f}
			}
			f.Summary = fmt.Sprintf("%s has no IP addresses left to give: %s", c.Who(), inSentence(h, 160))
			f.Advice = "Add a subnet or a larger pool"
			f.Fixes = []diagnose.Fix{{Title: "See its log", Command: previousLog(c)}}
			return []diagnose.Finding{f}
		},
	}
}
