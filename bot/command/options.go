package command

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/diagnose"
	"crashloop/notify"
)

// Standing is an incident and the newest diagnosis of it, if there is one.
type Standing struct {
	Incident  diagnose.Incident
	Diagnosis *diagnose.Diagnosis
}

// Access says who a person is, and where they may look. *access.Decider is one.
type Access interface {
	Identity(ctx context.Context, who notify.Person) (access.Identity, access.Decision)
	Namespaces(ctx context.Context, who notify.Person, candidates []string) ([]string, error)
	May(ctx context.Context, who notify.Person, p access.Permission) (bool, error)
}

// Guard stands before everything that reads for a person. *action.Guard is one.
type Guard interface {
	Enter(ctx context.Context, e action.Entering, permissions ...access.Permission) (action.Pass, error)
	Refuse(ctx context.Context, e action.Entering, why string)
}

// Runner changes the cluster for a person. *action.Runner is one.
type Runner interface {
	Run(ctx context.Context, q action.Request) (action.Outcome, error)
}

// Directory knows what the cluster calls things. It reads with the bot's rights: what it says is filtered by the person's before anyone
// sees it. *action.Directory is one.
type Directory interface {
	// Namespaces lists those that the bot covers.
	Namespaces(ctx context.Context) ([]string, error)
	// Named finds the topmost workloads, and the pods, of exactly that name; an empty namespace or kind means any.
	Named(ctx context.Context, namespace, kind, name string) ([]action.Object, error)
	// Names lists topmost workloads, bounded; an empty namespace means all.
	Names(ctx context.Context, namespace string) ([]action.Object, error)
	// Pods lists the pods of a workload, those in trouble first.
	Pods(ctx context.Context, of action.Target) ([]action.Pod, error)
}

// Logs reads logs. *action.Reader is one.
type Logs interface {
	Log(ctx context.Context, q action.LogQuery) (action.LogText, error)
}

// Describer says what kubectl describe says. *action.Reader is one.
type Describer interface {
	Describe(ctx context.Context, t action.Target, events bool) (string, error)
}

// Options are what a Dispatcher needs. Name, Cluster, Evidence, OnAction and Actions may be left out.
type Options struct {
	// Name is the slash command as people type it, "/crashloop".
	Name string
	// Cluster is what messages call the cluster.
	Cluster   string
	Access    Access
	Guard     Guard
	Runner    Runner
	Directory Directory
	Logs      Logs
	Describer Describer
	// Evidence is what was kept of incidents; nil when nothing is.
	Evidence Evidence
	// Incidents returns the open incidents, and those that ended not long ago.
	Incidents func() []Standing
	// Diagnose looks anew at one workload: what keeps failing there, and why; nothing when nothing does. It must look through what within
	// makes of its View, which shows no more than the person who asks may see.
	Diagnose func(ctx context.Context, namespace, workload string, within func(diagnose.View) diagnose.View) ([]Standing, error)
	// Render draws a diagnosis as a message. It may quote logs: whoever asks was allowed to read them.
	Render func(inc diagnose.Incident, d diagnose.Diagnosis) notify.Message
	// Redact takes secrets out of logs and descriptions.
	Redact func(string) string
	// OnAction is told of each action that changed the cluster, for the incident's thread; incident is empty when there is none.
	OnAction func(ctx context.Context, incident string, out action.Outcome)
	// Actions are those that are switched on, for help.
	Actions []action.Action
	Log     *slog.Logger
}

// limit bounds one command; a person has given up by then.
const limit = 25 * time.Second

// Dispatcher runs what people type and click. It is safe for concurrent use; create it with New.
type Dispatcher struct {
	o        Options
	commands []command
}

// New returns a Dispatcher, or an error that names what is missing.
func New(o Options) (*Dispatcher, error) {
	if o.Access == nil || o.Guard == nil || o.Runner == nil || o.Directory == nil || o.Logs == nil || o.Describer == nil ||
		o.Incidents == nil || o.Diagnose == nil || o.Render == nil || o.Redact == nil || o.Log == nil {
		return nil, errors.New("commands need access, a guard, a runner, a directory, logs, a describer, incidents, a diagnosis, a renderer, redaction and a logger")
	}
	if o.Name == "" {
		o.Name = "/crashloop"
	}
	commands := []command{list(), diagnosis(), logs(), keptEvidence(), describe(), restart(), scaleToZero(), scaleBack(), whoami(), help()}
	if o.Evidence == nil {
		commands = slices.DeleteFunc(commands, func(c command) bool { return c.name == keptEvidence().name })
	}
	return &Dispatcher{o: o, commands: commands}, nil
}
