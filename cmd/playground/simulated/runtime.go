package simulated

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelettypes "k8s.io/kubelet/pkg/types"
)

// runtime is a container runtime that runs nothing: it remembers sandboxes and containers, and lets containers end as their pods'
// annotations say. It implements the kubelet's side of the Container Runtime Interface (k8s.io/cri-api/pkg/apis.RuntimeService).
type runtime struct {
	pods   *podIndex
	images *images
	// node is the number of the node, for the addresses of its pods.
	node int

	mu         sync.Mutex
	sandboxes  map[string]*sandbox
	containers map[string]*container
	addresses  uint32
	serial     atomic.Uint64
	begun      time.Time
	spent      time.Duration // CPU time of containers that are forgotten
}

// sandbox is what a pod's containers share.
type sandbox struct {
	id      string
	config  *cri.PodSandboxConfig
	created int64
	address string
	stopped bool
}

func newRuntime(node int, pods *podIndex) *runtime {
	return &runtime{node: node, pods: pods, images: newImages(), sandboxes: map[string]*sandbox{}, containers: map[string]*container{}, begun: time.Now()}
}

// id makes an identifier that looks like containerd's: 64 hexadecimal digits.
func (r *runtime) id() string {
	return newID(r.serial.Add(1))
}

func notFound(kind, id string) error {
	return status.Errorf(codes.NotFound, "an error occurred when try to find %s %q: not found", kind, id)
}

// Version tells the runtime's name, which begins each container ID.
func (r *runtime) Version(context.Context, string) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: "simulated", RuntimeVersion: "1.0.0", RuntimeApiVersion: "v1"}, nil
}

// Status says that the runtime and its network are ready.
func (r *runtime) Status(context.Context, bool) (*cri.StatusResponse, error) {
	return &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: "RuntimeReady", Status: true}, {Type: "NetworkReady", Status: true},
	}}}, nil
}

// RunPodSandbox makes a sandbox, with an address of its own.
func (r *runtime) RunPodSandbox(_ context.Context, config *cri.PodSandboxConfig, _ string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// 10.244.0.0/16 is what most clusters use; each node has a /20 of it, and its addresses are used again after 4,000 pods.
	r.addresses++
	n := r.addresses%4000 + 2
	s := &sandbox{id: r.id(), config: config, created: time.Now().UnixNano(),
		address: fmt.Sprintf("10.244.%d.%d", (r.node%16)*16+int(n>>8), n&0xff)}
	r.sandboxes[s.id] = s
	return s.id, nil
}

// StopPodSandbox ends the containers that still run in a sandbox.
func (r *runtime) StopPodSandbox(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		if c.sandbox == id {
			r.end(c, 137, "")
		}
	}
	if s := r.sandboxes[id]; s != nil {
		s.stopped = true
	}
	return nil
}

// RemovePodSandbox forgets a sandbox and its containers.
func (r *runtime) RemovePodSandbox(ctx context.Context, id string) error {
	if err := r.StopPodSandbox(ctx, id); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		if c.sandbox == id {
			r.forget(c)
		}
	}
	delete(r.sandboxes, id)
	return nil
}

// PodSandboxStatus describes a sandbox.
func (r *runtime) PodSandboxStatus(_ context.Context, id string, _ bool) (*cri.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sandboxes[id]
	if s == nil {
		return nil, notFound("sandbox", id)
	}
	return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{
		Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.created,
		Network: &cri.PodSandboxNetworkStatus{Ip: s.address},
		Linux: &cri.LinuxPodSandboxStatus{Namespaces: &cri.Namespace{
			Options: s.config.GetLinux().GetSecurityContext().GetNamespaceOptions(),
		}},
		Labels: s.config.Labels, Annotations: s.config.Annotations,
	}}, nil
}

func (s *sandbox) state() cri.PodSandboxState {
	if s.stopped {
		return cri.PodSandboxState_SANDBOX_NOTREADY
	}
	return cri.PodSandboxState_SANDBOX_READY
}

// ListPodSandbox lists the sandboxes that a filter lets through.
func (r *runtime) ListPodSandbox(_ context.Context, filter *cri.PodSandboxFilter) ([]*cri.PodSandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*cri.PodSandbox
	for _, s := range r.sandboxes {
		if filter.GetId() != "" && filter.GetId() != s.id || filter.GetState() != nil && filter.GetState().State != s.state() ||
			!labelled(s.config.Labels, filter.GetLabelSelector()) {
			continue
		}
		all = append(all, &cri.PodSandbox{Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.created,
			Labels: s.config.Labels, Annotations: s.config.Annotations})
	}
	return all, nil
}

func labelled(labels, want map[string]string) bool {
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func podUID(labels map[string]string) types.UID {
	return types.UID(labels[kubelettypes.KubernetesPodUIDLabel])
}

// Exec, Attach and PortForward would need a container that runs something.
func (r *runtime) Exec(context.Context, *cri.ExecRequest) (*cri.ExecResponse, error) {
	return nil, errNotSimulated
}

// Attach is not simulated.
func (r *runtime) Attach(context.Context, *cri.AttachRequest) (*cri.AttachResponse, error) {
	return nil, errNotSimulated
}

// PortForward is not simulated.
func (r *runtime) PortForward(context.Context, *cri.PortForwardRequest) (*cri.PortForwardResponse, error) {
	return nil, errNotSimulated
}

// CheckpointContainer is not simulated.
func (r *runtime) CheckpointContainer(context.Context, *cri.CheckpointContainerRequest) error {
	return errNotSimulated
}

// GetContainerEvents is for a kubelet that is told of ends instead of asking for them every second; this one asks.
func (r *runtime) GetContainerEvents(context.Context, chan *cri.ContainerEventResponse, func(cri.RuntimeService_GetContainerEventsClient)) error {
	return status.Error(codes.Unimplemented, "container events are not simulated")
}

// UpdatePodSandboxResources accepts any resources: nothing is limited.
func (r *runtime) UpdatePodSandboxResources(context.Context, *cri.UpdatePodSandboxResourcesRequest) (*cri.UpdatePodSandboxResourcesResponse, error) {
	return &cri.UpdatePodSandboxResourcesResponse{}, nil
}

// UpdateRuntimeConfig accepts any configuration.
func (r *runtime) UpdateRuntimeConfig(context.Context, *cri.RuntimeConfig) error { return nil }

// RuntimeConfig tells the cgroup driver, which nothing uses.
func (r *runtime) RuntimeConfig(context.Context) (*cri.RuntimeConfigResponse, error) {
	return &cri.RuntimeConfigResponse{Linux: &cri.LinuxRuntimeConfiguration{CgroupDriver: cri.CgroupDriver_CGROUPFS}}, nil
}

// Close has nothing to close.
func (r *runtime) Close(context.Context) error { return nil }

// PodSandboxStats is empty.
func (r *runtime) PodSandboxStats(_ context.Context, id string) (*cri.PodSandboxStats, error) {
	return nil, notFound("sandbox", id)
}

// ListPodSandboxStats is empty.
func (r *runtime) ListPodSandboxStats(context.Context, *cri.PodSandboxStatsFilter) ([]*cri.PodSandboxStats, error) {
	return nil, nil
}

// ListMetricDescriptors is empty.
func (r *runtime) ListMetricDescriptors(context.Context) ([]*cri.MetricDescriptor, error) {
	return nil, nil
}

// ListPodSandboxMetrics is empty.
func (r *runtime) ListPodSandboxMetrics(context.Context) ([]*cri.PodSandboxMetrics, error) {
	return nil, nil
}
