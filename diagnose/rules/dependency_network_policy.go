package rules

import (
	"crashloop/diagnose"
)

func dependencyNetworkPolicy() diagnose.Rule {
	return chained("dependency.network-policy", "A NetworkPolicy keeps it from what it depends on", diagnose.Doc{
		Means:   "The connection is not refused but gets no answer, although the Service has ready pods: a NetworkPolicy selects one of the two sides and no rule allows the other.",
		Confirm: "`kubectl get networkpolicy` in both namespaces; `kubectl describe networkpolicy NAME`.",
		Mend:    "Add a rule that allows the traffic: from the client's labels to the server's port, and out of the client's namespace if its egress is restricted, DNS included.",
		Source:  "kubernetes.io/docs/concepts/services-networking/network-policies",
	})
}
