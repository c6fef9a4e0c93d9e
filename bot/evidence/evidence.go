package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
)

const (
	// waiting bounds how many tapes wait to be packed: each holds all that a diagnosis read. An incident whose tape finds no room is taped
	// again at its next look, seconds later.
	waiting = 8
	// writeEvery is how long what is new waits for the next write, so that a storm makes few large writes instead of many.
	writeEvery = 5 * time.Second
	// writers bounds how many values are handed to the store at once. A store of ConfigMaps writes those together.
	writers = 64
	// lastWrite bounds the write at the end of the program.
	lastWrite = 2 * time.Second
)

// Store keeps values under keys. state.Store is one.
type Store interface {
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string) (map[string][]byte, error)
}

// Options are what a Keeper needs. All are required.
type Options struct {
	Store  Store
	Redact *diagnose.Redactor
	// Age is how long a recording is kept.
	Age time.Duration
	// PerIncident and Total bound the recordings of one incident and of all, in bytes.
	PerIncident, Total int
	Log                *slog.Logger
}

// Keeper keeps recordings. Create it with New, Restore what is stored, feed it through Witness, and let Run do the work. It is safe for
// concurrent use.
type Keeper struct {
	o     Options
	tapes chan taped

	mu      sync.Mutex
	all     map[string][]Recording // by incident, oldest first
	unsaved map[string][]byte      // by key; nil is to be deleted
	packing map[string]bool        // incidents with a tape under way
	wake    chan struct{}          // holds one token when there is something to write
}

// taped is a tape and what was found on it.
type taped struct {
	tape      *snapshot.Tape
	recording Recording
}

// New returns a Keeper, or an error that names what is missing.
func New(o Options) (*Keeper, error) {
	switch {
	case o.Store == nil || o.Redact == nil || o.Log == nil:
		return nil, errors.New("keeping evidence needs a store, a redactor and a logger")
	case o.Age <= 0 || o.PerIncident <= 0 || o.Total < o.PerIncident:
		return nil, errors.New("keeping evidence needs an age, and room for all incidents that is no less than that for one")
	}
	return &Keeper{
		o: o, tapes: make(chan taped, waiting), all: map[string][]Recording{}, unsaved: map[string][]byte{}, packing: map[string]bool{}, wake: make(chan struct{}, 1),
	}, nil
}

// Restore learns what was kept before a restart. What is damaged is left out with a warning, and removed.
func (k *Keeper) Restore(ctx context.Context) error {
	stored, err := k.o.Store.List(ctx, keyPrefix)
	if err != nil {
		return fmt.Errorf("reading the evidence of earlier incidents: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(stored)) {
		r, _, err := decode(key, stored[key])
		if err != nil {
			k.o.Log.Warn("a recording of an incident's evidence is damaged; it is removed", "key", key, "error", err)
			k.unsaved[key] = nil
			continue
		}
		k.all[r.Incident] = append(k.all[r.Incident], r)
	}
	for _, have := range k.all {
		slices.SortFunc(have, func(a, b Recording) int { return cmp.Compare(a.Number, b.Number) })
	}
	k.bound(time.Now())
	return nil
}

// Witness puts a tape around a view for one diagnosis of an incident. When the diagnosis is made and its message on the way, keep takes
// both over; it does not wait.
func (k *Keeper) Witness(view diagnose.View, inc diagnose.Incident) (through diagnose.View, keep func(diagnose.Diagnosis)) {
	tape := snapshot.NewTape(view, diagnose.Symptom{Subject: inc.Subject, Condition: inc.Condition, Says: inc.Says})
	return tape, func(d diagnose.Diagnosis) { k.take(inc.ID, tape, d) }
}

func (k *Keeper) take(incident string, tape *snapshot.Tape, d diagnose.Diagnosis) {
	r := Recording{
		Incident: incident, Subject: d.Subject, At: tape.Now(), Cause: d.Cause, Confidence: d.Confidence, Restarts: d.Restarts, Log: tape.HasLog(),
		Summary: cut(k.o.Redact.Redact(d.Summary), maxSummary), Elsewhere: d.Elsewhere(),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.packing[incident] || !judge(k.all[incident], r).take {
		return
	}
	select {
	case k.tapes <- taped{tape, r}:
		k.packing[incident] = true
	default:
		k.o.Log.Debug("too much evidence at once; this incident's is taken at its next look", "incident", incident)
	}
}

// cut bounds a text in bytes, at the end of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// Run packs, writes and forgets until ctx ends; then it packs and writes what is left.
func (k *Keeper) Run(ctx context.Context) error {
	var packing sync.WaitGroup
	packing.Go(func() {
		for {
			select {
			case t := <-k.tapes:
				k.pack(t)
			case <-ctx.Done():
				for {
					select {
					case t := <-k.tapes:
						k.pack(t)
						continue
					default:
					}
					return
				}
			}
		}
	})
	timer := time.NewTimer(0) // what Restore found to be too old goes at once
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			packing.Wait()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			k.write(last)
			return nil
		case <-k.wake:
			timer.Reset(writeEvery)
			select { // what comes until then goes into the same write
			case <-timer.C:
			case <-ctx.Done():
				continue
			}
		case <-timer.C:
		}
		k.write(ctx)
		timer.Reset(k.next(time.Now()))
	}
}

// next says how long until something is to be done without being woken.
func (k *Keeper) next(now time.Time) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	wait := time.Hour
	for _, have := range k.all {
		wait = min(wait, have[0].At.Add(k.o.Age).Sub(now))
	}
	if len(k.unsaved) > 0 { // a write failed
		wait = min(wait, time.Minute)
	}
	return max(wait, time.Second)
}

// pack makes a tape into a recording and takes it in.
func (k *Keeper) pack(t taped) {
	r := t.recording
	// Half of the incident's room, so that its first and its newest fit together.
	packed, err := t.tape.Pack(k.o.Redact, k.o.PerIncident/2-metaRoom)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.packing, r.Incident)
	if err != nil {
		k.o.Log.Warn("evidence could not be recorded", "incident", r.Incident, "error", err)
		return
	}
	have := k.all[r.Incident]
	r.Number = 1
	if len(have) > 0 {
		r.Number = have[len(have)-1].Number + 1
	}
	c := judge(have, r)
	if !c.take {
		return
	}
	raw, err := encode(r, packed)
	if err != nil {
		k.o.Log.Warn("evidence could not be recorded", "incident", r.Incident, "error", err)
		return
	}
	r.Size = len(raw)
	if c.replace >= 0 {
		k.drop(have[c.replace])
	}
	k.all[r.Incident] = append(k.all[r.Incident], r)
	k.unsaved[r.key()] = raw
	for _, gone := range surplus(k.all[r.Incident], k.o.PerIncident) {
		k.drop(gone)
	}
	k.bound(time.Now())
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// bound drops what is too old, and what is too much. k.mu is held.
func (k *Keeper) bound(now time.Time) {
	for _, have := range maps.Clone(k.all) {
		for _, r := range slices.Clone(have) {
			if !r.At.Add(k.o.Age).After(now) {
				k.drop(r)
			}
		}
	}
	for _, r := range excess(k.all, k.o.Total) {
		k.drop(r)
	}
}

// drop forgets a recording. k.mu is held.
func (k *Keeper) drop(r Recording) {
	k.unsaved[r.key()] = nil
	have := slices.DeleteFunc(slices.Clone(k.all[r.Incident]), func(o Recording) bool { return o.Number == r.Number })
	if len(have) == 0 {
		delete(k.all, r.Incident)
		return
	}
	k.all[r.Incident] = have
}

// write stores what is new and removes what is gone. What fails is tried again a minute later, or at the next write.
func (k *Keeper) write(ctx context.Context) {
	k.mu.Lock()
	k.bound(time.Now())
	due := maps.Clone(k.unsaved)
	k.mu.Unlock()
	// Room is made first.
	for _, gone := range []bool{true, false} {
		keys := make(chan string)
		var group sync.WaitGroup
		var mu sync.Mutex
		var failed []error
		for range min(writers, len(due)) {
			group.Go(func() {
				for key := range keys {
					if err := k.store(ctx, key, due[key]); err != nil {
						mu.Lock()
						failed = append(failed, err)
						mu.Unlock()
					}
				}
			})
		}
		for key, raw := range due {
			if (raw == nil) == gone {
				keys <- key
			}
		}
		close(keys)
		group.Wait()
		if len(failed) > 0 && ctx.Err() == nil {
			k.o.Log.Warn("evidence could not be stored; it is tried again", "recordings", len(failed), "error", failed[0])
		}
	}
}

// store brings one key up to date.
func (k *Keeper) store(ctx context.Context, key string, raw []byte) error {
	var err error
	if raw == nil {
		err = k.o.Store.Delete(ctx, key)
	} else {
		err = k.o.Store.Put(ctx, key, raw)
	}
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now, ok := k.unsaved[key]; ok && (now == nil) == (raw == nil) && (raw == nil || &now[0] == &raw[0]) { // not changed meanwhile
		delete(k.unsaved, key)
	}
	return nil
}
