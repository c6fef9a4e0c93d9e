package workspace

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// keptInState is how many messages per conversation a page is sent when it opens.
const keptInState = 1000

// viewer is one open page.
type viewer struct {
	user string
	out  chan []byte
	lost bool // it fell behind and must start again
}

// change is one event of a page's stream.
type change struct {
	Kind         string        `json:"kind"`
	Channel      string        `json:"channel,omitempty"`
	TS           string        `json:"ts,omitempty"`
	Message      *pageMessage  `json:"message,omitempty"`
	Conversation *pageChannel  `json:"conversation,omitempty"`
	Notice       *Notice       `json:"notice,omitempty"`
	Call         *Call         `json:"call,omitempty"`
	Faults       *pageFaultSet `json:"faults,omitempty"`

	to string // the only user it is for, if any
}

// pageMessage is a message as the page gets it.
type pageMessage struct {
	*Message
	Channel   string `json:"channel"`
	Ephemeral bool   `json:"ephemeral,omitempty"`
}

type pageChannel struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Topic   string   `json:"topic,omitempty"`
	IM      bool     `json:"im,omitempty"`
	Private bool     `json:"private,omitempty"`
	Members []string `json:"members"`
}

type pageUser struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Real    string `json:"real_name"`
	Title   string `json:"title,omitempty"`
	Bot     bool   `json:"bot,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	Guest   bool   `json:"guest,omitempty"`
	Admin   bool   `json:"admin,omitempty"`
	Strange bool   `json:"stranger,omitempty"`
}

type pageFaultSet struct {
	Faults   []Fault     `json:"faults"`
	Silent   bool        `json:"silent"`
	Refuse   bool        `json:"refuse"`
	LoseAcks int         `json:"lose_acks"`
	Sockets  int         `json:"sockets"`
	Tokens   []pageToken `json:"tokens"`
}

type pageToken struct {
	Kind   string   `json:"kind"`
	Broken string   `json:"broken,omitempty"`
	Scopes []string `json:"scopes"`
}

// publish sends a change to every page that may see it. The lock is held.
func (w *Workspace) publish(c change) {
	var frame []byte
	for v := range w.viewers {
		if v.lost || c.to != "" && c.to != v.user || c.Channel != "" && !w.sees(v.user, w.convs[c.Channel]) {
			continue
		}
		if frame == nil {
			frame, _ = json.Marshal(c)
		}
		select {
		case v.out <- frame:
		default:
			v.lost = true
			close(v.out)
		}
	}
}

func (w *Workspace) publishMessage(c *conversation, m *Message) {
	w.publish(change{Kind: "message", Channel: c.ID, Message: &pageMessage{Message: m, Channel: c.ID, Ephemeral: m.EphemeralTo != ""}, to: m.EphemeralTo})
}

func (w *Workspace) publishRemoval(c *conversation, ts string) {
	w.publish(change{Kind: "removed", Channel: c.ID, TS: ts})
}

func (w *Workspace) publishConversation(c *conversation) {
	pc := pageChannelOf(c)
	w.publish(change{Kind: "conversation", Channel: c.ID, Conversation: &pc})
}

func (w *Workspace) publishFaults() {
	f := w.faultSet()
	w.publish(change{Kind: "faults", Faults: &f})
}

func (w *Workspace) publishSockets() { w.publishFaults() }

func (w *Workspace) faultSet() pageFaultSet {
	s := pageFaultSet{Faults: w.faultsLocked(), Silent: w.sockets.silent, Refuse: w.sockets.refuse, LoseAcks: w.sockets.loseAcks, Sockets: len(w.sockets.open)}
	if len(w.apps) > 0 {
		a := w.apps[0]
		for _, secret := range []string{a.BotToken, a.AppToken} {
			t := a.tokens[secret]
			s.Tokens = append(s.Tokens, pageToken{Kind: t.kind, Broken: t.broken, Scopes: t.scopes})
		}
	}
	return s
}

func pageChannelOf(c *conversation) pageChannel {
	return pageChannel{ID: c.ID, Name: c.Name, Topic: c.Topic, IM: c.im, Private: c.Private, Members: c.Members}
}

// state is everything a page shows to one user. The lock is held.
func (w *Workspace) state(user string) answer {
	users := []pageUser{}
	for _, u := range append(w.opts.Users, *w.users[slackbotID]) {
		users = append(users, pageUser{ID: u.ID, Name: u.Name, Real: u.RealName, Title: u.Title, Bot: u.Bot, Deleted: u.Deleted,
			Guest: u.Restricted || u.UltraRestricted, Admin: u.Admin, Strange: u.Stranger})
	}
	channels, messages := []pageChannel{}, []pageMessage{}
	for _, id := range w.convOrder {
		c := w.convs[id]
		if !w.sees(user, c) {
			continue
		}
		channels = append(channels, pageChannelOf(c))
		for _, m := range c.messages[max(0, len(c.messages)-keptInState):] {
			if m.EphemeralTo == "" || m.EphemeralTo == user {
				messages = append(messages, pageMessage{Message: m, Channel: c.ID, Ephemeral: m.EphemeralTo != ""})
			}
		}
	}
	commands := []Command{}
	apps := []answer{}
	for _, a := range w.apps {
		commands = append(commands, a.Commands...)
		apps = append(apps, answer{"id": a.ID, "name": a.Name, "user": a.BotUserID})
	}
	calls := w.calls[max(0, len(w.calls)-100):]
	return answer{"kind": "state", "team": w.opts.TeamName, "me": user, "users": users, "conversations": channels, "messages": messages,
		"usergroups": w.opts.Usergroups, "commands": commands, "apps": apps, "faults": w.faultSet(), "calls": calls}
}

// serveStream sends the whole state and then every change, as server-sent events.
// A page that falls behind is cut off; its EventSource comes back for a new state.
func (w *Workspace) serveStream(rw http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("as")
	v := &viewer{user: user, out: make(chan []byte, 512)}
	w.mu.Lock()
	u := w.users[user]
	if u == nil || u.Bot || u.Deleted {
		w.mu.Unlock()
		http.Error(rw, "no such person: add ?as=USER with an active user's id", http.StatusNotFound)
		return
	}
	first, err := json.Marshal(w.state(user))
	w.viewers[v] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.viewers, v)
		w.mu.Unlock()
	}()
	if err != nil {
		w.log.Error("writing the page's state", "error", err)
		return
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(rw)
	send := func(data []byte) bool {
		_ = flush.SetWriteDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(rw, "data: %s\n\n", data); err != nil {
			return false
		}
		return flush.Flush() == nil
	}
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	if !send(first) {
		return
	}
	for {
		select {
		case frame, ok := <-v.out:
			if !ok || !send(frame) {
				return
			}
		case <-beat.C:
			if _, err := fmt.Fprint(rw, ": still here\n\n"); err != nil || flush.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-w.stopCtx.Done():
			return
		}
	}
}
