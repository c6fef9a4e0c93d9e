package action

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// fieldManager is how the bot's changes are named in managedFields.
const fieldManager = "crashloop"

// workload is a Deployment, StatefulSet or DaemonSet.
type workload interface {
	metav1.Object
	runtime.Object
}

// get reads the target.
func (w work) get(ctx context.Context) (workload, error) {
	apps, t := w.client.AppsV1(), w.target
	switch t.Kind {
	case "Deployment":
		return apps.Deployments(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	case "StatefulSet":
		return apps.StatefulSets(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	case "DaemonSet":
		return apps.DaemonSets(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	}
	return nil, fmt.Errorf("reading %s: not a kind that can be changed", t)
}

// patch changes the target, if it is still the one that was read: otherwise the API answers with a conflict.
func (w work) patch(ctx context.Context, read workload, kind types.PatchType, change map[string]any) error {
	meta, _ := change["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		change["metadata"] = meta
	}
	meta["resourceVersion"] = read.GetResourceVersion()
	meta["uid"] = read.GetUID() // not one of the same name that was made meanwhile
	data, err := json.Marshal(change)
	if err != nil {
		return err
	}
	apps, t, o := w.client.AppsV1(), w.target, metav1.PatchOptions{FieldManager: fieldManager}
	switch t.Kind {
	case "Deployment":
		_, err = apps.Deployments(t.Namespace).Patch(ctx, t.Name, kind, data, o)
	case "StatefulSet":
		_, err = apps.StatefulSets(t.Namespace).Patch(ctx, t.Name, kind, data, o)
	case "DaemonSet":
		_, err = apps.DaemonSets(t.Namespace).Patch(ctx, t.Name, kind, data, o)
	default:
		err = fmt.Errorf("not a kind that can be changed")
	}
	return err
}

// change reads the target and changes it, again from the start when somebody else changed it in between, as controllers do all the time to
// a workload that crash-loops.
func (w work) change(ctx context.Context, do func(workload) error) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		read, err := w.get(ctx)
		if err != nil {
			return err
		}
		return do(read)
	})
	switch {
	case apierrors.IsNotFound(err):
		return nothing("There is no %s (any more).", w.target.Words())
	case apierrors.IsConflict(err):
		return fmt.Errorf("changing %s: others keep changing it; nothing was done, try again", w.target.Words())
	}
	return err
}

// replicas are those wanted: 1 where the spec leaves them out.
func replicas(w workload) int32 {
	var n *int32
	switch w := w.(type) {
	case *appsv1.Deployment:
		n = w.Spec.Replicas
	case *appsv1.StatefulSet:
		n = w.Spec.Replicas
	}
	if n == nil {
		return 1
	}
	return *n
}
