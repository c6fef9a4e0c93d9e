package rules

import (
	"fmt"

	"crashloop/diagnose"
)

func componentCoreDNSLoop() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.coredns-loop", Category: "component", Title: "CoreDNS forwards to itself and ends",
		Doc: diagnose.Doc{
			Means:   "CoreDNS found its own probe query coming back: it forwards to a name server that leads back to itself, most often because the node's resolv.conf names a local resolver (127.0.0.53).",
			Confirm: "`kubectl -n kube-system logs deploy/coredns`: \"plugin/loop: Loop ... detected\", or in older versions \"Seen HINFO IN ... more than twice\".",
			Mend:    "Forward to a real upstream: name its address in the Corefile (`forward . 1.1.1.1`), or point the kubelet's resolvConf at the real file (/run/systemd/resolve/resolv.conf).",
			Source:  "coredns.io/plugins/loop",
		},
		Log: []diagnose.Pattern{{Words: []string{"plugin/loop", "loop detected", "more than twice"}, Regexp: `plugin/loop: Loop \((?P<from>[^)]+)\) detected|Seen "?HINFO IN .* more than twice, loop detected|plugin/loop: Forwarding loop detected`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, _, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 80
			f.Summary = fmt.Sprintf("%s (CoreDNS) forwards queries to itself and ends: the node's resolv.conf points back at it", c.Who())
			f.Advice = "Forward to a real upstream instead of /etc/resolv.conf"
			f.Fixes = []diagnose.Fix{
				{Title: "Name a real upstream in the Corefile", Command: c.Kubectl("edit", "configmap", "coredns")},
				{Title: "Or give the kubelet the real resolv.conf", Patch: "resolvConf: /run/systemd/resolve/resolv.conf\n"},
			}
			return []diagnose.Finding{f}
		},
	}
}
