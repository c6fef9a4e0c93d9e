package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// seesServices says that what a View does not hold of a namespace's Services is not there. A capture of other things may lack the Services
// altogether.
func (c *Case) seesServices(namespace string) bool {
	services, _ := c.List(Services, "")
	if len(services) == 0 {
		c.Gap("no Service at all could be seen: they may not have been captured")
		return false
	}
	if namespace == c.Subject.Namespace || slices.ContainsFunc(services, func(o Object) bool { return o.GetNamespace() != c.Subject.Namespace }) {
		return true
	}
	if o, err := c.Get(Namespaces, "", namespace); err == nil && o != nil {
		return true
	}
	c.Gap("nothing of namespace %s could be seen: it may not have been captured", namespace)
	return false
}

// unseen deals with a Service that is not in what was captured, while the failure shows that its name resolves: the workload that has its
// name most likely stands behind it.
func (c *Case) unseen(a Address, h Hit, f Finding, t serviceTarget) (Finding, bool) {
	service := "Service/" + t.namespace + "/" + t.name
	f.Chain = []Link{{service, "was not captured"}}
	var pods []*corev1.Pod
	for p := range c.pods(t.namespace) {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded {
			if _, name, _ := strings.Cut(c.workloadOf(p), "/"); name == t.name {
				pods = append(pods, p)
			}
		}
	}
	if len(pods) > 0 {
		if slices.ContainsFunc(pods, PodReady) {
			return Finding{}, false
		}
		found, ok := c.followPods(a, h, f, nil, pods)
		if ok && found.Confidence == Certain {
			found.Confidence = Likely
		}
		return found, ok
	}
	for _, kind := range []Kind{Deployments, StatefulSets} {
		o, err := c.Get(kind, t.namespace, t.name)
		if err != nil || replicas(o) != 0 {
			continue
		}
		f.Cause, f.Proof, f.Confidence, f.Root = "dependency.no-endpoints", Corroborated, Likely, kind.Kind+"/"+t.namespace+"/"+t.name
		f.Chain = append(f.Chain, Link{f.Root, "is scaled to 0 replicas"})
		f.Summary = fmt.Sprintf("%s: %s/%s is scaled to zero", couldNot(c, a, h.Pattern), kind.Kind, t.name)
		f.Advice = "Scale it up"
		f.Evidence = append(f.Evidence, Evidence{kind.Kind + "/" + t.name + " spec.replicas", "0"})
		f.Fixes = []Fix{{Title: "Scale " + t.name + " up", Command: Kubectl(t.namespace, "scale", kubectlTarget(kind.Kind+"/"+t.name), "--replicas=1")}}
		return f, true
	}
	f.Cause, f.Proof, f.Confidence, f.Root = "dependency.no-endpoints", Words, Possible, service
	f.Summary = fmt.Sprintf("%s; Service %s/%s is not in what was captured", couldNot(c, a, h.Pattern), t.namespace, t.name)
	f.Advice = "See what stands behind it"
	f.Fixes = []Fix{{Title: "See what stands behind the Service", Command: Kubectl(t.namespace, "get", "service,endpointslices,pods", "-o", "wide")}}
	return f, true
}

// otherResolver says that a name of the cluster does not resolve because the pod asks the resolver of its node, which does not know it.
func (c *Case) otherResolver(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
	policy := c.Spec.DNSPolicy
	field := "spec.dnsPolicy"
	switch {
	case policy == corev1.DNSDefault:
	case c.Spec.HostNetwork && (policy == "" || policy == corev1.DNSClusterFirst):
		policy = corev1.DNSClusterFirst
		field = "spec.hostNetwork and spec.dnsPolicy"
	default:
		return Finding{}, false
	}
	f.Cause, f.Root, f.Proof, f.Confidence = "app.invalid-config", objectOf(c.Subject), Corroborated, Likely
	f.Chain = []Link{}
	f.Summary = fmt.Sprintf("%s, although Service %s/%s is there: its pod asks the node's resolver, which knows no Services (dnsPolicy %s", couldNot(c, a, h.Pattern), s.Namespace, s.Name, policy)
	to := corev1.DNSClusterFirst
	if c.Spec.HostNetwork {
		f.Summary += " on the host's network"
		to = corev1.DNSClusterFirstWithHostNet
	}
	f.Summary += ")"
	f.Advice = fmt.Sprintf("Set dnsPolicy: %s", to)
	f.Evidence = append(f.Evidence, Evidence{field, strings.TrimSpace(map[bool]string{true: "hostNetwork: true, "}[c.Spec.HostNetwork] + "dnsPolicy: " + string(policy))})
	if c.Subject.Kind() == "Deployment" || c.Subject.Kind() == "StatefulSet" || c.Subject.Kind() == "DaemonSet" {
		f.Fixes = []Fix{{Title: "Let its pods ask the cluster's DNS", Command: c.Kubectl("patch", c.Target(), "--type=merge", "-p", fmt.Sprintf(`{"spec":{"template":{"spec":{"dnsPolicy":%q}}}}`, to))}}
	}
	return f, true
}
