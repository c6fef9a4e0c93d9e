package diagnose

import (
	"fmt"
	"strings"
)

// Rule is one cause of the catalogue: how it is recognized and how it is explained. The thread, the terminal, the JSON, `explain` and
// docs/causes.md all print this one value.
type Rule struct {
	ID       string // "config.env-missing": part of the contract, never renamed
	Category string // one of [Categories]
	Title    string // a short sentence without a full stop
	Doc      Doc
	// Log holds what the rule looks for in a container's log. All rules' patterns are searched in one pass.
	Log []Pattern
	// Closing is how the last words of a program speak of this cause in general. Match is asked about them, as about hits of Log, when all
	// rules together know no more than the exit code.
	Closing []Shape
	// Match looks at a case and says what it finds. hits are the lines that this rule's own patterns matched, in the order of the log. It
	// must cite what it claims, and return nothing when the evidence does not carry it.
	Match func(c *Case, hits []Hit) []Finding
	// About is what the last words of a program are about that ends of this cause: "config", "connection". Causes that share it are told apart by other
	// means than words. Empty where no words tell the cause.
	About string
	// Last is asked when no rule finds more than an exit code, or an exception that may carry something. Its findings say of which cause they are;
	// none is called more than likely, and those that are possible give way to Closing. It is asked, too, when what was found rests on words and is not
	// certain; a finding without a summary then only speaks for others of its cause.
	Last func(c *Case) []Finding
}

// Doc is a rule's documentation, in plain sentences of Markdown.
type Doc struct {
	Means   string // what has happened
	Confirm string // how to see it by hand, with kubectl
	Mend    string // how to get out of it
	Source  string // where the facts come from: a page, a specification, a file of source
}

// Pattern finds lines of a log. A line is tried only when one of Words stands in it; case does not matter for Words.
type Pattern struct {
	Name   string // tells the hits of one rule apart
	Words  []string
	Regexp string // RE2; empty when Words suffice
}

// Hit is one line that a pattern matched.
type Hit struct {
	Pattern  string
	Log      *Log
	Line     int    // counted from 1 in what was read
	Text     string // the line, or the fields of it that matter when it is JSON
	Level    Level
	groups   []string
	names    []string
	raised   bool // it calls itself a warning
	panicked bool // the error with which the program's own code called panic
	thrown   bool // ... threw it
	foreign  bool // ... a library threw it
}

// Group returns what the named group of the pattern's regular expression matched, or "". Where several alternatives have a group of that
// name, the later ones are numbered, as a name may stand once: arg, arg2, arg3.
func (h Hit) Group(name string) string {
	for i, n := range h.names {
		if i < len(h.groups) && h.groups[i] != "" && GroupName(n) == name {
			return h.groups[i]
		}
	}
	return ""
}

// GroupName is the name of a group of a regular expression without the number that tells it from its namesakes in other alternatives.
func GroupName(n string) string { return strings.TrimRight(n, "23456789") }

// DoesWithout says that the line tells how the program goes on in spite of what it complains of: "X is not set, skipping".
func (h Hit) DoesWithout() bool { return doesWithout.MatchString(h.Text) }

// Match is what the pattern's regular expression matched, or "".
func (h Hit) Match() string {
	if len(h.groups) == 0 {
		return ""
	}
	return h.groups[0]
}

// Cite makes the hit a piece of evidence.
func (h Hit) Cite() Evidence { return h.Log.Cite(h.Line) }

// Proof says what a finding rests on. A stronger proof wins over a weaker one.
type Proof int

// The proofs, weakest first.
const (
	// Hint is an exit code and nothing else.
	Hint Proof = iota
	// Messenger is an exception or panic as such: it gives way to a finding that names what it carries.
	Messenger
	// Words are the program's own, in its log.
	Words
	// Corroborated words agree with the pod's spec, with events or with other objects.
	Corroborated
	// Structural proof is in the status, events and objects of the cluster alone.
	Structural
)

// Finding is what a rule makes of a case.
type Finding struct {
	Cause      string // filled in by the engine: the rule's id
	Confidence Confidence
	Proof      Proof
	// Weight orders findings of like proof: 0 for an ordinary one, up to 90 for one that knows more; far below 0 for one that hardly counts.
	Weight int
	// At is the decisive line of the log, for findings that rest on one; Span is the last line that belongs to it.
	Log      *Log
	At, Span int
	// Keys are names that the finding turns on (a host, a path, a variable): a panic whose text holds one of them carries this finding.
	Keys []string

	Summary  string // one sentence: what is wrong and where
	Advice   string // one sentence: what to do
	Root     string // Kind/namespace/name of the object at fault, empty when it is the subject
	Chain    []Link // from the subject's neighbour to the root; the engine puts the subject before it
	Evidence []Evidence
	Fixes    []Fix
	Settle   string // what would settle it, for when the finding ends among the alternatives
	// connection says that it is what a connection which failed led to, whatever its cause.
	connection bool
	// Killing says how a probe ends a container that answers it badly, or that has not come up: "shop/web is killed by its liveness probe,
	// because it answers with HTTP 503". A dependency that is proven to be down, and of which the program complains to the end, is then the
	// reason.
	Killing string
	// Unwell says that such a probe was answered: the program itself says that it is not well.
	Unwell bool
	// Unchanged says that a change of the pod template or its configuration cannot have set this off.
	Unchanged bool

	to        int        // where in the line's text the words end that it rests on, 0 when that is not known
	guessed   bool       // by a rule's Last
	raised    bool       // its line calls itself a warning: that the program ended of it is not proven
	elsewhere *Diagnosis // of the other workload that the failure comes from
	origin    *origin    // where the chain of crash loops begins
	borrowed  int        // how many of Fixes, the last ones, are that workload's
}

// FromHit starts a finding that rests on one line of a log.
func FromHit(h Hit, confidence Confidence, proof Proof) Finding {
	f := Finding{Confidence: confidence, Proof: proof, Log: h.Log, At: h.Line, Span: h.Line, raised: h.raised, Evidence: []Evidence{h.Cite()}}
	if m := h.Match(); m != "" {
		if i := strings.LastIndex(h.Text, m); i >= 0 {
			f.to = i + len(m)
		}
	}
	return f
}

// Category is a group of causes.
type Category struct {
	ID    string `json:"id"`
	Means string `json:"means"`
}

// Categories lists the groups of causes in the order in which they are shown.
func Categories() []Category {
	return []Category{
		{"app-error", "The program itself exits: a bug, its arguments, its data, or something that it depends on."},
		{"bad-image", "The image cannot run: entrypoint, architecture, libc, permissions, or it cannot be pulled."},
		{"missing-config", "An environment variable, file, ConfigMap, Secret or key that the program or the pod needs is not there."},
		{"resource-limits", "A limit on memory, CPU, disk, processes or files kills it."},
		{"volume", "A claim is not bound, a volume does not attach or mount, or the mount hides or forbids what is needed."},
		{"liveness-probe", "The kubelet kills a container whose liveness or startup probe fails."},
		{"dependency", "The program is healthy and what it needs is not: the root cause is another object in the cluster."},
		{"node", "The machine, its runtime or its network is at fault, not the pod."},
		{"component", "A part of the cluster itself (DNS, network, ingress, cloud controller, delivery pipeline) fails in a known way of its own."},
	}
}

// check says what is wrong with a rule, or nothing.
func (r *Rule) check() error {
	known := false
	for _, c := range Categories() {
		known = known || c.ID == r.Category
	}
	switch {
	case r.ID == "" || !strings.Contains(r.ID, ".") || r.ID != strings.ToLower(r.ID):
		return fmt.Errorf("rule %q: the id must look like \"config.env-missing\"", r.ID)
	case !known:
		return fmt.Errorf("rule %q: unknown category %q", r.ID, r.Category)
	case r.Title == "":
		return fmt.Errorf("rule %q: no title", r.ID)
	case r.Doc.Means == "" || r.Doc.Confirm == "" || r.Doc.Mend == "" || r.Doc.Source == "":
		return fmt.Errorf("rule %q: its documentation needs Means, Confirm, Mend and Source", r.ID)
	case r.Match == nil:
		return fmt.Errorf("rule %q: no Match", r.ID)
	}
	for _, p := range r.Log {
		if len(p.Words) == 0 {
			return fmt.Errorf("rule %q: pattern %q has no words to look for first", r.ID, p.Name)
		}
		for _, w := range p.Words {
			if len(w) < 3 || strings.ContainsAny(w, "\n\r") {
				return fmt.Errorf("rule %q: pattern %q: the word %q must have three characters or more and stand in one line", r.ID, p.Name, w)
			}
		}
	}
	return nil
}
