package diagnose

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxDifferences bounds a diff in words.
const maxDifferences = 8

// The sorts of differences between two pod templates: what a cause is held against to tell whether a change can have set it off.
const (
	diffImage      = "image"
	diffCommand    = "command" // command, args, workingDir
	diffEnv        = "env"
	diffMount      = "mount" // volumes and where they are mounted
	diffMemory     = "memory"
	diffCPU        = "cpu"
	diffDisk       = "disk"
	diffLiveness   = "liveness"
	diffStartup    = "startup"
	diffReadiness  = "readiness"
	diffSecurity   = "security"
	diffAccount    = "account"
	diffPlace      = "place" // which nodes and runtimes it may run on
	diffPorts      = "ports"
	diffNetwork    = "network"
	diffPull       = "pull"
	diffHook       = "hook"
	diffContainers = "containers" // one was added or removed
	diffChecksum   = "checksum"
)

// difference is one difference between two pod templates.
type difference struct {
	sort      string
	container string // empty when it is about the pod as a whole
	text      string
}

// diffTemplates says in words how two pod templates differ, in what can matter to a container that runs: "image 1.4.1 -> 1.4.2",
// "env DATABASE_URL removed". A restart by kubectl is no difference, nor are labels and the annotations that tools leave.
func diffTemplates(before, now *corev1.PodTemplateSpec) []difference {
	if before == nil || now == nil {
		return nil
	}
	a, b := &before.Spec, &now.Spec
	var out []difference
	add := func(sort, container, format string, args ...any) {
		out = append(out, difference{sort, container, fmt.Sprintf(format, args...)})
	}
	several := len(b.Containers)+len(b.InitContainers) > 1
	diffContainerLists("container", several, a.Containers, b.Containers, add)
	diffContainerLists("init container", true, a.InitContainers, b.InitContainers, add)
	diffVolumes(a.Volumes, b.Volumes, add)
	if x, y := a.ServiceAccountName, b.ServiceAccountName; orDefault(x) != orDefault(y) {
		add(diffAccount, "", "service account %s -> %s", orDefault(x), orDefault(y))
	}
	fields := func(sort, name string, x, y any) {
		for _, d := range diffFields(x, y) {
			add(sort, "", "%s", name+d)
		}
	}
	fields(diffSecurity, "pod securityContext ", a.SecurityContext, b.SecurityContext)
	fields(diffPlace, "nodeSelector ", a.NodeSelector, b.NodeSelector)
	for _, f := range []struct {
		sort, name string
		a, b       any
	}{
		{diffPlace, "affinity", a.Affinity, b.Affinity},
		{diffPlace, "tolerations", a.Tolerations, b.Tolerations},
		{diffPlace, "topologySpreadConstraints", a.TopologySpreadConstraints, b.TopologySpreadConstraints},
		{diffPull, "imagePullSecrets", a.ImagePullSecrets, b.ImagePullSecrets},
		{diffNetwork, "dnsConfig", a.DNSConfig, b.DNSConfig},
		{diffNetwork, "hostAliases", a.HostAliases, b.HostAliases},
	} {
		if !same(f.a, f.b) {
			add(f.sort, "", "%s changed", f.name)
		}
	}
	for _, f := range []struct {
		sort, name, a, b string
	}{
		{diffPlace, "nodeName", a.NodeName, b.NodeName},
		{diffPlace, "runtimeClassName", deref(a.RuntimeClassName), deref(b.RuntimeClassName)},
		{diffPlace, "priorityClassName", a.PriorityClassName, b.PriorityClassName},
		{diffNetwork, "dnsPolicy", string(a.DNSPolicy), string(b.DNSPolicy)},
		{diffNetwork, "hostNetwork", fmt.Sprint(a.HostNetwork), fmt.Sprint(b.HostNetwork)},
		{diffSecurity, "hostPID", fmt.Sprint(a.HostPID), fmt.Sprint(b.HostPID)},
		{diffSecurity, "hostIPC", fmt.Sprint(a.HostIPC), fmt.Sprint(b.HostIPC)},
		{diffAccount, "automountServiceAccountToken", yes(a.AutomountServiceAccountToken), yes(b.AutomountServiceAccountToken)},
		{diffEnv, "enableServiceLinks", yes(a.EnableServiceLinks), yes(b.EnableServiceLinks)},
		{diffCommand, "restartPolicy", string(a.RestartPolicy), string(b.RestartPolicy)},
	} {
		if f.a != f.b {
			add(f.sort, "", "%s %s -> %s", f.name, orNone(f.a), orNone(f.b))
		}
	}
	diffAnnotations(before.Annotations, now.Annotations, add)
	return out
}

// diffAnnotations names the few annotations of a template that change how its pods run. The checksum of the configuration is what charts
// put there so that an edit of it rolls the pods.
func diffAnnotations(a, b map[string]string, add func(sort, container, format string, args ...any)) {
	checksum := false
	for _, k := range slices.Sorted(maps.Keys(union(a, b))) {
		if a[k] == b[k] {
			continue
		}
		domain, name, ok := strings.Cut(k, "/")
		if !ok {
			domain, name = "", k
		}
		switch {
		case strings.Contains(k, "checksum") || strings.Contains(k, "config-hash") || strings.HasPrefix(k, "configmap.reloader.") || domain == "reloader.stakater.com":
			if !checksum && a[k] != "" && b[k] != "" {
				checksum = true
				add(diffChecksum, "", "the configuration's checksum changed")
			}
		case name == "inject" || strings.HasSuffix(name, "-inject") || domain == "vault.hashicorp.com" || domain == "sidecar.istio.io" || domain == "config.linkerd.io":
			add(diffContainers, "", "annotation %s %s -> %s", k, shown(k, a[k], 40), shown(k, b[k], 40))
		case domain == "container.apparmor.security.beta.kubernetes.io" || strings.HasPrefix(name, "seccomp"):
			add(diffSecurity, "", "annotation %s %s -> %s", k, shown(k, a[k], 40), shown(k, b[k], 40))
		}
	}
}

// diffFields compares two values field by field: "runAsUser 0 -> 1000".
func diffFields(a, b any) []string {
	x, y := map[string]string{}, map[string]string{}
	byPath("", a, x)
	byPath("", b, y)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(union(x, y))) {
		if x[k] != y[k] {
			out = append(out, fmt.Sprintf("%s %s -> %s", k, shown(k, x[k], 60), shown(k, y[k], 60)))
		}
	}
	return out
}

// byPath writes a value's fields by their paths.
func byPath(path string, v any, into map[string]string) {
	if path == "" {
		raw, err := json.Marshal(v)
		var plain any
		if err != nil || json.Unmarshal(raw, &plain) != nil {
			return
		}
		v = plain
	}
	m, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return
		}
		if list, ok := v.([]any); ok {
			var parts []string
			for _, e := range list {
				raw, _ := json.Marshal(e)
				parts = append(parts, strings.Trim(string(raw), `"`))
			}
			into[path] = strings.Join(parts, " ")
			return
		}
		raw, _ := json.Marshal(v)
		into[path] = strings.Trim(string(raw), `"`)
		return
	}
	for k, e := range m {
		if path != "" {
			k = path + "." + k
		}
		byPath(k, e, into)
	}
}

// yes writes a setting that is true where nothing is said.
func yes(b *bool) string { return fmt.Sprint(b == nil || *b) }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
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

// shown is the value of a setting as a difference quotes it: redacted before it is cut, as half of a secret is hard to tell.
func shown(name, value string, runes int) string {
	return orNone(Shorten(standard.RedactValue(name, value), runes))
}

func orDefault(name string) string {
	if name == "" {
		return "default"
	}
	return name
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func union(a, b map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

func diffContainerLists(what string, named bool, before, now []corev1.Container, add func(sort, container, format string, args ...any)) {
	old := map[string]*corev1.Container{}
	for i := range before {
		old[before[i].Name] = &before[i]
	}
	for i := range now {
		n := &now[i]
		o := old[n.Name]
		if o == nil {
			add(diffContainers, n.Name, "%s %s added", what, n.Name)
			continue
		}
		delete(old, n.Name)
		diffContainer(o, n, func(sort, format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			if named {
				text = n.Name + ": " + text
			}
			add(sort, n.Name, "%s", text)
		})
	}
	for i := range before {
		if old[before[i].Name] != nil {
			add(diffContainers, before[i].Name, "%s %s removed", what, before[i].Name)
		}
	}
}

func diffContainer(a, b *corev1.Container, add func(sort, format string, args ...any)) {
	if a.Image != b.Image {
		x, y := shortImages(a.Image, b.Image)
		add(diffImage, "image %s -> %s", x, y)
	}
	if x, y := a.ImagePullPolicy, b.ImagePullPolicy; x != y && x != "" && y != "" {
		add(diffPull, "imagePullPolicy %s -> %s", x, y)
	}
	diffEnvironment(a, b, add)
	for _, l := range []struct {
		name string
		a, b []string
	}{{"command", a.Command, b.Command}, {"args", a.Args, b.Args}} {
		if x, y := words(l.a), words(l.b); x != y {
			add(diffCommand, "%s %s -> %s", l.name, x, y)
		} else if !same(l.a, l.b) {
			add(diffCommand, "%s changed", l.name)
		}
	}
	for _, r := range []struct {
		name corev1.ResourceName
		sort string
	}{{corev1.ResourceMemory, diffMemory}, {corev1.ResourceCPU, diffCPU}, {corev1.ResourceEphemeralStorage, diffDisk}} {
		for _, l := range []struct {
			name string
			a, b corev1.ResourceList
		}{{"limit", a.Resources.Limits, b.Resources.Limits}, {"request", a.Resources.Requests, b.Resources.Requests}} {
			if x, y := l.a[r.name], l.b[r.name]; x.Cmp(y) != 0 {
				add(r.sort, "%s %s %s -> %s", r.name, l.name, quantity(l.a, r.name), quantity(l.b, r.name))
			}
		}
	}
	diffProbe(diffLiveness, "livenessProbe", a.LivenessProbe, b.LivenessProbe, add)
	diffProbe(diffStartup, "startupProbe", a.StartupProbe, b.StartupProbe, add)
	diffProbe(diffReadiness, "readinessProbe", a.ReadinessProbe, b.ReadinessProbe, add)
	diffMounts(a, b, add)
	for _, d := range diffFields(a.SecurityContext, b.SecurityContext) {
		add(diffSecurity, "%s", "securityContext "+d)
	}
	if x, y := ports(a), ports(b); x != y {
		add(diffPorts, "ports %s -> %s", orNone(x), orNone(y))
	}
	if a.WorkingDir != b.WorkingDir {
		add(diffCommand, "workingDir %s -> %s", orNone(a.WorkingDir), orNone(b.WorkingDir))
	}
	if !same(a.Lifecycle, b.Lifecycle) {
		add(diffHook, "lifecycle hooks changed")
	}
	if x, y := deref((*string)(a.RestartPolicy)), deref((*string)(b.RestartPolicy)); x != y {
		add(diffCommand, "restartPolicy %s -> %s", orNone(x), orNone(y))
	}
}

func quantity(l corev1.ResourceList, name corev1.ResourceName) string {
	q, ok := l[name]
	if !ok {
		return "none"
	}
	return q.String()
}

func ports(c *corev1.Container) string {
	var out []string
	for _, p := range c.Ports {
		s := fmt.Sprint(p.ContainerPort)
		if p.Name != "" {
			s = p.Name + "=" + s
		}
		if p.HostPort != 0 {
			s += fmt.Sprintf(" (on the host: %d)", p.HostPort)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func diffMounts(a, b *corev1.Container, add func(sort, format string, args ...any)) {
	mounts := func(c *corev1.Container) map[string]string {
		out := map[string]string{}
		for _, m := range c.VolumeMounts {
			s := "from volume " + m.Name
			if m.SubPath+m.SubPathExpr != "" {
				s += " subPath " + m.SubPath + m.SubPathExpr
			}
			if m.ReadOnly {
				s += " read-only"
			}
			out[m.MountPath] = s
		}
		return out
	}
	x, y := mounts(a), mounts(b)
	for _, path := range slices.Sorted(maps.Keys(union(x, y))) {
		switch {
		case x[path] == y[path]:
		case x[path] == "":
			add(diffMount, "mount %s added", path)
		case y[path] == "":
			add(diffMount, "mount %s removed", path)
		default:
			add(diffMount, "mount %s: %s -> %s", path, x[path], y[path])
		}
	}
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
	return Shorten("["+standard.Redact(strings.Join(list, " "))+"]", 120)
}

func diffEnvironment(a, b *corev1.Container, add func(sort, format string, args ...any)) {
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
			with := "="
			if f.Prefix != "" {
				with += "prefix " + f.Prefix
			}
			if f.ConfigMapRef != nil {
				out["from ConfigMap "+f.ConfigMapRef.Name] = with
			}
			if f.SecretRef != nil {
				out["from Secret "+f.SecretRef.Name] = with
			}
		}
		return out
	}
	va, vb := value(a), value(b)
	for _, k := range slices.Sorted(maps.Keys(union(va, vb))) {
		x, y := va[k], vb[k]
		switch {
		case x == y:
		case x == "":
			add(diffEnv, "env %s added", k)
		case y == "":
			add(diffEnv, "env %s removed", k)
		default:
			// Redacted before it is cut, as half of a secret is hard to tell.
			x, y = standard.RedactValue(k, x[1:]), standard.RedactValue(k, y[1:])
			if x == y {
				add(diffEnv, "env %s changed", k)
			} else {
				add(diffEnv, "env %s changed from %q to %q", k, Shorten(x, 60), Shorten(y, 60))
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

func diffProbe(sort, name string, a, b *corev1.Probe, add func(sort, format string, args ...any)) {
	switch {
	case same(a, b):
	case a == nil:
		add(sort, "%s added (%s)", name, ProbeWords(b))
	case b == nil:
		add(sort, "%s removed", name)
	case ProbeWords(a) == ProbeWords(b):
		add(sort, "%s changed", name)
	default:
		add(sort, "%s changed from %s to %s", name, ProbeWords(a), ProbeWords(b))
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

func diffVolumes(before, now []corev1.Volume, add func(sort, container, format string, args ...any)) {
	old := map[string]corev1.Volume{}
	for _, v := range before {
		old[v.Name] = v
	}
	for _, v := range now {
		o, ok := old[v.Name]
		delete(old, v.Name)
		x, y := volumeSource(o), volumeSource(v)
		switch {
		case !ok:
			add(diffMount, "", "volume %s added (%s)", v.Name, y)
		case x != y:
			add(diffMount, "", "volume %s: %s -> %s", v.Name, x, y)
		case !reflect.DeepEqual(o, v):
			add(diffMount, "", "volume %s (%s) changed", v.Name, y)
		}
	}
	for _, v := range before {
		if _, gone := old[v.Name]; gone {
			add(diffMount, "", "volume %s removed (%s)", v.Name, volumeSource(v))
		}
	}
}

// volumeSource says in a few words where a volume comes from.
func volumeSource(v corev1.Volume) string {
	switch {
	case v.ConfigMap != nil:
		return "ConfigMap " + v.ConfigMap.Name
	case v.Secret != nil:
		return "Secret " + v.Secret.SecretName
	case v.PersistentVolumeClaim != nil:
		return "claim " + v.PersistentVolumeClaim.ClaimName
	case v.HostPath != nil:
		return "hostPath " + v.HostPath.Path
	case v.EmptyDir != nil:
		return "emptyDir"
	case v.NFS != nil:
		return "NFS " + v.NFS.Server + ":" + v.NFS.Path
	case v.CSI != nil:
		return "driver " + v.CSI.Driver
	case v.Projected != nil:
		var parts []string
		for _, s := range v.Projected.Sources {
			switch {
			case s.ConfigMap != nil:
				parts = append(parts, "ConfigMap "+s.ConfigMap.Name)
			case s.Secret != nil:
				parts = append(parts, "Secret "+s.Secret.Name)
			}
		}
		return strings.TrimSpace("projected " + strings.Join(parts, " "))
	}
	return "another kind"
}
