package bot

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"crashloop/diagnose"
	"crashloop/notify"
)

// Diagnoser finds the cause behind a symptom. *diagnose.Engine is one.
type Diagnoser interface {
	Diagnose(ctx context.Context, view diagnose.View, symptom diagnose.Symptom) (diagnose.Diagnosis, error)
}

// Outbox delivers messages, each exactly once. *notify.Queue is one.
type Outbox interface {
	// Ensure sees to it that the message under post.Key stands in the channel with this content: sent when it never was, edited when it
	// differs. It returns when the intent is stored.
	Ensure(ctx context.Context, post notify.Post) error
	// Forget drops what is known of messages whose keys begin with prefix.
	Forget(ctx context.Context, prefix string) error
}

// Commands runs what people type and click. *command.Dispatcher is one.
type Commands interface {
	Command(ctx context.Context, c notify.Command)
	Click(ctx context.Context, c notify.Click, incident *diagnose.Incident)
}

// Options are what a Bot needs. All fields but Render, Workers, Observer and Evidence are required.
type Options struct {
	Diagnoser Diagnoser
	// View opens a window on the cluster as it is now, for one diagnosis of that symptom. settle ends what the View does by itself.
	View   func(context.Context, diagnose.Symptom) (view diagnose.View, settle func())
	Outbox Outbox
	// Channel says where an incident is posted.
	Channel  func(diagnose.Incident) string
	Memory   notify.Ledger // keeps each open incident's last diagnosis over a restart
	Log      *slog.Logger
	Render   notify.RenderOptions
	Workers  int // diagnoses at once; 4 when zero
	Observer Observer
	Evidence Evidence
}

// Evidence keeps what diagnoses read. *evidence.Keeper is one. A nil Evidence is fine.
type Evidence interface {
	// Witness puts something around a view that remembers what one diagnosis of an incident reads. keep is called when the message is on
	// its way, with the diagnosis that is to be remembered; it does not wait.
	Witness(view diagnose.View, inc diagnose.Incident) (through diagnose.View, keep func(diagnose.Diagnosis))
}

// Observer is told what the bot did, for /metrics. A nil Observer is fine.
type Observer interface {
	Diagnosed(d diagnose.Diagnosis, took time.Duration, err error)
	Opened(inc diagnose.Incident)
	Ended(inc diagnose.Incident)
}

// How long after its opening an incident is looked at again, because events trail status and a log may be complete only then.
var lookAgain = [...]time.Duration{2 * time.Second, 10 * time.Second, 45 * time.Second}

const (
	// quiet is the time after opening in which a changed diagnosis only revises the post.
	quiet = time.Minute
	// refresh is the least time between two diagnoses of the same failure.
	refresh = time.Minute
	// patience is how long a first post waits for its diagnosis before it goes out without one.
	patience = 700 * time.Millisecond
	// limit bounds one diagnosis.
	limit = 20 * time.Second
	// measured is the least age of a container of which metrics-server may know what it uses: it looks every fifteen seconds unless set.
	measured = 15 * time.Second
	// measures bounds how many runs of one incident are looked at for what they use.
	measures = 5
	// remember is how long what was sent is known after the end of an incident.
	remember = 24 * time.Hour
	// repeat is how long a cause that comes and goes is not said again; the root always shows the one that holds.
	repeat = time.Hour
	// affirm is how often the thread of an incident that does not change is seen to, so that the outbox does not take it for an old one.
	affirm = 24 * time.Hour
)

// Bot carries incidents from their opening to their end. Create it with New, feed it with Incident, and let Run do the work.
type Bot struct {
	o Options

	mu    sync.Mutex
	files map[string]*file // by incident id
	ready []string         // ids whose file waits for a worker, in order
	wake  chan struct{}    // holds one token when ready or a due time may have changed
}

// file is what the bot knows of one incident.
type file struct {
	inc       diagnose.Incident
	diagnosis *diagnose.Diagnosis
	// fingerprint and at belong to the diagnosis: what it was made of, and when.
	fingerprint string
	at          time.Time
	causes      int                  // how many changes of cause the thread has been told of
	told        map[string]time.Time // when a cause was said, or held for the last time
	said        *diagnose.Diagnosis  // what the thread was told of last

	busy     bool // a worker has it
	queued   bool // it stands in ready
	diagnose bool // it is to be diagnosed, not only published
	restored bool // its diagnosis has been looked for in memory
	due      []time.Time
	measures int       // how many runs were looked at for what they use
	shown    time.Time // when its thread was last seen to
	forget   time.Time // when an ended incident is dropped
	over     bool      // it is to be dropped
}

// look plans a diagnosis.
func (f *file) look(at time.Time) {
	f.due = append(f.due, at)
	slices.SortFunc(f.due, time.Time.Compare)
}

// lookBy plans a diagnosis, unless there is one until then.
func (f *file) lookBy(at time.Time) {
	if len(f.due) == 0 || f.due[0].After(at) {
		f.look(at)
	}
}

// lateInRun is how long after its start a run is worth a look for what it uses of its limits: shortly before its end, as the runs before it
// went. metrics-server measures only what runs, and knows a container only after its second look at it. It is false once that is known.
func (f *file) lateInRun() (after time.Duration, ok bool) {
	if f.diagnosis == nil || diagnose.Measured(f.diagnosis.Evidence) {
		return 0, false
	}
	var lives []time.Duration
	for _, r := range f.diagnosis.Timeline {
		if !r.Started.IsZero() && r.Ended.After(r.Started) {
			lives = append(lives, r.Ended.Sub(r.Started))
		}
	}
	if len(lives) == 0 {
		return 0, false
	}
	slices.Sort(lives)
	after = lives[len(lives)/2] * 4 / 5
	return after, measured <= after && after <= time.Hour
}

// New returns a Bot, or an error that names what is missing.
func New(o Options) (*Bot, error) {
	switch {
	case o.Diagnoser == nil, o.View == nil, o.Outbox == nil, o.Channel == nil, o.Memory == nil, o.Log == nil:
		return nil, fmt.Errorf("a bot needs a diagnoser, a view, an outbox, a channel, a memory and a logger")
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	return &Bot{o: o, files: map[string]*file{}, wake: make(chan struct{}, 1)}, nil
}

// Incident tells the bot how an incident stands now. It never blocks on the cluster or on Slack; it may be called before Run and at any
// rate: only the newest state counts.
func (b *Bot) Incident(inc diagnose.Incident) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.files[inc.ID]
	switch {
	case f == nil:
		f = &file{diagnose: inc.State == diagnose.Open}
		for _, after := range lookAgain {
			if t := inc.Opened.Add(after); t.After(now) && inc.State == diagnose.Open {
				f.due = append(f.due, t)
			}
		}
		b.files[inc.ID] = f
		if b.o.Observer != nil && inc.State == diagnose.Open {
			b.o.Observer.Opened(inc)
		}
	case inc.State != diagnose.Open:
		f.due = nil
		if f.inc.State == diagnose.Open && b.o.Observer != nil {
			b.o.Observer.Ended(inc)
		}
	case inc.Fingerprint != f.inc.Fingerprint:
		f.diagnose = true
		f.look(now.Add(lookAgain[0]))
	case inc.Restarts != f.inc.Restarts:
		if soon := f.at.Add(refresh); soon.After(now) {
			f.lookBy(soon)
		} else {
			f.diagnose = true
		}
		if late, ok := f.lateInRun(); ok && f.measures < measures {
			f.measures++
			f.look(now.Add(late))
		}
	}
	f.inc = inc
	if inc.State != diagnose.Open && f.forget.IsZero() {
		ended := inc.Ended // long ago, when it is told again after a restart
		if ended.IsZero() || ended.After(now) {
			ended = now
		}
		f.diagnose, f.forget = false, ended.Add(remember)
	}
	b.enqueue(inc.ID, f)
}

// Standing is an incident and the newest diagnosis of it, if there is one yet.
type Standing struct {
	Incident  diagnose.Incident
	Diagnosis *diagnose.Diagnosis
}

// Incidents returns the open incidents.
func (b *Bot) Incidents() []Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Standing, 0, len(b.files))
	for _, f := range b.files {
		if f.inc.State == diagnose.Open {
			all = append(all, Standing{f.inc, f.diagnosis})
		}
	}
	return all
}

// Recent returns the open incidents and those that ended not long ago.
func (b *Bot) Recent() []Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Standing, 0, len(b.files))
	for _, f := range b.files {
		all = append(all, Standing{f.inc, f.diagnosis})
	}
	return all
}

// Find returns an incident by its id, also one that ended not long ago.
func (b *Bot) Find(id string) (Standing, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.files[id]
	if f == nil {
		return Standing{}, false
	}
	return Standing{f.inc, f.diagnosis}, true
}

// Say adds a line to the thread of an incident, once per key.
func (b *Bot) Say(ctx context.Context, incident, key string, m notify.Message) error {
	s, ok := b.Find(incident)
	if !ok {
		return fmt.Errorf("saying something in the thread of incident %q: no such incident", incident)
	}
	return b.o.Outbox.Ensure(ctx, notify.Post{
		Key: prefix(incident) + key, ThreadKey: prefix(incident) + "root", Channel: b.o.Channel(s.Incident), Message: m,
	})
}

// Run diagnoses and publishes until ctx ends, then waits for what is under way.
func (b *Bot) Run(ctx context.Context) error {
	jobs := make(chan string)
	var workers sync.WaitGroup
	for range b.o.Workers {
		workers.Go(func() {
			for id := range jobs {
				b.work(ctx, id)
			}
		})
	}
	defer workers.Wait()
	defer close(jobs)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, wait := b.next(time.Now())
		timer.Reset(wait)
		if next == "" {
			select {
			case <-ctx.Done():
				return nil
			case <-b.wake:
			case <-timer.C:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case jobs <- next:
		}
	}
}

// enqueue puts a file in line for a worker. b.mu is held.
func (b *Bot) enqueue(id string, f *file) {
	if !f.queued && !f.busy {
		f.queued = true
		b.ready = append(b.ready, id)
	} else if f.busy {
		f.queued = true // the worker puts it back in line when it is done
	}
	b.rouse()
}

// rouse makes Run look at what is in line and what comes due.
func (b *Bot) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// next takes the first file in line, or says how long it may be until one comes due.
func (b *Bot) next(now time.Time) (id string, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait = time.Hour
	for id, f := range b.files {
		if !f.forget.IsZero() && !f.forget.After(now) && !f.busy && !f.queued && len(f.due) == 0 {
			f.over = true
			b.enqueue(id, f)
		}
		for len(f.due) > 0 && !f.due[0].After(now) {
			f.due, f.diagnose = f.due[1:], f.inc.State == diagnose.Open
			b.enqueue(id, f)
		}
		if !f.shown.IsZero() && f.inc.State == diagnose.Open && !f.busy && !f.queued && now.Sub(f.shown) >= affirm {
			b.enqueue(id, f)
		}
		if len(f.due) > 0 {
			wait = min(wait, f.due[0].Sub(now))
		}
	}
	if len(b.ready) == 0 {
		return "", wait
	}
	id, b.ready = b.ready[0], b.ready[1:]
	f := b.files[id]
	f.queued, f.busy = false, true
	return id, wait
}

// Desk is the notify.Handler: it finds the incident that a click is about and hands it to the commands.
type Desk struct {
	Bot      *Bot
	Commands Commands
}

// HandleCommand runs a slash command.
func (d Desk) HandleCommand(ctx context.Context, c notify.Command) { d.Commands.Command(ctx, c) }

// HandleClick runs what a button asks for, on the incident that its value names.
func (d Desk) HandleClick(ctx context.Context, c notify.Click) {
	if s, ok := d.Bot.Find(c.Value); ok {
		d.Commands.Click(ctx, c, &s.Incident)
		return
	}
	d.Commands.Click(ctx, c, nil)
}

func prefix(id string) string { return "incident/" + id + "/" }
