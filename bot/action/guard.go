package action

import (
	"context"
	"errors"
	"log/slog"

	"crashloop/bot/access"
	"crashloop/bot/audit"
	"crashloop/notify"
)

// Decider decides who may do what. *access.Decider is one.
type Decider interface {
	Decide(ctx context.Context, who notify.Person, permissions ...access.Permission) access.Decision
}

// Guard stands before everything that needs a person's permission: it decides, and writes down what was decided before it goes on.
type Guard struct {
	Access Decider
	Audit  *audit.Log
	Log    *slog.Logger
}

// Entering is what somebody is about to do or read.
type Entering struct {
	Person                          notify.Person
	What, Target, Incident, Channel string
}

// Pass is a decision with its open audit line. End must be called when it is allowed.
type Pass struct {
	Decision access.Decision

	record *audit.Record
	log    *slog.Logger
}

var errAudit = errors.New("nothing was done, because the audit log cannot be written; the bot's own log says why")

// Enter decides, and writes the audit line: a refusal, or the beginning. An error means that it could not be written, and that nothing may
// be done.
func (g *Guard) Enter(ctx context.Context, e Entering, permissions ...access.Permission) (Pass, error) {
	dec := g.Access.Decide(ctx, e.Person, permissions...)
	line := audit.Entry{
		Person: e.Person.ID, Name: e.Person.Name, User: dec.Identity.User, Groups: dec.Identity.Groups,
		Action: e.What, Target: e.Target, Incident: e.Incident, Channel: e.Channel,
	}
	for _, p := range permissions {
		line.Permissions = append(line.Permissions, p.String())
	}
	if !dec.Allowed {
		if err := g.Audit.Refuse(context.WithoutCancel(ctx), line, dec.Says); err != nil {
			g.Log.Error("a refusal could not be written to the audit log", "action", e.What, "target", e.Target, "error", err)
		}
		return Pass{Decision: dec, log: g.Log}, nil
	}
	record, err := g.Audit.Begin(ctx, line)
	if err != nil {
		g.Log.Error("the audit log cannot be written; nothing is done", "action", e.What, "target", e.Target, "error", err)
		return Pass{}, errAudit
	}
	return Pass{dec, record, g.Log}, nil
}

// Refuse writes down a refusal that was no matter of the person's permissions.
func (g *Guard) Refuse(ctx context.Context, e Entering, why string) {
	line := audit.Entry{Person: e.Person.ID, Name: e.Person.Name, Action: e.What, Target: e.Target, Incident: e.Incident, Channel: e.Channel}
	if err := g.Audit.Refuse(context.WithoutCancel(ctx), line, why); err != nil {
		g.Log.Error("a refusal could not be written to the audit log", "action", e.What, "target", e.Target, "error", err)
	}
}

// End writes how it went. It has happened by then, so that a line that cannot be written is only logged.
func (p Pass) End(ctx context.Context, o audit.Outcome, detail string) {
	if p.record == nil {
		return
	}
	if err := p.record.End(ctx, o, detail); err != nil {
		p.log.Error("the end of an action could not be written to the audit log", "error", err)
	}
}
