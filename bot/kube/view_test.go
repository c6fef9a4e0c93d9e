package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
	"crashloop/diagnose/viewtest"
)

func TestViewConformance(t *testing.T) {
	for _, test := range []struct {
		name string
		open func(*View) diagnose.View
		o    ViewOptions
	}{
		{"plain", func(v *View) diagnose.View { return v }, ViewOptions{}},
		{"fresh", func(v *View) diagnose.View { return v.Fresh() }, ViewOptions{}},
		{"with secrets", func(v *View) diagnose.View { return v.Fresh() }, ViewOptions{ReadSecrets: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			viewtest.Run(t, func(t *testing.T, f viewtest.Fixture) diagnose.View {
				a := newAPI(t)
				for _, o := range f.Objects {
					a.put(o)
				}
				for _, l := range f.Logs {
					a.logs[diagnose.LogRequest{Namespace: l.Namespace, Pod: l.Pod, Container: l.Container, Previous: l.Previous}] = l.Text
				}
				for _, k := range f.Forbidden {
					a.forbidden["get "+k.Resource], a.forbidden["list "+k.Resource] = true, true
				}
				return test.open(viewOf(t, a, test.o))
			})
		})
	}
}

func viewOf(t testing.TB, a *api, o ViewOptions) *View {
	t.Helper()
	o.Config, o.Cluster = a.config(), "test"
	v, err := NewView(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLogKeepsTheEnd(t *testing.T) {
	a := newAPI(t)
	a.put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
	which := diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "app", Previous: true}
	many := func(n, width int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%0*d\n", width-1, i)
		}
		return b.String()
	}
	for _, test := range []struct {
		name, text   string
		lines, limit int64
		calls        int
	}{
		{"short", "one\ntwo\n", 0, 0, 1},
		{"as long as the limit", many(64, 16), 0, 1024, 1},
		{"four limits long", many(256, 16), 0, 1024, 1},
		{"a hundred limits long", many(6400, 16), 0, 1024, 2},
		{"long lines at the end", many(6400, 16) + many(20, 900), 0, 1024, 2},
		{"one long line, at the end", many(6400, 16) + strings.Repeat("x", 5<<20) + "\npanic: here\n", 0, 0, 2},
		{"ends in one endless line", many(64, 16) + strings.Repeat("x", 5<<20) + "end", 0, 1 << 20, 2},
		{"no line breaks at all", strings.Repeat("x", 5<<20) + "end", 0, 0, 2},
		{"asked for lines", many(64, 16), 3, 1024, 1},
		{"binary", strings.Repeat("\x00\xff\xfe\n", 10_000), 0, 1000, 2},
		{"longer than a kubelet keeps", strings.Repeat("x", 17<<20) + "\n" + many(64, 16), 0, 1024, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			a.set(func() { a.logs[which] = test.text; a.calls = nil })
			ask := which
			ask.TailLines, ask.LimitBytes = test.lines, test.limit
			got, err := viewOf(t, a, ViewOptions{}).Log(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			want := test.text
			if test.lines > 0 {
				want = lastLines(want, int(test.lines))
			}
			limit := test.limit
			if limit == 0 {
				limit = 1 << 20
			}
			if int64(len(got)) > limit || !strings.HasSuffix(want, string(got)) {
				t.Fatalf("got %d bytes that are not the end of the log", len(got))
			}
			if least := min(limit, int64(len(want))) / 4; int64(len(got)) < least {
				t.Errorf("got only %d bytes of %d that fit", len(got), limit)
			}
			if n := len(a.called()); n > test.calls {
				t.Errorf("it took %d calls, want at most %d", n, test.calls)
			}
		})
	}
}

func TestLogErrors(t *testing.T) {
	a := newAPI(t)
	a.put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
	which := diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "app", Previous: true}
	for _, test := range []struct {
		name   string
		status *metav1.Status
		text   string
		want   error
	}{
		{"file gone, as containerd's kubelet says with status 200", nil, "unable to retrieve container logs for containerd://4bc1", diagnose.ErrGone},
		{"file gone, as an older kubelet says", nil, `failed to try resolving symlinks in path "/var/log/pods/a/b/3.log": lstat /var/log/pods/a/b/3.log: no such file or directory`, diagnose.ErrGone},
		{"waiting to start", status(400, metav1.StatusReasonBadRequest, `container "app" in pod "web" is waiting to start: trying and failing to pull image`), "", diagnose.ErrNotFound},
		{"no such container", status(400, metav1.StatusReasonBadRequest, `container app is not valid for pod web`), "", diagnose.ErrNotFound},
		{"forbidden", status(403, metav1.StatusReasonForbidden, `pods "web" is forbidden: User "x" cannot get resource "pods/log"`), "", diagnose.ErrForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			a.set(func() { a.logs[which] = test.text; a.logStatus[which] = test.status })
			got, err := viewOf(t, a, ViewOptions{}).Log(t.Context(), which)
			if !errors.Is(err, test.want) {
				t.Errorf("got %q, %v, want %v", got, err, test.want)
			}
			if err != nil && (!strings.Contains(err.Error(), "previous log") || !strings.Contains(err.Error(), "Pod/shop/web")) {
				t.Errorf("the error %q does not say what was read", err)
			}
		})
	}
	t.Run("a node that does not answer", func(t *testing.T) {
		a.set(func() {
			a.logStatus[which] = status(500, metav1.StatusReasonInternalError, `Get "https://10.0.0.1:10250/containerLogs/shop/web/app": dial tcp: connect: connection refused`)
		})
		_, err := viewOf(t, a, ViewOptions{}).Log(t.Context(), which)
		if err == nil || errors.Is(err, diagnose.ErrNotFound) || errors.Is(err, diagnose.ErrGone) || errors.Is(err, diagnose.ErrForbidden) {
			t.Errorf("got %v, want an error of no particular kind", err)
		}
	})
	t.Run("a program that prints the kubelet's words among others", func(t *testing.T) {
		a.set(func() {
			a.logStatus[which] = nil
			a.logs[which] = "unable to retrieve container logs for x\nretrying\n"
		})
		if _, err := viewOf(t, a, ViewOptions{}).Log(t.Context(), which); err != nil {
			t.Error(err)
		}
	})
}

func TestFreshReadsOnce(t *testing.T) {
	a := newAPI(t)
	a.put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Labels: map[string]string{"app": "web"}}})
	base := viewOf(t, a, ViewOptions{})
	read := func(v *View) {
		t.Helper()
		for range 3 {
			pod, err := v.Get(t.Context(), diagnose.Pods, "shop", "web")
			if err != nil {
				t.Fatal(err)
			}
			if pod.GetLabels()["app"] != "web" {
				t.Fatal("what one reader changed is seen by the next")
			}
			pod.GetLabels()["app"] = "changed"
			list, err := v.List(t.Context(), diagnose.Pods, "shop", diagnose.Where{})
			if err != nil || len(list) != 1 || list[0].GetLabels()["app"] != "web" {
				t.Fatalf("got %v, %v", list, err)
			}
			list[0].GetLabels()["app"] = "changed"
			if _, err := v.Get(t.Context(), diagnose.ConfigMaps, "shop", "none"); !errors.Is(err, diagnose.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	v := base.Fresh()
	read(v)
	if calls := a.called(); len(calls) != 3 {
		t.Errorf("read more than once: %q", calls)
	}
	read(base.Fresh())
	if calls := a.called(); len(calls) != 6 {
		t.Errorf("a fresh view must read anew: %q", calls)
	}
}

// TestAhead holds that what is read ahead is read once, and that settling waits for no answer.
func TestAhead(t *testing.T) {
	a := newAPI(t)
	a.put(podOf("shop", "web", "", 1))
	get := func(ctx context.Context, v diagnose.View) {
		if _, err := v.Get(ctx, diagnose.Pods, "shop", "web"); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
	v := viewOf(t, a, ViewOptions{}).Fresh()
	settle := v.Ahead(t.Context(), []func(context.Context, diagnose.View){get, get, get})
	get(t.Context(), v)
	settle()
	get(t.Context(), v)
	if calls := a.called(); len(calls) != 1 {
		t.Errorf("read more than once: %q", calls)
	}

	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	a.set(func() { a.hang = hang })
	begun := make(chan struct{})
	settle = viewOf(t, a, ViewOptions{Timeout: time.Hour}).Fresh().Ahead(t.Context(), []func(context.Context, diagnose.View){
		func(ctx context.Context, v diagnose.View) { close(begun); get(ctx, v) },
	})
	<-begun
	settle()
}

// TestMetricsThatHang holds that a metrics API which does not answer holds up no diagnosis, though the API server itself is given long.
func TestMetricsThatHang(t *testing.T) {
	a := newAPI(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	a.set(func() { a.hang = hang })
	v := viewOf(t, a, ViewOptions{Timeout: time.Hour}).Fresh()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, kind := range []diagnose.Kind{diagnose.PodMetrics, diagnose.NodeMetrics} {
		if _, err := v.Get(ctx, kind, "shop", "web"); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("reading %s of an API that hangs: %v; the reader's own context: %v", kind.Kind, err, ctx.Err())
		}
	}
}

func TestViewCoverage(t *testing.T) {
	a := newAPI(t)
	for _, ns := range []string{"billing", "kube-system", "shop"} {
		a.put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}})
	}
	for _, test := range []struct {
		name string
		o    ViewOptions
		ask  string
		want string
	}{
		{"all", ViewOptions{}, "", "billing kube-system shop"},
		{"some", ViewOptions{Namespaces: []string{"shop", "billing"}}, "", "billing shop"},
		{"all but one", ViewOptions{IgnoreNamespaces: []string{"kube-system"}}, "", "billing shop"},
		{"by name outside of it", ViewOptions{Namespaces: []string{"shop"}, IgnoreNamespaces: []string{"kube-system"}}, "kube-system", "kube-system"},
	} {
		t.Run(test.name, func(t *testing.T) {
			list, err := viewOf(t, a, test.o).List(t.Context(), diagnose.Pods, test.ask, diagnose.Where{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range list {
				got = append(got, o.GetNamespace())
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("more than one diagnosis may read", func(t *testing.T) {
		_, err := viewOf(t, a, ViewOptions{Objects: 2}).List(t.Context(), diagnose.Pods, "", diagnose.Where{})
		if err == nil || !strings.Contains(err.Error(), "more than 2") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a kind that is not installed", func(t *testing.T) {
		a.set(func() { a.noCRD["sealedsecrets"] = true })
		v := viewOf(t, a, ViewOptions{})
		if _, err := v.List(t.Context(), diagnose.SealedSecrets, "shop", diagnose.Where{}); !errors.Is(err, diagnose.ErrNotFound) {
			t.Errorf("List gave %v", err)
		}
		if _, err := v.Get(t.Context(), diagnose.SealedSecrets, "shop", "x"); !errors.Is(err, diagnose.ErrNotFound) {
			t.Errorf("Get gave %v", err)
		}
	})
	t.Run("names that are paths", func(t *testing.T) {
		n := len(a.called())
		for _, name := range []string{"../secrets/login", "a/b", "", "..", "a%2Fb"} {
			if _, err := viewOf(t, a, ViewOptions{}).Get(t.Context(), diagnose.Pods, "shop", name); !errors.Is(err, diagnose.ErrNotFound) {
				t.Errorf("%q gave %v", name, err)
			}
		}
		if len(a.called()) != n {
			t.Error("one was asked for")
		}
	})
}
