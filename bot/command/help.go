package command

import (
	"context"
	"fmt"
	"strings"

	"crashloop/bot/action"
	"crashloop/notify"

	"github.com/spf13/pflag"
)

func help() command {
	return command{
		name: "help", args: "[COMMAND]", short: "says what there is to type", most: 1,
		run: func(_ context.Context, c *call) (notify.Message, error) {
			if len(c.args) == 1 {
				about, err := c.find(c.args[0])
				if err != nil {
					return notify.Message{}, err
				}
				return c.helpOn(about), nil
			}
			return c.help(), nil
		},
	}
}

// help lists all commands.
func (d *Dispatcher) help() notify.Message {
	m := notify.Message{Text: "What you can type, and who sees it: only you, except what changes the cluster."}
	m.Blocks = append(m.Blocks, notify.Block{Text: []notify.Span{notify.T("What you can type. Only you see the answers; what changes the cluster is also said in the incident's thread.")}})
	var lines [][]notify.Span
	for _, c := range d.commands {
		if _, changes := action.Find(action.All(), c.name); changes {
			if _, on := action.Find(d.o.Actions, c.name); !on {
				continue
			}
		}
		lines = append(lines, []notify.Span{notify.C(strings.TrimSpace(d.o.Name + " " + c.name + " " + c.args)), notify.T(" " + c.short)})
	}
	m.Blocks = append(m.Blocks,
		notify.Block{List: lines},
		notify.Block{Context: []notify.Span{
			notify.T("NAME may be short: "), notify.C("web"), notify.T(", "), notify.C("shop/web"), notify.T(", "), notify.C("deployment/web"), notify.T(", "),
			notify.C("shop/deployment/web"), notify.T(", or a pod's name. More on each: "), notify.C(d.o.Name + " help COMMAND"),
		}})
	return m
}

// helpOn explains one command.
func (d *Dispatcher) helpOn(c command) notify.Message {
	about := c.long
	if about == "" {
		about = sentence(c.short)
	}
	return notify.Message{Text: d.o.Name + " " + c.name + ": " + about, Blocks: []notify.Block{
		{Text: []notify.Span{notify.T(about)}}, {Code: d.usage(c)},
	}}
}

// usage shows the line, the flags and examples.
func (d *Dispatcher) usage(c command) string {
	var b strings.Builder
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	fs.SortFlags = false
	if c.flags != nil {
		c.flags(fs)
	}
	fmt.Fprintf(&b, "%s %s", d.o.Name, c.name)
	if c.args != "" {
		b.WriteString(" " + c.args)
	}
	if fs.HasFlags() {
		b.WriteString(" [flags]\n" + strings.TrimRight(fs.FlagUsages(), "\n"))
	}
	for i, e := range c.examples {
		if i == 0 {
			b.WriteString("\n\nexamples:")
		}
		b.WriteString("\n  " + d.o.Name + " " + e)
	}
	return b.String()
}
