package workspace_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"crashloop/notify/workspace"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// start serves a workspace with quick timers and no pacing unless edit says otherwise.
func start(t *testing.T, edit ...func(*workspace.Options)) *workspace.Workspace {
	t.Helper()
	opts := workspace.DefaultOptions(slog.New(slog.DiscardHandler))
	opts.Pace.Off = true
	for _, e := range edit {
		e(&opts)
	}
	w, err := workspace.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func client(w *workspace.Workspace) *slack.Client {
	return slack.New(w.BotToken(), slack.OptionAPIURL(w.APIURL()), slack.OptionAppLevelToken(w.AppToken()),
		slack.OptionHTTPClient(&http.Client{Timeout: 30 * time.Second}))
}

// bot is an app on a socket: it acknowledges and remembers everything.
type bot struct {
	*socketmode.Client
	mu       sync.Mutex
	commands []slack.SlashCommand
	clicks   []slack.InteractionCallback
	got      chan struct{}
}

// connect opens a socket. onEvent may answer; without it everything is acknowledged.
func connect(t *testing.T, w *workspace.Workspace, onEvent func(*bot, socketmode.Event) bool) *bot {
	t.Helper()
	before := w.Sockets()
	b := &bot{Client: socketmode.New(client(w)), got: make(chan struct{}, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = b.RunContext(ctx) })
	done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case ev := <-b.Events:
				b.mu.Lock()
				switch ev.Type {
				case socketmode.EventTypeSlashCommand:
					b.commands = append(b.commands, ev.Data.(slack.SlashCommand))
				case socketmode.EventTypeInteractive:
					b.clicks = append(b.clicks, ev.Data.(slack.InteractionCallback))
				}
				b.mu.Unlock()
				if ev.Request == nil || ev.Request.EnvelopeID == "" {
					continue
				}
				if onEvent == nil || !onEvent(b, ev) {
					_ = b.Ack(*ev.Request)
				}
				b.got <- struct{}{}
			}
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	wait(t, w, "the socket to open", func(s *workspace.Snapshot) bool { return s.Sockets > before })
	return b
}

func wait(t *testing.T, w *workspace.Workspace, what string, cond func(*workspace.Snapshot) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := w.Wait(ctx, cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

func restartButton() slack.Block {
	b := slack.NewButtonBlockElement("restart", "inc-1", slack.NewTextBlockObject("plain_text", "Restart", false, false))
	b.Style = slack.StyleDanger
	b.Confirm = slack.NewConfirmationBlockObject(slack.NewTextBlockObject("plain_text", "Restart shop/web?", false, false),
		slack.NewTextBlockObject("plain_text", "Its pods are replaced one by one.", false, false),
		slack.NewTextBlockObject("plain_text", "Restart", false, false), slack.NewTextBlockObject("plain_text", "Cancel", false, false))
	more := slack.NewOverflowBlockElement("more",
		slack.NewOptionBlockObject("describe", slack.NewTextBlockObject("plain_text", "Describe", false, false), nil),
		slack.NewOptionBlockObject("mute", slack.NewTextBlockObject("plain_text", "Mute", false, false), nil))
	pick := slack.NewOptionsSelectBlockElement("static_select", slack.NewTextBlockObject("plain_text", "Container", false, false), "container",
		slack.NewOptionBlockObject("app", slack.NewTextBlockObject("plain_text", "app", false, false), nil),
		slack.NewOptionBlockObject("proxy", slack.NewTextBlockObject("plain_text", "proxy", false, false), nil))
	return slack.NewActionBlock("actions", b, more, pick)
}

func TestPostUpdateAndThread(t *testing.T) {
	w := start(t)
	api := client(w)
	ch, ts, err := api.PostMessage("#incidents", slack.MsgOptionText("web crash-loops", false), slack.MsgOptionBlocks(restartButton()),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "crashloop_incident", EventPayload: map[string]any{"id": "inc-1"}}))
	if err != nil {
		t.Fatal(err)
	}
	if ch != workspace.ChannelIncidents || len(ts) != len("1700000000.000123") {
		t.Errorf("posted to %q as %q", ch, ts)
	}
	_, reply, err := api.PostMessage(ch, slack.MsgOptionText("diagnosis", false), slack.MsgOptionTS(ts))
	if err != nil {
		t.Fatal(err)
	}
	if reply <= ts {
		t.Errorf("reply %s is not later than its root %s", reply, ts)
	}
	if _, _, _, err := api.UpdateMessage(ch, ts, slack.MsgOptionText("web recovered", false)); err != nil {
		t.Fatal(err)
	}
	s := w.Snapshot()
	root := s.Message(ch, ts)
	if root.Text != "web recovered" || len(root.Blocks) != 0 || root.Edited == nil || root.ReplyCount != 1 || root.LatestReply != reply {
		t.Errorf("root is %+v", root)
	}
	if got := s.Thread(ch, ts); len(got) != 1 || got[0].Text != "diagnosis" {
		t.Errorf("thread is %+v", got)
	}
	if got := s.Roots(ch); len(got) != 1 {
		t.Errorf("%d roots, want 1", len(got))
	}
	hist, err := api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: ch, IncludeAllMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(hist.Messages) != 1 || hist.Messages[0].Metadata.EventPayload["id"] != "inc-1" || hist.Messages[0].ReplyCount != 1 {
		t.Errorf("history is %+v", hist.Messages)
	}
	replies, _, _, err := api.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: ch, Timestamp: ts})
	if err != nil || len(replies) != 2 || replies[1].Text != "diagnosis" || replies[0].Metadata.EventType != "" {
		t.Errorf("replies are %+v, %v", replies, err)
	}
}

func TestClickCarriesEverything(t *testing.T) {
	w := start(t)
	b := connect(t, w, nil)
	api := client(w)
	ch, ts, err := api.PostMessage(workspace.ChannelIncidents, slack.MsgOptionText("x", false), slack.MsgOptionBlocks(restartButton()))
	if err != nil {
		t.Fatal(err)
	}
	alice := w.As(workspace.UserAlice)
	ask, err := alice.Click(ch, ts, "restart")
	if err != nil || ask == nil || ask.Title != "Restart shop/web?" || ask.Confirm != "Restart" || ask.Deny != "Cancel" {
		t.Fatalf("confirm is %+v, %v", ask, err)
	}
	if len(b.clicks) != 0 {
		t.Fatal("a click went out before its confirmation")
	}
	if err := ask.Yes(); err != nil {
		t.Fatal(err)
	}
	if err := alice.Press(ch, ts, "more", "mute"); err != nil {
		t.Fatal(err)
	}
	if err := alice.Press(ch, ts, "container", "proxy"); err != nil {
		t.Fatal(err)
	}
	if err := alice.Press(ch, ts, "container", "nope"); err == nil {
		t.Error("an option that is not there was taken")
	}
	if _, err := alice.Click(ch, ts, "nope"); err == nil {
		t.Error("a button that is not there was pressed")
	}
	if err := w.As(workspace.UserGone).Press(ch, ts, "restart"); err == nil {
		t.Error("a deactivated user clicked")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.clicks) != 3 {
		t.Fatalf("%d clicks arrived, want 3", len(b.clicks))
	}
	c := b.clicks[0]
	a := c.ActionCallback.BlockActions[0]
	if c.Type != slack.InteractionTypeBlockActions || c.User.ID != workspace.UserAlice || c.User.TeamID == "" || c.Team.ID == "" || c.Channel.ID != ch ||
		c.Container.MessageTs != ts || c.Message.Timestamp != ts || len(c.Message.Blocks.BlockSet) != 1 || a.ActionID != "restart" || a.BlockID != "actions" ||
		a.Value != "inc-1" || a.ActionTs == "" || c.TriggerID == "" || c.ResponseURL == "" || c.APIAppID != workspace.AppID {
		t.Errorf("the click arrived as %+v", c)
	}
	if got := b.clicks[1].ActionCallback.BlockActions[0].SelectedOption.Value; got != "mute" {
		t.Errorf("overflow choice is %q", got)
	}
	if got := b.clicks[2].BlockActionState.Values["actions"]["container"].SelectedOption.Value; got != "proxy" {
		t.Errorf("select state is %q", got)
	}
}

func TestSlashAndResponseURL(t *testing.T) {
	w := start(t)
	b := connect(t, w, func(b *bot, ev socketmode.Event) bool {
		if c, ok := ev.Data.(slack.SlashCommand); ok && c.Text == "now" {
			_ = b.Ack(*ev.Request, map[string]any{"text": "in the ack"})
			return true
		}
		return false
	})
	vic := w.As(workspace.UserVic)
	if err := vic.Slash(workspace.ChannelIncidents, "/crashloop", "now"); err != nil {
		t.Fatal(err)
	}
	if got := w.Snapshot().Ephemerals(workspace.UserVic); len(got) != 1 || got[0].Text != "in the ack" {
		t.Fatalf("ephemerals are %+v", got)
	}
	if err := vic.Slash(workspace.ChannelIncidents, "/crashloop", "list"); err != nil {
		t.Fatal(err)
	}
	<-b.got
	b.mu.Lock()
	cmd := b.commands[1]
	b.mu.Unlock()
	if cmd.Command != "/crashloop" || cmd.Text != "list" || cmd.UserID != workspace.UserVic || cmd.ChannelName != "incidents" {
		t.Errorf("command arrived as %+v", cmd)
	}
	api := client(w)
	// The five uses: four through the client, one as a webhook, then it is used up.
	for range 4 {
		if _, _, err := api.PostMessage("", slack.MsgOptionResponseURL(cmd.ResponseURL, "ephemeral"), slack.MsgOptionText("answer", false)); err != nil {
			t.Fatal(err)
		}
	}
	if err := slack.PostWebhook(cmd.ResponseURL, &slack.WebhookMessage{Text: "public", ResponseType: "in_channel"}); err != nil {
		t.Fatal(err)
	}
	if err := slack.PostWebhook(cmd.ResponseURL, &slack.WebhookMessage{Text: "too many"}); err == nil {
		t.Error("a sixth use of the response_url went through")
	}
	s := w.Snapshot()
	if n := len(s.Ephemerals(workspace.UserVic)); n != 5 {
		t.Errorf("%d ephemerals, want 5", n)
	}
	if got := s.Roots(workspace.ChannelIncidents); len(got) != 1 || got[0].Text != "public" {
		t.Errorf("channel holds %+v", got)
	}
}

func TestCommandsThatSlackRefuses(t *testing.T) {
	w := start(t, func(o *workspace.Options) { o.AckTimeout = 50 * time.Millisecond })
	alice := w.As(workspace.UserAlice)
	root, err := alice.Post(workspace.ChannelIncidents, "look")
	if err != nil {
		t.Fatal(err)
	}
	code := func(err error) string {
		var ie *workspace.InteractionError
		if errors.As(err, &ie) {
			return ie.Code
		}
		return ""
	}
	if got := code(alice.Slash(workspace.ChannelIncidents, "/crashloop", "list")); got != "dispatch_failed" {
		t.Errorf("without an app the code is %q", got)
	}
	connect(t, w, func(*bot, socketmode.Event) bool { return true }) // never acknowledges
	if got := code(alice.Slash(workspace.ChannelIncidents, "/crashloop", "list")); got != "operation_timeout" {
		t.Errorf("without an ack the code is %q", got)
	}
	if got := code(alice.SlashInThread(workspace.ChannelIncidents, root, "/crashloop", "list")); got != "not_supported_in_threads" {
		t.Errorf("in a thread the code is %q", got)
	}
	if got := code(alice.Slash(workspace.ChannelIncidents, "/nope", "")); got != "unknown_command" {
		t.Errorf("an unknown command gives %q", got)
	}
	if n := w.Snapshot().Notices; len(n) != 4 || !strings.Contains(n[1].Text, "operation_timeout") || n[1].User != workspace.UserAlice {
		t.Errorf("notices are %+v", n)
	}
}

func TestFiles(t *testing.T) {
	w := start(t)
	api := client(w)
	im, _, _, err := api.OpenConversation(&slack.OpenConversationParameters{Users: []string{workspace.UserVic}})
	if err != nil {
		t.Fatal(err)
	}
	up, err := api.GetUploadURLExternalContext(t.Context(), slack.GetUploadURLExternalParameters{FileName: "web.log", FileSize: 5})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(up.UploadURL, "application/octet-stream", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("upload answers %d", res.StatusCode)
	}
	if _, err := api.CompleteUploadExternalContext(t.Context(), slack.CompleteUploadExternalParameters{Files: []slack.FileSummary{{ID: up.FileID, Title: "Log"}}, Channel: im.ID, InitialComment: "here"}); err != nil {
		t.Fatal(err)
	}
	got := w.Snapshot().DM(workspace.UserVic)
	if len(got) != 1 || got[0].Text != "here" || len(got[0].Files) != 1 || got[0].Files[0].Title != "Log" || got[0].Files[0].Mimetype != "text/plain" {
		t.Fatalf("direct message holds %+v", got)
	}
	content, err := w.FileContent(up.FileID)
	if err != nil || string(content) != "hello" {
		t.Errorf("content is %q, %v", content, err)
	}
	// The client's own upload works, too.
	if _, err := api.UploadFile(slack.UploadFileParameters{Filename: "a.txt", FileSize: 2, Content: "hi", Channel: im.ID}); err != nil {
		t.Errorf("UploadFile: %v", err)
	}
}

func TestPacing(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	w := start(t, func(o *workspace.Options) { o.Pace.Off, o.Now = false, clock })
	api := client(w)
	post := func(ch string) error {
		_, _, err := api.PostMessage(ch, slack.MsgOptionText("x", false))
		return err
	}
	for i := range 3 {
		if err := post(workspace.ChannelIncidents); err != nil {
			t.Fatalf("post %d: %v", i, err)
		}
	}
	var limited *slack.RateLimitedError
	if err := post(workspace.ChannelIncidents); !errors.As(err, &limited) || limited.RetryAfter != time.Second {
		t.Errorf("the fourth post in a second gives %v", err)
	}
	if err := post(workspace.ChannelGeneral); err != nil {
		t.Errorf("another channel: %v", err)
	}
	mu.Lock()
	now = now.Add(time.Second)
	mu.Unlock()
	if err := post(workspace.ChannelIncidents); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestFaults(t *testing.T) {
	w := start(t)
	api := client(w)
	post := func() error {
		_, _, err := api.PostMessage(workspace.ChannelIncidents, slack.MsgOptionText("x", false))
		return err
	}
	stored := func() int { return len(w.Messages(workspace.ChannelIncidents)) }
	inject := func(f workspace.Fault) {
		t.Helper()
		f.Method = "chat.postMessage"
		if _, err := w.Inject(f); err != nil {
			t.Fatal(err)
		}
	}
	inject(workspace.Fault{Kind: workspace.RateLimit, RetryAfter: 7 * time.Second})
	var limited *slack.RateLimitedError
	if err := post(); !errors.As(err, &limited) || limited.RetryAfter != 7*time.Second {
		t.Errorf("rate limit gives %v", err)
	}
	inject(workspace.Fault{Kind: workspace.ServerError, Status: 502, Times: 2})
	for range 2 {
		var status slack.StatusCodeError
		if err := post(); !errors.As(err, &status) || status.Code != 502 {
			t.Errorf("server error gives %v", err)
		}
	}
	inject(workspace.Fault{Kind: workspace.CutBefore})
	if err := post(); err == nil || stored() != 0 {
		t.Errorf("cut before: %v, %d stored", err, stored())
	}
	inject(workspace.Fault{Kind: workspace.CutAfter})
	if err := post(); err == nil || stored() != 1 {
		t.Errorf("cut after: %v, %d stored", err, stored())
	}
	inject(workspace.Fault{Kind: workspace.Refuse, Error: "fatal_error"})
	if err := post(); err == nil || err.Error() != "fatal_error" {
		t.Errorf("refusal gives %v", err)
	}
	inject(workspace.Fault{Kind: workspace.Slow, Delay: time.Millisecond})
	if err := post(); err != nil || stored() != 2 {
		t.Errorf("slow: %v, %d stored", err, stored())
	}
	if left := w.Faults(); len(left) != 0 {
		t.Errorf("faults left: %+v", left)
	}
	if err := w.BreakToken(w.BotToken(), "token_revoked"); err != nil {
		t.Fatal(err)
	}
	if err := post(); err == nil || err.Error() != "token_revoked" {
		t.Errorf("revoked token gives %v", err)
	}
	w.ClearFaults()
	if err := w.RemoveScope(w.BotToken(), "chat:write"); err != nil {
		t.Fatal(err)
	}
	var refused slack.SlackErrorResponse
	if err := post(); !errors.As(err, &refused) || refused.Err != "missing_scope" || refused.Needed != "chat:write" || !strings.Contains(refused.Provided, "commands") {
		t.Errorf("missing scope gives %+v", err)
	}
	raw, _ := json.Marshal(w.Calls())
	if strings.Contains(string(raw), w.BotToken()) {
		t.Error("the call log holds the token")
	}
}
