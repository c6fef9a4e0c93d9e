package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/cmd/playground/cluster"
	"crashloop/notify/workspace"
)

// crashLoops is how many crash loops BenchmarkStatusToRoot makes, one after another.
const crashLoops = 50

// BenchmarkStatusToRoot measures how long it takes from a pod's status, written to the API server, to the root message that the workspace
// accepted. Each crash loop has a previous log of 1 MiB. They come slowly enough for the channel's pace of a message a second, which would
// otherwise be what is measured. Run it with -benchtime=1x.
//
// The pods are real and really run, on a simulated node; the status that says that they crash is written by the benchmark, because the time
// at which a kubelet writes one is not known outside of it. The kubelet would write its own back, which makes no difference any more then.
func BenchmarkStatusToRoot(b *testing.B) {
	s := newStage(b, staging{})
	for i := range crashLoops {
		// It ends once, a long time before it is measured, so that there is a previous log.
		s.apply(workload{namespace: s.ns, name: loopName(i), does: "exitCode: 2\ntimes: 1\nlogSize: 1Mi\n" + strings.TrimPrefix(nilPointer, "exitCode: 2\n")}.manifest())
	}
	pods := make([]string, crashLoops)
	for i := range crashLoops {
		eventually(b, loopName(i)+" to run again", func(ctx context.Context) error {
			all, err := s.client.CoreV1().Pods(s.ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + loopName(i)})
			if err != nil {
				return err
			}
			for _, p := range all.Items {
				if c := p.Status.ContainerStatuses; len(c) == 1 && c[0].RestartCount == 1 && c[0].State.Running != nil {
					pods[i] = p.Name
					return nil
				}
			}
			return fmt.Errorf("%d pods", len(all.Items))
		})
	}
	var took []time.Duration
	b.ResetTimer()
	for range b.N {
		for i := range crashLoops {
			written := s.crashAgain(pods[i])
			root := s.waitRoot(loopName(i))
			took = append(took, root.Sub(written))
			if d := took[len(took)-1]; d > 150*time.Millisecond {
				b.Logf("%s took %s", loopName(i), d)
			}
			// Root and diagnosis are two messages; the channel takes one a second.
			time.Sleep(2200 * time.Millisecond)
		}
	}
	b.StopTimer()
	if metrics, _, err := s.bot.get(context.Background(), "/metrics"); err == nil {
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "crashloop_diagnosis_duration_seconds") || strings.HasPrefix(line, "process_cpu_seconds") {
				b.Log(strings.TrimSpace(line))
			}
		}
	}
	slices.Sort(took)
	ms := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.95), "p95-ms")
	b.ReportMetric(ms(1), "max-ms")
	b.ReportMetric(0, "ns/op")
}

func loopName(i int) string { return fmt.Sprintf("loop-%02d", i) }

// crashAgain writes the status of a pod whose container has ended for the second time, and says when the write began.
func (s *stage) crashAgain(pod string) time.Time {
	s.t.Helper()
	p, err := s.client.CoreV1().Pods(s.ns).Get(s.t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	c := &p.Status.ContainerStatuses[0]
	now := metav1.Now()
	ended := &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error", StartedAt: metav1.NewTime(now.Add(-2 * time.Second)), FinishedAt: now, ContainerID: c.ContainerID}
	c.LastTerminationState = corev1.ContainerState{Terminated: ended}
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 20s restarting failed container"}}
	c.RestartCount, c.Ready = 2, false
	p.ResourceVersion = ""
	written := time.Now()
	if _, err := s.client.CoreV1().Pods(s.ns).UpdateStatus(s.t.Context(), p, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	return written
}

// waitRoot waits for the root message of a workload and gives the time at which the workspace took it: its ts.
func (s *stage) waitRoot(name string) time.Time {
	s.t.Helper()
	var root *workspace.Message
	s.waitFor("the root of "+name, func(snap *workspace.Snapshot) bool {
		th, ok := threadOf(snap, s.ns, name)
		root = th.root
		return ok
	})
	seconds, micros, _ := strings.Cut(root.TS, ".")
	sec, err1 := strconv.ParseInt(seconds, 10, 64)
	usec, err2 := strconv.ParseInt(micros, 10, 64)
	if err1 != nil || err2 != nil {
		s.t.Fatalf("the ts %q is no time", root.TS)
	}
	return time.Unix(sec, usec*1000)
}

// crowd is how many healthy pods BenchmarkMemory10kPods has.
const crowd = 10_000

// BenchmarkMemory10kPods measures the bot's memory beside ten thousand healthy pods with two containers each: anonymous memory, which is
// what the program itself needs, all that is resident, and its peak. Run it with -benchtime=1x.
func BenchmarkMemory10kPods(b *testing.B) {
	for range b.N {
		memoryBeside(b)
	}
}

func memoryBeside(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	// A cluster of its own: the crowd would slow down everything else.
	c, err := cluster.Start(ctx, cluster.Options{Nodes: cluster.None})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Stop() })
	p := &playground{cluster: c, client: c.Client(), dir: b.TempDir()}
	if err := p.connect(ctx); err != nil {
		b.Fatal(err)
	}
	s := newStage(b, staging{on: p, noBot: true})
	people, err := c.StartCrowd(ctx, s.ns, crowd, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(people.Stop)
	s.settings["CRASHLOOP_NAMESPACES"] = ""
	b.ResetTimer()
	s.startBot()
	// What a start allocates is given back by the runtime within its two minutes; the peak keeps it.
	var before, now memoryUse
	for range 30 {
		time.Sleep(5 * time.Second)
		before, now = now, s.bot.memory(b)
		if before.anonymous == now.anonymous {
			break
		}
	}
	b.StopTimer()
	b.ReportMetric(now.anonymous, "anonymous-MiB")
	b.ReportMetric(now.resident, "resident-MiB")
	b.ReportMetric(now.peak, "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// memoryUse is a process's, in MiB.
type memoryUse struct{ anonymous, resident, peak float64 }

// memory reads /proc/PID/status, see proc_pid_status(5).
func (p *botProcess) memory(t testing.TB) memoryUse {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("only Linux tells a process's memory: %v", err)
	}
	field := func(name string) float64 {
		for line := range bytes.Lines(raw) {
			if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
				kib, err := strconv.ParseFloat(strings.Fields(string(rest))[0], 64)
				if err == nil {
					return kib / 1024
				}
			}
		}
		t.Fatalf("/proc/PID/status has no %s", name)
		return 0
	}
	return memoryUse{field("RssAnon"), field("VmRSS"), field("VmHWM")}
}
