package simulated

import (
	"context"
	"time"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What a container uses whose annotation does not say, and what the made-up machine uses for itself.
const (
	idleMemory     = 8 << 20
	idleCPU        = 1 // thousandths of a core
	machineUsed    = 2 << 30
	machineCPUUsed = 100
)

// cpu is how much CPU time a run has used until then.
func (c *container) cpu(at time.Time) time.Duration {
	if c.started.IsZero() {
		return 0
	}
	if !c.finished.IsZero() {
		at = c.finished
	}
	milli := int64(idleCPU)
	if q := c.behaviour.CPU; q != nil {
		milli = q.MilliValue()
	}
	return time.Duration(int64(at.Sub(c.started)) / 1000 * milli)
}

// memory is its working set at a moment of its run: it grows to what the annotation says until it ends, or has it from the start when it does
// not end by itself.
func (c *container) memory(at time.Time) uint64 {
	q := c.behaviour.Memory
	if q == nil {
		return idleMemory
	}
	share := 1.0
	if c.behaviour.ends(c.config.Metadata.Attempt) && c.behaviour.lifetime() > 0 {
		share = min(1, float64(at.Sub(c.started))/float64(c.behaviour.lifetime()))
	}
	return max(1, uint64(float64(q.Value())*share))
}

func (c *container) stats(at time.Time) *cri.ContainerStats {
	return &cri.ContainerStats{
		Attributes: &cri.ContainerAttributes{Id: c.id, Metadata: c.config.Metadata, Labels: c.config.Labels, Annotations: c.config.Annotations},
		Cpu:        &cri.CpuUsage{Timestamp: at.UnixNano(), UsageCoreNanoSeconds: &cri.UInt64Value{Value: uint64(c.cpu(at))}},
		Memory:     &cri.MemoryUsage{Timestamp: at.UnixNano(), WorkingSetBytes: &cri.UInt64Value{Value: c.memory(at)}},
	}
}

// forget drops a container. The caller holds the lock.
func (r *runtime) forget(c *container) {
	r.spent += c.cpu(time.Now())
	delete(r.containers, c.id)
}

func (c *container) running() bool { return !c.started.IsZero() && c.finished.IsZero() }

// ContainerStats tells what a container uses.
func (r *runtime) ContainerStats(_ context.Context, id string) (*cri.ContainerStats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[id]; c != nil && c.running() {
		return c.stats(time.Now()), nil
	}
	return nil, notFound("container", id)
}

// ListContainerStats tells what the containers use that run and that a filter lets through.
func (r *runtime) ListContainerStats(_ context.Context, filter *cri.ContainerStatsFilter) ([]*cri.ContainerStats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := time.Now()
	var all []*cri.ContainerStats
	for _, c := range r.containers {
		if !c.running() || filter.GetId() != "" && filter.GetId() != c.id || filter.GetPodSandboxId() != "" && filter.GetPodSandboxId() != c.sandbox ||
			!labelled(c.config.Labels, filter.GetLabelSelector()) {
			continue
		}
		all = append(all, c.stats(at))
	}
	return all, nil
}

// nodeUsage is what the whole machine uses: itself, and its containers. CPU time only grows, so that of containers that are gone is kept.
func (r *runtime) nodeUsage(at time.Time) (cpu time.Duration, memory uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cpu, memory = r.spent+at.Sub(r.begun)/1000*machineCPUUsed, machineUsed
	for _, c := range r.containers {
		cpu += c.cpu(at)
		if c.running() {
			memory += c.memory(at)
		}
	}
	return cpu, memory
}

// ContainerInfoV2 answers for the machine as a whole, which is the cgroup "/"; containers have none.
func (m machine) ContainerInfoV2(string, cadvisorapiv2.RequestOptions) (map[string]cadvisorapiv2.ContainerInfo, error) {
	at := time.Now()
	cpu, memory := m.runtime.nodeUsage(at)
	stats := &cadvisorapiv2.ContainerStats{
		Timestamp: at,
		Cpu:       &cadvisorapi.CpuStats{Usage: cadvisorapi.CpuUsage{Total: uint64(cpu)}},
		Memory:    &cadvisorapi.MemoryStats{Usage: memory, WorkingSet: memory, RSS: memory},
	}
	spec := cadvisorapiv2.ContainerSpec{CreationTime: m.runtime.begun, HasCpu: true, HasMemory: true, Memory: cadvisorapiv2.MemorySpec{Limit: machineMemory}}
	return map[string]cadvisorapiv2.ContainerInfo{"/": {Spec: spec, Stats: []*cadvisorapiv2.ContainerStats{stats}}}, nil
}
