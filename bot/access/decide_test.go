package access

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/notify"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	kubetesting "k8s.io/client-go/testing"
)

// parsed is a policy that does not change.
type parsed struct {
	policy Policy
	err    error
}

func (p parsed) Policy() (Policy, error) { return p.policy, p.err }

func samplePolicy(t *testing.T) parsed {
	t.Helper()
	p, err := ParsePolicy("access.yaml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	return parsed{p, nil}
}

var (
	alice   = notify.Person{ID: "U024BE7LH", Name: "alice", Email: "alice@example.com", Member: true}
	patch   = Permission{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: "shop", Name: "web"}
	scale   = Permission{Verb: "patch", Group: "apps", Resource: "deployments", Subresource: "scale", Namespace: "shop", Name: "web"}
	podLogs = Permission{Verb: "get", Resource: "pods", Subresource: "log", Namespace: "shop"}
)

// rbac answers SubjectAccessReviews by a function and keeps what was asked.
func rbac(t *testing.T, answer func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error)) (*Decider, *[]authorizationv1.SubjectAccessReviewSpec) {
	t.Helper()
	client := fake.NewClientset()
	var asked []authorizationv1.SubjectAccessReviewSpec
	client.PrependReactor("create", "subjectaccessreviews", func(a kubetesting.Action) (bool, runtime.Object, error) {
		sar := a.(kubetesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		asked = append(asked, sar.Spec)
		status, err := answer(sar.Spec)
		sar.Status = status
		return true, sar, err
	})
	d, err := New(Options{Reviews: client.AuthorizationV1(), Policies: samplePolicy(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d, &asked
}

func yes(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	return authorizationv1.SubjectAccessReviewStatus{Allowed: true}, nil
}

func no(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	return authorizationv1.SubjectAccessReviewStatus{}, nil
}

func TestDecideAsksForExactlyThat(t *testing.T) {
	d, asked := rbac(t, yes)
	if dec := d.Decide(t.Context(), alice, scale, podLogs); !dec.Allowed || dec.Says != "" || dec.Grant != "" {
		t.Fatalf("got %+v", dec)
	}
	want := []authorizationv1.SubjectAccessReviewSpec{
		{User: "alice@example.com", Groups: []string{"dev", "sre", "system:authenticated"}, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "patch", Group: "apps", Resource: "deployments", Subresource: "scale", Namespace: "shop", Name: "web"}},
		{User: "alice@example.com", Groups: []string{"dev", "sre", "system:authenticated"}, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Resource: "pods", Subresource: "log", Namespace: "shop"}},
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Error(diff)
	}
}

func TestDecisionsAreNotRemembered(t *testing.T) {
	allowed := true
	d, _ := rbac(t, func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
		return authorizationv1.SubjectAccessReviewStatus{Allowed: allowed}, nil
	})
	if !d.Decide(t.Context(), alice, patch).Allowed {
		t.Fatal("refused")
	}
	if allowed = false; d.Decide(t.Context(), alice, patch).Allowed {
		t.Error("a right that was taken away still counts")
	}
}

func TestDecideRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		who         notify.Person
		answer      func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error)
		ask         []Permission
		says, grant string
	}{
		"by RBAC": {alice, no, []Permission{patch},
			`alice@example.com may not patch deployments.apps "web" in namespace shop.`,
			"kubectl -n shop create role crashloop-patch-web-xxxxxxxx --verb=patch --resource=deployments.apps --resource-name=web && \\\n" +
				"kubectl -n shop create rolebinding crashloop-patch-web-xxxxxxxx --role=crashloop-patch-web-xxxxxxxx --user=alice@example.com"},
		"two with one verb are one role": {alice, no, []Permission{scale, patch},
			`alice@example.com may not patch deployments.apps/scale "web" in namespace shop, nor patch deployments.apps "web" in namespace shop.`,
			"kubectl -n shop create role crashloop-patch-web-xxxxxxxx --verb=patch --resource=deployments.apps/scale,deployments.apps --resource-name=web && \\\n" +
				"kubectl -n shop create rolebinding crashloop-patch-web-xxxxxxxx --role=crashloop-patch-web-xxxxxxxx --user=alice@example.com"},
		"one of two": {alice, func(s authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
			return authorizationv1.SubjectAccessReviewStatus{Allowed: s.ResourceAttributes.Subresource == "scale"}, nil
		}, []Permission{scale, patch}, `alice@example.com may not patch deployments.apps "web" in namespace shop.`,
			"kubectl -n shop create role crashloop-patch-web-xxxxxxxx --verb=patch --resource=deployments.apps --resource-name=web && \\\n" +
				"kubectl -n shop create rolebinding crashloop-patch-web-xxxxxxxx --role=crashloop-patch-web-xxxxxxxx --user=alice@example.com"},
		"a group without a user": {notify.Person{ID: "U9", Groups: []string{"oncall"}, Member: true}, no, []Permission{podLogs},
			"group oncall, sre may not get pods/log in namespace shop.",
			"kubectl -n shop create role crashloop-get-pods-log-xxxxxxxx --verb=get --resource=pods/log && \\\n" +
				"kubectl -n shop create rolebinding crashloop-get-pods-log-xxxxxxxx --role=crashloop-get-pods-log-xxxxxxxx --group=oncall"},
		"cluster-wide": {alice, no, []Permission{{Verb: "list", Resource: "pods"}},
			"alice@example.com may not list pods in all namespaces.",
			"kubectl create clusterrole crashloop-list-pods-xxxxxxxx --verb=list --resource=pods && \\\n" +
				"kubectl create clusterrolebinding crashloop-list-pods-xxxxxxxx --clusterrole=crashloop-list-pods-xxxxxxxx --user=alice@example.com"},
		"allowed and denied": {alice, func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
			return authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}, nil
		}, []Permission{podLogs}, "alice@example.com may not get pods/log in namespace shop.",
			"kubectl -n shop create role crashloop-get-pods-log-xxxxxxxx --verb=get --resource=pods/log && \\\n" +
				"kubectl -n shop create rolebinding crashloop-get-pods-log-xxxxxxxx --role=crashloop-get-pods-log-xxxxxxxx --user=alice@example.com"},
		"the authorizer fails": {alice, func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
			return authorizationv1.SubjectAccessReviewStatus{EvaluationError: "webhook down"}, nil
		}, []Permission{podLogs}, "Whether you may get pods/log in namespace shop could not be found out, so it is refused: the cluster's authorizer could not decide. Try again in a moment.", ""},
		"the API fails": {alice, func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
			return authorizationv1.SubjectAccessReviewStatus{Allowed: true}, errors.New("connection refused")
		}, []Permission{podLogs}, "Whether you may get pods/log in namespace shop could not be found out, so it is refused: the cluster's API did not answer. Try again in a moment.", ""},
		"the bot may not ask": {alice, func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
			return authorizationv1.SubjectAccessReviewStatus{}, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
		}, []Permission{podLogs}, "Whether you may get pods/log in namespace shop could not be found out, so it is refused: the bot itself may not create access reviews; see deploy/rbac.yaml. Try again in a moment.", ""},
		"unmapped": {notify.Person{ID: "U9", Name: "eve", Email: "eve@example.com", Member: true}, yes, []Permission{patch},
			"eve (U9) is not in the access file, so you may not read or change anything from here.",
			"# access file, under users:\n  - slack: U9\n    kubernetes: {user: eve@example.com}"},
		"unmapped, with a hostile e-mail": {notify.Person{ID: "U9", Name: "eve", Email: "eve@x.y},{slack", Member: true}, yes, []Permission{patch},
			"eve (U9) is not in the access file, so you may not read or change anything from here.",
			"# access file, under users:\n  - slack: U9\n    kubernetes: {user: NAME}"},
		"no member": {notify.Person{ID: "U024BE7LH", Email: "alice@example.com"}, yes, []Permission{patch},
			"Only active, full members of this Slack workspace may use Crashloop; guests, bots and people of other workspaces may not.", ""},
		"asked for nothing": {alice, yes, nil, "Nothing was asked for that could be allowed.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := rbac(t, c.answer)
			dec := d.Decide(t.Context(), c.who, c.ask...)
			if dec.Allowed {
				t.Error("allowed")
			}
			if diff := cmp.Diff(c.says, dec.Says); diff != "" {
				t.Errorf("says: %s", diff)
			}
			if diff := cmp.Diff(c.grant, hashes(dec.Grant)); diff != "" {
				t.Errorf("grant: %s", diff)
			}
		})
	}
}

// hashes hides the hash at the end of role names.
func hashes(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if at := strings.LastIndex(w, "-"); strings.Contains(w, "crashloop-") && len(w)-at == 9 {
			words[i] = w[:at] + "-xxxxxxxx"
		}
	}
	return strings.Join(words, " ")
}

func TestWithoutUsablePolicyNobodyMay(t *testing.T) {
	client := fake.NewClientset()
	for name, policies := range map[string]Policies{"none": nil, "broken": parsed{err: errors.New("line 7")}} {
		d, err := New(Options{Reviews: client.AuthorizationV1(), Policies: policies, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if dec := d.Decide(t.Context(), alice, patch); dec.Allowed || !strings.Contains(dec.Says, "nobody may read or change anything") || strings.Contains(dec.Says, "line 7") {
			t.Errorf("%s: %+v", name, dec)
		}
		if _, err := d.Namespaces(t.Context(), alice, []string{"shop"}); err == nil {
			t.Errorf("%s: namespaces are listed", name)
		}
	}
	if n := len(client.Actions()); n > 0 {
		t.Errorf("the cluster was asked %d times", n)
	}
}

func TestASilentServerIsARefusal(t *testing.T) {
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(done)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Reviews: client.AuthorizationV1(), Policies: samplePolicy(t), Log: slog.New(slog.DiscardHandler), Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if dec := d.Decide(t.Context(), alice, patch); dec.Allowed || !strings.Contains(dec.Says, "did not answer in time") {
		t.Errorf("got %+v", dec)
	}
}

func TestNamespaces(t *testing.T) {
	only := func(allowed ...string) func(authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
		return func(s authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
			return authorizationv1.SubjectAccessReviewStatus{Allowed: slices.Contains(allowed, s.ResourceAttributes.Namespace)}, nil
		}
	}
	all := []string{"shop", "pay", "", "kube-system"}
	for name, c := range map[string]struct{ allowed, want []string }{
		"one":      {[]string{"pay"}, []string{"pay"}},
		"none":     {nil, nil},
		"everyone": {[]string{""}, all},
	} {
		t.Run(name, func(t *testing.T) {
			d, asked := rbac(t, only(c.allowed...))
			got, err := d.Namespaces(t.Context(), alice, all)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			for _, s := range *asked {
				if s.ResourceAttributes.Verb != "list" || s.ResourceAttributes.Resource != "pods" {
					t.Errorf("asked for %+v", s.ResourceAttributes)
				}
			}
		})
	}
}

func TestNamespacesFailsClosed(t *testing.T) {
	d, _ := rbac(t, func(s authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
		if s.ResourceAttributes.Namespace == "pay" {
			return authorizationv1.SubjectAccessReviewStatus{}, errors.New("gone")
		}
		return authorizationv1.SubjectAccessReviewStatus{Allowed: s.ResourceAttributes.Namespace != ""}, nil
	})
	got, err := d.Namespaces(t.Context(), alice, []string{"shop", "pay"})
	var refusal *Refusal
	if !errors.As(err, &refusal) || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnswersAboutReadingLastTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		d := newDecider(slog.New(slog.DiscardHandler), time.Second)
		d.identify = func(context.Context, notify.Person) (Identity, *Decision) { return Identity{User: "alice"}, nil }
		d.review = func(context.Context, Identity, Permission) (bool, error) {
			asked.Add(1)
			return true, nil
		}
		may := func() {
			t.Helper()
			if ok, err := d.May(t.Context(), alice, podLogs); !ok || err != nil {
				t.Fatalf("%v, %v", ok, err)
			}
		}
		may()
		time.Sleep(9 * time.Second)
		may()
		if asked.Load() != 1 {
			t.Errorf("asked %d times within ten seconds", asked.Load())
		}
		time.Sleep(2 * time.Second)
		may()
		if asked.Load() != 2 {
			t.Errorf("an answer of %d questions lasts for more than ten seconds", asked.Load())
		}
		for range 2 {
			if ok, err := d.May(t.Context(), alice, patch); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		if asked.Load() != 4 {
			t.Error("an answer about a change was remembered")
		}
	})
}

func TestSelf(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectaccessreviews", func(a kubetesting.Action) (bool, runtime.Object, error) {
		sar := a.(kubetesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		sar.Status.Allowed = sar.Spec.ResourceAttributes.Namespace == "shop"
		return true, sar, nil
	})
	client.PrependReactor("create", "selfsubjectreviews", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{
			UserInfo: authenticationv1.UserInfo{Username: "me@example.com", Groups: []string{"system:authenticated", "dev"}}}}, nil
	})
	d, err := NewSelf(SelfOptions{Reviews: client.AuthorizationV1(), Who: client.AuthenticationV1(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	someone := notify.Person{ID: "U1", Member: true}
	if dec := d.Decide(t.Context(), someone, patch); !dec.Allowed || dec.Identity.User != "me@example.com" {
		t.Errorf("got %+v", dec)
	}
	other := patch
	other.Namespace = "pay"
	dec := d.Decide(t.Context(), someone, other)
	if dec.Allowed || !strings.Contains(dec.Grant, "--user=me@example.com") {
		t.Errorf("got %+v", dec)
	}
	if dec := d.Decide(t.Context(), notify.Person{ID: "U1"}, patch); dec.Allowed {
		t.Error("a stranger may act")
	}
}

func TestSelfWithoutAName(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectaccessreviews", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, &authorizationv1.SelfSubjectAccessReview{}, nil
	})
	d, err := NewSelf(SelfOptions{Reviews: client.AuthorizationV1(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	dec := d.Decide(t.Context(), notify.Person{ID: "U1", Member: true}, patch)
	if dec.Allowed || dec.Grant != "" || !strings.HasPrefix(dec.Says, "the kubeconfig's user may not patch") {
		t.Errorf("got %+v", dec)
	}
}

func TestGrantsAreQuoted(t *testing.T) {
	hostile := Identity{User: "o'hara; $(reboot) `x`", Groups: []string{Authenticated}}
	got := grant(hostile, []Permission{patch})
	if !strings.HasSuffix(got, `--user='o'\''hara; $(reboot) `+"`x`'") {
		t.Error(got)
	}
}
