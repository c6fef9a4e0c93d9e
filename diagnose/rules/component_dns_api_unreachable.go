package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func componentDNSAPIUnreachable() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.dns-api-unreachable", Category: "component", Title: "The cluster's DNS cannot reach the API server",
		Doc: diagnose.Doc{
			Means:   "CoreDNS or NodeLocal DNSCache reads Services from the API server, and the connection fails. What is broken is below it: kube-proxy, the network plugin, or the API server's address.",
			Confirm: "`kubectl -n kube-system logs deploy/coredns`: \"dial tcp 10.96.0.1:443\" with a timeout or refusal; see kube-proxy's and the network plugin's pods on its node.",
			Mend:    "Mend kube-proxy or the network plugin on that node first; DNS follows by itself.",
			Source:  "coredns.io/plugins/kubernetes",
		},
		Log: []diagnose.Pattern{{Words: []string{"dial tcp", "kubernetes api", "plugin/kubernetes", "failed to list", "waiting for kubernetes"}, Regexp: `(?i)dial tcp \S+:(?:443|6443|8443|16443): (?:i/o timeout|connect: \w[\w ]+)|(?:failed to (?:list|watch)|waiting for kubernetes api|kubernetes api connection failure|unable to connect to .*api)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			id := strings.ToLower(c.Subject.Name() + " " + c.Subject.Container + " " + image(c))
			if !strings.Contains(id, "coredns") && !strings.Contains(id, "nodelocaldns") && !strings.Contains(id, "node-cache") && !strings.Contains(id, "kube-dns") && !strings.Contains(id, "dnscache") {
				return nil
			}
			if len(hits) == 0 {
				return nil
			}
			h := hits[len(hits)-1]
			f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
			f.Weight = 60
			if probeKilled(c).killed || probeKilled(c).likely {
				f.Proof = diagnose.Structural
			}
			f.Summary = fmt.Sprintf("%s, the cluster's DNS, cannot reach the API server: %s", c.Who(), inSentence(h, 160))
			f.Advice = "Look at kube-proxy and the network plugin on its node first"
			unwell, _ := pluginPods(c)
			f.Evidence = append(f.Evidence, unwell...)
			f.Fixes = []diagnose.Fix{{Title: "See kube-proxy and the network plugin", Command: "kubectl -n kube-system get pods -o wide"}}
			return []diagnose.Finding{f}
		},
	}
}
