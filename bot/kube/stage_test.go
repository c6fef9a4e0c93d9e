package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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
