package rules

import (
	"crashloop/diagnose"
)

func dependencyWrongPort() diagnose.Rule {
	return chained("dependency.wrong-port", "It asks a Service on a port that the Service does not serve", diagnose.Doc{
		Means:   "The Service that the program connects to has ready pods, but does not serve the port that the program uses, or sends it to a port on which the pods do not listen. Both read as a refused connection.",
		Confirm: "`kubectl get service SERVICE -o yaml` (ports, targetPort) against the port in the program's log and the containerPorts of the pods.",
		Mend:    "Use the port that the Service serves, or correct the Service's port or targetPort.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service",
	})
}
