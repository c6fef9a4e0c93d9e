package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func appExitCode() diagnose.Rule {
	read := newReadings()
	return diagnose.Rule{
		ID: "app.exit-code", Category: "app-error", Title: "The program exits with an error and says nothing that is known",
		Doc: diagnose.Doc{
			Means:   "The program ended with an exit code other than 0, and neither its log nor the cluster tells why. The exit code alone is a hint: by convention 1 is any error, 2 wrong usage, 126 and 127 a command that cannot be run or found, 128 and more a signal.",
			Confirm: "`kubectl describe pod POD` shows the exit code under Last State; `kubectl logs POD --previous` what it said, if anything.",
			Mend:    "Make it speak: raise its log level, set `terminationMessagePolicy: FallbackToLogsOnError`, or start the image with a shell (`kubectl debug POD -it --copy-to=POD-debug --container=CONTAINER -- sh`) and run the command by hand.",
			Source:  "bash(1) on exit status, sysexits(3), kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			if h, ok := hookFailed(c); ok && !hookNoCommand.MatchString(h.complain) && !hookArgument.MatchString(h.complain) {
				return []diagnose.Finding{h.finding(c)}
			}
			t := c.Last()
			if t == nil || t.ExitCode == 0 {
				return nil
			}
			l := c.Log()
			f := diagnose.Finding{Confidence: diagnose.Possible, Proof: diagnose.Hint}
			means := diagnose.ExitCode(t.ExitCode)
			if c.OwnCode() {
				means = "a code of the program's own"
			}
			f.Summary = fmt.Sprintf("%s ends with exit code %d (%s)", c.Who(), t.ExitCode, means)
			switch {
			case l.Missing != "":
				f.Summary += ", and " + l.Missing
				f.Advice = "Wait for the next crash and read its log at once, or run the command by hand in a copy of the pod"
			case l.Empty():
				f.Summary += ", and its log is empty"
				f.Advice = "Make it say more, or run its command by hand in a copy of the pod"
			default:
				n := lastWords(l)
				f.Log, f.At, f.Span = l, n, n
				f.Evidence = append(f.Evidence, l.Cite(n))
				f.Summary += "; the last that it said is: " + strings.TrimSpace(diagnose.Shorten(quote(diagnose.Say(l.Line(n))), 160))
				f.Advice = "The log lines before that are the place to look"
			}
			if !l.Empty() || l.Missing != "" {
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Read the whole log of the run that crashed", Command: previousLog(c)})
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{
				Title:   "Run it by hand in a copy of the pod, with a shell instead of its command",
				Command: shellInCopy(c),
			})
			if c.Container != nil && c.Container.TerminationMessagePolicy != "FallbackToLogsOnError" && c.Subject.Kind() != "Pod" {
				f.Fixes = append(f.Fixes, diagnose.Fix{
					Title: "Have the kubelet keep the last lines of the log in the pod's status",
					Patch: containerPatch(c, "terminationMessagePolicy: FallbackToLogsOnError"),
				})
			}
			return []diagnose.Finding{f}
		},
		Last: read.last,
	}
}

// shellInCopy opens a shell in a copy of the pod whose container runs nothing else, for one that does not stay up.
func shellInCopy(c *diagnose.Case) string {
	return c.Kubectl("debug", c.Subject.Pod, "-it", "--copy-to="+c.Subject.Pod+"-debug", "--container="+c.Subject.Container, "--", "sh")
}

// pointsElsewhere is a line that only says where to read on.
var pointsElsewhere = regexp.MustCompile(`(?i)\bfor more (?:details|information|help)\b|'--help'|--verbose\b`)

// lastWords is the line that most likely says why: the last one that calls itself an error, if it stands near the end, else the last.
func lastWords(l *diagnose.Log) int {
	last := 0
	for n := l.Len(); n > 0 && n > l.Len()-40; n-- {
		line := strings.TrimSpace(l.Line(n))
		if line == "" {
			continue
		}
		if last == 0 || diagnose.Epilogue(l.Line(last)) {
			last = n
		}
		if diagnose.Epilogue(line) {
			continue
		}
		if level := diagnose.LineLevel(line); level >= diagnose.Error && !(pointsElsewhere.MatchString(line) && diagnose.LineLevel(l.Line(n-1)) >= diagnose.Error) {
			return n
		}
	}
	return max(last, 1)
}
