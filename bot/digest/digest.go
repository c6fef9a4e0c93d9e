// Package digest posts, on a schedule, what is still failing: the one message that people read who were not woken.
package digest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"crashloop/diagnose"
	"crashloop/notify"
)

// Entry is one open incident, with its newest diagnosis if there is one.
type Entry struct {
	Incident  diagnose.Incident
	Diagnosis *diagnose.Diagnosis
}

// Options are what a digest needs; all are required.
type Options struct {
	// Spec is a cron expression of five fields, or a descriptor such as "@daily", in the local time zone unless it begins with CRON_TZ=.
	Spec string
	Open func() []Entry
	// Post delivers the message under a key, once: a schedule that is met twice around a restart posts once.
	Post func(ctx context.Context, key string, m notify.Message) error
	Log  *slog.Logger
}

// Digest posts on its schedule.
type Digest struct {
	o        Options
	schedule cron.Schedule
}

// New returns a digest, or an error that names the expression that cannot be read.
func New(o Options) (*Digest, error) {
	schedule, err := cron.ParseStandard(o.Spec)
	if err != nil {
		return nil, fmt.Errorf("reading the digest's cron expression %q: %w", o.Spec, err)
	}
	return &Digest{o, schedule}, nil
}

// Run posts at each time of the schedule until ctx ends. A schedule that never comes, such as the 31st of February, waits for ctx.
func (d *Digest) Run(ctx context.Context) error {
	for {
		now := time.Now()
		next := d.schedule.Next(now)
		if next.IsZero() {
			d.o.Log.Warn("the digest's cron expression never comes true", "expression", d.o.Spec)
			<-ctx.Done()
			return nil
		}
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		key := "digest/" + next.UTC().Format("2006-01-02T15:04")
		if err := d.o.Post(ctx, key, Message(d.o.Open(), next)); err != nil && ctx.Err() == nil {
			d.o.Log.Error("posting the digest failed; the next one comes as planned", "error", err)
		}
	}
}

// most is how many incidents a digest lists: a message that nobody reads to its end helps nobody.
const most = 15

// Message says what is failing at that time, the longest-standing first.
func Message(open []Entry, now time.Time) notify.Message {
	if len(open) == 0 {
		text := "Nothing crash-loops."
		return notify.Message{Text: text, Blocks: []notify.Block{{Text: []notify.Span{{Emoji: "white_check_mark"}, notify.T(" " + text)}}}}
	}
	open = slices.Clone(open)
	slices.SortFunc(open, func(a, b Entry) int {
		return cmp.Or(a.Incident.Since.Compare(b.Incident.Since), cmp.Compare(a.Incident.ID, b.Incident.ID))
	})
	title := fmt.Sprintf("%d workloads are failing", len(open))
	if len(open) == 1 {
		title = "One workload is failing"
	}
	m := notify.Message{Text: title, Blocks: []notify.Block{{Header: title}}}
	var list [][]notify.Span
	for _, e := range open[:min(len(open), most)] {
		why := e.Incident.Says
		if e.Diagnosis != nil {
			why = e.Diagnosis.Summary
		}
		line := []notify.Span{notify.B(e.Incident.Subject.Namespace + "/" + e.Incident.Subject.Name())}
		if !e.Incident.Since.IsZero() {
			line = append(line, notify.T(" for "+age(now.Sub(e.Incident.Since))))
		}
		list = append(list, append(line, notify.T(": "+why)))
	}
	m.Blocks = append(m.Blocks, notify.Block{List: list})
	if more := len(open) - most; more > 0 {
		m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(fmt.Sprintf("and %d more; /crashloop list shows those that you may see", more))}})
	}
	return m
}

// age gives a duration the precision that a person would: minutes, hours or days.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
