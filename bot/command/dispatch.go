package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"crashloop/diagnose"
	"crashloop/notify"

	"github.com/spf13/pflag"
)

// command is one slash command.
type command struct {
	name  string
	args  string // what its usage shows behind the flags
	short string
	long  string
	// least and most are how many arguments it takes.
	least, most int
	flags       func(*pflag.FlagSet)
	examples    []string
	run         func(context.Context, *call) (notify.Message, error)
	// buttons are those of an incident's messages that do the same, by the name of their action.
	buttons map[string]onClick
	// kept are those that work when the bot no longer knows the incident.
	kept map[string]onKept
}

// onClick answers a button of an incident.
type onClick func(context.Context, *call, diagnose.Incident) (notify.Message, error)

// onKept answers a button by its value alone.
type onKept func(ctx context.Context, c *call, value string) (notify.Message, error)

// call is one use of a command.
type call struct {
	*Dispatcher
	command command
	person  notify.Person
	channel string
	args    []string
	flags   *pflag.FlagSet
}

// usageError is a mistake in what was typed; it is answered with the usage.
type usageError struct{ says string }

func (e *usageError) Error() string { return e.says }

func misuse(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// answer is an error that is a whole answer: a refusal, a choice, a miss.
type answer struct{ message notify.Message }

func (a *answer) Error() string { return a.message.Text }

// Command runs a slash command and answers it, whatever happens.
func (d *Dispatcher) Command(ctx context.Context, c notify.Command) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := d.run(ctx, c)
	d.reply(ctx, c.Reply, c.Person, m, err)
}

func (d *Dispatcher) run(ctx context.Context, c notify.Command) (notify.Message, error) {
	words, err := split(c.Text)
	if err != nil {
		return notify.Message{}, err
	}
	if len(words) == 0 {
		words = []string{"help"}
	}
	cmd, err := d.find(words[0])
	if err != nil {
		return notify.Message{}, err
	}
	call := &call{Dispatcher: d, command: cmd, person: c.Person, channel: c.Channel}
	if err := call.parse(words[1:]); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return d.helpOn(cmd), nil
		}
		return d.wrong(cmd, err), nil
	}
	m, err := cmd.run(ctx, call)
	var usage *usageError
	if errors.As(err, &usage) {
		return d.wrong(cmd, err), nil
	}
	return m, err
}

func (d *Dispatcher) find(name string) (command, error) {
	var names []string
	for _, c := range d.commands {
		if c.name == strings.ToLower(name) {
			return c, nil
		}
		names = append(names, c.name)
	}
	return command{}, &answer{say(fmt.Sprintf("There is no command %q. Did you mean %s %s? %s help lists them all.", cut(name, 40), d.o.Name, nearest(name, names, 1)[0], d.o.Name))}
}

func (c *call) parse(words []string) error {
	c.flags = pflag.NewFlagSet(c.command.name, pflag.ContinueOnError)
	c.flags.SetOutput(io.Discard)
	c.flags.Usage = func() {}
	c.flags.SortFlags = false
	if c.command.flags != nil {
		c.command.flags(c.flags)
	}
	if err := c.flags.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return misuse("%s", c.flagMistake(err))
	}
	c.args = c.flags.Args()
	switch n := len(c.args); {
	case n < c.command.least:
		return misuse("%s is missing.", c.command.args)
	case n > c.command.most && c.command.most == 0:
		return misuse("%s takes no arguments, and was given %q.", c.command.name, cut(c.args[0], 60))
	case n > c.command.most:
		return misuse("%q is one too many: %s takes one name.", cut(c.args[c.command.most], 60), c.command.name)
	}
	return nil
}

// flagMistake adds the nearest flag to pflag's error about one that does not exist.
func (c *call) flagMistake(err error) string {
	says := cut(err.Error(), 200)
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		c.flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearest(unknown.GetSpecifiedName(), names, 2); len(near) > 0 {
			says += "; did you mean --" + near[0] + "?"
		} else if len(names) == 0 {
			says += "; " + c.command.name + " has no flags"
		}
	}
	return sentence(says)
}

// wrong answers a mistake with what would be right.
func (d *Dispatcher) wrong(c command, err error) notify.Message {
	return notify.Message{Text: err.Error(), Blocks: []notify.Block{
		{Text: []notify.Span{notify.T(err.Error())}},
		{Code: d.usage(c)},
	}}
}

// reply sends an answer, and turns an error into one.
func (d *Dispatcher) reply(ctx context.Context, to notify.Replier, who notify.Person, m notify.Message, err error) {
	var whole *answer
	switch {
	case errors.As(err, &whole):
		m = whole.message
	case errors.Is(err, context.DeadlineExceeded):
		m = say("That took too long: the cluster's API is slow or does not answer. Try again in a moment.")
	case err != nil:
		m = say(sentence(cut(d.o.Redact(err.Error()), 1000)))
	}
	// An answer that took all its time must still be sent.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replyLimit)
	defer cancel()
	if err := to.Reply(ctx, m); err != nil {
		d.o.Log.Warn("an answer could not be sent", "person", who.ID, "error", err)
	}
}

// Click does what a button says. incident is nil when the bot no longer knows it.
func (d *Dispatcher) Click(ctx context.Context, c notify.Click, incident *diagnose.Incident) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := d.click(ctx, c, incident)
	d.reply(ctx, c.Reply, c.Person, m, err)
}
