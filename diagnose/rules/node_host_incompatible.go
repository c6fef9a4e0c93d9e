package rules

import (
	"fmt"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func nodeHostIncompatible() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.host-incompatible", Category: "node", Title: "The node's kernel or its settings do not suit the program",
		Doc: diagnose.Doc{
			Means:   "The program needs something of the kernel that this node does not give: a setting such as vm.max_map_count, locked memory, huge pages, a newer kernel, a cgroup version, a system call that seccomp forbids.",
			Confirm: "`kubectl logs POD --previous` names it; `kubectl get node NODE -o wide` shows kernel and runtime.",
			Mend:    "Change the setting on the nodes (sysctl, by a DaemonSet or the node's image), turn the need off in the program, or keep the pods on nodes that suit.",
			Source:  "Elasticsearch bootstrap checks, Go's wiki on mlock, PostgreSQL and huge pages, seccomp(2)",
		},
		Log: slices.Concat(kernelWords(), cpuWords(), hostWords(), deviceWords(), serverHost(), storageHost(), []diagnose.Pattern{
			// Memory and limits.
			{Words: []string{"vm.max_map_count", "max virtual memory areas", "bootstrap check failure", "failed to mlock", "mlock of signal stack failed", "memory locking", "kernel too old", "huge pages", "hugepages", "could not map anonymous shared memory", "max file descriptors", "cannot allocate memory in static tls", "unable to create thread: resource temporarily", "transparent huge", "failed to create locked", "memlock", "fatal: kernel", "failed to lock memory", "failed to create new os thread", "pthread_create", "fork: ", "clone"}, Regexp: `(?i)` +
				`vm\.max_map_count.{0,80}(?:too low|at least|increase|required)|max virtual memory areas|mlock of signal stack failed|failed to mlock|memory locking requested.{0,80}not locked|FATAL: kernel too old` +
				`|could not map anonymous shared memory|(?:huge ?pages?).{0,80}(?:not|fail|unable|cannot)|max file descriptors \[\d+\].{0,60}too low|memlock|failed to lock memory|failed to create new OS thread \(have \d+ already; errno=1\)` +
				`|(?:pthread_create|\bfork: (?:retry: )?|\bclone3?\b).{0,40}operation not permitted`},
			// The kernel and its modules.
			{Words: []string{"unknown cgroup", "cgroup", "operation not permitted: seccomp", "bad system call", "sigsys", "requires a cpu", "io_uring", "kernel version", "modprobe", "somaxconn", "inotify_init", "/proc/sys/", "insmod", "initialize iptables", "open-iscsi", "/lib/modules", "crngt failed"}, Regexp: `(?i)` +
				`(?:unsupported|not supported|unknown|incompatible|no such).{0,60}cgroup|cgroup.{0,60}(?:not supported|unsupported|not mounted|no such file)|bad system call|SIGSYS|requires? (?:a )?(?:CPU|kernel)` +
				`|io_uring.{0,60}(?:not permitted|fail|ENOSYS|unsupported)|kernel version.{0,60}(?:not supported|too old|required|at least)|modprobe.{0,60}(?:not found|can't|FATAL)` +
				`|/proc/sys/\S+: (?:no such file|read-only file|permission denied)|do you need to insmod|can't initialize iptables table|make sure you have \S+ installed on the host|^CRNGT failed`},
			// kube-proxy, and the iptables that it runs.
			{Words: []string{"missing kernel module?", "is not supported for primary ip family"}, Regexp: `missing kernel module\?|\b(?:iptables|ipvs|nftables) is not supported for primary IP family`},
			// Processors, graphics cards, IPv6.
			{Words: []string{"glibc detected an invalid", "cpu does not support", "cpu isa level", "your machine doesn't support", "unsupported system page size", "error_library_not_found", "nvml", "nvidia-smi", "cannot assign requested address", "address family not supported"}, Regexp: `(?i)` +
				`CPU does not support|CPU ISA level is lower than required|your machine doesn't support|Unsupported system page size` +
				`|(?:nvml|libnvidia-ml).{0,60}(?:ERROR_LIBRARY_NOT_FOUND|could not load|not found|ERROR_DRIVER_NOT_LOADED|Driver Not Loaded)|(?:could not|failed to) (?:load|initialize) nvml` +
				`|nvidia-smi(?:\\?")?: (?:executable file |command )?not found|\[::1?\]\S* .{0,20}\((?:97: Address family not supported|99: Cannot assign requested)` +
				`|listen tcp6? \[::1?\]:\d+: (?:socket|bind): (?:address family not supported|cannot assign requested)|EAFNOSUPPORT.{0,60}::`},
		}),
		Closing: kernelShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				if h.Pattern == "bus" {
					return ofPostgres(h)
				}
				if h.Pattern == "absent" && !nearEnd(h) {
					return false // one of many things that it looks for
				}
				if h.Pattern == "cpu" && exit(c) != 132 && (h.DoesWithout() || !atEnd(h)) {
					return false // it names what there is, and goes on
				}
				// SIGILL proves what otherwise is a mere warning: the CPU lacks an instruction.
				return h.Level != diagnose.Info && h.Level != diagnose.Debug && (h.Level != diagnose.Warn || exit(c) == 132)
			})
			if !ok {
				if k, failed := hookFailed(c); failed {
					if f, ok := k.incompatible(c); ok {
						return []diagnose.Finding{f}
					}
				}
				return nil
			}
			f.Weight = 25
			if exit(c) == 132 {
				f.Weight, f.Proof = 60, diagnose.Corroborated
			}
			f.Keys = []string{"max_map_count", "mlock", "kernel", "cgroup", "huge"}
			t := strings.ToLower(h.Text)
			f.Summary = fmt.Sprintf("%s cannot run on its node: %s", c.Who(), inSentence(h, 180))
			f.Advice = "Change that setting on the node, or turn off in the program what needs it"
			f.Fixes = []diagnose.Fix{{Title: "See the node's kernel and runtime", Command: diagnose.Kubectl("", "get", "node", firstOf(c.Spec.NodeName, "NODE"), "-o", "wide")}}
			switch {
			case strings.Contains(t, "map failed"):
				f.Summary = fmt.Sprintf("%s may not map another file into memory: its node allows too few maps for each process (%s)", c.Who(), inSentence(h, 120))
				f.Advice = "Set vm.max_map_count to 262144 or more on the nodes"
				f.Fixes = append([]diagnose.Fix{{Title: "Set it on the node", Command: "sysctl -w vm.max_map_count=262144"}}, f.Fixes...)
				f.Weight = 60
			case h.Pattern == "bus":
				f.Summary = fmt.Sprintf("%s cannot run on its node: PostgreSQL ends with a bus error as soon as it takes its memory, as where the node has huge pages and the container may have none", c.Who())
				f.Advice = "Set huge_pages = off for PostgreSQL (before initdb: in postgresql.conf.sample of the image), or give the container hugepages-2Mi, or set vm.nr_hugepages to 0 on the node"
				f.Weight, f.Settle = 90, "vm.nr_hugepages of the node, and whether it goes away with huge_pages = off."
			case h.Pattern == "pipe":
				f.Summary = fmt.Sprintf("%s finds no named pipe %s on its Windows node: the service that should serve it does not run there", c.Who(), h.Group("pipe"))
				f.Advice = "Install and start that service on the node, or use a release of the program that does without it"
				f.Weight = 60
			case strings.Contains(t, "primary ip family"):
				f.Advice = "Load the kernel's modules for iptables on the node, or set the proxy mode to nftables, which newer systems have instead"
				f.Weight = 90
			case strings.Contains(t, "background jobs"):
				f.Weight = 90
			case strings.Contains(t, "::") && (strings.Contains(t, "address family not supported") || strings.Contains(t, "cannot assign requested")):
				f.Summary = fmt.Sprintf("%s listens on IPv6, which its node or pod network does not have: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Have it listen on IPv4 alone, or switch IPv6 on"
				f.Weight = 90
			case strings.Contains(t, "nvidia-smi"):
				f.Summary = fmt.Sprintf("%s finds no NVIDIA driver on its node: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Install the driver and the NVIDIA container toolkit on the node, or keep the pod off nodes without them"
				f.Weight = 60
			case strings.Contains(t, "/dev/net/tun") || strings.Contains(t, "/dev/fuse"):
				f.Advice = "Mount the node's device into the container as a hostPath volume and give it the capabilities that its documentation asks for; if the node has none, load the module there"
			case h.Pattern == "absent":
				f.Weight, f.Proof = 60, diagnose.Corroborated // what the kernel shows is what it has
				f.Summary = fmt.Sprintf("%s needs something of its node that the kernel there does not have: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Load the driver or module on that node if it has the hardware; else keep the pods off it with a nodeSelector"
			case h.Pattern == "load":
				f.Weight, f.Proof = 60, diagnose.Corroborated // the kernel's own verdict
				if strings.Contains(t, "unknown func") || strings.Contains(t, "invalid func") {
					f.Confidence = diagnose.Certain // it has no such helper
				}
				f.Summary = fmt.Sprintf("%s cannot load its eBPF programs into the kernel of its node: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Compare the node's kernel with what this version needs: update the kernel, use a version for this one, or turn off what uses eBPF"
			case strings.Contains(t, "crngt"):
				f.Summary = fmt.Sprintf("%s refuses its node's random numbers (%s): the CPU or the virtual machine repeats them", c.Who(), quote(h.Text))
				f.Advice = "Move it to another node, and update the hypervisor or the CPU's microcode on this one"
				f.Weight = 90
			case strings.Contains(t, "failed to create new os thread") || strings.Contains(t, "pthread_create") || strings.Contains(t, "fork: ") || strings.Contains(t, "clone"):
				f.Summary = fmt.Sprintf("%s may not start a thread or process: its node's container runtime forbids a system call that the image needs (%s)", c.Who(), inSentence(h, 120))
				f.Advice = "Update the node's container runtime (runc, containerd, CRI-O) and libseccomp: older seccomp profiles refuse clone3"
				f.Weight = 90
			}
			if strings.Contains(t, "max_map_count") || strings.Contains(t, "max virtual memory") {
				f.Confidence = diagnose.Certain
				f.Advice = "Set vm.max_map_count to 262144 or more on the nodes"
				f.Fixes = append([]diagnose.Fix{{Title: "Set it on the node", Command: "sysctl -w vm.max_map_count=262144"}}, f.Fixes...)
			}
			if n := c.Node(); n != nil {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Node " + n.Name + " status.nodeInfo", Text: "kernel " + n.Status.NodeInfo.KernelVersion + ", " + n.Status.NodeInfo.Architecture})
			}
			return []diagnose.Finding{f}
		},
	}
}

// hostWords are what programs say of kernel settings and devices that only the machine can give.
func hostWords() []diagnose.Pattern {
	return []diagnose.Pattern{{Name: "pipe", Words: []string{"the system cannot find the file specified"}, Regexp: `(?i)open [\\/]+\.[\\/]+pipe[\\/]+(?P<pipe>[\w.-]+): The system cannot find the file specified`}, {Words: []string{"aio-max-nr", "async i/o", "cuda", "nvidia", "no gpu", "hip error", "compute capability", "numa", "/dev/kvm", "/dev/dri", "/dev/net/tun", "/dev/fuse", "illegal instruction", "fs.file-max", "overcommit_memory", "io_setup", "on gpu", "/dev/tty", "/dev/serial", "/dev/video", "/dev/snd", "/dev/apex", "/dev/bus/usb", "/dev/nvidia", "kernel does not", "kernel doesn't", "your kernel", "this kernel", "infer device type"}, Regexp: `(?i)aio-max-nr|could not setup async i/o|io_setup.{0,40}(?:EAGAIN|fail)|no CUDA[- ](?:capable device|GPUs are available)|CUDA driver version is insufficient|(?:no|found no) nvidia driver|driver on your system is too old|no kernel image is available for execution|CUDA initialization:.{0,80}(?:unexpected|fail|error|no )|is only supported on GPUs with compute capability|kernel (?:does not|doesn't) (?:support|have|provide)|not supported by (?:the|your|this|the host's) kernel|failed to infer device type|only (?:available|supported) on (?:a )?GPU|compute capability.{0,80}(?:at least|required|not (?:supported|compatible))|libcuda\.so\S*: cannot open|(?:cannot|can't|could not|unable to|failed to) open ['"]?/dev/(?:kvm|dri|net/tun|fuse|tty(?:ACM|USB|AMA|S)\d|serial|video\d|snd|apex|bus/usb|nvidia)\S*`}}
}

// ofPostgres says that a bus error is of PostgreSQL's own processes.
func ofPostgres(h diagnose.Hit) bool {
	for n := h.Line; n > 0 && n > h.Line-40; n-- {
		line := strings.ToLower(h.Log.Line(n))
		if strings.Contains(line, "bin/postgres") || strings.Contains(line, "selecting default shared_buffers") || strings.Contains(line, "initdb:") {
			return true
		}
	}
	return false
}
