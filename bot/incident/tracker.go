package incident

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// Cluster answers what the tracker asks of the watch. *kube.Watch is one. Its methods are called with the tracker's lock held, so they
// must answer from memory and never call the tracker.
type Cluster interface {
	// PodsOf returns all pods of a workload, healthy ones too.
	PodsOf(namespace, workload string) []diagnose.PodRecord
	// Workload returns a controller's newest record; false when it is not known.
	Workload(namespace, workload string) (diagnose.WorkloadRecord, bool)
	// Follow makes the watch tell every change of the workload's pods, healthy ones too, until Unfollow.
	Follow(namespace, workload string)
	Unfollow(namespace, workload string)
}

// Store keeps open incidents over a restart of the bot. It has the shape of notify.Ledger.
type Store interface {
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string) (map[string][]byte, error)
}

// Options are what a Tracker needs. Cluster, Changed and Log are required.
type Options struct {
	// Name is what messages call the cluster; it is part of each incident's identity.
	Name       string
	Thresholds diagnose.Thresholds // the defaults when zero
	// ResolveAfter is how long every instance must run, ready and unrestarted, for an incident to be over; 10 minutes when zero.
	ResolveAfter time.Duration
	Cluster      Cluster
	// View opens a window on the cluster, for events. Without it, what only events can prove opens no incident.
	View func() diagnose.View
	// Contact says whether the watch hears from the API server: while it returns an error, nothing is judged by the passing of time. Nil
	// means always.
	Contact func() error
	// Store keeps open incidents; nil keeps none.
	Store Store
	// Changed is told of each change, one call at a time and in order, in the goroutine of whoever brought the news, without any lock held:
	// it may call the tracker. While it is busy, further changes of one incident are merged, so that nothing is lost and no more than two
	// changes per incident wait.
	Changed func(Change)
	Log     *slog.Logger
}

// What says what a Change brings.
type What string

// The kinds of changes.
const (
	Opened       What = "opened"
	Restored     What = "restored" // it was open when the bot stopped
	Updated      What = "updated"
	CrashedAgain What = "crashed-again"
	Recovered    What = "recovered"
	Closed       What = "closed"
)

// Change is an incident after something happened to it.
type Change struct {
	Incident diagnose.Incident
	What     What
}

// Tracker follows the lives of incidents. Create it with New, call Restore before the watch starts, feed it as the watch's sink, and let
// Run do what time brings. All methods may be called from several goroutines at once.
type Tracker struct {
	o Options

	mu     sync.Mutex
	synced bool
	units  map[workloadKey]map[string]*unit // by container
	pods   map[podKey]*seen
	ended  map[string]time.Time // ids of incidents that are over, and when that was
	byID   map[string]*unit

	followed map[workloadKey]bool
	gone     map[workloadKey]time.Time // controllers that were deleted, and when; their pods follow them
	blind    time.Time                 // when there was last no contact

	agenda agenda
	wake   chan struct{}

	out        []Change
	delivering bool

	probes    []probe
	probeWake chan struct{}
	keep      *keeper
}

type workloadKey struct{ namespace, workload string }

type podKey struct{ namespace, name string }

// seen is a pod of which some unit keeps a member.
type seen struct {
	uid      string
	workload string
}

// New returns a Tracker, or an error that names what is missing.
func New(o Options) (*Tracker, error) {
	if o.Cluster == nil || o.Changed == nil || o.Log == nil {
		return nil, fmt.Errorf("a tracker needs a cluster, a receiver of changes and a logger")
	}
	if o.Thresholds == (diagnose.Thresholds{}) {
		o.Thresholds = diagnose.DefaultThresholds()
	}
	if o.ResolveAfter <= 0 {
		o.ResolveAfter = 10 * time.Minute
	}
	return &Tracker{
		o: o, units: map[workloadKey]map[string]*unit{}, pods: map[podKey]*seen{}, ended: map[string]time.Time{}, byID: map[string]*unit{}, followed: map[workloadKey]bool{},
		gone: map[workloadKey]time.Time{}, wake: make(chan struct{}, 1), probeWake: make(chan struct{}, 1), keep: newKeeper(o.Store, o.Log),
	}, nil
}

// Pod takes the newest state of a pod.
func (t *Tracker) Pod(rec diagnose.PodRecord) {
	t.do(func(now time.Time) { t.pod(&rec, now) })
}

// PodGone takes the end of a pod.
func (t *Tracker) PodGone(rec diagnose.PodRecord) {
	t.do(func(now time.Time) { t.podGone(&rec, now) })
}

// Workload takes the newest state of a controller.
func (t *Tracker) Workload(rec diagnose.WorkloadRecord) {
	t.do(func(now time.Time) { t.workload(rec, now) })
}

// WorkloadGone takes the end of a controller.
func (t *Tracker) WorkloadGone(rec diagnose.WorkloadRecord) {
	t.do(func(now time.Time) {
		kind, name := split(rec.Workload)
		if rec.Owner != "" { // a CronJob's Job
			u := t.units[workloadKey{rec.Namespace, rec.Owner}][""]
			if u != nil && u.creator == rec.Workload {
				u.short, u.shortSays = time.Time{}, ""
				t.settle(u, nil, now)
			}
			return
		}
		t.gone[workloadKey{rec.Namespace, rec.Workload}] = now
		t.closeAll(workloadKey{rec.Namespace, rec.Workload}, fmt.Sprintf("%s %s was deleted", kind, name), now)
	})
}

// Synced says that everything that is there has been told. What was failing before is opened now, each once, and restored incidents whose
// workload is gone are closed.
func (t *Tracker) Synced() {
	t.do(func(now time.Time) {
		if t.synced {
			return
		}
		t.synced = true
		for _, units := range t.units {
			for _, u := range units {
				if u.inc != nil && t.vanished(u) {
					t.end(u, diagnose.Closed, u.inc.Subject.Workload+" no longer exists, or is no longer watched", now)
					continue
				}
				t.judge(u, now)
			}
		}
		t.sweep(now)
	})
}

// Open returns the open incidents, in no order.
func (t *Tracker) Open() []diagnose.Incident {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]diagnose.Incident, 0, len(t.byID))
	for _, u := range t.byID {
		all = append(all, u.snapshot())
	}
	return all
}

// do runs f under the lock, then delivers what it brought about.
func (t *Tracker) do(f func(now time.Time)) {
	now := time.Now()
	t.mu.Lock()
	f(now)
	t.deliver()
	t.mu.Unlock()
}

// deliver hands out the waiting changes. t.mu is held when it is called and when it returns, but not while Changed runs. When another
// goroutine is at it already, that one takes ours along.
func (t *Tracker) deliver() {
	if t.delivering {
		return
	}
	t.delivering = true
	for len(t.out) > 0 {
		c := t.out[0]
		t.out = t.out[1:]
		t.mu.Unlock()
		t.o.Changed(c)
		t.mu.Lock()
	}
	t.out, t.delivering = nil, false
}

// push queues a change. A change that finds an earlier one of its incident still waiting takes its place, unless it is the end: whoever
// has not heard of the beginning must hear of both.
func (t *Tracker) push(u *unit, what What) {
	c := Change{Incident: u.snapshot(), What: what}
	if what == Updated || what == CrashedAgain {
		for i := range t.out {
			w := &t.out[i]
			if w.Incident.ID != c.Incident.ID {
				continue
			}
			w.Incident = c.Incident
			if w.What == Updated {
				w.What = what
			}
			return
		}
	}
	t.out = append(t.out, c)
}

func (t *Tracker) pod(rec *diagnose.PodRecord, now time.Time) {
	if rec.Workload == "" {
		rec.Workload = "Pod/" + rec.Name
	}
	pk := podKey{rec.Namespace, rec.Name}
	if s := t.pods[pk]; s != nil && (s.uid != string(rec.UID) || s.workload != rec.Workload) {
		t.dropPod(pk, s, now) // another pod under the same name, or its owner is known better now
	}
	if f, failed := diagnose.FailureOf(rec, now); failed {
		t.failed(rec, f, now)
		return
	}
	if rec.Phase == corev1.PodSucceeded {
		t.succeeded(rec, now)
		return
	}
	if !rec.Deleted.IsZero() || rec.Phase == corev1.PodFailed {
		if s := t.pods[pk]; s != nil {
			t.dropPod(pk, s, now)
		}
		return // how its containers end on the way out is no news
	}
	stuck, isStuck := diagnose.FindStuck(rec)
	for i := range rec.Containers {
		c := &rec.Containers[i]
		u := t.find(rec, c.Name)
		about := isStuck && stuck.Container == c.Name
		if u == nil || u.members[rec.Name] == nil {
			if (u == nil || u.inc == nil) && !about && !t.notable(c, now) {
				continue
			}
			u = t.unit(rec, c.Name, c.Type)
		}
		m := u.member(rec)
		t.pods[pk] = &seen{string(rec.UID), rec.Workload}
		if m.stale(c) {
			continue
		}
		fresh := u.observe(m, rec, c, now, t.o.Thresholds)
		m.setStuck(stuck, about, now, t.synced)
		if u.inc != nil {
			t.update(u, m, fresh, now)
		} else {
			t.judgeMember(u, m, now)
		}
		t.settle(u, m, now)
	}
}

// notable says that a container's record must be kept although nothing is known of it yet.
func (t *Tracker) notable(c *diagnose.ContainerRecord, now time.Time) bool {
	last, ended := c.LastEnd()
	if !ended {
		return false
	}
	if c.State == diagnose.Terminated && last.Kind() == diagnose.Finished && c.Restarts == 0 {
		return false
	}
	return c.State != diagnose.Running || last.Finished.IsZero() || now.Sub(last.Finished) < t.o.Thresholds.SlowWindow
}

func (t *Tracker) podGone(rec *diagnose.PodRecord, now time.Time) {
	if rec.Workload == "" {
		rec.Workload = "Pod/" + rec.Name
	}
	pk := podKey{rec.Namespace, rec.Name}
	if s := t.pods[pk]; s != nil && s.uid == string(rec.UID) {
		t.dropPod(pk, s, now)
	}
	if rec.Workload == "Pod/"+rec.Name {
		wk := workloadKey{rec.Namespace, rec.Workload}
		for _, u := range t.units[wk] {
			if u.inc != nil && u.uid != "" && u.uid != string(rec.UID) {
				return // the end of an older pod of that name
			}
		}
		t.closeAll(wk, "the pod was deleted", now)
	}
}

// dropPod forgets a pod that is gone.
func (t *Tracker) dropPod(pk podKey, s *seen, now time.Time) {
	delete(t.pods, pk)
	for _, u := range t.units[workloadKey{pk.namespace, s.workload}] {
		m := u.members[pk.name]
		if m == nil {
			continue
		}
		delete(u.members, pk.name)
		u.recount()
		if u.inc != nil {
			t.update(u, nil, 0, now)
		}
		t.settle(u, nil, now)
	}
}

func (t *Tracker) find(rec *diagnose.PodRecord, container string) *unit {
	return t.units[workloadKey{rec.Namespace, rec.Workload}][container]
}

func (t *Tracker) unit(rec *diagnose.PodRecord, container string, kind diagnose.ContainerType) *unit {
	return t.unitOf(workloadKey{rec.Namespace, rec.Workload}, container, kind)
}

func (t *Tracker) unitOf(wk workloadKey, container string, kind diagnose.ContainerType) *unit {
	units := t.units[wk]
	if units == nil {
		units = map[string]*unit{}
		t.units[wk] = units
	}
	u := units[container]
	if u == nil {
		u = &unit{workload: wk, container: container, kind: kind, members: map[string]*member{}, place: -1}
		units[container] = u
	}
	return u
}

// discard forgets a unit in which nothing is wrong any more.
func (t *Tracker) discard(u *unit) {
	t.agenda.remove(u)
	units := t.units[u.workload]
	if units[u.container] == u {
		delete(units, u.container)
	}
	if len(units) == 0 {
		delete(t.units, u.workload)
	}
	t.unfollow(u.workload)
}
