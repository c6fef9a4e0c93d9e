package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func nodeRuntimeError() diagnose.Rule {
	mine := regexp.MustCompile(`(?i)executable file not found|no such file or directory|permission denied|exec format error|no command specified|hostPath type|to rootfs`)
	// What the node lacks is missing by the same words as a command is.
	nodes := regexp.MustCompile(`(?i)seccomp|apparmor|cgroup|nvidia-container-cli|gathering device information|unable to retrieve OCI runtime error|exec: \\?"(?:\S*/)?(?:nvidia-container-runtime\S*|runc|crun|runsc|kata-runtime|youki|containerd-shim\S*)\\?": executable file`)
	// What the kubelet says when it has not mounted what the pod names.
	gone := regexp.MustCompile(`(?i)cannot find volume \\?"[^"]+" to mount into container`)
	return diagnose.Rule{
		ID: "node.runtime-error", Category: "node", Title: "The container runtime refuses to start the container",
		Doc: diagnose.Doc{
			Means:   "The runtime on the node cannot make or start the container, for a reason that is not its command: a cgroup, a seccomp or AppArmor profile that the node does not have, a device, a name that is still taken.",
			Confirm: "`kubectl describe pod POD`: CreateContainerError, RunContainerError or StartError quotes the runtime.",
			Mend:    "Give the node what is missing (the profile, the device), or take the demand out of the pod; a name conflict goes away when the old container is removed.",
			Source:  "The runtime's own messages (containerd, CRI-O, runc)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var s, other *statement
			for _, x := range statements(c) {
				switch x.reason {
				case "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun", "PreStartHookError", "FailedPrepareDynamicResources":
					if x.text == "" {
						continue
					}
					if nodes.MatchString(x.text) || !mine.MatchString(x.text) {
						s = &x
					} else if other == nil {
						other = &x
					}
				}
				if s != nil {
					break
				}
			}
			weight := -30
			if s == nil {
				for _, x := range statements(c) {
					if gone.MatchString(x.text) {
						s = &x
						break
					}
				}
			}
			if s == nil {
				s, weight = other, -200 // most likely another rule's, and still better than nothing when none knows it
			}
			if s == nil {
				return nil
			}
			f := fromStatement(*s)
			if f.Weight = weight; s == other {
				f.Confidence = diagnose.Likely
			}
			t := strings.ToLower(s.text)
			why, advice := "the runtime refuses it", "Read the runtime's message"
			switch {
			case s.reason == "FailedPrepareDynamicResources":
				why, advice = "a device that its ResourceClaim was given cannot be prepared there", "Look at the DRA driver's pod on that node, and its log"
			case gone.MatchString(s.text):
				why, advice = "the kubelet has not mounted one of its volumes there, as happens when the pod is being deleted or its token does not exist any more", "See whether something deletes the pod again and again; else delete it, so that it is made anew"
			case strings.Contains(t, "seccomp"):
				why, advice = "its seccomp profile is not on the node", "Put the profile on the node, or use RuntimeDefault"
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Use the runtime's own profile", Patch: containerPatch(c, "securityContext:\n  seccompProfile:\n    type: RuntimeDefault")})
			case strings.Contains(t, "apparmor"):
				why, advice = "its AppArmor profile is not loaded on the node", "Load the profile on the node, or use RuntimeDefault"
			case strings.Contains(t, "unable to retrieve oci runtime error") || strings.Contains(t, "executable file not found"):
				why, advice = "the runtime that the node is set to use is not installed there", "Install the runtime on the node, or take the RuntimeClass out of the pod"
			case strings.Contains(t, "is reserved for") || strings.Contains(t, "already in use by container") || strings.Contains(t, "name conflict"):
				why, advice = "the runtime still holds the name of the container before it", "Wait for the old container to be removed; if it stays, restart the runtime on the node"
			case strings.Contains(t, "cgroup"):
				why, advice = "its cgroup cannot be set up", "See that kubelet and runtime use the same cgroup driver, and check the container's limits"
			case strings.Contains(t, "nvidia") || strings.Contains(t, "device"):
				why, advice = "a device that it asks for is not there", "See that the device plugin runs on the node"
			case strings.Contains(t, "context deadline exceeded") || strings.Contains(t, "timeout"):
				why, advice = "the runtime takes too long", "Look at the load of the node and at its runtime"
			case strings.Contains(t, "capset") || strings.Contains(t, "operation not permitted"):
				why, advice = "the kernel forbids it", "Look at its securityContext and at the node's security modules"
			case strings.Contains(t, "to rootfs"):
				why, advice = "something that it mounts does not fit what the image has at that path", "Look at what the image has there: a file where a directory is mounted, a symbolic link, or the other way round"
			case strings.Contains(t, "no users found") || strings.Contains(t, "unable to find user") || strings.Contains(t, "unable to find group") || strings.Contains(t, "no matching entries in"):
				why, advice = "the image does not have the user that it should run as", "Name the user by its number (USER 1000 in the image, or runAsUser), or add it to the image's /etc/passwd"
			case strings.Contains(t, "hook"):
				why, advice = "its lifecycle hook fails", "Correct the hook in the pod template"
			}
			f.Summary = fmt.Sprintf("%s cannot start on node %s, because %s: %s", c.Who(), firstOf(c.Spec.NodeName, "of its own"), why, diagnose.Shorten(lastColon(s.text), 160))
			f.Advice = advice
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Read all of the runtime's message", Command: c.Kubectl("describe", "pod", c.Subject.Pod)})
			return []diagnose.Finding{f}
		},
	}
}
