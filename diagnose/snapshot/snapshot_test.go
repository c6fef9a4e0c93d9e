package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crashloop/diagnose"
)

// files makes a file system of names and texts.
func files(pairs ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return out
}

func open(t *testing.T, fsys fstest.MapFS) (*Snapshot, []string) {
	t.Helper()
	var notes []string
	s, err := FromFS(fsys, Options{Cluster: "test", Notes: func(n string) { notes = append(notes, n) }})
	if err != nil {
		t.Fatal(err)
	}
	return s, notes
}

func names(t *testing.T, s diagnose.View, kind diagnose.Kind, namespace string) string {
	t.Helper()
	list, err := s.List(context.Background(), kind, namespace, diagnose.Where{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range list {
		out = append(out, joinName(o.GetNamespace(), o.GetName()))
	}
	return strings.Join(out, " ")
}

func TestObjectsInAnyForm(t *testing.T) {
	pod := func(name string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: shop}\n"
	}
	for _, test := range []struct {
		name, file, text, want string
		notes                  int
	}{
		{"one document", "a.yaml", pod("a"), "shop/a", 0},
		{"several documents", "a.yml", pod("b") + "---\n" + pod("a"), "shop/a shop/b", 0},
		{"text behind the dashes", "a.yaml", "--- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}}\n--- # end\n", "shop/a", 0},
		{"Windows line ends and a byte order mark", "a.yaml", "\xef\xbb\xbf" + strings.ReplaceAll(pod("a")+"---\n"+pod("b"), "\n", "\r\n"), "shop/a shop/b", 0},
		{"dashes inside of a text", "a.yaml", pod("a") + "spec:\n  containers:\n  - name: c\n    args:\n    - |\n      --- no mark\n      ---\n", "shop/a", 0},
		{"a List", "a.yaml", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}}\n- {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}}\n", "shop/a shop/b", 0},
		{"an empty List", "a.yaml", "apiVersion: v1\nkind: List\nitems: []\nmetadata: {resourceVersion: \"\"}\n", "", 0},
		{"a PodList without kinds in it", "a.json", `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a","namespace":"shop"}}]}`, "shop/a", 0},
		{"a PodList of null", "a.json", `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}`, "", 0},
		{"JSON, several in a row", "a.json", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"}}` + "\n" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b","namespace":"shop"}}`, "shop/a shop/b", 0},
		{"JSON in a YAML file", "a.yaml", "# dumped\n---\n" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"}}` + "\n" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b","namespace":"shop"}}`, "shop/a shop/b", 0},
		{"JSON in an array", "a.json", `[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"}}]`, "shop/a", 0},
		{"no namespace", "a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "default/a", 0},
		{"no apiVersion and kind", "a.yaml", "replicas: 3\n---\n" + pod("a"), "shop/a", 1},
		{"a list of words", "a.yaml", "- one\n- two\n", "", 2},
		{"comments only", "a.yaml", "# nothing\n---\n# here\n", "", 0},
		{"another name", "pods.txt", pod("a"), "shop/a", 0},
		{"no name at all", "pods", `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a","namespace":"shop"}}]}`, "shop/a", 0},
		{"what describe prints", "web.txt", "Name:             web\nNamespace:        shop\nStatus:           Running\n", "", 1},
		{"what describe prints, under the name of objects", "web.yaml", "Name:             web\nNamespace:        shop\nContainers:\n  web:\n    Image: a\n Bad: [\n", "", 1},
		{"a template", "chart.yaml", "{{- if .Values.web }}\nkind: {{ .Values.kind }}\n", "", 1},
		{"UTF-16 of PowerShell", "a.yaml", utf16LE(strings.ReplaceAll(pod("a"), "\n", "\r\n")), "shop/a", 0},
		{"a hidden file", ".DS_Store", "\x00\x00", "", 0},
		{"unknown fields", "a.yaml", pod("a") + "spec: {brandNew: {x: 1}}\nother: 2\n", "shop/a", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, notes := open(t, files(test.file, test.text))
			if got := names(t, s, diagnose.Pods, ""); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if len(notes) != test.notes {
				t.Errorf("got %d notes %q, want %d", len(notes), notes, test.notes)
			}
		})
	}
}

// utf16LE is a text as PowerShell's redirection writes it.
func utf16LE(text string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

func TestNamespacesBoundWhatIsListed(t *testing.T) {
	pod := func(namespace string) string {
		return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: " + namespace + "}\n"
	}
	s, err := FromFS(files("a.yaml", pod("shop")+pod("billing")+"---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n", "chart/templates.yaml", "{{ no snapshot }}"), Options{Namespaces: []string{"shop"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, diagnose.Pods, ""); got != "shop/a" {
		t.Errorf("all namespaces: %q", got)
	}
	if got := names(t, s, diagnose.Pods, "billing"); got != "billing/a" {
		t.Errorf("another namespace, by its name: %q", got)
	}
	if got := names(t, s, diagnose.Nodes, ""); got != "node-1" {
		t.Errorf("nodes: %q", got)
	}
}

func TestDuplicates(t *testing.T) {
	pod := func(version, phase string) string {
		text := "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop, resourceVersion: \"" + version + "\"}\n"
		if phase != "" {
			text += "status: {phase: " + phase + "}\n"
		}
		return text
	}
	for _, test := range []struct{ name, first, second, want string }{
		{"status first", pod("1", "Running"), pod("2", ""), "Running"},
		{"status second", pod("2", ""), pod("1", "Running"), "Running"},
		{"newer first", pod("2", "Failed"), pod("1", "Running"), "Failed"},
		{"newer second", pod("1", "Running"), pod("2", "Failed"), "Failed"},
		{"equal, the last one read", pod("1", "Running"), pod("1", "Failed"), "Failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := open(t, files("a.yaml", test.first, "b.yaml", test.second))
			o, err := s.Get(context.Background(), diagnose.Pods, "shop", "a")
			if err != nil {
				t.Fatal(err)
			}
			if got := string(o.(*corev1.Pod).Status.Phase); got != test.want {
				t.Errorf("got phase %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnknownKindsAreCarried(t *testing.T) {
	s, _ := open(t, files("a.yaml", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: shop}\nstatus: {conditions: [{type: Synced, status: \"False\"}]}\n"))
	o, err := s.Get(context.Background(), diagnose.SealedSecrets, "shop", "db")
	if err != nil {
		t.Fatal(err)
	}
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		t.Fatalf("got a %T", o)
	}
	if _, found, _ := unstructured.NestedSlice(u.Object, "status", "conditions"); !found {
		t.Errorf("status is lost: %v", u.Object)
	}
}

func TestMalformedFilesAreNamed(t *testing.T) {
	for _, test := range []struct{ name, file, text, want string }{
		{"YAML", "a.yaml", "apiVersion: v1\nkind: Pod\n---\nmetadata:\n  name: [a\n", "a.yaml, document 2 (line "},
		{"cut off JSON", "a.json", `{"apiVersion":"v1",`, "a.json, document 1 (line 1): the file ends in the middle"},
		{"broken JSON", "a.json", "{\n\"apiVersion\": v1}", "a.json, document 1 (line 2)"},
		{"text behind a document in braces", "a.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}\nkind: Pod\n", "a.yaml, document 1 (line "},
		{"second JSON of a file", "a.json", "{}\n\n{\n\"apiVersion\": x}", "a.json, document 2 (line 4)"},
		{"wrong type", "a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nspec: {containers: 3}\n", `a.yaml, document 1 (line 1): Pod "shop/a": field spec.containers`},
		{"wrong type in a List", "a.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec: {nodeName: {}}\n", "item 1"},
		{"now", "snapshot.json", `{"now": "yesterday"}`, `"now" is "yesterday"`},
		{"header", "snapshot.json", "{\n\"now\": 3}", "snapshot.json: line 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := FromFS(files(test.file, test.text), Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestEventsOfBothStyles(t *testing.T) {
	s, _ := open(t, files("events.yaml", `
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: new, namespace: shop, creationTimestamp: "2026-01-01T10:00:00Z"}
eventTime: "2026-01-01T10:00:00.123456Z"
series: {count: 7, lastObservedTime: "2026-01-01T10:05:00.000000Z"}
regarding: {kind: Pod, name: web-1, namespace: shop, uid: u1, fieldPath: "spec.containers{web}"}
reason: FailedScheduling
note: "0/3 nodes are available"
type: Warning
reportingController: default-scheduler
---
apiVersion: v1
kind: Event
metadata: {name: old, namespace: shop}
involvedObject: {kind: Pod, name: web-2, namespace: shop}
firstTimestamp: "2026-01-01T10:01:00Z"
lastTimestamp: "2026-01-01T10:02:00Z"
count: 3
reason: BackOff
`))
	list, err := s.List(context.Background(), diagnose.Events, "shop", diagnose.Where{Involved: diagnose.Reference{Kind: "Pod", Name: "web-1", UID: "u1"}})
	if err != nil || len(list) != 1 {
		t.Fatalf("got %d events, %v", len(list), err)
	}
	e := list[0].(*corev1.Event)
	if e.Message != "0/3 nodes are available" || e.Series.Count != 7 || e.ReportingController != "default-scheduler" || e.InvolvedObject.FieldPath != "spec.containers{web}" {
		t.Errorf("got %+v", e)
	}
	if got := e.Series.LastObservedTime.UTC().Format(time.RFC3339); got != "2026-01-01T10:05:00Z" {
		t.Errorf("last seen %s", got)
	}
	if want := time.Date(2026, 1, 1, 10, 5, 0, 0, time.UTC); !s.Now().Equal(want) {
		t.Errorf("now is %s, want %s", s.Now(), want)
	}
}

func TestNow(t *testing.T) {
	pod := `
apiVersion: v1
kind: Pod
metadata:
  name: a
  creationTimestamp: "2026-01-01T00:00:00Z"
  managedFields: [{manager: kubelet, time: "2026-01-01T00:01:00Z"}]
spec: {activeDeadlineSeconds: 3}
status:
  conditions: [{type: Ready, status: "False", lastTransitionTime: "2026-01-01T00:02:00Z"}]
  containerStatuses:
  - {name: c, lastState: {terminated: {exitCode: 1, startedAt: "2026-01-01T00:02:30Z", finishedAt: "2026-01-01T00:03:00Z"}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: c, namespace: shop}
spec: {until: "2099-01-01T00:00:00Z"}
status: {notAfter: "2098-01-01T00:00:00Z"}
`
	s, _ := open(t, files("a.yaml", pod))
	if want := "2026-01-01T00:03:00Z"; s.Now().Format(time.RFC3339) != want {
		t.Errorf("derived %s, want %s", s.Now(), want)
	}
	s, _ = open(t, files("a.yaml", pod, "snapshot.json", `{"now":"2026-02-02T02:02:02Z"}`))
	if want := "2026-02-02T02:02:02Z"; s.Now().Format(time.RFC3339) != want {
		t.Errorf("read %s, want %s", s.Now(), want)
	}
}

func TestSecretsLoseTheirValues(t *testing.T) {
	s, _ := open(t, files("a.yaml", `
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"user":"planted"}}'}
data: {password: cGxhbnRlZA==}
stringData: {user: planted}
`))
	o, err := s.Get(context.Background(), diagnose.Secrets, "shop", "db")
	if err != nil {
		t.Fatal(err)
	}
	secret := o.(*corev1.Secret)
	if len(secret.Data) != 2 || len(secret.Data["password"]) != 0 || len(secret.Data["user"]) != 0 || len(secret.StringData) != 0 || len(secret.Annotations) != 0 {
		t.Errorf("got %+v", secret)
	}
	if _, ok := secret.Data["user"]; !ok {
		t.Error("the key of stringData is lost")
	}
}

func TestLogs(t *testing.T) {
	s, _ := open(t, files(
		"pods.yaml", `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
status:
  containerStatuses:
  - {name: app, restartCount: 2, lastState: {terminated: {exitCode: 1}}}
  - {name: side, restartCount: 0}
`,
		"logs/shop/web/app.log", "one\ntwo\nthree\n"))
	ctx := context.Background()
	for _, test := range []struct {
		name string
		ask  diagnose.LogRequest
		want string
		err  error
	}{
		{"whole", diagnose.LogRequest{Container: "app"}, "one\ntwo\nthree\n", nil},
		{"tail", diagnose.LogRequest{Container: "app", TailLines: 2}, "two\nthree\n", nil},
		{"bytes keep the end", diagnose.LogRequest{Container: "app", LimitBytes: 4}, "ree\n", nil},
		{"previous, dropped", diagnose.LogRequest{Container: "app", Previous: true}, "", diagnose.ErrGone},
		{"previous, never was", diagnose.LogRequest{Container: "side", Previous: true}, "", diagnose.ErrNotFound},
		{"current, not there", diagnose.LogRequest{Container: "side"}, "", diagnose.ErrNotFound},
		{"a way out of the directory", diagnose.LogRequest{Container: "../web/app"}, "", diagnose.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.ask.Namespace, test.ask.Pod = "shop", "web"
			got, err := s.Log(ctx, test.ask)
			if string(got) != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}

// TestMetrics holds that measurements are read as kubectl prints them: `get --raw` gives a list whose items have no kind, `get podmetrics -o
// yaml` a List of whole ones.
func TestMetrics(t *testing.T) {
	for name, text := range map[string]string{
		"raw":  `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{"metadata":{"name":"web-1","namespace":"shop","creationTimestamp":"2026-03-01T12:00:05Z"},"timestamp":"2026-03-01T12:00:00Z","window":"10.01s","containers":[{"name":"app","usage":{"cpu":"498m","memory":"62464Ki"}}]}]}`,
		"yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: metrics.k8s.io/v1beta1\n  kind: PodMetrics\n  metadata: {name: web-1, namespace: shop, creationTimestamp: \"2026-03-01T12:00:05Z\"}\n  timestamp: \"2026-03-01T12:00:00Z\"\n  window: 10.01s\n  containers:\n  - name: app\n    usage: {cpu: 498m, memory: 62464Ki}\n",
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := open(t, files("metrics.yaml", text))
			got, err := v.Get(t.Context(), diagnose.PodMetrics, "shop", "web-1")
			if err != nil {
				t.Fatal(err)
			}
			containers, _, _ := unstructured.NestedSlice(got.(*unstructured.Unstructured).Object, "containers")
			if text := fmt.Sprint(containers); text != "[map[name:app usage:map[cpu:498m memory:62464Ki]]]" {
				t.Errorf("got %s", text)
			}
		})
	}
}
