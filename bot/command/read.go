package command

import (
	"context"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/bot/audit"
	"crashloop/notify"
)

// read asks whether the person may, writes the audit line, reads, and closes the line.
func (c *call) read(ctx context.Context, about string, incident string, needs []access.Permission, do func(context.Context) (notify.Message, error)) (notify.Message, error) {
	pass, err := c.o.Guard.Enter(ctx, action.Entering{Person: c.person, What: c.command.name, Target: about, Incident: incident, Channel: c.channel}, needs...)
	if err != nil {
		return notify.Message{}, err
	}
	if !pass.Decision.Allowed {
		return refused(pass.Decision.Says, pass.Decision.Grant), nil
	}
	m, err := do(ctx)
	if err != nil {
		pass.End(ctx, audit.Failed, "it could not be read")
	} else {
		pass.End(ctx, audit.Done, "")
	}
	return m, err
}

// podLogs is the permission to read the logs of a pod, or of every pod of a namespace: a workload's pods come and go.
func podLogs(namespace, pod string) access.Permission {
	return access.Permission{Verb: "get", Resource: "pods", Subresource: "log", Namespace: namespace, Name: pod}
}
