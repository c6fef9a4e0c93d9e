package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"crashloop/diagnose"
)

// ViewOptions are what a View needs. Config is required.
type ViewOptions struct {
	Config  *rest.Config
	Cluster string // the name that messages give the cluster
	// Namespaces are the ones that a List of all namespaces covers, all when empty. IgnoreNamespaces are left out of it. Reading in a
	// namespace by its name is bounded only by the permissions of Config.
	Namespaces, IgnoreNamespaces []string
	// ReadSecrets lets Secrets be read, which needs a permission that grants their values. A View drops those at once and keeps names
	// and keys. Otherwise every Secret is ErrForbidden.
	ReadSecrets bool
	// Timeout bounds one call to the API server; 10 s when zero. One to the metrics API takes 2 s at most.
	Timeout time.Duration
	// LogLines and LogBytes bound a log where the request does not; 10,000 lines and 1 MiB when zero.
	LogLines, LogBytes int64
	// Objects is the most that one List takes before it gives up; 10,000 when zero.
	Objects int
}

// View is the live [diagnose.View]. It is safe for use by several goroutines.
type View struct {
	reader *reader
	cache  *cached // nil in a View that remembers nothing
}

var _ diagnose.View = (*View)(nil)

// reader is what all Views of one cluster share.
type reader struct {
	o       ViewOptions
	config  *rest.Config
	http    *http.Client
	dynamic dynamic.Interface

	mu   sync.Mutex
	rest map[schema.GroupVersion]*rest.RESTClient
}

// NewView returns a View of a cluster, or an error that says what is wrong with the configuration. It reads nothing yet.
func NewView(o ViewOptions) (*View, error) {
	if o.Config == nil {
		return nil, errors.New("a view needs a client configuration")
	}
	o.Timeout = orDefault(o.Timeout, 10*time.Second)
	o.LogLines, o.LogBytes = orDefault(o.LogLines, 10_000), orDefault(o.LogBytes, 1<<20)
	o.Objects = orDefault(o.Objects, 10_000)
	config := rest.CopyConfig(o.Config)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if config.RateLimiter == nil {
		if config.QPS == 0 {
			config.QPS, config.Burst = defaultQPS, defaultBurst
		}
		config.RateLimiter = limiter(config) // one for all API groups together
	}
	dyn, err := dynamic.NewForConfigAndClient(jsonOnly(config), client)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &View{reader: &reader{o: o, config: config, http: client, dynamic: dyn, rest: map[schema.GroupVersion]*rest.RESTClient{}}}, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Fresh returns a View of the same cluster that reads everything anew, and each thing only once: the window for one diagnosis.
func (v *View) Fresh() *View { return &View{reader: v.reader, cache: &cached{all: map[any]*answer{}}} }

// Cluster is the name that messages give the cluster.
func (v *View) Cluster() string { return v.reader.o.Cluster }

// Now is the time.
func (v *View) Now() time.Time { return time.Now() }

// Get reads one object.
func (v *View) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	type key struct {
		kind            diagnose.Kind
		namespace, name string
	}
	obj, err := remember(ctx, v.cache, key{kind, namespace, name}, func() (diagnose.Object, error) {
		return v.reader.get(ctx, kind, namespace, name)
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", object(kind, namespace, name), err)
	}
	return v.own(obj), nil
}

// own is what may be handed out of obj: a copy where obj is remembered.
func (v *View) own(obj diagnose.Object) diagnose.Object {
	if v.cache == nil {
		return obj
	}
	return obj.DeepCopyObject().(diagnose.Object)
}

// List reads the objects of one kind.
func (v *View) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	type key struct {
		kind              diagnose.Kind
		namespace, labels string
		involved          diagnose.Reference
	}
	selector := labels.SelectorFromSet(where.Labels).String()
	list, err := remember(ctx, v.cache, key{kind, namespace, selector, where.Involved}, func() ([]diagnose.Object, error) {
		return v.reader.list(ctx, kind, namespace, where)
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", object(kind, namespace, ""), err)
	}
	out := make([]diagnose.Object, len(list))
	for i := range list {
		out[i] = v.own(list[i])
	}
	return out, nil
}

// Log reads the end of a container's log.
func (v *View) Log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	text, err := remember(ctx, v.cache, which, func() ([]byte, error) { return v.reader.log(ctx, which) })
	if err != nil {
		previous := ""
		if which.Previous {
			previous = "previous "
		}
		return nil, fmt.Errorf("reading the %slog of container %q of Pod/%s/%s: %w", previous, which.Container, which.Namespace, which.Pod, err)
	}
	if v.cache != nil {
		text = bytes.Clone(text)
	}
	return text, nil
}

func object(kind diagnose.Kind, namespace, name string) string {
	switch {
	case name == "" && namespace == "":
		return kind.Resource
	case name == "":
		return fmt.Sprintf("%s in namespace %q", kind.Resource, namespace)
	}
	return kind.Kind + "/" + namespace + "/" + name
}

func (r *reader) get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	if err := r.allowed(kind); err != nil {
		return nil, err
	}
	if err := named(kind, namespace, name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout(kind))
	defer cancel()
	gvk := kindOfObject(kind)
	if !scheme.Scheme.Recognizes(gvk) {
		obj, err := r.unstructured(kind, namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, explain(err)
		}
		return obj, nil
	}
	client, err := r.client(gvk.GroupVersion())
	if err != nil {
		return nil, err
	}
	into, err := scheme.Scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	if err := client.Get().NamespaceIfScoped(namespace, kind.Namespaced).Resource(kind.Resource).Name(name).Do(ctx).Into(into); err != nil {
		return nil, explain(err)
	}
	return finish(into, gvk)
}

func (r *reader) list(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	if err := r.allowed(kind); err != nil {
		return nil, err
	}
	namespaces := []string{namespace}
	if kind.Namespaced && namespace == "" && len(r.o.Namespaces) > 0 {
		namespaces = r.o.Namespaces
	}
	var out []diagnose.Object
	for _, ns := range namespaces {
		err := r.pages(ctx, kind, ns, where, func(obj diagnose.Object) error {
			if namespace == "" && slices.Contains(r.o.IgnoreNamespaces, obj.GetNamespace()) {
				return nil
			}
			if len(out) == r.o.Objects {
				return fmt.Errorf("there are more than %d, which is more than one diagnosis may read", r.o.Objects)
			}
			out = append(out, obj)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b diagnose.Object) int {
		if c := strings.Compare(a.GetNamespace(), b.GetNamespace()); c != 0 {
			return c
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
	return out, nil
}

// pages lists in pages and gives each object to take.
func (r *reader) pages(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where, take func(diagnose.Object) error) error {
	gvk := kindOfObject(kind)
	o := metav1.ListOptions{Limit: pageSize, LabelSelector: labels.SelectorFromSet(where.Labels).String()}
	involved := fields.Set{}
	for field, value := range map[string]string{
		"involvedObject.kind": where.Involved.Kind, "involvedObject.name": where.Involved.Name, "involvedObject.uid": string(where.Involved.UID),
	} {
		if value != "" && kind == diagnose.Events {
			involved[field] = value
		}
	}
	o.FieldSelector = involved.String()
	for {
		page, err := r.page(ctx, kind, namespace, o)
		if err != nil {
			return explain(err)
		}
		err = meta.EachListItemWithAlloc(page, func(item runtime.Object) error {
			obj, err := finish(item, gvk)
			if err != nil {
				return err
			}
			return take(obj)
		})
		if err != nil {
			return err
		}
		m, err := meta.ListAccessor(page)
		if err != nil {
			return err
		}
		if o.Continue = m.GetContinue(); o.Continue == "" {
			return nil
		}
	}
}

func (r *reader) page(ctx context.Context, kind diagnose.Kind, namespace string, o metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout(kind))
	defer cancel()
	gvk := kindOfObject(kind)
	if !scheme.Scheme.Recognizes(gvk) {
		return r.unstructured(kind, namespace).List(ctx, o)
	}
	client, err := r.client(gvk.GroupVersion())
	if err != nil {
		return nil, err
	}
	into, err := scheme.Scheme.New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		return nil, err
	}
	err = client.Get().NamespaceIfScoped(namespace, kind.Namespaced && namespace != "").Resource(kind.Resource).
		VersionedParams(&o, scheme.ParameterCodec).Do(ctx).Into(into)
	return into, err
}

// metricsTimeout bounds a call to the metrics API. The API server passes it on to metrics-server and waits with the caller; no diagnosis
// needs the answer.
const metricsTimeout = 2 * time.Second

func (r *reader) timeout(kind diagnose.Kind) time.Duration {
	if kind.Group == diagnose.PodMetrics.Group {
		return min(metricsTimeout, r.o.Timeout)
	}
	return r.o.Timeout
}

// finish gives an object its kind, which the API leaves out of typed ones and of list items, and brings Secrets and events into the
// View's form.
func finish(o runtime.Object, gvk schema.GroupVersionKind) (diagnose.Object, error) {
	obj, ok := o.(diagnose.Object)
	if !ok {
		return nil, fmt.Errorf("a %T is not an object", o)
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	switch t := obj.(type) {
	case *corev1.Secret:
		dropValues(t)
	case *corev1.Event:
		settleTimes(t)
	}
	return obj, nil
}

// allowed refuses what the View does not read, whatever the permissions.
func (r *reader) allowed(kind diagnose.Kind) error {
	if kind.Group == "" && kind.Resource == diagnose.Secrets.Resource && !r.o.ReadSecrets {
		return fmt.Errorf("%w: Secrets are not read unless that is switched on", diagnose.ErrForbidden)
	}
	return nil
}

func named(kind diagnose.Kind, namespace, name string) error {
	if name == "" {
		return fmt.Errorf("%w: no name given", diagnose.ErrNotFound)
	}
	if kind.Namespaced && namespace == "" {
		return fmt.Errorf("%w: no namespace given", diagnose.ErrNotFound)
	}
	if strings.ContainsAny(name+namespace, "/%") || name == "." || name == ".." || namespace == "." || namespace == ".." {
		return fmt.Errorf("%w: %q is not a name", diagnose.ErrNotFound, name)
	}
	return nil
}

func kindOfObject(k diagnose.Kind) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}
}

func (r *reader) unstructured(kind diagnose.Kind, namespace string) dynamic.ResourceInterface {
	res := r.dynamic.Resource(schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Resource})
	if kind.Namespaced && namespace != "" {
		return res.Namespace(namespace)
	}
	return res
}

// client returns the client of one API group's version.
func (r *reader) client(gv schema.GroupVersion) (*rest.RESTClient, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.rest[gv]; c != nil {
		return c, nil
	}
	config := rest.CopyConfig(r.config)
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	c, err := rest.RESTClientForConfigAndClient(config, r.http)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", gv, err)
	}
	r.rest[gv] = c
	return c, nil
}
