package slack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// Finding is one thing that `crashloop check` looked at.
type Finding struct {
	What string // "bot token", "scope users:read", "channel #incidents"
	OK   bool
	// Warning says that the bot works nevertheless, less well.
	Warning bool
	Says    string // what was found
	Do      string // what to do about it, empty when OK
}

// Check tries the tokens, the scopes and the channels against Slack. It changes nothing and posts nothing.
func (c *Client) Check(ctx context.Context, channels ...string) []Finding {
	var out []Finding
	if u, err := url.Parse(c.o.APIURL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		out = append(out, Finding{What: "API URL", Warning: true, Says: "tokens go to " + u.Host + " without encryption", Do: "use https for CRASHLOOP_SLACK_API_URL"})
	}
	self, err := c.Self(ctx)
	if err != nil {
		se, _ := errors.AsType[*notify.SendError](err)
		do := "check the network, a proxy, and CRASHLOOP_SLACK_API_URL"
		if se != nil && !se.Retry {
			do = notify.Advice(se.Reason)
		}
		return append(out, Finding{What: "bot token", Says: err.Error(), Do: do}, c.checkAppToken(ctx))
	}
	out = append(out, Finding{What: "bot token", OK: true, Says: fmt.Sprintf("bot %s in workspace %s", self.User, self.Team)})
	out = append(out, c.checkScopes()...)
	for _, ch := range channels {
		out = append(out, c.checkChannel(ctx, ch))
	}
	return append(out, c.checkAppToken(ctx))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// MissingScopes says which scopes Slack did not grant, as it told with the answer to the last call, and what does not work without each.
func (c *Client) MissingScopes() []Finding {
	return slices.DeleteFunc(c.checkScopes(), func(f Finding) bool { return f.OK })
}

func (c *Client) checkScopes() []Finding {
	c.mu.Lock()
	granted := c.scopes
	c.mu.Unlock()
	if granted == "" {
		return []Finding{{What: "scopes", Warning: true, Says: "Slack did not say which scopes the token has", Do: "compare the app with the manifest in deploy/"}}
	}
	have := map[string]bool{}
	for s := range strings.SplitSeq(granted, ",") {
		have[strings.TrimSpace(s)] = true
	}
	var out []Finding
	for _, s := range Scopes() {
		if !have[s.Name] {
			out = append(out, Finding{What: "scope " + s.Name, Warning: s.Optional, Says: "missing; it is needed " + s.Why, Do: "add it under OAuth & Permissions, and reinstall the app"})
		}
	}
	if len(out) == 0 {
		out = append(out, Finding{What: "scopes", OK: true, Says: "all there"})
	}
	return out
}

func (c *Client) checkChannel(ctx context.Context, name string) Finding {
	f := Finding{What: "channel " + name}
	id, err := c.ResolveChannel(ctx, name)
	if err != nil {
		f.Says, f.Do = err.Error(), "set CRASHLOOP_CHANNEL to the channel's id, which stands at the end of its details in Slack"
		return f
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	_, err = c.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{ChannelID: id, Limit: 1})
	if err == nil {
		f.OK, f.Says = true, "the bot is in it"
		return f
	}
	se, _ := errors.AsType[*notify.SendError](c.sendError("conversations.history", err))
	f.Says = se.Reason
	if se.Reason == "missing_scope" {
		f.Warning, f.Says = true, "cannot be looked into without channels:history (public) or groups:history (private)"
	}
	f.Do = notify.Advice(se.Reason)
	return f
}

func (c *Client) checkAppToken(ctx context.Context) Finding {
	f := Finding{What: "app token"}
	if c.o.AppToken == "" {
		f.Says, f.Do = "not set", "set CRASHLOOP_SLACK_APP_TOKEN to an app-level token (xapp-…) with connections:write"
		return f
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	if _, _, err := c.api.StartSocketModeContext(ctx); err != nil {
		f.Says, f.Do = c.redact(err.Error()), "check the network and the token"
		if fatal := c.fatal(err); fatal != nil {
			_, f.Do, _ = strings.Cut(fatal.Error(), "): ")
		}
		return f
	}
	f.OK, f.Says = true, "Socket Mode opens"
	return f
}

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)

// ResolveChannel turns a channel's name, "#incidents" or "incidents", into its id; an id stays as it is. Names take the scope
// channels:read (groups:read for private channels), which the bot otherwise does without.
func (c *Client) ResolveChannel(ctx context.Context, name string) (string, error) {
	if channelID.MatchString(name) {
		return name, nil
	}
	plain := strings.TrimPrefix(name, "#")
	if plain == "" {
		return "", errors.New("finding a Slack channel: no name given")
	}
	var refused error
	for _, kind := range []string{"public_channel", "private_channel"} {
		cursor := ""
		for {
			callCtx, cancel := c.call(ctx)
			chans, next, err := c.api.GetConversationsContext(callCtx, &slackgo.GetConversationsParameters{
				Types: []string{kind}, Limit: 1000, Cursor: cursor, ExcludeArchived: true})
			cancel()
			if err != nil {
				refused = c.sendError("conversations.list", err)
				break
			}
			for _, ch := range chans {
				if ch.Name == plain || ch.NameNormalized == plain {
					return ch.ID, nil
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	if se, ok := errors.AsType[*notify.SendError](refused); ok && se.Reason == "missing_scope" {
		return "", fmt.Errorf("finding Slack channel %q: it was not found, and looking channels up by name takes the scopes channels:read and groups:read: add them, or give the channel's id (C…) instead of its name", name)
	}
	if refused != nil {
		return "", fmt.Errorf("finding Slack channel %q: %w", name, refused)
	}
	return "", fmt.Errorf("finding Slack channel %q: there is none that the bot can see; invite the bot to it, or give the channel's id (C…)", name)
}
