package rules

import (
	"crashloop/diagnose"
)

func dependencyNoEndpoints() diagnose.Rule {
	return chained("dependency.no-endpoints", "A Service that it needs has no ready endpoint", diagnose.Doc{
		Means:   "The program is healthy, but the Service that it connects to leads nowhere: no pod is selected, or its workload is scaled to zero. When the pods are there and something deeper keeps them from serving, that is named as the cause instead, and this stands in the chain.",
		Confirm: "`kubectl get endpointslices -l kubernetes.io/service-name=SERVICE` shows no address; `kubectl get pods -l SELECTOR` shows what should stand behind it.",
		Mend:    "Bring the pods behind the Service up. The crashing workload recovers by itself at its next start.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service, .../endpoint-slices",
	})
}
