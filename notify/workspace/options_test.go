package workspace_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"crashloop/notify/workspace"

	"github.com/slack-go/slack"
)

func TestMistakesAreReportedTogether(t *testing.T) {
	_, err := workspace.New(workspace.Options{
		TeamID: "T1", TeamDomain: "x", PageToken: "short",
		Users:    []workspace.User{{ID: "bob"}, {ID: "U1"}, {ID: "U1"}},
		Channels: []workspace.Channel{{ID: "C1", Name: "a", Members: []string{"U9"}}},
		Apps:     []workspace.App{{Name: "app", BotToken: "nope"}},
	})
	if err == nil {
		t.Fatal("all of that was taken")
	}
	for _, want := range []string{"Logger", `"bob"`, `"U1" is used twice`, `unknown member "U9"`, `app "app" needs`, "xoxb-", "PageToken"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "nope") {
		t.Error("the error shows a token")
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	w, err := workspace.New(workspace.DefaultOptions(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "[::]:0"} {
		if err := w.Start(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("starting on %s: %v", addr, err)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	opts := workspace.DefaultOptions(slog.New(slog.DiscardHandler))
	w, err := workspace.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := w.Start(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, w)
	events := page{t, w, pageToken(w)}.stream(workspace.UserAlice)
	next(t, events, "state")
	waiting := make(chan error, 1)
	go func() { waiting <- w.Wait(context.Background(), func(*workspace.Snapshot) bool { return false }) }()
	w.Close()
	if err := <-waiting; err == nil {
		t.Error("Wait went on after Close")
	}
	for range events { // the stream ends
	}
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("the socket is still open")
	}
	conn.Close()
	http.DefaultClient.CloseIdleConnections()
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	w, err := workspace.New(workspace.DefaultOptions(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Start(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := w.Wait(context.Background(), func(*workspace.Snapshot) bool { return false }); err == nil {
		t.Error("Wait went on")
	}
	w.Close()
}

func TestWhatOnlyOnePersonSees(t *testing.T) {
	w := start(t)
	api := client(w)
	if _, err := api.PostEphemeral(workspace.ChannelIncidents, workspace.UserVic, slack.MsgOptionText("psst", false)); err != nil {
		t.Fatal(err)
	}
	eph := w.Snapshot().Ephemerals(workspace.UserVic)
	if len(eph) != 1 || len(w.Snapshot().Ephemerals(workspace.UserAlice)) != 0 || len(w.Snapshot().Roots(workspace.ChannelIncidents)) != 0 {
		t.Fatalf("ephemerals are %+v", eph)
	}
	h, err := api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: workspace.ChannelIncidents})
	if err != nil || len(h.Messages) != 0 {
		t.Errorf("history shows %+v, %v", h.Messages, err)
	}
	if _, _, _, err := api.UpdateMessage(workspace.ChannelIncidents, eph[0].TS, slack.MsgOptionText("x", false)); err == nil || err.Error() != "message_not_found" {
		t.Errorf("updating an ephemeral message: %v", err)
	}
	if _, err := w.As(workspace.UserAlice).Click(workspace.ChannelIncidents, eph[0].TS, "x"); err == nil {
		t.Error("alice clicked in a message that she does not see")
	}
}

func TestCommandsNeedTheirScope(t *testing.T) {
	w := start(t)
	connect(t, w, nil)
	if err := w.RemoveScope(w.BotToken(), "commands"); err != nil {
		t.Fatal(err)
	}
	var ie *workspace.InteractionError
	if err := w.As(workspace.UserAlice).Slash(workspace.ChannelIncidents, "/crashloop", "list"); !errors.As(err, &ie) || ie.Code != "unknown_command" {
		t.Errorf("without the scope: %v", err)
	}
}

func TestWhatPeopleType(t *testing.T) {
	w := start(t)
	for _, c := range []struct{ typed, stored string }{
		{"a < b & c > d", "a &lt; b &amp; c &gt; d"},
		{"hi @dev, see #general.", "hi <@" + workspace.UserDev + ">, see <#" + workspace.ChannelGeneral + "|general>."},
		{"@channel!", "<!channel>!"},
		{"@nobody #nowhere", "@nobody #nowhere"},
		{"see https://example.com/a?b=1&c=2.", "see <https://example.com/a?b=1&amp;c=2>."},
		{"<!channel>", "&lt;!channel&gt;"},
	} {
		ts, err := w.As(workspace.UserAlice).Post(workspace.ChannelIncidents, c.typed)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Snapshot().Message(workspace.ChannelIncidents, ts).Text; got != c.stored {
			t.Errorf("%q is stored as %q, want %q", c.typed, got, c.stored)
		}
	}
	for name, try := range map[string]func() error{
		"a stranger to the channel": func() error { _, err := w.As("U0NOPE").Post(workspace.ChannelIncidents, "x"); return err },
		"the deactivated":           func() error { _, err := w.As(workspace.UserGone).Post(workspace.ChannelIncidents, "x"); return err },
		"the bot":                   func() error { _, err := w.As(workspace.BotUserID).Post(workspace.ChannelIncidents, "x"); return err },
		"nothing":                   func() error { _, err := w.As(workspace.UserAlice).Post(workspace.ChannelIncidents, " "); return err },
		"an unknown thread": func() error {
			_, err := w.As(workspace.UserAlice).Reply(workspace.ChannelIncidents, "1.1", "x")
			return err
		},
	} {
		if try() == nil {
			t.Errorf("%s was allowed to post", name)
		}
	}
}

func TestVisible(t *testing.T) {
	w := start(t)
	blocks := `[{"type":"header","text":{"type":"plain_text","text":"Head"}},
		{"type":"section","fields":[{"type":"mrkdwn","text":"*Restarts* 7"}],"accessory":{"type":"button","text":{"type":"plain_text","text":"Go"}}},
		{"type":"rich_text","elements":[{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"item "},{"type":"user","user_id":"U0DEV"}]}]}]},
		{"type":"table","rows":[[{"type":"raw_text","text":"a"},{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"b"}]}]}]]}]`
	call(t, w, "chat.postMessage", map[string]string{"channel": workspace.ChannelIncidents, "text": "not shown", "blocks": blocks})
	want := "Head\n*Restarts* 7\nGo\nitem <@U0DEV>\na\tb"
	if got := w.Messages(workspace.ChannelIncidents)[0].Visible(); got != want {
		t.Errorf("visible is %q, want %q", got, want)
	}
}
