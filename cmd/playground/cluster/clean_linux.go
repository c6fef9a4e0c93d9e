package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// cleanContainerd undoes what a containerd node with that work folder did to the machine: it ends the kubelet, containerd and every
// container, unmounts what they mounted, and removes cgroups, addresses, rules and links. It needs none of them to answer, so that it also
// works after everything was killed.
func cleanContainerd(dir string) error {
	sockets := shimSockets(dir)
	// First those that would start containers again, then the containers with their shims.
	for _, sign := range []string{filepath.Join(dir, "kubelet.yaml"), filepath.Join(dir, "kube-proxy.yaml"), filepath.Join(dir, "containerd", "config.toml"), filepath.Join(dir, "containerd", "containerd.sock")} {
		killTrees(sign)
	}
	for _, socket := range sockets {
		os.Remove(socket)
	}
	var errs []error
	for _, clean := range []func(string) error{unmount, func(string) error { return removeNetwork() }, removeLinks, removeCgroups} {
		if err := clean(dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// shimSockets lists the sockets of the containers' shims. They stand in a folder that every containerd uses, under names that only the shims
// know; a shim that is killed leaves its own behind.
func shimSockets(dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, "containerd", "state", "io.containerd.runtime.v2.task", "k8s.io", "*", "address"))
	if err != nil {
		return nil
	}
	var sockets []string
	for _, file := range files {
		address, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if path, ok := strings.CutPrefix(strings.TrimSpace(string(address)), "unix://"); ok && strings.HasPrefix(path, "/run/containerd/s/") {
			sockets = append(sockets, path)
		}
	}
	return sockets
}

// killTrees kills the processes whose command line holds a path that only ours can hold, and all that descend from them, until there are none.
func killTrees(sign string) {
	for range 50 {
		parents, roots := processTable(sign)
		if len(roots) == 0 {
			return
		}
		for _, pid := range descendants(parents, roots) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processTable gives each process's parent, and the processes whose command line holds sign.
func processTable(sign string) (parents map[int]int, roots []int) {
	parents = map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold anything; behind it stand the state and the parent.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 || fields[0][0] == 'Z' {
			continue
		}
		parent, err := strconv.Atoi(string(fields[1]))
		if err != nil {
			continue
		}
		parents[pid] = parent
		if line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")); err == nil && bytes.Contains(line, []byte(sign)) {
			roots = append(roots, pid)
		}
	}
	return parents, roots
}

func descendants(parents map[int]int, roots []int) []int {
	all := slices.Clone(roots)
	for i := 0; i < len(all); i++ {
		for pid, parent := range parents {
			if parent == all[i] && !slices.Contains(all, pid) {
				all = append(all, pid)
			}
		}
	}
	return all
}

// unmount takes away every mount below the folder, the deepest first.
func unmount(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	slices.SortFunc(points, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	var errs []error
	for _, point := range points {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// removeNetwork removes the node's address, kube-proxy's rules, the results that the CNI library keeps, and the pods' links that did not go
// with their network namespaces.
func removeNetwork() error {
	var errs []error
	if lo, err := netlink.LinkByName("lo"); err == nil {
		if err := netlink.AddrDel(lo, nodeAddress()); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("removing %s from the loopback device: %w", hostAddress, err))
		}
	}
	errs = append(errs, removePodLinks())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, family := range []string{"ip", "ip6"} {
		// Without a kube-proxy there is no such table; that is no failure.
		exec.CommandContext(ctx, "nft", "delete", "table", family, "kube-proxy").Run()
	}
	results, err := filepath.Glob("/var/lib/cni/results/" + networkName + "-*")
	if err == nil {
		for _, path := range results {
			os.Remove(path)
		}
	}
	os.Remove("/var/lib/cni/results")
	os.Remove("/var/lib/cni")
	return errors.Join(errs...)
}

// removePodLinks removes the machine's ends of the pods' links: each has the pods' gateway as its address.
func removePodLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("listing network links: %w", err)
	}
	var errs []error
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil || !slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return a.IP.String() == podGateway }) {
			continue
		}
		var gone netlink.LinkNotFoundError
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) && !errors.As(err, &gone) {
			errs = append(errs, fmt.Errorf("removing the link %s: %w", link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

// removeLinks removes the links to our logs from the folder in which every kubelet links logs.
func removeLinks(dir string) error {
	const links = "/var/log/containers"
	entries, err := os.ReadDir(links)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(links, e.Name())
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, dir+"/") {
			os.Remove(path)
		}
	}
	os.Remove(links) // succeeds only when it is empty
	return nil
}

// removeCgroups removes the cgroups of the pods. They are empty by now; those of another kubelet's pods are not, and stay.
func removeCgroups(string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/kubepods")
	if err != nil {
		return nil
	}
	for _, root := range append(roots, "/sys/fs/cgroup/kubepods") {
		var dirs []string
		filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, d := range dirs {
			// Only rmdir works on cgroups.
			unix.Rmdir(d)
		}
	}
	return nil
}
