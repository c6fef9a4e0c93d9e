package command

import (
	"context"
	"fmt"

	"crashloop/bot/action"
	"crashloop/diagnose"
	"crashloop/notify"
)

// click does what a button of an incident's messages says.
func (d *Dispatcher) click(ctx context.Context, c notify.Click, incident *diagnose.Incident) (notify.Message, error) {
	for _, cmd := range d.commands {
		if answer := cmd.kept[c.Action]; answer != nil {
			return answer(ctx, &call{Dispatcher: d, command: cmd, person: c.Person, channel: c.Channel}, c.Value)
		}
	}
	if m, is := off(c); is {
		return m, nil
	}
	if incident == nil {
		return say(fmt.Sprintf("This incident ended so long ago that the bot no longer knows it. %s list shows what keeps failing now.", d.o.Name)), nil
	}
	for _, cmd := range d.commands {
		if answer := cmd.buttons[c.Action]; answer != nil {
			return answer(ctx, &call{Dispatcher: d, command: cmd, person: c.Person, channel: c.Channel}, *incident)
		}
	}
	return say(fmt.Sprintf("This button is from another version of the bot, which no longer knows %q. %s help shows what there is.", cut(c.Action, 60), d.o.Name)), nil
}

// changeByClick runs an action on an incident's workload. On one that is over, only what undoes is done: the workload may be well.
func changeByClick(ctx context.Context, c *call, inc diagnose.Incident) (notify.Message, error) {
	if inc.State != diagnose.Open && c.command.name != "scale-back" {
		return say(fmt.Sprintf("This incident is over (%s), so nothing was done. If you still mean it: %s %s %s",
			over(inc), c.o.Name, c.command.name, full(inc.Subject))), nil
	}
	return c.change(ctx, action.Request{Person: c.person, Action: c.command.name, Target: target(inc.Subject), Incident: inc.ID, Channel: c.channel})
}

func over(inc diagnose.Incident) string {
	if inc.EndedSays != "" {
		return inc.EndedSays
	}
	return string(inc.State)
}
