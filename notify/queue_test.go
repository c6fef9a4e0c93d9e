package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/notify"
)

// run starts a queue; stop ends it and waits.
func run(t *testing.T, c *chat, l *ledger) (q *notify.Queue, stop func()) {
	t.Helper()
	q, err := notify.NewQueue(notify.QueueOptions{Transport: c, Ledger: l, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := q.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return q, func() { cancel(); <-done }
}

func say(s string) notify.Message { return notify.Message{Text: s} }

func root(id, s string) notify.Post {
	return notify.Post{Key: "incident/" + id + "/root", Channel: "C1", Message: say(s)}
}

func reply(id, key, s string) notify.Post {
	return notify.Post{Key: "incident/" + id + "/" + key, ThreadKey: "incident/" + id + "/root", Channel: "C1", Message: say(s)}
}

func ensure(t *testing.T, q *notify.Queue, ps ...notify.Post) {
	t.Helper()
	for _, p := range ps {
		if err := q.Ensure(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
}

func settle(t *testing.T, q *notify.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := q.Wait(ctx); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

func TestRootAndReplyGoOutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := &chat{}, newLedger()
		q, stop := run(t, c, l)
		defer stop()
		start := time.Now()
		ensure(t, q, reply("1", "detail", "detail"), root("1", "root")) // in the wrong order, as it may happen
		settle(t, q)
		got := c.all()
		if len(got) != 2 || got[0].m != "root" || got[1].m != "detail" || got[1].thread != got[0].ts {
			t.Errorf("%+v", got)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("took %s", d)
		}
		if ch, ts, ok := q.Sent("incident/1/root"); !ok || ch != "C1" || ts != got[0].ts {
			t.Errorf("Sent: %q %q %v", ch, ts, ok)
		}
	})
}

func TestPaceAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		q, stop := run(t, c, newLedger())
		defer stop()
		start := time.Now()
		for i := range 10 {
			ensure(t, q, root(fmt.Sprint(i), fmt.Sprint(i)))
		}
		ensure(t, q, notify.Post{Key: "elsewhere", Channel: "C2", Message: say("elsewhere")})
		settle(t, q)
		if d := time.Since(start); d != 7*time.Second { // three at once, then one a second
			t.Errorf("ten messages took %s, want 7s", d)
		}
		var order []string
		for _, s := range c.all() {
			if s.channel == "C2" {
				if !s.at.Equal(start) {
					t.Error("another channel had to wait")
				}
				continue
			}
			order = append(order, s.m)
		}
		if got := strings.Join(order, ""); got != "0123456789" {
			t.Errorf("order %s", got)
		}
	})
}

func TestRateLimitHoldsOneChannelBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		limited := true
		c.fail = func(op, id string) error {
			if limited && strings.HasPrefix(id, "incident/") {
				limited = false
				return &notify.SendError{Op: op, Reason: "ratelimited", Retry: true, After: 30 * time.Second}
			}
			return nil
		}
		q, stop := run(t, c, newLedger())
		defer stop()
		start := time.Now()
		ensure(t, q, root("1", "a"), root("2", "b"), notify.Post{Key: "x", Channel: "C2", Message: say("x")})
		settle(t, q)
		got := c.all()
		if len(got) != 3 || got[0].m != "x" || got[1].m != "a" || got[2].m != "b" {
			t.Fatalf("%+v", got)
		}
		if d := got[1].at.Sub(start); d != 30*time.Second {
			t.Errorf("the limited channel went on after %s", d)
		}
		if len(c.calls) != 4 {
			t.Errorf("calls: %q", c.calls)
		}
	})
}

func TestEditsAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{slow: 100 * time.Millisecond}
		q, stop := run(t, c, newLedger())
		defer stop()
		ensure(t, q, root("1", "0"))
		settle(t, q)
		for i := 1; i <= 50; i++ {
			ensure(t, q, root("1", fmt.Sprint(i)))
			time.Sleep(time.Millisecond)
		}
		settle(t, q)
		got := c.all()
		if len(got) != 1 || got[0].m != "50" || got[0].edits > 2 {
			t.Errorf("%+v", got)
		}
		ensure(t, q, root("1", "50")) // as it stands: nothing to do
		settle(t, q)
		if again := c.all(); again[0].edits != got[0].edits {
			t.Error("an edit that changes nothing was sent")
		}
	})
}

func TestEditsDoNotHoldMessagesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		q, stop := run(t, c, newLedger())
		defer stop()
		for i := range 30 {
			ensure(t, q, root(fmt.Sprint(i), "old"))
		}
		settle(t, q)
		time.Sleep(time.Minute)
		for i := range 30 {
			ensure(t, q, root(fmt.Sprint(i), "new"))
		}
		start := time.Now()
		ensure(t, q, root("late", "late"))
		settle(t, q)
		for _, s := range c.all() {
			if s.m == "late" && !s.at.Equal(start) {
				t.Errorf("a new message waited %s behind edits", s.at.Sub(start))
			}
			if s.m == "old" {
				t.Errorf("%s was not edited", s.id)
			}
		}
	})
}

func TestLostAnswers(t *testing.T) {
	unanswered := &notify.SendError{Op: "post", Reason: "connection reset", Retry: true, Unanswered: true}
	for _, tt := range []struct {
		name string
		set  func(c *chat)
	}{
		{"it had arrived", func(c *chat) {
			c.lost = func(op, _ string) error {
				if op == "post" {
					c.lost = nil
					return unanswered
				}
				return nil
			}
		}},
		{"it had not", func(c *chat) {
			c.fail = func(op, _ string) error {
				if op == "post" {
					c.fail = nil
					return unanswered
				}
				return nil
			}
		}},
		{"it had, and history fails a while", func(c *chat) {
			n := 0
			c.lost = func(op, _ string) error {
				if n++; op == "post" && n == 1 {
					return unanswered
				}
				return nil
			}
			c.fail = func(op, _ string) error {
				if op == "find" && n < 5 {
					n++
					return &notify.SendError{Op: op, Reason: "503", Retry: true}
				}
				return nil
			}
		}},
		{"it arrives late", func(c *chat) {
			c.fail = func(op, id string) error {
				if op == "post" {
					c.fail = nil
					time.AfterFunc(2*time.Second, func() {
						c.mu.Lock()
						defer c.mu.Unlock()
						c.messages = append(c.messages, said{at: time.Now(), channel: "C1", id: id, ts: "9.9", m: "late"})
					})
					return unanswered
				}
				return nil
			}
		}},
		{"always a plain error", func(c *chat) {
			n := 0
			c.fail = func(op, _ string) error {
				if n++; n < 4 {
					return errors.New("no SendError at all")
				}
				return nil
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &chat{}
				tt.set(c)
				q, stop := run(t, c, newLedger())
				defer stop()
				ensure(t, q, root("1", "root"), reply("1", "detail", "detail"))
				settle(t, q)
				got := c.all()
				if len(got) != 2 || got[0].m != "root" || got[1].m != "detail" || got[1].thread != got[0].ts {
					t.Errorf("%+v\n%q", got, c.calls)
				}
			})
		})
	}
}

func TestScopeForHistoryIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		c.fail = func(op, _ string) error {
			if op == "find" {
				return &notify.SendError{Op: op, Reason: "missing_scope"}
			}
			return nil
		}
		n := 0
		c.lost = func(op, _ string) error {
			if n++; n == 1 {
				return &notify.SendError{Op: op, Reason: "reset", Retry: true, Unanswered: true}
			}
			return nil
		}
		q, stop := run(t, c, newLedger())
		defer stop()
		ensure(t, q, root("1", "root"))
		settle(t, q)
		if got := c.texts(); got != "root, root" { // twice is better than perhaps not at all
			t.Error(got)
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, reason := range []string{"channel_not_found", "not_in_channel", "invalid_auth", "missing_scope", "is_archived"} {
		t.Run(reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, refused := &chat{}, true
				c.fail = func(op, _ string) error {
					if refused {
						return &notify.SendError{Op: op, Reason: reason}
					}
					return nil
				}
				q, stop := run(t, c, newLedger())
				defer stop()
				ensure(t, q, root("1", "root"), reply("1", "detail", "detail"))
				time.Sleep(10 * time.Minute)
				if err := q.Healthy(); err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), notify.Advice(reason)) {
					t.Errorf("healthy: %v", err)
				}
				if n := len(c.calls); n > 10 {
					t.Errorf("%d calls in ten minutes", n)
				}
				c.mu.Lock()
				refused = false
				c.mu.Unlock()
				settle(t, q)
				if got := c.texts(); got != "root, detail" {
					t.Error(got)
				}
				if err := q.Healthy(); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("of one message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &chat{}
			c.fail = func(op, id string) error {
				if strings.Contains(id, "bad") {
					return &notify.SendError{Op: op, Reason: "invalid_blocks"}
				}
				return nil
			}
			q, stop := run(t, c, newLedger())
			defer stop()
			ensure(t, q, root("bad", "bad"), root("good", "good"))
			time.Sleep(5 * time.Second)
			if got := c.texts(); got != "good" || q.Pending() != 1 {
				t.Errorf("%s, %d pending", got, q.Pending())
			}
		})
	})
}

func TestDeletedByAPerson(t *testing.T) {
	for _, tt := range []struct {
		name   string
		repost bool
		want   string
	}{
		{"stays deleted, and its thread is quiet", false, ""},
		{"is sent anew once while it matters", true, "detail, second, line, detail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, l := &chat{}, newLedger()
				q, stop := run(t, c, l)
				defer stop()
				p := root("1", "first")
				p.Repost = tt.repost
				ensure(t, q, p, reply("1", "detail", "detail"))
				settle(t, q)
				c.delete("incident/1/root")
				p.Message = say("second")
				ensure(t, q, p)
				settle(t, q)
				ensure(t, q, p, reply("1", "line", "line"), reply("1", "detail", "detail"))
				settle(t, q)
				if !tt.repost {
					ensure(t, q, reply("1", "line2", "line2"))
					settle(t, q)
				}
				got := c.all()
				texts := []string{}
				for _, s := range got {
					if s.thread == "" || tt.repost {
						texts = append(texts, s.m)
					}
				}
				if strings.Join(texts, ", ") != tt.want {
					t.Errorf("%+v", got)
				}
				if tt.repost {
					c.delete("incident/1/root#2")
					p.Message = say("third")
					ensure(t, q, p)
					settle(t, q)
					if got := c.texts(); got != "detail, line, detail" {
						t.Errorf("sent a third time: %s", got)
					}
					if all := c.all(); all[0].thread == all[2].thread || all[1].thread != all[2].thread {
						t.Errorf("not in the new thread: %+v", all)
					}
				}
			})
		})
	}
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := &chat{}, newLedger()
		q, stop := run(t, c, l)
		defer stop()
		ensure(t, q, root("1", "one"), root("10", "ten"))
		settle(t, q)
		if err := q.Forget(t.Context(), "incident/1/"); err != nil {
			t.Fatal(err)
		}
		if got := l.keys(); len(got) != 1 || got[0] != "message/incident/10/root" {
			t.Errorf("%q", got)
		}
		if _, _, ok := q.Sent("incident/1/root"); ok {
			t.Error("not forgotten")
		}
	})
}

func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		c.fail = func(op, _ string) error { return &notify.SendError{Op: op, Reason: "not_in_channel"} }
		q, err := notify.NewQueue(notify.QueueOptions{Transport: c, Ledger: newLedger(), Logger: slog.New(slog.DiscardHandler), MaxPending: 3})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			ensure(t, q, root(fmt.Sprint(i), "x"))
		}
		if err := q.Ensure(t.Context(), root("4", "x")); err == nil {
			t.Error("took more than it may hold")
		}
		ensure(t, q, root("0", "edited")) // what it holds can still change
	})
}
