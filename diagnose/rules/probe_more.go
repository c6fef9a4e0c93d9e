package rules

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"crashloop/diagnose"
)

func probeWrongPath() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.wrong-path", Category: "liveness-probe", Title: "The liveness probe asks a path that the server does not serve",
		Doc: diagnose.Doc{
			Means:   "The server answers, but with 404, a redirect, 401 or 403: the probe's path does not exist, or wants a login. The program is healthy; the kubelet kills it for the answer.",
			Confirm: "`kubectl describe pod POD`: \"Liveness probe failed: HTTP probe failed with statuscode: 404\"; `kubectl exec POD -- wget -qSO- localhost:PORT/PATH` from inside.",
			Mend:    "Set httpGet.path to one that the server answers with 200 without a login.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (any code from 200 to 399 is success)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			code := status(p.text)
			if !p.killed && !p.likely || code < 300 || code >= 500 || p.probe.HTTPGet == nil {
				return nil
			}
			f := p.finding(c)
			f.Weight = 40
			what := map[int]string{404: "not found", 401: "a login is asked for", 403: "forbidden", 405: "method not allowed", 400: "bad request"}[code]
			if what != "" {
				what = ", " + what
			}
			f.Summary = fmt.Sprintf("%s, because GET %s answers with HTTP %d%s", p.says(c), firstOf(p.probe.HTTPGet.Path, "/"), code, what)
			f.Advice = "Point the probe at a path that answers 200 without a login"
			f.Fixes = []diagnose.Fix{{Title: "Point the probe at another path", Patch: containerPatch(c, fmt.Sprintf("%sProbe:\n  httpGet:\n    path: /\n    port: %s", p.which, p.probe.HTTPGet.Port.String()))}}
			return []diagnose.Finding{f}
		},
	}
}

func probeTimeout() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.timeout", Category: "liveness-probe", Title: "The liveness probe gives up before the answer comes",
		Doc: diagnose.Doc{
			Means:   "The program accepts the probe's connection but does not answer within timeoutSeconds (1 unless set), and is killed. It is busy, blocked, or its health check does too much.",
			Confirm: "`kubectl describe pod POD`: \"Liveness probe failed\" with \"context deadline exceeded\" or \"Client.Timeout exceeded\".",
			Mend:    "Raise timeoutSeconds; make the health check cheap; see what blocks the program at those times.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (timeoutSeconds)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || !timedOut(p.text) {
				return nil
			}
			f := p.finding(c)
			f.Weight = 10
			t := orDefault(p.probe.TimeoutSeconds, 1)
			f.Summary = fmt.Sprintf("%s, which waits %ds for an answer and gets none", p.says(c), t)
			f.Advice = fmt.Sprintf("Give it more time, timeoutSeconds %d for a start, and see what keeps the program busy", max(5, 3*t))
			if q, ok := c.Container.Resources.Limits["cpu"]; ok {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.cpu"), Text: q.String()})
			}
			f.Fixes = []diagnose.Fix{{Title: "Wait longer for the answer", Patch: containerPatch(c, fmt.Sprintf("%sProbe:\n  timeoutSeconds: %d", p.which, max(5, 3*t)))}}
			return []diagnose.Finding{f}
		},
	}
}

func probeTooAggressive() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.too-aggressive", Category: "liveness-probe", Title: "The liveness probe forgives next to nothing",
		Doc: diagnose.Doc{
			Means:   "One failure, or a few seconds of them, are enough for the kubelet to kill the container: failureThreshold is 1, or period times failureThreshold is only seconds. Any pause - garbage collection, a slow disk - is then deadly.",
			Confirm: "`kubectl get pod POD -o jsonpath='{.spec.containers[*].livenessProbe}'`: failureThreshold times periodSeconds; the container served well before the kill.",
			Mend:    "failureThreshold 3 and periodSeconds 10 are the defaults; give the program half a minute before it is killed.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || p.which != "liveness" {
				return nil
			}
			tolerated := time.Duration(orDefault(p.probe.PeriodSeconds, 10)*orDefault(p.probe.FailureThreshold, 3)) * time.Second
			single := p.probe.FailureThreshold == 1
			if !single && tolerated > 6*time.Second || p.early(c) && !timedOut(p.text) {
				return nil
			}
			if code := status(p.text); code >= 300 && code < 500 {
				return nil
			}
			f := p.finding(c)
			f.Weight = 45
			f.Summary = fmt.Sprintf("%s, which forgives only %d failure(s) in %s", p.says(c), orDefault(p.probe.FailureThreshold, 3), diagnose.Duration(tolerated))
			if d := c.Ran(); d > 0 {
				f.Summary += fmt.Sprintf("; it had run for %s", diagnose.Duration(d))
			}
			f.Advice = "Let it fail for half a minute before it is killed: periodSeconds 10, failureThreshold 3, timeoutSeconds 5"
			f.Fixes = []diagnose.Fix{{Title: "Forgive more", Patch: containerPatch(c, "livenessProbe:\n  periodSeconds: 10\n  failureThreshold: 3\n  timeoutSeconds: 5")}}
			return []diagnose.Finding{f}
		},
	}
}

func probeExecFailed() diagnose.Rule {
	missing := regexp.MustCompile(`(?i)executable file not found|no such file or directory|not found|permission denied`)
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
			command := shorten(strings.Join(p.probe.Exec.Command, " "), 100)
			f.Summary = fmt.Sprintf("%s: its command %q fails", p.says(c), command)
			if p.text != "" {
				f.Summary += ": " + shorten(p.text, 140)
			} else {
				f.Summary += " and prints nothing"
			}
			f.Advice = "Run the command by hand in the container, and correct it or what it looks for"
			if missing.MatchString(p.text) {
				f.Advice = "Something that the command needs is not in the container: correct it, or probe by HTTP or TCP"
			}
			f.Fixes = []diagnose.Fix{{Title: "Run the probe's command by hand", Command: c.Kubectl(append([]string{"exec", c.Subject.Pod, "-c", c.Subject.Container, "--"}, p.probe.Exec.Command...)...)}}
			return []diagnose.Finding{f}
		},
	}
}

func probeStartupFailed() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.startup-failed", Category: "liveness-probe", Title: "The startup probe gives up before the program is up",
		Doc: diagnose.Doc{
			Means:   "The startup probe did not succeed within periodSeconds times failureThreshold, and the kubelet kills the container before it has started.",
			Confirm: "`kubectl describe pod POD`: \"Startup probe failed\" and \"failed startup probe, will be restarted\"; each run lasts as long as the probe's window.",
			Mend:    "Raise failureThreshold until the window is longer than the slowest start, or find out why the start takes so long or never ends.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (startup probes)",
		},
		Log: []diagnose.Pattern{listening()},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || p.which != "startup" {
				return nil
			}
			f := p.finding(c)
			w := window(p.probe)
			f.Summary = fmt.Sprintf("%s: it gets %s to start, which is not enough", p.says(c), diagnose.Duration(w))
			if d := c.Ran(); d > 0 {
				f.Summary += fmt.Sprintf(" (killed after %s)", diagnose.Duration(d))
			}
			if h, ok := up(hits); ok {
				f.Evidence = append(f.Evidence, h.Cite())
			}
			failures := orDefault(p.probe.FailureThreshold, 3) * 3
			f.Advice = fmt.Sprintf("Allow it more: failureThreshold %d gives it %s", failures, diagnose.Duration(time.Duration(failures*orDefault(p.probe.PeriodSeconds, 10))*time.Second))
			f.Fixes = []diagnose.Fix{{Title: "Allow a longer start", Patch: containerPatch(c, fmt.Sprintf("startupProbe:\n  failureThreshold: %d", failures))}}
			return []diagnose.Finding{f}
		},
	}
}
