package diagnose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Options are what an [Engine] needs besides its rules. The zero value works.
type Options struct {
	// Redact takes the secrets out of logs and objects before rules see them, and out of every text that leaves the engine; nil leaves all
	// as it is.
	Redact *Redactor
	// Logger is told of rules that fail; nil is silent.
	Logger *slog.Logger
	// TailLines and LimitBytes bound what is read of each log: 20000 lines and 2 MiB unless set.
	TailLines, LimitBytes int64
	// Depth is how many other workloads a chain may pass through: 3 unless set.
	Depth int
}

// Engine diagnoses. It holds no state between diagnoses and may be used by several goroutines at once.
type Engine struct {
	rules   []Rule
	options Options
	scanner *scanner
	closers []closer
	address *addressPatterns
	names   []*regexp.Regexp
}

// New compiles the rules. It returns all that is wrong with them: an id that stands twice, an unknown category, missing documentation,
// a pattern that does not compile.
func New(rules []Rule, options Options) (*Engine, error) {
	if options.TailLines <= 0 {
		options.TailLines = 20000
	}
	if options.LimitBytes <= 0 {
		options.LimitBytes = 2 << 20
	}
	if options.Depth <= 0 {
		options.Depth = 3
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	var wrong []error
	seen := map[string]bool{}
	for i := range rules {
		if err := rules[i].check(); err != nil {
			wrong = append(wrong, err)
		}
		if seen[rules[i].ID] {
			wrong = append(wrong, fmt.Errorf("rule %q: the id stands twice", rules[i].ID))
		}
		seen[rules[i].ID] = true
	}
	s, err := newScanner(append(slices.Clone(rules), connectionRule()))
	if err != nil {
		wrong = append(wrong, err)
	}
	closers, err := newClosers(rules)
	if err != nil {
		wrong = append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("building the catalogue: %w", err)
	}
	return &Engine{rules: slices.Clone(rules), options: options, scanner: s, closers: closers, address: newAddressPatterns(), names: namePatterns()}, nil
}

// redact takes the secrets out of a text.
func (e *Engine) redact(text string) string {
	if e.options.Redact == nil {
		return text
	}
	return e.options.Redact.Redact(text)
}

// Rules returns the catalogue in its order.
func (e *Engine) Rules() []Rule { return slices.Clone(e.rules) }

// Rule returns the rule with that id.
func (e *Engine) Rule(id string) (Rule, bool) {
	for _, r := range e.rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// Diagnose finds out why the symptom's subject fails. Reads that fail become gaps of the diagnosis; it returns an error only when the
// pod itself cannot be read or ctx is done.
func (e *Engine) Diagnose(ctx context.Context, view View, symptom Symptom) (Diagnosis, error) {
	return e.diagnose(newReader(ctx, view, e.options.Redact), symptom, 0, map[string]bool{})
}

func (e *Engine) diagnose(r *reader, symptom Symptom, depth int, visited map[string]bool) (Diagnosis, error) {
	c, err := e.open(r, symptom, depth, visited)
	if err != nil {
		return Diagnosis{}, err
	}
	findings := e.examine(c)
	if err := r.ctx.Err(); err != nil {
		return Diagnosis{}, fmt.Errorf("diagnosing %s: %w", c.Who(), err)
	}
	return e.conclude(c, findings), nil
}

// examine asks all rules and orders what they find.
func (e *Engine) examine(c *Case) []ranked {
	found := e.findings(c)
	findings := c.rank(found)
	if other := e.fromOtherRun(c, findings); other != nil {
		return other
	}
	if len(findings) > 0 && findings[0].Proof <= Messenger {
		return e.fromLastWords(c, found, findings)
	}
	return e.secondOpinion(c, findings)
}

// secondOpinion asks what the program's last words as a whole are about when the first finding rests on its words and is not certain. Where that is
// likely something else, a finding about that goes first, and the guess itself where there is none.
func (e *Engine) secondOpinion(c *Case, findings []ranked) []ranked {
	if len(findings) == 0 || findings[0].Proof > Corroborated || findings[0].Confidence == Certain || findings[0].At == 0 {
		return findings
	}
	about := func(f ranked) string {
		r, _ := e.Rule(f.Cause)
		return r.About
	}
	guess, ok := e.guess(c)
	if !ok || guess.Confidence != Likely || about(findings[0]) == "" || about(findings[0]) == about(ranked{Finding: guess}) {
		return findings
	}
	at := slices.IndexFunc(findings, func(f ranked) bool { return about(f) == about(ranked{Finding: guess}) })
	switch {
	case at > 0:
		first := findings[at]
		return slices.Insert(slices.Delete(findings, at, at+1), 0, first)
	case guess.Summary == "":
		return findings
	}
	findings[0].Confidence = Possible
	return append([]ranked{{Finding: guess}}, findings...)
}

// fromLastWords reads what the program said last, when the rules' own words told no more than its exit code or that it threw an exception.
func (e *Engine) fromLastWords(c *Case, found []Finding, findings []ranked) []ranked {
	first := findings[0]
	said := e.closing(c, first.Proof == Messenger)
	guess, guessed := Finding{}, false
	if first.Confidence != Certain {
		guess, guessed = e.guess(c)
	}
	// The shapes tell more of the same cause, and give way to another one only when that is likely.
	guessed = guessed && guess.Summary != ""
	sure := guessed && guess.Confidence == Likely && !slices.ContainsFunc(said, func(f Finding) bool { return f.Cause == guess.Cause })
	if len(said) > 0 {
		if findings = c.rank(append(found, said...)); !sure {
			return findings
		}
	}
	if f, ok := c.configuredOnly(); ok && first.Proof == Hint && !sure {
		guess, guessed = f, true
	}
	if !guessed {
		return findings
	}
	findings[0].Confidence = Possible
	return append([]ranked{{Finding: guess}}, findings...)
}

// guess asks the rules' last resort, which is never certain.
func (e *Engine) guess(c *Case) (Finding, bool) {
	for i := range e.rules {
		if e.rules[i].Last == nil {
			continue
		}
		for _, f := range e.ask(c, i, func() []Finding { return e.rules[i].Last(c) }) {
			if _, known := e.Rule(f.Cause); known {
				if f.guessed = true; f.Confidence != Likely {
					f.Confidence = Possible
				}
				return f, true
			}
		}
	}
	return Finding{}, false
}

// fromOtherRun looks into the other log there is when the one of the run that ended last says nothing: it may have been taken before that run
// had said why it ended. What the run before complained of is likely the same when it ended the same way, and what the present one complains
// of is possible. It returns nil when that tells no more.
func (e *Engine) fromOtherRun(c *Case, findings []ranked) []ranked {
	t := c.Last()
	if len(findings) == 0 || findings[0].Proof != Hint || t == nil || t.ExitCode == 0 || !c.otherLog() {
		return nil
	}
	most := Possible
	if before := c.Status.LastTerminationState.Terminated; c.Status.State.Terminated != nil && before != nil && before.ExitCode == t.ExitCode && before.Reason == t.Reason {
		most = Likely
	}
	found := c.rank(e.findings(c))
	if len(found) == 0 || found[0].Proof == Hint || found[0].Log != c.Log() {
		c.otherLog()
		return nil
	}
	for i := range found {
		if found[i].Confidence == Certain || most == Possible {
			found[i].Confidence = most
		}
	}
	return found
}

// open reads the pod and makes the case.
func (e *Engine) open(r *reader, symptom Symptom, depth int, visited map[string]bool) (*Case, error) {
	c := &Case{Symptom: symptom, Subject: symptom.Subject, Now: r.view.Now(), engine: e, read: r, depth: depth, visited: visited, Spec: &corev1.PodSpec{}, Meta: &metav1.ObjectMeta{}}
	if c.Subject.Cluster == "" {
		c.Subject.Cluster = r.view.Cluster()
	}
	if c.Subject.Pod != "" {
		o, err := c.Get(Pods, c.Subject.Namespace, c.Subject.Pod)
		switch {
		case err == nil:
			c.Pod, _ = o.(*corev1.Pod)
		case errors.Is(err, ErrNotFound):
			c.Gap("pod %s no longer exists", c.Subject.Pod)
		default:
			return nil, fmt.Errorf("reading pod %q: %w", c.Subject.Namespace+"/"+c.Subject.Pod, err)
		}
	}
	if c.Pod == nil && symptom.Condition != CannotCreate {
		if c.Pod = c.findPod(); c.Pod != nil {
			c.Subject.Pod = c.Pod.Name
		}
	}
	if c.Pod != nil {
		c.Spec, c.Meta = &c.Pod.Spec, &c.Pod.ObjectMeta
	} else if t := templateOf(c.Workload()); t != nil {
		c.Spec, c.Meta = &t.Spec, &t.ObjectMeta
	}
	if c.Subject.Container == "" && symptom.Condition != CannotCreate && len(c.Spec.Containers) == 1 {
		c.Subject.Container = c.Spec.Containers[0].Name
	}
	c.Subject.ContainerType = App
	for i := range c.Spec.InitContainers {
		if ic := &c.Spec.InitContainers[i]; ic.Name == c.Subject.Container {
			c.Container, c.Subject.ContainerType = ic, Init
			if isSidecar(ic) {
				c.Subject.ContainerType = Sidecar
			}
		}
	}
	for i := range c.Spec.Containers {
		if c.Spec.Containers[i].Name == c.Subject.Container {
			c.Container = &c.Spec.Containers[i]
		}
	}
	if c.Subject.Container == "" {
		c.Subject.ContainerType = symptom.Subject.ContainerType
	}
	if c.Pod != nil {
		c.Status = statusOf(c.Pod, c.Subject.Container)
	}
	return c, nil
}

// findPod looks for the workload's own pod that fails, when none was named or the one that was is gone.
func (c *Case) findPod() *corev1.Pod {
	var best *corev1.Pod
	for p := range c.pods(c.Subject.Namespace) {
		if c.workloadOf(p) != c.Subject.Workload {
			continue
		}
		if best == nil || failing(p) && !failing(best) || failing(p) == failing(best) && p.CreationTimestamp.After(best.CreationTimestamp.Time) {
			best = p
		}
	}
	return best
}

// failing says that something is wrong with a pod, whatever it is.
func failing(p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodPending {
		return true
	}
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.State.Waiting != nil || s.State.Terminated != nil && s.State.Terminated.ExitCode != 0 || s.LastTerminationState.Terminated != nil {
			return true
		}
	}
	return false
}

// workloadOf names the topmost built-in controller of a pod, "Deployment/web".
func (c *Case) workloadOf(p *corev1.Pod) string { return c.read.owners.workload(p) }

// findings asks every rule.
func (e *Engine) findings(c *Case) []Finding {
	hits := e.scanner.scan(c.Log())
	raise(c.Log(), hits)
	c.failures = hits[len(e.rules)]
	var out []Finding
	for i := range e.rules {
		for _, f := range e.ask(c, i, func() []Finding { return e.rules[i].Match(c, hits[i]) }) {
			f.Cause = e.rules[i].ID
			if f.Summary != "" {
				out = append(out, f)
			}
		}
	}
	// A chain may end at any cause, and the rule of that cause only knows its own symptoms.
	for _, d := range c.Dependencies() {
		if _, known := e.Rule(d.Finding.Cause); known && d.Finding.Summary != "" {
			f := d.Finding
			f.connection = true
			f.Settle = fmt.Sprintf("Try %s from inside the pod.", d.Address)
			out = append(out, f)
		}
	}
	return out
}

// ask runs one rule. A rule that panics is a defect of the rule: the others still answer, and the diagnosis says so.
func (e *Engine) ask(c *Case, i int, rule func() []Finding) (found []Finding) {
	defer func() {
		if p := recover(); p != nil {
			e.options.Logger.Error("a rule failed", "rule", e.rules[i].ID, "subject", c.Subject.Key(), "panic", p)
			c.Gap("the rule %s failed on this case; please report it", e.rules[i].ID)
			found = nil
		}
	}()
	return rule()
}
