package slack_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"crashloop/notify"
	"crashloop/notify/slack"
	"crashloop/notify/workspace"
)

// place is a workspace that listens, and a client of it.
type place struct {
	*workspace.Workspace
	client *slack.Client
	log    *buffer
}

// buffer is a log that several goroutines write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, change ...func(*workspace.Options, *slack.Options)) *place {
	t.Helper()
	wo := workspace.DefaultOptions(slog.New(slog.DiscardHandler))
	so := slack.Options{CallTimeout: 5 * time.Second}
	for _, f := range change {
		f(&wo, &so)
	}
	w, err := workspace.New(wo)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(context.Background(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p := &place{Workspace: w, log: &buffer{}}
	t.Cleanup(func() {
		w.Close()
		holdsNoToken(t, p, p.log.String())
	})
	so.BotToken, so.AppToken, so.APIURL = w.BotToken(), w.AppToken(), w.APIURL()
	so.Logger = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if p.client, err = slack.New(so); err != nil {
		t.Fatal(err)
	}
	return p
}

const incidents = workspace.ChannelIncidents

func text(s string) notify.Message {
	return notify.Message{Text: s, Blocks: []notify.Block{{Text: []notify.Span{notify.T(s)}}}}
}

func ctxOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestPostUpdateFindPermalink(t *testing.T) {
	p, ctx := start(t), ctxOf(t)
	before := time.Now()
	root, err := p.client.Post(ctx, incidents, "", "incident/1/root", text("root"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := p.client.Post(ctx, incidents, root, "incident/1/detail", text("detail"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client.Update(ctx, incidents, root, text("root, edited")); err != nil {
		t.Fatal(err)
	}
	m := p.Snapshot().Message(incidents, root)
	if m.Visible() != "root, edited" || m.Text != "root, edited" {
		t.Errorf("after the edit the message says %q, text %q", m.Visible(), m.Text)
	}
	for _, tt := range []struct{ name, thread, id, want string }{
		{"root, after an edit", "", "incident/1/root", root},
		{"reply in its thread", root, "incident/1/detail", reply},
		{"reply is not in the channel", "", "incident/1/detail", ""},
		{"unknown id", "", "incident/2/root", ""},
		{"no such thread", "1.000001", "incident/1/detail", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts, found, err := p.client.Find(ctx, incidents, tt.thread, tt.id, before.Add(-time.Minute))
			if err != nil || ts != tt.want || found != (tt.want != "") {
				t.Errorf("got %q, %v, %v; want %q", ts, found, err, tt.want)
			}
		})
	}
	if _, found, err := p.client.Find(ctx, incidents, "", "incident/1/root", time.Now().Add(time.Hour)); found || err != nil {
		t.Errorf("found a message before the time to look from: %v, %v", found, err)
	}
	link, err := p.client.Permalink(ctx, incidents, root)
	if err != nil || !strings.HasPrefix(link, "http") {
		t.Errorf("permalink %q, %v", link, err)
	}
}

func TestFindPages(t *testing.T) {
	p, ctx := start(t, func(w *workspace.Options, _ *slack.Options) { w.Pace.Off = true }), ctxOf(t)
	first, err := p.client.Post(ctx, incidents, "", "first", text("first"))
	if err != nil {
		t.Fatal(err)
	}
	for range 250 { // more than one page of 200
		if _, err := p.As(workspace.UserAlice).Post(incidents, "chatter"); err != nil {
			t.Fatal(err)
		}
	}
	if ts, found, err := p.client.Find(ctx, incidents, "", "first", time.Now().Add(-time.Hour)); ts != first || !found || err != nil {
		t.Errorf("got %q, %v, %v; want %q", ts, found, err, first)
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	type want struct {
		reason            string
		retry, unanswered bool
		after             time.Duration
	}
	for _, tt := range []struct {
		name  string
		fault workspace.Fault
		brk   string
		ch    string
		want  want
	}{
		{"rate limit", workspace.Fault{Kind: workspace.RateLimit, RetryAfter: 7 * time.Second}, "", "", want{"ratelimited", true, false, 7 * time.Second}},
		{"gateway error", workspace.Fault{Kind: workspace.ServerError, Status: 503}, "", "", want{"slack server error", true, true, 0}},
		{"connection cut before", workspace.Fault{Kind: workspace.CutBefore}, "", "", want{"", true, true, 0}},
		{"connection cut after", workspace.Fault{Kind: workspace.CutAfter}, "", "", want{"", true, true, 0}},
		{"timeout", workspace.Fault{Kind: workspace.Slow, Delay: 10 * time.Second}, "", "", want{"", true, true, 0}},
		{"internal error", workspace.Fault{Kind: workspace.Refuse, Error: "internal_error"}, "", "", want{"internal_error", true, true, 0}},
		{"no such channel", workspace.Fault{}, "", "C0NOSUCH", want{"channel_not_found", false, false, 0}},
		{"token revoked", workspace.Fault{}, "token_revoked", "", want{"token_revoked", false, false, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, func(_ *workspace.Options, s *slack.Options) { s.CallTimeout = 500 * time.Millisecond })
			if tt.fault.Kind != "" {
				tt.fault.Method = "chat.postMessage"
				if _, err := p.Inject(tt.fault); err != nil {
					t.Fatal(err)
				}
			}
			if tt.brk != "" {
				if err := p.BreakToken(p.BotToken(), tt.brk); err != nil {
					t.Fatal(err)
				}
			}
			ch := incidents
			if tt.ch != "" {
				ch = tt.ch
			}
			_, err := p.client.Post(ctxOf(t), ch, "", "x", text("hello"))
			se, ok := errors.AsType[*notify.SendError](err)
			if !ok {
				t.Fatalf("not a SendError: %v", err)
			}
			if !strings.Contains(se.Reason, tt.want.reason) || se.Retry != tt.want.retry || se.Unanswered != tt.want.unanswered || se.After != tt.want.after {
				t.Errorf("got %+v, want %+v", se, tt.want)
			}
			holdsNoToken(t, p, err.Error()+se.Reason)
			if se.Err != nil {
				holdsNoToken(t, p, se.Err.Error())
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		p := start(t)
		p.Close()
		_, err := p.client.Post(ctxOf(t), incidents, "", "x", text("hello"))
		if se, ok := errors.AsType[*notify.SendError](err); !ok || !se.Retry || se.Unanswered {
			t.Errorf("got %v; want a retry, and no doubt that nothing arrived", err)
		}
	})
}

func holdsNoToken(t *testing.T, p *place, s string) {
	t.Helper()
	for _, secret := range []string{p.BotToken(), p.AppToken(), "xoxb-", "ticket="} {
		if strings.Contains(s, secret) {
			t.Errorf("%q holds a secret", s)
		}
	}
}

func TestFileGoesWithItsMessage(t *testing.T) {
	p, ctx := start(t), ctxOf(t)
	m := text("see the file")
	m.File = &notify.File{Name: "log.txt", Title: "Log of web", Content: []byte("line 1\nline 2\n")}
	ts, err := p.client.Post(ctx, incidents, "", "with-file", m)
	if err != nil {
		t.Fatal(err)
	}
	thread := p.Snapshot().Thread(incidents, ts)
	if len(thread) != 1 || len(thread[0].Files) != 1 {
		t.Fatalf("thread: %+v", thread)
	}
	content, err := p.FileContent(thread[0].Files[0].ID)
	if err != nil || string(content) != "line 1\nline 2\n" {
		t.Errorf("content %q, %v", content, err)
	}
	t.Run("nothing is said when the upload fails", func(t *testing.T) {
		if _, err := p.Inject(workspace.Fault{Method: "upload", Kind: workspace.ServerError}); err != nil {
			t.Fatal(err)
		}
		n := len(p.Messages(incidents))
		_, err := p.client.Post(ctx, incidents, "", "with-file-2", m)
		se, ok := errors.AsType[*notify.SendError](err)
		if !ok || !se.Retry || se.Unanswered {
			t.Errorf("got %v; want a plain retry", err)
		}
		if len(p.Messages(incidents)) != n {
			t.Error("a message was posted without its file")
		}
	})
}

func TestDirectSendsLongAnswersAsFile(t *testing.T) {
	p, ctx := start(t), ctxOf(t)
	long := strings.Repeat("all work and no play\n", 1000)
	if err := p.client.Direct(ctx, workspace.UserAlice, notify.Message{Text: "long", Blocks: []notify.Block{{Code: long}}}); err != nil {
		t.Fatal(err)
	}
	var file string
	for _, m := range p.Snapshot().DM(workspace.UserAlice) {
		if len(m.Files) == 1 {
			file = m.Files[0].ID
		}
	}
	content, err := p.FileContent(file)
	if err != nil || !strings.Contains(string(content), strings.TrimSpace(long)) {
		t.Errorf("the file holds %d bytes, %v", len(content), err)
	}
}

// Somebody who asks for one long answer after the other gets them all, at Slack's pace.
func TestDirectKeepsThePace(t *testing.T) {
	p, ctx := start(t), ctxOf(t)
	if _, err := p.Inject(workspace.Fault{Method: "files.getUploadURLExternal", Kind: workspace.RateLimit, RetryAfter: time.Second}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		m := notify.Message{Text: "long", File: &notify.File{Name: "f.txt", Content: []byte{byte('0' + i)}}}
		if err := p.client.Direct(ctx, workspace.UserAlice, m); err != nil {
			t.Error(err)
		}
	}
	files := 0
	for _, m := range p.Snapshot().DM(workspace.UserAlice) {
		files += len(m.Files)
	}
	if files != 5 {
		t.Errorf("%d files", files)
	}
}

func TestNewNamesAllMistakes(t *testing.T) {
	_, err := slack.New(slack.Options{BotToken: "xapp-1", AppToken: "xoxb-1", APIURL: "ftp://x"})
	for _, want := range []string{"xoxb-", "xapp-", "logger", "ftp://x"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	find := func(fs []slack.Finding, what string) *slack.Finding {
		for _, f := range fs {
			if f.What == what {
				return &f
			}
		}
		return nil
	}
	t.Run("all well", func(t *testing.T) {
		p := start(t)
		for _, f := range p.client.Check(ctxOf(t), incidents) {
			if !f.OK {
				t.Errorf("%+v", f)
			}
		}
	})
	t.Run("much amiss", func(t *testing.T) {
		p := start(t, func(w *workspace.Options, _ *slack.Options) {
			w.Channels = append(w.Channels, workspace.Channel{ID: "C0OTHER", Name: "other"})
		})
		if err := p.RemoveScope(p.BotToken(), "users:read"); err != nil {
			t.Fatal(err)
		}
		if err := p.BreakToken(p.AppToken(), "token_revoked"); err != nil {
			t.Fatal(err)
		}
		fs := p.client.Check(ctxOf(t), "C0OTHER", "C0NOSUCH", "#nowhere")
		for what, do := range map[string]string{"scope users:read": "reinstall", "app token": "app-level token", "channel C0OTHER": "/invite", "channel C0NOSUCH": "CRASHLOOP_CHANNEL", "channel #nowhere": "CRASHLOOP_CHANNEL"} {
			if f := find(fs, what); f == nil || f.OK || !strings.Contains(f.Do, do) {
				t.Errorf("%s: %+v", what, f)
			}
		}
	})
	t.Run("bot token refused", func(t *testing.T) {
		p := start(t)
		if err := p.BreakToken(p.BotToken(), "invalid_auth"); err != nil {
			t.Fatal(err)
		}
		if f := find(p.client.Check(ctxOf(t), incidents), "bot token"); f == nil || f.OK || !strings.Contains(f.Do, "CRASHLOOP_SLACK_BOT_TOKEN") {
			t.Errorf("%+v", f)
		}
	})
}

func TestResolveChannel(t *testing.T) {
	p, ctx := start(t), ctxOf(t)
	if id, err := p.client.ResolveChannel(ctx, "C0INCIDENTS"); id != incidents || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	if err := p.SetScopes(p.BotToken(), "chat:write"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.ResolveChannel(ctx, "#incidents"); err == nil || !strings.Contains(err.Error(), "channels:read") || !strings.Contains(err.Error(), "id") {
		t.Errorf("without the scope: %v", err)
	}
	if err := p.SetScopes(p.BotToken(), "channels:read"); err != nil {
		t.Fatal(err)
	}
	if id, err := p.client.ResolveChannel(ctx, "#incidents"); id != incidents || err != nil {
		t.Errorf("%q, %v", id, err)
	}
}
