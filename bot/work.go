package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"crashloop/diagnose"
	"crashloop/notify"
)

// work brings the thread of one incident up to date.
func (b *Bot) work(ctx context.Context, id string) {
	b.mu.Lock()
	f := b.files[id]
	inc, fresh, known, restored := f.inc, f.diagnose, f.diagnosis, f.restored
	f.diagnose, f.restored = false, true
	over := f.over
	b.mu.Unlock()
	if over {
		b.drop(ctx, id, f)
		return
	}

	if !restored {
		if m, ok := b.recall(ctx, id); ok {
			b.mu.Lock()
			f.diagnosis, f.fingerprint, f.causes, f.told = &m.Diagnosis, m.Fingerprint, m.Causes, m.Told
			known = f.diagnosis
			b.mu.Unlock()
		}
	}
	keep := func() {}
	if fresh {
		keep = b.rediagnose(ctx, f, inc, known)
	}
	b.publish(ctx, f)
	keep()

	b.mu.Lock()
	f.busy = false
	if f.queued {
		f.queued = false
		b.enqueue(id, f)
	}
	b.mu.Unlock()
}

// drop forgets an incident that ended long enough ago.
func (b *Bot) drop(ctx context.Context, id string, f *file) {
	err := b.o.Memory.Delete(ctx, "diagnosis/"+id)
	if err != nil && ctx.Err() == nil {
		b.o.Log.Warn("forgetting a diagnosis failed; it is tried again in an hour", "incident", id, "error", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.files, id)
		return
	}
	f.busy, f.queued, f.over, f.forget = false, false, false, time.Now().Add(time.Hour)
}

// rediagnose looks for the cause anew. A first post does not wait for it longer than patience. What it returns keeps the evidence, and is
// to be called after the post.
func (b *Bot) rediagnose(ctx context.Context, f *file, inc diagnose.Incident, known *diagnose.Diagnosis) (keep func()) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		d   diagnose.Diagnosis
		err error
	}
	symptom := diagnose.Symptom{Subject: inc.Subject, Condition: inc.Condition, Says: inc.Says}
	view, settle := b.o.View(ctx, symptom)
	defer settle()
	remember := func(diagnose.Diagnosis) {}
	if b.o.Evidence != nil {
		view, remember = b.o.Evidence.Witness(view, inc)
	}
	start := time.Now()
	done := make(chan result, 1)
	go func() {
		d, err := b.o.Diagnoser.Diagnose(ctx, view, symptom)
		done <- result{d, err}
	}()
	var r result
	if known == nil {
		timer := time.NewTimer(patience)
		select {
		case r = <-done:
			timer.Stop()
		case <-timer.C:
			b.publish(ctx, f)
			r = <-done
		}
	} else {
		r = <-done
	}
	if b.o.Observer != nil {
		b.o.Observer.Diagnosed(r.d, time.Since(start), r.err)
	}
	if r.err != nil {
		if ctx.Err() == nil || errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			b.o.Log.Warn("diagnosing failed", "incident", inc.ID, "workload", inc.Subject.Workload, "namespace", inc.Subject.Namespace, "error", r.err)
			b.again(f)
		}
		return func() {}
	}
	if !b.adopt(ctx, f, inc, r.d) {
		return func() {} // what proved the cause that stands was there before
	}
	return func() { remember(r.d) }
}

// again makes sure that what failed is tried once more, even if nothing else happens: the diagnosis, or saying how the incident ended.
func (b *Bot) again(f *file) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.lookBy(time.Now().Add(refresh))
	b.rouse()
}

// adopt takes a new diagnosis over, unless it only knows less than the one that stands; it says whether it did.
func (b *Bot) adopt(ctx context.Context, f *file, inc diagnose.Incident, d diagnose.Diagnosis) (taken bool) {
	b.mu.Lock()
	old, same := f.diagnosis, f.fingerprint == inc.Fingerprint
	f.at = time.Now()
	taken = true
	if old != nil && same && weaker(d, *old) {
		taken = false
		// The log or the events that proved the cause are gone by now: what was proven stays proven.
		kept := *old
		kept.Restarts, kept.NextRetry, kept.Timeline = d.Restarts, d.NextRetry, d.Timeline
		d = kept
	}
	if old != nil {
		d.Timeline = diagnose.MergeRuns(old.Timeline, d.Timeline)
		if same && old.Cause == d.Cause {
			d.Evidence = diagnose.KeepMeasured(old.Evidence, d.Evidence)
		}
	}
	f.diagnosis, f.fingerprint = &d, inc.Fingerprint
	if f.told == nil {
		f.told = map[string]time.Time{}
	}
	if old != nil && old.Cause != d.Cause {
		f.told[old.Cause] = f.at
	}
	switch {
	case old == nil || f.at.Sub(inc.Opened) <= quiet:
		f.said = &d
	case f.said == nil: // before a restart of the bot
		f.said = old
	}
	before := *f.said
	changed := before.Cause != d.Cause && f.at.Sub(f.told[d.Cause]) > repeat
	if changed {
		f.causes++
		f.said, f.told[d.Cause] = &d, f.at
	}
	m := memory{Diagnosis: d, Excerpt: d.Excerpt, Timeline: d.Timeline, Mentions: d.Mentions, Fingerprint: inc.Fingerprint, Causes: f.causes, Told: maps.Clone(f.told)}
	b.mu.Unlock()

	if changed {
		b.ensure(ctx, f, inc, fmt.Sprintf("cause/%d", m.Causes), notify.CauseChanged(inc, b.o.Render.Public(before), b.o.Render.Public(d)))
	}
	raw, err := json.Marshal(m)
	if err == nil {
		err = b.o.Memory.Put(ctx, "diagnosis/"+inc.ID, raw)
	}
	if err != nil {
		b.o.Log.Warn("storing a diagnosis failed; after a restart a change of cause may go unsaid", "incident", inc.ID, "error", err)
	}
	return taken
}

// weaker says whether a is a lesser answer than b to the same failure: one that no longer sees what b rests on first. What still sees that, and says
// something else of it, has seen more: a Job failed meanwhile that should have made what is missing.
func weaker(a, b diagnose.Diagnosis) bool {
	if len(b.Evidence) > 0 && slices.Contains(a.Evidence, b.Evidence[0]) {
		return false
	}
	rank := map[diagnose.Confidence]int{diagnose.Certain: 3, diagnose.Likely: 2, diagnose.Possible: 1}
	if rank[a.Confidence] != rank[b.Confidence] {
		return rank[a.Confidence] < rank[b.Confidence]
	}
	return a.Cause != b.Cause && len(a.Gaps) > len(b.Gaps)
}

// publish sees to it that the thread shows what the file holds.
func (b *Bot) publish(ctx context.Context, f *file) {
	b.mu.Lock()
	inc := f.inc
	f.shown = time.Now()
	var d *diagnose.Diagnosis
	if f.diagnosis != nil {
		c := *f.diagnosis
		d = &c
	}
	b.mu.Unlock()

	b.ensure(ctx, f, inc, "root", notify.Root(inc, d, b.o.Render))
	if d != nil {
		b.ensure(ctx, f, inc, "detail", notify.Detail(inc, *d, b.o.Render))
	}
	if inc.State != diagnose.Open {
		b.ensure(ctx, f, inc, "end", notify.End(inc))
	}
}

func (b *Bot) ensure(ctx context.Context, f *file, inc diagnose.Incident, key string, m notify.Message) {
	post := notify.Post{Key: prefix(inc.ID) + key, Channel: b.o.Channel(inc), Message: m, Repost: key == "root" && inc.State == diagnose.Open}
	if key != "root" {
		post.ThreadKey = prefix(inc.ID) + "root"
	}
	if err := b.o.Outbox.Ensure(ctx, post); err != nil && ctx.Err() == nil {
		b.o.Log.Error("a message could not be queued; it is tried again at the incident's next change", "incident", inc.ID, "message", key, "error", err)
		b.again(f)
	}
}

// memory is what outlives a restart of the bot.
type memory struct {
	Diagnosis   diagnose.Diagnosis   `json:"diagnosis"`
	Excerpt     diagnose.Excerpt     `json:"excerpt"`
	Timeline    []diagnose.Run       `json:"timeline"`
	Mentions    []string             `json:"mentions,omitempty"`
	Fingerprint string               `json:"fingerprint"`
	Causes      int                  `json:"causes"`
	Told        map[string]time.Time `json:"told,omitempty"`
}

func (b *Bot) recall(ctx context.Context, id string) (memory, bool) {
	all, err := b.o.Memory.List(ctx, "diagnosis/"+id)
	if err != nil {
		b.o.Log.Warn("reading a stored diagnosis failed", "incident", id, "error", err)
		return memory{}, false
	}
	raw, ok := all["diagnosis/"+id]
	if !ok {
		return memory{}, false
	}
	var m memory
	if err := json.Unmarshal(raw, &m); err != nil {
		b.o.Log.Warn("a stored diagnosis is damaged; it is made anew", "incident", id, "error", err)
		return memory{}, false
	}
	m.Diagnosis.Excerpt, m.Diagnosis.Timeline, m.Diagnosis.Mentions = m.Excerpt, m.Timeline, m.Mentions
	return m, true
}
