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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

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
