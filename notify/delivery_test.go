package notify_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crashloop/notify"
	"crashloop/notify/slack"
	"crashloop/notify/workspace"
)

const incidents = workspace.ChannelIncidents

// office is a workspace that listens, with a client of it.
func office(t testing.TB, change ...func(*workspace.Options, *slack.Options)) (*workspace.Workspace, *slack.Client) {
	t.Helper()
	wo := workspace.DefaultOptions(slog.New(slog.DiscardHandler))
	so := slack.Options{Logger: wo.Logger, CallTimeout: 5 * time.Second}
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
	t.Cleanup(func() { w.Close() })
	so.BotToken, so.AppToken, so.APIURL = w.BotToken(), w.AppToken(), w.APIURL()
	c, err := slack.New(so)
	if err != nil {
		t.Fatal(err)
	}
	return w, c
}

// deliver runs a queue over a client.
func deliver(t testing.TB, c notify.Transport, l notify.Ledger, observe func(notify.Delivery)) (q *notify.Queue, stop func()) {
	t.Helper()
	q, err := notify.NewQueue(notify.QueueOptions{Transport: c, Ledger: l, Logger: slog.New(slog.DiscardHandler), Observe: observe})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := q.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); wg.Wait() }) }
	t.Cleanup(stop)
	return q, stop
}

func thread(id string) []notify.Post {
	return []notify.Post{
		{Key: "incident/" + id + "/root", Channel: incidents, Message: say("root " + id)},
		{Key: "incident/" + id + "/detail", ThreadKey: "incident/" + id + "/root", Channel: incidents, Message: say("detail " + id)},
	}
}

func wait(t testing.TB, q *notify.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := q.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// What a workspace does to the first posts, and there is one root with one reply nevertheless.
func TestDeliveryThroughFaults(t *testing.T) {
	for name, fault := range map[string]workspace.Fault{
		"rate limit":              {Kind: workspace.RateLimit, RetryAfter: time.Second, Times: 2},
		"503":                     {Kind: workspace.ServerError},
		"cut before it is taken":  {Kind: workspace.CutBefore},
		"cut after it was taken":  {Kind: workspace.CutAfter, Times: 2},
		"timeout, taken too late": {Kind: workspace.Slow, Delay: 1500 * time.Millisecond},
		"fatal_error":             {Kind: workspace.Refuse, Error: "fatal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c := office(t, func(_ *workspace.Options, s *slack.Options) { s.CallTimeout = 400 * time.Millisecond })
			fault.Method = "chat.postMessage"
			if _, err := w.Inject(fault); err != nil {
				t.Fatal(err)
			}
			q, _ := deliver(t, c, newLedger(), nil)
			ensure(t, q, thread("1")...)
			wait(t, q)
			s := w.Snapshot()
			roots := s.Roots(incidents)
			if len(roots) != 1 || len(s.Thread(incidents, roots[0].TS)) != 1 {
				for _, m := range s.Messages(incidents) {
					t.Logf("%s %s %q", m.TS, m.ThreadTS, m.Text)
				}
				t.Errorf("%d roots", len(roots))
			}
		})
	}
}

// A bot that is killed while its post is under way finds it again.
func TestDeliveryAfterKill(t *testing.T) {
	t.Parallel()
	w, c := office(t)
	l := newLedger()
	if _, err := w.Inject(workspace.Fault{Method: "chat.postMessage", Kind: workspace.CutAfter}); err != nil {
		t.Fatal(err)
	}
	killed := killedTransport{Client: c, posted: make(chan struct{})}
	q, err := notify.NewQueue(notify.QueueOptions{Transport: killed, Ledger: l, Logger: slog.New(slog.DiscardHandler), Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = q.Run(ctx) }()
	ensure(t, q, thread("1")...)
	<-killed.posted
	cancel()
	<-done
	q, _ = deliver(t, c, l, nil)
	ensure(t, q, thread("1")...)
	wait(t, q)
	if n := len(w.Snapshot().Roots(incidents)); n != 1 {
		t.Errorf("%d roots", n)
	}
}

// killedTransport sends, and never returns: the process is killed meanwhile.
type killedTransport struct {
	*slack.Client
	posted chan struct{}
}

func (k killedTransport) Post(ctx context.Context, channel, thread, id string, m notify.Message) (string, error) {
	_, _ = k.Client.Post(ctx, channel, thread, id, m)
	close(k.posted)
	<-ctx.Done()
	return "", ctx.Err()
}

// Every rendering, hostile and huge ones too, is taken by the workspace as it is.
func TestRenderingsAreAccepted(t *testing.T) {
	w, c := office(t, func(w *workspace.Options, _ *slack.Options) { w.Pace.Off = true })
	for _, r := range renderings() {
		t.Run(r.name, func(t *testing.T) {
			ts, err := c.Post(t.Context(), incidents, "", r.name, r.m)
			if err != nil {
				t.Fatal(err)
			}
			m := w.Snapshot().Message(incidents, ts)
			if strings.Contains(m.Visible(), "did not fit into this message") {
				t.Error("it was cut")
			}
			if strings.Contains(m.Text, "<!") {
				t.Errorf("text %q", m.Text)
			}
		})
	}
}

// The queue adds next to nothing to what the call itself takes, and the chat's own limits are never run into.
func TestDeliveryIsQuick(t *testing.T) {
	t.Parallel()
	w, c := office(t)
	var mu sync.Mutex
	var waited []time.Duration
	q, _ := deliver(t, c, newLedger(), func(d notify.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		if d.Op == "post" && strings.HasSuffix(d.Key, "root") {
			waited = append(waited, d.Waited)
		}
		if d.Err != nil {
			t.Error(d.Err)
		}
	})
	for i := range 6 {
		ensure(t, q, thread(fmt.Sprint(i))[0])
		wait(t, q)
		time.Sleep(300 * time.Millisecond) // faster than one a second, within the burst and then beyond it
	}
	wait(t, q)
	for _, call := range w.Calls() {
		if call.Status == 429 {
			t.Errorf("ran into the limit: %+v", call)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(waited)
	if first := waited[2]; first > 50*time.Millisecond { // three fit into the burst
		t.Errorf("waits: %v", waited)
	}
	t.Logf("waits of the queue: %v", waited)
}
