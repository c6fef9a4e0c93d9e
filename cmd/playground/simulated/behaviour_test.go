package simulated

import (
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestParseBehaviour(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{name: "nothing", text: ""},
		{name: "an end", text: "exitCode: 1\nafter: 3s\nlog: |\n  boom\n"},
		{name: "a size", text: "exitCode: 1\nlogSize: 1Mi"},
		{name: "a typing mistake", text: "exitcode: 1\nexitKode: 2", err: `unknown field "exitKode"`},
		{name: "no such exit code", text: "exitCode: 256", err: "exitCode 256: a process ends with 0 to 255"},
		{name: "an end without a code", text: "reason: OOMKilled", err: "exitCode is missing"},
		{name: "too much log", text: "exitCode: 1\nlogSize: 1Gi", err: "logSize 1Gi"},
		{name: "a path without a slash", text: "paths: {healthz: 404}", err: `"healthz" does not begin with /`},
		{name: "not YAML", text: "{", err: "reading the behaviour"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseBehaviour(tt.text)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
		})
	}
}

func FuzzParseBehaviour(f *testing.F) {
	f.Add("exitCode: 1\nafter: 3s")
	f.Add("paths: {/: 1}")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBehaviour(text)
		if err == nil && b.ends(0) && *b.ExitCode > 255 {
			t.Errorf("exit code %d got through", *b.ExitCode)
		}
	})
}

// What a probe of the pod says is what the kubelet's own prober would say.
func TestProbes(t *testing.T) {
	web := core.Container{Ports: []core.ContainerPort{{Name: "http", ContainerPort: 8080}}}
	http := &core.Probe{ProbeHandler: core.ProbeHandler{HTTPGet: &core.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http"), Scheme: "HTTP"}}, TimeoutSeconds: 1}
	tcp := &core.Probe{ProbeHandler: core.ProbeHandler{TCPSocket: &core.TCPSocketAction{Port: intstr.FromInt32(5432)}}}
	grpc := &core.Probe{ProbeHandler: core.ProbeHandler{GRPC: &core.GRPCAction{Port: 9000}}}
	exec := &core.Probe{ProbeHandler: core.ProbeHandler{Exec: &core.ExecAction{Command: []string{"pg_isready"}}}}
	minute := &metav1.Duration{Duration: time.Minute}
	for _, tt := range []struct {
		name  string
		probe *core.Probe
		b     Behaviour
		age   time.Duration
		out   string
		code  int
	}{
		{name: "healthy", probe: http},
		{name: "another port", probe: http, b: Behaviour{ListensOn: []int32{9090}}, out: `Get "http://10.244.0.2:8080/healthz": dial tcp 10.244.0.2:8080: connect: connection refused`, code: 1},
		{name: "its port", probe: http, b: Behaviour{ListensOn: []int32{8080}}},
		{name: "not yet", probe: tcp, b: Behaviour{ListensAfter: *minute}, age: time.Second, out: "dial tcp 10.244.0.2:5432: connect: connection refused", code: 1},
		{name: "by now", probe: tcp, b: Behaviour{ListensAfter: *minute}, age: time.Hour},
		{name: "still well", probe: http, b: Behaviour{Status: 503, StatusAfter: *minute}, age: time.Second},
		{name: "unwell", probe: http, b: Behaviour{Status: 503, StatusAfter: *minute}, age: time.Hour, out: "HTTP probe failed with statuscode: 503", code: 1},
		{name: "wrong path", probe: http, b: Behaviour{Paths: map[string]int32{"/healthz": 404}}, out: "HTTP probe failed with statuscode: 404", code: 1},
		{name: "gRPC", probe: grpc, b: Behaviour{Status: 503}, out: `service unhealthy (responded with "NOT_SERVING")`, code: 1},
		{name: "exec", probe: exec, b: Behaviour{ProbeExitCode: 2, ProbeOutput: "no response"}, out: "no response", code: 2},
		{name: "hangs", probe: http, b: Behaviour{HangsAfter: &metav1.Duration{}}, out: `Get "http://10.244.0.2:8080/healthz": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, code: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			instead := execInstead(tt.probe, &web)
			out, code := answer(t.Context(), tt.b, tt.age, "10.244.0.2", instead.Exec.Command)
			if out != tt.out || code != tt.code {
				t.Errorf("got %q and %d, want %q and %d", out, code, tt.out, tt.code)
			}
		})
	}
}

func TestPullErrors(t *testing.T) {
	for image, want := range map[string]string{
		"shop/web:1":                        "",
		"web:missing":                       "docker.io/library/web:missing: not found",
		"registry.invalid/a/b:2":            `Head "https://registry.invalid/v2/a/b/manifests/2": dial tcp: lookup registry.invalid`,
		"registry.example/shop/web:private": "pull access denied",
	} {
		err := pullError(image)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", image, err, want)
		}
	}
}

// A pod without what would leave the simulation, and the one at the API server untouched.
func TestPrepare(t *testing.T) {
	group := int64(1000)
	pod := &core.Pod{Spec: core.PodSpec{
		SecurityContext: &core.PodSecurityContext{FSGroup: &group},
		Volumes:         []core.Volume{{Name: "kube-api-access-x", VolumeSource: core.VolumeSource{Projected: &core.ProjectedVolumeSource{}}}, {Name: "data"}},
		Containers: []core.Container{{
			VolumeMounts:  []core.VolumeMount{{Name: "kube-api-access-x"}, {Name: "data"}},
			Lifecycle:     &core.Lifecycle{PreStop: &core.LifecycleHandler{HTTPGet: &core.HTTPGetAction{}}},
			LivenessProbe: &core.Probe{ProbeHandler: core.ProbeHandler{TCPSocket: &core.TCPSocketAction{}}},
		}},
	}}
	before := pod.DeepCopy()
	got := prepare(pod)
	c := got.Spec.Containers[0]
	if len(got.Spec.Volumes) != 1 || len(c.VolumeMounts) != 1 || c.Lifecycle.PreStop != nil || c.LivenessProbe.Exec == nil || got.Spec.SecurityContext.FSGroup != nil {
		t.Errorf("got %+v", got.Spec)
	}
	if pod.Spec.Containers[0].LivenessProbe.TCPSocket == nil || len(pod.Spec.Volumes) != len(before.Spec.Volumes) {
		t.Error("the API server's pod was changed")
	}
}
