package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"crashloop/diagnose"
)

// told is a Sink that remembers.
type told struct {
	mu     sync.Mutex
	lines  []string
	pods   map[string]diagnose.PodRecord
	inside func()
	busy   bool
	t      testing.TB
}

func (s *told) add(format string, args ...any) {
	s.mu.Lock()
	if s.busy {
		s.t.Error("the sink was called twice at once")
	}
	s.busy = true
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
	inside := s.inside
	s.mu.Unlock()
	if inside != nil {
		inside()
	}
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
}

func (s *told) Pod(r diagnose.PodRecord) {
	s.mu.Lock()
	if s.pods == nil {
		s.pods = map[string]diagnose.PodRecord{}
	}
	s.pods[r.Name] = r
	s.mu.Unlock()
	state := string(r.Phase)
	for _, c := range r.Containers {
		state += " " + string(c.State)
		if c.Reason != "" {
			state += ":" + c.Reason
		}
	}
	s.add("pod %s/%s of %s %s", r.Namespace, r.Name, r.Workload, state)
}

func (s *told) PodGone(r diagnose.PodRecord) {
	s.add("gone %s/%s of %s", r.Namespace, r.Name, r.Workload)
}
func (s *told) Workload(r diagnose.WorkloadRecord) {
	s.add("workload %s/%s %d/%d", r.Namespace, r.Workload, r.Created, r.Desired)
}
func (s *told) WorkloadGone(r diagnose.WorkloadRecord) {
	s.add("workload gone %s/%s", r.Namespace, r.Workload)
}
func (s *told) Synced() { s.add("synced") }

func (s *told) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// wait waits until a line was told that holds text, and returns all lines so far.
func (s *told) wait(text string) []string {
	s.t.Helper()
	until(s.t, func() bool {
		return slices.ContainsFunc(s.all(), func(l string) bool { return strings.Contains(l, text) })
	}, func() string { return fmt.Sprintf("%q was not told, but %q", text, s.all()) })
	return s.all()
}

func (s *told) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = nil
}

// until waits for a condition. The time it may take is that of a very slow machine.
func until(t testing.TB, is func() bool, or func() string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(or())
		}
	}
}

// begin runs a watch until the test ends.
func begin(t testing.TB, a *api, o WatchOptions) (*Watch, *told, func() error) {
	t.Helper()
	s := &told{t: t}
	o.Client = a.client()
	if o.Sink == nil {
		o.Sink = s
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w, err := NewWatch(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var once sync.Once
	var result error
	stop := func() error {
		once.Do(func() {
			cancel()
			select {
			case result = <-done:
			case <-time.After(time.Minute):
				result = errors.New("Run does not end")
			}
		})
		return result
	}
	t.Cleanup(func() { stop() })
	return w, s, stop
}

func synced(t testing.TB, w *Watch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
}

func uid(n int) types.UID { return types.UID(fmt.Sprintf("%08x-1111-4222-8333-444444444444", n)) }

var born = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

// podOf makes a healthy pod of a controller, given as "ReplicaSet/web-abc"; a bare one when that is empty.
func podOf(namespace, name, controller string, n int) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid(n), CreationTimestamp: born},
		Spec: corev1.PodSpec{
			NodeName: "node-1", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{Name: "app", Image: "web:1"}},
		},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", Ready: true, ContainerID: "containerd://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: born}},
			}},
		},
	}
	if controller != "" {
		kind, name, _ := strings.Cut(controller, "/")
		p.OwnerReferences = []metav1.OwnerReference{ownerRef(kind, name)}
		if _, hash, ok := strings.Cut(name, "-"); ok && kind == "ReplicaSet" {
			p.Labels = map[string]string{"pod-template-hash": hash}
		}
	}
	return p
}

func ownerRef(kind, name string) metav1.OwnerReference {
	version := map[string]string{
		"ReplicaSet": "apps/v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1",
		"ReplicationController": "v1", "Node": "v1", "Rollout": "argoproj.io/v1alpha1", "CloneSet": "apps.kruise.io/v1alpha1",
	}[kind]
	if version == "" {
		kind, version = strings.TrimPrefix(kind, "custom"), "example.com/v1"
	}
	yes := true
	return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: "owner", Controller: &yes}
}

func crashed(p *corev1.Pod, restarts int32) *corev1.Pod {
	p = p.DeepCopy()
	s := &p.Status.ContainerStatuses[0]
	s.Ready, s.RestartCount = false, restarts
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"}}
	s.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: born}}
	p.Status.Conditions[0].Status = corev1.ConditionFalse
	return p
}

func deployment(namespace, name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("deployment-" + name)},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas}, Status: appsv1.DeploymentStatus{Replicas: replicas},
	}
}

func TestWatchTellsTrouble(t *testing.T) {
	a := newAPI(t)
	well, ill := podOf("shop", "web-5f-a", "ReplicaSet/web-5f", 1), podOf("shop", "web-5f-b", "ReplicaSet/web-5f", 2)
	a.put(deployment("shop", "web", 2), well, crashed(ill, 1))
	w, s, stop := begin(t, a, WatchOptions{})
	synced(t, w)
	want := []string{"workload shop/Deployment/web 2/2", "pod shop/web-5f-b of Deployment/web Running waiting:CrashLoopBackOff", "synced"}
	if got := s.all(); !slices.Equal(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
	s.forget()

	// A healthy pod may change and go without a word. One that is in trouble is told until it is well, and then once more.
	other := podOf("shop", "web-5f-c", "ReplicaSet/web-5f", 3)
	a.put(other)
	well.Labels["touched"] = "yes"
	a.put(well)
	again := crashed(ill, 2)
	a.put(again)
	s.wait("web-5f-b")
	again.Annotations = map[string]string{"only": "metadata"}
	a.put(again)
	a.delete(other)
	ill.UID = uid(2)
	a.put(ill) // as after a restart of the node: the count is gone
	s.wait("Running running")
	a.put(crashed(well, 1))
	a.delete(well)
	s.wait("gone")
	want = []string{
		"pod shop/web-5f-b of Deployment/web Running waiting:CrashLoopBackOff",
		"pod shop/web-5f-b of Deployment/web Running running",
		"pod shop/web-5f-a of Deployment/web Running waiting:CrashLoopBackOff",
		"gone shop/web-5f-a of Deployment/web",
	}
	if got := s.all(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWatchFollow(t *testing.T) {
	a := newAPI(t)
	pods := []*corev1.Pod{podOf("shop", "web-5f-a", "ReplicaSet/web-5f", 1), podOf("shop", "web-6b-b", "ReplicaSet/web-6b", 2)}
	a.put(deployment("shop", "web", 2), pods[0], pods[1], podOf("shop", "db-0", "StatefulSet/db", 3))
	w, s, _ := begin(t, a, WatchOptions{})
	synced(t, w)

	got := w.PodsOf("shop", "Deployment/web")
	if len(got) != 2 || got[0].Name != "web-5f-a" || got[1].Name != "web-6b-b" || got[0].TemplateHash != "5f" || got[1].UID != uid(2) {
		t.Fatalf("got %+v", got)
	}
	c := got[0].Containers[0]
	if c.Name != "app" || c.Type != diagnose.App || c.State != diagnose.Running || !c.Started.Equal(born.Time) || !c.Ready {
		t.Errorf("got container %+v", c)
	}
	if rec, ok := w.Workload("shop", "Deployment/web"); !ok || rec.Desired != 2 {
		t.Errorf("got %+v, %v", rec, ok)
	}

	w.Follow("shop", "Deployment/web")
	pods[0].Status.ContainerStatuses[0].Ready = false
	a.put(pods[0])
	s.wait("web-5f-a")
	if id := s.pods["web-5f-a"].Containers[0].ID; id != "containerd://1" {
		t.Errorf("a followed pod's change tells container ID %q", id)
	}
	a.put(podOf("shop", "web-5f-c", "ReplicaSet/web-5f", 4))
	s.wait("web-5f-c")
	a.delete(pods[1])
	s.wait("gone shop/web-6b-b")
	w.Unfollow("shop", "Deployment/web")
	s.forget()
	pods[0].Status.ContainerStatuses[0].Ready = true
	a.put(pods[0], crashed(podOf("shop", "db-0", "StatefulSet/db", 3), 1))
	if got := s.wait("db-0"); len(got) != 1 {
		t.Errorf("told %q after Unfollow", got)
	}
}

// TestWatchNoticesWhatItMissed cuts the watch, and lets pods and controllers come, go and change while nobody looks.
func TestWatchNoticesWhatItMissed(t *testing.T) {
	for _, test := range []struct {
		name   string
		stream bool
	}{{"streamed list", true}, {"paged list", false}} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			a.noStream = !test.stream
			lost, moved, replaced := podOf("shop", "lost", "", 1), podOf("shop", "moved", "ReplicaSet/web-5f", 2), podOf("shop", "db-0", "StatefulSet/db", 3)
			a.put(deployment("shop", "web", 1), deployment("shop", "old", 1), crashed(lost, 1), crashed(moved, 1), crashed(replaced, 1))
			for i := range 1200 { // more than two pages
				a.put(podOf("load", fmt.Sprintf("p-%d", i), "DaemonSet/p", 1000+i))
			}
			w, s, _ := begin(t, a, WatchOptions{})
			synced(t, w)
			if n := w.Count(); n != 1203 {
				t.Fatalf("knows %d pods, want 1203", n)
			}
			s.forget()

			a.leave()
			a.delete(lost, replaced, deployment("shop", "old", 1))
			a.put(crashed(podOf("shop", "new", "", 5), 1), crashed(podOf("shop", "db-0", "StatefulSet/db", 6), 1))
			orphan := crashed(moved, 1)
			orphan.OwnerReferences = nil
			a.put(orphan)
			a.delete(podOf("load", "p-7", "", 0))
			a.forget()
			a.back()
			for _, line := range []string{"gone shop/lost of Pod/lost", "gone shop/db-0", "pod shop/new", "pod shop/db-0", "workload gone shop/Deployment/old"} {
				s.wait(line)
			}
			for _, l := range s.all() {
				if strings.Contains(l, "gone shop/moved") || strings.Contains(l, "load/") {
					t.Errorf("told %q", l)
				}
			}
			if n := w.Count(); n != 1202 {
				t.Errorf("knows %d pods, want 1202", n)
			}
			if got := w.PodsOf("shop", "Pod/moved"); len(got) != 1 {
				t.Errorf("the pod that lost its owner is %+v", got)
			}
			for _, c := range a.called() {
				if strings.HasPrefix(c, "list") && !strings.Contains(c, "limit=500") {
					t.Errorf("listed without a limit: %s", c)
				}
			}
		})
	}
}

func TestWatchAPIAway(t *testing.T) {
	a := newAPI(t)
	web := podOf("shop", "web", "", 1)
	a.put(web)
	w, s, stop := begin(t, a, WatchOptions{})
	synced(t, w)
	if err := w.Healthy(time.Now().Add(time.Hour)); err != nil {
		t.Fatalf("healthy, it says %v", err)
	}
	a.leave()
	var err error
	until(t, func() bool {
		err = w.Healthy(time.Now().Add(31 * time.Second))
		return err != nil && strings.Contains(err.Error(), "no contact with the API server for 3") && strings.Contains(err.Error(), "since 20")
	}, func() string { return fmt.Sprintf("it says %v", err) })
	if err := w.Healthy(time.Now()); err != nil {
		t.Errorf("within the grace it says %v", err)
	}
	if !w.Synced() {
		t.Error("no longer synced")
	}
	a.back()
	a.put(crashed(web, 1))
	s.wait("CrashLoopBackOff")
	until(t, func() bool { return w.Healthy(time.Now().Add(time.Hour)) == nil }, func() string { return w.Healthy(time.Now().Add(time.Hour)).Error() })
	a.leave()
	if err := stop(); err != nil {
		t.Errorf("stopping while the API server is away: %v", err)
	}
}

// TestWatchStopsAtOnce ends Run while the API server hangs or refuses connections, before anything was synced.
func TestWatchStopsAtOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(a *api) (undo func())
	}{
		{"hanging", func(a *api) func() { hang := make(chan struct{}); a.hang = hang; return func() { close(hang) } }},
		{"refusing", func(a *api) func() { a.leave(); return func() {} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			defer test.do(a)()
			before := runtime.NumGoroutine()
			w, _, stop := begin(t, a, WatchOptions{Grace: time.Nanosecond})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := w.WaitSynced(ctx); err == nil || !strings.Contains(err.Error(), "API server") {
				t.Errorf("WaitSynced gave %v", err)
			}
			start := time.Now()
			if err := stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("stopping took %s", took)
			}
			if err := w.WaitSynced(t.Context()); err == nil {
				t.Error("WaitSynced after the end gave no error")
			}
			until(t, func() bool { return runtime.NumGoroutine() <= before+2 }, func() string {
				buf := make([]byte, 1<<20)
				return fmt.Sprintf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
			})
		})
	}
}

func TestWatchPermissions(t *testing.T) {
	t.Run("pods", func(t *testing.T) {
		for _, test := range []struct {
			name, forbid string
			o            WatchOptions
			want         []string
		}{
			{"list", "list pods|watch pods", WatchOptions{}, []string{"cannot list pods in all namespaces: forbidden", "kubectl create clusterrolebinding", `User "bot"`}},
			{"watch", "watch pods", WatchOptions{}, []string{"cannot watch pods in all namespaces: forbidden", "--verb=get,list,watch"}},
			{"one namespace of two", "list pods shop|watch pods shop", WatchOptions{Namespaces: []string{"shop", "billing"}}, []string{`cannot list pods in namespace "shop"`, "kubectl create rolebinding crashloop-watch-pods -n shop"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				a := newAPI(t)
				for f := range strings.SplitSeq(test.forbid, "|") {
					a.forbidden[f] = true
				}
				s := &told{t: t}
				test.o.Client, test.o.Sink, test.o.Log = a.client(), s, slog.New(slog.DiscardHandler)
				w, err := NewWatch(test.o)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err = w.Run(ctx)
				for _, want := range test.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("Run gave %v, which lacks %q", err, want)
					}
				}
				if waited := w.WaitSynced(ctx); test.name != "watch" && !errors.Is(waited, err) {
					t.Errorf("WaitSynced gave %v", waited)
				}
			})
		}
	})
	t.Run("workloads", func(t *testing.T) {
		a := newAPI(t)
		for _, r := range []string{"deployments", "cronjobs", "jobs"} {
			a.forbidden["list "+r], a.forbidden["watch "+r] = true, true
		}
		a.put(crashed(podOf("shop", "web-5f-a", "ReplicaSet/web-5f", 1), 1))
		a.put(&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-5f", OwnerReferences: []metav1.OwnerReference{ownerRef("Deployment", "web")}}})
		var log bytes.Buffer
		var mu sync.Mutex
		w, s, stop := begin(t, a, WatchOptions{Log: slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))})
		synced(t, w)
		s.wait("web-5f-a of Deployment/web")
		if err := w.Healthy(time.Now().Add(time.Hour)); err != nil {
			t.Errorf("a missing permission is called a lack of contact: %v", err)
		}
		stop()
		if n := strings.Count(log.String(), "level=WARN"); n != 3 || !strings.Contains(log.String(), "cannot list deployments in all namespaces") {
			t.Errorf("want three warnings, logged:\n%s", log.String())
		}
	})
	t.Run("not a cluster", func(t *testing.T) {
		a := newAPI(t)
		for _, r := range []string{"pods", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs"} {
			a.noCRD[r] = true
		}
		w, err := NewWatch(WatchOptions{Client: a.client(), Sink: &told{t: t}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is this the address of a Kubernetes API server?") {
			t.Errorf("Run gave %v", err)
		}
	})
}

type locked struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestWatchNamespaces(t *testing.T) {
	for _, test := range []struct {
		name   string
		o      WatchOptions
		stream bool
		want   string
	}{
		{"all", WatchOptions{}, true, "billing kube-system shop"},
		{"some", WatchOptions{Namespaces: []string{"shop", "billing", "shop"}}, true, "billing shop"},
		{"all but two", WatchOptions{IgnoreNamespaces: []string{"kube-system", "billing"}}, true, "shop"},
		{"some but one, paged", WatchOptions{Namespaces: []string{"shop", "billing"}, IgnoreNamespaces: []string{"billing"}}, false, "shop"},
		{"all but one, paged", WatchOptions{IgnoreNamespaces: []string{"billing"}}, false, "kube-system shop"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			a.noStream = !test.stream
			for i, ns := range []string{"billing", "kube-system", "shop"} {
				a.put(crashed(podOf(ns, "web", "", i+1), 1), deployment(ns, "api", 1))
			}
			w, s, _ := begin(t, a, test.o)
			synced(t, w)
			var pods, workloads []string
			for _, l := range s.all() {
				ns, _, _ := strings.Cut(strings.Fields(l + " /")[1], "/")
				switch {
				case strings.HasPrefix(l, "pod "):
					pods = append(pods, ns)
				case strings.HasPrefix(l, "workload "):
					workloads = append(workloads, ns)
				}
			}
			slices.Sort(pods)
			slices.Sort(workloads)
			if strings.Join(pods, " ") != test.want || strings.Join(workloads, " ") != test.want {
				t.Errorf("pods of %q and workloads of %q, want %s", pods, workloads, test.want)
			}
			for _, c := range a.called() {
				for _, ns := range test.o.IgnoreNamespaces {
					if len(test.o.Namespaces) == 0 && !strings.Contains(c, "metadata.namespace%21%3D"+ns) {
						t.Errorf("what is ignored is asked for: %s", c)
					}
				}
			}
		})
	}
	if _, err := NewWatch(WatchOptions{Client: newAPI(t).client(), Sink: &told{t: t}, Log: slog.Default(), Namespaces: []string{"a"}, IgnoreNamespaces: []string{"a"}}); err == nil {
		t.Error("a watch of nothing was made")
	}
}

func TestTopmost(t *testing.T) {
	a := newAPI(t)
	job := func(name, cronJob string) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		if cronJob != "" {
			j.OwnerReferences = []metav1.OwnerReference{ownerRef("CronJob", cronJob)}
		}
		return j
	}
	rs := func(name, kind, of string) *appsv1.ReplicaSet {
		r := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		if of != "" {
			r.OwnerReferences = []metav1.OwnerReference{ownerRef(kind, of)}
		}
		return r
	}
	a.put(deployment("shop", "web", 1), job("backup-1", "backup"), job("once", ""),
		rs("canary-7c", "Rollout", "canary"), rs("lone", "", ""), rs("moved-5f", "Deployment", "other"), rs("lone-abc", "", ""))
	tests := []struct{ name, controller, want string }{
		{"web-5f-a", "ReplicaSet/web-5f", "Deployment/web"},
		{"canary-7c-a", "ReplicaSet/canary-7c", "ReplicaSet/canary-7c"},
		{"lone-a", "ReplicaSet/lone", "ReplicaSet/lone"},
		{"lone-abc-a", "ReplicaSet/lone-abc", "ReplicaSet/lone-abc"},
		{"moved-5f-a", "ReplicaSet/moved-5f", "Deployment/other"},
		{"deleted-5f-a", "ReplicaSet/deleted-5f", "Deployment/deleted"},
		{"backup-1-a", "Job/backup-1", "CronJob/backup"},
		{"once-a", "Job/once", "Job/once"},
		{"expired-a", "Job/expired", "Job/expired"},
		{"db-0", "StatefulSet/db", "StatefulSet/db"},
		{"agent-x", "DaemonSet/agent", "DaemonSet/agent"},
		{"rc-x", "ReplicationController/rc", "ReplicationController/rc"},
		{"bare", "", "Pod/bare"},
		{"etcd-node-1", "Node/node-1", "Pod/etcd-node-1"},
		{"clone-x", "CloneSet/clone", "Pod/clone-x"},
		{"volcano-0", "customJob/volcano", "Pod/volcano-0"},
	}
	for i, test := range tests {
		a.put(crashed(podOf("shop", test.name, test.controller, i+1), 1))
	}
	w, s, _ := begin(t, a, WatchOptions{})
	synced(t, w)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := s.pods[test.name].Workload; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	reads := 0
	for _, c := range a.called() {
		if strings.HasPrefix(c, "get ") {
			reads++
		}
	}
	if reads != 3 { // moved, deleted, expired: none for what the watch knows
		t.Errorf("%d reads for owners, want 3: %q", reads, a.called())
	}
	s.forget()
	a.put(crashed(podOf("shop", "canary-7c-b", "ReplicaSet/canary-7c", 90), 2))
	s.wait("canary-7c-b of ReplicaSet/canary-7c ")
	if got := w.PodsOf("shop", "ReplicaSet/canary-7c"); len(got) != 2 {
		t.Errorf("the ReplicaSet has %d pods, want 2", len(got))
	}
	if rec, ok := w.Workload("shop", "ReplicaSet/lone"); !ok || rec.Desired != 1 {
		t.Errorf("the record of a ReplicaSet of nobody's is %+v", rec)
	}
	if rec, ok := w.Workload("shop", "ReplicaSet/canary-7c"); !ok || rec.Owner != "" {
		t.Errorf("the record of a Rollout's ReplicaSet is %+v", rec)
	}
	w.workloads.mu.Lock()
	defer w.workloads.mu.Unlock()
	for k, r := range w.workloads.all {
		if strings.HasPrefix(k.workload, "ReplicaSet/") && r.Owner != "" {
			t.Errorf("%s of %s is kept", k.workload, r.Owner)
		}
	}
}

// TestSinkMayAsk calls the watch from within the sink, as a tracker does.
func TestSinkMayAsk(t *testing.T) {
	a := newAPI(t)
	a.put(crashed(podOf("shop", "web", "", 1), 1))
	s := &told{t: t}
	ready := make(chan *Watch, 1)
	var w *Watch
	s.inside = func() {
		if w == nil {
			w = <-ready
		}
		w.Follow("shop", "Pod/web")
		w.PodsOf("shop", "Pod/web")
		w.Workload("shop", "Pod/web")
		w.Healthy(time.Now())
		w.Synced()
		w.Unfollow("shop", "Pod/web")
	}
	watch, _, _ := begin(t, a, WatchOptions{Sink: s})
	ready <- watch
	synced(t, watch)
}
