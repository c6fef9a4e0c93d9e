package kube

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

// What the store gives back of a pod is what a record of the pod itself says, but for what expand says is lost.
func TestCompactLosesNothingThatMatters(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	done := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, Ready: true, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: born, FinishedAt: metav1.NewTime(born.Add(5 * time.Second)), ContainerID: "containerd://i",
		}}}
	}
	for _, test := range []struct {
		name   string
		change func(p *corev1.Pod)
		plain  bool
	}{
		{"healthy", func(*corev1.Pod) {}, true},
		{"bare", func(p *corev1.Pod) { p.OwnerReferences = nil }, true},
		{"named unlike its owner", func(p *corev1.Pod) { p.OwnerReferences[0].Name = "other" }, true},
		{"not ready", func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].Ready, p.Status.Conditions[0].Status = false, corev1.ConditionFalse
		}, true},
		{"init container and sidecar", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "migrate"}, {Name: "proxy", RestartPolicy: &always}}
			proxy := p.Status.ContainerStatuses[0]
			proxy.Name = "proxy"
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{done("migrate"), proxy}
		}, true},
		{"finished job", func(p *corev1.Pod) {
			p.Spec.RestartPolicy, p.Status.Phase = corev1.RestartPolicyNever, corev1.PodSucceeded
			p.Status.ContainerStatuses[0] = done("app")
		}, true},
		{"a UID that is no UUID", func(p *corev1.Pod) { p.UID = "static-0123" }, false},
		{"a UID in capitals", func(p *corev1.Pod) { p.UID = "AAAAAAAA-1111-4222-8333-444444444444" }, false},
		{"restarted", func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount = 1 }, false},
		{"ended with 0 although it should run", func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = done("app") }, false},
		{"ended with 1", func(p *corev1.Pod) {
			p.Spec.RestartPolicy, p.Status.Phase = corev1.RestartPolicyNever, corev1.PodFailed
			p.Status.ContainerStatuses[0] = done("app")
			p.Status.ContainerStatuses[0].State.Terminated.ExitCode = 1
		}, false},
		{"waiting", func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
		}, false},
		{"no status yet", func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }, false},
		{"not scheduled", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "no node"}}
		}, false},
		{"evicted", func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }, false},
		{"node lost", func(p *corev1.Pod) { p.Status.Reason = "NodeLost" }, false},
		{"being deleted", func(p *corev1.Pod) { p.DeletionTimestamp = &born }, false},
		{"phase unknown", func(p *corev1.Pod) { p.Status.Phase = corev1.PodUnknown }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := podOf("shop", "web-5f-a", "ReplicaSet/web-5f", 1)
			test.change(p)
			it := compact(p)
			if (it.pod.full == nil) != test.plain {
				t.Errorf("plain is %v, want %v", it.pod.full == nil, test.plain)
			}
			want := diagnose.RecordPod(p)
			want.Workload = "Deployment/web"
			var lost []cmp.Option
			if test.plain {
				lost = append(lost, cmpopts.IgnoreFields(diagnose.ContainerRecord{}, "ID"),
					cmp.FilterPath(func(path cmp.Path) bool { return path.Last().String() == ".Started" }, cmp.FilterValues(func(a, b time.Time) bool {
						return a.IsZero() != b.IsZero() // of a finished container
					}, cmp.Ignore())))
			}
			lost = append(lost, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }))
			if d := cmp.Diff(want, it.pod.expand(it.owner, "Deployment/web"), lost...); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCompactBoundsMessages(t *testing.T) {
	p := crashed(podOf("shop", "web", "", 1), 3)
	p.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message = strings.Repeat("ä", 100_000)
	rec := compact(p).pod.full
	if n := len(rec.Containers[0].Last.Message); n > longest {
		t.Errorf("keeps %d bytes of a message", n)
	}
	// It ends with a whole word: half of a token cannot be told for one.
	if got := bounded(strings.Repeat("word ", longest/5-2) + "ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i"); !strings.HasSuffix(got, " word") || len(got) > longest {
		t.Errorf("it ends with %q", got[len(got)-30:])
	}
}

// bigPod is as large as pods of the field are: two containers, environment, probes, volumes, managedFields.
func bigPod(i int) *corev1.Pod {
	app, n := i/10, i%10
	p := podOf(fmt.Sprintf("team-%d", app%200), fmt.Sprintf("service-%d-7d9f8b6c5-%05d", app, i), fmt.Sprintf("ReplicaSet/service-%d-7d9f8b6c5", app), i)
	p.Labels = map[string]string{"pod-template-hash": "7d9f8b6c5", "app.kubernetes.io/name": fmt.Sprintf("service-%d", app)}
	p.Spec.NodeName = fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", n, app%250)
	for k := range 20 {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", k), Value: strings.Repeat("v", 40)})
	}
	side := p.Spec.Containers[0]
	side.Name = "proxy"
	p.Spec.Containers = append(p.Spec.Containers, side)
	status := p.Status.ContainerStatuses[0]
	status.Name, status.ContainerID = "proxy", "containerd://"+strings.Repeat("0123456789abcdef", 4)
	p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, status)
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 2000))}}
	return p
}

func heap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// perPod is the most that a healthy pod may cost, everything included.
const perPod = 250

// fill puts n healthy pods into a store as a streamed list does, and returns what each costs.
func fill(t testing.TB, n int) (*podStore, float64) {
	before := heap()
	s := newPodStore()
	items := make([]podItem, 0, n)
	for i := range n {
		items = append(items, compact(bigPod(i)))
	}
	s.replace("", items)
	items = nil
	cost := float64(heap()-before) / float64(n)
	if s.count != n {
		t.Fatalf("the store has %d pods, want %d", s.count, n)
	}
	return s, cost
}

func TestMemoryPerPod(t *testing.T) {
	s, cost := fill(t, 10_000)
	t.Logf("%.0f bytes per pod", cost)
	if cost > perPod {
		t.Errorf("a healthy pod costs %.0f bytes, want at most %d", cost, perPod)
	}
	// A second life of the cluster: everything rolls over, pod by pod, and nothing of the first stays.
	before := heap()
	for i := range 10_000 {
		p := bigPod(i)
		s.put(compact(p), true)
		p.UID = uid(i + 1_000_000)
		s.put(compact(p), false)
		p.UID = uid(i)
		s.remove(compact(p))
	}
	if grown := (float64(heap()) - float64(before)) / 10_000; grown > perPod/3 {
		t.Errorf("a pod costs %.0f bytes more after each was replaced", grown)
	}
	runtime.KeepAlive(s)
}

func BenchmarkStore(b *testing.B) {
	for _, n := range []int{10_000, 150_000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			var cost float64
			for b.Loop() {
				var s *podStore
				s, cost = fill(b, n)
				runtime.KeepAlive(s)
			}
			b.ReportMetric(cost, "bytes/pod")
		})
	}
}

// BenchmarkUpdate is one event about a healthy pod in a full store.
func BenchmarkUpdate(b *testing.B) {
	s, _ := fill(b, 150_000)
	pods := make([]*corev1.Pod, 1000)
	for i := range pods {
		pods[i] = bigPod(i * 150)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.put(compact(pods[i%len(pods)]), true)
	}
}

// BenchmarkPodsOf asks for the pods of one workload, as recovery does.
func BenchmarkPodsOf(b *testing.B) {
	s, _ := fill(b, 150_000)
	w := &Watch{pods: s}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(w.PodsOf("team-7", "Deployment/service-7")); n != 10 {
			b.Fatal(n)
		}
	}
}
