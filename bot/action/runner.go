package action

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/audit"
	"crashloop/notify"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
)

const (
	// limit bounds one action; it ends within the time that the program takes to stop.
	limit = 8 * time.Second
	// doubleClick is the time in which the same person's same action on the same object counts as one.
	doubleClick = 5 * time.Second
)

// Request is what a person asks to be done.
type Request struct {
	Person   notify.Person
	Action   string // its name, "restart"
	Target   Target
	Incident string // the id of the incident that it is about, empty when none
	Channel  string // where it was asked
}

// Outcome is what came of a request.
type Outcome struct {
	// Changed says that the cluster was changed.
	Changed bool
	// Says is what was done, to stand behind the person's name in the thread, which everyone reads: "restarted Deployment shop/web". Notes
	// are what everyone should know besides, a sentence each. Both are empty when nothing was changed.
	Says  string
	Notes []string
	// Undo is the name of the action that undoes it, empty when there is none.
	Undo string
	// Private is for the person alone.
	Private string
	// Refused says that the person may not, and Grant what an admin would run, or add to the access file, to allow it.
	Refused bool
	Grant   string
	// Request is what was asked.
	Request Request
}

// Options are what a Runner needs. All are required but Actions.
type Options struct {
	Client kubernetes.Interface
	Guard  *Guard
	// Actions are those that are switched on; none makes the bot read-only.
	Actions []Action
	Log     *slog.Logger
	// Instance names this bot in Events: its pod's name.
	Instance string
}

// Runner runs actions for people. It is safe for concurrent use.
type Runner struct {
	o Options

	mu     sync.Mutex
	recent map[attempt]time.Time // zero while it runs, else when it was done
}

type attempt struct {
	person, action string
	target         Target
}

// New returns a Runner, or an error that names what is missing.
func New(o Options) (*Runner, error) {
	if o.Client == nil || o.Guard == nil || o.Log == nil {
		return nil, errors.New("running actions needs a client, a guard and a logger")
	}
	if o.Instance == "" {
		o.Instance = "crashloop"
	}
	return &Runner{o: o, recent: map[attempt]time.Time{}}, nil
}

// Run decides, writes down, does, and writes down how it went. A refusal is an Outcome, as is having nothing to do. The error means that
// it was tried and failed, or could not be tried; its text is for the person.
func (r *Runner) Run(ctx context.Context, q Request) (Outcome, error) {
	out := Outcome{Request: q}
	entry := Entering{Person: q.Person, What: q.Action, Target: q.Target.String(), Incident: q.Incident, Channel: q.Channel}
	action, ok := Find(r.o.Actions, q.Action)
	if !ok {
		if known, ok := Find(All(), q.Action); ok {
			out.Refused, out.Private = true, known.Title+" is switched off: this bot may not change the cluster (CRASHLOOP_READ_ONLY)."
			r.o.Guard.Refuse(ctx, entry, "switched off")
			return out, nil
		}
		return out, fmt.Errorf("there is no action %q", q.Action)
	}
	if err := q.Target.Validate(); err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit) // what was begun is ended, also when the bot stops
	defer cancel()

	supported := slices.Contains(action.Kinds, q.Target.Kind)
	needs := []access.Permission{q.Target.Permission("get", "")}
	if supported {
		needs = action.Permissions(q.Target)
	}
	pass, err := r.o.Guard.Enter(ctx, entry, needs...)
	if err != nil {
		return out, err
	}
	if !pass.Decision.Allowed {
		out.Refused, out.Private, out.Grant = true, pass.Decision.Says, pass.Decision.Grant
		return out, nil
	}
	if !supported {
		out.Private = action.Instead(q.Target)
		pass.End(ctx, audit.Nothing, "not done to this kind")
		return out, nil
	}
	key := attempt{q.Person.ID, q.Action, q.Target}
	if says := r.claim(key); says != "" {
		out.Private = fmt.Sprintf("%s of %s %s; it is done once.", action.Title, q.Target.Words(), says)
		pass.End(ctx, audit.Nothing, "asked for twice")
		return out, nil
	}
	res, err := action.do(ctx, work{
		client: r.o.Client, log: r.o.Log, target: q.Target, stamp: stamp(q.Action, q.Person, pass.Decision.Identity.String(), time.Now()),
	})
	r.settle(key, err == nil)

	var un *unneeded
	switch {
	case errors.As(err, &un):
		out.Private = un.says
		pass.End(ctx, audit.Nothing, "nothing to do")
		return out, nil
	case err != nil:
		pass.End(ctx, audit.Failed, err.Error())
		return out, explain(action, q.Target, err)
	}
	out.Changed, out.Says, out.Notes, out.Undo = true, res.did, res.notes, action.undo
	out.Private = strings.Join(append([]string{"Done: you " + res.did + "."}, res.notes...), " ")
	pass.End(ctx, audit.Done, "")
	r.event(ctx, action, q, pass.Decision.Identity)
	return out, nil
}

// claim takes the right to do it now, or says why it is not done again.
func (r *Runner) claim(key attempt) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for k, done := range r.recent {
		if !done.IsZero() && now.Sub(done) > doubleClick {
			delete(r.recent, k)
		}
	}
	done, ok := r.recent[key]
	switch {
	case !ok:
		r.recent[key] = time.Time{}
		return ""
	case done.IsZero():
		return "is under way already"
	}
	return "was done a moment ago"
}

func (r *Runner) settle(key attempt, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if done {
		r.recent[key] = time.Now()
	} else {
		delete(r.recent, key)
	}
}

// explain tells a person what an error of the API means for them.
func explain(a Action, t Target, err error) error {
	what := fmt.Sprintf("%s of %s failed", a.Title, t.Words())
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: you may, but the bot's own ServiceAccount may not; compare its ClusterRole with deploy/rbac.yaml: %w", what, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: the cluster's API did not answer in time; look before you try again: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
