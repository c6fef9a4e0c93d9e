package viewtest

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"crashloop/diagnose"
)

// Fixture is what the View under test has to show.
type Fixture struct {
	// Objects are valid for a real API server, with apiVersion and kind set and namespaces that do not exist yet.
	Objects []diagnose.Object
	Logs    []Log
	// Forbidden are kinds whose reads are refused, as by RBAC.
	Forbidden []diagnose.Kind
}

// Log is the whole log of one run of a container.
type Log struct {
	Namespace, Pod, Container string
	Previous                  bool
	Text                      string
}

// moment is when everything in the fixture happened.
func moment() metav1.Time { return metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) }

func fixture() Fixture {
	add := func(list []diagnose.Object, apiVersion, kind string, objs ...diagnose.Object) []diagnose.Object {
		for _, o := range objs {
			o.GetObjectKind().SetGroupVersionKind(gvk(apiVersion, kind))
			if o.GetCreationTimestamp().Time.IsZero() {
				o.SetCreationTimestamp(moment())
			}
			list = append(list, o)
		}
		return list
	}
	var objs []diagnose.Object
	objs = add(objs, "v1", "Namespace", &corev1.Namespace{ObjectMeta: meta("", "shop")}, &corev1.Namespace{ObjectMeta: meta("", "billing")})
	objs = add(objs, "v1", "Node", &corev1.Node{ObjectMeta: meta("", "node-1")})
	// Not in order, so that a View has to sort them.
	objs = add(objs, "v1", "Pod",
		pod("shop", "web-2", "app", "web", "tier", "front"), pod("billing", "web-3", "app", "web"),
		pod("shop", "web-1", "app", "web"), pod("shop", "db-0", "app", "db"), pod("shop", "fresh", "app", "fresh"))
	objs = add(objs, "v1", "Event",
		event("web-1.b", "Pod", "web-1", "uid-1", "BackOff"), event("web-1.a", "Pod", "web-1", "uid-0", "Killing"),
		event("web-2.a", "Pod", "web-2", "uid-2", "BackOff"), event("web.a", "ReplicaSet", "web-1", "uid-9", "FailedCreate"))
	objs = add(objs, "v1", "Service", &corev1.Service{ObjectMeta: meta("shop", "web"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}}})
	objs = add(objs, "v1", "ConfigMap", &corev1.ConfigMap{ObjectMeta: meta("shop", "settings"), Data: map[string]string{"color": "blue"}})
	objs = add(objs, "v1", "Secret", &corev1.Secret{ObjectMeta: meta("shop", "login"), Data: map[string][]byte{"word": []byte(secretValue)}})
	objs = add(objs, "apps/v1", "Deployment", &appsv1.Deployment{ObjectMeta: meta("shop", "web"), Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: podSpec()},
	}})
	objs = add(objs, "batch/v1", "Job", &batchv1.Job{ObjectMeta: meta("shop", "migrate"), Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: func() corev1.PodSpec { s := podSpec(); s.RestartPolicy = corev1.RestartPolicyNever; return s }()},
	}})
	objs = add(objs, "discovery.k8s.io/v1", "EndpointSlice", &discoveryv1.EndpointSlice{ObjectMeta: meta("shop", "web-x"), AddressType: discoveryv1.AddressTypeIPv4})
	objs = add(objs, "storage.k8s.io/v1", "StorageClass", &storagev1.StorageClass{ObjectMeta: meta("", "standard"), Provisioner: "example.com/none"})
	sealed := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"encryptedData": map[string]any{}}}}
	sealed.SetNamespace("shop")
	sealed.SetName("login")
	objs = add(objs, "bitnami.com/v1alpha1", "SealedSecret", sealed)
	measured := &unstructured.Unstructured{Object: map[string]any{
		"timestamp": moment().Format(time.RFC3339), "window": "15.024s",
		"containers": []any{map[string]any{"name": "app", "usage": map[string]any{"cpu": "49871234n", "memory": "62464Ki"}}},
	}}
	measured.SetNamespace("shop")
	measured.SetName("web-1")
	objs = add(objs, "metrics.k8s.io/v1beta1", "PodMetrics", measured)
	node := &unstructured.Unstructured{Object: map[string]any{
		"timestamp": moment().Format(time.RFC3339), "window": "10s", "usage": map[string]any{"cpu": "1", "memory": "3Gi"},
	}}
	node.SetName("node-1")
	objs = add(objs, "metrics.k8s.io/v1beta1", "NodeMetrics", node)
	return Fixture{
		Objects: objs,
		Logs: []Log{
			{"shop", "web-1", "app", false, "one\ntwo\nthree\n"},
			{"shop", "web-1", "app", true, "first life\nno line break at the end"},
			{"shop", "web-2", "app", false, ""},
		},
		Forbidden: []diagnose.Kind{diagnose.ResourceQuotas},
	}
}

// secretValue must never come out of a View.
const secretValue = "planted-value"

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/web:1"}}}
}

// pod ran twice, but for the one named fresh. Its labels are given as key, value, key, value.
func pod(namespace, name string, labels ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: meta(namespace, name), Spec: podSpec()}
	p.Labels = map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		p.Labels[labels[i]] = labels[i+1]
	}
	status := corev1.ContainerStatus{
		Name: "app", Image: "registry.example/web:1", ImageID: "registry.example/web@sha256:0", ContainerID: "containerd://2",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: moment()}},
	}
	if name != "fresh" {
		status.RestartCount = 1
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: moment(), FinishedAt: moment(), ContainerID: "containerd://1",
		}
	}
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{status}}
	return p
}

func event(name, kind, about string, uid types.UID, reason string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     meta("shop", name),
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: kind, Namespace: "shop", Name: about, UID: uid, FieldPath: "spec.containers{app}"},
		Reason:         reason, Message: reason + " of " + about, Type: corev1.EventTypeWarning, Count: 2,
		FirstTimestamp: moment(), LastTimestamp: moment(), Source: corev1.EventSource{Component: "kubelet"},
	}
}
