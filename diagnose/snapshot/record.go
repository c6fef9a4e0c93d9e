package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// Recorder is a View that passes on what another one answers, remembers it, and writes it as a snapshot that gives the same diagnosis
// again, byte for byte. To that end it answers from its memory whenever it can and shows one moment only: an object stays as it was
// first seen, one that appears or goes in between does not, a read that failed keeps failing, and everything is redacted before it is
// handed out, so that the diagnosis rests on what the recording holds. It is safe for concurrent use; reads wait for each other.
type Recorder struct {
	view   diagnose.View
	redact *diagnose.Redactor
	now    time.Time

	mu     sync.Mutex
	kinds  map[schema.GroupKind]*kindMemory
	logs   map[readKey]*logMemory
	failed map[readKey]*readError
}

var _ diagnose.View = (*Recorder)(nil)

// kindMemory is what is known of one kind.
type kindMemory struct {
	kind     diagnose.Kind
	objects  map[objectKey]diagnose.Object
	answered []query // the lists that are complete
}

type query struct {
	namespace string
	where     diagnose.Where
	text      string // tells equal conditions
}

func (q query) takes(o diagnose.Object) bool {
	return (q.namespace == "" || q.namespace == o.GetNamespace()) && q.where.Takes(o)
}

// logMemory is the longest end of a log that was read, and the bounds that it was read with.
type logMemory struct {
	text  []byte
	asked diagnose.LogRequest
}

// Record wraps a view. The Redactor may not be nil.
func Record(view diagnose.View, redact *diagnose.Redactor) *Recorder {
	return &Recorder{
		view: view, redact: redact, now: view.Now().UTC().Round(0),
		kinds: map[schema.GroupKind]*kindMemory{}, logs: map[readKey]*logMemory{}, failed: map[readKey]*readError{},
	}
}

// Cluster implements [diagnose.View].
func (r *Recorder) Cluster() string { return r.view.Cluster() }

// Now implements [diagnose.View]: the moment at which recording began.
func (r *Recorder) Now() time.Time { return r.now }

// Get implements [diagnose.View].
func (r *Recorder) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	read := getRead(kind, namespace, name)
	if err, ok := r.failed[read]; ok {
		return nil, err
	}
	memory := r.memory(kind)
	key := objectKey{kind.Group, kind.Kind, namespace, name}
	if o, ok := memory.objects[key]; ok {
		return copyOf(o), nil
	}
	o, err := r.view.Get(ctx, kind, namespace, name)
	if err != nil {
		return nil, r.fail(ctx, read, err)
	}
	if memory.knownAbsent(o) {
		return nil, r.fail(ctx, read, fmt.Errorf("%s %q: %w", kind.Kind, joinName(namespace, name), diagnose.ErrNotFound))
	}
	if o, err = clean(r.redact, kind, o); err != nil {
		return nil, r.fail(ctx, read, err)
	}
	memory.objects[key] = o
	return copyOf(o), nil
}

// List implements [diagnose.View].
func (r *Recorder) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	read := listRead(kind, namespace, where)
	if err, ok := r.failed[read]; ok {
		return nil, err
	}
	memory := r.memory(kind)
	q := query{namespace, where, read.Where}
	if !slices.ContainsFunc(memory.answered, func(a query) bool { return a.namespace == namespace && a.text == read.Where }) {
		list, err := r.view.List(ctx, kind, namespace, where)
		if err != nil {
			return nil, r.fail(ctx, read, err)
		}
		for _, o := range list {
			key := objectKey{kind.Group, kind.Kind, o.GetNamespace(), o.GetName()}
			_, missed := r.failed[getRead(kind, o.GetNamespace(), o.GetName())]
			if _, known := memory.objects[key]; known || missed || memory.knownAbsent(o) {
				continue
			}
			if o, err = clean(r.redact, kind, o); err != nil {
				return nil, r.fail(ctx, read, err)
			}
			memory.objects[key] = o
		}
		memory.answered = append(memory.answered, q)
	}
	var out []diagnose.Object
	for _, o := range memory.objects {
		if q.takes(o) {
			out = append(out, copyOf(o))
		}
	}
	slices.SortFunc(out, byName)
	return out, nil
}

// Log implements [diagnose.View].
func (r *Recorder) Log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	read := logRead(which)
	if err, ok := r.failed[read]; ok {
		return nil, err
	}
	which.LimitBytes = boundLog(which.LimitBytes)
	old, known := r.logs[read]
	if known && covers(old.asked, which) {
		return slices.Clone(diagnose.CutLog(old.text, which)), nil
	}
	ask := which
	if known {
		ask = widest(old.asked, which)
	}
	text, err := r.view.Log(ctx, ask)
	if err != nil {
		if known { // more of it cannot be had any more
			return slices.Clone(diagnose.CutLog(old.text, which)), nil
		}
		return nil, r.fail(ctx, read, err)
	}
	text = diagnose.CutLog([]byte(r.redact.Redact(string(diagnose.WithoutCutLine(text, ask.LimitBytes)))), ask)
	if known && !slices.Equal(diagnose.WithoutCutLine(diagnose.CutLog(text, old.asked), old.asked.LimitBytes), old.text) {
		text = old.text // it has grown since: what was answered stays true
	}
	r.logs[read] = &logMemory{text: text, asked: ask}
	return slices.Clone(diagnose.CutLog(text, which)), nil
}

// covers says whether what one request read holds all that the other asks for.
func covers(had, wants diagnose.LogRequest) bool {
	return (had.TailLines == 0 || wants.TailLines > 0 && wants.TailLines <= had.TailLines) && wants.LimitBytes <= had.LimitBytes
}

func widest(a, b diagnose.LogRequest) diagnose.LogRequest {
	if a.TailLines == 0 || b.TailLines == 0 {
		b.TailLines = 0
	} else {
		b.TailLines = max(a.TailLines, b.TailLines)
	}
	b.LimitBytes = max(a.LimitBytes, b.LimitBytes)
	return b
}

func (r *Recorder) memory(kind diagnose.Kind) *kindMemory {
	gk := groupKind(kind)
	m, ok := r.kinds[gk]
	if !ok {
		m = &kindMemory{kind: kind, objects: map[objectKey]diagnose.Object{}}
		r.kinds[gk] = m
	}
	return m
}

// knownAbsent says that an earlier, complete answer would have held the object, and did not.
func (m *kindMemory) knownAbsent(o diagnose.Object) bool {
	return slices.ContainsFunc(m.answered, func(q query) bool { return q.takes(o) })
}

// clean redacts an object and gives it the apiVersion and kind that client-go leaves out.
func clean(redact *diagnose.Redactor, kind diagnose.Kind, o diagnose.Object) (diagnose.Object, error) {
	o = copyOf(o)
	if o.GetObjectKind().GroupVersionKind().Kind == "" {
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind})
	}
	return redact.RedactObject(o)
}

// fail remembers a read that failed, and gives its error the form that it will have in the recording. A read that was cancelled is not
// remembered: it says nothing of the cluster.
func (r *Recorder) fail(ctx context.Context, read readKey, err error) error {
	if ctx.Err() != nil {
		return err
	}
	kept := keepError(r.redact, err)
	r.failed[read] = kept
	return kept
}

// keepError gives an error the form that it has in a recording.
func keepError(redact *diagnose.Redactor, err error) *readError {
	kept := &readError{text: cmp.Or(redact.Redact(err.Error()), "could not be read")}
	for _, s := range sentinels() {
		if errors.Is(err, s.err) {
			kept.is = s.err
			break
		}
	}
	return kept
}
