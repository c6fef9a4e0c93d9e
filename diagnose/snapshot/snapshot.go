package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// Options are what a snapshot cannot know by itself.
type Options struct {
	// Cluster is the name that messages give the cluster. Empty takes the one in snapshot.json, if any.
	Cluster string
	// Namespaces bounds what a List over all namespaces gives; empty means all. An object outside can still be read by its name, as
	// a chain may lead there.
	Namespaces []string
	// Notes is told, in one line each, what was skipped and why. Nil drops the notes.
	Notes func(string)
}

// Snapshot is a View of files. It is read once, at Open, but for the logs, which are read when asked for. It is safe for concurrent use.
//
// Files cannot say whether a kind was left out or has no objects: a List of a kind that they do not hold is empty, not forbidden. A
// recording does know: reads that failed when it was made fail again, with the same error.
type Snapshot struct {
	files      fs.FS
	cluster    string
	namespaces []string
	now        time.Time
	objects    map[schema.GroupKind][]diagnose.Object // sorted by namespace and name
	failed     map[readKey]*readError
	hidden     map[hiddenPart]bool
	header     header
	logs       map[readKey][]byte // those that stood between objects, in what cluster-info dump prints
	any        bool               // it holds objects, or says that there are none
}

var _ diagnose.View = (*Snapshot)(nil)

// Open reads a directory, or a .tar.gz file of one. Nothing outside of it is read, also not through a symbolic link. The error names
// each document that could not be read, by file and line.
func Open(name string, opts Options) (*Snapshot, error) {
	fail := func(err error) (*Snapshot, error) { return nil, fmt.Errorf("opening snapshot %q: %w", name, err) }
	info, err := os.Stat(name)
	if err != nil {
		return fail(err)
	}
	var files fs.FS = directory(name)
	if !info.IsDir() {
		if files, err = openArchive(name, info); err != nil {
			return fail(err)
		}
	}
	s, err := FromFS(files, opts)
	if err != nil {
		return fail(err)
	}
	if _, err := fs.Stat(files, headerFile); err != nil && !s.any {
		return fail(nothingFound(files))
	}
	return s, nil
}

// FromFS reads a snapshot from any file system, such as an embedded one or a txtar archive.
func FromFS(files fs.FS, opts Options) (*Snapshot, error) {
	notes := opts.Notes
	if notes == nil {
		notes = func(string) {}
	}
	r := &reader{files: files, schemes: schemes{}, notes: notes, found: map[objectKey]*document{}}
	if err := r.readAll(); err != nil {
		return nil, err
	}
	s := &Snapshot{
		files: files, cluster: cmp.Or(opts.Cluster, r.header.Cluster), namespaces: opts.Namespaces,
		now: r.now, objects: map[schema.GroupKind][]diagnose.Object{}, failed: r.header.failures(), hidden: map[hiddenPart]bool{}, header: r.header,
	}
	for _, p := range r.header.Hidden {
		s.hidden[p] = true
	}
	for _, what := range r.header.LeftOut {
		notes("left out when this was recorded: " + what + "; a diagnosis may say less for it")
	}
	s.logs, s.any = r.logs, r.any
	for key, doc := range r.found {
		gk := schema.GroupKind{Group: key.group, Kind: key.kind}
		s.objects[gk] = append(s.objects[gk], doc.object)
	}
	for _, list := range s.objects {
		slices.SortFunc(list, byName)
	}
	return s, nil
}

func byName(a, b diagnose.Object) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

// Cluster implements [diagnose.View].
func (s *Snapshot) Cluster() string { return s.cluster }

// Now implements [diagnose.View]: the moment of the snapshot, the zero time when the files hold no time at all.
func (s *Snapshot) Now() time.Time { return s.now }

// Symptoms are those that were diagnosed when the snapshot was recorded, if it says so. Diagnosing them again gives the same answers;
// other snapshots have to be searched with [diagnose.Find].
func (s *Snapshot) Symptoms() []diagnose.Symptom {
	var all []diagnose.Symptom
	for _, r := range s.header.Symptoms {
		all = append(all, diagnose.Symptom(r))
	}
	return all
}

// Get implements [diagnose.View].
func (s *Snapshot) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.failure(getRead(kind, namespace, name)); err != nil {
		return nil, err
	}
	list := s.objects[groupKind(kind)]
	i, ok := slices.BinarySearchFunc(list, [2]string{namespace, name}, func(o diagnose.Object, want [2]string) int {
		return cmp.Or(cmp.Compare(o.GetNamespace(), want[0]), cmp.Compare(o.GetName(), want[1]))
	})
	if !ok {
		return nil, fmt.Errorf("%s %q: %w", kind.Kind, joinName(namespace, name), diagnose.ErrNotFound)
	}
	return copyOf(list[i]), nil
}

// List implements [diagnose.View].
func (s *Snapshot) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.failure(listRead(kind, namespace, where)); err != nil {
		return nil, err
	}
	var out []diagnose.Object
	list := s.objects[groupKind(kind)]
	if namespace != "" { // they are sorted by namespace
		i, _ := slices.BinarySearchFunc(list, namespace, func(o diagnose.Object, want string) int { return cmp.Compare(o.GetNamespace(), want) })
		list = list[i:]
	}
	for _, o := range list {
		if namespace != "" && o.GetNamespace() != namespace {
			break
		}
		if (namespace != "" || s.covers(kind, o.GetNamespace())) && where.Takes(o) {
			out = append(out, copyOf(o))
		}
	}
	return out, nil
}

// covers says whether the objects of a namespace are part of a List over all namespaces.
func (s *Snapshot) covers(kind diagnose.Kind, has string) bool {
	return !kind.Namespaced || len(s.namespaces) == 0 || slices.Contains(s.namespaces, has)
}

// copyOf keeps the snapshot from being changed through what it handed out.
func copyOf(o diagnose.Object) diagnose.Object { return o.DeepCopyObject().(diagnose.Object) }

func joinName(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// failure gives the error that this read met when the snapshot was recorded, or nil.
func (s *Snapshot) failure(read readKey) error {
	if err, ok := s.failed[read]; ok {
		return err
	}
	part := hiddenPart{read.Kind, read.Namespace}
	if read.Verb == "log" {
		part.Kind = logKind
	}
	if s.hidden[part] {
		return &readError{text: fmt.Sprintf("%s in namespace %q: left out of this copy, since whoever got it may not read them", part.Kind, part.Namespace), is: diagnose.ErrForbidden}
	}
	return nil
}

// missingLog tells a log that was dropped from one that never was: the kubelet still names an earlier run in lastState when its log is
// gone already.
func (s *Snapshot) missingLog(which diagnose.LogRequest) error {
	what := fmt.Sprintf("log of container %q of pod %q", which.Container, joinName(which.Namespace, which.Pod))
	pod, err := s.Get(context.Background(), diagnose.Pods, which.Namespace, which.Pod)
	if err != nil {
		if !errors.Is(err, diagnose.ErrNotFound) {
			return fmt.Errorf("%s: %w", what, diagnose.ErrNotFound)
		}
		return fmt.Errorf("%s: pod %w", what, diagnose.ErrNotFound)
	}
	if which.Previous {
		what = "previous " + what
		if hadEarlierRun(pod, which.Container) {
			return fmt.Errorf("%s: %w", what, diagnose.ErrGone)
		}
	}
	return fmt.Errorf("%s: %w", what, diagnose.ErrNotFound)
}
