package workspace_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"crashloop/notify/workspace"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// dial opens a bare socket and returns it after its hello.
func dial(t *testing.T, w *workspace.Workspace) *websocket.Conn {
	t.Helper()
	conn, frame := dialRaw(t, w)
	if frame["type"] != "hello" {
		t.Fatalf("the first frame is %v", frame)
	}
	return conn
}

func dialRaw(t *testing.T, w *workspace.Workspace) (*websocket.Conn, map[string]any) {
	t.Helper()
	_, addr, err := client(w).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, res, err := websocket.DefaultDialer.Dial(addr, http.Header{"Origin": {"https://api.slack.com"}})
	if err != nil {
		t.Fatalf("dialing: %v (%v)", err, res)
	}
	t.Cleanup(func() { conn.Close() })
	var frame map[string]any
	if err := conn.ReadJSON(&frame); err != nil {
		t.Fatal(err)
	}
	return conn, frame
}

func TestEachEnvelopeGoesToOneSocket(t *testing.T) {
	w := start(t)
	var mu sync.Mutex
	got := map[int]int{}
	var done sync.WaitGroup
	for i := range 3 {
		conn := dial(t, w)
		done.Go(func() {
			for {
				var env struct {
					ID string `json:"envelope_id"`
				}
				if conn.ReadJSON(&env) != nil {
					return
				}
				mu.Lock()
				got[i]++
				mu.Unlock()
				_ = conn.WriteJSON(map[string]string{"envelope_id": env.ID})
			}
		})
	}
	for range 6 {
		if err := w.As(workspace.UserAlice).Slash(workspace.ChannelIncidents, "/crashloop", "list"); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	done.Wait()
	if got[0] != 2 || got[1] != 2 || got[2] != 2 {
		t.Errorf("the sockets got %v of 6 envelopes, want two each", got)
	}
}

func TestEleventhSocketIsTurnedAway(t *testing.T) {
	w := start(t)
	for range 10 {
		dial(t, w)
	}
	_, frame := dialRaw(t, w)
	if frame["type"] != "disconnect" || frame["reason"] != "too_many_websockets" {
		t.Errorf("the eleventh socket gets %v", frame)
	}
	if n := w.Sockets(); n != 10 {
		t.Errorf("%d sockets are open, want 10", n)
	}
}

func TestTicketWorksOnce(t *testing.T) {
	w := start(t)
	_, addr, err := client(w).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.DefaultDialer.Dial(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, res, err := websocket.DefaultDialer.Dial(addr, nil); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a second use of the ticket: %v", err)
	}
}

func TestPings(t *testing.T) {
	w := start(t, func(o *workspace.Options) { o.PingInterval = 10 * time.Millisecond })
	conn := dial(t, w)
	pinged := make(chan struct{}, 100)
	conn.SetPingHandler(func(string) error { pinged <- struct{}{}; return nil }) // never answers
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	<-pinged
	<-ended // without pongs the socket is cut off
	wait(t, w, "the dead socket to go", func(s *workspace.Snapshot) bool { return s.Sockets == 0 })
}

func TestSocketFaults(t *testing.T) {
	w := start(t, func(o *workspace.Options) { o.AckTimeout = 100 * time.Millisecond })
	alice := w.As(workspace.UserAlice)
	slash := func() string {
		err := alice.Slash(workspace.ChannelIncidents, "/crashloop", "list")
		var ie *workspace.InteractionError
		if errors.As(err, &ie) {
			return ie.Code
		}
		if err != nil {
			return err.Error()
		}
		return ""
	}
	b := connect(t, w, nil)
	w.LoseAcks(1)
	if got := slash(); got != "operation_timeout" {
		t.Errorf("a lost ack shows as %q", got)
	}
	if got := slash(); got != "" {
		t.Errorf("the next one fails with %q", got)
	}
	w.SilenceSockets(true)
	if got := slash(); got != "operation_timeout" {
		t.Errorf("a silent socket shows as %q", got)
	}
	w.SilenceSockets(false)
	b.mu.Lock()
	if len(b.commands) != 2 {
		t.Errorf("%d commands arrived, want 2: the silent one is lost", len(b.commands))
	}
	b.mu.Unlock()

	// The client comes back by itself after a cut and after a request to go.
	for _, drop := range []func(){w.DropSockets, func() { w.DisconnectSockets("refresh_requested") }} {
		before := w.Snapshot().SocketsOpened
		drop()
		wait(t, w, "the socket to come back", func(s *workspace.Snapshot) bool { return s.SocketsOpened > before && s.Sockets == 1 })
		if got := slash(); got != "" {
			t.Errorf("after coming back: %q", got)
		}
	}
}

func TestRefusedSocket(t *testing.T) {
	w := start(t)
	w.RefuseSockets(true)
	_, addr, err := client(w).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, res, err := websocket.DefaultDialer.Dial(addr, nil); err == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("dialing gives %v", err)
	}
}

func TestEvents(t *testing.T) {
	w := start(t, func(o *workspace.Options) { o.Apps[0].Events = []string{"app_mention", "message.im"} })
	events := make(chan any, 10)
	connect(t, w, func(b *bot, ev socketmode.Event) bool {
		if ev.Type == socketmode.EventTypeEventsAPI {
			events <- ev.Data
		}
		return false
	})
	if _, err := w.As(workspace.UserDev).Post(workspace.ChannelIncidents, "hey @crashloop, what is up?"); err != nil {
		t.Fatal(err)
	}
	if ev := <-events; !strings.Contains(strings.ToLower(typeName(ev)), "eventsapi") {
		t.Errorf("got %T", ev)
	}
	dm, err := w.As(workspace.UserDev).OpenDM(workspace.BotUserID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.As(workspace.UserDev).Post(dm, "hello"); err != nil {
		t.Fatal(err)
	}
	<-events
}

func TestResponseURLEnds(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var mu sync.Mutex
	w := start(t, func(o *workspace.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	b := connect(t, w, nil)
	api := client(w)
	ch, ts, err := api.PostMessage(workspace.ChannelIncidents, slack.MsgOptionText("root", false), slack.MsgOptionBlocks(restartButton()))
	if err != nil {
		t.Fatal(err)
	}
	press := func() string {
		t.Helper()
		if err := w.As(workspace.UserAlice).Press(ch, ts, "restart"); err != nil {
			t.Fatal(err)
		}
		<-b.got
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.clicks[len(b.clicks)-1].ResponseURL
	}
	hook := press()
	if err := slack.PostWebhook(hook, &slack.WebhookMessage{Text: "only you", ThreadTimestamp: ts}); err != nil {
		t.Fatal(err)
	}
	eph := w.Snapshot().Ephemerals(workspace.UserAlice)
	if len(eph) != 1 || eph[0].ThreadTS != ts {
		t.Errorf("the answer is %+v, want it ephemeral in the thread", eph)
	}
	if err := slack.PostWebhook(hook, &slack.WebhookMessage{Text: "done", ReplaceOriginal: true}); err != nil {
		t.Fatal(err)
	}
	if m := w.Snapshot().Message(ch, ts); m.Text != "done" || len(m.Blocks) != 0 {
		t.Errorf("replaced to %+v", m)
	}
	if err := slack.PostWebhook(hook, &slack.WebhookMessage{DeleteOriginal: true}); err != nil {
		t.Fatal(err)
	}
	if m := w.Snapshot().Message(ch, ts); m != nil {
		t.Errorf("deleted, but still there: %+v", m)
	}
	mu.Lock()
	now = now.Add(31 * time.Minute)
	mu.Unlock()
	res, err := http.Post(hook, "application/json", strings.NewReader(`{"text":"late"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	calls := w.Calls()
	if last := calls[len(calls)-1]; res.StatusCode != http.StatusNotFound || last.Error != "expired_url" {
		t.Errorf("after half an hour: %s, %q", res.Status, last.Error)
	}
}
