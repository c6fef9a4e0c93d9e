package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// applier applies manifests as kubectl apply --server-side does.
type applier struct {
	mu      sync.Mutex // the mapper's cache is filled lazily
	mapper  meta.RESTMapper
	dynamic dynamic.Interface
}

func newApplier(config *rest.Config, d dynamic.Interface) (*applier, error) {
	c, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &applier{mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c)), dynamic: d}, nil
}

// apply applies all documents of a manifest. edit, when not nil, changes each first.
func (a *applier) apply(ctx context.Context, manifest []byte, edit func(*unstructured.Unstructured)) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("reading a manifest: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if edit != nil {
			edit(object)
		}
		if err := a.applyOne(ctx, object); err != nil {
			return fmt.Errorf("applying %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
		}
	}
}

func (a *applier) applyOne(ctx context.Context, object *unstructured.Unstructured) error {
	target, err := a.target(object)
	if err != nil {
		return err
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	for {
		_, err = target.Patch(ctx, object.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "e2e", Force: new(true)})
		// A new namespace has no default ServiceAccount for a moment, and the controllers write to what is being applied.
		if !apierrors.IsConflict(err) && !(apierrors.IsForbidden(err) && object.GetKind() == "Pod") {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// delete deletes an object; what belongs to it follows.
func (a *applier) delete(ctx context.Context, object *unstructured.Unstructured) error {
	target, err := a.target(object)
	if err != nil {
		return err
	}
	return target.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
}

// target is where objects of that kind and namespace are written to.
func (a *applier) target(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := object.GroupVersionKind()
	a.mu.Lock()
	mapping, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return a.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
	}
	return a.dynamic.Resource(mapping.Resource), nil
}
