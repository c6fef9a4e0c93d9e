package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os/user"
	"strings"

	"crashloop/notify/workspace"
)

// localUser is the one person in the local workspace: whoever started the program.
const localUser = "U0YOU"

// startLocal opens a Slack workspace on this machine that shows what Slack would, for one person. It serves on loopback only.
func startLocal(ctx context.Context, c Config, log *slog.Logger) (*workspace.Workspace, error) {
	o := workspace.DefaultOptions(log.With("part", "workspace"))
	name, real := "you", "You"
	if u, err := user.Current(); err == nil {
		name = strings.ToLower(cmp.Or(u.Username, name))
		real = cmp.Or(u.Name, u.Username, real)
	}
	channel := strings.TrimPrefix(c.Channel, "#")
	o.Users = []workspace.User{
		{ID: localUser, Name: name, RealName: real, Title: "You, with the rights of your kubeconfig"},
		{ID: workspace.BotUserID, Name: "crashloop", RealName: "Crashloop", Bot: true},
	}
	o.Usergroups = nil
	o.Channels = []workspace.Channel{{
		ID: workspace.ChannelIncidents, Name: channel, Topic: "What Slack would show for this cluster. Nothing leaves this machine.", Members: []string{localUser, workspace.BotUserID},
	}}
	w, err := workspace.New(o)
	if err != nil {
		return nil, fmt.Errorf("opening the local workspace: %w", err)
	}
	if err := w.Start(ctx, c.PageListen); err != nil {
		return nil, fmt.Errorf("opening the local workspace on %s (CRASHLOOP_PAGE_LISTEN): %w", c.PageListen, err)
	}
	return w, nil
}
