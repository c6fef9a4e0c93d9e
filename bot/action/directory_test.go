package action

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	metafake "k8s.io/client-go/metadata/fake"
	kubetesting "k8s.io/client-go/testing"
)

// meta is the metadata of an object; owner is "kind name", its controller.
func meta(apiVersion, kind, namespace, name string, owner ...string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if len(owner) > 0 {
		yes := true
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: owner[0], Kind: owner[1], Name: owner[2], Controller: &yes}}
	}
	return m
}

func newDirectory(t *testing.T, only []string) (*Directory, *metafake.FakeMetadataClient) {
	t.Helper()
	scheme := metafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	client := metafake.NewSimpleMetadataClient(scheme,
		meta("v1", "Namespace", "", "shop"), meta("v1", "Namespace", "", "pay"),
		meta("apps/v1", "Deployment", "shop", "web"), meta("apps/v1", "ReplicaSet", "shop", "web-1", "apps/v1", "Deployment", "web"),
		meta("v1", "Pod", "shop", "web-1-a", "apps/v1", "ReplicaSet", "web-1"),
		meta("apps/v1", "Deployment", "pay", "web"),
		meta("batch/v1", "CronJob", "shop", "backup"), meta("batch/v1", "Job", "shop", "backup-1", "batch/v1", "CronJob", "backup"),
		meta("v1", "Pod", "shop", "backup-1-x", "batch/v1", "Job", "backup-1"),
		meta("apps/v1", "StatefulSet", "shop", "pg", "acid.zalan.do/v1", "postgresql", "pg"), meta("v1", "Pod", "shop", "pg-0", "apps/v1", "StatefulSet", "pg"),
		meta("v1", "Pod", "shop", "bare"), meta("v1", "Pod", "shop", "orphan-1", "apps/v1", "ReplicaSet", "gone"),
		meta("v1", "Service", "shop", "web"),
	)
	d, err := NewDirectory(fake.NewClientset(), client, only)
	if err != nil {
		t.Fatal(err)
	}
	return d, client
}

func TestNamed(t *testing.T) {
	d, _ := newDirectory(t, nil)
	for name, c := range map[string]struct {
		namespace, kind, name string
		want                  []string
	}{
		"everywhere":             {"", "", "web", []string{"Deployment/shop/web ", "Deployment/pay/web "}},
		"in a namespace":         {"shop", "", "web", []string{"Deployment/shop/web "}},
		"a kind":                 {"shop", "Service", "web", []string{"Service/shop/web "}},
		"a pod":                  {"", "", "web-1-a", []string{"Deployment/shop/web web-1-a"}},
		"a pod by kind":          {"shop", "Pod", "web-1-a", []string{"Deployment/shop/web web-1-a"}},
		"a job's pod":            {"", "", "backup-1-x", []string{"CronJob/shop/backup backup-1-x"}},
		"an operator's workload": {"", "", "pg", []string{"StatefulSet/shop/pg "}},
		"its pod":                {"", "", "pg-0", []string{"StatefulSet/shop/pg pg-0"}},
		"a bare pod":             {"", "", "bare", []string{"Pod/shop/bare "}},
		"a pod without owner":    {"", "", "orphan-1", []string{"ReplicaSet/shop/gone orphan-1"}},
		"a replica set's name":   {"", "", "web-1", nil},
		"nothing":                {"", "", "wep", nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := d.Named(t.Context(), c.namespace, c.kind, c.name)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range found {
				got = append(got, o.Target.String()+" "+o.Pod)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNames(t *testing.T) {
	d, _ := newDirectory(t, nil)
	found, err := d.Names(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Object{{Target: Target{"Deployment", "shop", "web"}}, {Target: Target{"CronJob", "shop", "backup"}}}, found); diff != "" {
		t.Error(diff)
	}
}

func TestNamespacesOfTheBot(t *testing.T) {
	d, _ := newDirectory(t, nil)
	got, err := d.Namespaces(t.Context())
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"pay", "shop"}) {
		t.Errorf("%v, %v", got, err)
	}
	some, client := newDirectory(t, []string{"shop"})
	got, err = some.Namespaces(t.Context())
	if err != nil || !slices.Equal(got, []string{"shop"}) {
		t.Errorf("%v, %v", got, err)
	}
	if found, err := some.Named(t.Context(), "", "", "web"); err != nil || len(found) != 1 || found[0].Target.Namespace != "shop" {
		t.Errorf("%v, %v", found, err)
	}
	for _, a := range client.Actions() {
		if a.GetNamespace() != "shop" {
			t.Errorf("%s %s is asked of namespace %q", a.GetVerb(), a.GetResource().Resource, a.GetNamespace())
		}
	}
}

func TestADirectoryWithoutRights(t *testing.T) {
	d, client := newDirectory(t, nil)
	client.PrependReactor("list", "cronjobs", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "cronjobs"}, "", errors.New("no"))
	})
	if _, err := d.Named(t.Context(), "", "", "web"); err == nil {
		t.Error("a search that was not whole is taken for one that was")
	}
}

func TestPodsInTroubleComeFirst(t *testing.T) {
	pod := func(name string, restarts int32, waiting string) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{InitContainers: []corev1.Container{{Name: "init"}}, Containers: []corev1.Container{{Name: "web"}, {Name: "proxy"}}},
		}
		s := corev1.ContainerStatus{Name: "web", RestartCount: restarts}
		if waiting != "" {
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: waiting}
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{s, {Name: "proxy"}}
		return p
	}
	other := pod("other", 99, "CrashLoopBackOff")
	other.Labels = nil
	going := pod("going", 33, "CrashLoopBackOff")
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: time.Now()}, []string{"crashloop/test"}
	client := fake.NewClientset(deployment(), going, pod("fine", 0, ""), pod("restarted", 5, ""), pod("failing", 1, "CrashLoopBackOff"), pod("new", 0, "ContainerCreating"), other)
	d := &Directory{client: client}
	pods, err := d.Pods(t.Context(), web)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pods {
		names = append(names, p.Name)
	}
	if len(names) != 5 || names[0] != "failing" || names[1] != "restarted" || names[4] != "going" {
		t.Errorf("got %v", names)
	}
	if got := fmt.Sprint(pods[0].Containers); got != "[{init 0 false} {web 1 true} {proxy 0 false}]" || pods[0].Default != "web" {
		t.Errorf("got %s, default %s", got, pods[0].Default)
	}
	if pods, err := d.Pods(t.Context(), Target{"Pod", "shop", "other"}); err != nil || len(pods) != 1 || pods[0].Name != "other" {
		t.Errorf("%v, %v", pods, err)
	}
	for _, gone := range []Target{{"Deployment", "shop", "gone"}, {"StatefulSet", "shop", "gone"}, {"CronJob", "shop", "gone"}, {"Pod", "shop", "gone"}} {
		if pods, err := d.Pods(t.Context(), gone); err != nil || len(pods) > 0 {
			t.Errorf("%v: %v, %v", gone, pods, err)
		}
	}
	if _, err := d.Pods(t.Context(), Target{"Service", "shop", "web"}); err == nil {
		t.Error("a Service has pods")
	}
}
