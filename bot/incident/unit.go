package incident

import (
	"slices"
	"strings"
	"time"

	"crashloop/diagnose"
)

// unit is one container of one workload: what an incident is about. It exists only while there is something to remember of it.
type unit struct {
	workload  workloadKey
	container string // empty for pods that cannot be created at all
	kind      diagnose.ContainerType
	members   map[string]*member // by pod name
	failing   int                // members that fail

	failures []diagnose.Failure // of whole pods, since the last success
	success  time.Time

	short     time.Time // since when pods are missing
	shortSays string    // why, when it is known
	creator   string    // the controller that lacks them: the workload, or a CronJob's Job
	probed    time.Time // when its events were last asked for
	probing   bool

	inc     *diagnose.Incident
	uid     string // of the pod, where the workload is a bare pod
	ends    int    // how often its containers have ended, as far as that was seen
	longest time.Duration
	unready time.Time // when an instance was last seen not to be ready
	missing time.Time // since when neither the workload nor a pod of it is known

	due   time.Time // when to look again
	place int       // in the agenda, -1 when not in it
}

// member is one pod's container in a unit.
type member struct {
	pod     *diagnose.PodRecord
	c       diagnose.ContainerRecord
	known   bool // observed before
	ends    int
	base    int // ends that belong to an incident that is over
	stamps  []stamp
	failing bool

	stuck   diagnose.Stuck
	since   time.Time // when it got stuck, zero when it is not
	holdup  string    // the Warning event that proves it, where one is needed
	probing bool
	probed  time.Time
}

// stamp is one end of a container.
type stamp struct {
	at    time.Time
	like  string // fingerprint
	fault bool   // ended abnormally, not with exit 0 or by losing its node
	id    string
}

// member returns the record of a pod in the unit, made if need be.
func (u *unit) member(rec *diagnose.PodRecord) *member {
	m := u.members[rec.Name]
	if m == nil {
		m = &member{pod: rec}
		u.members[rec.Name] = m
	}
	return m
}

// stale says that a record is older than the one that is known: watches are in order, but a list may come from behind.
func (m *member) stale(c *diagnose.ContainerRecord) bool {
	if !m.known {
		return false
	}
	if c.Restarts != m.c.Restarts {
		return c.Restarts < m.c.Restarts
	}
	if c.State != diagnose.Running || c.Started.IsZero() || len(m.stamps) == 0 {
		return false
	}
	return m.c.State == diagnose.Terminated && m.stamps[len(m.stamps)-1].at.After(c.Started)
}

// observe takes a container's newest record and returns how many ends it brought.
func (u *unit) observe(m *member, rec *diagnose.PodRecord, c *diagnose.ContainerRecord, now time.Time, th diagnose.Thresholds) (fresh int) {
	var found []stamp
	note := func(end diagnose.Termination) {
		s := stamp{at: end.Finished, like: end.Fingerprint(), fault: end.Kind() == diagnose.Abnormal, id: end.ID}
		if s.at.IsZero() || s.at.After(now) {
			s.at = now
		}
		for _, old := range slices.Concat(m.stamps, found) {
			if s.id != "" && s.id == old.id || s.id == "" && s.at.Equal(old.at) {
				return
			}
		}
		found = append(found, s)
	}
	if c.Last != nil {
		note(*c.Last)
	}
	if last, ok := c.LastEnd(); ok && c.State == diagnose.Terminated {
		note(last)
	}
	ends := max(c.Ends(), m.ends)
	if m.known {
		// Ends that nobody saw lie between the last one that is known and the newest.
		missed := ends - m.ends - len(found)
		for i := 0; i < missed && i < cap64(th) && len(m.stamps) > 0 && len(found) > 0; i++ {
			from, to := m.stamps[len(m.stamps)-1], found[len(found)-1]
			from.at = from.at.Add(to.at.Sub(from.at) * time.Duration(i+1) / time.Duration(missed+1))
			from.id = ""
			found = append(found, from)
		}
		if ends == m.ends && len(found) > 0 && m.c.State == diagnose.Running && c.Restarts == m.c.Restarts && c.State == diagnose.Running {
			found = nil // the record of a healthy pod lacks what the full one tells; nothing has happened
		}
	}
	slices.SortStableFunc(found, func(a, b stamp) int { return a.at.Compare(b.at) })
	if m.known {
		fresh = max(ends-m.ends, 0)
	} else {
		fresh = ends
	}
	for _, s := range found {
		if u.inc != nil && m.known && len(m.stamps) > 0 {
			u.longest = max(u.longest, s.at.Sub(m.stamps[len(m.stamps)-1].at))
		}
		m.stamps = append(m.stamps, s)
	}
	if n := cap64(th); len(m.stamps) > n {
		m.stamps = slices.Delete(m.stamps, 0, len(m.stamps)-n)
	}
	if u.inc != nil {
		ready := c.State == diagnose.Running && c.Ready
		if !ready && !finished(rec, c) || m.known && !m.c.Ready {
			u.unready = now
		}
	}
	u.ends += fresh
	m.pod, m.c, m.ends, m.known = rec, *c, ends, true
	return fresh
}

// cap64 bounds the ends that are kept of one container.
func cap64(th diagnose.Thresholds) int { return min(max(th.SlowRestarts, th.Crashes)+2, 64) }

// finished says that the container is done, well and for good, as an init container is.
func finished(rec *diagnose.PodRecord, c *diagnose.ContainerRecord) bool {
	if c.State != diagnose.Terminated {
		return false
	}
	last, _ := c.LastEnd()
	return last.Kind() == diagnose.Finished && (c.Type == diagnose.Init || rec.RestartPolicy != "" && rec.RestartPolicy != "Always")
}

// setStuck notes since when the container cannot start. Going from one way of being stuck to another starts anew, but the kubelet's
// back-off between two attempts does not.
func (m *member) setStuck(s diagnose.Stuck, is bool, now time.Time, live bool) {
	if !is {
		m.stuck, m.since, m.holdup = diagnose.Stuck{}, time.Time{}, ""
		return
	}
	if !m.since.IsZero() && class(s) == class(m.stuck) {
		m.stuck = s
		return
	}
	first := m.since.IsZero() && m.stuck == diagnose.Stuck{}
	m.stuck, m.since, m.holdup = s, now, ""
	if !first {
		return
	}
	// It may have been so before anybody looked.
	if last, ok := m.c.LastEnd(); ok {
		if !live && !last.Finished.IsZero() && last.Finished.Before(now) {
			m.since = last.Finished
		}
	} else if !m.pod.Created.IsZero() && m.pod.Created.Before(now) && (!live || class(s) != "start") {
		m.since = m.pod.Created
	}
}

func class(s diagnose.Stuck) string {
	switch {
	case s.NeedsWarning:
		return "creating"
	case s.Reason == "Unschedulable":
		return "unschedulable"
	}
	return "start"
}

// recount counts the members that fail.
func (u *unit) recount() {
	u.failing = 0
	for _, m := range u.members {
		if m.failing {
			u.failing++
		}
	}
}

func (u *unit) setFailing(m *member, failing bool) {
	if m.failing == failing {
		return
	}
	m.failing = failing
	if failing {
		u.failing++
	} else {
		u.failing--
	}
}

// telling returns the member that tells most: one that fails, with the newest end, by name when that leaves a choice.
func (u *unit) telling() *member {
	var best *member
	better := func(a, b *member) bool {
		if a.failing != b.failing {
			return a.failing
		}
		at, bt := a.newest(), b.newest()
		if !at.Equal(bt) {
			return at.After(bt)
		}
		return a.pod.Name < b.pod.Name
	}
	for _, m := range u.members {
		if best == nil || better(m, best) {
			best = m
		}
	}
	return best
}

// newest is when the member last ended or got stuck.
func (m *member) newest() time.Time {
	if len(m.stamps) > 0 {
		return m.stamps[len(m.stamps)-1].at
	}
	return m.since
}

func (u *unit) snapshot() diagnose.Incident {
	inc := *u.inc
	if inc.ExitCode != nil {
		code := *inc.ExitCode
		inc.ExitCode = &code
	}
	return inc
}

func split(workload string) (kind, name string) {
	kind, name, _ = strings.Cut(workload, "/")
	return kind, name
}

// runsToEnd says that the unit's container is meant to end well.
func (u *unit) runsToEnd() bool {
	kind, _ := split(u.workload.workload)
	return kind == "Job" || kind == "CronJob" || u.kind == diagnose.Init
}
