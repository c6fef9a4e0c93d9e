package command

import (
	"context"
	"errors"
	"strings"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/diagnose"
	"crashloop/notify"
)

// maxDescription bounds a description, in bytes.
const maxDescription = 512 << 10

func describe() command {
	return command{
		name: "describe", args: "NAME", short: "shows what kubectl describe shows", least: 1, most: 1, flags: namespaceFlag,
		long: "Shows what kubectl describe shows, without what looks like a secret. It needs the permission to get the object; events are " +
			"shown to those who may list events. Kinds: deployment, statefulset, daemonset, replicaset, job, cronjob, pod, service, pvc.",
		examples: []string{"describe web", "describe shop/pod/web-7d4b9c-x2x9z", "describe shop/service/postgres"},
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			m, err := c.resolve(ctx, c.args[0])
			if err != nil {
				return notify.Message{}, err
			}
			of := m.target
			if m.pod != "" {
				of = action.Target{Kind: "Pod", Namespace: of.Namespace, Name: m.pod}
			}
			return c.describe(ctx, of, "")
		},
		buttons: map[string]onClick{notify.ActionDescribe: func(ctx context.Context, c *call, inc diagnose.Incident) (notify.Message, error) {
			return c.describe(ctx, target(inc.Subject), inc.ID)
		}},
	}
}

func (c *call) describe(ctx context.Context, of action.Target, incident string) (notify.Message, error) {
	if err := of.Validate(); err != nil {
		return notify.Message{}, err
	}
	return c.read(ctx, of.String(), incident, []access.Permission{of.Permission("get", "")}, func(ctx context.Context) (notify.Message, error) {
		in, err := c.o.Access.May(ctx, c.person, access.Permission{Verb: "list", Resource: "events", Namespace: of.Namespace})
		if err != nil {
			return notify.Message{}, err
		}
		text, err := c.o.Describer.Describe(ctx, of, in)
		if errors.Is(err, action.ErrNoObject) {
			return say(sentence("There is no " + of.Words())), nil
		}
		if err != nil {
			return notify.Message{}, err
		}
		text = strings.TrimRight(c.o.Redact(notify.Clean(text)), "\n")
		if len(text) > maxDescription {
			text = strings.ToValidUTF8(text[:maxDescription], "") + "\n… (cut)"
		}
		note := "as kubectl describe shows it"
		if !in {
			note += "; without events, which you may not list"
		}
		return c.shown(of.Words(), note, of.Name+".txt", text), nil
	})
}
