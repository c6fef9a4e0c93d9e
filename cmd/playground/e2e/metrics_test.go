package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/notify/workspace"
)

// The threads say what containers used of their limits, as metrics-server measured it. The simulated runtime has the numbers from an
// annotation; [TestContainerd] tells the same story of real ones.
func TestMetrics(t *testing.T) {
	t.Parallel()
	usageAgainstLimits(newStage(t, staging{}))
}

func usageAgainstLimits(s *stage) {
	// Both live for more than half a minute, so that metrics-server, which asks every ten seconds, sees them at work.
	s.apply(workload{
		namespace: s.ns, name: "greedy", command: []string{"/app/server", "alloc", "-mib=200", "-every=600ms"},
		does:  "exitCode: 137\nreason: OOMKilled\nafter: 35s\ncpu: 20m\nmemory: 64Mi\n",
		extra: "resources: {limits: {memory: 64Mi}}",
	}.manifest())
	s.apply(workload{
		namespace: s.ns, name: "starved", command: []string{"/app/server", "serve", "-work=2s"},
		does:  "hangsAfter: 0s\ncpu: 50m\nmemory: 10Mi\n",
		extra: "livenessProbe: {httpGet: {path: /healthz, port: 8080}, initialDelaySeconds: 5, periodSeconds: 5, failureThreshold: 6}\nresources: {limits: {cpu: 50m, memory: 128Mi}}",
	}.manifest())
	s.waitMeasured("greedy")
	s.waitMeasured("starved")
	s.waitRestarted("greedy")
	s.waitRestarted("starved")

	// The kernel kills at the limit: what was seen of it before is less, and not by much.
	text := s.waitSaid("greedy", "resources.oom-limit", `memory (\d+)Mi of 64Mi \((\d+) %\)`, func(m []string) bool { return within(m[2], 20, 100) })
	contains(s.t, "the thread of the OOM kill", text, "64Mi", "after it starts")
	s.waitSaid("starved", "resources.cpu-throttled", `it uses (\d+)m of the 50m CPU that its limit allows`, func(m []string) bool { return within(m[1], 40, 60) })
	// The thread lists how long the runs lived as they come: their status remembers two.
	s.waitSaid("starved", "resources.cpu-throttled", `lived (\S+), (\S+)`, func([]string) bool { return true })
}

func within(number string, from, to int) bool {
	n, err := strconv.Atoi(number)
	return err == nil && from <= n && n <= to
}

// waitSaid waits until a workload's thread names the cause and says what matches, with numbers that can be.
func (s *stage) waitSaid(name, cause, says string, holds func(groups []string) bool) string {
	s.t.Helper()
	s.waitDiagnosed(s.ns, name, cause)
	re := regexp.MustCompile(says)
	text := ""
	s.waitForOr(func(snap *workspace.Snapshot) bool {
		th, _ := threadOf(snap, s.ns, name)
		text = th.root.Visible() + "\n" + th.text()
		m := re.FindStringSubmatch(text)
		return m != nil && holds(m)
	}, func() string { return fmt.Sprintf("nothing like %q is said of %s:\n%s", says, name, s.see()) })
	return text
}

// waitMeasured waits until metrics-server answers for the workload's pod.
func (s *stage) waitMeasured(name string) {
	s.t.Helper()
	metrics := schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}
	s.poll("a measurement of "+name, func() (bool, error) {
		list, err := s.dynamic.Resource(metrics).Namespace(s.ns).List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
		return err == nil && len(list.Items) > 0, err
	})
}

// waitRestarted waits until the workload's container was started again.
func (s *stage) waitRestarted(name string) {
	s.t.Helper()
	s.poll("a restart of "+name, func() (bool, error) {
		pods, err := s.client.CoreV1().Pods(s.ns).List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return false, err
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.ContainerStatuses {
				if c.RestartCount > 0 {
					return true, nil
				}
			}
		}
		return false, nil
	})
}

func (s *stage) poll(what string, done func() (bool, error)) {
	s.t.Helper()
	for give := time.Now().Add(patience); ; time.Sleep(time.Second) {
		ok, err := done()
		if ok {
			return
		}
		if time.Now().After(give) {
			s.t.Fatalf("there is no %s (last: %v):\n%s", what, err, s.see())
		}
	}
}
