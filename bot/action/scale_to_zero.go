package action

import (
	"context"
	"fmt"
	"strconv"

	"crashloop/bot/access"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ScaleToZero stops a workload's pods and remembers on the workload how many there were.
func ScaleToZero() Action {
	return Action{
		Name: "scale-to-zero", Title: "Scale to zero", Help: "stops all pods of a workload and remembers how many there were",
		Undo:        "scale-back",
		Kinds:       []string{"Deployment", "StatefulSet"},
		Permissions: scalePermissions,
		Rules: append(scaleRules(), rbacv1.PolicyRule{
			APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list"},
		}),
		Instead: scaleInstead,
		undo:    "scale-back", reason: "ScaledToZero", do: scaleToZero,
	}
}

// scalePermissions: the replicas are the scale subresource's, the annotation is the workload's.
func scalePermissions(t Target) []access.Permission {
	return []access.Permission{t.Permission("patch", "scale"), t.Permission("patch", "")}
}

// scaleRules: replicas and annotation are written by one patch of the workload, so that neither ever stands there without the other; the
// scale subresource could not do that.
func scaleRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets"}, Verbs: []string{"get", "patch"}}}
}

func scaleToZero(ctx context.Context, w work) (res result, err error) {
	err = w.change(ctx, func(read workload) error {
		now := replicas(read)
		if now == 0 {
			if before := read.GetAnnotations()[AnnotationReplicas]; before != "" {
				return nothing("%s is at zero already. scale-back brings back %s replicas.", w.target.Words(), cut(before, 10))
			}
			return nothing("%s is at zero already.", w.target.Words())
		}
		err := w.patch(ctx, read, types.MergePatchType, map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{
				AnnotationReplicas: strconv.Itoa(int(now)), AnnotationLastAction: w.stamp,
			}},
			"spec": map[string]any{"replicas": 0},
		})
		if err != nil {
			return err
		}
		res = result{fmt.Sprintf("scaled %s to zero; it had %s", w.target.Words(), countReplicas(now)), w.raisers(ctx, read)}
		return nil
	})
	return res, err
}

func scaleInstead(t Target) string {
	switch t.Kind {
	case "DaemonSet":
		return fmt.Sprintf(`%s has no replicas: it runs a pod on every node that it selects. To stop it, let it select none: kubectl -n %s patch %s -p '{"spec":{"template":{"spec":{"nodeSelector":{"crashloop/none":"true"}}}}}'`, t.Words(), t.Namespace, t.kubectl())
	case "CronJob", "Job":
		return fmt.Sprintf(`%s has no replicas. To stop it, suspend it: kubectl -n %s patch %s -p '{"spec":{"suspend":true}}'`, t.Words(), t.Namespace, t.kubectl())
	case "Pod":
		return fmt.Sprintf("%s has no replicas and no controller. To stop it, delete it, and keep its manifest: kubectl -n %s get pod %s -o yaml > %s.yaml && kubectl -n %s delete pod %s",
			t.Words(), t.Namespace, t.Name, t.Name, t.Namespace, t.Name)
	case "ReplicaSet":
		return fmt.Sprintf("Crashloop scales Deployments and StatefulSets. For this one: kubectl -n %s scale %s --replicas=0", t.Namespace, t.kubectl())
	}
	return fmt.Sprintf("%s runs no pods of its own, so there is nothing to scale.", t.Words())
}
