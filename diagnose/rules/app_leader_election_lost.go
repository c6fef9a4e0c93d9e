package rules

import (
	"fmt"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func appLeaderElectionLost() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.leader-election-lost", Category: "app-error", Title: "It lost the lease by which it leads, and ended",
		Doc: diagnose.Doc{
			Means:   "A controller that leads by a Lease could not renew it in time and ended, as it must, so that another one can lead. The program is not at fault: the API server was slow or unreachable, the container was starved of CPU, or clocks jumped.",
			Confirm: "`kubectl logs POD --previous` ends with \"leader election lost\" or \"failed to renew lease\"; `kubectl get lease -A` shows the holder and when it renewed.",
			Mend:    "Look at the API server's and etcd's latency and at the container's CPU limit at that time. Longer lease durations make it more patient.",
			Source:  "k8s.io/client-go/tools/leaderelection",
		},
		Log: []diagnose.Pattern{{Words: []string{"leader election lost", "leaderelection lost", "failed to renew lease", "lost leader", "lost leadership", "leadership lost", "stopped leading", "stopped being a leader", "lost lease", "leader lost", "lost the lease", "lease lost", "lease was lost", "lease expired, ", "no longer leader", "no longer the leader", "not the leader anymore", "could not renew the leader", "unable to renew the lease", "unable to renew lease", "failed to renew leader", "failed to renew the lease", "renew deadline", "leader election lock lost", "lost leader election"}}, {Name: "lease", Words: []string{"failed to renew lease", "error retrieving resource lock", "failed to update lock", "failed to update lease", "the leader lease"}, Regexp: `(?:renew lease|resource lock|update lock|update lease) (?P<lease>[\w./-]+)|\blease(?:=|: )(?P<lease2>[\w./-]+)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				// A warning is one that the program survives, unless nothing comes after it.
				return h.Pattern == "" && (h.Level != diagnose.Warn || h.Line == h.Log.Len())
			})
			if !ok {
				return nil
			}
			if lockForbidden(h) {
				return nil // it never could have had it
			}
			f.Confidence, f.Weight = diagnose.Certain, 30
			f.Keys = []string{"leader", "lease"}
			if !strings.Contains(strings.ToLower(h.Text), "lead") && !slices.ContainsFunc(hits, func(h diagnose.Hit) bool { return h.Pattern == "lease" }) {
				f.Confidence = diagnose.Likely // there are leases of other things
			}
			f.Summary = fmt.Sprintf("%s ended because it lost its leader election", c.Who())
			for _, other := range hits {
				if l := other.Group("lease"); l != "" {
					f.Summary += fmt.Sprintf(" (lease %s)", l)
					if other.Line != h.Line {
						f.Evidence = append(f.Evidence, other.Cite())
					}
					break
				}
			}
			f.Advice = "It is not the program's fault: look at the latency of the API server, and at the container's CPU limit, at that time"
			if q, ok := c.Container.Resources.Limits["cpu"]; ok {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.limits.cpu"), Text: q.String()})
			}
			f.Unchanged = true
			f.Fixes = []diagnose.Fix{{Title: "See who holds the leases", Command: "kubectl get lease -A"}}
			return []diagnose.Finding{f}
		},
	}
}

// lockForbidden says that the API server refused a program the very object that it is elected by, before it gave up.
func lockForbidden(h diagnose.Hit) bool {
	for n := h.Line - 1; n > 0 && n > h.Line-40; n-- {
		if line := h.Log.Line(n); strings.Contains(line, "resource lock") && strings.Contains(line, "is forbidden: User") {
			return true
		}
	}
	return false
}
