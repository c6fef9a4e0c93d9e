package action

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is what has to be known of a pod to read its logs.
type Pod struct {
	Name       string
	Containers []Container // init containers first, as they run
	Default    string      // the container that kubectl would take
	Trouble    int         // how bad it looks: the most restarted or failing come first, those that are being deleted last
}

// Container is a container of a pod.
type Container struct {
	Name     string
	Restarts int32
	Failing  bool // it waits, or ended with an error
}

// maxPods bounds the pods of a workload that are looked at.
const maxPods = 500

// Pods lists the pods of a workload, those in trouble first. A workload that does not exist has none.
func (d *Directory) Pods(ctx context.Context, of Target) ([]Pod, error) {
	selector, err := d.selector(ctx, of)
	if err != nil {
		return nil, notFoundIsNil(fmt.Errorf("reading %s: %w", of.Words(), err), err)
	}
	o := metav1.ListOptions{Limit: maxPods}
	if of.Kind == "Pod" {
		o.FieldSelector = "metadata.name=" + of.Name
	} else {
		o.LabelSelector = selector
	}
	list, err := d.client.CoreV1().Pods(of.Namespace).List(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", of.Words(), err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	pods := make([]Pod, 0, len(list.Items))
	for i := range list.Items {
		if of.Kind == "Pod" && list.Items[i].Name != of.Name {
			continue
		}
		pods = append(pods, pod(&list.Items[i]))
	}
	slices.SortStableFunc(pods, func(a, b Pod) int { return cmp.Compare(b.Trouble, a.Trouble) })
	return pods, nil
}

// selector finds the labels of a workload's pods.
func (d *Directory) selector(ctx context.Context, of Target) (string, error) {
	var s *metav1.LabelSelector
	get := metav1.GetOptions{}
	switch of.Kind {
	case "Deployment":
		w, err := d.client.AppsV1().Deployments(of.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return "", err
		}
		s = w.Spec.Selector
	case "StatefulSet":
		w, err := d.client.AppsV1().StatefulSets(of.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return "", err
		}
		s = w.Spec.Selector
	case "DaemonSet":
		w, err := d.client.AppsV1().DaemonSets(of.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return "", err
		}
		s = w.Spec.Selector
	case "ReplicaSet":
		w, err := d.client.AppsV1().ReplicaSets(of.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return "", err
		}
		s = w.Spec.Selector
	case "Job":
		w, err := d.client.BatchV1().Jobs(of.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return "", err
		}
		s = w.Spec.Selector
	case "CronJob":
		jobs, err := d.client.BatchV1().Jobs(of.Namespace).List(ctx, metav1.ListOptions{Limit: maxNames})
		if err != nil {
			return "", err
		}
		var newest metav1.Time
		for i := range jobs.Items {
			j := &jobs.Items[i]
			if owner := metav1.GetControllerOf(j); owner != nil && owner.Kind == "CronJob" && owner.Name == of.Name && (s == nil || newest.Before(&j.CreationTimestamp)) {
				s, newest = j.Spec.Selector, j.CreationTimestamp
			}
		}
		if s == nil {
			return "crashloop/none=none", nil
		}
	case "Pod":
		return "", nil
	default:
		return "", fmt.Errorf("it runs no pods")
	}
	return metav1.FormatLabelSelector(s), nil
}

func pod(p *corev1.Pod) Pod {
	out := Pod{Name: p.Name, Default: p.Annotations["kubectl.kubernetes.io/default-container"]}
	if out.Default == "" && len(p.Spec.Containers) > 0 {
		out.Default = p.Spec.Containers[0].Name
	}
	add := func(specs []corev1.Container, statuses []corev1.ContainerStatus) {
		for _, c := range specs {
			one := Container{Name: c.Name}
			for _, s := range statuses {
				if s.Name != c.Name {
					continue
				}
				one.Restarts = s.RestartCount
				one.Failing = s.State.Waiting != nil && s.State.Waiting.Reason != "PodInitializing" && s.State.Waiting.Reason != "ContainerCreating" ||
					s.State.Terminated != nil && s.State.Terminated.ExitCode != 0
			}
			out.Trouble += min(int(one.Restarts), 1000)
			if one.Failing {
				out.Trouble += 10_000
			}
			out.Containers = append(out.Containers, one)
		}
	}
	add(p.Spec.InitContainers, p.Status.InitContainerStatuses)
	add(p.Spec.Containers, p.Status.ContainerStatuses)
	if p.DeletionTimestamp != nil {
		out.Trouble = -1 // its log goes with it
	}
	return out
}
