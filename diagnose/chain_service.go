package diagnose

import (
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// serviceTarget is what a host's name leads to.
type serviceTarget struct {
	service         *corev1.Service
	pod             *corev1.Pod
	namespace, name string
	missing         bool // a Service of that name would be needed and is proven not to exist
	external        bool // not a name or address of the cluster
	unseen          bool // an address that may be of the cluster, of which no Service could be seen
	err             error
}

// ordinal is how the name of a StatefulSet's pod ends.
var ordinal = regexp.MustCompile(`-\d{1,3}$`)

// findService finds the Service behind a host: its short name, name.namespace, name.namespace.svc and longer, a pod's name before them,
// or a ClusterIP.
func (c *Case) findService(a Address) serviceTarget {
	if ip := net.ParseIP(a.Host); ip != nil {
		return c.findByIP(a.Host, ip)
	}
	for _, alias := range c.Spec.HostAliases {
		if slices.Contains(alias.Hostnames, a.Host) {
			return serviceTarget{external: true}
		}
	}
	labels := strings.Split(a.Host, ".")
	try := func(namespace, name string) serviceTarget {
		t := serviceTarget{namespace: namespace, name: name}
		o, err := c.Get(Services, namespace, name)
		switch {
		case err == nil:
			t.service, _ = o.(*corev1.Service)
		case errors.Is(err, ErrNotFound):
			t.missing = true
		default:
			t.err = err
		}
		return t
	}
	if i := slices.Index(labels, "svc"); i >= 2 {
		return try(labels[i-1], labels[i-2])
	}
	switch len(labels) {
	case 1:
		return try(c.Subject.Namespace, labels[0])
	case 2:
		t := try(labels[1], labels[0])
		if t.missing {
			if _, err := c.Get(Namespaces, "", labels[1]); err != nil {
				// A pod of a headless Service of this namespace, "db-0.db", or a name outside the cluster, "example.com".
				o, err := c.Get(Services, c.Subject.Namespace, labels[1])
				s, _ := o.(*corev1.Service)
				if err == nil && labels[1] == c.Subject.Namespace && (s == nil || s.Spec.ClusterIP != corev1.ClusterIPNone) {
					return t // a namespace and a Service in it that go by one name
				}
				if err == nil {
					t.service = s
					t.missing = false
					return t
				}
				t.missing, t.external = !topLevel(labels[1]), topLevel(labels[1])
				if ordinal.MatchString(labels[0]) {
					t.namespace, t.name = c.Subject.Namespace, labels[1] // a pod of a StatefulSet, by a Service that is not there
				}
			}
		}
		return t
	case 3:
		t := try(labels[2], labels[1])
		if t.service != nil || t.missing && labels[2] == c.Subject.Namespace && ordinal.MatchString(labels[0]) {
			return t // a pod of a StatefulSet, by a Service that is not there
		}
	}
	return serviceTarget{external: true}
}

// replicaName is what follows a Deployment's name in those of its pods.
var replicaName = regexp.MustCompile(`^-[0-9a-z]{6,10}-[0-9a-z]{5}$`)

// ownPodName says that a name is that of a pod of the subject, this one or an earlier one: no Service would ever have it.
func (c *Case) ownPodName(host string) bool {
	if c.Pod == nil {
		return false
	}
	rest, ok := strings.CutPrefix(host, c.Subject.Name())
	return host == strings.ToLower(c.Pod.Name) || ok && c.Subject.Kind() == "Deployment" && replicaName.MatchString(rest)
}

// topLevel says that the last label of a name is one of the internet rather than of a namespace.
func topLevel(label string) bool {
	switch label {
	case "com", "org", "net", "io", "dev", "cloud", "co", "ai", "app", "edu", "gov", "info", "de", "uk", "fr", "eu", "us", "cn", "jp", "ru", "in", "nl", "br", "local", "internal", "lan", "corp", "home", "localdomain", "invalid", "example", "test", "xyz", "me", "tv", "tech", "biz":
		return true
	}
	return false
}

func (c *Case) findByIP(host string, ip net.IP) serviceTarget {
	seen := false
	for _, namespace := range []string{c.Subject.Namespace, ""} {
		for s := range c.services(namespace) {
			seen = seen || namespace == ""
			if s.Spec.ClusterIP == host || slices.Contains(s.Spec.ClusterIPs, host) {
				return serviceTarget{service: s, namespace: s.Namespace, name: s.Name}
			}
		}
	}
	for _, namespace := range []string{c.Subject.Namespace, ""} {
		for p := range c.pods(namespace) {
			if p.Status.PodIP == host && !p.Spec.HostNetwork {
				return serviceTarget{pod: p, namespace: p.Namespace}
			}
		}
	}
	// A private address may be a Service's or a pod's that was not captured, or of one that is gone.
	return serviceTarget{external: true, unseen: ip.IsPrivate() && !seen}
}

// readyEndpoints counts the ready addresses behind a Service; known is false when that cannot be told.
func (c *Case) readyEndpoints(s *corev1.Service) (ready int, known bool) {
	slicesOf, err := c.list(EndpointSlices, s.Namespace, Where{Labels: map[string]string{discoveryv1.LabelServiceName: s.Name}})
	found := false
	for _, o := range slicesOf {
		slice, ok := o.(*discoveryv1.EndpointSlice)
		if !ok || slice.Labels[discoveryv1.LabelServiceName] != s.Name {
			continue
		}
		found = true
		for _, e := range slice.Endpoints { // nil when there is none
			if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				ready += len(e.Addresses)
			}
		}
	}
	if found {
		return ready, true
	}
	if len(s.Spec.Selector) == 0 {
		all, _ := c.List(EndpointSlices, "")
		return 0, err == nil && len(all) > 0 // else they were not captured
	}
	// No slice, or none that may be read: the pods' own readiness is what slices are made of.
	pods, err := c.podsOf(s)
	if err != nil {
		return 0, false
	}
	for _, p := range pods {
		if PodReady(p) {
			ready++
		}
	}
	return ready, true
}

// podsOf returns the pods that a Service selects, those that are going away excepted.
func (c *Case) podsOf(s *corev1.Service) ([]*corev1.Pod, error) {
	objects, err := c.List(Pods, s.Namespace)
	if err != nil {
		return nil, err
	}
	if len(s.Spec.Selector) == 0 {
		return nil, nil
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	var out []*corev1.Pod
	for _, o := range objects {
		if p, ok := o.(*corev1.Pod); ok && selector.Matches(labels.Set(p.Labels)) && p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded {
			out = append(out, p)
		}
	}
	return out, nil
}

// PodReady says whether the kubelet calls the pod ready.
func PodReady(p *corev1.Pod) bool {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}

func readySince(p *corev1.Pod) time.Time {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue {
			return cond.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
