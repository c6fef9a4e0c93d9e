package e2e

import (
	"strings"
	"testing"

	"crashloop/cmd/playground/cluster"
	"crashloop/notify/workspace"
)

// The same stories with a real kubelet, containerd, kube-proxy and CoreDNS: nothing is simulated there. They are one test, so that the node is
// gone after it: there can be one on a machine, and the tests of package cluster wait for it.
func TestContainerd(t *testing.T) {
	if err := cluster.CheckContainerd(); err != nil {
		t.Skip(err)
	}
	on, err := startPlayground(cluster.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := on.cluster.Stop(); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
	})
	// It waits for measurements most of the time, so it comes first.
	t.Run("usage against limits", func(t *testing.T) {
		t.Parallel()
		usageAgainstLimits(newStage(t, staging{on: on}))
	})
	t.Run("scenarios", func(t *testing.T) {
		t.Parallel()
		playScenarios(t, on)
	})
	t.Run("crash, thread, restart", func(t *testing.T) {
		t.Parallel()
		crashThreadRestart(newStage(t, staging{on: on}))
	})
	t.Run("changes by button and command", func(t *testing.T) {
		t.Parallel()
		changesByButtonAndCommand(newStage(t, staging{on: on}))
	})
	t.Run("recovery", func(t *testing.T) {
		t.Parallel()
		recovery(newStage(t, staging{on: on, settings: quickly}))
	})
	t.Run("bot restart", func(t *testing.T) {
		t.Parallel()
		botRestart(newStage(t, staging{on: on, settings: quickly}), func(s *stage) { s.bot.kill() })
	})
	t.Run("liveness kill and OOM kill", func(t *testing.T) {
		t.Parallel()
		killedTwoWays(newStage(t, staging{on: on}))
	})
}

// Both end with 137, or as a program that is killed ends; only one for want of memory.
func TestKilledTwoWays(t *testing.T) {
	t.Parallel()
	killedTwoWays(newStage(t, staging{}))
}

func killedTwoWays(s *stage) {
	t := s.t
	s.apply(workload{
		namespace: s.ns, name: "hungry", command: []string{"/app/server", "alloc", "-mib=200"},
		does:  "exitCode: 137\nreason: OOMKilled\nafter: 2s\n",
		extra: "resources: {limits: {memory: 64Mi}}",
	}.manifest())
	s.apply(workload{
		namespace: s.ns, name: "deaf", command: []string{"/app/server", "serve", "-listen=:8080", "-after=10m", "-ignore-stop"},
		does:  "listensAfter: 10m\nignoresStop: true\n",
		extra: "livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 2}",
	}.manifest())
	hungry := s.waitDiagnosed(s.ns, "hungry", "resources.oom-limit")
	deaf := s.waitDiagnosed(s.ns, "deaf", "probe.slow-start")
	contains(t, "the thread of the OOM kill", hungry.text(), "OOMKilled", "64Mi")
	contains(t, "the thread of the liveness kill", deaf.text(), "iveness")
	absent(t, "the thread of the liveness kill", deaf.text(), "OOMKilled")
	s.waitForOr(func(snap *workspace.Snapshot) bool {
		th, _ := threadOf(snap, s.ns, "deaf")
		return strings.Contains(th.text(), "137")
	}, func() string { return "the liveness kill's exit code 137 is not told:\n" + s.see() })
}
