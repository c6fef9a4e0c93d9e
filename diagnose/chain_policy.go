package diagnose

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// blocked says that a NetworkPolicy lets the subject not reach the Service's pods.
func (c *Case) blocked(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
	pods, err := c.podsOf(s)
	if err != nil || len(pods) == 0 || c.Pod == nil {
		return Finding{}, false
	}
	target := pods[0]
	port := targetPort(s, a.Port, target)
	f.Chain[0].Says = "has ready pods"
	if policy := c.deniedBy(target, c.Pod, networkingv1.PolicyTypeIngress, port); policy != nil {
		return c.denied(a, h, f, policy, fmt.Sprintf("does not let %s/%s in to %s", c.Subject.Namespace, c.Subject.Name(), s.Name)), true
	}
	if policy := c.deniedBy(c.Pod, target, networkingv1.PolicyTypeEgress, port); policy != nil {
		return c.denied(a, h, f, policy, fmt.Sprintf("does not let %s/%s out to %s", c.Subject.Namespace, c.Subject.Name(), s.Name)), true
	}
	return Finding{}, false
}

// denied is the finding that a NetworkPolicy stands between the two.
func (c *Case) denied(a Address, h Hit, f Finding, policy *networkingv1.NetworkPolicy, says string) Finding {
	object := "NetworkPolicy/" + policy.Namespace + "/" + policy.Name
	f.Cause, f.Root, f.Proof, f.Confidence = "dependency.network-policy", object, Corroborated, Likely
	f.Chain = append(f.Chain, Link{object, says})
	f.Summary = fmt.Sprintf("%s: NetworkPolicy %s/%s %s", couldNot(c, a, h.Pattern), policy.Namespace, policy.Name, says)
	f.Advice = "Allow it in the policy"
	f.Evidence = append(f.Evidence, Evidence{"NetworkPolicy " + policy.Namespace + "/" + policy.Name + " spec", says})
	f.Fixes = []Fix{{Title: "Read the policy", Command: Kubectl(policy.Namespace, "describe", "networkpolicy", policy.Name)}}
	f.Unchanged = true
	return f
}

// targetPort is the port of the pod that a Service's port leads to, 0 when it is not known.
func targetPort(s *corev1.Service, port int, pod *corev1.Pod) int {
	for _, sp := range s.Spec.Ports {
		if int(sp.Port) != port {
			continue
		}
		if sp.TargetPort.Type == intstr.Int {
			if sp.TargetPort.IntVal == 0 {
				return port
			}
			return int(sp.TargetPort.IntVal)
		}
		for _, ct := range pod.Spec.Containers {
			for _, p := range ct.Ports {
				if p.Name == sp.TargetPort.StrVal {
					return int(p.ContainerPort)
				}
			}
		}
	}
	return port
}

// deniedBy returns a policy that selects pod for the given direction, when no policy that does allows the peer.
func (c *Case) deniedBy(pod, peer *corev1.Pod, direction networkingv1.PolicyType, port int) *networkingv1.NetworkPolicy {
	return c.denies(pod, direction, port, func(namespace string, peers []networkingv1.NetworkPolicyPeer) bool {
		return c.allows(namespace, peers, peer)
	})
}

// deniedOut returns a policy that does not let the subject out to addresses that are no pods, such as the API server's.
func (c *Case) deniedOut(port int) *networkingv1.NetworkPolicy {
	if c.Pod == nil {
		return nil
	}
	return c.denies(c.Pod, networkingv1.PolicyTypeEgress, port, func(_ string, peers []networkingv1.NetworkPolicyPeer) bool {
		return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil })
	})
}

// denies returns a policy that selects pod for the given direction, when no rule of such a policy opens the port and admits its peer.
func (c *Case) denies(pod *corev1.Pod, direction networkingv1.PolicyType, port int, admits func(namespace string, peers []networkingv1.NetworkPolicyPeer) bool) *networkingv1.NetworkPolicy {
	var denies *networkingv1.NetworkPolicy
	for p := range typed[*networkingv1.NetworkPolicy](c, NetworkPolicies, pod.Namespace) {
		if !selects(&p.Spec.PodSelector, pod.Labels) || !has(p, direction) {
			continue
		}
		if denies == nil {
			denies = p
		}
		if direction == networkingv1.PolicyTypeIngress {
			for _, r := range p.Spec.Ingress {
				if opens(r.Ports, port) && admits(p.Namespace, r.From) {
					return nil
				}
			}
			continue
		}
		for _, r := range p.Spec.Egress {
			if opens(r.Ports, port) && admits(p.Namespace, r.To) {
				return nil
			}
		}
	}
	return denies
}

// has says that a policy is of a direction, as the API server fills it in where it does not say.
func has(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) == 0 {
		return direction == networkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, direction)
}

func selects(s *metav1.LabelSelector, set map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(set))
}

// allows says whether one of the peers may be the pod. What cannot be known counts as allowed, so that no policy is blamed for it.
func (c *Case) allows(namespace string, peers []networkingv1.NetworkPolicyPeer, pod *corev1.Pod) bool {
	if len(peers) == 0 {
		return true
	}
	for _, p := range peers {
		if p.IPBlock != nil {
			return true // which addresses a CNI sees here differs
		}
		switch {
		case p.NamespaceSelector == nil:
			if pod.Namespace != namespace {
				continue
			}
		default:
			o, err := c.Get(Namespaces, "", pod.Namespace)
			if err != nil {
				return true
			}
			if !selects(p.NamespaceSelector, o.GetLabels()) {
				continue
			}
		}
		if p.PodSelector == nil || selects(p.PodSelector, pod.Labels) {
			return true
		}
	}
	return false
}

func opens(ports []networkingv1.NetworkPolicyPort, port int) bool {
	if len(ports) == 0 || port == 0 {
		return true
	}
	for _, p := range ports {
		if p.Port == nil || p.Port.Type == intstr.String {
			return true
		}
		if int(p.Port.IntVal) == port || p.EndPort != nil && port >= int(p.Port.IntVal) && port <= int(*p.EndPort) {
			return true
		}
	}
	return false
}
