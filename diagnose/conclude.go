package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

// The bounds of a diagnosis, so that no cluster can make one that a message cannot hold.
const (
	maxEvidence     = 12
	maxFixes        = 6
	maxAlternatives = 4
	maxGaps         = 12
	maxChain        = 12
	maxSummary      = 700
	maxText         = 500
	maxPatch        = 2500
	excerptLines    = 24
)

// conclude makes the diagnosis out of the ranked findings.
func (e *Engine) conclude(c *Case, findings []ranked) Diagnosis {
	d := Diagnosis{Subject: c.Subject, Chain: []Link{}, Evidence: []Evidence{}, Fixes: []Fix{}, Alternatives: []Alternative{}, Gaps: []string{}}
	if c.Status != nil {
		d.Restarts = c.Status.RestartCount
	}
	if t := c.Last(); t != nil {
		code := t.ExitCode
		d.ExitCode = &code
	}
	if at := c.nextRetry(); !at.IsZero() {
		d.NextRetry = at.UTC().Format(time.RFC3339)
	}
	d.Timeline = c.timeline()
	if len(findings) == 0 {
		findings = []ranked{{Finding: e.nothing(c)}}
	}
	best := findings[0]
	d.Cause, d.Confidence = best.Cause, best.Confidence
	if r, ok := e.Rule(best.Cause); ok {
		d.Category = r.Category
	} else {
		d.Category = "app-error"
	}
	d.Summary = strings.TrimSpace(sentence(best.Summary) + " " + sentence(best.Advice))
	self := objectOf(c.Subject)
	if best.Root != self {
		d.Root = best.Root
	}
	d.Chain = append(d.Chain, Link{Object: self, Says: c.symptomSays()})
	for _, l := range best.Chain {
		if l.Object == d.Chain[len(d.Chain)-1].Object {
			d.Chain[len(d.Chain)-1].Says = l.Says
			continue
		}
		d.Chain = append(d.Chain, l)
	}
	if d.Root != "" && d.Chain[len(d.Chain)-1].Object != d.Root {
		d.Chain = append(d.Chain, Link{Object: d.Root, Says: "is where the trouble begins"})
	}
	d.Evidence = append(d.Evidence, best.Evidence...)
	d.Evidence = append(d.Evidence, c.citeAutoscaler(&best.Finding)...)
	// The panic or exception that carries the cause says where in the program it struck.
	if best.Proof != Messenger && best.related {
		for _, f := range findings[1:] {
			if f.Proof == Messenger && f.related {
				d.Evidence = append(d.Evidence, f.Evidence...)
				break
			}
		}
	}
	if len(d.Evidence) < maxEvidence {
		d.Evidence = append(d.Evidence, c.CiteLast()...)
	}
	d.Evidence = distinct(d.Evidence)
	d.Fixes = append(d.Fixes, c.fit(best.Fixes, best.borrowed)...)
	if d.Change = c.changeFor(&best.Finding); d.Change != nil {
		if f, ok := c.rollback(); ok && goesBackFirst(d.Category, d.Cause) {
			d.Fixes = append([]Fix{f}, d.Fixes...)
		} else if ok {
			d.Fixes = append(d.Fixes, f)
		}
	}
	d.Alternatives = append(d.Alternatives, alternatives(findings)...)
	if l := c.Log(); l.Missing != "" && c.Last() != nil && ranAtAll(c.Last()) {
		c.read.gaps[l.Missing] = true
	}
	d.Gaps = append(d.Gaps, slices.Sorted(maps.Keys(c.read.gaps))...)
	d.Excerpt = c.excerpt(best.Finding)
	d.Mentions = c.read.named(d.Summary)
	e.clean(&d)
	return d
}

// nothing is the finding of a catalogue that has no rule for this: it claims nothing.
func (e *Engine) nothing(c *Case) Finding {
	return Finding{
		Cause: "app.exit-code", Confidence: Possible, Summary: c.Who() + " keeps failing, and nothing in the cluster says why",
		Advice: "Look at it by hand: " + c.Kubectl("describe", c.Target()),
	}
}

func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// objectOf names a subject's workload as chains do: Deployment/shop/web.
func objectOf(s Subject) string { return s.Kind() + "/" + s.Namespace + "/" + s.Name() }

// symptomSays is what the first link of the chain says: how the subject fails, whatever the cause.
func (c *Case) symptomSays() string {
	what := c.Subject.containerWords()
	reason, _ := c.Waiting()
	t := c.Last()
	switch {
	case c.Pod == nil:
		return "its pods cannot be created"
	case c.Pod.Status.Reason == "Evicted":
		return "its pod was evicted"
	case reason != "" && reason != "CrashLoopBackOff" && reason != "PodInitializing" && reason != "ContainerCreating":
		return what + " cannot start: " + reason
	case t != nil && t.ExitCode == 0:
		return fmt.Sprintf("%s ends with exit code 0 and is started again", what)
	case t != nil:
		says := fmt.Sprintf("%s ends with exit code %d", what, t.ExitCode)
		if t.Reason == "OOMKilled" {
			says = what + " is killed for its memory"
		}
		if c.Status.RestartCount > 0 {
			says += ", restarted " + times(int(c.Status.RestartCount))
		}
		return says
	case c.Spec.NodeName == "":
		return "its pod has no node"
	case c.Subject.Container == "":
		return "its pod cannot start"
	}
	return what + " cannot start"
}

func distinct(evidence []Evidence) []Evidence {
	var out []Evidence
	for _, e := range evidence {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// alternatives are the other causes that the evidence does not rule out.
func alternatives(findings []ranked) []Alternative {
	best := findings[0]
	seen := map[string]bool{best.Cause: true}
	var out []Alternative
	for _, f := range findings[1:] {
		if seen[f.Cause] || f.Proof == Hint && !best.guessed || len(out) == maxAlternatives {
			continue
		}
		// What the winner is carried by is not another cause, and against proof words far below it are noise.
		if f.Proof == Messenger && (f.related && best.related || best.Proof == Structural && best.Confidence == Certain) {
			continue
		}
		// The same story, read less deeply, is a link of the chain and no other cause.
		if shallower(f, best) {
			continue
		}
		if best.Confidence == Certain && best.score-f.score > 500 {
			continue
		}
		seen[f.Cause] = true
		confidence := f.Confidence
		if confidence == Certain {
			confidence = Likely
		}
		out = append(out, Alternative{Cause: f.Cause, Confidence: confidence, Says: strings.TrimSpace(sentence(f.Summary) + " " + sentence(f.Settle))})
	}
	return out
}

// shallower says that a finding tells of the winner's story what the winner tells better: from the same words of the cluster, by stopping at
// the subject where the winner has proven what lies behind, or out of the trace that ended the program when the winner has read it to its
// end.
func shallower(f, best ranked) bool {
	switch {
	case best.Proof == Structural && f.Proof == Structural && len(f.Evidence) > 0 && len(best.Evidence) > 0 && f.Evidence[0] == best.Evidence[0]:
		return true
	case best.Confidence != Certain:
		return false
	case best.Proof == Structural && f.Proof == Structural:
		return len(best.Chain) > 0 && len(f.Chain) == 0
	}
	return best.related && f.related && f.Proof <= best.Proof && f.Log == best.Log
}

// timeline lists the runs that the cluster still knows, oldest first.
func (c *Case) timeline() []Run {
	var out []Run
	add := func(t *corev1.ContainerStateTerminated) {
		if t != nil {
			out = append(out, Run{Started: began(t.StartedAt), Ended: t.FinishedAt.Time, ExitCode: t.ExitCode, Reason: t.Reason})
		}
	}
	if c.Status == nil {
		return out
	}
	// Pods that fail one after another, as a Job's do, are runs of the same container.
	for _, p := range c.Siblings() {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if s.Name == c.Subject.Container && p.Status.Phase == corev1.PodFailed {
				add(s.State.Terminated)
			}
		}
	}
	add(c.Status.LastTerminationState.Terminated)
	add(c.Status.State.Terminated)
	if r := c.Status.State.Running; r != nil {
		out = append(out, Run{Started: began(r.StartedAt)})
	}
	slices.SortStableFunc(out, func(a, b Run) int { return a.Started.Compare(b.Started) })
	return out
}

// excerpt picks the lines of the log that a person should see: those that evidence cites with a little around them, and the last ones.
func (c *Case) excerpt(best Finding) Excerpt {
	l := c.Log()
	if best.Log != nil {
		l = best.Log
	}
	x := Excerpt{Container: c.Subject.Container, Previous: l.Previous, Missing: l.Missing, Empty: l.Missing == "" && l.Empty()}
	if x.Missing != "" || x.Empty {
		return x
	}
	want := map[int]bool{}
	add := func(from, to int) {
		for n := max(from, 1); n <= min(to, l.Len()) && len(want) < excerptLines; n++ {
			if strings.TrimSpace(l.Line(n)) != "" {
				want[n] = true
			}
		}
	}
	if best.At > 0 && best.Log == l {
		add(best.At, min(max(best.Span, best.At), best.At+9))
		add(best.At-4, best.At-1)
		add(best.At+1, best.At+2)
	}
	last := l.lastText()
	add(last-7, last)
	for n := range want {
		x.Lines = append(x.Lines, Line{Number: n, Text: Shorten(l.Line(n), citeRunes), Cited: best.At > 0 && best.Log == l && n == best.At})
	}
	slices.SortFunc(x.Lines, func(a, b Line) int { return a.Number - b.Number })
	return x
}

// clean redacts and bounds every text of a diagnosis.
func (e *Engine) clean(d *Diagnosis) {
	redact := e.redact
	tidy := func(s *string, runes int) { *s = Shorten(redact(*s), runes) }
	tidy(&d.Summary, maxSummary)
	if len(d.Chain) > maxChain {
		d.Chain = append(d.Chain[:maxChain-1:maxChain-1], d.Chain[len(d.Chain)-1])
	}
	for i := range d.Chain {
		tidy(&d.Chain[i].Says, maxText)
	}
	d.Evidence = d.Evidence[:min(len(d.Evidence), maxEvidence)]
	for i := range d.Evidence {
		tidy(&d.Evidence[i].Text, maxText)
	}
	d.Fixes = d.Fixes[:min(len(d.Fixes), maxFixes)]
	for i := range d.Fixes {
		tidy(&d.Fixes[i].Title, maxText)
		// They are for copying: a secret becomes a placeholder, and one that is too long would be another command.
		copied := func(s string, runes int) string {
			if s = strings.ReplaceAll(redact(s), Redacted, "VALUE"); utf8.RuneCountInString(s) > runes {
				return ""
			}
			return s
		}
		d.Fixes[i].Command, d.Fixes[i].Patch = copied(d.Fixes[i].Command, maxText), copied(d.Fixes[i].Patch, maxPatch)
	}
	for i := range d.Alternatives {
		tidy(&d.Alternatives[i].Says, maxText)
	}
	d.Gaps = d.Gaps[:min(len(d.Gaps), maxGaps)]
	for i := range d.Gaps {
		tidy(&d.Gaps[i], maxText)
	}
	if d.Change != nil {
		change := *d.Change
		tidy(&change.Says, maxText)
		d.Change = &change
	}
	for i := range d.Excerpt.Lines {
		tidy(&d.Excerpt.Lines[i].Text, maxText)
	}
	tidy(&d.Excerpt.Missing, maxText)
}
