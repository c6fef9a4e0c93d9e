package rules

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func nodeBadNode() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.bad-node", Category: "node", Title: "Only the replicas on one node crash",
		Doc: diagnose.Doc{
			Means:   "The same template runs well on other nodes and crashes on this one: something is wrong with the node - a disk, the network, the runtime, a driver.",
			Confirm: "`kubectl get pods -o wide -l SELECTOR`: those that crash share a node. `kubectl describe node NODE` shows its conditions.",
			Mend:    "`kubectl cordon NODE`, delete the pods there so that they start elsewhere, and then look into the node.",
			Source:  "kubernetes.io/docs/tasks/administer-cluster/safely-drain-node",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			node := c.Spec.NodeName
			if node == "" || c.Pod == nil || c.Subject.Kind() == "Pod" {
				return nil
			}
			good, bad, here := 0, 1, 1
			otherNodes := map[string]bool{}
			for _, p := range c.Siblings() {
				if p.DeletionTimestamp != nil || p.Spec.NodeName == "" {
					continue
				}
				crashes := false
				for _, s := range p.Status.ContainerStatuses {
					crashes = crashes || s.Name == c.Subject.Container && (s.RestartCount > 1 || !s.Ready && s.State.Running == nil)
				}
				switch {
				case crashes && p.Spec.NodeName == node:
					bad++
					here++
				case crashes:
					return nil // it crashes elsewhere too
				case p.Spec.NodeName == node:
					return nil // another one is well here
				default:
					good++
					otherNodes[p.Spec.NodeName] = true
				}
			}
			if good < 2 || len(otherNodes) < 2 {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Messenger, Weight: 80, Root: "Node//" + node}
			if bad == 1 {
				f.Weight, f.Confidence = 20, diagnose.Possible
			}
			f.Summary = fmt.Sprintf("%s crashes only on node %s (%d of %d pods); %d others run well on %d other nodes", c.Who(), node, here, good+bad, good, len(otherNodes))
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "is the only node on which it crashes"}}
			if n := c.Node(); n != nil {
				for _, cond := range n.Status.Conditions {
					if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue || cond.Type != corev1.NodeReady && cond.Status == corev1.ConditionTrue {
						f.Weight += 60
						f.Confidence = diagnose.Likely
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Node " + node + " status.conditions[" + string(cond.Type) + "]", Text: string(cond.Status) + ": " + cond.Message})
					}
				}
			}
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "pods of " + c.Subject.Workload, Text: fmt.Sprintf("%d crash on %s, %d run on %d other nodes", bad, node, good, len(otherNodes))})
			f.Advice = "Take the node out of use and let the pod start elsewhere"
			f.Settle = "Whether it runs on another node."
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "Put no more pods on the node", Command: "kubectl cordon " + node}, {Title: "Let the pod start elsewhere", Command: c.Kubectl("delete", "pod", c.Subject.Pod)}}
			return []diagnose.Finding{f}
		},
	}
}

func nodeNotReady() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.not-ready", Category: "node", Title: "Its node went away or was restarted",
		Doc: diagnose.Doc{
			Means:   "The container ended because its node rebooted, lost its kubelet or the network, not because of the program: the kubelet found it gone (exit code 255, reason Unknown or ContainerStatusUnknown).",
			Confirm: "`kubectl describe node NODE`: conditions, and the events NodeNotReady and Rebooted; `kubectl get pod POD -o yaml` shows reason Unknown.",
			Mend:    "Find out why the node goes away: its own log, its cloud's events, memory pressure.",
			Source:  "kubernetes.io/docs/concepts/architecture/nodes; k8s.io/kubernetes/pkg/kubelet (ContainerStatusUnknown)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if c.Pod == nil || c.Spec.NodeName == "" {
				return nil
			}
			node := c.Spec.NodeName
			lost := c.Pod.Status.Reason == "NodeLost" || t != nil && (t.Reason == "ContainerStatusUnknown" || t.Reason == "Unknown")
			var proof []diagnose.Evidence
			for _, e := range c.EventsOf("Node", "", node) {
				if (e.Reason == "NodeNotReady" || e.Reason == "Rebooted" || e.Reason == "Starting") && (t == nil || near(e, t)) {
					proof = append(proof, e.Cite())
				}
			}
			for _, e := range c.Events() {
				if e.Reason == "NodeNotReady" {
					proof = append(proof, e.Cite())
				}
			}
			down := false
			if n := c.Node(); n != nil {
				for _, cond := range n.Status.Conditions {
					if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue {
						down = true
						proof = append(proof, diagnose.Evidence{Source: "Node " + node + " status.conditions[Ready]", Text: string(cond.Status) + ": " + cond.Message})
					}
				}
			}
			if !lost && !(t != nil && t.ExitCode == 255 && len(proof) > 0) {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Structural, Root: "Node//" + node, Evidence: append(c.CiteLast(), proof...)}
			if len(proof) > 0 {
				f.Confidence = diagnose.Certain
			}
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "went away or was restarted"}}
			f.Summary = fmt.Sprintf("%s ended because its node %s went away or was restarted", c.Who(), node)
			if down {
				f.Summary = fmt.Sprintf("%s ended because its node %s is not ready", c.Who(), node)
			}
			f.Advice = "Find out why the node goes away; the program is not at fault"
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "See the node's conditions and events", Command: "kubectl describe node " + node}}
			return []diagnose.Finding{f}
		},
	}
}

func nodeSandboxFailed() diagnose.Rule {
	re := regexp.MustCompile(`(?is)failed to create pod sandbox|failed to (?:set ?up|create) (?:network for )?sandbox|networkPlugin cni failed|sandbox`)
	return diagnose.Rule{
		ID: "node.sandbox-failed", Category: "node", Title: "The node cannot make the pod's sandbox",
		Doc: diagnose.Doc{
			Means:   "Before any container starts, the node sets up the pod's network and cgroups, and that fails: the network plugin is not running or has an error, or the runtime or kernel refuses.",
			Confirm: "`kubectl describe pod POD`: FailedCreatePodSandBox quotes the runtime; `kubectl get pods -n kube-system -o wide` shows the network plugin's pods on that node.",
			Mend:    "Mend the network plugin on the node; restart its pod there; if only one node is affected, cordon it.",
			Source:  "kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			for _, s := range statements(c) {
				if s.reason != "FailedCreatePodSandBox" && s.reason != "FailedPodSandBoxStatus" {
					continue
				}
				if !re.MatchString(s.text) && s.reason != "FailedCreatePodSandBox" || exhausted(s.text) {
					continue
				}
				f := fromStatement(s)
				t := strings.ToLower(s.text)
				why, advice := "the runtime refuses it", "Read the runtime's message"
				switch {
				case strings.Contains(t, "no space left on device") || strings.Contains(t, "oom"):
					f.Weight = -10
					why, advice = "there is no memory or space for it", "Check the pod's memory limit and the node's disk"
				case strings.Contains(t, "cni config uninitialized") || strings.Contains(t, "no networks found") || strings.Contains(t, "no such file or directory") && strings.Contains(t, "cni"):
					why, advice = "no network plugin is set up on the node", "See that the network plugin's DaemonSet runs on that node"
				case strings.Contains(t, "cni") || strings.Contains(t, "network"):
					why, advice = "its network cannot be set up", "Look at the network plugin's pod on that node"
				case strings.Contains(t, "cgroup"):
					why, advice = "its cgroup cannot be set up", "See that kubelet and runtime use the same cgroup driver"
				case strings.Contains(t, "runtimeclass") || strings.Contains(t, "runtime handler") || strings.Contains(t, "no runtime for"):
					why, advice = "the node does not have the runtime that its RuntimeClass names", "Correct runtimeClassName, or install that runtime on the node"
				case strings.Contains(t, "pause") || strings.Contains(t, "pull"):
					why, advice = "the node cannot pull the sandbox's image", "See that the node reaches the registry of its pause image"
				}
				f.Summary = fmt.Sprintf("%s cannot start: node %s cannot make its sandbox, because %s: %s", c.Who(), firstOf(c.Spec.NodeName, "its node"), why, shorten(lastColon(s.text), 160))
				f.Advice = advice
				if c.Spec.NodeName != "" {
					f.Root = "Node//" + c.Spec.NodeName
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "cannot make the pod's sandbox"}}
				}
				f.Unchanged = true
				f.Evidence = append(f.Evidence, pluginPods(c)...)
				f.Fixes = []diagnose.Fix{{Title: "See the network plugin's pods on that node", Command: "kubectl -n kube-system get pods -o wide --field-selector spec.nodeName=" + c.Spec.NodeName}}
				return []diagnose.Finding{f}
			}
			return nil
		},
	}
}

// lastColon keeps the end of a long chain of wrapped errors.
func lastColon(s string) string {
	parts := strings.Split(strings.TrimSpace(s), ": ")
	if len(parts) > 3 {
		parts = parts[len(parts)-3:]
	}
	return strings.Join(parts, ": ")
}

// exhausted says that a text tells of addresses that have run out.
func exhausted(text string) bool {
	t := strings.ToLower(text)
	for _, w := range []string{"failed to assign an ip address", "no ip addresses available", "no available ip", "no addresses available", "no more ips", "range set: ", "insufficientfreeaddresses", "ip address pool", "ipam: no", "no free ip", "address pool exhausted", "ip exhaust", "no ips available", "exhausted", "no configured calico pools"} {
		if strings.Contains(t, w) {
			return true
		}
	}
	return false
}

// pluginPods says how the network plugin's pods on the subject's node are, when one of them is not well.
func pluginPods(c *diagnose.Case) []diagnose.Evidence {
	var out []diagnose.Evidence
	objects, _ := c.List(diagnose.Pods, "kube-system")
	for _, o := range objects {
		p, ok := o.(*corev1.Pod)
		if !ok || p.Spec.NodeName != c.Spec.NodeName || c.Spec.NodeName == "" {
			continue
		}
		for _, w := range []string{"aws-node", "calico", "cilium", "flannel", "weave", "kube-proxy", "azure-cni", "antrea", "canal", "kindnet", "ovn"} {
			if strings.Contains(p.Name, w) {
				ready := false
				for _, cond := range p.Status.Conditions {
					ready = ready || cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue
				}
				if !ready {
					out = append(out, diagnose.Evidence{Source: "pod kube-system/" + p.Name, Text: "is not ready on the same node"})
				}
			}
		}
	}
	return out
}

func nodeHostIncompatible() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.host-incompatible", Category: "node", Title: "The node's kernel or its settings do not suit the program",
		Doc: diagnose.Doc{
			Means:   "The program needs something of the kernel that this node does not give: a setting such as vm.max_map_count, locked memory, huge pages, a newer kernel, a cgroup version, a system call that seccomp forbids.",
			Confirm: "`kubectl logs POD --previous` names it; `kubectl get node NODE -o wide` shows kernel and runtime.",
			Mend:    "Change the setting on the nodes (sysctl, by a DaemonSet or the node's image), turn the need off in the program, or keep the pods on nodes that suit.",
			Source:  "Elasticsearch bootstrap checks, Go's wiki on mlock, PostgreSQL and huge pages, seccomp(2)",
		},
		Log: []diagnose.Pattern{{Words: []string{"vm.max_map_count", "max virtual memory areas", "bootstrap check failure", "failed to mlock", "mlock of signal stack failed", "memory locking", "rlimit_memlock", "kernel too old", "huge pages", "hugepages", "could not map anonymous shared memory", "unknown cgroup", "cgroup", "operation not permitted: seccomp", "bad system call", "sigsys", "max file descriptors", "glibc detected an invalid", "cannot allocate memory in static tls", "avx", "sse4", "cpu does not support", "requires a cpu", "unable to create thread: resource temporarily", "transparent huge", "failed to create locked", "memlock", "io_uring", "kernel version", "modprobe", "fatal: kernel", "x86-64-v", "somaxconn", "inotify_init"},
			Regexp: `(?i)vm\.max_map_count.{0,80}(?:too low|at least|increase|required)|max virtual memory areas|mlock of signal stack failed|failed to mlock|memory locking requested.{0,80}not locked|RLIMIT_MEMLOCK|FATAL: kernel too old|could not map anonymous shared memory|(?:huge ?pages?).{0,80}(?:not|fail|unable|cannot)|(?:unsupported|not supported|unknown|incompatible|no such).{0,60}cgroup|cgroup.{0,60}(?:not supported|unsupported|not mounted|no such file)|bad system call|SIGSYS|CPU does not support|requires? (?:a )?(?:CPU|kernel).{0,60}|does not support (?:AVX|SSE|x86-64-v\d)|(?:AVX2?|SSE4\.2).{0,60}(?:not|required|missing|unsupported)|x86-64-v\d|io_uring.{0,60}(?:not permitted|fail|ENOSYS|unsupported)|kernel version.{0,60}(?:not supported|too old|required|at least)|modprobe.{0,60}(?:not found|can't|FATAL)|max file descriptors \[\d+\].{0,60}too low|memlock`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return h.Level != diagnose.Info && h.Level != diagnose.Debug && h.Level != diagnose.Warn
			})
			if !ok {
				return nil
			}
			f.Weight = 25
			f.Keys = []string{"max_map_count", "mlock", "kernel", "cgroup", "huge"}
			t := strings.ToLower(h.Text)
			f.Summary = fmt.Sprintf("%s cannot run on its node: %s", c.Who(), shorten(strings.TrimSpace(h.Text), 180))
			f.Advice = "Change that setting on the node, or turn off in the program what needs it"
			f.Fixes = []diagnose.Fix{{Title: "See the node's kernel and runtime", Command: "kubectl get node " + firstOf(c.Spec.NodeName, "NODE") + " -o wide"}}
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

func nodeRuntimeError() diagnose.Rule {
	mine := regexp.MustCompile(`(?i)executable file not found|no such file or directory|permission denied|exec format error|no command specified|hostPath type|to rootfs`)
	return diagnose.Rule{
		ID: "node.runtime-error", Category: "node", Title: "The container runtime refuses to start the container",
		Doc: diagnose.Doc{
			Means:   "The runtime on the node cannot make or start the container, for a reason that is not its command: a cgroup, a seccomp or AppArmor profile that the node does not have, a device, a name that is still taken.",
			Confirm: "`kubectl describe pod POD`: CreateContainerError, RunContainerError or StartError quotes the runtime.",
			Mend:    "Give the node what is missing (the profile, the device), or take the demand out of the pod; a name conflict goes away when the old container is removed.",
			Source:  "The runtime's own messages (containerd, CRI-O, runc)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var s *statement
			for _, x := range statements(c) {
				switch x.reason {
				case "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun", "PreStartHookError", "PostStartHookError":
					if !mine.MatchString(x.text) && x.text != "" {
						s = &x
					}
				}
				if s != nil {
					break
				}
			}
			if s == nil {
				return nil
			}
			f := fromStatement(*s)
			f.Weight = -30
			t := strings.ToLower(s.text)
			why, advice := "the runtime refuses it", "Read the runtime's message"
			switch {
			case strings.Contains(t, "seccomp"):
				why, advice = "its seccomp profile is not on the node", "Put the profile on the node, or use RuntimeDefault"
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Use the runtime's own profile", Patch: containerPatch(c, "securityContext:\n  seccompProfile:\n    type: RuntimeDefault")})
			case strings.Contains(t, "apparmor"):
				why, advice = "its AppArmor profile is not loaded on the node", "Load the profile on the node, or use RuntimeDefault"
			case strings.Contains(t, "is reserved for") || strings.Contains(t, "already in use by container") || strings.Contains(t, "name conflict"):
				why, advice = "the runtime still holds the name of the container before it", "Wait for the old container to be removed; if it stays, restart the runtime on the node"
			case strings.Contains(t, "nvidia") || strings.Contains(t, "device"):
				why, advice = "a device that it asks for is not there", "See that the device plugin runs on the node"
			case strings.Contains(t, "cgroup"):
				why, advice = "its cgroup cannot be set up", "See that kubelet and runtime use the same cgroup driver, and check the container's limits"
			case strings.Contains(t, "context deadline exceeded") || strings.Contains(t, "timeout"):
				why, advice = "the runtime takes too long", "Look at the load of the node and at its runtime"
			case strings.Contains(t, "capset") || strings.Contains(t, "operation not permitted"):
				why, advice = "the kernel forbids it", "Look at its securityContext and at the node's security modules"
			case strings.Contains(t, "hook"):
				why, advice = "its lifecycle hook fails", "Correct the hook in the pod template"
			}
			f.Summary = fmt.Sprintf("%s cannot start on node %s, because %s: %s", c.Who(), firstOf(c.Spec.NodeName, "of its own"), why, shorten(lastColon(s.text), 160))
			f.Advice = advice
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Read all of the runtime's message", Command: c.Kubectl("describe", "pod", c.Subject.Pod)})
			return []diagnose.Finding{f}
		},
	}
}
