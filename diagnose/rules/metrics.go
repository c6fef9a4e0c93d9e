package rules

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"crashloop/diagnose"
)

// citeMemory is what metrics-server says of the container's memory against its limit.
func citeMemory(c *diagnose.Case, limit resource.Quantity) []diagnose.Evidence {
	u, ok := c.Usage()
	if !ok || u.Memory.IsZero() {
		return nil
	}
	return []diagnose.Evidence{c.CiteUsage(u, corev1.ResourceMemory, limit)}
}

// citeCPU is what metrics-server says of the container's CPU against its limit, and whether it uses most of it. It is empty where there is no
// limit, or no measurement.
func citeCPU(c *diagnose.Case) (cited []diagnose.Evidence, used resource.Quantity, atLimit bool) {
	limit, has := c.Container.Resources.Limits[corev1.ResourceCPU]
	u, ok := c.Usage()
	if !has || !ok || u.CPU.IsZero() {
		return nil, resource.Quantity{}, false
	}
	return []diagnose.Evidence{c.CiteUsage(u, corev1.ResourceCPU, limit)}, u.CPU, u.CPU.MilliValue()*10 >= limit.MilliValue()*8
}

// maxNeighbours bounds how many pods are asked for: each is a call to the API server.
const maxNeighbours = 10

// neighbours is the most memory that other pods of the same template use of a container that runs and has not been killed for it.
func neighbours(c *diagnose.Case) (most resource.Quantity, pods int) {
	asked := 0
	for _, p := range c.Replicas() {
		for i := range p.Status.ContainerStatuses {
			s := &p.Status.ContainerStatuses[i]
			if s.Name != c.Subject.Container || s.State.Running == nil || s.LastTerminationState.Terminated != nil {
				continue
			}
			if asked++; asked > maxNeighbours {
				return most, pods
			}
			if u, ok := c.UsageOf(p.Namespace, p.Name, s.Name); ok && !u.Memory.IsZero() {
				pods++
				if u.Memory.Cmp(most) > 0 {
					most = u.Memory
				}
			}
		}
	}
	return most, pods
}

// killedForMemory says that a run ended that way.
func killedForMemory(t *corev1.ContainerStateTerminated) bool { return t.Reason == "OOMKilled" }

// killedByProbe says that a run can have ended by a kill of the kubelet, which it answered or not.
func killedByProbe(t *corev1.ContainerStateTerminated) bool {
	return t.Reason != "OOMKilled" && (t.ExitCode == 137 || t.ExitCode == 143 || t.ExitCode == 0 || t.ExitCode == 2 || t.ExitCode == 130)
}

// afterStart says when the runs ended: "3s after it starts", "3s to 5s after it starts (2 runs)"; empty when not known.
func afterStart(l diagnose.Lives) string {
	switch l.Count {
	case 0:
		return ""
	case 1:
		return l.Range() + " after it starts"
	}
	return fmt.Sprintf("%s after it starts (%d runs)", l.Range(), l.Count)
}

// mebibytes reads a number with a unit as JVMs and Node.js take it, in bytes; 0 when it is none or too large to be meant.
func mebibytes(number, unit string) int64 {
	n, err := strconv.ParseInt(number, 10, 40)
	if err != nil {
		return 0
	}
	switch unit {
	case "k", "K":
		n <<= 10
	case "m", "M":
		n <<= 20
	case "g", "G":
		n <<= 30
	}
	if n > 1<<44 {
		return 0
	}
	return n
}

// writeBytes writes a number of bytes as a person would.
func writeBytes(n int64) string { return diagnose.Bytes(*resource.NewQuantity(n, resource.BinarySI)) }
