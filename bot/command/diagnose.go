package command

import (
	"context"
	"fmt"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/diagnose"
	"crashloop/notify"
)

func diagnosis() command {
	return command{
		name: "diagnose", args: "NAME", short: "looks anew at why a workload keeps failing", least: 1, most: 1, flags: namespaceFlag,
		long:     "Looks anew at why a workload keeps failing, and shows the cause, its chain, the evidence and the fixes. It needs the permission to get pods/log, since evidence quotes logs. Where the trail leads into another namespace, it is followed as far as you may read logs there.",
		examples: []string{"diagnose web", "diagnose shop/web"},
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			m, err := c.resolve(ctx, c.args[0])
			if err != nil {
				return notify.Message{}, err
			}
			incident := ""
			if all := c.incidentsOf(m.target); len(all) > 0 {
				incident = all[0].Incident.ID
			}
			return c.diagnose(ctx, m.target, "", incident)
		},
		buttons: map[string]onClick{notify.ActionDiagnose: func(ctx context.Context, c *call, inc diagnose.Incident) (notify.Message, error) {
			return c.diagnose(ctx, target(inc.Subject), inc.Subject.Container, inc.ID)
		}},
	}
}

// diagnose looks at a workload, and of what it finds shows one container's when one is asked for.
func (c *call) diagnose(ctx context.Context, of action.Target, container, incident string) (notify.Message, error) {
	return c.read(ctx, of.String(), incident, []access.Permission{podLogs(of.Namespace, "")}, func(ctx context.Context) (notify.Message, error) {
		found, err := c.o.Diagnose(ctx, of.Namespace, of.Kind+"/"+of.Name, func(view diagnose.View) diagnose.View {
			return &reach{view, of.Namespace, func(ctx context.Context, namespace string) (bool, error) {
				return c.o.Access.May(ctx, c.person, podLogs(namespace, ""))
			}}
		})
		if err != nil {
			return notify.Message{}, fmt.Errorf("diagnosing %s: %w", of.Words(), err)
		}
		var m notify.Message
		for _, s := range found {
			if s.Diagnosis == nil || container != "" && s.Incident.Subject.Container != container {
				continue
			}
			one := c.o.Render(s.Incident, *s.Diagnosis)
			if m.Text == "" {
				m = one
				continue
			}
			m.Text += " " + one.Text
			m.Blocks = append(append(m.Blocks, notify.Block{Divider: true}), one.Blocks...)
		}
		if m.Text == "" {
			return say(fmt.Sprintf("Nothing keeps failing in %s just now.", of.Words())), nil
		}
		return m, nil
	})
}
