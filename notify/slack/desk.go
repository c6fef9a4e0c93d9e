package slack

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"crashloop/notify"
)

// desk turns what Slack delivers into commands and clicks, and has them worked on.
type desk struct {
	c      *Client
	h      notify.Handler
	jobs   chan job
	busy   chan struct{} // bounds the replies that say that there is too much to do
	polite sync.WaitGroup
}

// job is one command or click, before Slack is asked who it comes from.
type job struct {
	user, team string
	reply      *replier
	command    *notify.Command
	click      *notify.Click
}

// take puts an event in line. It never blocks.
func (w *desk) take(ctx context.Context, e socketmode.Event) {
	defer w.recovered("reading what Slack sent")
	var jobs []job
	switch data := e.Data.(type) {
	case slackgo.SlashCommand:
		jobs = w.command(data)
	case slackgo.InteractionCallback:
		jobs = w.clicks(data)
	}
	for _, j := range jobs {
		select {
		case w.jobs <- j:
		default:
			w.c.log.Warn("too many commands and clicks wait; one was turned away", "user", j.user, "waiting", waiting)
			w.turnAway(ctx, j)
		}
	}
}

// turnAway tells somebody to come back, if that takes no more than a free hand.
func (w *desk) turnAway(ctx context.Context, j job) {
	select {
	case w.busy <- struct{}{}:
	default:
		return
	}
	w.polite.Go(func() {
		defer func() { <-w.busy }()
		m := notify.Message{Text: "Too much is being asked of me right now, and your request was not worked on. Please try again in a minute."}
		if err := j.reply.Reply(ctx, m); err != nil {
			w.c.log.Debug("turning somebody away failed", "error", err)
		}
	})
}

func (w *desk) command(s slackgo.SlashCommand) []job {
	if s.Command != w.c.o.Command {
		w.c.log.Warn("a command that is not ours was ignored", "command", notify.Cut(notify.Clean(s.Command), 40))
		return nil
	}
	r := &replier{c: w.c, url: s.ResponseURL, channel: s.ChannelID, user: s.UserID, born: time.Now()}
	return []job{{user: s.UserID, team: s.TeamID, reply: r, command: &notify.Command{Channel: s.ChannelID, Text: s.Text, Reply: r}}}
}

func (w *desk) clicks(i slackgo.InteractionCallback) []job {
	if i.Type != slackgo.InteractionTypeBlockActions {
		return nil
	}
	channel := i.Container.ChannelID
	if channel == "" {
		channel = i.Channel.ID
	}
	ts := i.Container.MessageTs
	if ts == "" {
		ts = i.Message.Timestamp
	}
	thread := i.Container.ThreadTs
	if thread == "" {
		thread = i.Message.ThreadTimestamp
	}
	if thread == ts { // the root itself stands in the channel
		thread = ""
	}
	var jobs []job
	for _, a := range i.ActionCallback.BlockActions {
		if a == nil {
			continue
		}
		action, value := chosen(a.ActionID, a.Value, a.SelectedOption.Value)
		r := &replier{c: w.c, url: i.ResponseURL, channel: channel, thread: thread, user: i.User.ID, born: time.Now()}
		jobs = append(jobs, job{user: i.User.ID, team: i.User.TeamID, reply: r,
			click: &notify.Click{Channel: channel, TS: ts, Thread: thread, Action: action, Value: value, Reply: r}})
	}
	return jobs
}

// do finds out who asks, and lets the handler work.
func (w *desk) do(ctx context.Context, j job) {
	defer w.recovered("answering a command or click")
	p := w.c.person(ctx, j.user, j.team)
	switch {
	case j.command != nil:
		j.command.Person = p
		w.h.HandleCommand(ctx, *j.command)
	case j.click != nil:
		j.click.Person = p
		w.h.HandleClick(ctx, *j.click)
	}
}

func (w *desk) recovered(doing string) {
	if r := recover(); r != nil {
		w.c.log.Error("a panic while "+doing+"; the bot goes on", "panic", r, "stack", string(debug.Stack()))
	}
}
