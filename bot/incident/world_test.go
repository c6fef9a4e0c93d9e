package incident

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"crashloop/diagnose"
)

// world is a small cluster: it keeps pods and workloads, tells the tracker of them as a watch would, and writes down what comes out.
type world struct {
	t       testing.TB
	mu      sync.Mutex
	pods    map[string]*diagnose.PodRecord
	loads   map[string]diagnose.WorkloadRecord
	events  []diagnose.Object
	follows map[string]bool
	uids    int
	start   time.Time
	tracker *Tracker
	out     []string
	last    diagnose.Incident
	ids     []string
}

func newWorld(t testing.TB, store Store, tune func(*Options)) *world {
	w := &world{t: t, pods: map[string]*diagnose.PodRecord{}, loads: map[string]diagnose.WorkloadRecord{}, follows: map[string]bool{}, start: time.Now()}
	w.attach(store, tune)
	return w
}

// attach gives the world a new tracker, as after a restart of the bot.
func (w *world) attach(store Store, tune func(*Options)) {
	o := Options{Name: "test", Cluster: w, Store: store, Changed: w.changed, Log: slog.New(slog.DiscardHandler), View: func() diagnose.View { return eventView{w} }}
	if tune != nil {
		tune(&o)
	}
	var err error
	if w.tracker, err = New(o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) changed(c Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	inc := c.Incident
	line := fmt.Sprintf("%s %s %s", time.Since(w.start).Round(time.Second), c.What, inc.Subject.Workload)
	if inc.Subject.Container != "app" {
		line += fmt.Sprintf(" [%s]", inc.Subject.Container)
	}
	switch c.What {
	case Opened, Restored:
		line += " " + string(inc.Condition)
		if c.What == Opened {
			w.ids = append(w.ids, inc.ID)
		}
	case Recovered, Closed:
		line += ": " + inc.EndedSays
	case Updated, CrashedAgain:
		line = ""
	}
	if line != "" {
		w.out = append(w.out, line)
	}
	w.last = inc
}

func (w *world) PodsOf(namespace, workload string) []diagnose.PodRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []diagnose.PodRecord
	for _, p := range w.pods {
		if p.Workload == workload {
			out = append(out, copyPod(p))
		}
	}
	slices.SortFunc(out, func(a, b diagnose.PodRecord) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (w *world) Workload(namespace, workload string) (diagnose.WorkloadRecord, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.loads[workload]
	return r, ok
}

func (w *world) Follow(_, workload string)   { w.mu.Lock(); w.follows[workload] = true; w.mu.Unlock() }
func (w *world) Unfollow(_, workload string) { w.mu.Lock(); delete(w.follows, workload); w.mu.Unlock() }

// eventView is a View that has events only.
type eventView struct{ w *world }

func (v eventView) Cluster() string { return "test" }
func (v eventView) Now() time.Time  { return time.Now() }
func (v eventView) Get(context.Context, diagnose.Kind, string, string) (diagnose.Object, error) {
	return nil, diagnose.ErrNotFound
}
func (v eventView) List(_ context.Context, kind diagnose.Kind, _ string, where diagnose.Where) ([]diagnose.Object, error) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	var out []diagnose.Object
	for _, o := range v.w.events {
		if e := o.(*corev1.Event); e.InvolvedObject.Kind == where.Involved.Kind && e.InvolvedObject.Name == where.Involved.Name {
			out = append(out, o)
		}
	}
	return out, nil
}
func (v eventView) Log(context.Context, diagnose.LogRequest) ([]byte, error) {
	return nil, diagnose.ErrNotFound
}

func copyPod(p *diagnose.PodRecord) diagnose.PodRecord {
	c := *p
	c.Containers = slices.Clone(p.Containers)
	return c
}

// do carries out one line of a timeline: a verb and its words.
func (w *world) do(line string) {
	quiet := false
	if rest, ok := strings.CutPrefix(line, "unseen "); ok {
		line, quiet = rest, true // the watch misses it
	}
	f := strings.Fields(line)
	verb, name := f[0], ""
	if len(f) > 1 {
		name = f[1]
	}
	word := func(i int, otherwise string) string {
		if len(f) > i {
			return f[i]
		}
		return otherwise
	}
	w.mu.Lock()
	p := w.pods[name]
	if p == nil {
		p = &diagnose.PodRecord{}
	}
	now := time.Now()
	c := func() *diagnose.ContainerRecord {
		for i := range p.Containers {
			if p.Containers[i].Name == "app" {
				return &p.Containers[i]
			}
		}
		w.t.Fatalf("%s: no such pod", line)
		return nil
	}
	end := func(c *diagnose.ContainerRecord, code, reason string) {
		n, err := strconv.Atoi(code)
		if err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
		if reason == "" {
			reason = map[bool]string{true: "Completed", false: "Error"}[n == 0]
		}
		c.State, c.Reason, c.ExitCode, c.Finished, c.Ready = diagnose.Terminated, reason, int32(n), now, false
		p.Ready = false
	}
	keepLast := func(c *diagnose.ContainerRecord) {
		if c.State == diagnose.Terminated {
			c.Last = &diagnose.Termination{Reason: c.Reason, ExitCode: c.ExitCode, Started: c.Started, Finished: c.Finished, ID: c.ID}
			c.Reason, c.ExitCode, c.Started, c.Finished = "", 0, time.Time{}, time.Time{}
		}
	}
	switch verb {
	case "new": // new POD WORKLOAD [REVISION|OnFailure|Never|init|custom]
		w.uids++
		p = &diagnose.PodRecord{Namespace: "shop", Name: name, UID: types.UID(fmt.Sprint("uid-", w.uids)), Workload: word(2, ""), Phase: corev1.PodPending, Node: "n1", Created: now,
			RestartPolicy: corev1.RestartPolicyAlways, Containers: []diagnose.ContainerRecord{{Name: "app", Type: diagnose.App, State: diagnose.Waiting, Reason: "ContainerCreating"}}}
		if p.Workload != "" && p.Workload != "Pod/"+name {
			p.OwnerKind, p.OwnerName = "Owner", p.Workload
		}
		switch how := word(3, ""); how {
		case "custom": // a controller that is not built in
			p.OwnerKind, p.OwnerName = "TaskRun", name
		case "OnFailure", "Never":
			p.RestartPolicy = corev1.RestartPolicy(how)
		case "init":
			p.Containers[0].Type = diagnose.Init
			p.Containers = append(p.Containers, diagnose.ContainerRecord{Name: "main", Type: diagnose.App, State: diagnose.Waiting, Reason: "PodInitializing"})
		default:
			p.TemplateHash = how
		}
		w.pods[name] = p
	case "run":
		c := c()
		keepLast(c)
		if c.Last != nil || c.ID != "" {
			c.Restarts++
		}
		p.Phase, p.Ready = corev1.PodRunning, true
		w.uids++
		c.State, c.Reason, c.Started, c.ID, c.Ready = diagnose.Running, "", now, fmt.Sprint("containerd://", w.uids), true
	case "ready", "unready":
		c := c()
		c.Ready, p.Ready = verb == "ready", verb == "ready"
	case "end":
		end(c(), word(2, "1"), word(3, ""))
	case "backoff":
		c := c()
		keepLast(c)
		c.State, c.Reason = diagnose.Waiting, "CrashLoopBackOff"
	case "wait":
		c := c()
		keepLast(c)
		c.State, c.Reason, c.Message = diagnose.Waiting, word(2, ""), strings.Join(f[min(3, len(f)):], " ")
	case "unscheduled":
		p.Node, p.Unscheduled = "", "0/3 nodes are available: 3 Insufficient cpu."
	case "scheduled":
		p.Node, p.Unscheduled = "n1", ""
	case "fail":
		end(c(), word(2, "1"), "")
		p.Phase, p.Reason = corev1.PodFailed, word(3, "")
	case "evict":
		p.Phase, p.Reason, p.Message, p.Failed = corev1.PodFailed, "Evicted", "The node was low on resource: memory.", now
	case "refuse":
		p.Phase, p.Reason, p.Message, p.Failed = corev1.PodFailed, "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu", now
	case "succeed":
		end(c(), "0", "")
		p.Phase = corev1.PodSucceeded
	case "delete":
		p.Deleted = now.Add(30 * time.Second)
	case "gone":
		delete(w.pods, name)
		gone := copyPod(p)
		w.mu.Unlock()
		w.tracker.PodGone(gone)
		return
	case "again":
	case "workload", "complete": // workload KIND/NAME DESIRED CREATED [FAILURE]
		desired, _ := strconv.Atoi(word(2, "1"))
		created, _ := strconv.Atoi(word(3, "1"))
		r := diagnose.WorkloadRecord{Namespace: "shop", Workload: name, Desired: int32(desired), Created: int32(created), Observed: true, Complete: verb == "complete"}
		if len(f) > 4 {
			r.ReplicaFailure = strings.Join(f[4:], " ")
		}
		w.loads[name] = r
		w.mu.Unlock()
		if !quiet {
			w.tracker.Workload(r)
		}
		return
	case "workload-gone":
		r := w.loads[name]
		r.Namespace, r.Workload = "shop", name
		delete(w.loads, name)
		w.mu.Unlock()
		if !quiet {
			w.tracker.WorkloadGone(r)
		}
		return
	case "event": // event KIND NAME TYPE REASON MESSAGE
		w.events = append(w.events, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("e", len(w.events)), CreationTimestamp: metav1.NewTime(now)}, InvolvedObject: corev1.ObjectReference{Kind: f[1], Name: f[2]},
			Type: f[3], Reason: f[4], Message: strings.Join(f[5:], " "), Count: 1, FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now),
		})
		w.mu.Unlock()
		return
	case "synced":
		w.mu.Unlock()
		w.tracker.Synced()
		return
	case "crash": // crash POD [CODE]: it ends, backs off and is started again at once
		w.mu.Unlock()
		w.do("end " + name + " " + word(2, "1"))
		w.do("run " + name)
		return
	default:
		w.t.Fatalf("%s: no such verb", line)
	}
	rec := copyPod(p)
	w.mu.Unlock()
	if !quiet {
		w.tracker.Pod(rec)
	}
}

// at waits until that much time has passed since the world's beginning.
func (w *world) at(d time.Duration) {
	time.Sleep(time.Until(w.start.Add(d)))
	synctest.Wait()
}

// play carries out a timeline: each line a time and what happens then; "+5m x3 VERB" repeats are written by the caller.
func (w *world) play(timeline string) {
	for line := range strings.Lines(timeline) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		when, what, _ := strings.Cut(line, " ")
		d, err := time.ParseDuration(when)
		if err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		w.at(d)
		if what = strings.TrimSpace(what); what != "" {
			w.do(what)
			synctest.Wait()
		}
	}
}

// lived runs f in a bubble of time with a tracker that runs.
func lived(t *testing.T, store Store, tune func(*Options), f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store, tune)
		stop := w.run()
		f(w)
		stop()
	})
}

// run starts the tracker and returns what ends it.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	tracker := w.tracker
	go func() { done <- tracker.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
}
