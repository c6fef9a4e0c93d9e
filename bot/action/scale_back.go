package action

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
)

// maxRestored bounds what scale-back believes of an annotation that anyone with the right to patch the workload can write.
const maxRestored = 10_000

// ScaleBack gives a workload the replicas again that ScaleToZero took away. What it needs to know stands on the workload, so that it works
// after a restart of the bot too.
func ScaleBack() Action {
	return Action{
		Name: "scale-back", Title: "Scale back", Help: "brings back the replicas that scale-to-zero took away",
		Undo:        "scale-to-zero",
		Kinds:       []string{"Deployment", "StatefulSet"},
		Permissions: scalePermissions,
		Rules:       scaleRules(),
		Instead: func(t Target) string {
			return fmt.Sprintf("Crashloop scales Deployments and StatefulSets only, so it has not scaled %s to zero.", t.Words())
		},
		undo: "scale-to-zero", reason: "ScaledBack", do: scaleBack,
	}
}

func scaleBack(ctx context.Context, w work) (res result, err error) {
	err = w.change(ctx, func(read workload) error {
		t, now, remembered := w.target, replicas(read), read.GetAnnotations()[AnnotationReplicas]
		switch {
		case remembered == "" && now > 0:
			return nothing("There is nothing to bring back: %s was not scaled to zero from here, and wants %s.", t.Words(), countReplicas(now))
		case remembered == "":
			return nothing("There is nothing to bring back: %s was not scaled to zero from here, so how many replicas it had is not known. To start it: kubectl -n %s scale %s --replicas=1",
				t.Words(), t.Namespace, t.kubectl())
		}
		annotations := map[string]any{AnnotationReplicas: nil, AnnotationLastAction: w.stamp}
		change := map[string]any{"metadata": map[string]any{"annotations": annotations}}
		if now > 0 {
			// Somebody else scaled it up meanwhile: what was remembered is no longer true.
			delete(annotations, AnnotationLastAction)
			if err := w.patch(ctx, read, types.MergePatchType, change); err != nil {
				return err
			}
			return nothing("%s wants %s already: somebody or something else scaled it up. What it had before is forgotten.", t.Words(), countReplicas(now))
		}
		n, err := strconv.ParseInt(remembered, 10, 32)
		if err != nil || n < 1 || n > maxRestored {
			return nothing("The annotation %s of %s says %q, which is no number of replicas. To start it: kubectl -n %s scale %s --replicas=1",
				AnnotationReplicas, t.Words(), cut(remembered, 40), t.Namespace, t.kubectl())
		}
		change["spec"] = map[string]any{"replicas": n}
		if err := w.patch(ctx, read, types.MergePatchType, change); err != nil {
			return err
		}
		res = result{did: fmt.Sprintf("scaled %s back to %s", t.Words(), countReplicas(int32(n)))}
		return nil
	})
	return res, err
}
