package diagnose

import (
	"slices"
	"strings"
	"time"
)

// Confidence says how far the evidence carries a cause.
type Confidence string

// The confidences. Certain needs proof from the cluster's own objects or the program's own unambiguous words.
const (
	Certain  Confidence = "certain"
	Likely   Confidence = "likely"
	Possible Confidence = "possible"
)

// Diagnosis is why one subject keeps failing. Its JSON form is a contract: see DESIGN and the README's "JSON" section. Every text in it
// is redacted and bounded, but not escaped: that is the business of whoever shows it.
type Diagnosis struct {
	Subject    Subject    `json:"subject"`
	Cause      string     `json:"cause"`    // an id of the catalogue
	Category   string     `json:"category"` // the cause's category
	Confidence Confidence `json:"confidence"`
	// Summary says in one or two sentences what is wrong and where, to a person who was just woken.
	Summary string `json:"summary"`
	// Root is Kind/namespace/name of the last object in the chain, Kind//name when it is cluster-scoped; empty when it is the subject itself.
	Root         string        `json:"root"`
	Chain        []Link        `json:"chain"`
	Change       *Change       `json:"change"`
	Evidence     []Evidence    `json:"evidence"`
	Fixes        []Fix         `json:"fixes"`
	Restarts     int32         `json:"restarts"`
	ExitCode     *int32        `json:"exitCode"`
	NextRetry    string        `json:"nextRetry"` // RFC 3339, empty when not known
	Alternatives []Alternative `json:"alternatives"`
	Gaps         []string      `json:"gaps"` // what could not be read, and what that hides

	// Excerpt holds the last log lines that matter, for the thread's first reply. It is not part of the JSON: evidence quotes what proves.
	Excerpt Excerpt `json:"-"`
	// Timeline holds the last runs of the container, oldest first.
	Timeline []Run `json:"-"`
	// Mentions are the other namespaces that the summary names.
	Mentions []string `json:"-"`
}

// Elsewhere lists the namespaces besides the subject's that the diagnosis tells of, in order. Whoever may not read there is not to be shown it.
func (d *Diagnosis) Elsewhere() []string {
	out := slices.Clone(d.Mentions)
	add := func(object string) {
		if _, rest, ok := strings.Cut(object, "/"); ok {
			if namespace, _, ok := strings.Cut(rest, "/"); ok && namespace != "" {
				out = append(out, namespace)
			}
		}
	}
	add(d.Root)
	for _, l := range d.Chain {
		add(l.Object)
	}
	if d.Change != nil {
		add(d.Change.Object)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(namespace string) bool { return namespace == d.Subject.Namespace })
}

// Link is one step of the chain from the symptom to the root object.
type Link struct {
	Object string `json:"object"` // Kind/namespace/name
	Says   string `json:"says"`
}

// Change is what was changed before the first crash and may have set it off.
type Change struct {
	Object string    `json:"object"`
	At     time.Time `json:"at"`
	Says   string    `json:"says"` // the difference in words: "image 1.4.1 -> 1.4.2, env DATABASE_URL removed"
}

// Evidence is one fact that a cause is proven by. Source names where it stands: "log web (previous) line 12", "event Unhealthy",
// "status.containerStatuses[web].lastState", "spec.containers[web].resources.limits.memory".
type Evidence struct {
	Source string `json:"source"`
	Text   string `json:"text"`
}

// Fix is one way out, safest first in its list. A fix has a command, a patch, or both; both can be empty when only words help.
type Fix struct {
	Title   string `json:"title"`
	Command string `json:"command"`
	Patch   string `json:"patch"`
}

// Alternative is another cause that the evidence does not rule out, and what would settle it.
type Alternative struct {
	Cause      string     `json:"cause"`
	Confidence Confidence `json:"confidence"`
	Says       string     `json:"says"`
}

// Excerpt is the part of a log that a person should see.
type Excerpt struct {
	Container string
	Previous  bool
	Lines     []Line
	// Empty says that the log was read and holds nothing; Missing says why it could not be read.
	Empty   bool
	Missing string
}

// Line is one line of a log with its number in what was read, counted from 1.
type Line struct {
	Number int
	Text   string
	Cited  bool // evidence quotes it
}

// Run is one life of a container. Started or Ended is zero when not known, or when it still runs.
type Run struct {
	Started, Ended time.Time
	ExitCode       int32
	Reason         string
}
