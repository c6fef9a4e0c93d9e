package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"crashloop/diagnose"
)

// api is an API server as far as watches and reads can tell: lists with pages and selectors, watches with initial events, bookmarks, 410
// and cut connections, logs as a kubelet gives them. It speaks JSON over real HTTP. Objects survive its going away.
type api struct {
	t    testing.TB
	addr string

	mu        sync.Mutex
	server    *httptest.Server
	rv        int64
	oldest    int64 // revisions before this one are forgotten
	objects   map[string]map[string]map[string]any
	history   []change
	watchers  map[*watcher]bool
	logs      map[diagnose.LogRequest]string
	logStatus map[diagnose.LogRequest]*metav1.Status
	forbidden map[string]bool // "list pods", "list pods shop"
	noStream  bool            // cannot stream lists, as before 1.32
	noCRD     map[string]bool
	calls     []string
	hang      chan struct{} // requests wait for it to be closed
}

type change struct {
	rv       int64
	kind     string
	resource string
	object   map[string]any
}

type watcher struct{ wake, cut chan struct{} }

func newAPI(t testing.TB) *api {
	a := &api{
		t: t, rv: 100, objects: map[string]map[string]map[string]any{}, watchers: map[*watcher]bool{},
		logs: map[diagnose.LogRequest]string{}, logStatus: map[diagnose.LogRequest]*metav1.Status{}, forbidden: map[string]bool{}, noCRD: map[string]bool{},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.addr = l.Addr().String()
	a.serve(l)
	t.Cleanup(a.leave)
	return a
}

func (a *api) serve(l net.Listener) {
	s := httptest.NewUnstartedServer(a)
	s.Listener.Close()
	s.Listener = l
	a.mu.Lock()
	a.server = s
	a.mu.Unlock()
	s.Start()
}

// leave makes the server go away: watches end and connections are refused. A watch that is asked for meanwhile is not begun: the server waits
// for those that stand.
func (a *api) leave() {
	a.mu.Lock()
	s := a.server
	a.server = nil
	a.cutLocked()
	a.mu.Unlock()
	if s != nil {
		s.CloseClientConnections()
		s.Close()
	}
}

// back lets it come back under its address.
func (a *api) back() {
	l, err := net.Listen("tcp", a.addr)
	if err != nil {
		a.t.Fatal(err)
	}
	a.serve(l)
}

// cutLocked ends every watch that stands.
func (a *api) cutLocked() {
	for w := range a.watchers {
		close(w.cut)
	}
	clear(a.watchers)
}

// forget makes every revision so far too old to watch from.
func (a *api) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rv++
	a.oldest, a.history = a.rv, nil
}

func (a *api) config() *rest.Config {
	return shape(&rest.Config{Host: "http://" + a.addr}, "test")
}

func (a *api) client() kubernetes.Interface {
	c := a.config()
	c.QPS = -1
	cs, err := kubernetes.NewForConfig(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return cs
}

// put creates or changes objects.
func (a *api) put(objs ...runtime.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range objs {
		m, resource := a.plain(o)
		key := keyOf(m)
		kind := "MODIFIED"
		if a.objects[resource] == nil {
			a.objects[resource] = map[string]map[string]any{}
		}
		if a.objects[resource][key] == nil {
			kind = "ADDED"
		}
		a.rv++
		setRV(m, a.rv)
		a.objects[resource][key] = m
		a.history = append(a.history, change{a.rv, kind, resource, m})
	}
	a.wakeLocked()
}

func (a *api) delete(objs ...runtime.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range objs {
		m, resource := a.plain(o)
		was := a.objects[resource][keyOf(m)]
		if was == nil {
			a.t.Errorf("deleting %s: there is no such object", keyOf(m))
			continue
		}
		delete(a.objects[resource], keyOf(m))
		a.rv++
		last := maps.Clone(was)
		last["metadata"] = maps.Clone(was["metadata"].(map[string]any))
		setRV(last, a.rv)
		a.history = append(a.history, change{a.rv, "DELETED", resource, last})
	}
	a.wakeLocked()
}

func (a *api) wakeLocked() {
	for w := range a.watchers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (a *api) plain(o runtime.Object) (map[string]any, string) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		a.t.Fatal(err)
	}
	u := unstructured.Unstructured{Object: m}
	if u.GetKind() == "" {
		kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1.")
		for _, k := range diagnose.Kinds() {
			if k.Kind == kind {
				u.SetAPIVersion(strings.TrimPrefix(k.Group+"/"+k.Version, "/"))
				u.SetKind(kind)
			}
		}
	}
	for _, k := range diagnose.Kinds() {
		if k.Kind == u.GetKind() && strings.TrimPrefix(k.Group+"/"+k.Version, "/") == u.GetAPIVersion() {
			return m, k.Resource + "." + k.Group
		}
	}
	a.t.Fatalf("no resource for a %s %s", u.GetAPIVersion(), u.GetKind())
	return nil, ""
}

func keyOf(m map[string]any) string {
	u := unstructured.Unstructured{Object: m}
	return u.GetNamespace() + "/" + u.GetName()
}

func setRV(m map[string]any, rv int64) {
	(&unstructured.Unstructured{Object: m}).SetResourceVersion(strconv.FormatInt(rv, 10))
}

func (a *api) called() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

func (a *api) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	hang := a.hang
	a.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	if parts[0] == "apis" {
		group = parts[1]
		parts = parts[1:]
	}
	parts = parts[2:]
	namespace := ""
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	resource, name, sub := parts[0], "", ""
	if len(parts) > 1 {
		name = parts[1]
	}
	if len(parts) > 2 {
		sub = parts[2]
	}
	q := r.URL.Query()
	verb := "list"
	switch {
	case name != "":
		verb = "get"
	case q.Get("watch") == "true" || q.Get("watch") == "1":
		verb = "watch"
	}
	a.mu.Lock()
	a.calls = append(a.calls, strings.Join([]string{verb, resource, namespace, name, sub, r.URL.RawQuery}, " "))
	no := a.forbidden[verb+" "+resource] || a.forbidden[verb+" "+resource+" "+namespace]
	noCRD := a.noCRD[resource]
	a.mu.Unlock()
	switch {
	case noCRD:
		fail(w, 404, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	case no:
		fail(w, 403, metav1.StatusReasonForbidden, fmt.Sprintf(`%s is forbidden: User "bot" cannot %s resource %q in API group %q`, resource, verb, resource, group))
	case sub == "log":
		a.log(w, r, namespace, name)
	case verb == "get":
		a.mu.Lock()
		o := a.objects[resource+"."+group][namespace+"/"+name]
		a.mu.Unlock()
		if o == nil {
			fail(w, 404, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", resource, name))
			return
		}
		reply(w, 200, o)
	case verb == "watch":
		a.watch(w, r, resource+"."+group, namespace)
	default:
		a.list(w, r, resource+"."+group, namespace)
	}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

func status(code int, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message,
		Details: &metav1.StatusDetails{},
	}
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	reply(w, code, status(code, reason, message))
}

// selected makes the filter that a request's selectors ask for.
func selected(r *http.Request, namespace string) func(m map[string]any) bool {
	ls, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		panic(err)
	}
	fs, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err != nil {
		panic(err)
	}
	return func(m map[string]any) bool {
		u := unstructured.Unstructured{Object: m}
		set := fields.Set{"metadata.name": u.GetName(), "metadata.namespace": u.GetNamespace()}
		for _, f := range []string{"kind", "name", "uid"} {
			set["involvedObject."+f], _, _ = unstructured.NestedString(m, "involvedObject", f)
		}
		return (namespace == "" || u.GetNamespace() == namespace) && ls.Matches(labels.Set(u.GetLabels())) && fs.Matches(set)
	}
}

func (a *api) list(w http.ResponseWriter, r *http.Request, resource, namespace string) {
	take := selected(r, namespace)
	a.mu.Lock()
	rv := a.rv
	var all []map[string]any
	for _, o := range a.objects[resource] {
		if take(o) {
			all = append(all, o)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(all, func(a, b map[string]any) int { return cmp.Compare(keyOf(a), keyOf(b)) })
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	m := map[string]any{"resourceVersion": strconv.FormatInt(rv, 10)}
	all = all[min(from, len(all)):]
	if limit > 0 && len(all) > limit {
		all = all[:limit]
		m["continue"] = strconv.Itoa(from + limit)
	}
	kind := "List"
	for _, k := range diagnose.Kinds() {
		if resource == k.Resource+"."+k.Group {
			kind = k.Kind + "List"
			reply(w, 200, map[string]any{"apiVersion": strings.TrimPrefix(k.Group+"/"+k.Version, "/"), "kind": kind, "metadata": m, "items": all})
			return
		}
	}
	fail(w, 404, metav1.StatusReasonNotFound, "no such resource")
}

func (a *api) watch(w http.ResponseWriter, r *http.Request, resource, namespace string) {
	take := selected(r, namespace)
	q := r.URL.Query()
	send := json.NewEncoder(w)
	flush := w.(http.Flusher).Flush
	me := &watcher{make(chan struct{}, 1), make(chan struct{})}
	at, _ := strconv.ParseInt(q.Get("resourceVersion"), 10, 64)
	initial := q.Get("sendInitialEvents") == "true"
	a.mu.Lock()
	if a.server == nil {
		a.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	if initial && a.noStream {
		a.mu.Unlock()
		fail(w, 422, metav1.StatusReasonInvalid, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
		return
	}
	if !initial && at < a.oldest {
		a.mu.Unlock()
		fail(w, 410, metav1.StatusReasonExpired, "too old resource version")
		return
	}
	a.watchers[me] = true
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	flush()
	if initial {
		var sample map[string]any
		for _, o := range a.objects[resource] {
			if take(o) {
				send.Encode(map[string]any{"type": "ADDED", "object": o})
			}
			sample = o
		}
		bookmark := map[string]any{"apiVersion": "v1", "kind": "Pod"}
		for _, k := range diagnose.Kinds() {
			if resource == k.Resource+"."+k.Group {
				bookmark = map[string]any{"apiVersion": strings.TrimPrefix(k.Group+"/"+k.Version, "/"), "kind": k.Kind}
			}
		}
		_ = sample
		bookmark["metadata"] = map[string]any{
			"resourceVersion": strconv.FormatInt(a.rv, 10), "annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"},
		}
		send.Encode(map[string]any{"type": "BOOKMARK", "object": bookmark})
		at = a.rv
	}
	a.mu.Unlock()
	for {
		a.mu.Lock()
		for _, c := range a.history {
			if c.rv > at && c.resource == resource {
				if take(c.object) {
					send.Encode(map[string]any{"type": c.kind, "object": c.object})
				}
				at = c.rv
			}
		}
		a.mu.Unlock()
		flush()
		select {
		case <-me.wake:
		case <-me.cut:
			return
		case <-r.Context().Done():
			a.mu.Lock()
			delete(a.watchers, me)
			a.mu.Unlock()
			return
		}
	}
}

// log answers as a kubelet does: tailLines selects, limitBytes cuts the end of what was selected.
func (a *api) log(w http.ResponseWriter, r *http.Request, namespace, pod string) {
	q := r.URL.Query()
	which := diagnose.LogRequest{Namespace: namespace, Pod: pod, Container: q.Get("container"), Previous: q.Get("previous") == "true"}
	a.mu.Lock()
	text, ok := a.logs[which]
	st := a.logStatus[which]
	there := a.objects["pods."][namespace+"/"+pod] != nil
	a.mu.Unlock()
	switch {
	case st != nil:
		reply(w, int(st.Code), st)
		return
	case !there:
		fail(w, 404, metav1.StatusReasonNotFound, fmt.Sprintf("pods %q not found", pod))
		return
	case !ok && which.Previous:
		fail(w, 400, metav1.StatusReasonBadRequest, fmt.Sprintf("previous terminated container %q in pod %q not found", which.Container, pod))
		return
	case !ok:
		fail(w, 400, metav1.StatusReasonBadRequest, fmt.Sprintf("container %q in pod %q is waiting to start: ContainerCreating", which.Container, pod))
		return
	}
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil {
		text = lastLines(text, n)
	}
	if n, err := strconv.Atoi(q.Get("limitBytes")); err == nil && len(text) > n {
		text = text[:n]
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte(text))
}

func lastLines(text string, n int) string {
	at := len(text)
	if strings.HasSuffix(text, "\n") {
		at--
	}
	for ; n > 0; n-- {
		if at = strings.LastIndexByte(text[:max(at, 0)], '\n'); at < 0 {
			return text
		}
	}
	return text[at+1:]
}
