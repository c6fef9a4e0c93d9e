package incident

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"crashloop/diagnose"
)

const (
	openPrefix  = "tracker/open/"
	endedPrefix = "tracker/ended/"
)

// Restore takes up the incidents that were open when the bot stopped, and tells again of those that ended not long before: whether their
// end was said before the bot stopped is not known. It must be called before the watch starts, so that what the watch
// tells is known to belong to them. What is stored but damaged is left out with a line in the log.
func (t *Tracker) Restore(ctx context.Context) error {
	if t.o.Store == nil {
		return nil
	}
	open, err := t.o.Store.List(ctx, openPrefix)
	if err != nil {
		return fmt.Errorf("restoring open incidents: %w", err)
	}
	over, err := t.o.Store.List(ctx, endedPrefix)
	if err != nil {
		return fmt.Errorf("restoring ended incidents: %w", err)
	}
	t.do(func(now time.Time) {
		for key, raw := range over {
			id := strings.TrimPrefix(key, endedPrefix)
			var inc diagnose.Incident
			if json.Unmarshal(raw, &inc) != nil || inc.ID != id || inc.State != diagnose.Recovered && inc.State != diagnose.Closed {
				var at time.Time
				if err := at.UnmarshalText(raw); err != nil {
					at = now
				}
				t.ended[id] = at
				continue
			}
			t.ended[id] = inc.Ended
			if now.Sub(inc.Ended) > recent {
				t.keep.setTime(id, inc.Ended)
			}
			if inc.Subject.Cluster != t.o.Name {
				continue
			}
			what := Recovered
			if inc.State == diagnose.Closed {
				what = Closed
			}
			t.out = append(t.out, Change{Incident: inc, What: what})
		}
		for key, raw := range open {
			var inc diagnose.Incident
			err := json.Unmarshal(raw, &inc)
			switch {
			case err != nil:
			case openPrefix+inc.ID != key || inc.Subject.Namespace == "" || inc.Subject.Workload == "" || inc.State != diagnose.Open:
				err = fmt.Errorf("it does not hold the open incident that its key names")
			case inc.Subject.Cluster != t.o.Name:
				err = fmt.Errorf("it belongs to cluster %q", inc.Subject.Cluster)
			}
			if err != nil {
				t.o.Log.Warn("a stored incident is left out", "key", key, "error", err)
				continue
			}
			u := t.unitOf(workloadKey{inc.Subject.Namespace, inc.Subject.Workload}, inc.Subject.Container, inc.Subject.ContainerType)
			if u.inc != nil {
				t.o.Log.Warn("a stored incident is left out", "key", key, "error", "another one is open for the same container", "other", u.inc.ID)
				t.keep.setTime(inc.ID, now)
				t.keep.set(openPrefix+inc.ID, nil)
				continue
			}
			u.inc, u.longest = &inc, inc.LongestRun
			t.byID[inc.ID] = u
			t.follow(u.workload)
			t.push(u, Restored)
			t.schedule(u, now)
		}
	})
	return nil
}

// newID names an incident by what it is about and which edition of the workload fails, so that the same failure gets the same id even
// when the state was lost. An id that an earlier incident had is passed over.
func (t *Tracker) newID(key, begin string, since time.Time) string {
	for text, n := key+"|"+begin, 0; ; n++ {
		if n > 0 {
			text = fmt.Sprintf("%s|%s|%d|%d", key, begin, since.Unix(), n)
		}
		sum := sha256.Sum256([]byte(text))
		id := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:])[:13])
		if _, over := t.ended[id]; !over && t.byID[id] == nil {
			return id
		}
	}
}

// keeper writes to the store what the tracker tells it, in the background; of several states of one incident only the newest.
type keeper struct {
	store Store
	log   *slog.Logger

	mu      sync.Mutex
	pending map[string][]byte // nil deletes
	wake    chan struct{}
}

func newKeeper(store Store, log *slog.Logger) *keeper {
	return &keeper{store: store, log: log, pending: map[string][]byte{}, wake: make(chan struct{}, 1)}
}

func (k *keeper) put(inc *diagnose.Incident) {
	raw, err := json.Marshal(inc)
	if err != nil {
		k.log.Error("an incident cannot be stored", "incident", inc.ID, "error", err)
		return
	}
	k.set(openPrefix+inc.ID, raw)
}

// ended stores an incident that is over, whole for as long as its end may have to be told again.
func (k *keeper) ended(inc *diagnose.Incident) {
	raw, err := json.Marshal(inc)
	if err != nil {
		k.log.Error("the end of an incident cannot be stored", "incident", inc.ID, "error", err)
	}
	k.set(endedPrefix+inc.ID, raw)
	k.set(openPrefix+inc.ID, nil)
}

// setTime stores of an incident that is over only when that was.
func (k *keeper) setTime(id string, at time.Time) {
	text, _ := at.UTC().MarshalText() // fails only for years of five digits
	k.set(endedPrefix+id, text)
}

func (k *keeper) forget(id string) { k.set(endedPrefix+id, nil) }

func (k *keeper) set(key string, value []byte) {
	if k.store == nil {
		return
	}
	k.mu.Lock()
	k.pending[key] = value
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

const (
	// gather is how long writes are gathered, so that a burst of changes to one incident is written once.
	gather = 250 * time.Millisecond
	// retryWrite is how long a store that failed is left alone.
	retryWrite = 5 * time.Second
	// lastWrites bounds what is written after the end of Run's context.
	lastWrites = 5 * time.Second
	// writers is how many writes go on at once; a store may join them into one.
	writers = 8
)

func (k *keeper) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
			defer cancel()
			if err := k.flush(ctx); err != nil {
				k.log.Error("what changed last about open incidents could not be stored", "error", err)
			}
			return
		case <-k.wake:
		}
		wait := gather
		if err := k.flush(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("storing incidents failed; it is tried again", "in", retryWrite, "error", err)
			wait = retryWrite
			select {
			case k.wake <- struct{}{}:
			default:
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// flush writes what is pending. What fails is pending again, unless something newer is.
func (k *keeper) flush(ctx context.Context) error {
	k.mu.Lock()
	batch := k.pending
	k.pending = map[string][]byte{}
	k.mu.Unlock()
	var (
		failed error
		mu     sync.Mutex
		group  sync.WaitGroup
		slots  = make(chan struct{}, writers)
	)
	for key, value := range batch {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			var err error
			if value == nil {
				err = k.store.Delete(ctx, key)
			} else {
				err = k.store.Put(ctx, key, value)
			}
			if err == nil {
				return
			}
			mu.Lock()
			failed = err
			mu.Unlock()
			k.mu.Lock()
			if _, newer := k.pending[key]; !newer {
				k.pending[key] = value
			}
			k.mu.Unlock()
		})
	}
	group.Wait()
	return failed
}
