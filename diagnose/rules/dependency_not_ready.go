package rules

import (
	"crashloop/diagnose"
)

func dependencyNotReady() diagnose.Rule {
	return chained("dependency.not-ready", "What it depends on runs but is not ready", diagnose.Doc{
		Means:   "The pods behind the Service that the program connects to run, but their readiness probes fail, so that the Service sends nothing to them; or they became ready only after the program had given up.",
		Confirm: "`kubectl get pods -l SELECTOR` shows 0/1 ready; `kubectl describe pod POD` quotes the readiness probe.",
		Mend:    "See why the dependency is not ready. Programs should wait for what they need and try again, rather than end.",
		Source:  "kubernetes.io/docs/concepts/workloads/pods/probes",
	})
}
