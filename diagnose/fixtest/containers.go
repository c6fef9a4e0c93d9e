package fixtest

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// Containers lists the names of all containers that a View's pods and templates have.
func Containers(ctx context.Context, view diagnose.View) ([]string, error) {
	var out []string
	for _, kind := range []diagnose.Kind{diagnose.Pods, diagnose.Deployments, diagnose.StatefulSets, diagnose.DaemonSets, diagnose.Jobs, diagnose.CronJobs} {
		objects, err := view.List(ctx, kind, "", diagnose.Where{})
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			var spec corev1.PodSpec
			switch o := o.(type) {
			case *corev1.Pod:
				spec = o.Spec
			case *appsv1.Deployment:
				spec = o.Spec.Template.Spec
			case *appsv1.StatefulSet:
				spec = o.Spec.Template.Spec
			case *appsv1.DaemonSet:
				spec = o.Spec.Template.Spec
			case *batchv1.Job:
				spec = o.Spec.Template.Spec
			case *batchv1.CronJob:
				spec = o.Spec.JobTemplate.Spec.Template.Spec
			}
			for _, c := range spec.Containers {
				out = append(out, c.Name)
			}
			for _, c := range spec.InitContainers {
				out = append(out, c.Name)
			}
		}
	}
	return out, nil
}
