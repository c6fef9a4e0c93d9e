package rules

import (
	"fmt"

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
			if t == nil || t.ExitCode != 143 && t.ExitCode != 130 || t.Reason == "OOMKilled" {
				return nil
			}
			p := probeKilled(c)
			if p.killed || p.likely || stopped(c) {
				return nil
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
