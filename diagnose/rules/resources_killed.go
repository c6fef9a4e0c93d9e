package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func resourcesKilled() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.killed", Category: "resource-limits", Title: "Something killed it, and no proof says what",
		Doc: diagnose.Doc{
			Means:   "The container ended with exit code 137: something sent it SIGKILL. Kubernetes gives no reason: no OOMKilled, no failed probe, no eviction. Often it is a child of the program that ran out of memory in a way that the kubelet does not see, a supervisor inside the container, or a program that did not end within its grace period.",
			Confirm: "`kubectl describe pod POD` shows exit code 137 with reason Error. On the node, `dmesg -T | grep -i 'killed process'` tells whether it was the kernel.",
			Mend:    "Find who sends the signal before changing limits: the node's kernel log, a supervisor or `kill -9` in the image's scripts, a preStop hook that takes too long.",
			Source:  "signal(7); kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle (termination)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil || t.ExitCode != 137 || t.Reason == "OOMKilled" || c.OwnCode() {
				return nil
			}
			if _, ok := hookFailed(c); ok {
				return nil
			}
			p := probeKilled(c)
			if p.killed || stopped(c) {
				return nil
			}
			f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Hint, Weight: 60, Evidence: c.CiteLast()}
			ruled := []string{"no reason OOMKilled", "no eviction"}
			if len(c.Events()) > 0 {
				ruled = append(ruled, "no probe that failed")
			}
			if len(events(c, "Killing")) > 0 {
				e := events(c, "Killing")
				f.Evidence = append(f.Evidence, e[len(e)-1].Cite())
			}
			f.Summary = fmt.Sprintf("%s is killed with SIGKILL (exit code 137), and the cluster does not say by whom: there is %s", c.Who(), strings.Join(ruled, ", "))
			f.Advice = "Look into the kernel log of its node before raising any limit"
			if limit, ok := memoryLimit(c); ok {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
			}
			if node := c.Spec.NodeName; node != "" {
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See whether the node's kernel killed it", Command: diagnose.Kubectl("", "debug", "node/"+node, "-it", "--image=busybox", "--", "chroot", "/host", "dmesg", "-T")})
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Read the log of the run that was killed", Command: previousLog(c)})
			return []diagnose.Finding{f}
		},
	}
}
