package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Run delivers until ctx ends. Then it goes on for what can still be sent within QueueOptions.Drain, stores what is left, and returns.
// It fails only when the ledger cannot be read at the start, which it tries until ctx ends.
func (q *Queue) Run(ctx context.Context) error {
	for tries := 1; ; tries++ {
		err := q.restore(ctx)
		if err == nil {
			break
		}
		q.log.Error("the queue cannot start, and nothing is sent until it can", "error", err)
		if !sleep(ctx, backoff(tries, time.Second, 15*time.Second)) {
			return err
		}
	}
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var workers sync.WaitGroup
	q.mu.Lock()
	q.spawn = func(l *lane) { workers.Go(func() { q.work(ctx, sendCtx, l) }) }
	for _, l := range q.lanes {
		q.spawn(l)
	}
	q.mu.Unlock()
	workers.Go(func() { q.storeLate(ctx) })

	<-ctx.Done()
	q.mu.Lock()
	q.spawn = nil // a channel that is new from here on waits for the next start
	q.mu.Unlock()
	timer := time.AfterFunc(q.o.Drain, cancel)
	workers.Wait()
	timer.Stop()
	q.keep(context.WithoutCancel(ctx))
	return nil
}

// sleep waits, and says whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// work sends what stands in one lane. When ctx ends it finishes what needs no long wait; sendCtx ends it at once.
func (q *Queue) work(ctx, sendCtx context.Context, l *lane) {
	stop := ctx.Done()
	var deadline time.Time
	for sendCtx.Err() == nil {
		e, wait := q.next(l, time.Now())
		if e != nil {
			q.deliver(sendCtx, l, e)
			continue
		}
		if stop == nil && (wait < 0 || time.Now().Add(wait).After(deadline)) {
			return
		}
		if wait < 0 {
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		case <-sendCtx.Done():
		case <-stop:
			stop, deadline = nil, time.Now().Add(q.o.Drain)
		}
		timer.Stop()
	}
}

// next takes the first entry that can be worked on now, or says how long until there is one; less than 0: until something happens.
func (q *Queue) next(l *lane, now time.Time) (*entry, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait := time.Duration(-1)
	for i := 0; i < len(l.list); i++ {
		e := l.list[i]
		if e.busy {
			continue
		}
		if e.want == nil || e.rec.TS != "" && e.rec.Hash == e.wantHash {
			q.settle(e)
			i--
			continue
		}
		at := later(l.paused, e.notBefore)
		if e.rec.TS != "" {
			at = later(at, q.updates.ready(), q.updatesPaused)
		} else {
			if e.rec.ThreadKey != "" {
				root := q.entries[e.rec.ThreadKey]
				if root != nil && root.rec.Gone {
					q.log.Info("a reply is not sent: its thread was deleted", "message", e.key)
					e.rec.Gone, e.rec.Pending, e.stored = true, nil, false
					q.settle(e)
					q.late()
					i--
					continue
				}
				if root == nil || root.rec.TS == "" {
					continue
				}
			}
			at = later(at, l.posts.ready(), l.noPosts)
		}
		if !at.After(now) {
			e.busy = true
			return e, 0
		}
		if d := at.Sub(now); wait < 0 || d < wait {
			wait = d
		}
	}
	return nil, wait
}

func later(ts ...time.Time) time.Time {
	var max time.Time
	for _, t := range ts {
		if t.After(max) {
			max = t
		}
	}
	return max
}

// attempt is what one try to deliver an entry needs, read while the lock was held.
type attempt struct {
	e           *entry
	m           Message
	hash        string
	id          string
	channel, ts string
	thread      string
	ensured     time.Time
}

// deliver makes one try for an entry, which is busy.
func (q *Queue) deliver(ctx context.Context, l *lane, e *entry) {
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		e.busy = false
		if e.want != nil && !e.forgotten && e.rec.TS != "" && e.rec.Hash == e.wantHash || e.rec.Gone {
			q.settle(e)
		}
	}()
	q.mu.Lock()
	if e.want == nil || e.forgotten {
		q.mu.Unlock()
		return
	}
	a := attempt{e: e, m: *e.want, hash: e.wantHash, id: e.id(), channel: q.channelOf(e), ts: e.rec.TS, ensured: e.ensured}
	if e.textOnly {
		a.m = Message{Text: a.m.Text, File: a.m.File}
	}
	if root := q.entries[e.rec.ThreadKey]; root != nil {
		a.thread = root.rec.TS
	}
	stored, unsure := e.stored, e.unsure
	q.mu.Unlock()

	if a.ts != "" {
		q.edit(ctx, l, a)
		return
	}
	if !stored && !q.storeFirst(ctx, e) {
		return
	}
	if unsure && !q.look(ctx, l, a) {
		return
	}
	q.send(ctx, l, a)
}

// id is what marks the message in the chat.
func (e *entry) id() string {
	if e.rec.Deleted > 0 {
		return fmt.Sprintf("%s#%d", e.key, e.rec.Deleted+1)
	}
	return e.key
}

// storeFirst stores the intent, and says whether the message may be sent.
func (q *Queue) storeFirst(ctx context.Context, e *entry) bool {
	err := q.store(ctx, e)
	if err == nil {
		return true
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(e.ensured) < ledgerPatience {
		e.notBefore = now.Add(time.Second)
		return false
	}
	q.log.Error("a message is sent although its intent could not be stored; after a crash right now it would be sent twice", "message", e.key, "error", err)
	q.late()
	return true
}

// look searches the chat for a message that may have been sent, and says whether to send it.
func (q *Queue) look(ctx context.Context, l *lane, a attempt) bool {
	e := a.e
	q.mu.Lock()
	since := e.rec.Intent.Add(-skew)
	q.mu.Unlock()
	start := time.Now()
	ts, found, err := q.o.Transport.Find(ctx, a.channel, a.thread, a.id, since)
	now := time.Now()
	q.observe(Delivery{Op: "find", Key: e.key, Channel: a.channel, Took: now.Sub(start), Err: err})
	if err != nil {
		if se, ok := errors.AsType[*SendError](err); ok && se.Reason == "missing_scope" {
			q.log.Warn("whether a message was sent before cannot be found out, so it is sent again; grant the scopes channels:history and groups:history",
				"message", e.key, "channel", a.channel, "error", err)
			q.mu.Lock()
			defer q.mu.Unlock()
			e.unsure = false
			return true
		}
		q.failed(ctx, l, a, "find", err)
		return false
	}
	q.mu.Lock()
	l.failures, l.failing, l.trouble = 0, time.Time{}, nil
	if found {
		e.unsure = false
		e.rec.TS, e.rec.Hash, e.rec.Changed = ts, "", now // what it says is not known: it is edited next
		q.mu.Unlock()
		q.log.Info("found a message whose sending was never confirmed", "message", e.key, "channel", a.channel, "ts", ts)
		q.storeOrLate(ctx, e)
		q.wakeAll()
		return false
	}
	defer q.mu.Unlock()
	if !e.looked && now.Sub(e.unsureAt) < settling {
		e.looked, e.notBefore = true, now.Add(3*time.Second)
		return false
	}
	e.unsure = false
	return true
}

// send posts a new message.
func (q *Queue) send(ctx context.Context, l *lane, a attempt) {
	e := a.e
	start := time.Now()
	ts, err := q.o.Transport.Post(ctx, a.channel, a.thread, a.id, a.m)
	now := time.Now()
	q.observe(Delivery{Op: "post", Key: e.key, Channel: a.channel, Waited: start.Sub(a.ensured), Took: now.Sub(start), Err: err})
	if err != nil {
		q.mu.Lock()
		l.posts.take(now)
		q.mu.Unlock()
		q.failed(ctx, l, a, "post", err)
		return
	}
	q.mu.Lock()
	l.posts.take(now)
	l.failures, l.failing, l.trouble = 0, time.Time{}, nil
	e.rec.TS, e.rec.Hash, e.rec.Changed, e.rec.Pending = ts, a.hash, now, nil
	q.mu.Unlock()
	q.wakeAll() // its replies need not wait for the ledger
	q.storeOrLate(ctx, e)
}

// edit changes a message that was sent.
func (q *Queue) edit(ctx context.Context, l *lane, a attempt) {
	e := a.e
	start := time.Now()
	err := q.o.Transport.Update(ctx, a.channel, a.ts, a.m)
	now := time.Now()
	q.observe(Delivery{Op: "update", Key: e.key, Channel: a.channel, Waited: start.Sub(a.ensured), Took: now.Sub(start), Err: err})
	q.mu.Lock()
	q.updates.take(now)
	if err == nil {
		l.failures, l.failing, l.trouble = 0, time.Time{}, nil
		e.rec.Hash, e.rec.Changed, e.rec.Pending = a.hash, now, nil
		q.mu.Unlock()
		q.storeOrLate(ctx, e)
		return
	}
	m := a.m
	kept := e.rec.Pending != nil && hash(*e.rec.Pending) == a.hash
	e.rec.Pending = &m
	q.mu.Unlock()
	q.failed(ctx, l, a, "update", err)
	if !kept {
		q.storeOrLate(ctx, e)
	}
}

func (q *Queue) observe(d Delivery) {
	if q.o.Observe != nil {
		q.o.Observe(d)
	}
}

func (q *Queue) wakeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.lanes {
		l.poke()
	}
}

// storeOrLate stores an entry's record, now or in the background.
func (q *Queue) storeOrLate(ctx context.Context, e *entry) {
	if err := q.store(ctx, e); err != nil {
		q.log.Warn("what was sent could not be stored yet; trying again", "message", e.key, "error", err)
		q.late()
	}
}

func (q *Queue) late() {
	select {
	case q.dirty <- struct{}{}:
	default:
	}
}

// storeLate stores what could not be stored at once, and forgets what is old.
func (q *Queue) storeLate(ctx context.Context) {
	old := time.NewTicker(retireEvery)
	defer old.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-old.C:
			if err := q.retire(ctx, now); err != nil && ctx.Err() == nil {
				q.log.Warn("old messages could not be forgotten; the next start tries again", "error", err)
			}
			continue
		case <-q.dirty:
		}
		for tries := 1; ; tries++ {
			if q.storeAll(ctx, false) == nil {
				break
			}
			if !sleep(ctx, backoff(tries, time.Second, 30*time.Second)) {
				return
			}
		}
	}
}

// storeAll stores the records that the ledger does not hold, and with pending those of all that waits, too.
func (q *Queue) storeAll(ctx context.Context, pending bool) error {
	q.mu.Lock()
	var todo []*entry
	for _, e := range q.entries {
		changed := pending && e.want != nil && (e.rec.Pending == nil || hash(*e.rec.Pending) != e.wantHash)
		if changed {
			e.rec.Pending = e.want
		}
		if changed || !e.stored {
			todo = append(todo, e)
		}
	}
	q.mu.Unlock()
	var errs []error
	for _, e := range todo {
		if err := q.store(ctx, e); err != nil {
			errs = append(errs, fmt.Errorf("storing message %q: %w", e.key, err))
		}
	}
	return errors.Join(errs...)
}

// keep stores what could not be sent before the end.
func (q *Queue) keep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, q.o.Drain/2)
	defer cancel()
	if err := q.storeAll(ctx, true); err != nil {
		q.log.Error("not everything that waits to be sent could be stored before the end", "error", err)
	}
	if n := q.Pending(); n > 0 {
		q.log.Info("messages wait for the next start", "messages", n)
	}
}
