package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The containerd node's network. Pods have addresses of podRange, each behind a point-to-point link of its own: on a bridge, answers between
// two pods would take a short cut past the address translation of Services. hostAddress is a second address of the loopback device that
// pods can reach: there the API server, the kubelet and CoreDNS listen.
const (
	podRange    = "10.85.0.0/17"
	podGateway  = "10.85.0.1"
	hostAddress = "10.85.255.1"
	networkName = "crashloop-playground"
	// containerdNode is the node's name.
	containerdNode = "node-a"
)

// CheckContainerd says why this machine cannot have a containerd node; it is nil when it can.
func CheckContainerd() error {
	if !mayMount() {
		return errors.New("a containerd node must run as a root that may mount and make network devices; -nodes simulated needs no root")
	}
	var missing []string
	for _, program := range []string{"containerd", "ctr", "runc", "nft", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if _, err := cniDir(); err != nil {
		missing = append(missing, "the CNI plugins")
	}
	if _, err := staticBusybox(); err != nil {
		missing = append(missing, err.Error())
	}
	if len(missing) > 0 {
		return fmt.Errorf("this machine lacks %s: run install-containerd.sh as root, in the playground's folder", strings.Join(missing, ", "))
	}
	return nil
}

// mayMount says whether this process is a root that may mount and make network devices: that of a container often may not.
func mayMount() bool {
	const needed = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	var held [2]unix.CapUserData // version 3 has two words; ours are in the first
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &held[0])
	return err == nil && os.Geteuid() == 0 && held[0].Effective&needed == needed
}

// prepareContainerd checks what the node needs, before anything is started, and makes the address that the API server listens on.
func (c *Cluster) prepareContainerd(ctx context.Context) error {
	if err := CheckContainerd(); err != nil {
		return err
	}
	if err := c.lockNode(ctx); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback device: %w", err)
	}
	if err := netlink.AddrAdd(lo, nodeAddress()); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("adding %s to the loopback device: %w", hostAddress, err)
	}
	c.address = hostAddress
	return nil
}

func nodeAddress() *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(hostAddress), Mask: net.CIDRMask(32, 32)}}
}

// lockNode makes sure that no other playground on this machine has a containerd node, and that nothing is left of an earlier one: its pods
// would answer in the place of ours, at the same addresses. As long as the node may have left something, the locked file names its work folder.
func (c *Cluster) lockNode(ctx context.Context) error {
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the lock of the containerd node: %w", err)
	}
	busy := errors.New("another playground with a containerd node runs on this machine; there can be one at a time: stop it first")
	err = waitUntil(ctx, "the machine", func(context.Context) error {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil && c.opts.FailIfBusy {
			return fmt.Errorf("%w: %w", errStop, busy)
		}
		return err
	})
	if err != nil {
		f.Close()
		if c.opts.FailIfBusy {
			return busy
		}
		return fmt.Errorf("%w: %w", err, busy)
	}
	if err := cleanEarlier(f); err != nil {
		f.Close()
		return err
	}
	if err := noteFolder(f, c.dir); err != nil {
		f.Close()
		return err
	}
	c.onStop(func() error {
		err := cleanContainerd(c.dir)
		if err == nil {
			err = noteFolder(f, "")
		}
		return errors.Join(err, f.Close())
	})
	return nil
}

// cleanEarlier cleans up after a node that was killed together with its janitor.
func cleanEarlier(lock io.ReadSeeker) error {
	if _, err := lock.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the lock of the containerd node: %w", err)
	}
	dir, err := io.ReadAll(io.LimitReader(lock, 4096))
	if err != nil {
		return fmt.Errorf("reading the lock of the containerd node: %w", err)
	}
	if filepath.IsAbs(string(dir)) && filepath.Clean(string(dir)) != "/" {
		if err := cleanContainerd(string(dir)); err != nil {
			return fmt.Errorf("cleaning up after an earlier playground, in %s: %w", dir, err)
		}
	}
	return removeNetwork()
}

// noteFolder makes the folder's path all that the locked file holds.
func noteFolder(lock *os.File, dir string) error {
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock of the containerd node: %w", err)
	}
	if _, err := lock.WriteAt([]byte(dir), 0); err != nil {
		return fmt.Errorf("writing the lock of the containerd node: %w", err)
	}
	return nil
}

// onStop remembers what Stop must do.
func (c *Cluster) onStop(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cleanups = append(c.cleanups, f)
}

// cniDir finds the CNI plugins: Debian puts them into /usr/lib/cni, others into /opt/cni/bin.
func cniDir() (string, error) {
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"} {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no CNI plugins")
}

// startContainerd starts containerd, the kubelet, kube-proxy and CoreDNS, and waits until the node is Ready and Services work.
func (c *Cluster) startContainerd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	socket, err := c.startRuntime(ctx)
	if err != nil {
		return err
	}
	if err := c.importImages(ctx, socket); err != nil {
		return err
	}
	if err := c.startDNS(ctx); err != nil {
		return err
	}
	proxy, err := c.startProxy()
	if err != nil {
		return err
	}
	kubelet, err := c.startKubelet(socket)
	if err != nil {
		return err
	}
	if err := kubelet.waitFor(ctx, "the node to be Ready", func(ctx context.Context) error { return c.nodesReady(ctx, 1) }); err != nil {
		return err
	}
	// kube-proxy needs up to half a minute until its rules stand; until then refused connections would look like time-outs.
	return proxy.waitFor(ctx, "kube-proxy's rules", func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, "nft", "list", "map", "ip", "kube-proxy", "service-ips").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		if !strings.Contains(string(out), kubernetesIP) {
			return errors.New("the Service kubernetes is not there yet")
		}
		return nil
	})
}

// startRuntime starts a containerd of our own: its socket, its state and its images are in the work folder.
func (c *Cluster) startRuntime(ctx context.Context) (socket string, err error) {
	dir := filepath.Join(c.dir, "containerd")
	bin, err := cniDir()
	if err != nil {
		return "", err
	}
	socket = filepath.Join(dir, "containerd.sock")
	snapshotter := "overlayfs"
	if onOverlay(c.dir) {
		// An overlay cannot hold the upper layer of another.
		snapshotter = "native"
	}
	cni := filepath.Join(dir, "net.d")
	for path, text := range map[string]string{
		filepath.Join(dir, "config.toml"):                 containerdConfig(dir, socket, bin, cni, snapshotter),
		filepath.Join(cni, "10-"+networkName+".conflist"): cniConfig(filepath.Join(dir, "addresses")),
	} {
		if err := writeFile(path, text); err != nil {
			return "", err
		}
	}
	p, err := startProgram(c.dir, "containerd", nil, "containerd", "--config", filepath.Join(dir, "config.toml"))
	if err != nil {
		return "", err
	}
	c.own(p)
	err = p.waitFor(ctx, "containerd", func(ctx context.Context) error {
		return exec.CommandContext(ctx, "ctr", "--address", socket, "--connect-timeout=1s", "version").Run()
	})
	return socket, err
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return nil
}

func onOverlay(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC
}

// startDNS starts CoreDNS on the node's address.
func (c *Cluster) startDNS(ctx context.Context) error {
	kubeconfig, corefile := filepath.Join(c.pki, "coredns.kubeconfig"), filepath.Join(c.dir, "Corefile")
	if err := c.grantDNS(ctx, kubeconfig); err != nil {
		return err
	}
	if err := writeFile(corefile, fmt.Sprintf(corefileFormat, clusterDomain, hostAddress, kubeconfig, hostAddress)); err != nil {
		return err
	}
	p, err := startProcess(c.dir, "coredns", "--corefile="+corefile)
	if err != nil {
		return err
	}
	c.own(p)
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "udp", net.JoinHostPort(hostAddress, "53"))
	}}
	return p.waitFor(ctx, "CoreDNS", func(ctx context.Context) error {
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+clusterDomain+".")
		return err
	})
}

// startProxy starts kube-proxy, which makes Services work.
func (c *Cluster) startProxy() (*process, error) {
	kubeconfig, config := filepath.Join(c.pki, "kube-proxy.kubeconfig"), filepath.Join(c.dir, "kube-proxy.yaml")
	if err := c.kubeconfigFor(kubeconfig, "system:kube-proxy"); err != nil {
		return nil, err
	}
	ports, err := freePorts("127.0.0.1", 2)
	if err != nil {
		return nil, err
	}
	if err := writeFile(config, fmt.Sprintf(proxyConfigFormat, kubeconfig, containerdNode, podRange, ports[0], ports[1])); err != nil {
		return nil, err
	}
	p, err := startProcess(c.dir, "kube-proxy", "--config="+config)
	if err != nil {
		return nil, err
	}
	c.own(p)
	return p, nil
}

// startKubelet starts the kubelet.
func (c *Cluster) startKubelet(socket string) (*process, error) {
	dir := filepath.Join(c.dir, "kubelet")
	kubeconfig, config := filepath.Join(c.pki, "kubelet.kubeconfig"), filepath.Join(c.dir, "kubelet.yaml")
	if err := c.kubeconfigFor(kubeconfig, "system:node:"+containerdNode, "system:nodes"); err != nil {
		return nil, err
	}
	cert, key, err := c.ca.files(c.pki, "kubelet", identity{name: "system:node:" + containerdNode, groups: []string{"system:nodes"}, hosts: []string{hostAddress, containerdNode}})
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(hostAddress, 1)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(kubeletConfigFormat, hostAddress, ports[0], socket, filepath.Join(c.pki, "ca.crt"), cert, key, filepath.Join(c.dir, "pods"), hostAddress, clusterDomain)
	if c.opts.MaxRestartPeriod > 0 {
		text += fmt.Sprintf("crashLoopBackOff:\n  maxContainerRestartPeriod: %s\n", c.opts.MaxRestartPeriod)
	}
	if err := writeFile(config, text); err != nil {
		return nil, err
	}
	p, err := startProcess(c.dir, "kubelet", "--config="+config, "--kubeconfig="+kubeconfig, "--root-dir="+dir, "--cert-dir="+filepath.Join(dir, "pki"),
		"--hostname-override="+containerdNode, "--node-ip="+hostAddress,
		"--node-labels=topology.kubernetes.io/zone=zone-a,topology.kubernetes.io/region=playground,node.kubernetes.io/instance-type=containerd")
	if err != nil {
		return nil, err
	}
	c.own(p)
	return p, nil
}
