package incident

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

const (
	// absence is how long a workload and all its pods must be unknown to count as gone, where nobody told so.
	absence = 2 * time.Minute
	// recall is how long the ids of incidents that are over are kept from being given again.
	recall = 30 * 24 * time.Hour
	// recent is how long after its end an incident is told again after a restart.
	recent = 24 * time.Hour
)

// need is how long every instance of a unit must run for its incident to be over.
func (t *Tracker) need(u *unit) time.Duration { return max(t.o.ResolveAfter, 2*u.longest) }

// settle decides when a unit is looked at again, and forgets what is well. m is the pod with news, nil when all must be gone through.
func (t *Tracker) settle(u *unit, m *member, now time.Time) {
	if u.inc != nil {
		t.settleOpen(u, m, now)
		return
	}
	due := u.due
	if m != nil {
		if t.idle(m, now) {
			t.dropMember(u, m)
		} else {
			due = earlier(due, t.memberDue(m, now))
		}
	} else {
		due = time.Time{}
		for _, m := range u.members {
			if t.idle(m, now) {
				t.dropMember(u, m)
			} else {
				due = earlier(due, t.memberDue(m, now))
			}
		}
	}
	if !u.short.IsZero() && (u.shortSays == "" && t.o.View != nil || now.Sub(u.short) < t.o.Thresholds.StuckAfter) {
		due = earlier(due, later(u.short.Add(t.o.Thresholds.StuckAfter), u.probed.Add(t.o.Thresholds.StuckAfter)))
	}
	if len(u.failures) > 0 {
		// Does anything take the place of the pod that its node would not have?
		if f := u.newestFailure(); f.Expelled && now.Sub(f.At) < t.o.Thresholds.StuckAfter {
			due = earlier(due, f.At.Add(t.o.Thresholds.StuckAfter))
		}
	}
	if len(u.members) == 0 && len(u.failures) == 0 && u.short.IsZero() {
		t.discard(u)
		return
	}
	t.schedule(u, due)
}

// idle says that there is nothing to remember of a member.
func (t *Tracker) idle(m *member, now time.Time) bool {
	return m.since.IsZero() && m.known && (finished(m.pod, &m.c) || !t.notable(&m.c, now))
}

func (t *Tracker) dropMember(u *unit, m *member) {
	u.setFailing(m, false)
	delete(u.members, m.pod.Name)
	pk := podKey{m.pod.Namespace, m.pod.Name}
	for _, other := range t.units[u.workload] {
		if other.members[m.pod.Name] != nil {
			return
		}
	}
	delete(t.pods, pk)
}

// memberDue is when a stuck member must be looked at.
func (t *Tracker) memberDue(m *member, now time.Time) time.Time {
	if m.since.IsZero() || m.probing {
		return time.Time{}
	}
	due := m.since.Add(t.o.Thresholds.StuckAfter)
	if !m.probed.IsZero() {
		due = later(due, m.probed.Add(t.o.Thresholds.StuckAfter))
	}
	switch {
	case m.stuck.NeedsWarning && t.o.View == nil:
		return time.Time{}
	case !m.stuck.NeedsWarning && !due.After(now) && t.synced:
		return now.Add(t.o.Thresholds.StuckAfter) // it was looked at and is no incident, as while its workload is wanted no more
	}
	return due
}

// settleOpen plans the next look at an open incident: when it could be over at the earliest.
func (t *Tracker) settleOpen(u *unit, m *member, now time.Time) {
	if m != nil && !(m.c.State == diagnose.Running && m.c.Ready) && !finished(m.pod, &m.c) {
		t.schedule(u, now.Add(t.o.ResolveAfter)) // not before this pod has changed; a late look in case that is missed
		return
	}
	if u.runsToEnd() || len(u.members) == 0 { // perhaps the workload is gone
		t.schedule(u, now)
		return
	}
	at := later(u.inc.LastCrash, u.unready)
	if m != nil {
		at = later(at, m.c.Started)
	}
	t.schedule(u, later(now, at.Add(t.need(u))))
}

// check ends an incident that is over, or plans the next look at it.
func (t *Tracker) check(u *unit, now time.Time) {
	if t.vanished(u) {
		if u.missing.IsZero() {
			u.missing = now
		}
		if now.Sub(u.missing) >= absence {
			t.closeAll(u.workload, u.inc.Subject.Workload+" no longer exists", now)
			return
		}
		t.schedule(u, u.missing.Add(absence))
		return
	}
	u.missing = time.Time{}
	again := now.Add(t.o.ResolveAfter)
	if !u.short.IsZero() {
		t.schedule(u, again)
		return
	}
	var live []diagnose.PodRecord
	for _, p := range t.o.Cluster.PodsOf(u.workload.namespace, u.workload.workload) {
		switch {
		case p.Phase == corev1.PodSucceeded:
			u.succeed(&p)
		case p.Deleted.IsZero() && p.Phase != corev1.PodFailed:
			live = append(live, p)
		}
	}
	var says string
	var at time.Time
	switch kind, _ := split(u.workload.workload); {
	case u.kind == diagnose.Init && kind != "Job" && kind != "CronJob":
		says = initDone(u, live)
	case u.runsToEnd():
		says = t.succeededSince(u, live, kind)
		at = now
	default:
		says, at = t.steady(u, live, now)
	}
	switch {
	case says == "":
		t.schedule(u, again)
	case at.After(now):
		t.schedule(u, at)
	default:
		t.end(u, diagnose.Recovered, says, now)
	}
}

// steady says since when every instance has been well, if each is: the words for it, and the time from which on that was long enough.
func (t *Tracker) steady(u *unit, live []diagnose.PodRecord, now time.Time) (says string, at time.Time) {
	n, without := 0, 0
	need := t.need(u)
	at = later(u.inc.LastCrash, u.unready)
	for i := range live {
		p := &live[i]
		here := false
		for j := range p.Containers {
			c := &p.Containers[j]
			if u.container != "" && c.Name != u.container || u.container == "" && c.Type == diagnose.Init {
				continue
			}
			here = true
			if c.State != diagnose.Running || !c.Ready {
				return "", at
			}
			at = later(at, c.Started)
			if m := u.members[p.Name]; m != nil && !c.Started.Add(need).After(now) {
				u.setFailing(m, false)
			}
		}
		if here {
			n++
		} else {
			without++
		}
	}
	switch {
	case n == 0 && without > 0:
		return fmt.Sprintf("the pods have no container %s any more", u.container), now
	case n == 0:
		return "", at
	case n == 1:
		return fmt.Sprintf("it has run, ready and without a restart, for %s", diagnose.Duration(need)), at.Add(need)
	}
	return fmt.Sprintf("all %d instances have run, ready and without a restart, for %s", n, diagnose.Duration(need)), at.Add(need)
}

// initDone says whether an init container has succeeded in every pod.
func initDone(u *unit, live []diagnose.PodRecord) (says string) {
	n := 0
	for i := range live {
		p := &live[i]
		for j := range p.Containers {
			c := &p.Containers[j]
			if c.Name != u.container {
				continue
			}
			if !finished(p, c) {
				return ""
			}
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("init container %s has succeeded", u.container)
}

// succeededSince says whether a Job or CronJob has succeeded since it last failed. Of a Job its own word counts, where it is known.
func (t *Tracker) succeededSince(u *unit, live []diagnose.PodRecord, kind string) string {
	if kind == "Job" {
		if w, ok := t.o.Cluster.Workload(u.workload.namespace, u.workload.workload); ok && !w.Complete {
			return ""
		}
	}
	good := u.success
	for i := range live {
		p := &live[i]
		for j := range p.Containers {
			c := &p.Containers[j]
			if c.Name != u.container {
				continue
			}
			if finished(p, c) {
				good = later(good, c.Finished)
			} else if m := u.members[p.Name]; m != nil && m.failing {
				return ""
			}
		}
	}
	if good.IsZero() || good.Before(u.inc.LastCrash) || good.Before(u.inc.Since) {
		return ""
	}
	return "its newest run has succeeded"
}

// succeeded takes a pod that has ended well.
func (t *Tracker) succeeded(rec *diagnose.PodRecord, now time.Time) {
	pk := podKey{rec.Namespace, rec.Name}
	if s := t.pods[pk]; s != nil {
		t.dropPod(pk, s, now)
	}
	kind, _ := split(rec.Workload)
	for _, u := range t.units[workloadKey{rec.Namespace, rec.Workload}] {
		u.succeed(rec)
		switch {
		case u.inc != nil && kind == "Pod":
			t.end(u, diagnose.Recovered, "it has succeeded", now)
		case u.inc != nil:
			t.schedule(u, now)
		default:
			t.settle(u, nil, now)
		}
	}
}

// vanished says that neither the workload of a unit nor any pod of it is known.
func (t *Tracker) vanished(u *unit) bool {
	if !t.synced {
		return false
	}
	if _, ok := t.o.Cluster.Workload(u.workload.namespace, u.workload.workload); ok {
		return false
	}
	return len(t.o.Cluster.PodsOf(u.workload.namespace, u.workload.workload)) == 0
}

// end brings a unit's incident to its end. What crashed until then is not held against the next one.
func (t *Tracker) end(u *unit, state diagnose.IncidentState, says string, now time.Time) {
	for _, m := range u.members {
		m.base = m.ends
		m.stuck, m.since, m.holdup = diagnose.Stuck{}, time.Time{}, "" // the next record tells whether it still is
		u.setFailing(m, false)
	}
	inc := u.inc
	inc.State, inc.Ended, inc.EndedSays, inc.Failing = state, now, says, 0
	what := Recovered
	if state == diagnose.Closed {
		what = Closed
	}
	t.push(u, what)
	t.o.Log.Info("incident ended", "incident", inc.ID, "namespace", u.workload.namespace, "workload", u.workload.workload, "container", u.container,
		"state", state, "says", says)
	delete(t.byID, inc.ID)
	t.ended[inc.ID] = now
	t.keep.ended(inc)
	u.inc, u.failures, u.longest, u.uid = nil, nil, 0, ""
	t.unfollow(u.workload)
	t.settle(u, nil, now)
}

// closeAll closes what is open about a workload that is gone or wanted no more, and forgets it.
func (t *Tracker) closeAll(wk workloadKey, says string, now time.Time) {
	for _, u := range t.units[wk] {
		if u.inc != nil {
			t.end(u, diagnose.Closed, says, now)
		}
		t.forget(u)
	}
}

// forget drops a unit without an incident, and all that is known of its pods.
func (t *Tracker) forget(u *unit) {
	for _, m := range u.members {
		t.dropMember(u, m)
	}
	u.failures, u.short, u.shortSays = nil, time.Time{}, ""
	t.discard(u)
}

func (t *Tracker) follow(wk workloadKey) {
	if !t.followed[wk] {
		t.followed[wk] = true
		t.o.Cluster.Follow(wk.namespace, wk.workload)
	}
}

// unfollow ends following a workload of which nothing is open and no failed pods are remembered.
func (t *Tracker) unfollow(wk workloadKey) {
	if !t.followed[wk] {
		return
	}
	for _, u := range t.units[wk] {
		if u.inc != nil || len(u.failures) > 0 {
			return
		}
	}
	delete(t.followed, wk)
	t.o.Cluster.Unfollow(wk.namespace, wk.workload)
}

// sweep forgets what has become too old to matter.
func (t *Tracker) sweep(now time.Time) {
	for _, units := range t.units {
		for _, u := range units {
			if u.inc != nil {
				continue
			}
			if kind, _ := split(u.workload.workload); len(u.failures) > 0 && (kind != "CronJob" && now.Sub(u.newestFailure().At) > t.o.Thresholds.SlowWindow ||
				now.Sub(u.newestFailure().At) > recall) {
				u.failures = nil
			}
			t.settle(u, nil, now)
		}
	}
	for wk, at := range t.gone {
		if now.Sub(at) >= absence {
			delete(t.gone, wk)
		}
	}
	for id, at := range t.ended {
		if ago := now.Sub(at); ago > recent && ago < recent+3*idleWait {
			t.keep.setTime(id, at)
		}
		if now.Sub(at) > recall {
			delete(t.ended, id)
			t.keep.forget(id)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
