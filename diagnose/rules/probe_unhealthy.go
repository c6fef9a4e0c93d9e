package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func probeUnhealthy() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.unhealthy", Category: "liveness-probe", Title: "The liveness probe is right: the program says that it is not well",
		Doc: diagnose.Doc{
			Means:   "The program answers its liveness probe with an error, or stopped answering after it had served for a while. The kubelet restarts it as it was told to; the reason is in the program or in what it depends on.",
			Confirm: "`kubectl describe pod POD` shows Unhealthy with a status code of 500 or more, or a refusal long after the start; the program's log around that time says why.",
			Mend:    "Mend what the program complains of. A liveness probe should not fail because a dependency is down - restarting does not help that; ask the dependency in the readiness probe instead.",
			Source:  "kubernetes.io/docs/concepts/workloads/pods/probes",
		},
		Log: []diagnose.Pattern{{Name: "error", Words: []string{"error", "fatal", "exception", "unhealthy", "failed", "deadlock", "unavailable", "cannot", "could not"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely {
				return nil
			}
			code := status(p.text)
			late := !p.early(c) && refused(p.text)
			// A gRPC server that is not well says so by its health service.
			unserving := strings.Contains(p.text, "service unhealthy")
			// Killed after it had served, for a reason that no other rule knows: the event is still the best that there is.
			odd := !p.early(c) && p.probe.Exec == nil && code == 0 && !timedOut(p.text) && !otherProtocol(p.text)
			if code < 500 && !unserving && !late && !odd {
				return nil
			}
			// Before it has started, an answer that says "not yet" is no sign of trouble, unless the program complains itself.
			if p.which == "startup" && !slices.ContainsFunc(hits, func(h diagnose.Hit) bool { return h.Level >= diagnose.Error }) {
				return nil
			}
			f := p.finding(c)
			if code >= 500 {
				f.Weight = 20
				f.Summary = fmt.Sprintf("%s, because it answers with HTTP %d", p.says(c), code)
			} else if unserving || !late {
				f.Summary = p.says(c)
				if unserving {
					f.Weight = 20
				}
				if p.text != "" {
					f.Summary += ": " + diagnose.Shorten(p.text, 140)
				}
			} else {
				f.Summary = fmt.Sprintf("%s: after %s of service it no longer accepts connections", p.says(c), diagnose.Duration(c.Ran()))
				if c.Ran().Minutes() < 5 {
					f.Confidence = diagnose.Likely // that it ever did is not known
					f.Killing = p.says(c) + ", because it does not accept connections"
					f.Summary = fmt.Sprintf("%s: after %s it does not accept connections", p.says(c), diagnose.Duration(c.Ran()))
				}
			}
			if code >= 500 || unserving {
				f.Killing, f.Unwell = f.Summary, true
			}
			// It answers that it is not well because it still waits for others as it starts.
			if p.early(c) && f.Killing != "" && !slices.ContainsFunc(hits, func(h diagnose.Hit) bool { return h.Level >= diagnose.Error }) && endsWaiting(c.Log()) {
				f.Confidence, f.Weight = diagnose.Likely, -20
			}
			// The program's own trouble, where it says it.
			for i := len(hits) - 1; i >= 0; i-- {
				if hits[i].Level >= diagnose.Error || hits[i].Level == diagnose.NoLevel {
					f.Evidence = append([]diagnose.Evidence{hits[i].Cite()}, f.Evidence...)
					f.Log, f.At = hits[i].Log, hits[i].Line
					f.Summary += "; it says: " + inSentence(hits[i], 140)
					break
				}
			}
			f.Advice = "The probe is right: mend what the program complains of. If that is something it depends on, ask for it in the readiness probe rather than here"
			f.Fixes = []diagnose.Fix{{Title: "Read the log around the failures", Command: previousLog(c)}}
			return []diagnose.Finding{f}
		},
	}
}

// endsWaiting says that a log ends with what a program waits for, before it is told to stop.
func endsWaiting(l *diagnose.Log) bool {
	for n, said := l.Len(), 0; n > 0 && said < 4; n-- {
		line := l.Line(n)
		if strings.TrimSpace(line) == "" || stopping.MatchString(line) {
			continue
		}
		if said++; stillWaits.MatchString(line) {
			return true
		}
	}
	return false
}

var stillWaits = regexp.MustCompile(`(?i)\b(?:waiting|waits) (?:for|until|on|to)\b`)
