package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"crashloop/diagnose"
)

// Sink is told what the watch sees. Calls come one at a time, never two at once, and hold up the stream that they come from. Within one,
// every method of the Watch but Run and WaitSynced may be called. Records are shared with the watch: they may be kept, not changed.
type Sink interface {
	// Pod tells the newest state of a pod that is not plainly healthy, or was not until now, or whose workload is followed.
	Pod(diagnose.PodRecord)
	// PodGone tells that such a pod is no more, with its last state as far as it is known.
	PodGone(diagnose.PodRecord)
	// Workload tells the newest state of a controller, healthy or not.
	Workload(diagnose.WorkloadRecord)
	// WorkloadGone tells that a controller was deleted.
	WorkloadGone(diagnose.WorkloadRecord)
	// Synced tells, once, that everything that was there at the start has been told.
	Synced()
}

// WatchOptions are what a Watch needs. Client, Sink and Log are required.
type WatchOptions struct {
	Client kubernetes.Interface
	Sink   Sink
	Log    *slog.Logger
	// Namespaces are the ones to watch, all when empty. IgnoreNamespaces are left out.
	Namespaces, IgnoreNamespaces []string
	// Grace is how long the API server may be out of reach before Healthy says so; 30 s when zero.
	Grace time.Duration
}

// Watch follows the pods and controllers of a cluster. Create it with NewWatch; Run does the work.
type Watch struct {
	o         WatchOptions
	pods      *podStore
	workloads *workloadStore
	streams   []*stream

	out sync.Mutex // held while the sink is called

	// lookups ends with Run: what reads a pod's owner in the middle of a stream goes by it. Set before the first stream starts.
	lookups context.Context

	mu     sync.Mutex
	state  map[*stream]bool // whether what there was at the start has been told, or will not be
	synced chan struct{}    // closed once all of them are true
	ended  chan struct{}    // closed when Run returns
	err    error            // what Run returned
}

// stream is one reflector's work: one kind in one namespace, or in all.
type stream struct {
	*source
	store     cache.ReflectorStore
	mayFail   bool // a missing permission is a warning, not the end
	attempted chan struct{}
	once      sync.Once
	disabled  bool // permission missing; guarded by Watch.mu
}

// NewWatch returns a Watch, or an error that names what is missing.
func NewWatch(o WatchOptions) (*Watch, error) {
	if o.Client == nil || o.Sink == nil || o.Log == nil {
		return nil, errors.New("a watch needs a client, a sink and a logger")
	}
	if o.Grace <= 0 {
		o.Grace = 30 * time.Second
	}
	w := &Watch{
		o: o, pods: newPodStore(), workloads: &workloadStore{all: map[workloadKey]diagnose.WorkloadRecord{}},
		state: map[*stream]bool{}, synced: make(chan struct{}), ended: make(chan struct{}),
	}
	namespaces := slices.Clone(o.Namespaces)
	namespaces = slices.DeleteFunc(namespaces, func(ns string) bool { return slices.Contains(o.IgnoreNamespaces, ns) })
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	if len(o.Namespaces) > 0 && len(namespaces) == 0 {
		return nil, fmt.Errorf("nothing to watch: all of the namespaces %q are ignored", o.Namespaces)
	}
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	pods, workloads := watchedKinds(o.Client)
	for _, ns := range namespaces {
		for _, k := range workloads {
			st := &stream{source: newSource(k, ns, o.IgnoreNamespaces, reduceWorkload), mayFail: true, attempted: make(chan struct{})}
			st.store = &workloadSink{w, st}
			w.streams = append(w.streams, st)
		}
	}
	for _, ns := range namespaces {
		st := &stream{source: newSource(pods, ns, o.IgnoreNamespaces, reducePod), attempted: make(chan struct{})}
		st.store = &podSink{w, st}
		w.streams = append(w.streams, st)
	}
	for _, st := range w.streams {
		w.state[st] = false
	}
	return w, nil
}

// head is how long pods wait for the controllers at the start, so that whose they are need not be read one by one.
const head = 10 * time.Second

// Run watches until ctx ends, and returns nil then. It returns an error at once when it may not list and watch pods, which no waiting
// would mend; an API server that is out of reach is waited for. All that Run started has stopped when it returns. It runs once.
func (w *Watch) Run(ctx context.Context) error {
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(quiet{w.o.Log.Handler()}))
	w.lookups = ctx
	var running sync.WaitGroup
	start := func(st *stream) {
		running.Go(func() {
			if err := w.follow(ctx, st); err != nil {
				cancel(err)
			}
			st.stop()
		})
	}
	for _, st := range w.streams {
		if st.mayFail {
			start(st)
		}
	}
	patience := time.NewTimer(head)
	defer patience.Stop()
	for _, st := range w.streams {
		if !st.mayFail {
			continue
		}
		select {
		case <-st.attempted:
		case <-patience.C:
			patience.Reset(0)
		case <-ctx.Done():
		}
	}
	for _, st := range w.streams {
		if !st.mayFail {
			start(st)
		}
	}
	running.Wait()
	err := context.Cause(ctx)
	if parent.Err() != nil {
		err = nil
	}
	w.mu.Lock()
	w.err = err
	close(w.ended)
	w.mu.Unlock()
	return err
}

// slow is how long a kind that may not be read is left alone.
const slow = 5 * time.Minute

// follow keeps one stream going until ctx ends, or until it fails in a way that waiting does not mend.
func (w *Watch) follow(ctx context.Context, st *stream) error {
	name := "crashloop/" + st.kind.String()
	if st.namespace != "" {
		name += "/" + st.namespace
	}
	r := cache.NewReflectorWithOptions(st, nil, st.store, cache.ReflectorOptions{
		Name: name, TypeDescription: st.kind.resource,
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Cap: 10 * time.Second, Steps: 10, Factor: 2, Jitter: 0.5},
	})
	const first, most = 500 * time.Millisecond, 10 * time.Second
	pause := first
	for {
		began := time.Now()
		err := r.ListAndWatchWithContext(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > time.Minute {
			pause = first
		}
		next := pause/2 + rand.N(pause)
		pause = min(2*pause, most)
		if err != nil {
			why := st.missing(err)
			switch {
			case why != nil && !st.contact.stood() && !st.mayFail:
				return why
			case (why != nil || apierrors.IsNotFound(err)) && st.mayFail:
				w.disable(st, why, err)
				next = slow
			case apierrors.IsNotFound(err) && !st.mayFail:
				return fmt.Errorf("listing %s: %w; is this the address of a Kubernetes API server?", st.kind.resource, err)
			default:
				w.o.Log.Warn("watching failed; trying again", "resource", st.kind.String(), "namespace", st.namespace, "in", next.Round(time.Millisecond), "error", err)
			}
		}
		st.once.Do(func() { close(st.attempted) })
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// disable notes that a kind cannot be watched, and says so once.
func (w *Watch) disable(st *stream, why, err error) {
	w.mu.Lock()
	was := st.disabled
	st.disabled = true
	w.mu.Unlock()
	if !was {
		if why == nil {
			why = err
		}
		w.o.Log.Warn("a kind of workload cannot be watched: its incidents are found by its pods only, and do not close when it is scaled to zero; trying again every few minutes",
			"resource", st.kind.String(), "namespace", st.namespace, "retry", slow, "error", why)
	}
	w.delivered(st)
}

// delivered notes that a stream has told what there was at the start, and tells the sink when it was the last.
func (w *Watch) delivered(st *stream) {
	st.once.Do(func() { close(st.attempted) })
	w.mu.Lock()
	all := !w.state[st]
	w.state[st] = true
	for _, done := range w.state {
		all = all && done
	}
	w.mu.Unlock()
	if all {
		w.out.Lock()
		w.o.Sink.Synced()
		w.out.Unlock()
		close(w.synced)
	}
}

// Synced says whether everything that was there at the start has been told. It stays true when contact is lost: see Healthy.
func (w *Watch) Synced() bool {
	select {
	case <-w.synced:
		return true
	default:
		return false
	}
}

// WaitSynced waits until Synced, and returns an error when Run ends or ctx does before that.
func (w *Watch) WaitSynced(ctx context.Context) error {
	select {
	case <-w.synced:
		return nil
	case <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.err != nil {
			return w.err
		}
		return errors.New("the watch ended before it was synced")
	case <-ctx.Done():
		if err := w.Healthy(time.Now().Add(w.o.Grace)); err != nil {
			return fmt.Errorf("waiting for the watch to sync: %w: %w", ctx.Err(), err)
		}
		return fmt.Errorf("waiting for the watch to sync: %w", ctx.Err())
	}
}

// Healthy returns an error when the watch has been without contact to the API server for longer than WatchOptions.Grace, which says
// since when and why. A kind that the bot may not watch is no lack of contact.
func (w *Watch) Healthy(now time.Time) error {
	for _, st := range w.streams {
		w.mu.Lock()
		disabled := st.disabled
		w.mu.Unlock()
		if disabled {
			continue
		}
		if err := st.contact.healthy(now, w.o.Grace); err != nil {
			return fmt.Errorf("watching %s: %w", st.kind.resource, err)
		}
	}
	return nil
}

// quiet hands on what client-go logs as debugging output: what matters of it comes back as an error, and is logged with its consequence.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
