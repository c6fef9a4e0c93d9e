package diagnose

import (
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
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
	switch t := c.findService(a); {
	case t.err != nil:
		return c.unreadable(a, h, f, t)
	case t.service != nil:
		return c.followService(a, h, f, t.service)
	case c.isAPIServer(a, h, t):
		return c.apiServer(a, h, f), true
	case t.pod != nil:
		return c.followPods(a, h, f, nil, []*corev1.Pod{t.pod})
	case t.missing:
		return c.followMissing(a, h, f, t, dnsFailed)
	case t.unseen:
		f = c.external(a, h, f, "")
		f.Confidence = Possible
		f.Summary = couldNot(c, a, h.Pattern) + "; which Service or host has that address could not be seen"
		f.Advice = "Look for the Service that has it, and at the pods behind that one"
		f.Fixes = []Fix{{Title: "See which Service has that address", Command: Kubectl("", "get", "services", "-A", "--field-selector=spec.clusterIP="+a.Host)}}
		return f, true
	case t.external:
		if found, ok := c.followMoved(a, h); ok {
			return found, true
		}
		return c.external(a, h, f, ""), true
	}
	return Finding{}, false
}

// followMissing ends at a Service that is not there, unless the failure shows that there is something of that name after all.
func (c *Case) followMissing(a Address, h Hit, f Finding, t serviceTarget, dnsFailed bool) (Finding, bool) {
	switch {
	case h.Pattern == failedName && c.ownPodName(a.Host):
		return Finding{}, false
	case h.Pattern == failedName:
		f = c.serviceMissing(a, h, f, t)
		if dnsFailed {
			f.Confidence = Likely // the resolver did not say that there is none
		}
		return f, true
	// A connection that is refused or gets no answer had resolved its name, unless the program does not tell one from the other.
	case !c.seesServices(t.namespace):
		return c.unseen(a, h, f, t)
	case a.Port == 0:
		return Finding{}, false
	}
	f = c.serviceMissing(a, h, f, t)
	f.Confidence = Likely
	return f, true
}

// followService goes on from a Service that is there: to what it stands for, to its pods, or to what lies between it and the subject.
func (c *Case) followService(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
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
	if found, ok := c.otherDomain(a, h, f, s); ok {
		return found, true
	}
	f.Chain = []Link{{Object: object, Says: "is what " + a.String() + " leads to"}}
	if member, pod := c.memberOf(a, s); pod != nil && !PodReady(pod) && pod.DeletionTimestamp == nil {
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
			f.Cause, f.Proof, f.Root = "dependency.service-missing", Corroborated, object
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

// otherDomain is for a name that is not found although its Service is there and hands out addresses: what is wrong with it is its end, the domain of
// the cluster, where that is another than clusters have unless they are told otherwise.
func (c *Case) otherDomain(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
	_, domain, _ := strings.Cut(strings.TrimSuffix(a.Host, "."), ".svc.")
	if h.Pattern != failedName || unanswered(h.Text) || domain == "" || domain == "cluster.local" {
		return Finding{}, false
	}
	if ready, known := c.readyEndpoints(s); !s.Spec.PublishNotReadyAddresses && (!known || ready == 0) {
		return Finding{}, false
	}
	f.Cause, f.Proof, f.Confidence = "dependency.service-missing", Corroborated, Likely
	f.Summary = fmt.Sprintf("%s, though Service %s/%s is there: most likely the cluster's domain is not %s, and the name must end otherwise", couldNot(c, a, h.Pattern), s.Namespace, s.Name, domain)
	f.Advice = "Correct the domain in its settings, most often to cluster.local; /etc/resolv.conf in any pod names the right one"
	f.Evidence = append(f.Evidence, Evidence{"Service " + s.Namespace + "/" + s.Name, "exists"})
	f.Settle = "What /etc/resolv.conf in a pod names as search domains."
	f.Fixes = []Fix{{Title: "See where the name comes from", Command: c.Kubectl("get", c.Target(), "-o", "yaml")}}
	return f, true
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
