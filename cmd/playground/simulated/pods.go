package simulated

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
)

// podIndex knows the annotations of the pods on this node, for the container runtime, which is told only their labels.
type podIndex struct {
	mu          sync.Mutex
	annotations map[types.UID]map[string]string
}

func newPodIndex() *podIndex {
	return &podIndex{annotations: map[types.UID]map[string]string{}}
}

func (x *podIndex) set(pods []*core.Pod) {
	next := make(map[types.UID]map[string]string, len(pods))
	for _, pod := range pods {
		ours := maps.Clone(pod.Annotations)
		maps.DeleteFunc(ours, func(k, _ string) bool { return !strings.HasPrefix(k, AnnotationPrefix) })
		if len(ours) > 0 {
			next[pod.UID] = ours
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.annotations = next
}

// behaviour gives what a container does.
func (x *podIndex) behaviour(pod types.UID, container string) (Behaviour, error) {
	x.mu.Lock()
	text := x.annotations[pod][AnnotationPrefix+container]
	x.mu.Unlock()
	b, err := ParseBehaviour(text)
	if err != nil {
		return Behaviour{}, fmt.Errorf("annotation %s%s: %w", AnnotationPrefix, container, err)
	}
	return b, nil
}

// watchPods feeds the kubelet with its pods from the API server, changed as [prepare] does.
func watchPods(ctx context.Context, client kubernetes.Interface, node string, index *podIndex, podConfig *config.PodConfig) {
	to := podConfig.Channel(ctx, kubetypes.ApiserverSource)
	from := sameKind(to)
	config.NewSourceApiserver(klog.FromContext(ctx), client, types.NodeName(node), nodeSynced(ctx, client, node), from)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case update := <-from:
				pods := make([]*core.Pod, 0, len(update.Pods))
				for _, pod := range update.Pods {
					pods = append(pods, prepare(pod))
				}
				index.set(pods)
				update.Pods = pods
				to <- update
			}
		}
	}()
}

// sameKind makes a channel of the element type of another one, which the kubelet does not export.
func sameKind[T any](chan<- T) chan T { return make(chan T) }

// nodeSynced says whether the API server has answered for the node: before that the kubelet does not look at pods.
func nodeSynced(ctx context.Context, client kubernetes.Interface, node string) func() bool {
	return func() bool {
		_, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		return err == nil
	}
}

// prepare takes out of a pod what would leave the simulation: the kubelet dials HTTP, TCP and gRPC probes and hooks itself, so probes become
// exec probes that the runtime answers; tokens, which nothing reads, and file ownership, which needs root, are left out. The pod at the API
// server stays as it is: a kubelet writes only its status.
func prepare(pod *core.Pod) *core.Pod {
	pod = pod.DeepCopy()
	isToken := func(name string) bool { return strings.HasPrefix(name, "kube-api-access-") }
	pod.Spec.Volumes = slices.DeleteFunc(pod.Spec.Volumes, func(v core.Volume) bool { return v.Projected != nil && isToken(v.Name) })
	if sc := pod.Spec.SecurityContext; sc != nil {
		sc.FSGroup, sc.SupplementalGroups = nil, nil
	}
	for _, containers := range [][]core.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return isToken(m.Name) })
			for _, p := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
				if p != nil {
					p.ProbeHandler = execInstead(p, c)
				}
			}
			if c.Lifecycle != nil {
				c.Lifecycle.PostStart, c.Lifecycle.PreStop = onlyExec(c.Lifecycle.PostStart), onlyExec(c.Lifecycle.PreStop)
			}
		}
	}
	return pod
}

func onlyExec(h *core.LifecycleHandler) *core.LifecycleHandler {
	if h == nil || h.HTTPGet != nil || h.TCPSocket != nil {
		return nil
	}
	return h
}

// probeCommand marks an exec probe that stands for another kind.
const probeCommand = "playground-probe"

// execInstead gives the exec probe that stands for an HTTP, TCP or gRPC probe: probeCommand, kind, host, port, path, timeout in seconds.
func execInstead(p *core.Probe, c *core.Container) core.ProbeHandler {
	timeout := strconv.Itoa(int(max(1, p.TimeoutSeconds)))
	var kind, host, path string
	var port intstr.IntOrString
	switch {
	case p.HTTPGet != nil:
		kind, host, port, path = strings.ToLower(string(p.HTTPGet.Scheme)), p.HTTPGet.Host, p.HTTPGet.Port, p.HTTPGet.Path
		if kind == "" {
			kind = "http"
		}
	case p.TCPSocket != nil:
		kind, host, port = "tcp", p.TCPSocket.Host, p.TCPSocket.Port
	case p.GRPC != nil:
		kind, port = "grpc", intstr.FromInt32(p.GRPC.Port)
	default:
		return p.ProbeHandler
	}
	return core.ProbeHandler{Exec: &core.ExecAction{Command: []string{probeCommand, kind, host, portNumber(port, c), path, timeout}}}
}

// portNumber resolves a port's name among the container's ports. A name that is not there stays as it is.
func portNumber(port intstr.IntOrString, c *core.Container) string {
	if port.Type == intstr.String {
		for _, p := range c.Ports {
			if p.Name == port.StrVal {
				return strconv.Itoa(int(p.ContainerPort))
			}
		}
	}
	return port.String()
}
