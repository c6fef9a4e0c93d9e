package simulated

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"
	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/csi"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/hostpath"
	"k8s.io/kubernetes/pkg/volume/local"
	"k8s.io/kubernetes/pkg/volume/nfs"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"
)

// settings are what the launcher tells a simulated node.
type settings struct {
	name             string
	index            int
	dir              string
	kubeconfig       string
	port             int
	cert, key        string
	clientCA         string
	maxRestartPeriod time.Duration
}

func parseSettings(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("simulated-node", flag.ContinueOnError)
	flags.StringVar(&s.name, "name", "", "the node's name")
	flags.IntVar(&s.index, "index", 0, "the node's number, from which its pods' addresses come")
	flags.StringVar(&s.dir, "dir", "", "the kubelet's folder")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "the kubelet's credentials")
	flags.IntVar(&s.port, "port", 0, "the kubelet's port on the loopback address")
	flags.StringVar(&s.cert, "cert", "", "the kubelet's serving certificate")
	flags.StringVar(&s.key, "key", "", "the kubelet's serving key")
	flags.StringVar(&s.clientCA, "client-ca", "", "the authority of the kubelet's clients")
	flags.DurationVar(&s.maxRestartPeriod, "max-restart-period", 0, "the longest back-off between restarts")
	return s, flags.Parse(args)
}

// Run runs a simulated node until ctx is done. The kubelet keeps process-wide state, so a process can be one node only.
func Run(ctx context.Context, args []string) error {
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	ctx = klog.NewContext(ctx, klog.Background())
	// The kubelet would link the log of each container into /var/log/containers.
	kubelet.ContainerLogsDir = filepath.Join(s.dir, "containers")
	if err := os.MkdirAll(kubelet.ContainerLogsDir, 0o700); err != nil {
		return fmt.Errorf("making the node's folder: %w", err)
	}
	server, err := kubeletSettings(s)
	if err != nil {
		return err
	}
	deps, err := dependencies(ctx, s, server)
	if err != nil {
		return err
	}
	if err := kubeletapp.RunKubelet(ctx, server, deps); err != nil {
		return fmt.Errorf("starting the kubelet: %w", err)
	}
	<-ctx.Done()
	return nil
}

// kubeletSettings configures the kubelet: everything that would touch the machine is off.
func kubeletSettings(s settings) (*options.KubeletServer, error) {
	flags := options.NewKubeletFlags()
	flags.RootDirectory = filepath.Join(s.dir, "kubelet")
	flags.CertDirectory = filepath.Join(s.dir, "pki")
	flags.HostnameOverride = s.name
	// The launcher publishes the node's address, as a cloud provider would.
	flags.CloudProvider = "external"
	cfg, err := options.NewKubeletConfiguration()
	if err != nil {
		return nil, fmt.Errorf("making the kubelet's configuration: %w", err)
	}
	cfg.Address = "127.0.0.1"
	cfg.Port = int32(s.port)
	cfg.ReadOnlyPort = 0
	cfg.HealthzPort = 0
	cfg.EnableServer = true
	cfg.EnableDebuggingHandlers = true
	cfg.TLSCertFile, cfg.TLSPrivateKeyFile = s.cert, s.key
	cfg.Authentication.X509.ClientCAFile = s.clientCA
	cfg.PodLogsDir = filepath.Join(s.dir, "pods")
	cfg.MaxPods = maxPods
	cfg.RegisterNode = true
	cfg.CgroupsPerQOS = false
	cfg.EnforceNodeAllocatable = nil
	cfg.EvictionHard = nil
	cfg.ImageGCHighThresholdPercent = 100
	cfg.ImageMaximumGCAge = metav1.Duration{}
	cfg.ResolverConfig = ""
	cfg.ClusterDomain, cfg.ClusterDNS = "cluster.local", []string{"10.96.0.10"}
	cfg.FailSwapOn = false
	cfg.MakeIPTablesUtilChains = false
	// There is no disk to measure; with this and without eviction thresholds the eviction manager stays off.
	cfg.LocalStorageCapacityIsolation = false
	cfg.ConfigMapAndSecretChangeDetectionStrategy = kubeletconfig.WatchChangeDetectionStrategy
	cfg.ContainerRuntimeEndpoint = "unix:///simulated"
	cfg.NodeStatusUpdateFrequency = metav1.Duration{Duration: 5 * time.Second}
	cfg.RegistryPullQPS = 0
	cfg.SerializeImagePulls = false
	if s.maxRestartPeriod > 0 {
		cfg.CrashLoopBackOff.MaxContainerRestartPeriod = &metav1.Duration{Duration: s.maxRestartPeriod}
	}
	return &options.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *cfg}, nil
}

// maxPods is high, so that thousands of pods fit on a few nodes.
const maxPods = 1000

// dependencies gives the kubelet its clients, and a made-up machine.
func dependencies(ctx context.Context, s settings, server *options.KubeletServer) (*kubelet.Dependencies, error) {
	clientConfig, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubelet's credentials: %w", err)
	}
	clientConfig.ContentType = "application/vnd.kubernetes.protobuf"
	clientConfig.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	clientConfig.QPS, clientConfig.Burst = 200, 400
	client, err := kubernetes.NewForConfig(clientConfig)
	if err != nil {
		return nil, fmt.Errorf("making the kubelet's client: %w", err)
	}
	heartbeatConfig := rest.CopyConfig(clientConfig)
	heartbeatConfig.QPS, heartbeatConfig.Timeout = -1, 5*time.Second
	heartbeat, err := kubernetes.NewForConfig(heartbeatConfig)
	if err != nil {
		return nil, fmt.Errorf("making the kubelet's client: %w", err)
	}
	auth, watchAuthority, err := kubeletapp.BuildAuth(types.NodeName(s.name), client, server.KubeletConfiguration)
	if err != nil {
		return nil, fmt.Errorf("setting up the kubelet's access control: %w", err)
	}
	watchAuthority(ctx.Done())
	tlsOptions, err := kubeletapp.InitializeTLS(ctx, &server.KubeletFlags, &server.KubeletConfiguration)
	if err != nil {
		return nil, fmt.Errorf("setting up the kubelet's certificates: %w", err)
	}
	pods := newPodIndex()
	runtime := newRuntime(s.index, pods)
	latency := kubeletutil.NewPodStartupLatencyTracker()
	deps := &kubelet.Dependencies{
		KubeClient:                client,
		HeartbeatClient:           heartbeat,
		EventClient:               client.CoreV1(),
		Auth:                      auth,
		TLSOptions:                tlsOptions,
		RemoteRuntimeService:      runtime,
		RemoteImageService:        runtime.images,
		CAdvisorInterface:         machine{name: s.name, runtime: runtime},
		ContainerManager:          newContainerManager(),
		OSInterface:               privateOS{},
		VolumePlugins:             volumePlugins(),
		OOMAdjuster:               oom.NewFakeOOMAdjuster(),
		Mounter:                   mount.NewFakeMounter(nil),
		Subpather:                 &subpath.FakeSubpath{},
		HostUtil:                  hostutil.NewFakeHostUtil(nil),
		PodStartupLatencyTracker:  latency,
		NodeStartupLatencyTracker: kubeletutil.NewNodeStartupLatencyTracker(),
	}
	recorder := newRecorder(ctx, client.CoreV1(), s.name)
	withoutOOMWatcher(deps, recorder)
	podConfig := config.NewPodConfig(recorder, latency)
	watchPods(ctx, client, s.name, pods, podConfig)
	deps.PodConfig = podConfig
	return deps, nil
}

// newRecorder sends the kubelet's events to the API server, under the name that a kubelet signs them with.
func newRecorder(ctx context.Context, client typedcore.EventsGetter, node string) record.EventRecorderLogger {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.Events("")})
	return broadcaster.NewRecorder(legacyscheme.Scheme, core.EventSource{Component: "kubelet", Host: node})
}

// withoutOOMWatcher makes the kubelet do without its watcher of the kernel's log. The watcher needs root, and would report the machine's own
// out-of-memory kills as this node's. The kubelet leaves it out only when its recorder is the fake one, so it is given that one at first, and
// the real one as soon as it asks for a tracer: the first thing that it does after it has decided about the watcher.
func withoutOOMWatcher(deps *kubelet.Dependencies, recorder record.EventRecorderLogger) {
	deps.Recorder = &record.FakeRecorder{}
	deps.TracerProvider = &tracerProvider{TracerProvider: noopoteltrace.NewTracerProvider(), asked: func() { deps.Recorder = recorder }}
}

type tracerProvider struct {
	oteltrace.TracerProvider
	asked func()
}

// Tracer gives a tracer that does nothing.
func (p *tracerProvider) Tracer(name string, opts ...oteltrace.TracerOption) oteltrace.Tracer {
	p.asked()
	return p.TracerProvider.Tracer(name, opts...)
}

// volumePlugins are those that need no driver. Mounting is fake: only what the kubelet writes itself (ConfigMaps, Secrets, tokens) is there.
func volumePlugins() []volume.VolumePlugin {
	var all []volume.VolumePlugin
	all = append(all, emptydir.ProbeVolumePlugins()...)
	all = append(all, secret.ProbeVolumePlugins()...)
	all = append(all, configmap.ProbeVolumePlugins()...)
	all = append(all, projected.ProbeVolumePlugins()...)
	all = append(all, downwardapi.ProbeVolumePlugins()...)
	all = append(all, hostpath.FakeProbeVolumePlugins(volume.VolumeConfig{})...)
	all = append(all, nfs.ProbeVolumePlugins(volume.VolumeConfig{})...)
	all = append(all, local.ProbeVolumePlugins()...)
	all = append(all, csi.ProbeVolumePlugins()...)
	return all
}

var errNotSimulated = errors.New("a simulated container runs nothing: use -nodes containerd for that")
