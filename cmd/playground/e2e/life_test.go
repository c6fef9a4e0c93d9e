package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/notify/workspace"
)

// quickly makes an incident end soon after its workload is well, and no sooner than a kubelet on a busy machine may be late with a crash.
var quickly = map[string]string{"CRASHLOOP_RESOLVE_AFTER": "15s"}

// An incident recovers when its workload runs again, and its root and its thread say so.
func TestRecovery(t *testing.T) {
	t.Parallel()
	recovery(newStage(t, staging{settings: quickly}))
}

func recovery(s *stage) {
	t := s.t
	s.crashing(s.ns, "web")
	s.apply(workload{namespace: s.ns, name: "web"}.manifest())
	th := s.waitThread(s.ns, "web", "Recovered")
	s.waitFor("the line in the thread and the root", func(snap *workspace.Snapshot) bool {
		th, _ = threadOf(snap, s.ns, "web")
		return strings.Contains(th.root.Visible(), "Recovered: "+s.ns+"/web") && strings.Contains(th.replies[len(th.replies)-1].Visible(), "Recovered")
	})
	if len(th.root.Elements()) > 0 {
		t.Errorf("the root of an incident that is over still has buttons:\n%s", th.root.Visible())
	}
	if n := len(threadsOf(s.slack.Snapshot(), s.ns, "web")); n != 1 {
		t.Errorf("there are %d threads, not one", n)
	}
}

// An incident is closed as such when its workload is deleted, or scaled to zero by whomever.
func TestClosing(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.apply(workload{namespace: s.ns, name: "deleted", does: nilPointer}.manifest())
	s.apply(workload{namespace: s.ns, name: "scaled", does: nilPointer}.manifest())
	s.waitDiagnosed(s.ns, "deleted", "app.panic")
	s.waitDiagnosed(s.ns, "scaled", "app.panic")
	if err := s.client.AppsV1().Deployments(s.ns).Delete(t.Context(), "deleted", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.apply(strings.Replace(workload{namespace: s.ns, name: "scaled", does: nilPointer}.manifest(), "replicas: 1", "replicas: 0", 1))
	contains(t, "the thread of what was deleted", s.waitThread(s.ns, "deleted", "Closed: "+s.ns+"/deleted").text(), "deleted")
	contains(t, "the thread of what was scaled to zero", s.waitThread(s.ns, "scaled", "Closed: "+s.ns+"/scaled").text(), "zero")
}

// A cause that changes is said in the same thread. In the first minute late evidence only revises the post, so this takes over a minute.
func TestChangedCause(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	apply := func(w workload) {
		t.Helper()
		// Recreate, so that pods of the old template do not go on crashing beside the new ones.
		s.apply(strings.Replace(w.manifest(), "  selector:", "  strategy: {type: Recreate}\n  selector:", 1))
	}
	apply(workload{namespace: s.ns, name: "web", does: nilPointer})
	th := s.waitDiagnosed(s.ns, "web", "app.panic")
	opened := time.Now()
	eventually(t, "the first minute to be over", func(context.Context) error {
		if age := time.Since(opened); age < time.Minute {
			return fmt.Errorf("it is %s old", age)
		}
		return nil
	})
	apply(workload{namespace: s.ns, name: "web", does: "exitCode: 137\nreason: OOMKilled\n", extra: "resources: {limits: {memory: 64Mi}}"})
	s.waitThread(s.ns, "web", "The cause is another one now.", "resources.oom-limit", "before: app.panic")
	s.waitDiagnosed(s.ns, "web", "resources.oom-limit")
	all := threadsOf(s.slack.Snapshot(), s.ns, "web")
	if len(all) != 1 || all[0].root.TS != th.root.TS {
		t.Errorf("a changed cause opened another thread:\n%s", s.see())
	}
}

// A bot that ends and comes back goes on with the same thread, however it ended.
func TestBotRestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*stage){
		"SIGTERM": func(s *stage) { s.bot.stop(s.t) },
		"SIGKILL": func(s *stage) { s.bot.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			botRestart(newStage(t, staging{settings: quickly}), end)
		})
	}
}

func botRestart(s *stage, end func(*stage)) {
	t := s.t
	before := s.crashing(s.ns, "web")
	end(s)
	// While no bot runs, another one begins to crash, and this one goes on.
	s.apply(workload{namespace: s.ns, name: "api", does: nilPointer}.manifest())
	eventually(t, "api to crash twice", func(ctx context.Context) error { return s.restarted(ctx, s.ns, "api", 2) })
	s.startBot()
	s.waitDiagnosed(s.ns, "api", "app.panic")
	after := s.command(alice, "list "+s.ns)
	contains(t, "the list after the restart", after, s.ns+"/web", s.ns+"/api")
	// What it does now, it does in the old thread.
	s.press(alice, before, "restart")
	s.waitThread(s.ns, "web", "restarted Deployment")
	for _, name := range []string{"web", "api"} {
		if n := len(threadsOf(s.slack.Snapshot(), s.ns, name)); n != 1 {
			t.Errorf("%s has %d roots:\n%s", name, n, s.see())
		}
	}
	s.apply(workload{namespace: s.ns, name: "web"}.manifest())
	if th := s.waitThread(s.ns, "web", "Recovered"); th.root.TS != before.root.TS {
		t.Error("it recovered in another thread")
	}
}

// restarted says whether the container of an app's pod was restarted so often.
func (s *stage) restarted(ctx context.Context, namespace, app string, times int32) error {
	all, err := s.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return err
	}
	n := int32(0)
	for _, p := range all.Items {
		for _, c := range p.Status.ContainerStatuses {
			n = max(n, c.RestartCount)
		}
	}
	if n < times {
		return fmt.Errorf("%d restarts", n)
	}
	return nil
}

// Loops that began before the bot are found at once, and once.
func TestLoopsFromBeforeTheBot(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{noBot: true})
	for _, name := range []string{"one", "two", "three"} {
		s.apply(workload{namespace: s.ns, name: name, does: nilPointer}.manifest())
	}
	for _, name := range []string{"one", "two", "three"} {
		eventually(t, name+" to loop", func(ctx context.Context) error { return s.restarted(ctx, s.ns, name, 3) })
	}
	s.startBot()
	for _, name := range []string{"one", "two", "three"} {
		s.waitDiagnosed(s.ns, name, "app.panic")
	}
	if n := len(s.slack.Snapshot().Roots(incidents)); n != 3 {
		t.Errorf("there are %d roots, not three:\n%s", n, s.see())
	}
}

// What looks like trouble and is none. At the end something real crashes: when that has its thread, the others would have had theirs.
func TestNotAnIncident(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	wait := func(name string, replicas int32) {
		t.Helper()
		eventually(t, name+" to be ready", func(ctx context.Context) error {
			d, err := s.client.AppsV1().Deployments(s.ns).Get(ctx, name, metav1.GetOptions{})
			if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.ReadyReplicas != replicas || d.Status.Replicas != replicas || d.Status.UpdatedReplicas != replicas) {
				err = fmt.Errorf("%+v", d.Status)
			}
			return err
		})
	}
	// Rollouts, of programs that end with 143 and 137 when they are asked to stop, and a deletion.
	for i, ends := range []string{"onStop: 143\n", "ignoresStop: true\n"} {
		name := fmt.Sprintf("rollout-%d", i)
		for version := range 3 {
			s.apply(workload{namespace: s.ns, name: name, replicas: 2, does: ends, extra: fmt.Sprintf("env: [{name: VERSION, value: %q}]", fmt.Sprint(version))}.manifest())
			wait(name, 2)
		}
	}
	s.apply(workload{namespace: s.ns, name: "deleted", replicas: 2, does: "ignoresStop: true\n"}.manifest())
	wait("deleted", 2)
	if err := s.client.AppsV1().Deployments(s.ns).Delete(t.Context(), "deleted", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// A drain evicts pods.
	s.apply(workload{namespace: s.ns, name: "drained", replicas: 2, does: "onStop: 143\n"}.manifest())
	wait("drained", 2)
	pods, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=drained"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if err := s.evict(p); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the drained pods to be replaced", func(ctx context.Context) error {
		for _, p := range pods.Items {
			if now, err := s.client.CoreV1().Pods(s.ns).Get(ctx, p.Name, metav1.GetOptions{}); err == nil && now.UID == p.UID {
				return fmt.Errorf("%s is still there", p.Name)
			}
		}
		return nil
	})
	wait("drained", 2)
	// One crash, and then it runs.
	s.apply(workload{namespace: s.ns, name: "once", does: "exitCode: 1\ntimes: 1\nlog: |\n  the database is not ready yet\n"}.manifest())
	eventually(t, "once to crash once", func(ctx context.Context) error { return s.restarted(ctx, s.ns, "once", 1) })
	wait("once", 1)
	// A Job whose second try works. Its first pod is told to fail by the annotation's counter of runs.
	s.apply(fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: second-try, namespace: %s}
spec:
  template:
    metadata:
      annotations:
        playground.crashloop.dev/try: "{exitCode: 1, times: 1}"
    spec:
      restartPolicy: OnFailure
      containers:
      - {name: try, image: registry.example/shop/checkout:1.4.2, command: [/app/server, pause]}
`, s.ns))
	eventually(t, "the Job to be at its second try", func(ctx context.Context) error {
		all, err := s.client.CoreV1().Pods(s.ns).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=second-try"})
		if err != nil {
			return err
		}
		for _, p := range all.Items {
			for _, c := range p.Status.ContainerStatuses {
				if c.RestartCount == 1 && c.State.Running != nil {
					return nil
				}
			}
		}
		return fmt.Errorf("%d pods", len(all.Items))
	})
	s.crashing(s.ns, "real")
	if all := s.slack.Snapshot().Roots(incidents); len(all) != 1 {
		t.Errorf("%d of these are incidents to the bot:\n%s", len(all)-1, s.see())
	}
}

func (s *stage) evict(p corev1.Pod) error {
	return s.client.PolicyV1().Evictions(p.Namespace).Evict(s.t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
}
