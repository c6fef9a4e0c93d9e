package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"crashloop/diagnose"
)

func resourcesOOMLimit() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.oom-limit", Category: "resource-limits", Title: "It needs more memory than its limit allows",
		Doc: diagnose.Doc{
			Means:   "The container used more memory than resources.limits.memory, and the kernel killed it. The kubelet says so with the reason OOMKilled; the exit code is usually 137, but can be another when the kernel killed a child of the main process. Node.js ends itself before that, with exit code 134, when its JavaScript heap is full, whose size it takes from the limit.",
			Confirm: "`kubectl describe pod POD`: Last State: Terminated, Reason: OOMKilled; for Node.js, the log ends with \"JavaScript heap out of memory\". `kubectl top pod POD --containers` shows what it uses, where metrics-server runs.",
			Mend:    "Raise the limit if it needs that much, or make the program use less: smaller caches, fewer workers, streaming instead of loading. Set the request to what it really uses.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource; kernel cgroups v1 and v2, memory.oom.group",
		},
		Log: []diagnose.Pattern{
			{Words: []string{"javascript heap out of memory"}, Regexp: `FATAL ERROR: .*JavaScript heap out of memory`},
			{Words: []string{"failed to allocate memory", "_alloc: cannot allocate"}, Regexp: `^\[FATAL\] failed to allocate memory|NoMemoryError|\b\w+_alloc: Cannot allocate \d+ bytes of memory`}, // Ruby, Erlang
			{Name: "asks", Words: []string{"for the buffer pool", "memory limit (total) exceeded"}, Regexp: `(?i)cannot allocate memory for the buffer pool|DB::Exception: memory limit \(total\) exceeded`},
			{Name: "dotnet", Words: []string{"out of memory.", "0x8007000e"}, Regexp: `^Out of memory\.$|^(?:Failed to create CoreCLR, HRESULT: |GC heap initialization failed with error )0x8007000E\b`},
			{Name: "asks", Words: []string{"of memory", "of ram", "are required", "is required", "not enough memory", "insufficient memory"}, Regexp: `(?i)(?:requires?|needs?) (?:a machine with )?at least [\d.,]+ ?(?:[KMG]i?B|[kmg]|megabytes|gigabytes|bytes) of (?:free |available |system )?(?:memory|RAM)|\b[\d.]+ ?[KMG]i?B (?:of (?:memory|RAM) )?(?:are|is) required|(?:not enough|insufficient) (?:memory|RAM) (?:available|to (?:start|run))`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, ok := oomKilled(c)
			if !ok {
				return slices.Concat(heapFull(c, named(hits, "")), getsNoMore(c, named(hits, "dotnet")), asksForMemory(c, named(hits, "asks")))
			}
			limit, has := memoryLimit(c)
			if !has {
				return nil // then it is the node's memory
			}
			f.Summary = fmt.Sprintf("%s is killed for using more memory than its limit of %s", c.Who(), limit.String())
			lives := c.Lives(killedForMemory)
			if after := afterStart(lives); after != "" {
				f.Summary += ", " + after
			}
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
			if findJavaHeap(c, limit.Value()).java {
				f.Confidence = diagnose.Likely // what of it is its heap is not seen
			}
			if largeHeap(c, &f, limit) {
				f.Weight += 10
			}
			if longLife(c) {
				f.Confidence, f.Weight = diagnose.Likely, 50 // what it grows by is not seen
			}
			more, why := suggestMemory(c, limit, lives)
			f.Advice = why
			f.Fixes = append(f.Fixes, raiseMemory(c, more))
			return []diagnose.Finding{f}
		},
	}
}

// startUp is until when a run counts as still starting.
const startUp = time.Minute

// suggestMemory says which limit to try, and why that one.
func suggestMemory(c *diagnose.Case, limit resource.Quantity, lives diagnose.Lives) (more, why string) {
	more = moreMemory(limit)
	if most, pods := neighbours(c); pods > 0 {
		quarter := most.Value() * 5 / 4
		if quarter > limit.Value() {
			more = roundMemory((quarter + 16<<20 - 1) &^ (16<<20 - 1))
			return more, fmt.Sprintf("With the same limit %s up to %s: raise the limit to %s, a quarter above that", others(pods), diagnose.Bytes(most), more)
		}
		return more, fmt.Sprintf("With the same limit %s at most %s: see what this one does differently, or raise the limit to %s", others(pods), diagnose.Bytes(most), more)
	}
	if lives.Count > 0 && lives.Longest <= startUp {
		return more, fmt.Sprintf("It gets there while it starts: double the limit to %s and see what it then uses, or make it use less", more)
	}
	return more, fmt.Sprintf("Raise the limit, to %s for a start, or make it use less", more)
}

func others(pods int) string {
	if pods == 1 {
		return "another of its pods uses"
	}
	return fmt.Sprintf("%d of its other pods use", pods)
}

// heapFlag is a setting that bounds a runtime's heap.
type heapFlag struct {
	size        int64 // in bytes, 0 when there is none
	flag, where string
}

// nodeHeap finds the bound of a Node.js heap in the arguments and the environment.
func nodeHeap(c *diagnose.Case) heapFlag {
	var h heapFlag
	look := func(where, text string) {
		_, rest, ok := strings.Cut(strings.ReplaceAll(text, "max_old_space_size", "max-old-space-size"), "--max-old-space-size=")
		if !ok {
			return
		}
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		if n := mebibytes(digits, "m"); n > 0 {
			h = heapFlag{size: n, flag: "--max-old-space-size=" + digits, where: where}
		}
	}
	for _, e := range c.Container.Env {
		look(c.SpecField("env["+e.Name+"]"), e.Value)
	}
	look(c.SpecField("args"), strings.Join(slices.Concat(c.Container.Command, c.Container.Args), " "))
	return h
}

// largeHeap adds to a finding that Node.js may make its heap about as large as the memory limit, or larger; false where it may not.
func largeHeap(c *diagnose.Case, f *diagnose.Finding, limit resource.Quantity) bool {
	heap := nodeHeap(c)
	if heap.size <= limit.Value()*9/10 {
		return false
	}
	f.Summary += fmt.Sprintf("; its heap alone may grow to %s (%s)", writeBytes(heap.size), heap.flag)
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: heap.where, Text: heap.flag})
	f.Fixes = append(f.Fixes, diagnose.Fix{
		Title:   fmt.Sprintf("Keep the heap at three quarters of the limit, %dMi", limit.Value()*3/4>>20),
		Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, fmt.Sprintf("NODE_OPTIONS=--max-old-space-size=%d", limit.Value()*3/4>>20)),
	})
	return true
}

// initKilled is what runc says when the kernel ended what it starts a container with.
var initKilled = regexp.MustCompile(`container init was OOM-killed`)

// oomKilled starts a finding for a container whose last run the kernel ended for its memory. The reason counts, not the exit code.
func oomKilled(c *diagnose.Case) (diagnose.Finding, bool) {
	t := c.Last()
	if t == nil || t.Reason != "OOMKilled" && ran(t) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 50, Evidence: c.CiteLast()}
	if t.Reason != "OOMKilled" {
		// runc says so when not even its own start fits into the limit, though not of every attempt.
		s, _, ok := said(c, initKilled)
		if !ok {
			return diagnose.Finding{}, false
		}
		f.Evidence = append([]diagnose.Evidence{s.cite()}, f.Evidence...)
	}
	f.Settle = "The reason OOMKilled in the container's last state."
	limit, _ := memoryLimit(c)
	f.Evidence = append(f.Evidence, citeMemory(c, limit)...)
	return f, true
}

func memoryLimit(c *diagnose.Case) (resource.Quantity, bool) {
	if c.Container == nil {
		return resource.Quantity{}, false
	}
	q, ok := c.Container.Resources.Limits[corev1.ResourceMemory]
	if !ok && c.Status != nil && c.Status.Resources != nil {
		q, ok = c.Status.Resources.Limits[corev1.ResourceMemory]
	}
	if !ok && podMemory(c) {
		q, ok = c.Spec.Resources.Limits[corev1.ResourceMemory], true
	}
	return q, ok && !q.IsZero()
}

// podMemory says that the pod as a whole has a memory limit (Kubernetes 1.34 and later) and the container has none of its own.
func podMemory(c *diagnose.Case) bool {
	if c.Container == nil || c.Spec.Resources == nil {
		return false
	}
	_, own := c.Container.Resources.Limits[corev1.ResourceMemory]
	_, all := c.Spec.Resources.Limits[corev1.ResourceMemory]
	return all && !own
}

// limitField is the spec field that holds the memory limit.
func limitField(c *diagnose.Case) string {
	if podMemory(c) {
		return "spec.resources.limits.memory"
	}
	return c.SpecField("resources.limits.memory")
}

// moreMemory doubles a limit.
func moreMemory(limit resource.Quantity) string { return roundMemory(max(limit.Value()*2, 64<<20)) }

// roundMemory writes an amount of memory as people write limits: in whole Gi or Mi.
func roundMemory(n int64) string {
	const mi = 1 << 20
	if n >= 1<<30 && n%(1<<30) == 0 {
		return fmt.Sprintf("%dGi", n>>30)
	}
	return fmt.Sprintf("%dMi", (n+mi-1)/mi)
}

func raiseMemory(c *diagnose.Case, to string) diagnose.Fix {
	if podMemory(c) {
		return diagnose.Fix{Title: "Raise the pod's memory limit to " + to, Patch: podPatch(c, "resources:\n  limits:\n    memory: "+to)}
	}
	return diagnose.Fix{
		Title:   "Raise the memory limit to " + to,
		Command: c.Kubectl("set", "resources", c.Target(), "-c", c.Subject.Container, "--limits=memory="+to),
		Patch:   containerPatch(c, "resources:\n  limits:\n    memory: "+to),
	}
}

// asksForMemory makes a finding of a program that measures what memory it has, as its limit gives it, and refuses to start with so little.
func asksForMemory(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Level != diagnose.Warn && h.Level != diagnose.Info })
	limit, has := memoryLimit(c)
	if !ok || !has || limit.Value() > 8<<30 {
		return nil
	}
	f.Proof = diagnose.Corroborated
	f.Summary = fmt.Sprintf("%s refuses to start within its memory limit of %s: %s", c.Who(), limit.String(), inSentence(h, 160))
	more := moreMemory(limit)
	f.Advice = "Raise the limit to what it asks for"
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
	f.Fixes = append(f.Fixes, raiseMemory(c, more))
	return []diagnose.Finding{f}
}

// named keeps the hits of one pattern.
func named(hits []diagnose.Hit, pattern string) []diagnose.Hit {
	return slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool { return h.Pattern != pattern })
}

// heapFull is for V8, which ends Node.js by itself when its heap is full: before the kernel would, and by a limit that V8 takes from the
// container's, so that a larger limit gives it a larger heap.
func heapFull(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, _, ok := lastHit(c, hits, nil)
	limit, has := memoryLimit(c)
	if !ok || !has || limit.Value() > 4<<30 {
		return nil // then the heap's size is V8's own or the program's choice
	}
	f.Weight, f.Proof = 60, diagnose.Corroborated
	more := moreMemory(limit)
	heap := limit.Value() / 4 * 3 >> 20
	f.Summary = fmt.Sprintf("%s runs out of memory: Node.js ends itself because its JavaScript heap is full, within the container's limit of %s", c.Who(), limit.String())
	f.Advice = fmt.Sprintf("Set NODE_OPTIONS=--max-old-space-size=%d, which leaves the rest of the limit to everything else, or raise the limit to %s", heap, more)
	f.Settle = "The heap's size in the lines that the log has before that."
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
	f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Let the heap use more of the limit", Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, fmt.Sprintf("NODE_OPTIONS=--max-old-space-size=%d", heap))}, raiseMemory(c, more))
	return []diagnose.Finding{f}
}

// getsNoMore is for .NET, which aborts with one line, and nothing else, when its garbage collector gets no more memory: three quarters of
// the container's limit unless set.
func getsNoMore(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, _, ok := lastHit(c, hits, nil)
	limit, has := memoryLimit(c)
	if !ok || !has {
		return nil
	}
	f.Weight, f.Proof = 60, diagnose.Corroborated
	f.Summary = fmt.Sprintf("%s runs out of memory: .NET ends itself because it gets no more, within the container's limit of %s", c.Who(), limit.String())
	f.Advice = "Raise the limit, or find out what it holds on to"
	f.Settle = "A dump of its memory, or the size that it reaches before."
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: limitField(c), Text: limit.String()})
	f.Fixes = append(f.Fixes, raiseMemory(c, moreMemory(limit)))
	return []diagnose.Finding{f}
}
