package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Nodes says what kind of nodes a cluster has.
type Nodes string

const (
	// Simulated nodes run the kubelet's own code over a container runtime that runs nothing: no root, any operating system.
	Simulated Nodes = "simulated"
	// Containerd is one node with the real kubelet, containerd, kube-proxy and CoreDNS: Linux, root, and what install-containerd.sh installs.
	Containerd Nodes = "containerd"
	// None leaves the cluster without nodes: pods stay Pending.
	None Nodes = "none"
)

// Options are what Start needs. The zero value is a cluster with two simulated nodes on free ports of the loopback address.
type Options struct {
	// Dir is the folder for everything that the cluster writes; Stop removes it with all that is in it, so it must be new or empty. Empty: a
	// temporary one.
	Dir string
	// Made, when not nil, is told the folder as soon as it is there, before anything is started.
	Made func(dir string)
	// Keep leaves the folder in place when the cluster stops.
	Keep bool
	// Nodes is the kind of the nodes; empty means Simulated.
	Nodes Nodes
	// SimulatedNodes is how many simulated nodes there are; 0 means 2.
	SimulatedNodes int
	// MaxRestartPeriod is the kubelets' crashLoopBackOff.maxContainerRestartPeriod: the longest back-off between two restarts, and the first
	// one too when it is under 10 s. 0 means the kubelet's default of five minutes; the kubelet accepts 1 s to 300 s.
	MaxRestartPeriod time.Duration
	// FailIfBusy refuses to start when another cluster of this machine has a containerd node; otherwise Start waits until that one is stopped.
	FailIfBusy bool
	// APIPort is the port of the API server; 0 picks a free one.
	APIPort int
	// Step, when not nil, is told when a step of the start begins; it returns what to call at its end.
	Step func(what string) func(error)
}

// Cluster is a running cluster. Its methods may be called concurrently, but for Stop.
type Cluster struct {
	opts   Options
	dir    string
	pki    string
	url    string
	admin  *rest.Config
	client kubernetes.Interface
	// ca signs the certificates of servers, components and people; etcdCA only those between the API server and etcd.
	ca, etcdCA *authority
	// address is where the API server listens: the loopback address, or the bridge of the containerd node so that pods reach it too.
	address string

	mu sync.Mutex
	// processes are the children in the order of their start, without the API server, which can be stopped and started again.
	processes     []*process
	apiserver     *process
	apiserverArgs []string
	janitor       *process
	// cleanups undo what the nodes did to the machine, in reverse order.
	cleanups []func() error
}

// startTimeout bounds each step of the start; a cold disk and a busy machine make an API server slow.
const startTimeout = 2 * time.Minute

// Start starts a cluster and returns when its nodes are Ready and pods can be created in the namespace default. When it fails, everything
// that it had started is stopped, and the error names the step and quotes the end of the log that matters.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.Nodes == "" {
		opts.Nodes = Simulated
	}
	if opts.SimulatedNodes == 0 {
		opts.SimulatedNodes = 2
	}
	if opts.Nodes != Simulated && opts.Nodes != Containerd && opts.Nodes != None {
		return nil, fmt.Errorf("there are no nodes of kind %q: choose %s, %s or %s", opts.Nodes, Simulated, Containerd, None)
	}
	if p := opts.MaxRestartPeriod; p != 0 && (p < time.Second || p > 300*time.Second) {
		return nil, fmt.Errorf("the longest back-off between restarts is %s: the kubelet accepts 1s to 300s", p)
	}
	c := &Cluster{opts: opts, address: "127.0.0.1"}
	if err := c.start(ctx); err != nil {
		keep := opts.Keep
		if stopErr := c.Stop(); stopErr != nil {
			err = fmt.Errorf("%w\n(and stopping it again: %w)", err, stopErr)
		}
		if keep {
			err = fmt.Errorf("%w\nall logs are in %s", err, filepath.Join(c.dir, "logs"))
		}
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.makeDir(); err != nil {
		return err
	}
	janitor, err := startProcess(c.dir, "janitor", c.janitorArgs()...)
	if err != nil {
		return err
	}
	c.janitor = janitor
	if c.opts.Nodes == Containerd {
		if err := c.step("check what the containerd node needs", func() error { return c.prepareContainerd(ctx) }); err != nil {
			return err
		}
	}
	if err := c.step("start etcd and the API server", func() error { return c.startAPI(ctx) }); err != nil {
		return err
	}
	if err := c.step("start the controller manager and the scheduler", func() error { return c.startControllers(ctx) }); err != nil {
		return err
	}
	switch c.opts.Nodes {
	case None:
		return nil
	case Simulated:
		err = c.step(fmt.Sprintf("start %d simulated nodes", c.opts.SimulatedNodes), func() error { return c.startSimulated(ctx) })
	case Containerd:
		err = c.step("start the containerd node", func() error { return c.startContainerd(ctx) })
	}
	if err != nil {
		return err
	}
	return c.step("start metrics-server", func() error { return c.startMetrics(ctx) })
}

func (c *Cluster) step(what string, run func() error) error {
	end := func(error) {}
	if c.opts.Step != nil {
		end = c.opts.Step(what)
	}
	err := run()
	end(err)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// makeDir makes the folder. It must not be readable by others: it holds the keys of the cluster.
func (c *Cluster) makeDir() error {
	if c.opts.Dir == "" {
		dir, err := os.MkdirTemp("", "crashloop-playground-")
		if err != nil {
			return fmt.Errorf("making a temporary folder: %w", err)
		}
		c.dir = dir
	} else {
		dir, err := filepath.Abs(c.opts.Dir)
		if err != nil {
			return fmt.Errorf("finding the folder %q: %w", c.opts.Dir, err)
		}
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return fmt.Errorf("the folder %q is not empty, and it would be removed at the end: name one that is new", dir)
		}
		c.dir = dir
	}
	c.pki = filepath.Join(c.dir, "pki")
	if err := os.MkdirAll(c.pki, 0o700); err != nil {
		return fmt.Errorf("making the folder %q: %w", c.pki, err)
	}
	if c.opts.Made != nil {
		c.opts.Made(c.dir)
	}
	return nil
}

// Dir is the folder that holds the logs (logs/*.log) and the rest of what the cluster writes.
func (c *Cluster) Dir() string { return c.dir }

// URL is the address of the API server.
func (c *Cluster) URL() string { return c.url }

// Stop ends every process of the cluster, undoes what the containerd node did to the machine, and removes the folder unless Options.Keep
// says otherwise. It may be called more than once.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	processes, apiserver, cleanups := c.processes, c.apiserver, c.cleanups
	c.processes, c.apiserver, c.cleanups = nil, nil, nil
	c.mu.Unlock()

	var failed error
	// Nothing of etcd's or the API server's state is needed again, so they get no time to say goodbye. A watched program does: killed, it
	// would leave its own children behind.
	for i := len(processes) - 1; i >= 0; i-- {
		processes[i].stop(processes[i].grace)
	}
	if apiserver != nil {
		apiserver.stop(0)
	}
	for i := len(cleanups) - 1; i >= 0; i-- {
		if err := cleanups[i](); err != nil && failed == nil {
			failed = err
		}
	}
	if !c.opts.Keep && c.dir != "" {
		if err := removeAll(c.dir); err != nil && failed == nil {
			failed = fmt.Errorf("removing the work folder: %w", err)
		}
	}
	if c.janitor != nil {
		c.janitor.stop(0)
		c.janitor = nil
	}
	return failed
}

// removeAll removes a folder, and tries again while processes that have just been killed still write to it.
func removeAll(dir string) error {
	var err error
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
