package rules

import (
	"crashloop/diagnose"
)

func dependencyServiceMissing() diagnose.Rule {
	return chained("dependency.service-missing", "A Service that it needs does not exist", diagnose.Doc{
		Means:   "The program looks for a host whose name does not resolve, and there is no Service of that name in its namespace. Short names only find Services of the pod's own namespace.",
		Confirm: "`kubectl get services` in the pod's namespace, and `kubectl get services -A | grep NAME` for others.",
		Mend:    "Create the Service, correct the host in the program's configuration, or use NAME.NAMESPACE for a Service of another namespace.",
		Source:  "kubernetes.io/docs/concepts/services-networking/dns-pod-service",
	})
}
