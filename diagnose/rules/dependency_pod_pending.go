package rules

import (
	"crashloop/diagnose"
)

func dependencyPodPending() diagnose.Rule {
	return chained("dependency.pod-pending", "What it depends on has no node", diagnose.Doc{
		Means:   "The Service that the program connects to has only pods that are Pending: the scheduler finds no node for them. When a missing or unbound claim is the reason, that is named as the cause.",
		Confirm: "`kubectl get pods -l SELECTOR` shows them Pending; `kubectl describe pod POD` gives the scheduler's reason in FailedScheduling.",
		Mend:    "Make room or lift what keeps the pods away: requests, taints, affinity, claims.",
		Source:  "kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler",
	})
}
