package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func appTerminated() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.terminated", Category: "app-error", Title: "Something told it to stop",
		Doc: diagnose.Doc{
			Means:   "The program ended because of SIGTERM (exit code 143) or SIGINT (130), and it was neither a failed probe nor an eviction nor a rollout. Something inside the container sends the signal: a supervisor, a wrapper script, a timeout, a parent process that ends.",
			Confirm: "`kubectl describe pod POD` shows exit code 143 or 130 without Killing or Unhealthy events.",
			Mend:    "See what in the image's start scripts may stop it: `timeout`, `kill`, a supervisor's policy, a health check of its own. A program that ends well on SIGTERM is no crash.",
			Source:  "signal(7); bash(1), exit status 128+n",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil || t.Reason == "OOMKilled" || c.OwnCode() || t.ExitCode != 143 && t.ExitCode != 130 && (t.ExitCode != 0 || c.Pod == nil) {
				return nil
			}
			if _, ok := hookFailed(c); ok {
				return nil
			}
			p := probeKilled(c)
			if p.killed || p.likely || stopped(c) {
				return nil
			}
			if t.ExitCode == 0 {
				n := toldToStop(c)
				if n == 0 || c.Subject.ContainerType == diagnose.Init {
					return nil
				}
				l := c.Log()
				f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Corroborated, Log: l, At: n, Span: n, Evidence: append([]diagnose.Evidence{l.Cite(n)}, c.CiteLast()...)}
				f.Summary = fmt.Sprintf("%s is told to stop and does so in good order (exit code 0)", c.Who())
				if d := c.Ran(); d > 0 {
					f.Summary += " after " + diagnose.Duration(d)
				}
				f.Advice = "Look for what sends it the signal"
				if c.Container.LivenessProbe != nil {
					f.Advice += ": most likely the kubelet, when the liveness probe fails; its events are gone or cannot be read"
				} else {
					f.Advice += ": a supervisor or script in the container, or a runtime on the node that takes the pod down"
				}
				f.Fixes = []diagnose.Fix{{Title: "Watch for Killing and Unhealthy events at its next end", Command: c.Kubectl("describe", "pod", c.Subject.Pod)}}
				return []diagnose.Finding{f}
			}
			f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Hint, Weight: 50, Evidence: c.CiteLast()}
			signal := "SIGTERM"
			if t.ExitCode == 130 {
				signal = "SIGINT"
			}
			f.Summary = fmt.Sprintf("%s is told to stop by %s (exit code %d), and neither a probe nor an eviction nor a rollout did it", c.Who(), signal, t.ExitCode)
			f.Advice = "Look for what sends the signal inside the container: a supervisor, a timeout, a start script"
			f.Fixes = []diagnose.Fix{{Title: "Read the log of the run that was stopped", Command: previousLog(c)}}
			return []diagnose.Finding{f}
		},
	}
}

// toldToStop returns the line near the end of the log in which the program says that it was sent a signal to end, 0 when there is none.
func toldToStop(c *diagnose.Case) int {
	l := c.Log()
	for n := l.Len(); n > 0 && n > l.Len()-25; n-- {
		line := strings.ToLower(l.Line(n))
		if !strings.Contains(line, "sig") && !strings.Contains(line, "terminat") {
			continue
		}
		for _, w := range []string{
			"received signal terminated", "received signal \"terminated", "received sigterm", "caught sigterm", "caught signal (sigterm)", "caught signal sigterm", "sigterm received", "received sigint/sigterm", "got sigterm", "got signal terminated", "received signal 15", "signal 15 received", "signal sigterm", "(sigterm)",
			"received terminate", "received signal: terminated", "signal=terminated", `signal":"terminated`, `signal": "terminated`, "signal=sigterm", "signal=\"terminated", "signal \"terminated", "received termination signal", "sigterm: ", "signal=15", "sigquit received", "received sigquit", "sigwinch", "signal 3 (sigquit)", "termination signal",
		} {
			if strings.Contains(line, w) {
				return n
			}
		}
	}
	return 0
}
