package slack_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"crashloop/notify"
	"crashloop/notify/slack"
	"crashloop/notify/workspace"
)

// hands notes what it is told, and does what a test wants.
type hands struct {
	mu       sync.Mutex
	commands []notify.Command
	clicks   []notify.Click
	changed  chan struct{}
	do       func(ctx context.Context, text string, r notify.Replier)
}

func newHands() *hands { return &hands{changed: make(chan struct{}, 1000)} }

func (h *hands) HandleCommand(ctx context.Context, c notify.Command) {
	h.mu.Lock()
	h.commands = append(h.commands, c)
	h.mu.Unlock()
	h.changed <- struct{}{}
	if h.do != nil {
		h.do(ctx, c.Text, c.Reply)
	}
}

func (h *hands) HandleClick(ctx context.Context, c notify.Click) {
	h.mu.Lock()
	h.clicks = append(h.clicks, c)
	h.mu.Unlock()
	h.changed <- struct{}{}
	if h.do != nil {
		h.do(ctx, c.Action, c.Reply)
	}
}

func (h *hands) wait(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		h.mu.Lock()
		have := len(h.commands) + len(h.clicks)
		h.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-h.changed:
		case <-deadline:
			t.Fatalf("waited for %d commands and clicks, got %d", n, have)
		}
	}
}

// listen runs Listen until the test ends, and waits for the connection.
func (p *place) listen(t *testing.T, h notify.Handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.client.Listen(ctx, h) }()
	var once sync.Once
	var result error
	stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case result = <-ended:
			case <-time.After(30 * time.Second):
				t.Error("Listen does not end")
			}
		})
		return result
	}
	t.Cleanup(func() { _ = stop() })
	p.untilConnected(t)
	return stop
}

func (p *place) untilConnected(t *testing.T) {
	t.Helper()
	ctx := ctxOf(t)
	for !p.client.Connected() {
		select {
		case <-ctx.Done():
			t.Fatal("the socket does not come up")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func TestCommandsAndClicks(t *testing.T) {
	p, h := start(t, func(_ *workspace.Options, s *slack.Options) { s.Groups = true }), newHands()
	h.do = func(ctx context.Context, text string, r notify.Replier) {
		if err := r.Reply(ctx, notify.Message{Text: "you asked for " + text}); err != nil {
			t.Error(err)
		}
	}
	p.listen(t, h)
	ctx := ctxOf(t)

	if err := p.As(workspace.UserAlice).Slash(incidents, "/crashloop", "list all"); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 1)
	c := h.commands[0]
	if c.Text != "list all" || c.Channel != incidents || c.Person.ID != workspace.UserAlice || !c.Person.Member || c.Person.Email != "alice@example.com" ||
		strings.Join(c.Person.Groups, " ") != "S0SRE sre" {
		t.Errorf("%+v", c)
	}
	m := notify.Message{Text: "root", Blocks: []notify.Block{{Actions: &notify.Controls{
		Buttons: []notify.Button{{Action: "restart", Value: "3fa9", Text: "Restart", Confirm: &notify.Confirm{Title: "Restart shop/web?", Text: "Replaces all pods."}}, {Action: "logs", Value: "3fa9", Text: "Logs"}},
		Menu:    []notify.Button{{Action: "describe", Value: "3fa9", Text: "Describe"}, {Action: "scale-to-zero", Value: "3fa9", Text: "Scale to zero", Danger: true, Confirm: &notify.Confirm{Title: "Scale?", Text: "Stops it."}}},
	}}}}
	root, err := p.client.Post(ctx, incidents, "", "root", m)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := p.client.Post(ctx, incidents, root, "reply", m)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := p.As(workspace.UserDev).Click(incidents, root, "restart")
	if err != nil || conf == nil {
		t.Fatalf("no confirm dialog: %v, %v", conf, err)
	}
	if conf.Title != "Restart shop/web?" || conf.Style != "danger" {
		t.Errorf("%+v", conf.ConfirmDialog)
	}
	if err := conf.Yes(); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 2)
	if err := p.As(workspace.UserDev).Press(incidents, reply, slack.MenuAction, "describe|3fa9"); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 3)
	if conf, err := p.As(workspace.UserDev).Click(incidents, root, "scale-to-zero"); err != nil || conf == nil {
		t.Errorf("a menu entry to be confirmed lost its dialog: %v, %v", conf, err)
	}
	for i, want := range []notify.Click{{TS: root, Action: "restart"}, {TS: reply, Thread: root, Action: "describe"}} {
		got := h.clicks[i]
		if got.TS != want.TS || got.Thread != want.Thread || got.Action != want.Action || got.Value != "3fa9" || got.Channel != incidents || got.Person.ID != workspace.UserDev {
			t.Errorf("click %d: %+v", i, got)
		}
	}
	err = p.Wait(ctx, func(s *workspace.Snapshot) bool {
		return len(s.Ephemerals(workspace.UserDev)) == 2 && len(s.Ephemerals(workspace.UserAlice)) == 1
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Snapshot().Ephemerals(workspace.UserDev) {
		want := ""
		if strings.Contains(e.Visible(), "describe") { // which was clicked in the thread
			want = root
		}
		if e.ThreadTS != want {
			t.Errorf("the reply %q stands in thread %q, want %q", e.Visible(), e.ThreadTS, want)
		}
	}
	if n := len(p.Snapshot().Thread(incidents, root)); n != 1 {
		t.Errorf("the thread has %d public replies, want only the one that was posted", n)
	}
}

func TestWhoIsAMember(t *testing.T) {
	for _, tt := range []struct {
		user   string
		member bool
	}{
		{workspace.UserAlice, true}, {workspace.UserMallory, true}, {workspace.UserGuest, false}, {workspace.UserStranger, false},
	} {
		t.Run(tt.user, func(t *testing.T) {
			p, h := start(t), newHands()
			p.listen(t, h)
			if err := p.As(tt.user).Slash(incidents, "/crashloop", "whoami"); err != nil {
				t.Fatal(err)
			}
			h.wait(t, 1)
			if got := h.commands[0].Person; got.Member != tt.member || got.ID != tt.user {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("Slack does not say", func(t *testing.T) {
		p, h := start(t), newHands()
		if _, err := p.Inject(workspace.Fault{Method: "users.info", Kind: workspace.ServerError, Times: -1}); err != nil {
			t.Fatal(err)
		}
		p.listen(t, h)
		if err := p.As(workspace.UserAlice).Slash(incidents, "/crashloop", "whoami"); err != nil {
			t.Fatal(err)
		}
		h.wait(t, 1)
		if got := h.commands[0].Person; got.Member || got.Email != "" || got.ID != workspace.UserAlice {
			t.Errorf("%+v", got)
		}
	})
}

func TestLongReplyGoesToTheAsker(t *testing.T) {
	p, h := start(t), newHands()
	secret := strings.Repeat("a line of the log\n", 2000)
	h.do = func(ctx context.Context, _ string, r notify.Replier) {
		if err := r.Reply(ctx, notify.Message{Text: "log", File: &notify.File{Name: "web.log", Title: "web", Content: []byte(secret)}}); err != nil {
			t.Error(err)
		}
	}
	p.listen(t, h)
	if err := p.As(workspace.UserDev).Slash(incidents, "/crashloop", "logs web"); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctxOf(t), func(s *workspace.Snapshot) bool { return len(s.Ephemerals(workspace.UserDev)) == 1 }); err != nil {
		t.Fatal(err)
	}
	s := p.Snapshot()
	if e := s.Ephemerals(workspace.UserDev)[0]; !strings.Contains(e.Visible(), "direct message") {
		t.Errorf("the short reply says %q", e.Visible())
	}
	files := 0
	for _, m := range s.DM(workspace.UserDev) {
		files += len(m.Files)
	}
	if files != 1 {
		t.Errorf("%d files in the direct message, want 1", files)
	}
	for _, m := range s.Messages(incidents) {
		if m.EphemeralTo == "" {
			t.Errorf("the channel was told: %q", m.Visible())
		}
	}
}

func TestManyReplies(t *testing.T) {
	p, h := start(t), newHands() // a response_url works five times
	h.do = func(ctx context.Context, _ string, r notify.Replier) {
		for i := range 8 {
			if err := r.Reply(ctx, notify.Message{Text: fmt.Sprint("reply ", i)}); err != nil {
				t.Error(err)
			}
		}
	}
	p.listen(t, h)
	if err := p.As(workspace.UserDev).Slash(incidents, "/crashloop", "x"); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctxOf(t), func(s *workspace.Snapshot) bool { return len(s.Ephemerals(workspace.UserDev)) == 8 }); err != nil {
		t.Fatal(err)
	}
}

func TestPanicsAndSlowWorkDoNotStopTheSocket(t *testing.T) {
	p, h := start(t, func(_ *workspace.Options, s *slack.Options) { s.Workers = 2 }), newHands()
	release := make(chan struct{})
	h.do = func(ctx context.Context, text string, r notify.Replier) {
		switch {
		case text == "panic":
			panic("boom")
		case text == "slow":
			<-release
		}
	}
	p.listen(t, h)
	alice := p.As(workspace.UserAlice)
	for _, what := range []string{"panic", "panic", "panic", "slow", "slow", "slow", "slow"} {
		if err := alice.Slash(incidents, "/crashloop", what); err != nil { // acknowledged, whatever the workers do
			t.Fatalf("%s: %v", what, err)
		}
	}
	close(release)
	h.wait(t, 7)
}

func TestSocketComesBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		hurt func(p *place)
	}{
		{"dropped", func(p *place) { p.DropSockets() }},
		{"asked to refresh", func(p *place) { p.DisconnectSockets("refresh_requested") }},
		{"silent", func(p *place) {
			p.SilenceSockets(true)
			for p.client.Connected() && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			p.SilenceSockets(false)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, h := start(t, func(w *workspace.Options, s *slack.Options) {
				w.PingInterval, s.SocketSilence = 100*time.Millisecond, 400*time.Millisecond
			}), newHands()
			p.listen(t, h)
			tt.hurt(p)
			err := p.Wait(ctxOf(t), func(s *workspace.Snapshot) bool { return opened(s.Calls) == 2 && s.Sockets == 1 })
			if err != nil {
				t.Fatal("no second connection: ", err)
			}
			p.untilConnected(t)
			if err := p.As(workspace.UserAlice).Slash(incidents, "/crashloop", "list"); err != nil {
				t.Fatal(err)
			}
			h.wait(t, 1)
		})
	}
}

// TestReconnectsDoNotStorm keeps Slack turning connections away; slack-go alone makes thousands of them in a few seconds.
func TestReconnectsDoNotStorm(t *testing.T) {
	p, h := start(t), newHands()
	p.listen(t, h)
	end := time.Now().Add(3 * time.Second)
	for time.Now().Before(end) {
		p.DisconnectSockets("too_many_websockets")
		time.Sleep(5 * time.Millisecond)
	}
	if n := opened(p.Calls()); n > 5 {
		t.Errorf("%d connections in 3 s", n)
	}
}

// opened counts the connections that were asked for.
func opened(calls []workspace.Call) int {
	n := 0
	for _, c := range calls {
		if c.Method == "apps.connections.open" {
			n++
		}
	}
	return n
}

func TestRefusedTokensEndListening(t *testing.T) {
	for _, code := range []string{"invalid_auth", "token_revoked", "token_expired", "not_allowed_token_type", "account_inactive"} {
		t.Run(code, func(t *testing.T) {
			p := start(t)
			if err := p.BreakToken(p.AppToken(), code); err != nil {
				t.Fatal(err)
			}
			err := p.client.Listen(ctxOf(t), newHands())
			if err == nil || !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), "CRASHLOOP_SLACK_APP_TOKEN") {
				t.Errorf("%v", err)
			}
			if err != nil {
				holdsNoToken(t, p, strings.ReplaceAll(err.Error(), "xapp-…", ""))
			}
		})
	}
	t.Run("missing scope", func(t *testing.T) {
		p := start(t)
		if err := p.SetScopes(p.AppToken()); err != nil {
			t.Fatal(err)
		}
		if err := p.client.Listen(ctxOf(t), newHands()); err == nil || !strings.Contains(err.Error(), "connections:write") {
			t.Errorf("%v", err)
		}
	})
}

func TestShutdownKeepsAcks(t *testing.T) {
	p, h := start(t), newHands()
	begun := make(chan struct{})
	finished := make(chan error, 1)
	h.do = func(ctx context.Context, _ string, r notify.Replier) {
		close(begun)
		time.Sleep(100 * time.Millisecond)
		finished <- r.Reply(ctx, notify.Message{Text: "done"})
	}
	stop := p.listen(t, h)
	typed := make(chan error, 1)
	go func() { typed <- p.As(workspace.UserAlice).Slash(incidents, "/crashloop", "restart web") }()
	<-begun
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-typed; err != nil {
		t.Errorf("the person was told: %v", err)
	}
	select {
	case err := <-finished:
		if err != nil {
			t.Errorf("the reply under way failed: %v", err)
		}
	default:
		t.Error("Listen ended before the work under way did")
	}
	if p.client.Connected() {
		t.Error("still called connected")
	}
}

// hold keeps every worker until released.
func hold(release <-chan struct{}) func(context.Context, string, notify.Replier) {
	return func(ctx context.Context, _ string, _ notify.Replier) {
		select {
		case <-release:
		case <-ctx.Done():
		}
	}
}
