package notify_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/notify"
)

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := &chat{}, newLedger()
		q, stop := run(t, c, l)
		ensure(t, q, root("1", "root"), reply("1", "detail", "detail"))
		settle(t, q)
		stop()

		q, stop = run(t, c, l)
		ensure(t, q, root("1", "root"), reply("1", "detail", "detail"))
		settle(t, q)
		if len(c.calls) != 2 {
			t.Errorf("after a restart something was sent again: %q", c.calls)
		}
		ensure(t, q, root("1", "edited"))
		settle(t, q)
		stop()
		if got := c.texts(); got != "edited, detail" {
			t.Error(got)
		}
	})
}

func TestShutdown(t *testing.T) {
	t.Run("what can be sent is sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &chat{slow: 200 * time.Millisecond}
			q, stop := run(t, c, newLedger())
			ensure(t, q, root("1", "root"), reply("1", "detail", "detail"))
			start := time.Now()
			stop()
			if got := c.texts(); got != "root, detail" || time.Since(start) > time.Second {
				t.Errorf("%s, %s", got, time.Since(start))
			}
		})
	})
	t.Run("the rest is sent after the next start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, l := &chat{}, newLedger()
			c.fail = func(op, _ string) error {
				return &notify.SendError{Op: op, Reason: "ratelimited", Retry: true, After: time.Minute}
			}
			q, stop := run(t, c, l)
			ensure(t, q, root("1", "old"), reply("1", "detail", "detail"))
			time.Sleep(time.Second)
			ensure(t, q, root("1", "new"))
			start := time.Now()
			stop()
			if d := time.Since(start); d > 6*time.Second {
				t.Errorf("shutdown took %s", d)
			}
			c.fail = nil
			q, stop = run(t, c, l)
			defer stop()
			time.Sleep(time.Minute)
			settle(t, q)
			if got := c.texts(); got != "new, detail" {
				t.Error(got)
			}
		})
	})
	t.Run("a call that hangs is cut off, then looked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, l := &chat{slow: time.Hour}, newLedger()
			q, stop := run(t, c, l)
			ensure(t, q, root("1", "root"))
			time.Sleep(time.Second)
			start := time.Now()
			stop()
			if d := time.Since(start); d > 6*time.Second {
				t.Errorf("shutdown took %s", d)
			}
			c.slow = 0
			q, stop = run(t, c, l)
			defer stop()
			settle(t, q)
			if got := c.texts(); got != "root" {
				t.Error(got)
			}
		})
	})
}

func TestLedgerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := &chat{}, newLedger()
		broken := true
		l.fail = func(op, _ string) error {
			if broken && op == "put" {
				return errors.New("no permission to write ConfigMaps")
			}
			return nil
		}
		q, stop := run(t, c, l)
		start := time.Now()
		ensure(t, q, root("1", "root"), reply("1", "detail", "detail"))
		settle(t, q)
		if got := c.texts(); got != "root, detail" || time.Since(start) > 15*time.Second {
			t.Errorf("%s after %s", got, time.Since(start))
		}
		l.mu.Lock()
		broken = false
		l.mu.Unlock()
		time.Sleep(time.Minute)
		if len(l.keys()) != 2 {
			t.Errorf("not stored once it could be: %q", l.keys())
		}
		stop()
		q, stop = run(t, c, l)
		defer stop()
		ensure(t, q, root("1", "root"))
		settle(t, q)
		if got := c.texts(); got != "root, detail" {
			t.Error(got)
		}
	})
}

// TestCrashAtEveryStep ends the process, as far as the queue can tell, before and after every call to the ledger and the chat, starts
// anew and does the same work again: whatever the step, there is one root and one reply in the end.
func TestCrashAtEveryStep(t *testing.T) {
	const most = 200
	for cut := 1; ; cut++ {
		if cut > most {
			t.Fatal("there is no end of steps")
		}
		finished := false
		where := ""
		ok := t.Run(fmt.Sprintf("step %d", cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, l := &chat{}, newLedger()
				n := 0
				var mu sync.Mutex
				dead := make(chan struct{})
				step := func(s string) {
					mu.Lock()
					n++
					if n == cut {
						where = s
						close(dead)
					}
					mu.Unlock()
					select {
					case <-dead:
						runtime.Goexit() // a dead process does nothing more
					default:
					}
				}
				c.step, l.step = step, step
				work := func(c *chat, l *ledger) chan struct{} {
					done := make(chan struct{})
					go func() {
						q, stop := run(t, c, l)
						for _, p := range []notify.Post{root("1", "root"), reply("1", "detail", "detail"), root("1", "edited")} {
							if q.Ensure(t.Context(), p) != nil {
								return
							}
						}
						if q.Wait(t.Context()) != nil {
							return
						}
						stop()
						close(done)
					}()
					return done
				}
				select {
				case <-work(c, l):
					finished = true
				case <-dead:
					// The same chat and ledger, as a new process finds them.
					c = &chat{messages: c.all(), n: 100}
					l.mu.Lock()
					held := maps.Clone(l.held)
					l.mu.Unlock()
					l = &ledger{held: held}
					<-work(c, l)
				}
				got := c.all()
				if len(got) != 2 || got[0].m != "edited" || got[1].m != "detail" || got[1].thread != got[0].ts {
					t.Errorf("cut off at %s: %+v", where, got)
				}
			})
		})
		if !ok || finished {
			return
		}
	}
}
