package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Queue delivers messages, each exactly once. It is told what should stand in the chat ([Queue.Ensure]) and sees to it, whatever fails:
//
//   - the intent is stored in the ledger, then the message is sent with its key in its metadata, then its timestamp is stored;
//   - a send whose answer was lost, or whose outcome a restart cut off, is looked for in the channel by that key, and repeated only when
//     it is not there;
//   - each channel has its own order and pace, and is left alone as long as the chat asks for; edits to one message are merged;
//   - what the chat refuses for good is kept, tried again slowly, and shown by [Queue.Healthy] with what to do about it.
//
// A message that a person deleted stays deleted, and nothing more is said in its thread, unless its post says Repost. Make a Queue with
// NewQueue and let Run work. All methods may be called at once from anywhere.
type Queue struct {
	o   QueueOptions
	log *slog.Logger

	restoring sync.Mutex // held while the ledger is read

	mu            sync.Mutex
	restored      bool
	entries       map[string]*entry
	lanes         map[string]*lane
	pending       int
	seq           uint64
	updates       bucket
	updatesPaused time.Time
	spawn         func(*lane) // starts a lane's worker; nil while Run does not run
	changed       chan struct{}
	dirty         chan struct{} // holds a token when a record could not be stored
}

// QueueOptions are what a Queue needs. The zero value of an optional field means its default.
type QueueOptions struct {
	Transport Transport    // required
	Ledger    Ledger       // required
	Logger    *slog.Logger // required

	// Observe is told of every call to the transport; optional.
	Observe func(Delivery)
	// Drain bounds how long Run goes on sending after its context ended; 4 s. Half as long again may go into storing what is left.
	Drain time.Duration
	// MaxPending bounds how many messages may wait; 10,000.
	MaxPending int
	// Keep is how long a thread of which nothing was sent, edited or ensured again is remembered if nobody forgets it; 30 days.
	Keep time.Duration
}

// Delivery is one call to the transport.
type Delivery struct {
	Op      string // "post", "update" or "find"
	Key     string
	Channel string
	Waited  time.Duration // from Ensure to the call
	Took    time.Duration // the call itself
	Err     error
}

// entry is one post. Queue.mu guards it, storing apart.
type entry struct {
	key    string
	rec    record
	repost bool

	want     *Message // nil when what should stand there does
	wantHash string
	seq      uint64
	ensured  time.Time // when want was first waiting

	made      bool // the Ensure that made it has stored its intent
	listed    bool // stands in its lane's list
	busy      bool // a worker has it
	forgotten bool
	stored    bool // the ledger holds rec
	unsure    bool // it may have been sent: look before sending
	unsureAt  time.Time
	looked    bool // has been looked for once
	textOnly  bool // the chat refused its blocks
	refusals  int
	notBefore time.Time

	storing sync.Mutex // held while rec is being written to the ledger
}

// lane is one channel.
type lane struct {
	channel  string
	list     []*entry // what waits, in order
	posts    bucket
	paused   time.Time // no call before this
	noPosts  time.Time // no new message before this
	failures int
	failing  time.Time // since when calls have failed
	trouble  error     // refused for good
	wake     chan struct{}
}

// NewQueue returns a Queue, or an error that names what is missing.
func NewQueue(o QueueOptions) (*Queue, error) {
	if o.Transport == nil || o.Ledger == nil || o.Logger == nil {
		return nil, errors.New("making a queue: it needs a Transport, a Ledger and a Logger")
	}
	if o.Drain == 0 {
		o.Drain = 4 * time.Second
	}
	if o.MaxPending == 0 {
		o.MaxPending = 10_000
	}
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	return &Queue{
		o: o, log: o.Logger, entries: map[string]*entry{}, lanes: map[string]*lane{}, updates: newBucket(updateEvery, updateBurst),
		changed: make(chan struct{}), dirty: make(chan struct{}, 1),
	}, nil
}

// Ensure sees to it that a message stands under its key with this content: sent when it never was, edited when it differs. It returns when
// the intent is stored, not when the message is sent; from then on a restart does not lose it. It fails when the post is incomplete, when
// ctx ends, or when too many messages wait. A ledger that cannot store does not stop a message for long.
func (q *Queue) Ensure(ctx context.Context, p Post) error {
	if p.Key == "" || p.Channel == "" {
		return fmt.Errorf("queueing message %q for channel %q: a post needs a key and a channel", p.Key, p.Channel)
	}
	if err := q.restore(ctx); err != nil {
		return fmt.Errorf("queueing message %q: %w", p.Key, err)
	}
	h, now := hash(p.Message), time.Now()
	q.mu.Lock()
	e := q.entries[p.Key]
	if e != nil {
		defer q.mu.Unlock()
		q.want(e, p, h, now)
		return nil
	}
	if q.pending >= q.o.MaxPending {
		q.mu.Unlock()
		return fmt.Errorf("queueing message %q: %d messages wait already, because the chat takes none; see the log for why", p.Key, q.o.MaxPending)
	}
	m := p.Message
	e = &entry{key: p.Key, repost: p.Repost, want: &m, wantHash: h, seq: q.nextSeq(), ensured: now,
		rec: record{Channel: p.Channel, ThreadKey: p.ThreadKey, Intent: now, Pending: &m, Changed: now}}
	q.entries[p.Key] = e
	q.pending++
	q.mu.Unlock()

	err := q.store(ctx, e)
	if err != nil {
		q.log.Warn("the intent to send a message could not be stored; it is sent anyway in a moment", "message", p.Key, "error", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	e.made = true
	if !e.forgotten && e.want != nil {
		q.enlist(e)
	}
	return nil
}

// want changes what should stand under a key that is known. q.mu is held.
func (q *Queue) want(e *entry, p Post, h string, now time.Time) {
	e.repost = p.Repost
	if now.Sub(e.rec.Changed) > affirmEvery { // what is still meant to stand there must not be retired
		e.rec.Changed, e.stored = now, false
		q.late()
	}
	if e.rec.Gone || e.want != nil && e.wantHash == h || e.want == nil && e.rec.Hash == h && e.rec.TS != "" {
		return
	}
	m := p.Message
	if e.want == nil {
		e.seq, e.ensured = q.nextSeq(), now
		q.pending++
	}
	if e.wantHash != h {
		e.textOnly, e.refusals, e.notBefore = false, 0, time.Time{}
	}
	e.want, e.wantHash = &m, h
	if e.rec.TS == "" && e.rec.Channel != p.Channel && !e.busy { // never sent, and the channel's setting was changed
		q.unlist(e)
		e.rec.Channel = p.Channel
		q.enlist(e)
		return
	}
	if e.made { // otherwise the Ensure that made it has not returned yet and lists it
		q.enlist(e)
	}
}

// Forget drops all that is known of the messages whose keys begin with prefix, also from the ledger. What stands in the chat stays; what
// still waits is not sent.
func (q *Queue) Forget(ctx context.Context, prefix string) error {
	if err := q.restore(ctx); err != nil {
		return fmt.Errorf("forgetting messages %q: %w", prefix, err)
	}
	q.mu.Lock()
	var found []*entry
	for key, e := range q.entries {
		if strings.HasPrefix(key, prefix) {
			found = append(found, e)
			e.forgotten = true
			q.settle(e)
			delete(q.entries, key)
		}
	}
	q.mu.Unlock()
	return q.erase(ctx, found)
}

// erase takes forgotten entries out of the ledger.
func (q *Queue) erase(ctx context.Context, found []*entry) error {
	var errs []error
	for _, e := range found {
		e.storing.Lock()
		if err := q.o.Ledger.Delete(ctx, ledgerPrefix+e.key); err != nil {
			errs = append(errs, fmt.Errorf("forgetting message %q: %w", e.key, err))
		}
		e.storing.Unlock()
	}
	return errors.Join(errs...)
}

// retire forgets the threads of which nothing has changed for longer than Keep. Of a thread all is kept or nothing.
func (q *Queue) retire(ctx context.Context, now time.Time) error {
	q.mu.Lock()
	newest := map[string]time.Time{}
	threadOf := func(e *entry) string {
		if e.rec.ThreadKey != "" {
			return e.rec.ThreadKey
		}
		return e.key
	}
	for _, e := range q.entries {
		at := e.rec.Changed
		if e.want != nil || e.busy || !e.made {
			at = now
		}
		newest[threadOf(e)] = later(newest[threadOf(e)], at)
	}
	var found []*entry
	for key, e := range q.entries {
		if now.Sub(newest[threadOf(e)]) > q.o.Keep {
			e.forgotten = true
			delete(q.entries, key)
			found = append(found, e)
		}
	}
	q.mu.Unlock()
	return q.erase(ctx, found)
}

// Sent tells where a message stands, once it was sent.
func (q *Queue) Sent(key string) (channel, ts string, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.entries[key]; e != nil && e.rec.TS != "" && !e.rec.Gone {
		return e.rec.Channel, e.rec.TS, true
	}
	return "", "", false
}

// Pending counts the messages and edits that wait.
func (q *Queue) Pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending
}

// Wait returns when nothing waits any more, or with ctx's error.
func (q *Queue) Wait(ctx context.Context) error {
	if err := q.restore(ctx); err != nil {
		return fmt.Errorf("waiting for messages to be sent: %w", err)
	}
	for {
		q.mu.Lock()
		n, changed := q.pending, q.changed
		q.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d messages to be sent: %w", n, ctx.Err())
		}
	}
}

// Healthy returns nil, or what is wrong with the delivery and what to do about it: a channel that refuses for good, or one that has not
// answered for two minutes.
func (q *Queue) Healthy() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, l := range q.lanes {
		switch {
		case l.trouble != nil:
			errs = append(errs, l.trouble)
		case !l.failing.IsZero() && time.Since(l.failing) > 2*time.Minute && len(l.list) > 0:
			errs = append(errs, fmt.Errorf("channel %s: no message got through since %s", l.channel, l.failing.UTC().Format(time.RFC3339)))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// restore reads the ledger, once.
func (q *Queue) restore(ctx context.Context) error {
	q.mu.Lock()
	done := q.restored
	q.mu.Unlock()
	if done {
		return nil
	}
	q.restoring.Lock()
	defer q.restoring.Unlock()
	q.mu.Lock()
	done = q.restored
	q.mu.Unlock()
	if done {
		return nil
	}
	stored, err := q.o.Ledger.List(ctx, ledgerPrefix)
	if err != nil {
		return fmt.Errorf("reading what was sent before: %w", err)
	}
	now := time.Now()
	var all []*entry
	var old []string
	for key, raw := range stored {
		e := &entry{key: strings.TrimPrefix(key, ledgerPrefix), made: true, stored: true}
		if err := json.Unmarshal(raw, &e.rec); err != nil || e.rec.Channel == "" {
			q.log.Error("a stored message is damaged and is left alone; it may be sent again", "message", e.key, "error", err)
			continue
		}
		if e.rec.Pending == nil && e.rec.TS == "" && !e.rec.Gone {
			old = append(old, key)
			continue
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int {
		return cmpFirst(a.rec.Intent.Compare(b.rec.Intent), strings.Compare(a.key, b.key))
	})
	for _, key := range old {
		if err := q.o.Ledger.Delete(ctx, key); err != nil {
			q.log.Warn("an old message could not be forgotten", "message", key, "error", err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range all {
		q.entries[e.key] = e
	}
	waiting := 0
	for _, e := range all {
		if e.rec.Pending == nil || e.rec.Gone {
			continue
		}
		e.want, e.wantHash, e.seq, e.ensured = e.rec.Pending, hash(*e.rec.Pending), q.nextSeq(), now
		e.unsure, e.unsureAt = e.rec.TS == "", e.rec.Intent
		q.pending++
		waiting++
		q.enlist(e)
	}
	if len(all) > 0 {
		q.log.Info("restored what was sent before", "messages", len(all), "unfinished", waiting)
	}
	q.restored = true
	return nil
}

func cmpFirst(cs ...int) int {
	for _, c := range cs {
		if c != 0 {
			return c
		}
	}
	return 0
}

// store writes an entry's record to the ledger.
func (q *Queue) store(ctx context.Context, e *entry) error {
	e.storing.Lock()
	defer e.storing.Unlock()
	q.mu.Lock()
	if e.forgotten {
		q.mu.Unlock()
		return nil
	}
	raw, err := json.Marshal(e.rec)
	q.mu.Unlock()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, ledgerLimit)
		defer cancel()
		err = q.o.Ledger.Put(ctx, ledgerPrefix+e.key, raw)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	e.stored = err == nil
	return err
}

func (q *Queue) nextSeq() uint64 {
	q.seq++
	return q.seq
}

// enlist puts an entry in line. q.mu is held.
func (q *Queue) enlist(e *entry) {
	l := q.lane(q.channelOf(e))
	if !e.listed {
		e.listed = true
		at, _ := slices.BinarySearchFunc(l.list, e.seq, func(x *entry, seq uint64) int {
			if x.seq < seq {
				return -1
			}
			return 1
		})
		l.list = slices.Insert(l.list, at, e)
	}
	l.poke()
}

// unlist takes an entry out of its line. q.mu is held.
func (q *Queue) unlist(e *entry) {
	if !e.listed {
		return
	}
	e.listed = false
	for _, l := range q.lanes {
		l.list = slices.DeleteFunc(l.list, func(x *entry) bool { return x == e })
	}
}

// settle notes that nothing is to be done for an entry. q.mu is held.
func (q *Queue) settle(e *entry) {
	q.unlist(e)
	if e.want != nil {
		e.want, e.wantHash = nil, ""
		q.pending--
	}
	close(q.changed)
	q.changed = make(chan struct{})
	for _, l := range q.lanes { // replies may have waited for it
		l.poke()
	}
}

// channelOf is where an entry's message goes: a reply goes where its root is. q.mu is held.
func (q *Queue) channelOf(e *entry) string {
	if root := q.entries[e.rec.ThreadKey]; e.rec.ThreadKey != "" && root != nil {
		return root.rec.Channel
	}
	return e.rec.Channel
}

func (q *Queue) lane(channel string) *lane {
	l := q.lanes[channel]
	if l == nil {
		l = &lane{channel: channel, posts: newBucket(postEvery, postBurst), wake: make(chan struct{}, 1)}
		q.lanes[channel] = l
		if q.spawn != nil {
			q.spawn(l)
		}
	}
	return l
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
