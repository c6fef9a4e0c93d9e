package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// api serves paths of an API server.
func api(t *testing.T, serve http.HandlerFunc) *Reader {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(client, config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func status(w http.ResponseWriter, s metav1.Status) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(s.Code))
	if err := json.NewEncoder(w).Encode(s); err != nil {
		panic(err)
	}
}

func TestLogAsksForTheEnd(t *testing.T) {
	var asked string
	r := api(t, func(w http.ResponseWriter, q *http.Request) {
		asked = q.URL.String()
		fmt.Fprint(w, "a\nb\n")
	})
	got, err := r.Log(t.Context(), LogQuery{Namespace: "shop", Pod: "web-1", Container: "web", Previous: true, Tail: 7, Since: 90 * time.Second})
	if err != nil || string(got.Text) != "a\nb\n" || got.Cut {
		t.Errorf("%+v, %v", got, err)
	}
	if want := "/api/v1/namespaces/shop/pods/web-1/log?container=web&previous=true&sinceSeconds=90&tailLines=7"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

func TestLogKeepsTheEndOfWhatIsTooLong(t *testing.T) {
	r := api(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100_000 {
			fmt.Fprintf(w, "line %d of a log that is long enough to be cut off somewhere\n", i)
		}
	})
	got, err := r.Log(t.Context(), LogQuery{Namespace: "shop", Pod: "web-1"})
	if err != nil || !got.Cut || len(got.Text) > maxLogKept {
		t.Fatalf("%d bytes, cut %v, %v", len(got.Text), got.Cut, err)
	}
	if !strings.HasPrefix(string(got.Text), "line ") || !strings.HasSuffix(string(got.Text), "line 99999 of a log that is long enough to be cut off somewhere\n") {
		t.Errorf("from %.20q to %q", got.Text, got.Text[len(got.Text)-70:])
	}
}

func TestLogStopsReading(t *testing.T) {
	r := api(t, func(w http.ResponseWriter, q *http.Request) {
		line := []byte(strings.Repeat("x", 1<<20))
		for q.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	got, err := r.Log(t.Context(), LogQuery{Namespace: "shop", Pod: "web-1"})
	if err != nil || !got.Cut || len(got.Text) > maxLogKept {
		t.Errorf("%d bytes, cut %v, %v", len(got.Text), got.Cut, err)
	}
}

func TestLogsThatAreNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		err      *apierrors.StatusError
		previous bool
		want     string
	}{
		"no pod":      {apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "web-1"), false, "there is no pod web-1 in namespace shop (any more)"},
		"not started": {apierrors.NewBadRequest("container \"web\" in pod \"web-1\" is waiting to start"), false, "container web of pod web-1 has not started"},
		"no previous": {apierrors.NewBadRequest("previous terminated container \"web\" in pod \"web-1\" not found"), true, "has no previous run, or its log is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			r := api(t, func(w http.ResponseWriter, _ *http.Request) { status(w, c.err.ErrStatus) })
			_, err := r.Log(t.Context(), LogQuery{Namespace: "shop", Pod: "web-1", Container: "web", Previous: c.previous})
			if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	r := api(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, apierrors.NewInternalError(errors.New("dial tcp: refused")).ErrStatus)
	})
	if _, err := r.Log(t.Context(), LogQuery{Namespace: "shop", Pod: "web-1", Container: "web"}); err == nil || errors.Is(err, ErrNoLog) {
		t.Errorf("a kubelet that cannot be reached: %v", err)
	}
}

func TestALogThatTheNodeHasDropped(t *testing.T) {
	r := api(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "unable to retrieve container logs for containerd://3f2a")
	})
	_, err := r.Log(t.Context(), LogQuery{Namespace: "shop", Pod: "web-1", Container: "web", Previous: true})
	if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), "the node has no log of container web of pod web-1 any more") {
		t.Errorf("the kubelet's excuse was taken for a log: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	asked := map[string]int{}
	r := api(t, func(w http.ResponseWriter, q *http.Request) {
		asked[q.URL.Path]++
		var answer any
		switch q.URL.Path {
		case "/api/v1/namespaces/shop/pods/web-1":
			answer = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}}}
		case "/api/v1/namespaces/shop/events":
			answer = &corev1.EventList{Items: []corev1.Event{{Reason: "BackOff", Message: "Back-off restarting", Type: "Warning"}}}
		default:
			status(w, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "gone").ErrStatus)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	})
	pod := Target{"Pod", "shop", "web-1"}
	with, err := r.Describe(t.Context(), pod, true)
	if err != nil || !strings.Contains(with, "Image:") || !strings.Contains(with, "Back-off restarting") {
		t.Errorf("%s, %v", with, err)
	}
	clear(asked)
	without, err := r.Describe(t.Context(), pod, false)
	if err != nil || strings.Contains(without, "Back-off") || asked["/api/v1/namespaces/shop/events"] > 0 {
		t.Errorf("events were read: %s, %v", without, err)
	}
	if _, err := r.Describe(t.Context(), Target{"Pod", "shop", "gone"}, false); !errors.Is(err, ErrNoObject) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Describe(t.Context(), Target{"Secret", "shop", "x"}, false); err == nil {
		t.Error("a Secret was described")
	}
}
