package diagnose

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func (c *Case) serviceMissing(a Address, h Hit, f Finding, t serviceTarget) Finding {
	f.Cause = "dependency.service-missing"
	f.Root = "Service/" + t.namespace + "/" + t.name
	f.Chain = []Link{{f.Root, "does not exist"}}
	f.Proof, f.Confidence = Corroborated, Certain
	f.Summary = fmt.Sprintf("%s: there is no Service %s/%s", couldNot(c, a, h.Pattern), t.namespace, t.name)
	f.Evidence = append(f.Evidence, Evidence{"Services in " + t.namespace, "none is named " + t.name})
	var names []string
	objects, err := c.List(Services, t.namespace)
	for _, o := range objects {
		names = append(names, o.GetName())
	}
	near := Nearest(t.name, names)
	var elsewhere []string
	all, _ := c.List(Services, "")
	if err != nil || !c.seesServices(t.namespace) {
		f.Confidence = Likely
	}
	for _, o := range all {
		if o.GetName() == t.name && o.GetNamespace() != t.namespace {
			elsewhere = append(elsewhere, o.GetNamespace())
		}
	}
	switch {
	case len(elsewhere) > 0:
		f.Summary += fmt.Sprintf("; one of that name is in namespace %s", strings.Join(elsewhere[:min(3, len(elsewhere))], ", "))
		f.Advice = fmt.Sprintf("Use %s.%s as the host", t.name, elsewhere[0])
	case near != "":
		f.Summary += fmt.Sprintf("; the nearest name is %s", near)
		f.Advice = fmt.Sprintf("Use %s as the host, if that is what is meant", near)
	default:
		f.Advice = "Create the Service, or correct the host where the program takes it from"
	}
	for _, s := range c.Addresses() {
		if s.Address.Host == a.Host {
			f.Evidence = append(f.Evidence, Evidence{s.Source, "points at " + s.Address.String()})
			if env, ok := strings.CutPrefix(s.Source, "env "); ok && (near != "" || len(elsewhere) > 0) {
				to := near
				if len(elsewhere) > 0 {
					to = t.name + "." + elsewhere[0]
				}
				for _, e := range c.Container.Env {
					if e.Name == env && !strings.Contains(e.Value, "@") {
						f.Fixes = append(f.Fixes, Fix{Title: "Point " + env + " at " + to, Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, env+"="+strings.Replace(e.Value, a.Host, to, 1))})
					}
				}
			}
			break
		}
	}
	f.Fixes = append(f.Fixes, Fix{Title: "See which Services there are", Command: Kubectl(t.namespace, "get", "services")})
	return f
}

func (c *Case) external(a Address, h Hit, f Finding, target string) Finding {
	if policy := c.deniedOut(a.Port); policy != nil && h.Pattern != failedRefused && h.Pattern != failedName {
		return c.denied(a, h, f, policy, fmt.Sprintf("does not let %s/%s out to addresses that are no pods", c.Subject.Namespace, c.Subject.Name()))
	}
	f.Cause = "dependency.external"
	f.Proof, f.Confidence = Words, Likely
	f.Summary = couldNot(c, a, h.Pattern) + ", which is outside the cluster"
	if target != "" {
		f.Summary = fmt.Sprintf("%s: its Service only stands for %s, outside the cluster", couldNot(c, a, h.Pattern), target)
	}
	f.Advice = "The cluster cannot see further: check that the host is up, that its name is right, and that the pods' network may reach it"
	f.Fixes = []Fix{{Title: "Try it from a pod in the same namespace", Command: c.Kubectl("run", "reach", "--rm", "-it", "--restart=Never", "--image=busybox", "--", "nc", "-vz", "-w", "3", a.Host, fmt.Sprint(max(a.Port, 443)))}}
	f.Unchanged = false
	return f
}

// beyond deals with a Service that leads to addresses which are no pods of the cluster.
func (c *Case) beyond(a Address, h Hit, f Finding, s *corev1.Service) Finding {
	f.Root = f.Chain[0].Object
	f.Chain[0].Says = "leads to addresses that are not pods of the cluster"
	f = c.external(a, h, f, "")
	if f.Cause == "dependency.external" {
		f.Summary = fmt.Sprintf("%s: Service %s/%s leads to addresses that are not pods of the cluster", couldNot(c, a, h.Pattern), s.Namespace, s.Name)
	}
	return f
}

// wrongPort says that a Service with ready endpoints does not serve the port that was tried, or sends it where nothing listens.
func (c *Case) wrongPort(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
	if a.Port == 0 && len(s.Spec.Ports) == 1 {
		a.Port = int(s.Spec.Ports[0].Port) // it can only mean that one
	}
	if a.Port == 0 || len(s.Spec.Ports) == 0 {
		return Finding{}, false
	}
	service := s.Namespace + "/" + s.Name
	var exposed []string
	var port *corev1.ServicePort
	for i := range s.Spec.Ports {
		exposed = append(exposed, fmt.Sprint(s.Spec.Ports[i].Port))
		if int(s.Spec.Ports[i].Port) == a.Port {
			port = &s.Spec.Ports[i]
		}
	}
	f.Root = "Service/" + service
	f.Proof, f.Confidence = Corroborated, Certain
	if port == nil && s.Spec.ClusterIP != corev1.ClusterIPNone {
		f.Cause = "dependency.wrong-port"
		f.Chain[0].Says = "does not serve port " + fmt.Sprint(a.Port)
		f.Summary = fmt.Sprintf("%s: Service %s serves port %s, not %d", couldNot(c, a, h.Pattern), service, strings.Join(exposed, ", "), a.Port)
		f.Advice = "Use the port that the Service serves, or add this one to it"
		f.Evidence = append(f.Evidence, Evidence{"Service " + service + " spec.ports", strings.Join(exposed, ", ")})
		f.Fixes = []Fix{{Title: "See the Service's ports", Command: Kubectl(s.Namespace, "get", "service", s.Name, "-o", "wide")}}
		return f, true
	}
	if port == nil {
		return Finding{}, false
	}
	pods, err := c.podsOf(s)
	if err != nil || len(pods) == 0 || h.Pattern != failedRefused && h.Pattern != failedSomehow {
		return Finding{}, false
	}
	var open []string
	for _, ct := range pods[0].Spec.Containers {
		for _, p := range ct.Ports {
			if leadsTo(*port, p) {
				return Finding{}, false
			}
			open = append(open, fmt.Sprint(p.ContainerPort))
		}
	}
	if len(open) == 0 {
		return Finding{}, false
	}
	target := port.TargetPort.String()
	if target == "0" {
		target = fmt.Sprint(port.Port)
	}
	f.Cause = "dependency.wrong-port"
	f.Confidence = Likely
	f.Chain[0].Says = fmt.Sprintf("sends port %d to %s, where its pods do not listen", port.Port, target)
	f.Summary = fmt.Sprintf("%s: Service %s sends port %d to %s of its pods, which declare only %s", couldNot(c, a, h.Pattern), service, port.Port, target, strings.Join(open, ", "))
	f.Advice = "Set the Service's targetPort to the port that the pods listen on"
	f.Evidence = append(f.Evidence, Evidence{"Service " + service + " spec.ports.targetPort", target}, Evidence{"Pod " + pods[0].Namespace + "/" + pods[0].Name + " containerPorts", strings.Join(open, ", ")})
	f.Fixes = []Fix{{Title: "Set the targetPort", Command: Kubectl(s.Namespace, "patch", "service", s.Name, "-p", fmt.Sprintf(`{"spec":{"ports":[{"port":%d,"targetPort":%s}]}}`, port.Port, open[0]))}}
	return f, true
}

// readyNow deals with a Service that has ready endpoints by now: it may not have had any when the program tried.
func (c *Case) readyNow(a Address, h Hit, f Finding, s *corev1.Service) (Finding, bool) {
	last := c.Last()
	pods, err := c.podsOf(s)
	if err != nil || last == nil || len(pods) == 0 {
		return Finding{}, false
	}
	for _, p := range pods {
		if since := readySince(p); since.IsZero() || !since.After(last.FinishedAt.Time) {
			return Finding{}, false
		}
	}
	p := pods[0]
	subject, _ := c.subjectOf(p)
	if container := betweenCrashes(p, c.Now); container != nil && objectOf(subject) != objectOf(c.Subject) {
		subject.Container, subject.ContainerType = container.Name, container.Type
		f.Root, f.Proof, f.Confidence = objectOf(subject), Corroborated, Likely
		f.Chain[0].Says = "had no ready endpoint when the program started"
		return c.followLooping(f, subject, p, couldNot(c, a, h.Pattern), ""), true
	}
	f.Cause, f.Proof, f.Confidence = "dependency.not-ready", Corroborated, Likely
	f.Root = objectOf(subject)
	f.Summary = fmt.Sprintf("%s: %s/%s became ready only after that, and is ready now", couldNot(c, a, h.Pattern), p.Namespace, subject.Name())
	f.Advice = "The next start should succeed; have the program wait and try again instead of ending"
	f.Chain[0].Says = "had no ready endpoint when the program started"
	f.Chain = append(f.Chain, Link{f.Root, "became ready later"})
	return f, true
}
