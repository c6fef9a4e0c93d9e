package diagnose

// The kinds that rules ask for. Each is a constant value in all but name: nothing writes to them.
var (
	Pods                   = Kind{"", "v1", "Pod", "pods", true}
	Events                 = Kind{"", "v1", "Event", "events", true}
	Services               = Kind{"", "v1", "Service", "services", true}
	ConfigMaps             = Kind{"", "v1", "ConfigMap", "configmaps", true}
	Secrets                = Kind{"", "v1", "Secret", "secrets", true} // names and keys only, and only where opted in
	PersistentVolumeClaims = Kind{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true}
	PersistentVolumes      = Kind{"", "v1", "PersistentVolume", "persistentvolumes", false}
	ServiceAccounts        = Kind{"", "v1", "ServiceAccount", "serviceaccounts", true}
	ResourceQuotas         = Kind{"", "v1", "ResourceQuota", "resourcequotas", true}
	LimitRanges            = Kind{"", "v1", "LimitRange", "limitranges", true}
	Nodes                  = Kind{"", "v1", "Node", "nodes", false}
	Namespaces             = Kind{"", "v1", "Namespace", "namespaces", false}

	Deployments         = Kind{"apps", "v1", "Deployment", "deployments", true}
	ReplicaSets         = Kind{"apps", "v1", "ReplicaSet", "replicasets", true}
	StatefulSets        = Kind{"apps", "v1", "StatefulSet", "statefulsets", true}
	DaemonSets          = Kind{"apps", "v1", "DaemonSet", "daemonsets", true}
	ControllerRevisions = Kind{"apps", "v1", "ControllerRevision", "controllerrevisions", true}
	Jobs                = Kind{"batch", "v1", "Job", "jobs", true}
	CronJobs            = Kind{"batch", "v1", "CronJob", "cronjobs", true}

	EndpointSlices           = Kind{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true}
	NetworkPolicies          = Kind{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true}
	Ingresses                = Kind{"networking.k8s.io", "v1", "Ingress", "ingresses", true}
	StorageClasses           = Kind{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false}
	HorizontalPodAutoscalers = Kind{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true}
	PodMetrics               = Kind{"metrics.k8s.io", "v1beta1", "PodMetrics", "pods", true}
	NodeMetrics              = Kind{"metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", false}

	ValidatingWebhooks = Kind{"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false}
	MutatingWebhooks   = Kind{"admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false}

	SealedSecrets         = Kind{"bitnami.com", "v1alpha1", "SealedSecret", "sealedsecrets", true}
	ExternalSecrets       = Kind{"external-secrets.io", "v1", "ExternalSecret", "externalsecrets", true}
	SecretStores          = Kind{"external-secrets.io", "v1", "SecretStore", "secretstores", true}
	ClusterSecretStores   = Kind{"external-secrets.io", "v1", "ClusterSecretStore", "clustersecretstores", false}
	SecretProviderClasses = Kind{"secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass", "secretproviderclasses", true}
	Certificates          = Kind{"cert-manager.io", "v1", "Certificate", "certificates", true}
	CertificateRequests   = Kind{"cert-manager.io", "v1", "CertificateRequest", "certificaterequests", true}
	Issuers               = Kind{"cert-manager.io", "v1", "Issuer", "issuers", true}
	ClusterIssuers        = Kind{"cert-manager.io", "v1", "ClusterIssuer", "clusterissuers", false}
	Orders                = Kind{"acme.cert-manager.io", "v1", "Order", "orders", true}
	Challenges            = Kind{"acme.cert-manager.io", "v1", "Challenge", "challenges", true}
)

// Kinds lists every kind that a diagnosis may ask a View for. deploy's ClusterRole grants get and list on each but Secrets.
func Kinds() []Kind {
	return []Kind{
		Pods, Events, Services, ConfigMaps, Secrets, PersistentVolumeClaims, PersistentVolumes, ServiceAccounts, ResourceQuotas, LimitRanges, Nodes, Namespaces,
		Deployments, ReplicaSets, StatefulSets, DaemonSets, ControllerRevisions, Jobs, CronJobs,
		EndpointSlices, NetworkPolicies, Ingresses, StorageClasses, HorizontalPodAutoscalers, PodMetrics, NodeMetrics,
		ValidatingWebhooks, MutatingWebhooks, SealedSecrets, ExternalSecrets, SecretStores, ClusterSecretStores, SecretProviderClasses,
		Certificates, CertificateRequests, Issuers, ClusterIssuers, Orders, Challenges,
	}
}
