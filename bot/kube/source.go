package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// watchedKind is a kind that the watch follows, and how it is listed and watched in one namespace or, when that is empty, in all.
type watchedKind struct {
	kind, resource string // "Pod", "pods"
	group          string
	list           func(ctx context.Context, namespace string, o metav1.ListOptions) (runtime.Object, error)
	watch          func(ctx context.Context, namespace string, o metav1.ListOptions) (watch.Interface, error)
}

func (k watchedKind) String() string {
	if k.group == "" {
		return k.resource
	}
	return k.resource + "." + k.group
}

// watchedKinds returns pods, and the controllers in the order in which they stand above one another.
func watchedKinds(c kubernetes.Interface) (pods watchedKind, workloads []watchedKind) {
	pods = kindOf("Pod", "pods", "", c.CoreV1().Pods)
	return pods, []watchedKind{
		kindOf("Deployment", "deployments", "apps", c.AppsV1().Deployments),
		kindOf("ReplicaSet", "replicasets", "apps", c.AppsV1().ReplicaSets),
		kindOf("StatefulSet", "statefulsets", "apps", c.AppsV1().StatefulSets),
		kindOf("DaemonSet", "daemonsets", "apps", c.AppsV1().DaemonSets),
		kindOf("CronJob", "cronjobs", "batch", c.BatchV1().CronJobs),
		kindOf("Job", "jobs", "batch", c.BatchV1().Jobs),
	}
}

// listWatcher is what every typed client of client-go has.
type listWatcher[L runtime.Object] interface {
	List(ctx context.Context, o metav1.ListOptions) (L, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

func kindOf[L runtime.Object, C listWatcher[L]](kind, resource, group string, in func(namespace string) C) watchedKind {
	return watchedKind{
		kind: kind, resource: resource, group: group,
		list: func(ctx context.Context, namespace string, o metav1.ListOptions) (runtime.Object, error) {
			return in(namespace).List(ctx, o)
		},
		watch: func(ctx context.Context, namespace string, o metav1.ListOptions) (watch.Interface, error) {
			return in(namespace).Watch(ctx, o)
		},
	}
}

// pageSize is how many full objects a list holds in memory at once.
const pageSize = 500

// source lists and watches one kind for a reflector. It reduces listed objects page by page, notes how talking to the API goes, and
// counts the calls that are under way, since a reflector abandons a list when it is stopped.
type source struct {
	kind      watchedKind
	namespace string
	fields    string
	reduce    func(obj any) any
	contact   *contact

	mu      sync.Mutex
	stopped bool
	calls   sync.WaitGroup
}

func newSource(kind watchedKind, namespace string, ignore []string, reduce func(any) any) *source {
	s := &source{kind: kind, namespace: namespace, reduce: reduce, contact: &contact{}}
	if namespace == "" {
		var not []fields.Selector
		for _, ns := range ignore {
			not = append(not, fields.OneTermNotEqualSelector("metadata.namespace", ns))
		}
		s.fields = fields.AndSelectors(not...).String()
	}
	return s
}

// reduced carries a reduced object through a reflector, which asks for runtime.Object and looks at nothing else.
type reduced struct{ value any }

func (reduced) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }
func (r reduced) DeepCopyObject() runtime.Object { return r }

type reducedList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []reduced
}

func (l *reducedList) DeepCopyObject() runtime.Object { c := *l; return &c }

// List and Watch make a source a cache.ListerWatcher; a reflector calls the two below.
func (s *source) List(o metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), o)
}

func (s *source) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), o)
}

// ListWithContext lists everything, in pages and from etcd: the API server's cache (resourceVersion 0) ignores the page size and answers
// with all objects at once, and an old replica's may lie in the past. It only runs where the API server cannot stream the list.
func (s *source) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if !s.enter() {
		return nil, context.Canceled
	}
	defer s.calls.Done()
	for attempt := 1; ; attempt++ {
		list, err := s.pages(ctx)
		if attempt < 3 && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) {
			continue // listing took longer than etcd keeps a revision
		}
		return list, err
	}
}

func (s *source) pages(ctx context.Context) (runtime.Object, error) {
	out := &reducedList{}
	o := metav1.ListOptions{FieldSelector: s.fields, Limit: pageSize}
	for {
		s.contact.begin()
		page, err := s.kind.list(ctx, s.namespace, o)
		if err != nil {
			s.contact.failed(ctx, err)
			return nil, err
		}
		s.contact.worked()
		m, err := meta.ListAccessor(page)
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", s.kind, err)
		}
		err = meta.EachListItem(page, func(obj runtime.Object) error {
			out.Items = append(out.Items, reduced{s.reduce(obj)})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", s.kind, err)
		}
		if o.Continue = m.GetContinue(); o.Continue == "" {
			out.ResourceVersion = m.GetResourceVersion()
			return out, nil
		}
	}
}

// WatchWithContext opens a watch.
func (s *source) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if !s.enter() {
		return nil, context.Canceled
	}
	defer s.calls.Done()
	o.FieldSelector = s.fields
	s.contact.begin()
	w, err := s.kind.watch(ctx, s.namespace, o)
	initial := o.SendInitialEvents != nil && *o.SendInitialEvents
	var status apierrors.APIStatus
	switch {
	case err == nil:
		s.contact.worked()
		s.contact.watching()
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		s.contact.worked()
	case initial && errors.As(err, &status):
		// An API server that cannot stream a list says so here; the paged list that follows tells whether more is wrong.
		s.contact.worked()
	default:
		s.contact.failed(ctx, err)
	}
	if err != nil && initial && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) && !tooNew(err) {
		// A reflector sleeps on "connection refused" and 429 here without an ear for its context. Hidden from it they come back to run's
		// own, interruptible wait.
		return nil, hidden{err}
	}
	return w, err
}

// tooNew is the API server's answer to a resourceVersion that it has not seen yet.
func tooNew(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// hidden is an error without its kind.
type hidden struct{ err error }

func (h hidden) Error() string { return h.err.Error() }

func (s *source) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.calls.Add(1)
	return true
}

// stop lets no further call begin and waits for those under way, whose context must have ended.
func (s *source) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.calls.Wait()
}

// missing explains an error that waiting does not mend: a permission that the bot does not have, or credentials that are refused. It
// returns nil for any other.
func (s *source) missing(err error) error {
	where, binding, scope := "in all namespaces", "clusterrolebinding", ""
	if s.namespace != "" {
		where, binding, scope = fmt.Sprintf("in namespace %q", s.namespace), "rolebinding", " -n "+s.namespace
	}
	switch {
	case apierrors.IsForbidden(err):
		verb := "list"
		if s.contact.listed() {
			verb = "watch"
		}
		return fmt.Errorf("cannot %s %s %s: forbidden; grant it with `kubectl create clusterrole crashloop-watch-%s --verb=get,list,watch --resource=%s` "+
			"and `kubectl create %s crashloop-watch-%s%s --clusterrole=crashloop-watch-%s --serviceaccount=NAMESPACE:NAME` (or --user=NAME): %w",
			verb, s.kind.resource, where, s.kind.resource, s.kind, binding, s.kind.resource, scope, s.kind.resource, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("cannot list %s %s: the API server does not accept the credentials; renew the login or the service account's token: %w", s.kind.resource, where, err)
	}
	return nil
}
