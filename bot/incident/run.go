package incident

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"crashloop/diagnose"
)

// idleWait is how long Run sleeps when nothing is planned, and how often it sweeps.
const idleWait = time.Hour

// blindWait is how long after a loss of contact nothing is judged: what happened meanwhile must have been told.
const blindWait = 5 * time.Second

// Run does what only time brings - a container that has been stuck for long enough, an incident that is over - reads events where they
// decide, and stores what is open. It returns when ctx ends and everything is stored, or a few seconds later.
func (t *Tracker) Run(ctx context.Context) error {
	var others sync.WaitGroup
	others.Go(func() { t.keep.run(ctx) })
	for range probers {
		others.Go(func() { t.runProbes(ctx) })
	}
	defer others.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	swept := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-timer.C:
		}
		next := idleWait
		away := t.o.Contact != nil && t.o.Contact() != nil
		t.do(func(now time.Time) {
			if away {
				t.blind = now
			}
			if len(t.agenda) > 0 && !t.agenda[0].due.After(now) && now.Sub(t.blind) < blindWait {
				next = blindWait
				return
			}
			for len(t.agenda) > 0 && t.synced && !t.agenda[0].due.After(now) {
				u := t.agenda[0]
				t.agenda.remove(u)
				t.tick(u, now)
				if u.place >= 0 && !u.due.After(now) {
					t.schedule(u, now.Add(time.Second)) // never spin, whatever is wrong
				}
			}
			if t.synced && now.Sub(swept) >= idleWait {
				t.sweep(now)
				swept = now
			}
			if len(t.agenda) > 0 && t.synced {
				next = min(next, max(t.agenda[0].due.Sub(now), 0))
			}
		})
		timer.Reset(next)
	}
}

// tick is a unit's planned look.
func (t *Tracker) tick(u *unit, now time.Time) {
	if u.inc != nil {
		t.check(u, now)
		return
	}
	// Events of one stuck pod stand for those of its siblings.
	var ask *member
	for _, m := range u.members {
		if due := t.memberDue(m, now); m.stuck.NeedsWarning && !due.IsZero() && !due.After(now) && (ask == nil || m.since.Before(ask.since)) {
			ask = m
		}
	}
	if ask != nil {
		for _, m := range u.members {
			if m.stuck.NeedsWarning {
				m.probed = now
			}
		}
		ask.probing = true
		t.ask(probe{unit: u, member: ask, pod: ask.pod})
	}
	if !u.short.IsZero() && u.shortSays == "" && !u.probing && t.o.View != nil && now.Sub(u.short) >= t.o.Thresholds.StuckAfter && now.Sub(u.probed) >= t.o.Thresholds.StuckAfter {
		u.probed, u.probing = now, true
		t.ask(probe{unit: u, creator: u.creator})
	}
	t.judge(u, now)
}

// schedule plans the next look at a unit; the zero time plans none.
func (t *Tracker) schedule(u *unit, due time.Time) {
	if due.IsZero() {
		t.agenda.remove(u)
		u.due = due
		return
	}
	if u.place >= 0 && u.due.Equal(due) {
		return
	}
	u.due = due
	if u.place >= 0 {
		heap.Fix(&t.agenda, u.place)
	} else {
		heap.Push(&t.agenda, u)
	}
	if t.agenda[0] == u {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// agenda holds the units by the time at which they are due.
type agenda []*unit

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due.Before(a[j].due) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

// Push adds a unit, for package heap.
func (a *agenda) Push(x any) {
	u := x.(*unit)
	u.place = len(*a)
	*a = append(*a, u)
}

// Pop removes the last unit, for package heap.
func (a *agenda) Pop() any {
	old := *a
	u := old[len(old)-1]
	old[len(old)-1] = nil
	*a = old[:len(old)-1]
	u.place = -1
	return u
}

func (a *agenda) remove(u *unit) {
	if u.place >= 0 {
		heap.Remove(a, u.place)
	}
	u.due = time.Time{}
}

// probers is how many reads of events go on at once.
const probers = 2

// probe is a read of events that decides whether a unit is an incident.
type probe struct {
	unit    *unit
	member  *member // a pod that waits, or
	pod     *diagnose.PodRecord
	creator string // a controller that lacks pods
}

// ask queues a probe. t.mu is held.
func (t *Tracker) ask(p probe) {
	t.probes = append(t.probes, p)
	select {
	case t.probeWake <- struct{}{}:
	default:
	}
}

// probeTimeout bounds one read of events.
const probeTimeout = 10 * time.Second

func (t *Tracker) runProbes(ctx context.Context) {
	for {
		t.mu.Lock()
		var p probe
		n := len(t.probes)
		if n > 0 {
			p, t.probes = t.probes[0], t.probes[1:]
		}
		t.mu.Unlock()
		if n == 0 {
			select {
			case <-ctx.Done():
				return
			case <-t.probeWake:
			}
			continue
		}
		if n > 1 {
			select { // there is work for the other one, too
			case t.probeWake <- struct{}{}:
			default:
			}
		}
		if ctx.Err() != nil {
			return
		}
		t.probe(ctx, p)
	}
}

// probe reads the events and takes what they prove.
func (t *Tracker) probe(ctx context.Context, p probe) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	wk := p.unit.workload
	ref := diagnose.Reference{}
	if p.member != nil {
		ref = diagnose.Reference{Kind: "Pod", Name: p.pod.Name}
	} else {
		ref.Kind, ref.Name = split(p.creator)
	}
	objects, err := t.o.View().List(ctx, diagnose.Events, wk.namespace, diagnose.Where{Involved: ref})
	if err != nil && ctx.Err() == nil {
		t.o.Log.Warn("reading events failed; whether this is an incident is looked at again in a while", "namespace", wk.namespace, "object", ref.Kind+"/"+ref.Name, "error", err)
	}
	t.do(func(now time.Time) {
		u := p.unit
		if p.member != nil {
			p.member.probing = false
			if u.members[p.pod.Name] != p.member {
				return
			}
			if e, ok := diagnose.Holdup(objects, p.pod.Name, p.pod.Created); err == nil && ok && p.member.stuck.NeedsWarning {
				p.member.holdup = diagnose.Stuck{Reason: e.Reason, Message: e.Message}.Words()
			}
		} else {
			u.probing = false
			if u.short.IsZero() {
				return
			}
			if e, ok := diagnose.FailedCreate(objects, ref.Kind, ref.Name); err == nil && ok && u.shortSays == "" {
				u.shortSays = e.Message
			}
		}
		t.judge(u, now)
	})
}
