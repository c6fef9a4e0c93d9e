package rules

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

func nodeSandboxFailed() diagnose.Rule {
	// How a network plugin says that its own daemon on the node does not answer, or has not set the node up.
	pluginSilent := regexp.MustCompile(`(?i)connection refused|\.sock\b|no such file or directory|not initialized|uninitialized|unable to connect to \w+ agent|deadline exceeded|no networks found`)
	re := regexp.MustCompile(`(?is)failed to create pod sandbox|failed to (?:set ?up|create) (?:network for )?sandbox|networkPlugin cni failed|sandbox`)
	return diagnose.Rule{
		ID: "node.sandbox-failed", Category: "node", Title: "The node cannot make or keep the pod's sandbox",
		Doc: diagnose.Doc{
			Means:   "Before any container starts, the node sets up the pod's network and cgroups, and that fails: the network plugin is not running or has an error, or the runtime or kernel refuses. Or the sandbox is made and taken down again and again, together with containers that were well: most often the container runtime and the kubelet use different cgroup drivers.",
			Confirm: "`kubectl describe pod POD`: FailedCreatePodSandBox quotes the runtime; `kubectl get pods -n kube-system -o wide` shows the network plugin's pods on that node.",
			Mend:    "Mend the network plugin on the node; restart its pod there; if only one node is affected, cordon it.",
			Source:  "kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			for _, s := range statements(c) {
				if s.reason != "FailedCreatePodSandBox" && s.reason != "FailedPodSandBoxStatus" && s.reason != "FailedCreatePodContainer" && s.reason != "NetworkNotReady" {
					continue
				}
				if !re.MatchString(s.text) && s.reason == "FailedPodSandBoxStatus" || exhausted(s.text) {
					continue
				}
				f := fromStatement(s)
				t := strings.ToLower(s.text)
				why, advice := "the runtime refuses it", "Read the runtime's message"
				switch {
				case strings.Contains(t, "no space left on device") || strings.Contains(t, "oom"):
					f.Weight = -10
					why, advice = "there is no memory or space for it", "Check the pod's memory limit and the node's disk"
				case strings.Contains(t, "cni config uninitialized") || strings.Contains(t, "cni plugin not initialized") || strings.Contains(t, "no networks found") || strings.Contains(t, "no such file or directory") && strings.Contains(t, "cni"):
					why, advice = "no network plugin is set up on the node", "See that the network plugin's DaemonSet runs on that node"
				case strings.Contains(t, "cni") || strings.Contains(t, "network"):
					why, advice = "its network cannot be set up", "Look at the network plugin's pod on that node"
				case strings.Contains(t, "executable file not found"):
					why, advice = "the runtime that the node is set to use is not installed there", "Install it on the node, or take the RuntimeClass out of the pod"
				case strings.Contains(t, "permission denied") || strings.Contains(t, "operation not permitted"):
					why, advice = "the node's kernel or security modules forbid it", "Look at how the node itself is run: within another container or LXC it needs more rights, and AppArmor's profile there must allow this"
				case strings.Contains(t, "cgroup") || s.reason == "FailedCreatePodContainer":
					why, advice = "its cgroup cannot be set up", "See that kubelet and runtime use the same cgroup driver"
				case strings.Contains(t, "runtimeclass") || strings.Contains(t, "runtime handler") || strings.Contains(t, "no runtime for"):
					why, advice = "the node does not have the runtime that its RuntimeClass names", "Correct runtimeClassName, or install that runtime on the node"
				case strings.Contains(t, "pause") || strings.Contains(t, "pull"):
					why, advice = "the node cannot pull the sandbox's image", "See that the node reaches the registry of its pause image"
				}
				f.Summary = fmt.Sprintf("%s cannot start: node %s cannot make its sandbox, because %s: %s", c.Who(), firstOf(c.Spec.NodeName, "its node"), why, diagnose.Shorten(lastColon(s.text), 160))
				f.Advice = advice
				if c.Spec.NodeName != "" {
					f.Root = "Node//" + c.Spec.NodeName
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "cannot make the pod's sandbox"}}
				}
				if class := c.Spec.RuntimeClassName; class != nil && strings.Contains(t, "no runtime for") {
					f.Root = "RuntimeClass//" + *class
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "names a runtime that node " + firstOf(c.Spec.NodeName, "of the pod") + " does not have"}}
				}
				f.Unchanged = true
				unwell, workload := pluginPods(c)
				f.Evidence = append(f.Evidence, unwell...)
				if f.Root == "Node//"+c.Spec.NodeName && workload != "" && pluginSilent.MatchString(s.text) {
					f.Root = workload
					f.Chain = append(f.Chain, diagnose.Link{Object: workload, Says: "its pod on that node, which sets up the network, is not ready"})
				}
				f.Fixes = []diagnose.Fix{{Title: "Read all of the runtime's message", Command: c.Kubectl("describe", "pod", c.Subject.Pod)}}
				if strings.Contains(why, "network") {
					f.Fixes = []diagnose.Fix{{Title: "See the network plugin's pods on that node", Command: diagnose.Kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector=spec.nodeName="+c.Spec.NodeName)}}
				}
				return []diagnose.Finding{f}
			}
			return sandboxLost(c)
		},
	}
}

// sandboxLost is the finding of a pod whose sandbox is remade while nobody changes or deletes it, and whose containers are stopped each
// time. A sandbox that changed once or twice is a start that had to be repeated, or a node's reboot.
func sandboxLost(c *diagnose.Case) []diagnose.Finding {
	t := c.Last()
	if t == nil || c.Pod == nil || c.Pod.DeletionTimestamp != nil || t.ExitCode == 1 || t.Reason == "OOMKilled" || probeKilled(c).killed {
		return nil
	}
	changed, stops := int32(0), int32(0)
	var cited []diagnose.Evidence
	for _, e := range c.ContainerEvents() {
		switch {
		case e.Reason == "SandboxChanged":
			changed += e.Count
			cited = append(cited, e.Cite())
		case e.Reason == "Killing" && e.Has("stopping container"):
			stops += e.Count
			cited = append(cited, e.Cite())
		}
	}
	if changed < 3 || stops < 2 {
		return nil
	}
	node := firstOf(c.Spec.NodeName, "its node")
	f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Structural, Weight: 60, Evidence: append(cited, c.CiteLast()...), Unchanged: true}
	f.Summary = fmt.Sprintf("%s does not fail by itself: node %s took the pod's sandbox down %d times, and its containers with it", c.Who(), node, changed)
	f.Advice = "See that the container runtime and the kubelet on that node use the same cgroup driver (SystemdCgroup = true in containerd's configuration where the kubelet says systemd), then restart both"
	f.Settle = "The kubelet's and the runtime's logs on that node say why the sandbox is remade."
	if c.Spec.NodeName != "" {
		f.Root = "Node//" + c.Spec.NodeName
		f.Chain = []diagnose.Link{{Object: f.Root, Says: "takes the pod's sandbox down again and again"}}
		f.Fixes = []diagnose.Fix{{Title: "See whether other pods on that node restart too", Command: diagnose.Kubectl("", "get", "pods", "-A", "-o", "wide", "--field-selector=spec.nodeName="+c.Spec.NodeName)}}
	}
	return []diagnose.Finding{f}
}

// exhausted says that a text tells of addresses that have run out.
func exhausted(text string) bool {
	t := strings.ToLower(text)
	for _, w := range []string{"failed to assign an ip address", "no ip addresses available", "no available ip", "no addresses available", "no more ips", "range set: ", "insufficientfreeaddresses", "ip address pool", "ipam: no", "no free ip", "no available addresses", "no more free affine blocks", "range is full", "not enough ips available", "pool exhausted", "ip exhaust", "no ips available", "no configured calico pools"} {
		if strings.Contains(t, w) {
			return true
		}
	}
	return false
}

// pluginPods says how the network plugin's pods on the subject's node are, when one of them is not well, and whose that one is.
func pluginPods(c *diagnose.Case) (out []diagnose.Evidence, workload string) {
	for _, namespace := range []string{"kube-system", "calico-system", "kube-flannel", "cilium", "openshift-ovn-kubernetes", "tigera-operator"} {
		objects, _ := c.List(diagnose.Pods, namespace)
		for _, o := range objects {
			p, ok := o.(*corev1.Pod)
			if !ok || p.Spec.NodeName != c.Spec.NodeName || c.Spec.NodeName == "" || p.Name == c.Subject.Pod {
				continue
			}
			for _, w := range []string{"aws-node", "calico-node", "cilium", "flannel", "weave", "kube-proxy", "azure-cni", "antrea", "canal", "kindnet", "ovn"} {
				if strings.HasPrefix(strings.TrimPrefix(p.Name, "kube-"), strings.TrimPrefix(w, "kube-")) && !diagnose.PodReady(p) {
					out = append(out, diagnose.Evidence{Source: "pod " + namespace + "/" + p.Name, Text: "is not ready on the same node"})
					if owner := metav1.GetControllerOf(p); owner != nil && owner.Kind == "DaemonSet" && w != "kube-proxy" {
						workload = "DaemonSet/" + namespace + "/" + owner.Name
					}
				}
			}
		}
	}
	return out, workload
}
