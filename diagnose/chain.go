package diagnose

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// couldNot says what the program could not do, in a sentence.
func couldNot(c *Case, a Address, how string) string {
	switch how {
	case failedRefused:
		return fmt.Sprintf("%s cannot connect to %s (refused)", c.Who(), a)
	case failedTimeout:
		return fmt.Sprintf("%s cannot reach %s (no answer in time)", c.Who(), a)
	case failedRoute:
		return fmt.Sprintf("%s cannot reach %s (no route)", c.Who(), a)
	case failedSomehow:
		return fmt.Sprintf("%s cannot connect to %s", c.Who(), a)
	}
	return fmt.Sprintf("%s cannot resolve the name %s", c.Who(), a.Host)
}

// follow goes from an address that could not be reached to the object at fault. It returns false when the address says nothing.
func (c *Case) follow(a Address, h Hit) (Finding, bool) {
	f := FromHit(h, Likely, Words)
	f.Keys = []string{a.Host}
	if a.IsLocal() {
		return c.followLocal(a, h, f)
	}
	dnsFailed := unanswered(h.Text)
	if dnsFailed {
		if found, ok := c.followDNS(a, h, f); ok {
			return found, true
		}
	}
	t := c.findService(a)
	if t.err != nil {
		return c.unreadable(a, h, f, t)
	}
	if t.service == nil {
		switch {
		case c.isAPIServer(a, h, t):
			return c.apiServer(a, h, f), true
		case t.pod != nil:
			return c.followPods(a, h, f, nil, []*corev1.Pod{t.pod})
		case t.missing:
			if h.Pattern == failedName {
				if c.ownPodName(a.Host) {
					return Finding{}, false
				}
				f = c.serviceMissing(a, h, f, t)
				if dnsFailed {
					f.Confidence = Likely // the resolver did not say that there is none
				}
				return f, true
			}
			// A connection that is refused or gets no answer had resolved its name, unless the program does not tell one from the other.
			if !c.seesServices(t.namespace) {
				return c.unseen(a, h, f, t)
			}
			if a.Port == 0 {
				return Finding{}, false
			}
			f = c.serviceMissing(a, h, f, t)
			f.Confidence = Likely
			return f, true
		case t.external:
			f = c.external(a, h, f, "")
			if t.unseen {
				f.Confidence = Possible
				f.Summary = couldNot(c, a, h.Pattern) + "; which Service or host has that address could not be seen"
				f.Advice = "Look for the Service that has it, and at the pods behind that one"
				f.Fixes = []Fix{{Title: "See which Service has that address", Command: CommandLine("kubectl", "get", "services", "-A", "--field-selector=spec.clusterIP="+a.Host)}}
			}
			return f, true
		}
		return Finding{}, false
	}
	s := t.service
	if net.ParseIP(a.Host) != nil {
		// People know the Service by its name.
		a.Host = s.Name
		if s.Namespace != c.Subject.Namespace {
			a.Host += "." + s.Namespace
		}
		f.Keys = append(f.Keys, a.Host)
	}
	object := "Service/" + s.Namespace + "/" + s.Name
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		f.Root, f.Chain = object, []Link{{Object: object, Says: "only stands for " + s.Spec.ExternalName}}
		if found, ok := c.followAlias(a, h, s); ok {
			return found, true
		}
		return c.external(a, h, f, s.Spec.ExternalName), true
	}
	f.Chain = []Link{{Object: object, Says: "is what " + a.String() + " leads to"}}
	if member, pod := c.memberOf(a, s); pod != nil && !podReady(pod) && pod.DeletionTimestamp == nil {
		return c.followPods(a, h, f, s, []*corev1.Pod{pod})
	} else if member != "" && pod == nil {
		if found, ok := c.noMember(a, h, f, s, member); ok {
			return found, true
		}
	}
	ready, known := c.readyEndpoints(s)
	switch {
	case known && ready == 0:
		return c.noEndpoints(a, h, f, s)
	case h.Pattern == failedName:
		if last := c.Last(); last != nil && s.CreationTimestamp.After(last.FinishedAt.Time) {
			f.Cause, f.Proof, f.Root = "dependency.service-missing", Corroborated, "Service/"+s.Namespace+"/"+s.Name
			f.Summary = fmt.Sprintf("%s: Service %s/%s was only created %s after it last ended", couldNot(c, a, h.Pattern), s.Namespace, s.Name, Duration(s.CreationTimestamp.Sub(last.FinishedAt.Time)))
			f.Advice = "The next start should find it"
			f.Chain[0].Says = "was created after the crash"
			return f, true
		}
		if found, ok := c.otherResolver(a, h, f, s); ok {
			return found, true
		}
		// Some programs do not tell "there is none" from "nobody answers".
		return c.silentDNS(a, h, f)
	}
	if found, ok := c.wrongPort(a, h, f, s); ok {
		return found, true
	}
	if len(s.Spec.Selector) == 0 {
		if s.Namespace == "default" && s.Name == "kubernetes" {
			return c.apiServer(a, h, f), true
		}
		return c.beyond(a, h, f, s), true
	}
	if h.Pattern != failedRefused {
		if found, ok := c.blocked(a, h, f, s); ok {
			return found, true
		}
	}
	if found, ok := c.meshProxy(a, h, f); ok {
		return found, true
	}
	return c.readyNow(a, h, f, s)
}

// followAlias goes on from a Service that only stands for another name, when that is one of the cluster.
func (c *Case) followAlias(a Address, h Hit, s *corev1.Service) (Finding, bool) {
	to := Address{Host: strings.TrimSuffix(strings.ToLower(s.Spec.ExternalName), "."), Port: a.Port}
	if !slices.Contains(strings.Split(to.Host, "."), "svc") {
		return Finding{}, false
	}
	if t := c.findService(to); t.service != nil && t.service.Spec.Type == corev1.ServiceTypeExternalName {
		return Finding{}, false
	}
	found, ok := c.follow(to, h)
	if ok {
		found.Chain = append([]Link{{Object: "Service/" + s.Namespace + "/" + s.Name, Says: "only stands for " + s.Spec.ExternalName}}, found.Chain...)
	}
	return found, ok
}

// Follow goes from an address that somebody else than the subject could not reach, such as the API server that calls a webhook, to the
// object at fault: the finding's Chain and Root. It returns false when nothing is known to be wrong there.
func (c *Case) Follow(a Address) (Finding, bool) {
	f, ok := c.follow(a, Hit{Pattern: failedRefused, Log: c.Log()})
	return f, ok && f.Proof >= Corroborated
}

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
				if o, err := c.Get(Services, c.Subject.Namespace, labels[1]); err == nil {
					t.service, _ = o.(*corev1.Service)
					t.missing = false
					return t
				}
				t.missing, t.external = !topLevel(labels[1]), topLevel(labels[1])
			}
		}
		return t
	case 3:
		if t := try(labels[2], labels[1]); t.service != nil {
			return t
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
	slicesOf, err := c.read.list(EndpointSlices, s.Namespace, Where{Labels: map[string]string{discoveryv1.LabelServiceName: s.Name}})
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
		if podReady(p) {
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

func podReady(p *corev1.Pod) bool {
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

// noEndpoints goes on from a Service with no ready address to the reason.
func (c *Case) noEndpoints(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
	object := "Service/" + s.Namespace + "/" + s.Name
	f.Chain[0].Says = "has no ready endpoint"
	f.Evidence = append(f.Evidence, Evidence{Source: "EndpointSlices of Service " + s.Namespace + "/" + s.Name, Text: "no ready address"})
	f.Proof, f.Confidence = Corroborated, Certain
	if len(s.Spec.Selector) == 0 {
		f.Cause, f.Root = "dependency.no-endpoints", object
		f.Summary = fmt.Sprintf("%s: Service %s/%s has no endpoint, and no selector that would find one", couldNot(c, a, h.Pattern), s.Namespace, s.Name)
		f.Advice = "Give the Service a selector, or an EndpointSlice with the address of what it stands for"
		f.Fixes = []Fix{{Title: "See what stands behind the Service", Command: Kubectl(s.Namespace, "get", "endpointslices", "-l", discoveryv1.LabelServiceName+"="+s.Name)}}
		return f, true
	}
	pods, err := c.podsOf(s)
	if err != nil {
		f.Cause, f.Root = "dependency.no-endpoints", object
		f.Summary = fmt.Sprintf("%s: Service %s/%s has no ready endpoint; its pods may not be read", couldNot(c, a, h.Pattern), s.Namespace, s.Name)
		f.Advice = "Look at the pods that it selects"
		f.Fixes = []Fix{{Title: "Look at the pods behind the Service", Command: Kubectl(s.Namespace, "get", "pods", "-l", labels.FormatLabels(s.Spec.Selector))}}
		return f, true
	}
	if len(pods) > 0 {
		return c.followPods(a, h, f, s, pods)
	}
	return c.noPods(a, h, f, s), true
}

// noPods says why a Service selects no pod: its workload is scaled to zero or cannot create any, or the labels differ.
func (c *Case) noPods(a Address, h Hit, f Finding, s *corev1.Service) Finding {
	selector := labels.SelectorFromSet(s.Spec.Selector)
	said := couldNot(c, a, h.Pattern)
	service := s.Namespace + "/" + s.Name
	leaving := c.leaving(s)
	if leaving != nil {
		if found, ok := c.onLostNode(a, h, f, leaving); ok {
			return found
		}
	}
	for _, kind := range []Kind{Deployments, StatefulSets, DaemonSets} {
		objects, _ := c.List(kind, s.Namespace)
		for _, o := range objects {
			t := templateOf(o)
			if t == nil || !selector.Matches(labels.Set(t.Labels)) {
				continue
			}
			workload := kind.Kind + "/" + o.GetName()
			root := kind.Kind + "/" + s.Namespace + "/" + o.GetName()
			f.Root = root
			if replicas(o) == 0 && kind != DaemonSets {
				f.Cause = "dependency.no-endpoints"
				f.Summary = fmt.Sprintf("%s: %s behind Service %s is scaled to zero", said, workload, service)
				f.Advice = "Scale it up"
				f.Chain = append(f.Chain, Link{root, "is scaled to 0 replicas"})
				f.Evidence = append(f.Evidence, Evidence{workload + " spec.replicas", "0"})
				f.Fixes = []Fix{{Title: "Scale " + o.GetName() + " up", Command: Kubectl(s.Namespace, "scale", kubectlTarget(workload), "--replicas=1")}}
				return f
			}
			if sub, ok := c.diagnoseOther(Subject{Namespace: s.Namespace, Workload: workload}, CannotCreate); ok && sub.Cause != "" {
				sub.headline = strings.TrimPrefix(sub.headline, s.Namespace+"/"+o.GetName()+" has no pods: ")
				return c.adopt(f, said+": "+workload+" behind Service "+service+" has no pod", root, "has no pod", sub)
			}
			f.Cause = "dependency.no-endpoints"
			if leaving != nil {
				f.Summary = fmt.Sprintf("%s: %s behind Service %s has only pod %s, which is being deleted", said, workload, service, leaving.Name)
				f.Advice = "See what holds it"
				f.Chain = append(f.Chain, Link{root, "its pod " + leaving.Name + " is being deleted since " + Duration(c.Now.Sub(leaving.DeletionTimestamp.Time))})
				f.Evidence = append(f.Evidence, Evidence{"Pod " + s.Namespace + "/" + leaving.Name + " metadata.deletionTimestamp", leaving.DeletionTimestamp.UTC().Format(time.RFC3339)})
				f.Fixes = []Fix{{Title: "See what holds the pod", Command: Kubectl(s.Namespace, "describe", "pod", leaving.Name)}}
				return f
			}
			f.Summary = fmt.Sprintf("%s: %s behind Service %s has no pod", said, workload, service)
			f.Advice = "See why its pods are not created: " + Kubectl(s.Namespace, "describe", kubectlTarget(workload))
			f.Chain = append(f.Chain, Link{root, "wants pods and has none"})
			f.Fixes = []Fix{{Title: "See why its pods are not created", Command: Kubectl(s.Namespace, "describe", kubectlTarget(workload))}}
			return f
		}
	}
	f.Root = "Service/" + service
	if near, differs, sure := c.nearSelector(s); near != nil {
		f.Cause = "dependency.selector-mismatch"
		if !sure {
			f.Confidence = Likely
		}
		f.Chain[0].Says = "selects no pod: " + differs
		f.Summary = fmt.Sprintf("%s: Service %s selects %s, but the pods of %s carry other labels (%s)", said, service, labels.FormatLabels(s.Spec.Selector), c.workloadOf(near), differs)
		f.Advice = "Make the Service's selector and the pods' labels agree"
		f.Evidence = append(f.Evidence,
			Evidence{"Service " + service + " spec.selector", labels.FormatLabels(s.Spec.Selector)},
			Evidence{"Pod " + near.Namespace + "/" + near.Name + " metadata.labels", labels.FormatLabels(near.Labels)})
		f.Fixes = []Fix{{Title: "Let the Service select the pods that there are", Command: Kubectl(s.Namespace, "patch", "service", s.Name, "--type=merge", "-p", selectorJSON(s, near))}}
		return f
	}
	f.Cause = "dependency.no-endpoints"
	if all, _ := c.List(EndpointSlices, ""); len(all) == 0 {
		f.Confidence = Likely // nothing but that no such pod was seen speaks for it
		c.Gap("no EndpointSlice could be seen: they may not have been captured")
	}
	f.Chain[0].Says = "selects no pod: none carries " + labels.FormatLabels(s.Spec.Selector)
	f.Summary = fmt.Sprintf("%s: Service %s selects %s, and there is no such pod", said, service, labels.FormatLabels(s.Spec.Selector))
	f.Advice = "Deploy what the Service stands for, or correct its selector"
	f.Evidence = append(f.Evidence, Evidence{"Service " + service + " spec.selector", labels.FormatLabels(s.Spec.Selector)})
	f.Fixes = []Fix{{Title: "See which pods there are and how they are labelled", Command: Kubectl(s.Namespace, "get", "pods", "--show-labels")}}
	return f
}

func selectorJSON(s *corev1.Service, near *corev1.Pod) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.Spec.Selector)) {
		if v, ok := near.Labels[k]; ok {
			parts = append(parts, fmt.Sprintf("%q:%q", k, v))
		} else {
			parts = append(parts, fmt.Sprintf("%q:null", k))
		}
	}
	return `{"spec":{"selector":{` + strings.Join(parts, ",") + `}}}`
}

// nearSelector finds a pod that the Service is likely meant for, and says how its labels differ: one whose label has nearly the value that
// is selected, or has it under another key, one that lacks a label but shares another that is not its whole release's, or one of the
// workload that has the Service's name. sure is false when only a port speaks for it.
func (c *Case) nearSelector(s *corev1.Service) (near *corev1.Pod, differs string, sure bool) {
	best := 0
	for p := range c.pods(s.Namespace) {
		if p.DeletionTimestamp != nil || c.workloadOf(p) == c.Subject.Workload && s.Namespace == c.Subject.Namespace {
			continue
		}
		shared, score := 0, 0
		var diff []string
		for _, k := range slices.Sorted(maps.Keys(s.Spec.Selector)) {
			v := s.Spec.Selector[k]
			got, has := p.Labels[k]
			switch {
			case has && got == v:
				shared++
				if !releaseWide(k) {
					score += 2
				}
			case has:
				if Near(got, v) {
					score += 2
				}
				diff = append(diff, fmt.Sprintf("%s is %s, not %s", k, got, v))
			default:
				under := ""
				for _, key := range slices.Sorted(maps.Keys(p.Labels)) {
					if p.Labels[key] == v && !releaseWide(key) {
						under = key
					}
				}
				if under == "" {
					diff = append(diff, "there is no label "+k)
					continue
				}
				score += 2
				diff = append(diff, fmt.Sprintf("%s stands under %s, not %s", v, under, k))
			}
		}
		if _, name, _ := strings.Cut(c.workloadOf(p), "/"); name == s.Name {
			score += 3
		} else if Near(name, s.Name) {
			score += 2
		}
		certain := score > 0
		if shared > 0 || score > 0 {
			score += shared
			if declares(p, s) {
				score++
			}
		}
		if !certain && (score < 2 || !declares(p, s)) {
			continue
		}
		if score > best {
			near, best, differs, sure = p, score, strings.Join(diff, ", "), certain
		}
	}
	return near, differs, sure
}

// releaseWide says that a label is one that all pods of a release, a team or an environment carry.
func releaseWide(key string) bool {
	switch key[strings.LastIndexByte(key, '/')+1:] {
	case "instance", "part-of", "managed-by", "release", "chart", "heritage", "env", "environment", "team", "version", "stage", "pod-template-hash", "owner", "project", "tier":
		return true
	}
	return false
}

// leadsTo says that a port of a Service is sent to that port of a container.
func leadsTo(sp corev1.ServicePort, cp corev1.ContainerPort) bool {
	if sp.TargetPort.Type == intstr.String {
		return sp.TargetPort.StrVal == cp.Name
	}
	return sp.TargetPort.IntVal == cp.ContainerPort || sp.TargetPort.IntVal == 0 && sp.Port == cp.ContainerPort
}

// declares says that a pod declares a port to which the Service sends.
func declares(p *corev1.Pod, s *corev1.Service) bool {
	for _, sp := range s.Spec.Ports {
		for _, ct := range p.Spec.Containers {
			for _, cp := range ct.Ports {
				if leadsTo(sp, cp) {
					return true
				}
			}
		}
	}
	return false
}
