package diagnose

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// nameServer is the address of the name server in a resolver's error, and before it the name that was looked up where it is told:
// "lookup db on 10.96.0.10:53", "10.1.2.3:40000->10.96.0.10:53".
var nameServer = regexp.MustCompile(`(?:(?:\blookup (\S+) )?\bon |->)\[?([0-9a-f.:]+?)\]?:53\b`)

// followDNS goes from a name server that does not answer to the reason: nothing stands behind its Service, or a policy is in the way.
func (c *Case) followDNS(a Address, h Hit, f Finding) (Finding, bool) {
	h.Pattern = failedName
	s := c.dnsService(h.Text)
	if s == nil {
		if c.Pod == nil {
			return Finding{}, false
		}
		// DNS runs in another namespace: a policy whose rules name pods of its own alone, or do not open the port, keeps it away.
		policy := c.denies(c.Pod, networkingv1.PolicyTypeEgress, 53, func(_ string, peers []networkingv1.NetworkPolicyPeer) bool {
			for _, p := range peers {
				if p.IPBlock != nil || p.NamespaceSelector != nil {
					return true
				}
			}
			return len(peers) == 0
		})
		if policy == nil {
			return Finding{}, false
		}
		return c.denied(a, h, f, policy, fmt.Sprintf("does not let %s/%s out to the cluster's DNS", c.Subject.Namespace, c.Subject.Name())), true
	}
	if m := nameServer.FindStringSubmatch(h.Text); m != nil && m[1] != "" {
		a.Host = m[1] // what cannot be resolved is that, not the name server
	}
	f.Chain = []Link{{Object: "Service/" + s.Namespace + "/" + s.Name, Says: "is the cluster's DNS"}}
	if ready, known := c.readyEndpoints(s); known && ready == 0 {
		return c.noEndpoints(a, h, f, s)
	}
	return c.blocked(Address{Host: a.Host, Port: 53}, h, f, s)
}

// silentDNS goes from a name that should resolve to the cluster's DNS, when nothing ready stands behind that.
func (c *Case) silentDNS(a Address, h Hit, f Finding) (Finding, bool) {
	s := c.dnsService(h.Text)
	if s == nil {
		return Finding{}, false
	}
	if ready, known := c.readyEndpoints(s); !known || ready > 0 {
		return Finding{}, false
	}
	f.Chain = []Link{{Object: "Service/" + s.Namespace + "/" + s.Name, Says: "is the cluster's DNS"}}
	return c.noEndpoints(a, h, f, s)
}

// dnsService finds the Service of the cluster's DNS: the one with the address that the error names, or the one that serves port 53 under a
// name that installers give it. It returns nil when it cannot be read.
func (c *Case) dnsService(text string) *corev1.Service {
	if m := nameServer.FindStringSubmatch(text); m != nil {
		if ip := net.ParseIP(m[2]); ip != nil {
			if t := c.findByIP(m[2], ip); t.service != nil {
				return t.service
			}
		}
	}
	for _, namespace := range []string{"kube-system", "openshift-dns"} {
		for s := range c.services(namespace) {
			if !strings.Contains(s.Name, "dns") || strings.Contains(s.Name, "upstream") || len(s.Spec.Selector) == 0 {
				continue
			}
			for _, p := range s.Spec.Ports {
				if p.Port == 53 {
					return s
				}
			}
		}
	}
	return nil
}

// isAPIServer says that an address is the API server's, of whose Service nothing can be seen: there always is one.
func (c *Case) isAPIServer(a Address, h Hit, t serviceTarget) bool {
	if t.namespace == "default" && t.name == "kubernetes" {
		return true
	}
	return a.Port == 443 && net.ParseIP(a.Host) != nil && (strings.Contains(h.Text, a.Host+":443/api") || strings.Contains(h.Text, a.Host+":443/version"))
}

// apiServer is the finding that the API server does not answer a pod. It is no pod of the cluster's network, and what leads to it, kube-proxy
// and the network plugin, shows in no object; a policy does.
func (c *Case) apiServer(a Address, h Hit, f Finding) Finding {
	const service = "Service/default/kubernetes"
	f.Chain = []Link{{Object: service, Says: "leads to the API server"}}
	f.Keys = append(f.Keys, "apiserver", "api server")
	if h.Pattern != failedRefused {
		if policy := c.deniedOut(443); policy != nil {
			return c.denied(a, h, f, policy, fmt.Sprintf("does not let %s/%s out to the API server", c.Subject.Namespace, c.Subject.Name()))
		}
	}
	f.Cause, f.Root, f.Proof, f.Confidence = "dependency.external", service, Words, Likely
	a.Host = "the API server (" + a.Host + ")"
	if a.Port > 0 {
		a.Host = strings.TrimSuffix(a.Host, ")") + fmt.Sprintf(":%d)", a.Port)
		a.Port = 0
	}
	f.Summary = couldNot(c, a, h.Pattern)
	f.Advice = "Look at kube-proxy and the network plugin on its node"
	if node := c.Spec.NodeName; node != "" {
		f.Advice += " " + node
		if found, ok := c.brokenProxy(f, node); ok {
			return found
		}
	}
	f.Advice += ", and whether other pods reach it"
	f.Fixes = []Fix{{Title: "See kube-proxy and the network plugin", Command: "kubectl -n kube-system get pods -o wide"}}
	f.Unchanged = true
	return f
}

// brokenProxy follows to the kube-proxy or network plugin of a node, when that itself crash-loops.
func (c *Case) brokenProxy(f Finding, node string) (Finding, bool) {
	for p := range c.pods("kube-system") {
		if p.Spec.NodeName != node || p.Name == c.Subject.Pod || PodReady(p) {
			continue
		}
		subject, looping := c.subjectOf(p)
		name, root := subject.Name(), objectOf(subject)
		if subject.Kind() != "DaemonSet" || !isNetwork(name) || c.visited[root] {
			continue
		}
		if !looping {
			// It does not even start: its image cannot be pulled, a volume is missing.
			if sub, ok := c.diagnoseOther(subject, CannotStart); ok && sub.Confidence == Certain {
				f.Proof = Corroborated
				f.Evidence = append(f.Evidence, Evidence{"status of pod " + p.Namespace + "/" + p.Name, podState(p)})
				said := fmt.Sprintf("%s: %s, which connects the pods of %s, does not run", f.Summary, name, node)
				f = c.adopt(f, said, root, "does not run on "+node, sub)
				f.Confidence = Likely // that the one follows from the other is not written anywhere
				return f, true
			}
			continue
		}
		f.Cause, f.Root, f.Proof, f.Confidence = "dependency.crash-looping", root, Corroborated, Likely
		f.Chain = append(f.Chain, Link{root, "crash-loops on " + node})
		f.Evidence = append(f.Evidence, Evidence{"status of pod " + p.Namespace + "/" + p.Name, podState(p)})
		f.Summary = fmt.Sprintf("%s: %s, which connects the pods of %s, crash-loops", f.Summary, name, node)
		f.Advice = "Mend " + p.Namespace + "/" + name + " first"
		if sub, ok := c.diagnoseOther(subject, CrashLoop); ok {
			f = c.extend(f, sub)
		}
		return f, true
	}
	return Finding{}, false
}

// isNetwork says that a DaemonSet is one of those that connect pods to Services and to each other.
func isNetwork(name string) bool {
	for _, n := range []string{"kube-proxy", "cilium", "calico-node", "canal", "kube-flannel", "weave-net", "kube-router", "aws-node", "antrea-agent", "ovnkube-node"} {
		if strings.Contains(name, n) {
			return true
		}
	}
	return false
}

// unreadable is the finding for a Service that may not be read: what the program said is all there is.
func (c *Case) unreadable(a Address, h Hit, f Finding, t serviceTarget) (Finding, bool) {
	if !errors.Is(t.err, ErrForbidden) || t.name == "" {
		return Finding{}, false
	}
	if h.Pattern == failedName {
		return Finding{}, false // it may be there
	}
	c.Gap("no permission to read Service %s in %s: what stands behind it is not known", t.name, t.namespace)
	f.Cause = "dependency.no-endpoints"
	f.Proof, f.Confidence, f.Root = Words, Possible, "Service/"+t.namespace+"/"+t.name
	f.Chain = []Link{{f.Root, "may not be read"}}
	f.Summary = fmt.Sprintf("%s; Service %s/%s may not be read here", couldNot(c, a, h.Pattern), t.namespace, t.name)
	f.Advice = "See what stands behind it"
	f.Fixes = []Fix{{Title: "See what stands behind the Service", Command: Kubectl(t.namespace, "get", "service,endpointslices,pods", "-o", "wide")}}
	return f, true
}
