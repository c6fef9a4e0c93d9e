package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
)

// ErrGone means that the recording is not kept any more.
var ErrGone = errors.New("the recording is not kept any more")

// Evidence is one recording, opened.
type Evidence struct {
	Recording Recording
	// View shows what the diagnosis read.
	View *snapshot.Snapshot
	// Archive is the recording as it is stored, a .tar.gz.
	Archive []byte
}

// Age is how long recordings are kept.
func (k *Keeper) Age() time.Duration { return k.o.Age }

// Of returns the recordings of an incident, oldest first.
func (k *Keeper) Of(incident string) []Recording {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.young(k.all[incident])
}

// Find returns the recordings of the incidents whose subject matches, one list to an incident, the oldest first.
func (k *Keeper) Find(match func(diagnose.Subject) bool) [][]Recording {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out [][]Recording
	for _, have := range k.all {
		if have = k.young(have); len(have) > 0 && slices.ContainsFunc(have, func(r Recording) bool { return match(r.Subject) }) {
			out = append(out, have)
		}
	}
	slices.SortFunc(out, func(a, b []Recording) int { return a[0].At.Compare(b[0].At) })
	return out
}

// young leaves out what is too old, though not dropped yet.
func (k *Keeper) young(have []Recording) []Recording {
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(have), func(r Recording) bool { return !r.At.Add(k.o.Age).After(now) })
}

// Open reads a recording.
func (k *Keeper) Open(ctx context.Context, r Recording) (Evidence, error) {
	key := r.key()
	k.mu.Lock()
	raw, unsaved := k.unsaved[key]
	k.mu.Unlock()
	if !unsaved {
		stored, err := k.o.Store.List(ctx, key)
		if err != nil {
			return Evidence{}, fmt.Errorf("reading a recording: %w", err)
		}
		raw = stored[key]
	}
	if raw == nil {
		return Evidence{}, ErrGone
	}
	r, packed, err := decode(key, raw)
	if err != nil {
		k.o.Log.Warn("a recording of an incident's evidence is damaged", "key", key, "error", err)
		return Evidence{}, fmt.Errorf("the recording is damaged: %w", err)
	}
	files, err := snapshot.ReadArchive(bytes.NewReader(packed))
	if err != nil {
		return Evidence{}, fmt.Errorf("the recording is damaged: %w", err)
	}
	e := Evidence{Recording: r, Archive: packed}
	if e.View, err = snapshot.FromFS(files, snapshot.Options{}); err != nil {
		return Evidence{}, fmt.Errorf("the recording is damaged: %w", err)
	}
	return e, nil
}

// Without packs the recording without some of its parts; with all of them it is as it was stored.
func (e Evidence) Without(hide []snapshot.Part) ([]byte, error) {
	if len(hide) == 0 {
		return e.Archive, nil
	}
	files, err := e.View.Without(hide)
	if err != nil {
		return nil, err
	}
	return snapshot.Pack(files, e.Recording.At)
}
