package action

import (
	"context"
	"encoding/json"
	"fmt"

	"crashloop/bot/access"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/kubectl/pkg/polymorphichelpers"
	"k8s.io/kubectl/pkg/scheme"
)

// Restart is what `kubectl rollout restart` does: the template gets the time of the restart, and the controller replaces the pods by its
// own strategy.
func Restart() Action {
	return Action{
		Name: "restart", Title: "Restart", Help: "replaces a workload's pods, as kubectl rollout restart does",
		Undo:  "A restart cannot be undone; it changes nothing but the pods.",
		Kinds: []string{"Deployment", "StatefulSet", "DaemonSet"},
		Permissions: func(t Target) []access.Permission {
			return []access.Permission{t.Permission("patch", "")}
		},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets"}, Verbs: []string{"get", "patch"},
		}},
		Instead: restartInstead,
		reason:  "Restarted", do: restart,
	}
}

func restart(ctx context.Context, w work) (res result, err error) {
	err = w.change(ctx, func(read workload) error {
		if d, ok := read.(*appsv1.Deployment); ok && d.Spec.Paused {
			return nothing("%s is paused, so a restart would start nothing. Resume it first: kubectl -n %s rollout resume %s", w.target.Words(), w.target.Namespace, w.target.kubectl())
		}
		if w.target.Kind != "DaemonSet" && replicas(read) == 0 {
			return nothing("%s is scaled to zero: there is no pod to replace. scale-back brings back the replicas that scale-to-zero took away.", w.target.Words())
		}
		res = result{did: "restarted " + w.target.Words()}
		if onDelete(read) {
			res.notes = []string{"Its update strategy is OnDelete: each pod is replaced only when somebody deletes it."}
		}
		change, err := restartPatch(read, w.stamp)
		if err != nil {
			return err
		}
		return w.patch(ctx, read, types.StrategicMergePatchType, change)
	})
	return res, err
}

// restartPatch lets kubectl's own code mark the template, and takes the difference.
func restartPatch(read workload, stamp string) (map[string]any, error) {
	codec := scheme.Codecs.LegacyCodec(appsv1.SchemeGroupVersion)
	before, err := runtime.Encode(codec, read)
	if err != nil {
		return nil, fmt.Errorf("encoding the workload: %w", err)
	}
	copied := read.DeepCopyObject().(workload)
	annotations := copied.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationLastAction] = stamp
	copied.SetAnnotations(annotations)
	after, err := polymorphichelpers.ObjectRestarterFn(copied)
	if err != nil {
		return nil, err
	}
	diff, err := strategicpatch.CreateTwoWayMergePatch(before, after, read)
	if err != nil {
		return nil, fmt.Errorf("comparing the workload: %w", err)
	}
	var change map[string]any
	if err := json.Unmarshal(diff, &change); err != nil {
		return nil, err
	}
	if change["spec"] == nil {
		return nil, nothing("It was restarted within the same second already.")
	}
	return change, nil
}

func onDelete(w workload) bool {
	switch w := w.(type) {
	case *appsv1.StatefulSet:
		return w.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	case *appsv1.DaemonSet:
		return w.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
	}
	return false
}

func restartInstead(t Target) string {
	switch t.Kind {
	case "Pod":
		return fmt.Sprintf("%s has no controller that would make a new one. To replace it: kubectl -n %s get pod %s -o yaml | kubectl replace --force -f -", t.Words(), t.Namespace, t.Name)
	case "CronJob":
		return fmt.Sprintf("%s makes Jobs by its schedule. To run one now: kubectl -n %s create job %s-now --from=cronjob/%s", t.Words(), t.Namespace, cut(t.Name, 45), t.Name)
	case "Job":
		return fmt.Sprintf("%s runs once. To run it again, delete it and apply its manifest anew: kubectl -n %s delete job %s", t.Words(), t.Namespace, t.Name)
	case "ReplicaSet":
		return fmt.Sprintf("%s has no rollout. To replace its pods, scale it down and up: kubectl -n %s scale rs/%s --replicas=0", t.Words(), t.Namespace, t.Name)
	}
	return fmt.Sprintf("%s runs no pods of its own, so there is nothing to restart.", t.Words())
}
