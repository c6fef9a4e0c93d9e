package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"text/template"
	"time"

	"sigs.k8s.io/yaml"
)

// now is the moment of every case that has no snapshot.json of its own.
const now = "2026-03-01T10:00:00Z"

// workload is the short form of a crash-looping workload, workload.yaml in a case. It stands for the controller, its ReplicaSet, a pod
// and the kubelet's BackOff event, as an API server gives them.
type workload struct {
	Kind      string         `json:"kind"` // Deployment (the default), StatefulSet, DaemonSet, Pod
	Name      string         `json:"name"` // web
	Namespace string         `json:"namespace"`
	Image     string         `json:"image"`
	Exit      *int           `json:"exit"` // of the last run; none when it never ran
	Signal    int            `json:"signal"`
	Reason    string         `json:"reason"`   // of the last run: Error, Completed (exit 0), OOMKilled, ...
	Message   string         `json:"message"`  // of the last run
	Restarts  *int           `json:"restarts"` // 5
	Ran       string         `json:"ran"`      // how long the last run took: 3s
	NeverRan  bool           `json:"neverRan"` // the kubelet writes 1970 for a run that never began
	Waiting   *waiting       `json:"waiting"`  // CrashLoopBackOff is the default when it ran
	Phase     string         `json:"phase"`
	Node      *string        `json:"node"`      // node-1; empty for a pod that is not scheduled
	Init      bool           `json:"init"`      // it is the init container that fails, and the app waits
	Container map[string]any `json:"container"` // what else the container's spec holds
	Pod       map[string]any `json:"pod"`       // what else the pod's spec holds
	Status    map[string]any `json:"status"`    // what else the pod's status holds
	Events    []event        `json:"events"`
}

type waiting struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type event struct {
	Reason    string `json:"reason"`
	Message   string `json:"message"`
	Type      string `json:"type"`  // Warning
	About     string `json:"about"` // Kind/name; the pod is the default
	Container string `json:"container"`
	Count     int    `json:"count"`
}

const objects = `
{{- if ne .Kind "Pod"}}
apiVersion: apps/v1
kind: {{.Kind}}
metadata: {name: {{.Name}}, namespace: {{.Namespace}}, uid: owner-1, generation: 1, creationTimestamp: "{{.Created}}", annotations: {deployment.kubernetes.io/revision: "1"}}
spec:
  {{- if ne .Kind "DaemonSet"}}
  replicas: 1
  {{- end}}
  selector: {matchLabels: {app: {{.Name}}}}
  template:
    metadata: {labels: {app: {{.Name}}}}
    spec: {{.Spec}}
status: {observedGeneration: 1, replicas: 1, unavailableReplicas: 1}
---
{{- end}}
{{- if eq .Kind "Deployment"}}
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: {{.Name}}-7d4b9c5f6d
  namespace: {{.Namespace}}
  uid: rs-1
  creationTimestamp: "{{.Created}}"
  annotations: {deployment.kubernetes.io/revision: "1"}
  labels: {app: {{.Name}}, pod-template-hash: 7d4b9c5f6d}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: {{.Name}}, uid: owner-1, controller: true}]
spec:
  replicas: 1
  selector: {matchLabels: {app: {{.Name}}, pod-template-hash: 7d4b9c5f6d}}
  template:
    metadata: {labels: {app: {{.Name}}, pod-template-hash: 7d4b9c5f6d}}
    spec: {{.Spec}}
status: {replicas: 1}
---
{{- end}}
apiVersion: v1
kind: Pod
metadata:
  name: {{.PodName}}
  namespace: {{.Namespace}}
  uid: pod-1
  creationTimestamp: "{{.Created}}"
  labels: {app: {{.Name}}}
  {{- if eq .Kind "Deployment"}}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: {{.Name}}-7d4b9c5f6d, uid: rs-1, controller: true}]
  {{- else if ne .Kind "Pod"}}
  ownerReferences: [{apiVersion: apps/v1, kind: {{.Kind}}, name: {{.Name}}, uid: owner-1, controller: true}]
  {{- end}}
spec: {{.RunningSpec}}
status: {{.PodStatus}}
`

var objectsTemplate = template.Must(template.New("objects").Parse(objects))

// parseWorkload reads a short form.
func parseWorkload(t testing.TB, text []byte) workload {
	t.Helper()
	w := workload{Kind: "Deployment", Name: "web", Namespace: "shop", Image: "registry.example/web:1.4.2", Ran: "3s", Phase: "Running"}
	if err := yaml.UnmarshalStrict(text, &w); err != nil {
		t.Fatalf("workload.yaml: %v", err)
	}
	return w
}

// expand gives the objects that a short form stands for, as YAML.
func (w workload) expand(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := objectsTemplate.Execute(&b, struct {
		workload
		Created, PodName, Spec, RunningSpec, PodStatus string
	}{w, "2026-03-01T09:50:00Z", w.podName(), w.spec(t, ""), w.spec(t, w.node()), w.status(t)}); err != nil {
		t.Fatal(err)
	}
	for i, e := range w.events() {
		fmt.Fprintf(&b, "---\n%s\n", e.flow(t, w, i))
	}
	return b.Bytes()
}

func (w workload) podName() string {
	switch w.Kind {
	case "Deployment":
		return w.Name + "-7d4b9c5f6d-x2x7k"
	case "StatefulSet":
		return w.Name + "-0"
	case "Pod":
		return w.Name
	}
	return w.Name + "-x2x7k"
}

func (w workload) node() string {
	if w.Node != nil {
		return *w.Node
	}
	return "node-1"
}

// container is the name of the container that fails: that of its workload.
func (w workload) container() string {
	if w.Init {
		return "init"
	}
	return w.Name
}

func (w workload) spec(t testing.TB, node string) string {
	c := map[string]any{"name": w.container(), "image": w.Image}
	for k, v := range w.Container {
		c[k] = v
	}
	pod := map[string]any{"containers": []any{c}, "restartPolicy": "Always"}
	if w.Init {
		pod["initContainers"], pod["containers"] = []any{c}, []any{map[string]any{"name": w.Name, "image": w.Image}}
	}
	if node != "" {
		pod["nodeName"] = node
	}
	for k, v := range w.Pod {
		pod[k] = v
	}
	return flow(t, pod)
}

func (w workload) status(t testing.TB) string {
	status := map[string]any{"name": w.container(), "image": w.Image, "ready": false, "restartCount": 5}
	if w.Restarts != nil {
		status["restartCount"] = *w.Restarts
	} else if w.Exit == nil {
		status["restartCount"] = 0
	}
	if w.Exit != nil {
		took, err := time.ParseDuration(w.Ran)
		if err != nil {
			t.Fatal(err)
		}
		end := time.Date(2026, 3, 1, 9, 59, 30, 0, time.UTC)
		last := map[string]any{"exitCode": *w.Exit, "reason": w.reason(), "startedAt": end.Add(-took).Format(time.RFC3339), "finishedAt": end.Format(time.RFC3339), "containerID": "containerd://1"}
		if w.NeverRan {
			last["startedAt"] = "1970-01-01T00:00:00Z"
		}
		if w.Message != "" {
			last["message"] = w.Message
		}
		status["lastState"] = map[string]any{"terminated": last}
		status["containerID"] = "containerd://1"
	}
	switch {
	case w.Waiting != nil:
		status["state"] = map[string]any{"waiting": w.Waiting}
	case w.Exit != nil:
		status["state"] = map[string]any{"waiting": waiting{"CrashLoopBackOff", fmt.Sprintf("back-off 2m40s restarting failed container=%s pod=%s_%s(pod-1)", w.container(), w.podName(), w.Namespace)}}
	}
	pod := map[string]any{"phase": w.Phase, "startTime": "2026-03-01T09:50:00Z"}
	switch {
	case w.node() == "": // nothing but conditions
	case w.Init:
		pod["initContainerStatuses"] = []any{status}
		pod["containerStatuses"] = []any{map[string]any{"name": w.Name, "image": w.Image, "ready": false, "restartCount": 0, "state": map[string]any{"waiting": waiting{Reason: "PodInitializing"}}}}
	default:
		pod["containerStatuses"] = []any{status}
	}
	for k, v := range w.Status {
		pod[k] = v
	}
	return flow(t, pod)
}

func (w workload) reason() string {
	switch {
	case w.Reason != "":
		return w.Reason
	case *w.Exit == 0:
		return "Completed"
	}
	return "Error"
}

// events are those of the case and, for what ran and died, the kubelet's own.
func (w workload) events() []event {
	list := w.Events
	if w.Exit != nil {
		list = append(list, event{Reason: "BackOff", Container: w.container(), Count: 20,
			Message: fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(pod-1)", w.container(), w.podName(), w.Namespace)})
	}
	return list
}

func (e event) flow(t testing.TB, w workload, i int) string {
	namespace := w.Namespace
	about := map[string]any{"kind": "Pod", "name": w.podName(), "namespace": w.Namespace, "uid": "pod-1"}
	if kind, name, ok := strings.Cut(e.About, "/"); ok {
		about = map[string]any{"kind": kind, "name": name, "namespace": w.Namespace}
		if kind == "Node" { // cluster-scoped: its events stand in default
			namespace = "default"
			delete(about, "namespace")
		}
	}
	if e.Container != "" {
		about["fieldPath"] = "spec.containers{" + e.Container + "}"
		if w.Init {
			about["fieldPath"] = "spec.initContainers{" + e.Container + "}"
		}
	}
	kind := e.Type
	if kind == "" {
		kind = "Warning"
	}
	return flow(t, map[string]any{
		"apiVersion": "v1", "kind": "Event", "metadata": map[string]any{"name": fmt.Sprintf("%s.%d", w.podName(), i), "namespace": namespace, "creationTimestamp": "2026-03-01T09:51:00Z"},
		"involvedObject": about, "reason": e.Reason, "message": e.Message, "type": kind, "count": max(e.Count, 1),
		"firstTimestamp": "2026-03-01T09:51:00Z", "lastTimestamp": "2026-03-01T09:59:40Z", "source": map[string]any{"component": "kubelet", "host": w.node()},
	})
}

// flow writes a value as JSON, which is YAML on one line.
func flow(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
