package diagnose

import (
	"errors"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ownerFinder resolves the topmost built-in controller of pods and remembers each answer.
type ownerFinder struct {
	get   func(kind Kind, namespace, name string) (Object, error)
	above map[string]string // namespace|Kind/name -> topmost
}

func newOwnerFinder(get func(kind Kind, namespace, name string) (Object, error)) ownerFinder {
	return ownerFinder{get: get, above: map[string]string{}}
}

// builtInGroup is the API group of one of Kubernetes' own controllers: other groups have a Job or a StatefulSet, too.
func builtInGroup(kind string) (group string, ok bool) {
	switch kind {
	case "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet":
		return "apps", true
	case "Job", "CronJob":
		return "batch", true
	case "ReplicationController":
		return "", true
	}
	return "", false
}

// controllerOf returns the built-in controller that an object names as its own.
func controllerOf(o metav1.Object) (kind, name string, ok bool) {
	ref := metav1.GetControllerOf(o)
	if ref == nil {
		return "", "", false
	}
	want, known := builtInGroup(ref.Kind)
	group, _, found := strings.Cut(ref.APIVersion, "/")
	if !found {
		group = ""
	}
	// Files written by hand may lack the apiVersion.
	if !known || group != want && ref.APIVersion != "" {
		return "", "", false
	}
	return ref.Kind, ref.Name, true
}

// controlledBy says that an object names a controller as its own.
func controlledBy(o metav1.Object, kind, name string) bool {
	owner := metav1.GetControllerOf(o)
	return owner != nil && owner.Kind == kind && owner.Name == name
}

// workload names the topmost built-in controller of a pod, "Deployment/web"; a pod without one is its own.
func (f ownerFinder) workload(pod metav1.Object) string {
	kind, name, ok := controllerOf(pod)
	if !ok {
		return "Pod/" + pod.GetName()
	}
	key := pod.GetNamespace() + "|" + kind + "/" + name
	if top, ok := f.above[key]; ok {
		return top
	}
	top := kind + "/" + name
	switch kind {
	case "ReplicaSet", "Job":
		top = f.climb(pod, kind, name)
	}
	f.above[key] = top
	return top
}

func (f ownerFinder) climb(pod metav1.Object, kind, name string) string {
	k := ReplicaSets
	if kind == "Job" {
		k = Jobs
	}
	o, err := f.get(k, pod.GetNamespace(), name)
	if err == nil && o != nil {
		if above, aboveName, ok := controllerOf(o); ok {
			return above + "/" + aboveName
		}
		return kind + "/" + name
	}
	// The ReplicaSet cannot be read. Only a Deployment gives its pods this label, and it names the ReplicaSet after itself and the label.
	if hash := pod.GetLabels()["pod-template-hash"]; kind == "ReplicaSet" && hash != "" {
		if deployment, ok := strings.CutSuffix(name, "-"+hash); ok {
			return "Deployment/" + deployment
		}
	}
	// A CronJob names its Jobs after itself and the minute that they are due.
	if i := strings.LastIndexByte(name, '-'); kind == "Job" && i > 0 && len(name)-i > 7 && isDigits(name[i+1:]) {
		if _, err := f.get(CronJobs, pod.GetNamespace(), name[:i]); err == nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) {
			return "CronJob/" + name[:i]
		}
	}
	return kind + "/" + name
}
