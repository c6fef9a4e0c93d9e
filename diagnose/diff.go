package diagnose

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxDifferences bounds a diff in words.
const maxDifferences = 8

// DiffTemplates says in words how two pod templates differ, in what can matter to a container that runs: "image 1.4.1 -> 1.4.2",
// "env DATABASE_URL removed". A restart by kubectl is no difference.
func DiffTemplates(before, now *corev1.PodTemplateSpec) []string {
	if before == nil || now == nil {
		return nil
	}
	var out []string
	add := func(format string, args ...any) {
		if len(out) < maxDifferences {
			out = append(out, fmt.Sprintf(format, args...))
		} else if len(out) == maxDifferences {
			out = append(out, "and more")
		}
	}
	several := len(now.Spec.Containers)+len(now.Spec.InitContainers) > 1
	diffContainers("container", several, before.Spec.Containers, now.Spec.Containers, add)
	diffContainers("init container", true, before.Spec.InitContainers, now.Spec.InitContainers, add)
	diffVolumes(before.Spec.Volumes, now.Spec.Volumes, add)
	if a, b := before.Spec.ServiceAccountName, now.Spec.ServiceAccountName; a != b {
		add("service account %s -> %s", orDefault(a), orDefault(b))
	}
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"pod securityContext", before.Spec.SecurityContext, now.Spec.SecurityContext},
		{"nodeSelector", before.Spec.NodeSelector, now.Spec.NodeSelector},
		{"affinity", before.Spec.Affinity, now.Spec.Affinity},
		{"tolerations", before.Spec.Tolerations, now.Spec.Tolerations},
		{"imagePullSecrets", before.Spec.ImagePullSecrets, now.Spec.ImagePullSecrets},
		{"hostNetwork", before.Spec.HostNetwork, now.Spec.HostNetwork},
		{"dnsPolicy", before.Spec.DNSPolicy, now.Spec.DNSPolicy},
		{"runtimeClassName", before.Spec.RuntimeClassName, now.Spec.RuntimeClassName},
		{"restartPolicy", before.Spec.RestartPolicy, now.Spec.RestartPolicy},
	} {
		if !same(f.a, f.b) {
			add("%s changed", f.name)
		}
	}
	for _, k := range sortedKeys(union(before.Annotations, now.Annotations)) {
		if k != "kubectl.kubernetes.io/restartedAt" && before.Annotations[k] != now.Annotations[k] {
			add("annotation %s changed", k)
		}
	}
	return out
}

// same compares two values, nil and empty being equal.
func same(a, b any) bool {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	empty := func(v reflect.Value) bool {
		switch v.Kind() {
		case reflect.Map, reflect.Slice:
			return v.Len() == 0
		case reflect.Pointer:
			return v.IsNil() || v.Elem().IsZero()
		}
		return v.IsZero()
	}
	if empty(va) && empty(vb) {
		return true
	}
	return reflect.DeepEqual(a, b)
}

func orDefault(name string) string {
	if name == "" {
		return "default"
	}
	return name
}

func union(a, b map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		out[k] = v
	}
	return out
}

func diffContainers(what string, named bool, before, now []corev1.Container, add func(string, ...any)) {
	old := map[string]*corev1.Container{}
	for i := range before {
		old[before[i].Name] = &before[i]
	}
	for i := range now {
		n := &now[i]
		o := old[n.Name]
		if o == nil {
			add("%s %s added", what, n.Name)
			continue
		}
		delete(old, n.Name)
		diffContainer(o, n, func(format string, args ...any) {
			if named {
				format = n.Name + ": " + format
			}
			add(format, args...)
		})
	}
	for i := range before {
		if old[before[i].Name] != nil {
			add("%s %s removed", what, before[i].Name)
		}
	}
}

func diffContainer(a, b *corev1.Container, add func(string, ...any)) {
	if a.Image != b.Image {
		x, y := shortImages(a.Image, b.Image)
		add("image %s -> %s", x, y)
	}
	diffEnv(a, b, add)
	if !same(a.Command, b.Command) {
		add("command %s -> %s", words(a.Command), words(b.Command))
	}
	if !same(a.Args, b.Args) {
		add("args %s -> %s", words(a.Args), words(b.Args))
	}
	for _, r := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceCPU, corev1.ResourceEphemeralStorage} {
		x, y := a.Resources.Limits[r], b.Resources.Limits[r]
		if x.Cmp(y) != 0 {
			add("%s limit %s -> %s", r, orNone(x.String(), x.IsZero()), orNone(y.String(), y.IsZero()))
		}
		x, y = a.Resources.Requests[r], b.Resources.Requests[r]
		if x.Cmp(y) != 0 {
			add("%s request %s -> %s", r, orNone(x.String(), x.IsZero()), orNone(y.String(), y.IsZero()))
		}
	}
	diffProbe("livenessProbe", a.LivenessProbe, b.LivenessProbe, add)
	diffProbe("startupProbe", a.StartupProbe, b.StartupProbe, add)
	diffProbe("readinessProbe", a.ReadinessProbe, b.ReadinessProbe, add)
	mounts := func(c *corev1.Container) map[string]string {
		out := map[string]string{}
		for _, m := range c.VolumeMounts {
			out[m.MountPath] = m.Name + " " + m.SubPath + fmt.Sprint(m.ReadOnly)
		}
		return out
	}
	ma, mb := mounts(a), mounts(b)
	for _, path := range sortedKeys(union(ma, mb)) {
		switch {
		case ma[path] == "":
			add("mount %s added", path)
		case mb[path] == "":
			add("mount %s removed", path)
		case ma[path] != mb[path]:
			add("mount %s changed", path)
		}
	}
	if !same(a.SecurityContext, b.SecurityContext) {
		add("securityContext changed")
	}
	if !same(a.Ports, b.Ports) {
		add("ports changed")
	}
	if a.WorkingDir != b.WorkingDir {
		add("workingDir %q -> %q", a.WorkingDir, b.WorkingDir)
	}
}

func orNone(s string, none bool) string {
	if none {
		return "none"
	}
	return s
}

// shortImages leaves out what two references share before the tag or digest.
func shortImages(a, b string) (string, string) {
	cutTag := func(s string) (string, string) {
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			return s[:i], s[i+1:]
		}
		if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
			return s[:i], s[i+1:]
		}
		return s, ""
	}
	ra, ta := cutTag(a)
	rb, tb := cutTag(b)
	if ra == rb && ta != "" && tb != "" {
		return ta, tb
	}
	return a, b
}

func words(list []string) string {
	return cut("["+NewRedactor().Redact(strings.Join(list, " "))+"]", 120)
}

func diffEnv(a, b *corev1.Container, add func(string, ...any)) {
	value := func(c *corev1.Container) map[string]string {
		out := map[string]string{}
		for _, e := range c.Env {
			v := e.Value
			if e.ValueFrom != nil {
				v = "from " + valueSource(e.ValueFrom)
			}
			out[e.Name] = "=" + v
		}
		for _, f := range c.EnvFrom {
			if f.ConfigMapRef != nil {
				out["all of ConfigMap "+f.ConfigMapRef.Name] = "="
			}
			if f.SecretRef != nil {
				out["all of Secret "+f.SecretRef.Name] = "="
			}
		}
		return out
	}
	va, vb := value(a), value(b)
	redact := NewRedactor()
	for _, k := range sortedKeys(union(va, vb)) {
		x, y := va[k], vb[k]
		switch {
		case x == y:
		case x == "":
			add("env %s added", k)
		case y == "":
			add("env %s removed", k)
		default:
			// Redacted before it is cut, as half of a secret is hard to tell.
			x, y = redact.RedactValue(k, x[1:]), redact.RedactValue(k, y[1:])
			if x == y {
				add("env %s changed", k)
			} else {
				add("env %s changed from %q to %q", k, cut(x, 60), cut(y, 60))
			}
		}
	}
}

func valueSource(s *corev1.EnvVarSource) string {
	switch {
	case s.ConfigMapKeyRef != nil:
		return "ConfigMap " + s.ConfigMapKeyRef.Name + " key " + s.ConfigMapKeyRef.Key
	case s.SecretKeyRef != nil:
		return "Secret " + s.SecretKeyRef.Name + " key " + s.SecretKeyRef.Key
	case s.FieldRef != nil:
		return "field " + s.FieldRef.FieldPath
	case s.ResourceFieldRef != nil:
		return "field " + s.ResourceFieldRef.Resource
	}
	return "elsewhere"
}

func diffProbe(name string, a, b *corev1.Probe, add func(string, ...any)) {
	switch {
	case same(a, b):
	case a == nil:
		add("%s added", name)
	case b == nil:
		add("%s removed", name)
	default:
		add("%s changed from %s to %s", name, ProbeWords(a), ProbeWords(b))
	}
}

// ProbeWords writes a probe in one phrase: "GET :8080/healthz after 5s, every 10s, 3 failures, timeout 1s".
func ProbeWords(p *corev1.Probe) string {
	what := "probe"
	switch {
	case p.HTTPGet != nil:
		what = fmt.Sprintf("GET :%s%s", p.HTTPGet.Port.String(), p.HTTPGet.Path)
	case p.TCPSocket != nil:
		what = "TCP :" + p.TCPSocket.Port.String()
	case p.GRPC != nil:
		what = fmt.Sprintf("gRPC :%d", p.GRPC.Port)
	case p.Exec != nil:
		what = "command " + words(p.Exec.Command)
	}
	return fmt.Sprintf("%s after %ds, every %ds, %d failures, timeout %ds", what, p.InitialDelaySeconds, orInt(p.PeriodSeconds, 10), orInt(p.FailureThreshold, 3), orInt(p.TimeoutSeconds, 1))
}

func orInt(n, def int32) int32 {
	if n == 0 {
		return def
	}
	return n
}

func diffVolumes(before, now []corev1.Volume, add func(string, ...any)) {
	old := map[string]corev1.Volume{}
	for _, v := range before {
		old[v.Name] = v
	}
	for _, v := range now {
		o, ok := old[v.Name]
		delete(old, v.Name)
		switch {
		case !ok:
			add("volume %s added", v.Name)
		case !reflect.DeepEqual(o, v):
			add("volume %s changed", v.Name)
		}
	}
	for _, v := range before {
		if _, gone := old[v.Name]; gone {
			add("volume %s removed", v.Name)
		}
	}
}
