package rules

import (
	"crashloop/diagnose"
)

func dependencySelectorMismatch() diagnose.Rule {
	return chained("dependency.selector-mismatch", "A Service selects labels that its pods do not carry", diagnose.Doc{
		Means:   "The Service that the program connects to selects no pod, while pods with nearly the same labels run. A label was renamed or misspelt on one side.",
		Confirm: "`kubectl get service SERVICE -o jsonpath='{.spec.selector}'` against `kubectl get pods --show-labels`.",
		Mend:    "Make the Service's selector and the labels of the pod template agree.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service",
	})
}
