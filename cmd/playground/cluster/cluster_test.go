package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// patience is where a test gives up; no test waits for it to pass.
const patience = 2 * time.Minute

// killMe makes this test binary start a cluster, print what belongs to it, and wait to be killed.
const killMe = "PLAYGROUND_TEST_KILL_ME"

func TestMain(m *testing.M) {
	Main()
	if os.Getenv(killMe) != "" {
		waitToBeKilled()
	}
	os.Exit(m.Run())
}

func start(t *testing.T, opts Options) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until check succeeds.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	if err := waitUntil(within(t), what, check); err != nil {
		t.Fatal(err)
	}
}

func onlyPod(ctx context.Context, c *Cluster, selector string) (*core.Pod, error) {
	pods, err := c.Client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) != 1 {
		return nil, fmt.Errorf("%d pods have %s", len(pods.Items), selector)
	}
	return &pods.Items[0], nil
}

const workloads = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: healthy}
spec:
  replicas: 2
  selector: {matchLabels: {app: healthy}}
  template:
    metadata: {labels: {app: healthy}}
    spec:
      initContainers:
      - {name: helper, restartPolicy: Always, image: shop/helper:1}
      containers:
      - name: web
        image: shop/web:1
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: crashing}
spec:
  selector: {matchLabels: {app: crashing}}
  template:
    metadata:
      labels: {app: crashing}
      annotations:
        playground.crashloop.dev/web: |
          exitCode: 3
          after: 100ms
          logSize: 10Ki
          log: |
            starting
            fatal: no such table
    spec:
      containers:
      - {name: web, image: shop/web:1}
---
apiVersion: v1
kind: Pod
metadata:
  name: oom
  labels: {app: oom}
  annotations:
    playground.crashloop.dev/web: "{exitCode: 137, reason: OOMKilled, terminationMessage: too much}"
spec:
  containers:
  - {name: web, image: shop/web:1}
---
apiVersion: v1
kind: Pod
metadata: {name: unlisted, labels: {app: unlisted}}
spec:
  containers:
  - name: web
    image: shop/web:1
    env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: a}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: unmounted, labels: {app: unmounted}}
spec:
  containers:
  - {name: web, image: shop/web:1, volumeMounts: [{name: v, mountPath: /v}]}
  volumes: [{name: v, secret: {secretName: absent}}]
---
apiVersion: v1
kind: Pod
metadata: {name: unpullable, labels: {app: unpullable}}
spec:
  containers:
  - {name: web, image: "shop/web:missing"}
---
apiVersion: v1
kind: Pod
metadata: {name: nocommand, labels: {app: nocommand}, annotations: {playground.crashloop.dev/web: "startError: 'exec: \"wge\": executable file not found in $PATH'"}}
spec:
  containers:
  - {name: web, image: shop/web:1, terminationMessagePolicy: FallbackToLogsOnError}
---
apiVersion: v1
kind: Pod
metadata: {name: unwell, labels: {app: unwell}, annotations: {playground.crashloop.dev/web: "{listensOn: [9090], ignoresStop: true}"}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: web, image: shop/web:1, livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 1}}
`

// TestSimulated starts one cluster and looks at it from all sides.
func TestSimulated(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this starts a control plane")
	}
	c := start(t, Options{MaxRestartPeriod: 3 * time.Second})
	ctx := within(t)
	if err := c.Apply(ctx, []byte(workloads)); err != nil {
		t.Fatal(err)
	}
	t.Run("a healthy deployment becomes ready", func(t *testing.T) {
		if err := c.WaitReady(within(t), []byte(strings.Split(workloads, "---")[0])); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a crash loop shows as a kubelet shows it", func(t *testing.T) { crashLoop(t, c) })
	t.Run("states that follow from the spec", func(t *testing.T) { specStates(t, c) })
	t.Run("RBAC is real", func(t *testing.T) { realRBAC(t, c) })
	t.Run("a crowd is healthy", func(t *testing.T) { healthyCrowd(t, c) })
	t.Run("the API server comes back with its data", func(t *testing.T) {
		c.StopAPIServer()
		if _, err := c.Client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); err == nil {
			t.Fatal("a stopped API server answers")
		}
		if err := c.StartAPIServer(within(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := onlyPod(ctx, c, "app=oom"); err != nil {
			t.Fatal(err)
		}
	})
}

func crashLoop(t *testing.T, c *Cluster) {
	var pod *core.Pod
	eventually(t, "two restarts", func(ctx context.Context) (err error) {
		if pod, err = onlyPod(ctx, c, "app=crashing"); err != nil {
			return err
		}
		if s := pod.Status.ContainerStatuses; len(s) == 0 || s[0].RestartCount < 2 {
			return fmt.Errorf("status is %+v", s)
		}
		return nil
	})
	last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
	if last == nil || last.ExitCode != 3 || last.Reason != "Error" {
		t.Errorf("the last state is %+v", last)
	}
	// The kubelet keeps one dead container: while the newest has ended and not been replaced, there is no previous log.
	tail := int64(1)
	eventually(t, "the previous log", func(ctx context.Context) error {
		stream, err := c.Client().CoreV1().Pods("default").GetLogs(pod.Name, &core.PodLogOptions{Previous: true, TailLines: &tail}).Stream(ctx)
		if err != nil {
			return err
		}
		defer stream.Close()
		data, err := io.ReadAll(stream)
		if err == nil && string(data) != "fatal: no such table\n" {
			return fmt.Errorf("the previous log is %q", data)
		}
		return err
	})
	eventually(t, "the BackOff event", func(ctx context.Context) error {
		return hasEvent(ctx, c, pod.Name, "BackOff", "Back-off restarting failed container web in pod "+pod.Name, "spec.containers{web}")
	})
}

func hasEvent(ctx context.Context, c *Cluster, pod, reason, message, fieldPath string) error {
	events, err := c.Client().CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
	if err != nil {
		return err
	}
	var seen []string
	for _, e := range events.Items {
		if e.Reason == reason && strings.Contains(e.Message, message) && e.InvolvedObject.FieldPath == fieldPath && e.Source.Component == "kubelet" {
			return nil
		}
		seen = append(seen, e.Reason+": "+e.Message)
	}
	return fmt.Errorf("no event %s with %q, but %q", reason, message, seen)
}

func specStates(t *testing.T, c *Cluster) {
	for _, tt := range []struct {
		pod     string
		matches func(core.ContainerStatus) bool
		// reason, message and path of an event
		reason, message, path string
	}{
		{pod: "oom", matches: func(s core.ContainerStatus) bool {
			last := s.LastTerminationState.Terminated
			return last != nil && last.Reason == "OOMKilled" && last.ExitCode == 137 && last.Message == "too much"
		}, reason: "Started", message: "Container started", path: "spec.containers{web}"},
		{pod: "unlisted", matches: waits("CreateContainerConfigError", `configmap "absent" not found`), reason: "Failed", message: `Error: configmap "absent" not found`, path: "spec.containers{web}"},
		{pod: "unmounted", matches: waits("ContainerCreating", ""), reason: "FailedMount", message: `MountVolume.SetUp failed for volume "v" : secret "absent" not found`},
		{pod: "unpullable", matches: waits("ImagePullBackOff", "docker.io/shop/web:missing: not found"), reason: "Failed", message: `Failed to pull image "shop/web:missing"`, path: "spec.containers{web}"},
		{pod: "nocommand", matches: func(s core.ContainerStatus) bool {
			last := s.LastTerminationState.Terminated
			return last != nil && last.Reason == "StartError" && last.ExitCode == 128 && last.StartedAt.Unix() == 0 && strings.Contains(last.Message, `exec: "wge": executable file not found`)
		}, reason: "Failed", message: `exec: "wge": executable file not found in $PATH`, path: "spec.containers{web}"},
		{pod: "unwell", matches: func(s core.ContainerStatus) bool {
			last := s.LastTerminationState.Terminated
			return last != nil && last.Reason == "Error" && last.ExitCode == 137
		}, reason: "Unhealthy", message: ":8080: connect: connection refused", path: "spec.containers{web}"},
	} {
		t.Run(tt.pod, func(t *testing.T) {
			eventually(t, "its state", func(ctx context.Context) error {
				pod, err := onlyPod(ctx, c, "app="+tt.pod)
				if err != nil {
					return err
				}
				if s := pod.Status.ContainerStatuses; len(s) != 1 || !tt.matches(s[0]) {
					return fmt.Errorf("its status is %+v", s)
				}
				return nil
			})
			eventually(t, "its event", func(ctx context.Context) error { return hasEvent(ctx, c, tt.pod, tt.reason, tt.message, tt.path) })
		})
	}
}

func waits(reason, message string) func(core.ContainerStatus) bool {
	return func(s core.ContainerStatus) bool {
		return s.State.Waiting != nil && s.State.Waiting.Reason == reason && strings.Contains(s.State.Waiting.Message, message)
	}
}

func healthyCrowd(t *testing.T, c *Cluster) {
	ctx := within(t)
	if err := c.Apply(ctx, []byte("{apiVersion: v1, kind: Namespace, metadata: {name: crowd}}")); err != nil {
		t.Fatal(err)
	}
	crowd, err := c.StartCrowd(ctx, "crowd", 150, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer crowd.Stop()
	pods, err := c.Client().CoreV1().Pods("crowd").List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil || len(pods.Items) != 150 {
		t.Fatalf("%d pods run, of 150 (%v)", len(pods.Items), err)
	}
	for _, name := range []string{crowdNodeName(0), crowdNodeName(1)} {
		node, err := c.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if cond := node.Status.Conditions; len(cond) == 0 || cond[0].Status != core.ConditionTrue {
			t.Errorf("node %s: %+v", name, cond)
		}
	}
}

func realRBAC(t *testing.T, c *Cluster) {
	ctx := within(t)
	credentials, err := c.User("nobody-in-particular", "some-group")
	if err != nil {
		t.Fatal(err)
	}
	person, err := kubernetes.NewForConfig(credentials)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := person.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("a person without rights got %v", err)
	}
	grant := `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: some-group}]
`
	if err := c.Apply(ctx, []byte(grant)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the right to list pods", func(ctx context.Context) error {
		_, err := person.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		return err
	})
	if err := person.CoreV1().Pods("default").Delete(ctx, "oom", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a viewer who deletes a pod got %v", err)
	}
	account, err := c.ServiceAccount(ctx, "default", "default")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := c.WriteKubeconfig(path, account); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), account.BearerToken) {
		t.Errorf("the kubeconfig lacks the token (%v)", err)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this starts a control plane")
	}
	c := start(t, Options{SimulatedNodes: 1})
	if _, err := c.StartProgram("sleeper", nil, "sleep", "1000"); err != nil {
		t.Fatal(err)
	}
	pids := c.pids(t)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, pid := range pids {
		if alive(pid) {
			t.Errorf("%s (%d) still runs", name, pid)
		}
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the work folder is still there (%v)", err)
	}
}

func (c *Cluster) pids(t interface{ Fatal(...any) }) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := map[string]int{"kube-apiserver": c.apiserver.cmd.Process.Pid, "janitor": c.janitor.cmd.Process.Pid}
	for _, p := range c.processes {
		pids[p.name] = p.cmd.Process.Pid
		if p.pidFile != "" {
			pid, err := (&Program{c: c, p: p}).PID()
			if err != nil {
				t.Fatal(err)
			}
			pids[p.name+" itself"] = pid
		}
	}
	return pids
}

// alive says whether a process runs. A zombie does not: on some machines nobody collects what outlives its parent.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	return !strings.Contains(string(stat), ") Z ")
}

func waitToBeKilled() {
	c, err := Start(context.Background(), Options{Nodes: None})
	if err == nil {
		_, err = c.StartProgram("sleeper", nil, "sleep", "1000")
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(c.Dir())
	for _, pid := range c.pids(panicking{}) {
		fmt.Println(pid)
	}
	fmt.Println("ready")
	select {}
}

type panicking struct{}

func (panicking) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func TestKillLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this starts a control plane")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), killMe+"=1")
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text string
	err = waitUntil(within(t), "the cluster", func(context.Context) error {
		data, err := os.ReadFile(out.Name())
		if text = string(data); err == nil && !strings.Contains(text, "ready") && !strings.Contains(text, "failed") {
			return fmt.Errorf("it printed %q", text)
		}
		return err
	})
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil || strings.Contains(text, "failed") {
		t.Fatal(err, text)
	}
	lines := strings.Fields(text)
	dir, pids := lines[0], lines[1:len(lines)-1]
	eventually(t, "everything to be gone", func(context.Context) error {
		for _, p := range pids {
			var pid int
			if _, err := fmt.Sscan(p, &pid); err != nil {
				return err
			}
			if alive(pid) {
				return fmt.Errorf("process %d still runs", pid)
			}
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the work folder is still there (%v)", err)
		}
		return nil
	})
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts Options
		want string
	}{
		{"back-off too long", Options{MaxRestartPeriod: time.Hour}, "the kubelet accepts 1s to 300s"},
		{"kind of nodes", Options{Nodes: "docker"}, `there are no nodes of kind "docker"`},
		{"a folder with something in it", Options{Dir: "."}, "is not empty"},
		{"a folder that cannot be made", Options{Dir: "/dev/null/x"}, "making the folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Start(t.Context(), tt.opts)
			if err == nil {
				c.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// The version that the components tell is the module's.
func TestVersion(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "k8s.io/kubernetes "+kubernetesVersion+"\n") {
		t.Errorf("go.mod does not name k8s.io/kubernetes %s", kubernetesVersion)
	}
}
