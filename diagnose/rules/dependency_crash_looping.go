package rules

import (
	"crashloop/diagnose"
)

func dependencyCrashLooping() diagnose.Rule {
	return chained("dependency.crash-looping", "What it depends on crash-loops itself", diagnose.Doc{
		Means:   "The program fails because the workload behind the Service that it connects to crash-loops. That workload's own diagnosis is the root; this failure is a symptom of it.",
		Confirm: "`kubectl get pods -l SELECTOR` shows the dependency restarting.",
		Mend:    "Mend the dependency first; this workload recovers by itself at its next start.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service",
	})
}
