package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func probeExecFailed() diagnose.Rule {
	missing := regexp.MustCompile(`(?i)executable file not found|no such file or directory|not found|permission denied`)
	// The command itself is missing, rather than what it looks for, which a program that starts has yet to make.
	noCommand := regexp.MustCompile(`(?i)executable file|(?:^|: )(?:command )?not found|permission denied|exec: .*no such file or directory`)
	return diagnose.Rule{
		ID: "probe.exec-failed", Category: "liveness-probe", Title: "The command of the liveness probe fails",
		Doc: diagnose.Doc{
			Means:   "The probe runs a command in the container, and the command ends with an error: it does not exist in the image, or what it looks for is not there.",
			Confirm: "`kubectl describe pod POD` quotes what the command printed; `kubectl exec POD -- COMMAND` runs it by hand.",
			Mend:    "Correct the command, add what it needs to the image, or probe by HTTP, TCP or gRPC, which need nothing in the image.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (exec)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || p.probe.Exec == nil || timedOut(p.text) {
				return nil
			}
			f := p.finding(c)
			f.Weight = 35
			if !noCommand.MatchString(p.text) && !missing.MatchString(p.text) {
				f.Killing = p.says(c)
			}
			if (p.which == "startup" || p.early(c) && (notYet(p.text) || refused(p.text))) && !noCommand.MatchString(p.text) {
				f.Weight = -10 // it says that the program is not up yet, as it should
			}
			if p.early(c) && !noCommand.MatchString(p.text) && !missing.MatchString(p.text) && stillAtIt(c.Log(), 8) {
				f.Weight, f.Confidence = -10, diagnose.Likely
			}
			command := diagnose.Shorten(strings.Join(p.probe.Exec.Command, " "), 100)
			f.Summary = fmt.Sprintf("%s: its command %q fails", p.says(c), command)
			if p.text != "" {
				f.Summary += ": " + diagnose.Shorten(p.text, 140)
			} else {
				f.Summary += " and prints nothing"
			}
			f.Advice = "Run the command by hand in the container, and correct it or what it looks for"
			if !missing.MatchString(p.text) {
				f.Killing = p.says(c)
			} else {
				f.Advice = "Something that the command needs is not in the container: correct it, or probe by HTTP or TCP"
			}
			f.Fixes = []diagnose.Fix{{Title: "Run the probe's command by hand while the container runs", Command: c.Kubectl(append([]string{"exec", c.Subject.Pod, "-c", c.Subject.Container, "--"}, p.probe.Exec.Command...)...)}}
			return []diagnose.Finding{f}
		},
	}
}
