package diagnose

import "time"

// Condition says which of the ways of failing opened an incident.
type Condition string

// The conditions, in the order in which they are tried.
const (
	// CrashLoop is a container that ended abnormally, was restarted and ended again; or that waits with CrashLoopBackOff.
	CrashLoop Condition = "crash-loop"
	// SlowLoop is a container that was restarted at least five times in 24 hours with like causes.
	SlowLoop Condition = "slow-loop"
	// CannotStart is a container that could not be started for a while: its image, its configuration, its volumes, its node.
	CannotStart Condition = "cannot-start"
	// PodsFail is a workload whose pods fail, are evicted or are replaced again and again, each with restartCount 0.
	PodsFail Condition = "pods-fail"
	// CannotCreate is a workload whose pods cannot be created at all: quota, admission, webhook, ServiceAccount.
	CannotCreate Condition = "cannot-create"
)

// Symptom is why a container is looked at: who, and which condition holds, in words with the numbers that met it.
type Symptom struct {
	Subject   Subject
	Condition Condition
	// Says tells what was seen, such as "ended 3 times within 2m10s, each time with exit code 1".
	Says string
}

// IncidentState is where an incident stands in its life.
type IncidentState string

// The states of an incident. Recovered and Closed are final: what fails later is a new incident.
const (
	Open      IncidentState = "open"
	Recovered IncidentState = "recovered" // every instance has run, ready and unrestarted, for long enough
	Closed    IncidentState = "closed"    // the workload was deleted or scaled to zero
)

// Incident is one workload's container failing again and again, from the first sign to its end. It is a value: bot/incident makes a
// new one at each change.
type Incident struct {
	// ID names this incident and no other, in messages, logs and state; short enough for a button's value. The same failure seen after a
	// restart of the bot keeps its ID.
	ID        string        `json:"id"`
	Subject   Subject       `json:"subject"`
	Condition Condition     `json:"condition"`
	Says      string        `json:"says"` // what opened it, in words
	State     IncidentState `json:"state"`
	// Since is when the trouble began as far as the cluster still knows; Opened is when the bot saw it.
	Since  time.Time `json:"since"`
	Opened time.Time `json:"opened"`
	// LastCrash is when the container last ended, zero when it never ran.
	LastCrash time.Time `json:"lastCrash,omitzero"`
	// LongestRun is the longest interval seen between two crashes; recovery waits for twice that.
	LongestRun time.Duration `json:"longestRun,omitempty"`
	Restarts   int32         `json:"restarts"`
	ExitCode   *int32        `json:"exitCode,omitempty"`
	// Fingerprint tells like causes from unlike ones without a diagnosis: the last reason and exit code.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Failing and Instances count the pods that fail and those that there are.
	Failing   int       `json:"failing"`
	Instances int       `json:"instances"`
	Ended     time.Time `json:"ended,omitzero"`
	EndedSays string    `json:"endedSays,omitempty"` // why it is over, in words
}
