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
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
)

const realWorkloads = `
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Pod
metadata: {name: refused, labels: {app: refused}}
spec:
  containers:
  - {name: web, image: "registry.example/playground/base:1.0", args: [dial, "-address=nobody.default.svc.cluster.local:5432"]}
---
apiVersion: v1
kind: Pod
metadata: {name: oom, labels: {app: oom}}
spec:
  containers:
  - {name: web, image: "registry.example/playground/base:1.0", args: [alloc, -mib=200], resources: {limits: {memory: 48Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: unwell, labels: {app: unwell}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: registry.example/playground/base:1.0
    args: [serve, "-listen=:9090", -ignore-stop]
    livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: nocommand, labels: {app: nocommand}}
spec:
  containers:
  - {name: web, image: "registry.example/playground/base:1.0", command: [wge]}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
      - name: web
        image: registry.example/playground/base:1.0
        args: [serve]
        readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec:
  containers:
  - {name: web, image: "registry.example/playground/base:1.0", command: [sh, -c, "until wget -q -O - http://server; do sleep 1; done; echo answered; exec sleep 1000"]}
`

func TestContainerd(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this starts a control plane and containers")
	}
	if err := CheckContainerd(); err != nil {
		t.Skip(err)
	}
	left := leftBehind(t)
	c := start(t, Options{Nodes: Containerd, MaxRestartPeriod: 2 * time.Second})
	left(t)
	if err := c.Apply(within(t), []byte(realWorkloads)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pod  string
		ends func(*core.ContainerStateTerminated) bool
		log  string
	}{
		{"refused", func(s *core.ContainerStateTerminated) bool { return s.ExitCode == 1 && s.Reason == "Error" }, ":5432: connect: connection refused"},
		{"oom", func(s *core.ContainerStateTerminated) bool { return s.Reason == "OOMKilled" }, "loading the price list"},
		{"unwell", func(s *core.ContainerStateTerminated) bool { return s.ExitCode == 137 && s.Reason == "Error" }, "listening on :9090"},
		{"nocommand", func(s *core.ContainerStateTerminated) bool { return s.ExitCode == 128 && s.Reason == "StartError" }, ""},
	} {
		t.Run(tt.pod, func(t *testing.T) {
			eventually(t, "its end", func(ctx context.Context) error {
				pod, err := onlyPod(ctx, c, "app="+tt.pod)
				if err != nil {
					return err
				}
				s := pod.Status.ContainerStatuses
				if len(s) != 1 || s[0].LastTerminationState.Terminated == nil || !tt.ends(s[0].LastTerminationState.Terminated) {
					return fmt.Errorf("its status is %+v", s)
				}
				return nil
			})
			eventually(t, "its log", func(ctx context.Context) error { return logHolds(ctx, c, tt.pod, tt.log) })
		})
	}
	t.Run("a Service reaches its pod", func(t *testing.T) {
		if err := c.WaitReady(within(t), []byte(realWorkloads)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the answer", func(ctx context.Context) error { return logHolds(ctx, c, "caller", "answered") })
	})
	dir := c.Dir()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	machineIsClean(t, dir)
}

func logHolds(ctx context.Context, c *Cluster, pod, want string) error {
	stream, err := c.Client().CoreV1().Pods("default").GetLogs(pod, &core.PodLogOptions{}).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	data, err := io.ReadAll(stream)
	if err == nil && !strings.Contains(string(data), want) {
		return fmt.Errorf("its log is %q", data)
	}
	return err
}

// leftBehind makes what a node leaves that was killed together with its janitor: a container's process, a mount, and a pod's link with its
// route. It gives the check that they are gone.
func leftBehind(t *testing.T) (gone func(*testing.T)) {
	t.Helper()
	dir := t.TempDir()
	mounted := filepath.Join(dir, "containerd", "kubelet")
	if err := os.MkdirAll(mounted, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", mounted, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	container := exec.Command("sleep", "1000")
	container.Args[0] = "containerd-shim -address " + filepath.Join(dir, "containerd", "containerd.sock")
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- container.Wait() }()

	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "crashloop-left"}, PeerName: "crashloop-peer"}
	_, route, err := net.ParseCIDR("10.85.0.2/32")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	// The tests of another package may have a node just now.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		cleanEarlier(lock),
		netlink.LinkAdd(link),
		netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(podGateway), Mask: net.CIDRMask(32, 32)}}),
		netlink.LinkSetUp(link),
		netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: route, Scope: netlink.SCOPE_HOST}),
		noteFolder(lock, dir),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(t *testing.T) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("a container of an earlier node still runs")
			container.Process.Kill()
			<-ended
		}
		if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), mounted) {
			t.Errorf("a mount of an earlier node is left (%v)", err)
		}
		if _, err := netlink.LinkByName("crashloop-left"); err == nil {
			t.Error("the link of an earlier node's pod is left")
		}
	}
}

// machineIsClean checks that nothing of a containerd node is left.
func machineIsClean(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("there are mounts left (%v)", err)
	}
	if _, roots := processTable(dir); len(roots) > 0 {
		t.Errorf("processes %v are left", roots)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := netlink.AddrList(lo, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if a.IP.String() == hostAddress {
			t.Errorf("%s is left", hostAddress)
		}
	}
	if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil || strings.Contains(string(out), "kube-proxy") {
		t.Errorf("rules are left: %s (%v)", out, err)
	}
	for _, path := range []string{dir, "/sys/fs/cgroup/memory/kubepods", "/sys/fs/cgroup/kubepods"} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left (%v)", path, err)
		}
	}
}
