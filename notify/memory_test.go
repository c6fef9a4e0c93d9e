package notify_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"crashloop/notify"
)

// chat is a channel in memory with Slack's manners; notify/slack tests the queue over HTTP.
type chat struct {
	mu       sync.Mutex
	messages []said
	calls    []string
	n        int
	// fail decides the fate of a call before it is carried out; lost loses the answer of one that was.
	fail func(op, id string) error
	lost func(op, id string) error
	slow time.Duration
	step func(string) // see TestCrashAtEveryStep
}

type said struct {
	at                         time.Time
	channel, thread, id, ts, m string
	edits                      int
}

func (c *chat) call(ctx context.Context, op, id string, do func() error) error {
	if c.step != nil {
		c.step("before " + op)
	}
	if c.slow > 0 {
		select {
		case <-time.After(c.slow):
		case <-ctx.Done():
			return &notify.SendError{Op: op, Reason: "timeout", Retry: true, Unanswered: true, Err: ctx.Err()}
		}
	}
	c.mu.Lock()
	c.calls = append(c.calls, op+" "+id)
	var err error
	if c.fail != nil {
		err = c.fail(op, id)
	}
	if err == nil {
		err = do()
	}
	if err == nil && c.lost != nil {
		err = c.lost(op, id)
	}
	c.mu.Unlock()
	if c.step != nil {
		c.step("after " + op)
	}
	return err
}

func (c *chat) Post(ctx context.Context, channel, thread, id string, m notify.Message) (ts string, err error) {
	err = c.call(ctx, "post", id, func() error {
		c.n++
		ts = fmt.Sprintf("%d.%06d", time.Now().Unix(), c.n)
		c.messages = append(c.messages, said{at: time.Now(), channel: channel, thread: thread, id: id, ts: ts, m: m.Text})
		return nil
	})
	if err != nil {
		ts = ""
	}
	return ts, err
}

func (c *chat) Update(ctx context.Context, channel, ts string, m notify.Message) error {
	return c.call(ctx, "update", ts, func() error {
		for i := range c.messages {
			if c.messages[i].ts == ts && c.messages[i].channel == channel {
				c.messages[i].m = m.Text
				c.messages[i].edits++
				return nil
			}
		}
		return &notify.SendError{Op: "update", Reason: "message_not_found"}
	})
}

func (c *chat) Find(ctx context.Context, channel, thread, id string, since time.Time) (ts string, found bool, err error) {
	err = c.call(ctx, "find", id, func() error {
		for _, s := range c.messages {
			if s.id == id && s.channel == channel && s.thread == thread && s.at.After(since) {
				ts, found = s.ts, true
			}
		}
		return nil
	})
	return ts, found, err
}

func (c *chat) Ephemeral(context.Context, string, string, string, notify.Message) error { return nil }
func (c *chat) Direct(context.Context, string, notify.Message) error                    { return nil }
func (c *chat) Permalink(context.Context, string, string) (string, error)               { return "", nil }

func (c *chat) all() []said {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

func (c *chat) texts() string {
	var out []string
	for _, s := range c.all() {
		out = append(out, s.m)
	}
	return strings.Join(out, ", ")
}

func (c *chat) delete(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = slices.DeleteFunc(c.messages, func(s said) bool { return s.id == id })
}

// ledger is a Ledger in memory.
type ledger struct {
	mu   sync.Mutex
	held map[string][]byte
	fail func(op, key string) error
	step func(string)
}

func (l *ledger) do(op, key string, f func()) error {
	if l.step != nil {
		l.step("before " + op)
	}
	l.mu.Lock()
	if l.fail != nil {
		if err := l.fail(op, key); err != nil {
			l.mu.Unlock()
			return err
		}
	}
	f()
	l.mu.Unlock()
	if l.step != nil {
		l.step("after " + op)
	}
	return nil
}

func (l *ledger) Put(_ context.Context, key string, v []byte) error {
	return l.do("put", key, func() { l.held[key] = slices.Clone(v) })
}

func (l *ledger) Delete(_ context.Context, key string) error {
	return l.do("delete", key, func() { delete(l.held, key) })
}

func (l *ledger) List(_ context.Context, prefix string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := l.do("list", prefix, func() {
		for k, v := range l.held {
			if strings.HasPrefix(k, prefix) {
				out[k] = v
			}
		}
	})
	return out, err
}

func (l *ledger) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.held))
}

func newLedger() *ledger { return &ledger{held: map[string][]byte{}} }
