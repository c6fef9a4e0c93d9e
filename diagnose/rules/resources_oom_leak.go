package rules

import (
	"fmt"
	"time"

	"crashloop/diagnose"
)

func resourcesOOMLeak() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-leak", Category: "resource-limits", Title: "Its memory grows until the limit kills it",
		Doc: diagnose.Doc{
			Means:   "The container runs well for a long time and is then killed for its memory, again and again after about as long: a leak, a cache without bound, or load that grows - not a start that needs more than it may have.",
			Confirm: "`kubectl describe pod POD` shows OOMKilled with many minutes or hours between Started and Finished; a graph of its memory climbs steadily.",
			Mend:    "Find what grows: a heap profile, cache limits, the size of batches. Raising the limit only makes the time longer.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource",
		},
		// What runtimes and servers say of a leak that they see: Node.js of listeners, Netty of buffers, the pools of Java's databases of connections.
		Log: []diagnose.Pattern{{Words: []string{"memory leak", "leak: ", "leak detect"}, Regexp: `(?i)\b(?:possible|probable|potential|apparent) (?:\w+ )?(?:memory |connection )?leak\b|\bmemory leak detected\b|\bLEAK: \S+ was not called before|\bconnection leak detect`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, ok := oomKilled(c)
			limit, has := memoryLimit(c)
			if !ok || !has || !longLife(c) {
				return nil
			}
			f.Weight = 80
			f.Confidence = diagnose.Likely
			if t := c.Status.LastTerminationState.Terminated; t != nil && c.Status.State.Terminated != nil && t.Reason == "OOMKilled" {
				f.Confidence = diagnose.Certain
			}
			lives := c.Lives(killedForMemory)
			took := diagnose.Duration(c.Ran())
			if lives.Count > 1 {
				took = lives.Range()
			}
			f.Summary = fmt.Sprintf("%s grows for %s each time until it reaches its memory limit of %s and is killed", c.Who(), took, limit.String())
			if u, ok := c.Usage(); ok && c.Running() && !u.Memory.IsZero() && c.When(u) != "" {
				f.Summary += fmt.Sprintf("; %s it uses %s", c.When(u), diagnose.Bytes(u.Memory))
			}
			large := largeHeap(c, &f, limit)
			f.Advice = "Look for what grows - a leak, a cache, load - rather than at its start"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
			if _, h, ok := lastHit(c, hits, nil); ok {
				f.Weight += 10
				f.Evidence = append(f.Evidence, h.Cite())
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Watch its memory", Command: c.Kubectl("top", "pod", c.Subject.Pod, "--containers")})
			if !large {
				f.Fixes = append(f.Fixes, raiseMemory(c, moreMemory(limit)))
			}
			return []diagnose.Finding{f}
		},
	}
}

// longLife says that a container which has been restarted ran for so long that what it does, and not its start, is what takes its memory.
func longLife(c *diagnose.Case) bool { return c.Ran() >= 10*time.Minute && c.Status.RestartCount >= 2 }
