package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

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

// leaving returns a pod that a Service selects and that is being deleted, nil when there is none.
func (c *Case) leaving(s *corev1.Service) *corev1.Pod {
	selector := labels.SelectorFromSet(s.Spec.Selector)
	var found *corev1.Pod
	for p := range c.pods(s.Namespace) {
		if p.DeletionTimestamp != nil && len(s.Spec.Selector) > 0 && selector.Matches(labels.Set(p.Labels)) && (found == nil || p.CreationTimestamp.After(found.CreationTimestamp.Time)) {
			found = p
		}
	}
	return found
}
