package diagnose

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// followLocal deals with an address of the pod itself: another of its containers should listen there, or the host is a wrong one.
func (c *Case) followLocal(a Address, h Hit, f Finding) (Finding, bool) {
	if h.Pattern != failedRefused && h.Pattern != failedSomehow || a.Port == 0 || c.Container == nil {
		return Finding{}, false
	}
	for _, ct := range c.neighbours() {
		if serves(ct, a.Port) {
			return c.neighbour(f, ct, fmt.Sprintf("%s cannot connect to %s, where container %s of the same pod should listen", c.Who(), a, ct.Name))
		}
	}
	if c.Spec.HostNetwork {
		return c.sameHost(a, h, f)
	}
	if serves(*c.Container, a.Port) && !c.pointsHere(a) {
		return Finding{}, false
	}
	return c.ownHost(a, f), true
}

// neighbours are the containers that run beside the subject's own in its pod.
func (c *Case) neighbours() []corev1.Container {
	var out []corev1.Container
	for _, ct := range c.Spec.InitContainers {
		if isSidecar(&ct) && ct.Name != c.Subject.Container {
			out = append(out, ct)
		}
	}
	for _, ct := range c.Spec.Containers {
		if ct.Name != c.Subject.Container && c.Subject.ContainerType != Init {
			out = append(out, ct)
		}
	}
	return out
}

// record is the record of one of the pod's containers, nil when there is none.
func (c *Case) record(container string) *ContainerRecord {
	if c.Pod == nil {
		return nil
	}
	list := RecordPod(c.Pod).Containers
	if i := slices.IndexFunc(list, func(r ContainerRecord) bool { return r.Name == container }); i >= 0 {
		return &list[i]
	}
	return nil
}

// serves says that a container is made to listen on a port: it declares it, or its arguments name it.
func serves(ct corev1.Container, port int) bool {
	for _, p := range ct.Ports {
		if int(p.ContainerPort) == port {
			return true
		}
	}
	return slices.ContainsFunc(slices.Concat(ct.Command, ct.Args), func(arg string) bool {
		numbers := strings.FieldsFunc(arg, func(r rune) bool { return r < '0' || r > '9' })
		return slices.Contains(numbers, strconv.Itoa(port))
	})
}

// neighbour is the finding that another container of the pod does not do its part.
func (c *Case) neighbour(f Finding, ct corev1.Container, said string) (Finding, bool) {
	self := objectOf(c.Subject)
	f.Root, f.Proof, f.Confidence = self, Corroborated, Likely
	if rec := c.record(ct.Name); rec != nil && rec.crashes() {
		f.Cause, f.Confidence = "dependency.crash-looping", Certain
		f.Summary, f.Advice = said+": it crash-loops", "Mend container "+ct.Name+" first"
		f.Chain = append(f.Chain, Link{self, "container " + ct.Name + " crash-loops"})
		subject := c.Subject
		subject.Container, subject.ContainerType = ct.Name, rec.Type
		if c.visited[self] { // it was come to from the other container
			return f, true
		}
		if sub, ok := c.diagnoseOther(subject, CrashLoop); ok {
			f.Summary = said + ", which crash-loops: " + strings.TrimSuffix(sub.headline, ".")
			f.Chain[len(f.Chain)-1].Says = "container " + ct.Name + " crash-loops (" + sub.Cause + ")"
			f = c.extend(f, sub)
		}
		return f, true
	}
	f.Cause = "dependency.not-ready"
	f.Summary = said + ": it does not listen there yet"
	f.Advice = "Have the program wait for it, or make " + ct.Name + " a native sidecar, which starts first"
	f.Chain = append(f.Chain, Link{self, "container " + ct.Name + " does not listen yet"})
	return f, true
}

// sameHost follows the loopback of a pod on its host's network to the other pods there, such as etcd beside the API server.
func (c *Case) sameHost(a Address, h Hit, f Finding) (Finding, bool) {
	for p := range c.pods(c.Subject.Namespace) {
		if !p.Spec.HostNetwork || p.Spec.NodeName != c.Spec.NodeName || p.Name == c.Subject.Pod {
			continue
		}
		if slices.ContainsFunc(p.Spec.Containers, func(ct corev1.Container) bool { return serves(ct, a.Port) }) {
			return c.followPods(a, h, f, nil, []*corev1.Pod{p})
		}
	}
	return Finding{}, false
}

// pointsHere says that the container's own environment names the pod itself as the host of that port.
func (c *Case) pointsHere(a Address) bool {
	_, ok := c.localEnv(a)
	return ok
}

// localEnv returns the variable that names the pod itself as a host.
func (c *Case) localEnv(a Address) (string, bool) {
	for _, e := range c.Container.Env {
		if v := strings.ToLower(e.Value); v == "localhost" || v == "127.0.0.1" || v == "::1" {
			return e.Name, true
		}
		for _, found := range c.engine.address.find(e.Value) {
			if found.IsLocal() && found.Port == a.Port && !strings.Contains(e.Value, "0.0.0.0") {
				return e.Name, true
			}
		}
	}
	return "", false
}

// ownHost is the finding that a program looks for its dependency in its own pod, where nothing listens.
func (c *Case) ownHost(a Address, f Finding) Finding {
	var service string
	for s := range c.services(c.Subject.Namespace) {
		if c.selectsSubject(s) {
			continue
		}
		for _, p := range s.Spec.Ports {
			if int(p.Port) == a.Port && service == "" {
				service = s.Name
			}
		}
	}
	f.Proof, f.Confidence = Corroborated, Possible
	f.Summary = fmt.Sprintf("%s cannot connect to %s (refused): that is its own pod, and no container of it is made to listen there", c.Who(), a)
	f.Advice = "Give the program the host of what it needs"
	if service != "" {
		f.Confidence = Likely
		f.Advice = fmt.Sprintf("Give the program its host; Service %s/%s serves port %d", c.Subject.Namespace, service, a.Port)
		f.Evidence = append(f.Evidence, Evidence{"Service " + c.Subject.Namespace + "/" + service + " spec.ports", strconv.Itoa(a.Port)})
	}
	if env, ok := c.localEnv(a); ok {
		f.Cause, f.Confidence = "app.invalid-config", Likely
		f.Summary += "; its variable " + env + " says so"
		f.Evidence = append(f.Evidence, Evidence{c.SpecField("env[" + env + "]"), "names the pod itself"})
		if service != "" {
			f.Fixes = []Fix{{Title: "Point " + env + " at the Service", Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, env+"="+service)}}
		}
		return f
	}
	if name, key, ok := c.localSetting(a); ok {
		f.Cause, f.Confidence = "app.invalid-config", Likely
		f.Root = "ConfigMap/" + c.Subject.Namespace + "/" + name
		f.Chain = append(f.Chain, Link{f.Root, "key " + key + " names the pod itself as the host"})
		f.Summary += fmt.Sprintf("; key %s of ConfigMap %s says so", key, name)
		f.Evidence = append(f.Evidence, Evidence{"ConfigMap " + name + " key " + key, "names the pod itself as the host of port " + strconv.Itoa(a.Port)})
		f.Fixes = []Fix{{Title: "Correct the ConfigMap", Command: c.Kubectl("edit", "configmap", name)}}
		return f
	}
	f.Cause = "config.env-missing"
	f.Summary += "; nothing in its environment names another host"
	f.Evidence = append(f.Evidence, Evidence{c.SpecField("env"), "names no host for port " + strconv.Itoa(a.Port)})
	f.Fixes = []Fix{{Title: "See which variables it has", Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, "--list")}}
	return f
}

// localHost is a setting that names the pod itself as a host, with the port elsewhere.
var localHost = regexp.MustCompile(`(?im)^[^#;\n]*\b\w*host["']?\s*[=:]\s*["']?(?:localhost|127\.0\.0\.1|::1)["']?\s*[,;]?\s*$`)

// localSetting returns the ConfigMap and its key that name the pod itself as the host of that port.
func (c *Case) localSetting(a Address) (name, key string, ok bool) {
	for _, r := range c.ConfigReferences() {
		own := r.Container == c.Subject.Container || slices.ContainsFunc(c.Container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == r.Volume })
		if r.Kind != ConfigMaps || !own {
			continue
		}
		for k, text := range sorted(c.ConfigMapData(r.Name)) {
			if r.Key != "" && k != r.Key {
				continue
			}
			if len(text) > 64<<10 {
				text = text[:64<<10]
			}
			for _, found := range c.engine.address.find(text) {
				if found.IsLocal() && found.Port == a.Port && found.Host != "0.0.0.0" {
					return r.Name, k, true
				}
			}
			if localHost.MatchString(text) && slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }), strconv.Itoa(a.Port)) {
				return r.Name, k, true
			}
		}
	}
	return "", "", false
}

// meshProxy says that all that the pod sends goes through a proxy beside it, which is not up.
func (c *Case) meshProxy(a Address, h Hit, f Finding) (Finding, bool) {
	for _, ct := range c.neighbours() {
		switch ct.Name {
		case "istio-proxy", "linkerd-proxy", "consul-dataplane", "envoy-sidecar", "kuma-sidecar", "envoy":
		default:
			continue
		}
		if rec := c.record(ct.Name); rec != nil && !rec.Ready {
			return c.neighbour(f, ct, fmt.Sprintf("%s, although that is ready: all it sends goes through container %s, which is not", couldNot(c, a, h.Pattern), ct.Name))
		}
	}
	return Finding{}, false
}

// socketPath is a socket file in a line of a log or among the arguments: "unix:///csi/csi.sock", "dial unix /run/app.sock".
var socketPath = regexp.MustCompile(`(?:unix:(?://)?|dial unix )(/[^\s"',;:)\]]+)|(/[^\s"',;:)=]+\.sock)\b`)

// socket returns the socket file that a line says cannot be connected to, "" when it is about something else. What speaks of the CSI
// driver means the socket that its arguments or variables name.
func (c *Case) socket(h Hit) string {
	text := strings.ToLower(h.Text)
	if m := socketPath.FindStringSubmatch(h.Text); m != nil {
		if strings.Contains(text, "docker.sock") || strings.Contains(text, "containerd.sock") || strings.Contains(text, "crio.sock") {
			return ""
		}
		return m[1] + m[2]
	}
	if !strings.Contains(text, "csi") || c.Container == nil || len(c.engine.address.find(h.Text)) > 0 {
		return ""
	}
	for _, a := range slices.Concat(c.Container.Command, c.Container.Args) {
		if m := socketPath.FindStringSubmatch(a); m != nil {
			return m[1] + m[2]
		}
	}
	for _, e := range c.Container.Env {
		if m := socketPath.FindStringSubmatch(e.Value); m != nil {
			return m[1] + m[2]
		}
	}
	for n := h.Line - 1; n > h.Line-nearby; n-- {
		if m := socketPath.FindStringSubmatch(h.Log.Line(n)); m != nil {
			return m[1] + m[2]
		}
	}
	return ""
}

// followSocket goes from a socket file to the container of the pod that should serve it: one that shares the file's volume and crash-loops.
func (c *Case) followSocket(path string, h Hit) (Finding, bool) {
	if c.Container == nil || c.Pod == nil {
		return Finding{}, false
	}
	volume := ""
	for _, m := range c.Container.VolumeMounts {
		if strings.HasPrefix(path, strings.TrimSuffix(m.MountPath, "/")+"/") {
			volume = m.Name
		}
	}
	f := FromHit(h, Likely, Words)
	f.Keys = []string{path}
	for _, ct := range c.neighbours() {
		if !slices.ContainsFunc(ct.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume }) {
			continue
		}
		if rec := c.record(ct.Name); rec == nil || !rec.crashes() || waitsForDriver(ct) {
			continue
		}
		return c.neighbour(f, ct, fmt.Sprintf("%s cannot connect to %s, which container %s of the same pod should serve", c.Who(), path, ct.Name))
	}
	return Finding{}, false
}

// waitsForDriver says that a container is one of those that only talk to a CSI driver, as the subject is: it waits for the same socket.
func waitsForDriver(ct corev1.Container) bool {
	for _, w := range []string{"csi-attacher", "csi-provisioner", "csi-resizer", "csi-snapshotter", "node-driver-registrar", "livenessprobe", "liveness-probe", "health-monitor"} {
		if strings.Contains(ct.Image+" "+ct.Name, w) {
			return true
		}
	}
	return false
}
