package bot

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/diagnose"
	"crashloop/notify"
)

// outbox notes what was ensured, the newest message of each key and every change of it.
type outbox struct {
	mu      sync.Mutex
	now     map[string]notify.Message
	history []string // "key: text"
	fail    error
}

func (o *outbox) Ensure(_ context.Context, p notify.Post) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	if o.now[p.Key].Plain() != p.Message.Plain() {
		o.history = append(o.history, p.Key+": "+p.Message.Text)
	}
	o.now[p.Key] = p.Message
	return nil
}

func (o *outbox) Forget(context.Context, string) error { return nil }

func (o *outbox) keys() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(o.now)), " ")
}

func (o *outbox) text(key string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now[key].Plain()
}

// ledger is a notify.Ledger in memory.
type ledger struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (l *ledger) Put(_ context.Context, key string, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[key] = value
	return nil
}

func (l *ledger) Delete(_ context.Context, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, key)
	return nil
}

func (l *ledger) List(_ context.Context, prefix string) (map[string][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]byte{}
	for k, v := range l.all {
		if strings.HasPrefix(k, prefix) {
			out[k] = v
		}
	}
	return out, nil
}

// finder answers what it is told to, after a while.
type finder struct {
	mu     sync.Mutex
	answer diagnose.Diagnosis
	err    error
	takes  time.Duration
	asked  []time.Time
}

func (f *finder) Diagnose(ctx context.Context, _ diagnose.View, s diagnose.Symptom) (diagnose.Diagnosis, error) {
	f.mu.Lock()
	f.asked = append(f.asked, time.Now())
	d, err, takes := f.answer, f.err, f.takes
	f.mu.Unlock()
	d.Subject = s.Subject
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return diagnose.Diagnosis{}, ctx.Err()
	}
	return d, err
}

func (f *finder) set(cause string, c diagnose.Confidence, evidence ...diagnose.Evidence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = diagnose.Diagnosis{Cause: cause, Confidence: c, Summary: "It is " + cause + ".", Evidence: evidence}
}

func (f *finder) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *finder) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

type story struct {
	*Bot
	out    *outbox
	finder *finder
	memory *ledger
	inc    diagnose.Incident
	kept   *witness
}

// witness is an Evidence that notes what it was told to keep, and what had been sent by then.
type witness struct {
	mu   sync.Mutex
	out  *outbox
	kept []string
}

func (w *witness) Witness(view diagnose.View, inc diagnose.Incident) (diagnose.View, func(diagnose.Diagnosis)) {
	return view, func(d diagnose.Diagnosis) {
		w.mu.Lock()
		defer w.mu.Unlock()
		sent := "before the post"
		if strings.Contains(w.out.text("incident/"+inc.ID+"/root"), d.Cause) {
			sent = "after the post"
		}
		w.kept = append(w.kept, d.Cause+" "+sent)
	}
}

func (w *witness) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.kept)
}

// tell runs one bot in a bubble of time.
func tell(t *testing.T, memory *ledger, play func(s *story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &story{out: &outbox{now: map[string]notify.Message{}}, finder: &finder{}, memory: memory}
		s.kept = &witness{out: s.out}
		s.finder.set("app.panic", diagnose.Certain)
		b, err := New(Options{
			Evidence:  s.kept,
			Diagnoser: s.finder, View: func(context.Context, diagnose.Symptom) (diagnose.View, func()) { return nil, func() {} }, Outbox: s.out, Memory: memory,
			Channel: func(diagnose.Incident) string { return "C1" }, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Bot = b
		s.inc = diagnose.Incident{
			ID: "i1", State: diagnose.Open, Condition: diagnose.CrashLoop, Opened: time.Now(), Since: time.Now(), Restarts: 2, Fingerprint: "Error/1",
			Subject: diagnose.Subject{Cluster: "c", Namespace: "shop", Workload: "Deployment/web", Container: "web"},
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- b.Run(ctx) }()
		play(s)
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func newMemory() *ledger { return &ledger{all: map[string][]byte{}} }
