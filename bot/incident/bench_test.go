package incident

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"crashloop/diagnose"
)

// nobody is a Cluster that knows nothing.
type nobody struct{}

func (nobody) PodsOf(string, string) []diagnose.PodRecord { return nil }
func (nobody) Workload(string, string) (diagnose.WorkloadRecord, bool) {
	return diagnose.WorkloadRecord{Desired: 1, Created: 1}, true
}
func (nobody) Follow(string, string)   {}
func (nobody) Unfollow(string, string) {}

func crashing(pod, workload string, restarts int32) diagnose.PodRecord {
	now := time.Now()
	return diagnose.PodRecord{
		Namespace: "shop", Name: pod, UID: types.UID(pod), Workload: workload, TemplateHash: "abc", Phase: "Running", RestartPolicy: "Always", Node: "n1", Created: now.Add(-time.Minute),
		Containers: []diagnose.ContainerRecord{{
			Name: "app", Type: diagnose.App, State: diagnose.Terminated, Reason: "Error", ExitCode: 1, Restarts: restarts, ID: fmt.Sprint(pod, restarts+1), Started: now, Finished: now,
			Last: &diagnose.Termination{Reason: "Error", ExitCode: 1, ID: fmt.Sprint(pod, restarts), Started: now.Add(-10 * time.Second), Finished: now.Add(-8 * time.Second)},
		}},
	}
}

// BenchmarkStorm is 2,000 pods that crash at once, once in workloads of their own and once as replicas of one.
func BenchmarkStorm(b *testing.B) {
	const pods = 2000
	for _, test := range []struct {
		name     string
		workload func(i int) string
	}{
		{"2000 workloads", func(i int) string { return fmt.Sprint("Deployment/d", i) }},
		{"2000 replicas", func(int) string { return "Deployment/web" }},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				opened := 0
				t, err := New(Options{Name: "b", Cluster: nobody{}, Log: slog.New(slog.DiscardHandler), Changed: func(c Change) {
					if c.What == Opened {
						opened++
					}
				}})
				if err != nil {
					b.Fatal(err)
				}
				t.Synced()
				for i := range pods {
					t.Pod(crashing(fmt.Sprint("p", i), test.workload(i), 1))
				}
				if opened == 0 {
					b.Fatal("nothing was opened")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*pods), "µs/pod")
		})
	}
}

// BenchmarkOpen is the time from the second crash's record to the call that tells of the incident, while 1,000 others are open.
func BenchmarkOpen(b *testing.B) {
	var told time.Time
	t, err := New(Options{Name: "b", Cluster: nobody{}, Log: slog.New(slog.DiscardHandler), Changed: func(Change) { told = time.Now() }})
	if err != nil {
		b.Fatal(err)
	}
	t.Synced()
	for i := range 1000 {
		t.Pod(crashing(fmt.Sprint("p", i), fmt.Sprint("Deployment/d", i), 1))
	}
	var most time.Duration
	n := 0
	for b.Loop() {
		n++
		rec := crashing(fmt.Sprint("x", n), fmt.Sprint("Deployment/x", n), 1)
		start := time.Now()
		t.Pod(rec)
		most = max(most, told.Sub(start))
		t.WorkloadGone(diagnose.WorkloadRecord{Namespace: "shop", Workload: rec.Workload})
	}
	b.ReportMetric(float64(most.Microseconds()), "max-µs")
}

// BenchmarkMemory is what a pod that crashes costs, in bytes.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		t, err := New(Options{Name: "b", Cluster: nobody{}, Log: slog.New(slog.DiscardHandler), Changed: func(Change) {}})
		if err != nil {
			b.Fatal(err)
		}
		t.Synced()
		const pods = 5000
		for i := range pods {
			t.Pod(crashing(fmt.Sprint("p", i), fmt.Sprint("Deployment/d", i/5), 1))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/pods, "B/pod")
		runtime.KeepAlive(t)
	}
}
