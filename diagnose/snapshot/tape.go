package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

const (
	// maxListed bounds how many objects of one kind a tape keeps of what was listed; what was asked for by name is kept besides.
	maxListed = 100
	// maxNamed bounds those.
	maxNamed = 500
)

// Tape is a View that passes on what another one answers and remembers it, for a recording that is made later or never. Unlike a
// [Recorder] it costs the reader nothing: it hands out what it was given, and redacts only when it is packed. It keeps a bounded part of
// long lists and says so in the recording. It is safe for concurrent use.
type Tape struct {
	view  diagnose.View
	about diagnose.Symptom
	now   time.Time

	mu     sync.Mutex
	kinds  map[schema.GroupKind]*tapedKind
	logs   map[readKey][]byte
	failed map[readKey]error
}

var _ diagnose.View = (*Tape)(nil)

// tapedKind is what was read of one kind.
type tapedKind struct {
	kind    diagnose.Kind
	named   map[objectKey]diagnose.Object
	listed  map[objectKey]diagnose.Object
	leftOut map[objectKey]bool
}

// NewTape wraps a view for the diagnosis of a symptom. Its subject's own objects are kept first where there are too many.
func NewTape(view diagnose.View, about diagnose.Symptom) *Tape {
	return &Tape{
		view: view, about: about, now: view.Now().UTC().Round(0),
		kinds: map[schema.GroupKind]*tapedKind{}, logs: map[readKey][]byte{}, failed: map[readKey]error{},
	}
}

// Cluster implements [diagnose.View].
func (t *Tape) Cluster() string { return t.view.Cluster() }

// Now implements [diagnose.View]: the moment at which the tape began.
func (t *Tape) Now() time.Time { return t.now }

// Get implements [diagnose.View].
func (t *Tape) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	o, err := t.view.Get(ctx, kind, namespace, name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.fail(ctx, getRead(kind, namespace, name), err)
		return nil, err
	}
	k := t.kind(kind)
	key := objectKey{kind.Group, kind.Kind, namespace, name}
	switch _, known := k.named[key]; {
	case known:
	case len(k.named) >= maxNamed:
		k.leftOut[key] = true
	default:
		if listed, ok := k.listed[key]; ok {
			o = listed // one moment only: as it was first seen
			delete(k.listed, key)
		}
		delete(k.leftOut, key)
		k.named[key] = o
	}
	return o, nil
}

// List implements [diagnose.View].
func (t *Tape) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	all, err := t.view.List(ctx, kind, namespace, where)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.fail(ctx, listRead(kind, namespace, where), err)
		return nil, err
	}
	k := t.kind(kind)
	for _, own := range []bool{true, false} { // its own first
		for _, o := range all {
			if t.own(o) == own {
				k.list(objectKey{kind.Group, kind.Kind, o.GetNamespace(), o.GetName()}, o)
			}
		}
	}
	return all, nil
}

// own says whether an object looks like one of the subject's: pods, ReplicaSets and events are named after their workload.
func (t *Tape) own(o diagnose.Object) bool {
	return o.GetNamespace() == t.about.Subject.Namespace && strings.HasPrefix(o.GetName(), t.about.Subject.Name())
}

func (k *tapedKind) list(key objectKey, o diagnose.Object) {
	if _, known := k.named[key]; known {
		return
	}
	if _, known := k.listed[key]; known {
		return
	}
	if len(k.listed) >= maxListed {
		k.leftOut[key] = true
		return
	}
	k.listed[key] = o
}

// Log implements [diagnose.View].
func (t *Tape) Log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	text, err := t.view.Log(ctx, which)
	t.mu.Lock()
	defer t.mu.Unlock()
	read := logRead(which)
	if err != nil {
		t.fail(ctx, read, err)
		return nil, err
	}
	// What the engine leaves out cannot be redacted.
	whole := diagnose.WithoutCutLine(text, which.LimitBytes)
	if old, known := t.logs[read]; !known || len(old) < len(whole) {
		t.logs[read] = whole
	}
	return text, nil
}

// fail remembers what could not be read, unless it was read before or the reader gave up.
func (t *Tape) fail(ctx context.Context, read readKey, err error) {
	if ctx.Err() == nil {
		t.failed[read] = err
	}
}

func (t *Tape) kind(kind diagnose.Kind) *tapedKind {
	gk := groupKind(kind)
	k, ok := t.kinds[gk]
	if !ok {
		k = &tapedKind{kind: kind, named: map[objectKey]diagnose.Object{}, listed: map[objectKey]diagnose.Object{}, leftOut: map[objectKey]bool{}}
		t.kinds[gk] = k
	}
	return k
}

// HasLog says whether any line of a log of the subject's namespace was read.
func (t *Tape) HasLog() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for read, text := range t.logs {
		if read.Namespace == t.about.Subject.Namespace && len(text) > 0 {
			return true
		}
	}
	return false
}

// Pack gives the recording as a .tar.gz of at most limit bytes, redacted. What does not fit is left out, logs from their beginning
// first, and snapshot.json says so.
func (t *Tape) Pack(redact *diagnose.Redactor, limit int) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	objects, leftOut, err := t.objects(redact)
	if err != nil {
		return nil, err
	}
	failed := make(map[readKey]*readError, len(t.failed))
	for read, err := range t.failed {
		failed[read] = keepError(redact, err)
	}
	logs := make(map[readKey][]byte, len(t.logs))
	for read, text := range t.logs {
		logs[read] = []byte(redact.Redact(string(text)))
	}
	head := newHeader(t.now, t.view.Cluster(), failed)
	about := t.about
	about.Says = redact.Redact(about.Says)
	head.Symptoms = []recordedSymptom{recordedSymptom(about)}
	for most := int64(maxLog); ; most /= 4 {
		head.LeftOut = slices.Clone(leftOut)
		files := maps.Clone(objects)
		for _, read := range slices.SortedFunc(maps.Keys(logs), compareReads) {
			name, err := logFile(read)
			if err != nil {
				return nil, err
			}
			files[name] = diagnose.CutLog(logs[read], diagnose.LogRequest{LimitBytes: most})
			if cut := len(logs[read]) - len(files[name]); cut > 0 {
				head.LeftOut = append(head.LeftOut, fmt.Sprintf("the first %d bytes of %s", cut, name))
			}
		}
		if files[headerFile], err = head.file(); err != nil {
			return nil, err
		}
		packed, err := Pack(files, t.now)
		if err != nil || len(packed) <= limit {
			return packed, err
		}
		if most >= 16<<10 {
			continue
		}
		// Short logs, and still too much: the largest file of objects goes. The pods and events are what the logs belong to.
		largest := ""
		for name, text := range objects {
			if largest == "" || cmp.Or(cmp.Compare(len(text), len(objects[largest])), cmp.Compare(name, largest)) > 0 {
				if len(objects) <= 2 || name != "pods.json" && name != "events.json" {
					largest = name
				}
			}
		}
		if largest == "" {
			return nil, fmt.Errorf("packing what was read: it takes %d bytes, and %d are allowed", len(packed), limit)
		}
		leftOut = append(leftOut, "all of "+largest)
		delete(objects, largest)
		most = 64 << 10
	}
}

// objects gives the files of objects, and says what is missing there.
func (t *Tape) objects(redact *diagnose.Redactor) (files map[string][]byte, leftOut []string, err error) {
	files = map[string][]byte{}
	for gk, k := range t.kinds {
		all := slices.Concat(slices.Collect(maps.Values(k.named)), slices.Collect(maps.Values(k.listed)))
		clear := make([]diagnose.Object, 0, len(all))
		for _, o := range all {
			if _, missed := t.failed[getRead(k.kind, o.GetNamespace(), o.GetName())]; missed {
				continue
			}
			redacted, err := clean(redact, k.kind, o)
			if err != nil {
				return nil, nil, fmt.Errorf("redacting %s %q: %w", gk.Kind, joinName(o.GetNamespace(), o.GetName()), err)
			}
			clear = append(clear, redacted)
		}
		if len(clear) > 0 {
			if files[objectFile(k.kind)], err = objectText(clear); err != nil {
				return nil, nil, err
			}
		}
		if n := len(k.leftOut); n > 0 {
			leftOut = append(leftOut, fmt.Sprintf("%d of %d %s", n, n+len(all), objectFile(k.kind)))
		}
	}
	slices.Sort(leftOut)
	return files, leftOut, nil
}

// objectFile names the file that holds the objects of a kind, one to a line.
func objectFile(kind diagnose.Kind) string { return resourceName(kind) + ".json" }

// objectText writes objects one to a line, in order.
func objectText(all []diagnose.Object) ([]byte, error) {
	slices.SortFunc(all, byName)
	var text []byte
	for _, o := range all {
		doc, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("writing %s %q: %w", o.GetObjectKind().GroupVersionKind().Kind, joinName(o.GetNamespace(), o.GetName()), err)
		}
		text = append(append(text, doc...), '\n')
	}
	return text, nil
}
