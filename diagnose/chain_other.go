package diagnose

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// origin is the workload with which a chain of crash loops begins, and the two sentences of its own diagnosis.
type origin struct{ who, headline, advice string }

// other is another workload's diagnosis with its two sentences apart.
type other struct {
	Diagnosis
	origin           *origin // where its own chain of crash loops begins
	headline, advice string
}

// diagnoseOther diagnoses another workload, with this one remembered so that a circle ends.
func (c *Case) diagnoseOther(subject Subject, condition Condition) (other, bool) {
	if c.depth >= c.engine.options.Depth {
		return other{}, false
	}
	visited := maps.Clone(c.visited)
	visited[objectOf(c.Subject)] = true
	subject.Cluster = c.Subject.Cluster
	sub, err := c.engine.open(c.read, Symptom{Subject: subject, Condition: condition}, c.depth+1, visited)
	if err != nil {
		return other{}, false
	}
	findings := c.engine.examine(sub)
	if len(findings) == 0 {
		return other{}, false
	}
	return other{c.engine.conclude(sub, findings), findings[0].origin, findings[0].Summary, findings[0].Advice}, true
}

// adopt makes the other workload's cause the cause of this failure too: it is the deepest link that is proven.
func (c *Case) adopt(f Finding, said, root, says string, sub other) Finding {
	f.Cause, f.Confidence = sub.Cause, sub.Confidence
	f.Chain = append(f.Chain, Link{root, says})
	f.Root = root
	f.Summary = said + ": " + strings.TrimSuffix(sub.headline, ".")
	f.Advice = sub.advice
	return c.extend(f, sub)
}

// extend appends the other diagnosis's chain, evidence and fixes.
func (c *Case) extend(f Finding, sub other) Finding {
	self := objectOf(c.Subject)
	f.elsewhere = &sub.Diagnosis
	if sub.Root != self && len(sub.Chain) > 1 {
		f.Chain = append(f.Chain, sub.Chain[1:]...)
	}
	if sub.Root != "" && sub.Root != self { // a circle ends where it was entered
		f.Root = sub.Root
	}
	f.Evidence = append(f.Evidence, sub.Evidence[:min(len(sub.Evidence), 4)]...)
	f.Fixes, f.borrowed = append(f.Fixes, sub.Fixes...), len(sub.Fixes)
	if sub.Confidence == Possible && f.Confidence == Certain && f.Cause != "dependency.crash-looping" {
		f.Confidence = Likely
	}
	return f
}

// BelowJob goes on from a finding that ends at a Job of the subject's namespace to what is wrong with that: its diagnosis is added to the
// summary, the chain and the evidence, and its root becomes the finding's.
func (c *Case) BelowJob(f Finding, name string) Finding {
	job := Subject{Namespace: c.Subject.Namespace, Workload: "Job/" + name}
	if c.visited[objectOf(job)] {
		return f
	}
	condition := PodsFail
	var newest *corev1.Pod
	for p := range c.pods(c.Subject.Namespace) {
		if c.workloadOf(p) == job.Workload && p.Status.Phase != corev1.PodSucceeded && (newest == nil || p.CreationTimestamp.After(newest.CreationTimestamp.Time)) {
			newest = p
		}
	}
	if newest == nil {
		return f
	}
	subject, looping := c.subjectOf(newest)
	switch {
	case newest.Status.Phase == corev1.PodFailed:
	case looping:
		condition = CrashLoop
	case newest.Status.Phase == corev1.PodPending:
		condition = CannotStart
	default:
		return f // it runs
	}
	sub, ok := c.diagnoseOther(subject, condition)
	if !ok || sub.Cause == "" || sub.Cause == "app.exit-code" {
		return f
	}
	f.Summary += ", because " + strings.TrimSuffix(sub.headline, ".")
	return c.extend(f, sub)
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
