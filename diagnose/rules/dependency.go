package rules

import "crashloop/diagnose"

// chained is a rule that only ends of chains can match: the engine follows the addresses that a log names.
func chained(id, title string, doc diagnose.Doc) diagnose.Rule {
	return diagnose.Rule{
		ID: id, Category: "dependency", Title: title, Doc: doc,
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding { return dependencies(c, id) },
	}
}

func dependencyNoEndpoints() diagnose.Rule {
	return chained("dependency.no-endpoints", "A Service that it needs has no ready endpoint", diagnose.Doc{
		Means:   "The program is healthy, but the Service that it connects to leads nowhere: no pod is selected, or its workload is scaled to zero. When the pods are there and something deeper keeps them from serving, that is named as the cause instead, and this stands in the chain.",
		Confirm: "`kubectl get endpointslices -l kubernetes.io/service-name=SERVICE` shows no address; `kubectl get pods -l SELECTOR` shows what should stand behind it.",
		Mend:    "Bring the pods behind the Service up. The crashing workload recovers by itself at its next start.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service, .../endpoint-slices",
	})
}

func dependencyServiceMissing() diagnose.Rule {
	return chained("dependency.service-missing", "A Service that it needs does not exist", diagnose.Doc{
		Means:   "The program looks for a host whose name does not resolve, and there is no Service of that name in its namespace. Short names only find Services of the pod's own namespace.",
		Confirm: "`kubectl get services` in the pod's namespace, and `kubectl get services -A | grep NAME` for others.",
		Mend:    "Create the Service, correct the host in the program's configuration, or use NAME.NAMESPACE for a Service of another namespace.",
		Source:  "kubernetes.io/docs/concepts/services-networking/dns-pod-service",
	})
}

func dependencyPodPending() diagnose.Rule {
	return chained("dependency.pod-pending", "What it depends on has no node", diagnose.Doc{
		Means:   "The Service that the program connects to has only pods that are Pending: the scheduler finds no node for them. When a missing or unbound claim is the reason, that is named as the cause.",
		Confirm: "`kubectl get pods -l SELECTOR` shows them Pending; `kubectl describe pod POD` gives the scheduler's reason in FailedScheduling.",
		Mend:    "Make room or lift what keeps the pods away: requests, taints, affinity, claims.",
		Source:  "kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler",
	})
}

func dependencyCrashLooping() diagnose.Rule {
	return chained("dependency.crash-looping", "What it depends on crash-loops itself", diagnose.Doc{
		Means:   "The program fails because the workload behind the Service that it connects to crash-loops. That workload's own diagnosis is the root; this failure is a symptom of it.",
		Confirm: "`kubectl get pods -l SELECTOR` shows the dependency restarting.",
		Mend:    "Mend the dependency first; this workload recovers by itself at its next start.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service",
	})
}

func dependencySelectorMismatch() diagnose.Rule {
	return chained("dependency.selector-mismatch", "A Service selects labels that its pods do not carry", diagnose.Doc{
		Means:   "The Service that the program connects to selects no pod, while pods with nearly the same labels run. A label was renamed or misspelt on one side.",
		Confirm: "`kubectl get service SERVICE -o jsonpath='{.spec.selector}'` against `kubectl get pods --show-labels`.",
		Mend:    "Make the Service's selector and the labels of the pod template agree.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service",
	})
}

func dependencyWrongPort() diagnose.Rule {
	return chained("dependency.wrong-port", "It asks a Service on a port that the Service does not serve", diagnose.Doc{
		Means:   "The Service that the program connects to has ready pods, but does not serve the port that the program uses, or sends it to a port on which the pods do not listen. Both read as a refused connection.",
		Confirm: "`kubectl get service SERVICE -o yaml` (ports, targetPort) against the port in the program's log and the containerPorts of the pods.",
		Mend:    "Use the port that the Service serves, or correct the Service's port or targetPort.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service",
	})
}

func dependencyNotReady() diagnose.Rule {
	return chained("dependency.not-ready", "What it depends on runs but is not ready", diagnose.Doc{
		Means:   "The pods behind the Service that the program connects to run, but their readiness probes fail, so that the Service sends nothing to them; or they became ready only after the program had given up.",
		Confirm: "`kubectl get pods -l SELECTOR` shows 0/1 ready; `kubectl describe pod POD` quotes the readiness probe.",
		Mend:    "See why the dependency is not ready. Programs should wait for what they need and try again, rather than end.",
		Source:  "kubernetes.io/docs/concepts/workloads/pods/probes",
	})
}

func dependencyExternal() diagnose.Rule {
	return chained("dependency.external", "A host outside the cluster does not answer", diagnose.Doc{
		Means:   "The program needs a host that is no Service of the cluster, or one that a Service of type ExternalName stands for, and cannot reach it. The cluster's own objects end here.",
		Confirm: "From a pod in the same namespace: `nc -vz HOST PORT`, `nslookup HOST`.",
		Mend:    "Check the host itself, its name in the configuration, and what stands between: egress policies, proxies, firewalls, security groups.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service (ExternalName)",
	})
}

func dependencyNetworkPolicy() diagnose.Rule {
	return chained("dependency.network-policy", "A NetworkPolicy keeps it from what it depends on", diagnose.Doc{
		Means:   "The connection is not refused but gets no answer, although the Service has ready pods: a NetworkPolicy selects one of the two sides and no rule allows the other.",
		Confirm: "`kubectl get networkpolicy` in both namespaces; `kubectl describe networkpolicy NAME`.",
		Mend:    "Add a rule that allows the traffic: from the client's labels to the server's port, and out of the client's namespace if its egress is restricted, DNS included.",
		Source:  "kubernetes.io/docs/concepts/services-networking/network-policies",
	})
}
