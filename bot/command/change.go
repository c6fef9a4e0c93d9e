package command

import (
	"context"

	"crashloop/bot/action"
	"crashloop/notify"
)

// changing makes the command of an action that changes the cluster.
func changing(name string) command {
	a, _ := action.Find(action.All(), name)
	return command{
		name: name, args: "NAME", short: a.Help, least: 1, most: 1, flags: namespaceFlag,
		long:     sentence(a.Help) + " Undo: " + sentence(a.Undo),
		examples: []string{name + " web", name + " shop/web", name + " shop/deployment/web"},
		buttons:  map[string]onClick{name: changeByClick},
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			m, err := c.resolve(ctx, c.args[0])
			if err != nil {
				return notify.Message{}, err
			}
			incident := ""
			if all := c.incidentsOf(m.target); len(all) > 0 {
				incident = all[0].Incident.ID
			}
			return c.change(ctx, action.Request{Person: c.person, Action: name, Target: m.target, Incident: incident, Channel: c.channel})
		},
	}
}

// change runs an action, tells the thread when it changed the cluster, and answers the person.
func (d *Dispatcher) change(ctx context.Context, q action.Request) (notify.Message, error) {
	out, err := d.o.Runner.Run(ctx, q)
	if err != nil {
		return notify.Message{}, err
	}
	if out.Changed && d.o.OnAction != nil {
		d.o.OnAction(context.WithoutCancel(ctx), q.Incident, out)
	}
	if out.Refused {
		return refused(out.Private, out.Grant), nil
	}
	emoji := "information_source"
	if out.Changed {
		emoji = "white_check_mark"
	}
	return notify.Message{Text: out.Private, Blocks: []notify.Block{{Text: []notify.Span{{Emoji: emoji}, notify.T(" " + out.Private)}}}}, nil
}
