package viewtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// Run tests a View. newView makes one that shows the fixture, and fails the test when it cannot; it is called once. The View may or may
// not be allowed to read Secrets; it may hold other objects, in other namespaces than shop and billing.
func Run(t *testing.T, newView func(t *testing.T, f Fixture) diagnose.View) {
	f := fixture()
	v := newView(t, f)
	t.Run("Identity", func(t *testing.T) { testIdentity(t, v) })
	t.Run("Get", func(t *testing.T) { testGet(t, v) })
	t.Run("GetMissing", func(t *testing.T) { testGetMissing(t, v) })
	t.Run("List", func(t *testing.T) { testList(t, v) })
	t.Run("Events", func(t *testing.T) { testEvents(t, v) })
	t.Run("Forbidden", func(t *testing.T) { testForbidden(t, v) })
	t.Run("SecretsWithoutValues", func(t *testing.T) { testSecrets(t, v) })
	t.Run("Logs", func(t *testing.T) { testLogs(t, v) })
	t.Run("MissingLogs", func(t *testing.T) { testMissingLogs(t, v) })
	t.Run("Cancelled", func(t *testing.T) { testCancelled(t, v) })
	t.Run("OwnCopies", func(t *testing.T) { testOwnCopies(t, v) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, v) })
}

func gvk(apiVersion, kind string) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(apiVersion, kind)
}

func testIdentity(t *testing.T, v diagnose.View) {
	if v.Cluster() == "" {
		t.Error("the cluster has no name")
	}
	if v.Now().IsZero() {
		t.Error("Now is the zero time")
	}
}

func testGet(t *testing.T, v diagnose.View) {
	for _, test := range []struct {
		kind            diagnose.Kind
		namespace, name string
		want            diagnose.Object // its Go type
	}{
		{diagnose.Pods, "shop", "web-1", &corev1.Pod{}},
		{diagnose.Events, "shop", "web-1.a", &corev1.Event{}},
		{diagnose.Services, "shop", "web", &corev1.Service{}},
		{diagnose.ConfigMaps, "shop", "settings", &corev1.ConfigMap{}},
		{diagnose.Deployments, "shop", "web", &appsv1.Deployment{}},
		{diagnose.Jobs, "shop", "migrate", &batchv1.Job{}},
		{diagnose.EndpointSlices, "shop", "web-x", &discoveryv1.EndpointSlice{}},
		{diagnose.Nodes, "", "node-1", &corev1.Node{}},
		{diagnose.Namespaces, "", "shop", &corev1.Namespace{}},
		{diagnose.StorageClasses, "", "standard", &storagev1.StorageClass{}},
		{diagnose.SealedSecrets, "shop", "login", &unstructured.Unstructured{}},
		{diagnose.PodMetrics, "shop", "web-1", &unstructured.Unstructured{}},
		{diagnose.NodeMetrics, "", "node-1", &unstructured.Unstructured{}},
	} {
		t.Run(test.kind.Kind, func(t *testing.T) {
			got, err := v.Get(t.Context(), test.kind, test.namespace, test.name)
			if err != nil {
				t.Fatal(err)
			}
			if reflect.TypeOf(got) != reflect.TypeOf(test.want) {
				t.Errorf("got a %T, want a %T", got, test.want)
			}
			if got.GetName() != test.name || got.GetNamespace() != test.namespace {
				t.Errorf("got %s/%s, want %s/%s", got.GetNamespace(), got.GetName(), test.namespace, test.name)
			}
		})
	}
	got, err := v.Get(t.Context(), diagnose.Pods, "shop", "web-1")
	if err != nil {
		t.Fatal(err)
	}
	p := got.(*corev1.Pod)
	if len(p.Status.ContainerStatuses) != 1 || p.Status.ContainerStatuses[0].LastTerminationState.Terminated == nil {
		t.Errorf("the pod's status is lost: %+v", p.Status)
	}
	if got, err = v.Get(t.Context(), diagnose.PodMetrics, "shop", "web-1"); err != nil {
		t.Fatal(err)
	}
	containers, _, _ := unstructured.NestedSlice(got.(*unstructured.Unstructured).Object, "containers")
	if text := fmt.Sprint(containers); text != "[map[name:app usage:map[cpu:49871234n memory:62464Ki]]]" {
		t.Errorf("what metrics-server measured came through as %s", text)
	}
}

func testGetMissing(t *testing.T, v diagnose.View) {
	for _, test := range []struct {
		what            string
		kind            diagnose.Kind
		namespace, name string
	}{
		{"no such pod", diagnose.Pods, "shop", "web-9"},
		{"pod of another namespace", diagnose.Pods, "billing", "web-1"},
		{"no such namespace", diagnose.ConfigMaps, "nowhere", "settings"},
		{"no such node", diagnose.Nodes, "", "node-9"},
		{"kind of an add-on without such an object", diagnose.SealedSecrets, "shop", "none"},
		{"a pod that nobody has measured", diagnose.PodMetrics, "shop", "web-2"},
	} {
		t.Run(test.what, func(t *testing.T) {
			got, err := v.Get(t.Context(), test.kind, test.namespace, test.name)
			if !errors.Is(err, diagnose.ErrNotFound) {
				t.Errorf("got %v, %v, want ErrNotFound", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.name) {
				t.Errorf("the error %q does not name %q", err, test.name)
			}
		})
	}
}

func testList(t *testing.T, v diagnose.View) {
	labels := func(pairs ...string) diagnose.Where {
		w := diagnose.Where{Labels: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			w.Labels[pairs[i]] = pairs[i+1]
		}
		return w
	}
	for _, test := range []struct {
		what      string
		kind      diagnose.Kind
		namespace string
		where     diagnose.Where
		want      string
	}{
		{"one namespace, sorted", diagnose.Pods, "shop", diagnose.Where{}, "shop/db-0 shop/fresh shop/web-1 shop/web-2"},
		{"all namespaces, sorted", diagnose.Pods, "", diagnose.Where{}, "billing/web-3 shop/db-0 shop/fresh shop/web-1 shop/web-2"},
		{"by label", diagnose.Pods, "shop", labels("app", "web"), "shop/web-1 shop/web-2"},
		{"by two labels", diagnose.Pods, "shop", labels("app", "web", "tier", "front"), "shop/web-2"},
		{"by label in all namespaces", diagnose.Pods, "", labels("app", "web"), "billing/web-3 shop/web-1 shop/web-2"},
		{"by a label that nothing has", diagnose.Pods, "shop", labels("app", "none"), ""},
		{"a namespace that does not exist", diagnose.Pods, "nowhere", diagnose.Where{}, ""},
		{"a kind without objects", diagnose.DaemonSets, "shop", diagnose.Where{}, ""},
		{"a kind of an add-on", diagnose.SealedSecrets, "shop", diagnose.Where{}, "shop/login"},
		{"measurements", diagnose.PodMetrics, "shop", diagnose.Where{}, "shop/web-1"},
		{"a cluster-scoped kind", diagnose.StorageClasses, "", diagnose.Where{}, "/standard"},
	} {
		t.Run(test.what, func(t *testing.T) {
			if got := list(t, v, test.kind, test.namespace, test.where); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// list gives what a List holds as namespace/name of the fixture's namespaces, in the View's order.
func list(t *testing.T, v diagnose.View, kind diagnose.Kind, namespace string, where diagnose.Where) string {
	t.Helper()
	objs, err := v.List(t.Context(), kind, namespace, where)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range objs {
		if ns := o.GetNamespace(); ns == "" || ns == "shop" || ns == "billing" {
			out = append(out, ns+"/"+o.GetName())
		}
	}
	return strings.Join(out, " ")
}

func testEvents(t *testing.T, v diagnose.View) {
	for _, test := range []struct {
		what     string
		involved diagnose.Reference
		want     string
	}{
		{"all", diagnose.Reference{}, "shop/web-1.a shop/web-1.b shop/web-2.a shop/web.a"},
		{"by name", diagnose.Reference{Name: "web-1"}, "shop/web-1.a shop/web-1.b shop/web.a"},
		{"by kind and name", diagnose.Reference{Kind: "Pod", Name: "web-1"}, "shop/web-1.a shop/web-1.b"},
		{"by uid", diagnose.Reference{Kind: "Pod", Name: "web-1", UID: "uid-1"}, "shop/web-1.b"},
		{"by kind", diagnose.Reference{Kind: "ReplicaSet"}, "shop/web.a"},
		{"of nothing", diagnose.Reference{Kind: "Pod", Name: "web-9"}, ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			if got := list(t, v, diagnose.Events, "shop", diagnose.Where{Involved: test.involved}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	got, err := v.Get(t.Context(), diagnose.Events, "shop", "web-1.b")
	if err != nil {
		t.Fatal(err)
	}
	e, ok := got.(*corev1.Event)
	if !ok || e.InvolvedObject.FieldPath != "spec.containers{app}" || e.Message != "BackOff of web-1" || e.Count != 2 {
		t.Errorf("got %+v", got)
	}
}

func testForbidden(t *testing.T, v diagnose.View) {
	if got, err := v.List(t.Context(), diagnose.ResourceQuotas, "shop", diagnose.Where{}); !errors.Is(err, diagnose.ErrForbidden) {
		t.Errorf("List gave %v, %v, want ErrForbidden", got, err)
	}
	if got, err := v.Get(t.Context(), diagnose.ResourceQuotas, "shop", "quota"); !errors.Is(err, diagnose.ErrForbidden) {
		t.Errorf("Get gave %v, %v, want ErrForbidden", got, err)
	}
}

func testSecrets(t *testing.T, v diagnose.View) {
	got, err := v.Get(t.Context(), diagnose.Secrets, "shop", "login")
	if errors.Is(err, diagnose.ErrForbidden) {
		_, err = v.List(t.Context(), diagnose.Secrets, "shop", diagnose.Where{})
		if !errors.Is(err, diagnose.ErrForbidden) {
			t.Errorf("Get is forbidden, List gave %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := v.List(t.Context(), diagnose.Secrets, "shop", diagnose.Where{})
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for _, o := range append(secrets, got) {
		s, ok := o.(*corev1.Secret)
		if !ok {
			t.Fatalf("got a %T", o)
		}
		for key, value := range s.Data {
			if len(value) > 0 {
				t.Errorf("the value of %s/%s came through", s.Name, key)
			}
			seen = seen || s.Name == "login" && key == "word"
		}
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, secretValue) || len(s.StringData) > 0 {
			t.Errorf("the value stands in %s", text)
		}
	}
	if !seen {
		t.Error("the key is lost")
	}
}

func testLogs(t *testing.T, v diagnose.View) {
	for _, test := range []struct {
		what string
		ask  diagnose.LogRequest
		want string
	}{
		{"whole", diagnose.LogRequest{}, "one\ntwo\nthree\n"},
		{"last lines", diagnose.LogRequest{TailLines: 2}, "two\nthree\n"},
		{"more lines than there are", diagnose.LogRequest{TailLines: 9}, "one\ntwo\nthree\n"},
		{"bytes keep the end", diagnose.LogRequest{LimitBytes: 8}, "o\nthree\n"},
		{"more bytes than there are", diagnose.LogRequest{LimitBytes: 900}, "one\ntwo\nthree\n"},
		{"lines, then bytes", diagnose.LogRequest{TailLines: 2, LimitBytes: 3}, "ee\n"},
		{"previous", diagnose.LogRequest{Previous: true}, "first life\nno line break at the end"},
		{"last line of previous", diagnose.LogRequest{Previous: true, TailLines: 1}, "no line break at the end"},
		{"empty", diagnose.LogRequest{Pod: "web-2"}, ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			test.ask.Namespace, test.ask.Container = "shop", "app"
			if test.ask.Pod == "" {
				test.ask.Pod = "web-1"
			}
			got, err := v.Log(t.Context(), test.ask)
			if err != nil || string(got) != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func testMissingLogs(t *testing.T, v diagnose.View) {
	for _, test := range []struct {
		what     string
		pod      string
		previous bool
		want     error
	}{
		{"no such pod", "web-9", false, diagnose.ErrNotFound},
		{"previous of no such pod", "web-9", true, diagnose.ErrNotFound},
		{"previous of a container that ran once", "fresh", true, diagnose.ErrNotFound},
		{"previous that lastState still names", "web-2", true, diagnose.ErrGone},
	} {
		t.Run(test.what, func(t *testing.T) {
			got, err := v.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: test.pod, Container: "app", Previous: test.previous})
			if !errors.Is(err, test.want) {
				t.Errorf("got %q, %v, want %v", got, err, test.want)
			}
		})
	}
}

func testCancelled(t *testing.T, v diagnose.View) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Get(ctx, diagnose.Pods, "shop", "web-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get gave %v", err)
	}
	if _, err := v.List(ctx, diagnose.Pods, "shop", diagnose.Where{}); !errors.Is(err, context.Canceled) {
		t.Errorf("List gave %v", err)
	}
	if _, err := v.Log(ctx, diagnose.LogRequest{Namespace: "shop", Pod: "web-1", Container: "app"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Log gave %v", err)
	}
}

func testOwnCopies(t *testing.T, v diagnose.View) {
	got, err := v.Get(t.Context(), diagnose.Pods, "shop", "web-1")
	if err != nil {
		t.Fatal(err)
	}
	got.GetLabels()["app"] = "changed"
	if again := list(t, v, diagnose.Pods, "shop", diagnose.Where{Labels: map[string]string{"app": "web"}}); again != "shop/web-1 shop/web-2" {
		t.Errorf("a change of what was handed out is seen by the next reader: %q", again)
	}
}

func testConcurrent(t *testing.T, v diagnose.View) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := v.List(t.Context(), diagnose.Pods, "", diagnose.Where{}); err != nil {
				t.Error(err)
			}
			if _, err := v.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web-1", Container: "app"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
