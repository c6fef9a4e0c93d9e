package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
)

// maxNames bounds the names of one kind that are read to find the nearest.
const maxNames = 2000

// Object is what a name stands for: the topmost workload, and the pod when the name was a pod's.
type Object struct {
	Target Target
	Pod    string
}

// Directory knows what the cluster calls things, from names and owners alone: it never reads a spec but to find a workload's pods.
type Directory struct {
	client     kubernetes.Interface
	meta       metadata.Interface
	namespaces []string
}

// NewDirectory returns a Directory of these namespaces, or of all when there are none.
func NewDirectory(client kubernetes.Interface, meta metadata.Interface, namespaces []string) (*Directory, error) {
	if client == nil || meta == nil {
		return nil, errors.New("a directory needs a client and a metadata client")
	}
	return &Directory{client, meta, namespaces}, nil
}

// Namespaces lists those that the bot covers.
func (d *Directory) Namespaces(ctx context.Context) ([]string, error) {
	if len(d.namespaces) > 0 {
		return slices.Clone(d.namespaces), nil
	}
	list, err := d.meta.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	var all []string
	for _, n := range list.Items {
		all = append(all, n.Name)
	}
	return all, nil
}

// Named finds what is called exactly so: topmost workloads and pods, or objects of the kind that is asked for. An empty namespace or kind
// means any.
func (d *Directory) Named(ctx context.Context, namespace, kind, name string) ([]Object, error) {
	each, err := d.all(ctx, func(r resource) bool { return kind == "" && runsPods(r.kind) || kind == r.kind }, namespace,
		metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), Limit: 500})
	if err != nil {
		return nil, err
	}
	var found []Object
	for _, one := range each {
		if one.meta.Name != name {
			continue
		}
		o, err := d.object(ctx, one.resource, one.meta)
		if err != nil {
			return nil, err
		}
		if kind == "" && o.Pod == "" && o.Target.Name != name {
			continue // a ReplicaSet or a Job of something that is found by its own name
		}
		if !slices.Contains(found, o) {
			found = append(found, o)
		}
	}
	return found, nil
}

// Names lists workloads that nothing else controls, up to a bound; an empty namespace means all.
func (d *Directory) Names(ctx context.Context, namespace string) ([]Object, error) {
	each, err := d.all(ctx, func(r resource) bool { return runsPods(r.kind) && r.kind != "Pod" }, namespace, metav1.ListOptions{Limit: maxNames})
	if err != nil {
		return nil, err
	}
	var all []Object
	for _, one := range each {
		if metav1.GetControllerOf(one.meta) == nil {
			all = append(all, Object{Target: Target{one.kind, one.meta.Namespace, one.meta.Name}})
		}
	}
	return all, nil
}

// listed is the metadata of an object, and how it is served.
type listed struct {
	resource
	meta *metav1.PartialObjectMetadata
}

// all lists the kinds that are wanted, at the same time, and keeps their order.
func (d *Directory) all(ctx context.Context, want func(resource) bool, namespace string, o metav1.ListOptions) ([]listed, error) {
	kinds := slices.DeleteFunc(served(), func(r resource) bool { return !want(r) })
	lists := make([]*metav1.PartialObjectMetadataList, len(kinds))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range kinds {
		group.Go(func() (err error) {
			lists[i], err = d.list(ctx, r, namespace, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []listed
	for i, list := range lists {
		for j := range list.Items {
			all = append(all, listed{kinds[i], &list.Items[j]})
		}
	}
	return all, nil
}

func runsPods(kind string) bool { return kind != "Service" && kind != "PersistentVolumeClaim" }

// version is the one of the kinds that are served.
func (r resource) gvr() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.group, Version: "v1", Resource: r.plural}
}

func (d *Directory) list(ctx context.Context, r resource, namespace string, o metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	if namespace == "" && len(d.namespaces) > 0 {
		var all metav1.PartialObjectMetadataList
		for _, ns := range d.namespaces {
			some, err := d.list(ctx, r, ns, o)
			if err != nil {
				return nil, err
			}
			all.Items = append(all.Items, some.Items...)
		}
		return &all, nil
	}
	list, err := d.meta.Resource(r.gvr()).Namespace(namespace).List(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", r.plural, err)
	}
	return list, nil
}

// object follows the controllers up to the topmost built-in one.
func (d *Directory) object(ctx context.Context, r resource, m *metav1.PartialObjectMetadata) (Object, error) {
	o := Object{Target: Target{r.kind, m.Namespace, m.Name}}
	for range 4 {
		owner := metav1.GetControllerOf(m)
		if owner == nil {
			return o, nil
		}
		above := Target{owner.Kind, o.Target.Namespace, owner.Name}
		up, known := above.resource()
		if !known || !strings.HasPrefix(owner.APIVersion, up.gvr().GroupVersion().String()) || !runsPods(owner.Kind) {
			return o, nil // an operator's own kind: the workload is what the bot can work on
		}
		if o.Target.Kind == "Pod" {
			o.Pod = o.Target.Name
		}
		o.Target = above
		if owner.Kind != "ReplicaSet" && owner.Kind != "Job" {
			return o, nil
		}
		next, err := d.meta.Resource(up.gvr()).Namespace(above.Namespace).Get(ctx, above.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return o, nil
		}
		if err != nil {
			return o, fmt.Errorf("reading the owner of %s: %w", m.Name, err)
		}
		m = next
	}
	return o, nil
}
