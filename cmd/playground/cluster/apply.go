package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apps "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// fieldManager is whom the API server names as the owner of what Apply sets.
const fieldManager = "playground"

// Apply applies manifests (YAML, any number of documents) as the administrator, as `kubectl apply --server-side --force-conflicts` does. After a
// Namespace it waits for the namespace's default ServiceAccount, without which pods are refused.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return err
	}
	groups, err := restmapper.GetAPIGroupResources(c.client.Discovery())
	if err != nil {
		return fmt.Errorf("asking the API server what kinds there are: %w", err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	client, err := dynamic.NewForConfig(c.admin)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	for _, u := range objects {
		kind := u.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		resource := client.Resource(mapping.Resource)
		var to dynamic.ResourceInterface = resource
		if mapping.Scope.Name() == "namespace" {
			if u.GetNamespace() == "" {
				u.SetNamespace(metav1.NamespaceDefault)
			}
			to = resource.Namespace(u.GetNamespace())
		}
		if _, err := to.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return fmt.Errorf("applying %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		if kind.Kind == "Namespace" {
			if err := c.waitForNamespace(ctx, u.GetName()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cluster) waitForNamespace(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return waitUntil(ctx, "the default ServiceAccount of namespace "+name, func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// WaitReady waits until every Deployment and StatefulSet of the manifests is rolled out and ready.
func (c *Cluster) WaitReady(ctx context.Context, manifests []byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, u := range objects {
		check := map[string]func(context.Context, string, string) error{"Deployment": c.deploymentReady, "StatefulSet": c.statefulSetReady}[u.GetKind()]
		if check == nil {
			continue
		}
		namespace := cmp.Or(u.GetNamespace(), metav1.NamespaceDefault)
		what := fmt.Sprintf("%s %s/%s to be ready", u.GetKind(), namespace, u.GetName())
		if err := waitUntil(ctx, what, func(ctx context.Context) error { return check(ctx, namespace, u.GetName()) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) deploymentReady(ctx context.Context, namespace, name string) error {
	d, err := c.client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	return settled(d.Generation, d.Status.ObservedGeneration, wanted(d.Spec.Replicas), d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.Replicas)
}

func (c *Cluster) statefulSetReady(ctx context.Context, namespace, name string) error {
	var s *apps.StatefulSet
	s, err := c.client.AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	return settled(s.Generation, s.Status.ObservedGeneration, wanted(s.Spec.Replicas), s.Status.UpdatedReplicas, s.Status.ReadyReplicas, s.Status.Replicas)
}

func wanted(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

func settled(generation, observed int64, want, updated, ready, all int32) error {
	if observed < generation || updated != want || ready != want || all != want {
		return fmt.Errorf("%d of %d replicas are ready, %d updated", ready, want, updated)
	}
	return nil
}

// decode reads YAML documents; empty ones are left out.
func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var objects []*unstructured.Unstructured
	for {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading manifests: document %d: %w", len(objects)+1, err)
		}
		if len(u.Object) > 0 {
			objects = append(objects, u)
		}
	}
}
