package snapshot

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// builtIn adds to a scheme the built-in kinds of a group and version, as k8s.io/api types them; it is nil for all others.
func builtIn(gv schema.GroupVersion) func(*runtime.Scheme) error {
	switch gv {
	case corev1.SchemeGroupVersion:
		return corev1.AddToScheme
	case appsv1.SchemeGroupVersion:
		return appsv1.AddToScheme
	case batchv1.SchemeGroupVersion:
		return batchv1.AddToScheme
	case autoscalingv2.SchemeGroupVersion:
		return autoscalingv2.AddToScheme
	case discoveryv1.SchemeGroupVersion:
		return discoveryv1.AddToScheme
	case networkingv1.SchemeGroupVersion:
		return networkingv1.AddToScheme
	case storagev1.SchemeGroupVersion:
		return storagev1.AddToScheme
	case policyv1.SchemeGroupVersion:
		return policyv1.AddToScheme
	case rbacv1.SchemeGroupVersion:
		return rbacv1.AddToScheme
	case schedulingv1.SchemeGroupVersion:
		return schedulingv1.AddToScheme
	case coordinationv1.SchemeGroupVersion:
		return coordinationv1.AddToScheme
	case admissionregistrationv1.SchemeGroupVersion:
		return admissionregistrationv1.AddToScheme
	}
	return nil
}

// schemes make the objects of built-in kinds. Each group and version has its own, filled when the first object of it is met: filling all takes
// longer than reading most snapshots.
type schemes map[schema.GroupVersion]*runtime.Scheme

// newTyped gives an empty object of a built-in kind, or nil.
func (s schemes) newTyped(gvk schema.GroupVersionKind) diagnose.Object {
	gv := gvk.GroupVersion()
	scheme := s[gv]
	if scheme == nil {
		add := builtIn(gv)
		if add == nil {
			return nil
		}
		scheme = runtime.NewScheme()
		if err := add(scheme); err != nil {
			panic(err) // the same kind twice: cannot happen with one version
		}
		s[gv] = scheme
	}
	made, err := scheme.New(gvk)
	if err != nil {
		return nil
	}
	obj, ok := made.(diagnose.Object)
	if !ok {
		return nil
	}
	return obj
}
