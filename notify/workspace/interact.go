package workspace

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// InteractionError is what Slack tells a person whose click or command did not
// work. Code is Slack's word: operation_timeout (no acknowledgement within 3 s),
// dispatch_failed (the app is not connected), unknown_command,
// not_supported_in_threads.
type InteractionError struct {
	Code string
	Text string // as the person reads it
}

func (e *InteractionError) Error() string {
	if e.Text == "" {
		return e.Code
	}
	return e.Code + ": " + e.Text
}

// Actor is a person at the keyboard. Workspace.As makes one.
type Actor struct {
	w    *Workspace
	user string
}

// As lets a user act. What an unknown or deactivated user does is refused.
func (w *Workspace) As(userID string) *Actor { return &Actor{w: w, user: userID} }

// person checks that the actor may act in the conversation. The lock is held.
func (a *Actor) person(channel string) (*User, *conversation, error) {
	u, c := a.w.users[a.user], a.w.convs[channel]
	switch {
	case u == nil:
		return nil, nil, fmt.Errorf("acting as %q: no such user", a.user)
	case u.Deleted:
		return nil, nil, fmt.Errorf("acting as %q: the account is deactivated", u.Name)
	case u.Bot:
		return nil, nil, fmt.Errorf("acting as %q: a bot has no keyboard", u.Name)
	case c == nil:
		return nil, nil, fmt.Errorf("acting as %q: no conversation %q", u.Name, channel)
	case !c.has(u.ID):
		return nil, nil, fmt.Errorf("acting as %q: not a member of %q", u.Name, channel)
	}
	return u, c, nil
}

// OpenDM opens the direct message with another user and returns its id.
func (a *Actor) OpenDM(other string) (string, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	if a.w.users[a.user] == nil || a.w.users[other] == nil || other == a.user {
		return "", fmt.Errorf("opening a direct message between %q and %q: both must be users, and two of them", a.user, other)
	}
	c, opened := a.w.openIM(a.user, other)
	if opened {
		a.w.touch()
	}
	return c.ID, nil
}

// Post says something in a channel and returns the message's ts. Text is what a
// person types: & < > are escaped, @name and #channel become mentions.
func (a *Actor) Post(channel, text string) (string, error) { return a.Reply(channel, "", text) }

// Reply says something in the thread under rootTS.
func (a *Actor) Reply(channel, rootTS, text string) (string, error) {
	w := a.w
	w.mu.Lock()
	u, c, err := a.person(channel)
	if err == nil && c.Archived {
		err = fmt.Errorf("posting to %q: it is archived", c.Name)
	}
	if strings.TrimSpace(text) == "" && err == nil {
		err = fmt.Errorf("posting to %q: there is no text", channel)
	}
	if r := []rune(text); len(r) > maxPostText {
		text = string(r[:maxPostText])
	}
	m := &Message{User: a.user, Text: w.typed(text)}
	if err == nil {
		if e := w.thread(c, m, rootTS); e != nil {
			err = fmt.Errorf("replying in %q: %w", channel, e)
		}
	}
	if err != nil {
		w.mu.Unlock()
		return "", err
	}
	w.add(c, m)
	ts := m.TS
	deliveries := w.eventsFor(c, u, m)
	w.mu.Unlock()
	for _, d := range deliveries {
		w.background(func() { _, _ = w.deliver(d.app, "events_api", d.payload, false) })
	}
	return ts, nil
}

// background runs f and lets Close wait for it.
func (w *Workspace) background(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopCtx.Err() == nil {
		w.running.Go(f)
	}
}

// typed turns what a person types into a message's text.
func (w *Workspace) typed(text string) string {
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	words := strings.SplitAfter(text, " ")
	for i, word := range words {
		core := strings.TrimRight(word, " ,.:;!?\n")
		rest := word[len(core):]
		switch {
		case len(core) < 2:
		case strings.HasPrefix(core, "https://"), strings.HasPrefix(core, "http://"):
			words[i] = "<" + core + ">" + rest
		case core == "@channel" || core == "@here" || core == "@everyone":
			words[i] = "<!" + core[1:] + ">" + rest
		case core[0] == '@':
			for _, u := range w.users {
				if u.Name == core[1:] {
					words[i] = "<@" + u.ID + ">" + rest
				}
			}
		case core[0] == '#':
			for _, c := range w.convs {
				if !c.im && c.Name == core[1:] {
					words[i] = "<#" + c.ID + "|" + c.Name + ">" + rest
				}
			}
		}
	}
	return strings.Join(words, "")
}

type eventDelivery struct {
	app     *app
	payload answer
}

// eventsFor lists the Events API deliveries that a person's message makes. The lock is held.
func (w *Workspace) eventsFor(c *conversation, u *User, m *Message) []eventDelivery {
	var out []eventDelivery
	for _, a := range w.apps {
		if !c.has(a.BotUserID) {
			continue
		}
		var kinds []string
		if strings.Contains(m.Text, "<@"+a.BotUserID+">") && slices.Contains(a.Events, "app_mention") {
			kinds = append(kinds, "app_mention")
		}
		if c.im && slices.Contains(a.Events, "message.im") || !c.im && !c.Private && slices.Contains(a.Events, "message.channels") {
			kinds = append(kinds, "message")
		}
		for _, kind := range kinds {
			ev := answer{"type": kind, "user": u.ID, "text": m.Text, "ts": m.TS, "channel": c.ID, "event_ts": m.TS, "team": w.opts.TeamID}
			if m.ThreadTS != "" {
				ev["thread_ts"] = m.ThreadTS
			}
			if kind == "message" {
				ev["channel_type"] = map[bool]string{true: "im", false: "channel"}[c.im]
			}
			out = append(out, eventDelivery{app: a, payload: answer{"token": "unused", "team_id": w.opts.TeamID, "api_app_id": a.ID, "event": ev,
				"type": "event_callback", "event_id": "Ev" + strings.ToUpper(randomHex(5)), "event_time": w.opts.Now().Unix(),
				"authorizations": []answer{{"team_id": w.opts.TeamID, "user_id": a.BotUserID, "is_bot": true}}}})
		}
	}
	return out
}

// Slash types a slash command, such as Slash(ch, "/crashloop", "list"), and
// returns once the app acknowledged it. An *InteractionError is what the person
// is shown instead.
func (a *Actor) Slash(channel, command, text string) error {
	return a.slash(channel, "", command, text)
}

// SlashInThread types a slash command in a thread's composer, which Slack refuses.
func (a *Actor) SlashInThread(channel, rootTS, command, text string) error {
	return a.slash(channel, rootTS, command, text)
}

func (a *Actor) slash(channel, threadTS, command, text string) error {
	w := a.w
	w.mu.Lock()
	u, c, err := a.person(channel)
	if err != nil {
		w.mu.Unlock()
		return err
	}
	fail := func(e *InteractionError) error {
		w.notice(Notice{User: u.ID, Channel: c.ID, TS: threadTS, Code: e.Code, Text: e.Text})
		return e
	}
	var target *app
	for _, x := range w.apps {
		holds := slices.ContainsFunc(x.Commands, func(cmd Command) bool { return cmd.Name == command })
		if holds && slices.Contains(x.tokens[x.BotToken].scopes, "commands") {
			target = x
		}
	}
	if target == nil {
		defer w.mu.Unlock()
		return fail(&InteractionError{Code: "unknown_command", Text: fmt.Sprintf("%s is not a valid command. In Slack, a message that starts with “/” is a command.", command)})
	}
	if threadTS != "" {
		defer w.mu.Unlock()
		return fail(&InteractionError{Code: "not_supported_in_threads", Text: command + " is not supported in threads. Sorry!"})
	}
	hook := w.newResponseURL(&responseURL{app: target, conv: c.ID, user: u.ID})
	name := c.Name
	if c.im {
		name = "directmessage"
	}
	payload := answer{"token": "unused", "team_id": w.opts.TeamID, "team_domain": w.opts.TeamDomain, "channel_id": c.ID, "channel_name": name,
		"user_id": u.ID, "user_name": u.Name, "command": command, "text": text, "api_app_id": target.ID, "is_enterprise_install": false,
		"response_url": hook.url, "trigger_id": w.triggerID()}
	w.mu.Unlock()

	reply, failed := w.deliver(target, "slash_commands", payload, true)
	w.mu.Lock()
	defer w.mu.Unlock()
	if failed != nil {
		failed.Text = fmt.Sprintf("%s failed with the error “%s”", command, failed.Code)
		return fail(failed)
	}
	if len(reply) > 0 && string(reply) != "null" {
		var body map[string]json.RawMessage
		if json.Unmarshal(reply, &body) == nil && len(body) > 0 {
			if e := w.respond(hook, body); e != nil {
				w.log.Warn("the payload of an acknowledgement was refused", "command", command, "error", e.code, "details", e.messages)
				return fail(&InteractionError{Code: e.code, Text: fmt.Sprintf("%s failed with the error “%s”", command, e.code)})
			}
		}
	}
	return nil
}

func (w *Workspace) triggerID() string {
	return fmt.Sprintf("%d.%d.%s", w.opts.Now().UnixMilli(), w.version, randomHex(8))
}

// Confirmation is an open confirm dialog. Nothing has been sent to the app yet.
type Confirmation struct {
	ConfirmDialog
	send func() error
}

// Yes presses the confirming button and returns once the app acknowledged the click.
func (c *Confirmation) Yes() error { return c.send() }

// Click presses the element with that action_id in a message: a button, or a menu
// with the value of one of its options. When the element asks for confirmation the
// dialog is returned and nothing is sent until its Yes. Otherwise Click returns once
// the app acknowledged; an *InteractionError is what the person is shown instead.
func (a *Actor) Click(channel, ts, actionID string, choice ...string) (*Confirmation, error) {
	return a.click(channel, ts, "", actionID, choice...)
}

// Press is Click followed by the Yes of the confirm dialog, if there is one.
func (a *Actor) Press(channel, ts, actionID string, choice ...string) error {
	c, err := a.Click(channel, ts, actionID, choice...)
	if err != nil || c == nil {
		return err
	}
	return c.Yes()
}

func (a *Actor) click(channel, ts, blockID, actionID string, choice ...string) (*Confirmation, error) {
	a.w.mu.Lock()
	_, _, el, err := a.element(channel, ts, blockID, actionID)
	a.w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	send := func() error { return a.send(channel, ts, el.BlockID, actionID, choice...) }
	if el.Confirm != nil {
		return &Confirmation{ConfirmDialog: *el.Confirm, send: send}, nil
	}
	return nil, send()
}

// element finds what is clicked, as the actor sees it. The lock is held.
func (a *Actor) element(channel, ts, blockID, actionID string) (*conversation, *Message, *Element, error) {
	_, c, err := a.person(channel)
	if err != nil {
		return nil, nil, nil, err
	}
	m := c.get(ts)
	if m == nil || m.EphemeralTo != "" && m.EphemeralTo != a.user {
		return nil, nil, nil, fmt.Errorf("clicking %q: no message %s in %q that %q sees", actionID, ts, channel, a.user)
	}
	var have []string
	var found *Element
	for _, e := range m.Elements() {
		if e.ActionID == actionID && (blockID == "" || blockID == e.BlockID) {
			return c, m, &e, nil
		}
		if e.ActionID == actionID && found == nil {
			found = &e
		}
		have = append(have, e.ActionID)
	}
	if found != nil { // an edit that came between the dialog and its button gave the block another id
		return c, m, found, nil
	}
	return nil, nil, nil, fmt.Errorf("clicking %q: message %s has no such element, only %q", actionID, ts, have)
}

func (a *Actor) send(channel, ts, blockID, actionID string, choice ...string) error {
	w := a.w
	w.mu.Lock()
	c, m, el, err := a.element(channel, ts, blockID, actionID)
	if err != nil {
		w.mu.Unlock()
		return err
	}
	var target *app
	for _, x := range w.apps {
		if x.ID == m.AppID {
			target = x
		}
	}
	action, err := actionOf(el, choice)
	if err == nil && target == nil {
		err = fmt.Errorf("clicking %q: message %s is no app's", actionID, ts)
	}
	if err != nil {
		w.mu.Unlock()
		return err
	}
	u := w.users[a.user]
	action["action_ts"] = w.nextTS()
	hook := w.newResponseURL(&responseURL{app: target, conv: c.ID, user: u.ID, original: m.TS})
	container := answer{"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": m.EphemeralTo != ""}
	if m.ThreadTS != "" {
		container["thread_ts"] = m.ThreadTS
	}
	name := c.Name
	if c.im {
		name = "directmessage"
	}
	payload := answer{"type": "block_actions", "token": "unused", "api_app_id": target.ID,
		"user":      answer{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.TeamID},
		"team":      answer{"id": w.opts.TeamID, "domain": w.opts.TeamDomain},
		"channel":   answer{"id": c.ID, "name": name},
		"container": container, "trigger_id": w.triggerID(), "enterprise": nil, "is_enterprise_install": false,
		"response_url": hook.url, "actions": []answer{action}, "state": answer{"values": stateOf(m, el, action)}}
	if m.EphemeralTo == "" { // Slack leaves the message out when it is ephemeral
		payload["message"] = w.wire(m, w.base, true)
	}
	w.mu.Unlock()

	if _, failed := w.deliver(target, "interactive", payload, false); failed != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		failed.Text = "That did not work: the app is not connected to the workspace."
		if failed.Code == "operation_timeout" {
			failed.Text = "That took too long: the app did not answer within 3 seconds. Try again."
		}
		w.notice(Notice{User: u.ID, Channel: c.ID, TS: m.TS, Code: failed.Code, Text: failed.Text})
		return failed
	}
	return nil
}

// actionOf is one entry of a payload's actions.
func actionOf(el *Element, choice []string) (answer, error) {
	out := answer{"type": el.Type, "action_id": el.ActionID, "block_id": el.BlockID}
	if el.Type == "button" {
		if len(choice) > 0 && choice[0] != "" {
			return nil, fmt.Errorf("clicking %q: a button has no choices", el.ActionID)
		}
		for _, k := range []string{"text", "value", "url", "style", "confirm"} {
			if v, ok := el.raw[k]; ok {
				out[k] = v
			}
		}
		return out, nil
	}
	if len(choice) == 0 {
		return nil, fmt.Errorf("clicking %q: say which option", el.ActionID)
	}
	var have []string
	for _, o := range el.Options {
		if o.Value == choice[0] {
			out["selected_option"] = o.raw
			if p, ok := el.raw["placeholder"]; ok {
				out["placeholder"] = p
			}
			return out, nil
		}
		have = append(have, o.Value)
	}
	return nil, fmt.Errorf("clicking %q: no option %q, only %q", el.ActionID, choice[0], have)
}

// stateOf is a payload's state: what every select of the message holds now.
func stateOf(m *Message, clicked *Element, action answer) answer {
	out := answer{}
	for _, e := range m.Elements() {
		if e.Type != "static_select" {
			continue
		}
		held := answer{"type": e.Type, "selected_option": e.raw["initial_option"]}
		if e.BlockID == clicked.BlockID && e.ActionID == clicked.ActionID {
			held["selected_option"] = action["selected_option"]
		}
		block, _ := out[e.BlockID].(answer)
		if block == nil {
			block = answer{}
			out[e.BlockID] = block
		}
		block[e.ActionID] = held
	}
	return out
}
