package rules

import (
	"crashloop/diagnose"
)

func dependencyExternal() diagnose.Rule {
	return chained("dependency.external", "A host outside the cluster does not answer", diagnose.Doc{
		Means:   "The program needs a host that is no Service of the cluster, or one that a Service of type ExternalName stands for, and cannot reach it. The cluster's own objects end here.",
		Confirm: "From a pod in the same namespace: `nc -vz HOST PORT`, `nslookup HOST`.",
		Mend:    "Check the host itself, its name in the configuration, and what stands between: egress policies, proxies, firewalls, security groups.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service (ExternalName)",
	})
}
