package simulated

import (
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestUsage(t *testing.T) {
	start := time.Unix(1772359200, 0)
	for name, tc := range map[string]struct {
		behaviour string
		at        time.Duration
		cpu       time.Duration
		memory    uint64
	}{
		"says nothing":           {"", 10 * time.Second, 10 * time.Millisecond, idleMemory},
		"runs on":                {"cpu: 50m\nmemory: 60Mi", 10 * time.Second, 500 * time.Millisecond, 60 << 20},
		"grows until it ends":    {"exitCode: 137\nafter: 40s\ncpu: 2\nmemory: 64Mi", 10 * time.Second, 20 * time.Second, 16 << 20},
		"no more than it says":   {"exitCode: 137\nafter: 5s\nmemory: 64Mi", 10 * time.Second, 10 * time.Millisecond, 64 << 20},
		"healthy from now on":    {"exitCode: 1\ntimes: 1\nafter: 40s\nmemory: 64Mi", 10 * time.Second, 10 * time.Millisecond, 64 << 20},
		"never without a number": {"exitCode: 137\nafter: 40s\nmemory: 64Mi", 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := ParseBehaviour(tc.behaviour)
			if err != nil {
				t.Fatal(err)
			}
			c := &container{behaviour: b, started: start, config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Attempt: 1}}}
			at := start.Add(tc.at)
			if cpu, memory := c.cpu(at), c.memory(at); cpu != tc.cpu || memory != tc.memory {
				t.Errorf("it used %v and %d bytes, want %v and %d", cpu, memory, tc.cpu, tc.memory)
			}
		})
	}
}

// TestNodeCPUOnlyGrows holds that a node's CPU time does not fall when a container is forgotten: a counter that falls is no rate.
func TestNodeCPUOnlyGrows(t *testing.T) {
	r := newRuntime(0, newPodIndex())
	b, err := ParseBehaviour("cpu: 8")
	if err != nil {
		t.Fatal(err)
	}
	c := &container{id: "a", behaviour: b, started: r.begun.Add(-time.Hour), config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{}}, done: make(chan struct{})}
	r.containers["a"] = c
	before, used := r.nodeUsage(time.Now())
	if before < 8*time.Hour || used <= machineUsed {
		t.Errorf("the node used %v and %d bytes", before, used)
	}
	if err := r.RemoveContainer(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if after, left := r.nodeUsage(time.Now()); after < before || left != machineUsed {
		t.Errorf("the node used %v, then %v and %d bytes", before, after, left)
	}
}
