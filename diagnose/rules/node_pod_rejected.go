package rules

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func nodePodRejected() diagnose.Rule {
	device := regexp.MustCompile(`(?i)cannot allocate (?:unhealthy|unregistered) devices? (?P<device>[\w./-]+\w)|devices unavailable for (?P<wanted>[\w./-]+\w)`)
	room := regexp.MustCompile(`enough resource: (?P<resource>\S+), requested: (?P<asked>\d+), used: (?P<used>\d+), capacity: (?P<capacity>\d+)`)
	return diagnose.Rule{
		ID: "node.pod-rejected", Category: "node", Title: "The node that it was given to refuses the pod",
		Doc: diagnose.Doc{
			Means:   "The pod has a node, but the kubelet there does not admit it and marks it Failed: a device plugin has no healthy device, the node has no room or no free host port, it no longer has the labels that the pod asks for, or it cannot align the CPUs. The scheduler did not know, or spec.nodeName went past it.",
			Confirm: "`kubectl get pod POD -o jsonpath='{.status.reason}: {.status.message}'`: UnexpectedAdmissionError, OutOfcpu, NodeAffinity, TopologyAffinityError and the like. Such a pod never had a container.",
			Mend:    "Mend what the node lacks (the device plugin on it, its labels, its room), or give the pod to another node; then delete the failed pods. They are never started again.",
			Source:  "k8s.io/kubernetes/pkg/kubelet/lifecycle (predicates), pkg/kubelet/cm (device, CPU and topology managers)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := c.Pod
			if p == nil || !diagnose.Rejected(p.Status.Phase, p.Status.Reason, p.Status.Message) {
				return nil
			}
			node := p.Spec.NodeName
			text := strings.TrimPrefix(p.Status.Message, "Pod was rejected: ")
			f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Unchanged: true,
				Evidence: []diagnose.Evidence{{Source: "status", Text: p.Status.Reason + ": " + p.Status.Message}}}
			why, advice := refusal(p, text, groups(device, text), groups(room, text))
			f.Summary = fmt.Sprintf("%s cannot run: node %s refuses its pod, because %s", c.Who(), firstOf(node, "that it was given to"), why)
			f.Advice = advice
			if node != "" {
				f.Root = "Node//" + node
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "refuses the pod: " + p.Status.Reason}}
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See what the node has and what is on it", Command: diagnose.Kubectl("", "describe", "node", node)})
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "When that is mended, remove the refused pod", Command: c.Kubectl("delete", "pod", p.Name)})
			return []diagnose.Finding{f}
		},
	}
}

// refusal puts into words why a node refuses a pod, and what to do.
func refusal(p *corev1.Pod, text string, device, room map[string]string) (why, advice string) {
	switch reason := p.Status.Reason; {
	case room != nil:
		r := room["resource"]
		unit := ""
		if r == "cpu" {
			unit = "m"
		}
		return fmt.Sprintf("it has not enough %s left: %s%s asked, %s%s of %s%s in use", r, room["asked"], unit, room["used"], unit, room["capacity"], unit),
			"Ask for less or make room on the node; leave out spec.nodeName, so that the scheduler finds one that fits"
	case device != nil:
		return fmt.Sprintf("no healthy device %s is free there", firstOf(device["device"], device["wanted"])),
			"See that the device plugin runs on that node and reports its devices as healthy"
	case strings.HasPrefix(text, "Allocate failed") || strings.HasPrefix(text, "Pod Allocate failed"):
		return "a device or CPU cannot be given to it: " + diagnose.Shorten(text, 160), "Look at the device plugin's pod on that node, and its log"
	case reason == "NodeAffinity" || reason == "MatchNodeSelector":
		return "it has not, or no longer, the labels that the pod's nodeSelector or affinity asks for", "Compare the node's labels with the pod's nodeSelector and affinity"
	case reason == "NodePorts" || reason == "PodFitsHostPorts":
		return "a hostPort of the pod is taken there", "Give the pod another hostPort, or have the other pod leave the node"
	case reason == "TaintToleration":
		return "it has a taint that the pod does not tolerate", "Add the toleration, or take the taint away"
	case reason == "TopologyAffinityError" || reason == "SMTAlignmentError":
		return "its CPUs, memory and devices cannot be given from one place as its topology policy demands: " + diagnose.Shorten(text, 120), "Ask for less, or relax the node's topologyManagerPolicy or CPU manager options"
	case reason == "SysctlForbidden":
		return "it does not allow a sysctl of the pod: " + diagnose.Shorten(text, 160), "Allow the sysctl with the kubelet's --allowed-unsafe-sysctls, or take it out of the pod"
	case reason == "VolumeAttachmentLimitExceeded":
		return "it has as many volumes attached as it may", "Give the pod to another node, or detach volumes from this one"
	}
	return diagnose.Shorten(text, 200), "Read the kubelet's message; give the node what it lacks, or the pod to another node"
}
