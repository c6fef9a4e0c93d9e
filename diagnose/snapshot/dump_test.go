package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crashloop/diagnose"
)

// dump is what `kubectl cluster-info dump --output-directory` of kubectl 1.36 writes for two namespaces.
func dump() []string {
	return []string{
		"nodes.json", `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"node-1","uid":"u"},"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-01T00:05:00Z"}]}}]}`,
		"shop/pods.json", `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"web","namespace":"shop"},"spec":{"initContainers":[{"name":"init"}],"containers":[{"name":"app"},{"name":"side"}]},"status":{"phase":"Running"}}]}`,
		"shop/events.json", `{"kind":"EventList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"web.1","namespace":"shop"},"involvedObject":{"kind":"Pod","name":"web"},"reason":"BackOff","lastTimestamp":"2026-01-01T00:06:00Z"}]}`,
		"shop/deployments.json", `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{},"items":[{"metadata":{"name":"web","namespace":"shop"}}]}`,
		"shop/replication-controllers.json", `{"kind":"ReplicationControllerList","apiVersion":"v1","metadata":{},"items":null}`,
		"shop/services.json", `{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[]}`,
		"kube-system/pods.json", `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"dns","namespace":"kube-system"}}]}`,
		"shop/web/logs.txt", "==== START logs for container init of pod shop/web ====\nprepared\n==== END logs for container init of pod shop/web ====\n" +
			"==== START logs for container app of pod shop/web ====\none\n==== END logs for container app of pod shop/web ====\nno line break at the end==== END logs for container app of pod shop/web ====\n" +
			"==== START logs for container side of pod shop/web ====\nRequest log error: container \"side\" in pod \"web\" is waiting to start: PodInitializing\n==== END logs for container side of pod shop/web ====\n",
		"kube-system/dns/logs.txt", "==== START logs for container dns of pod kube-system/dns ====\n==== END logs for container dns of pod kube-system/dns ====\n",
	}
}

func TestClusterInfoDump(t *testing.T) {
	s, notes := open(t, files(dump()...))
	if len(notes) > 0 {
		t.Errorf("notes: %q", notes)
	}
	for kind, want := range map[diagnose.Kind]string{
		diagnose.Pods: "kube-system/dns shop/web", diagnose.Events: "shop/web.1", diagnose.Deployments: "shop/web", diagnose.Nodes: "node-1", diagnose.Services: "",
	} {
		if got := names(t, s, kind, ""); got != want {
			t.Errorf("%s: got %q, want %q", kind.Resource, got, want)
		}
	}
	if got := s.Now().Format(time.RFC3339); got != "2026-01-01T00:06:00Z" {
		t.Errorf("now is %s", got)
	}
	for _, test := range []struct {
		namespace, pod, container string
		previous                  bool
		want                      string
		err                       string
	}{
		{"shop", "web", "init", false, "prepared\n", ""},
		{"shop", "web", "app", false, "one\n==== END logs for container app of pod shop/web ====\nno line break at the end", ""},
		{"kube-system", "dns", "dns", false, "", ""},
		{"shop", "web", "side", false, "", "waiting to start: PodInitializing"},
		{"shop", "web", "app", true, "", "not found"},
		{"shop", "web", "other", false, "", "not found"},
	} {
		got, err := s.Log(context.Background(), diagnose.LogRequest{Namespace: test.namespace, Pod: test.pod, Container: test.container, Previous: test.previous})
		if string(got) != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%+v: got %q, %v", test, got, err)
		}
	}
}

func TestNothingOutsideOfTheDirectoryIsRead(t *testing.T) {
	top := t.TempDir()
	outside, dir := filepath.Join(top, "outside"), filepath.Join(top, "snap")
	for _, d := range []string{outside, filepath.Join(dir, "logs/shop/web"), filepath.Join(dir, "sub")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"
	for name, text := range map[string]string{filepath.Join(outside, "pod.yaml"): pod, filepath.Join(outside, "app.log"): "stolen", filepath.Join(dir, "sub", "pods.yaml"): pod} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("../../../../outside/app.log", "logs/shop/web/app.log")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := s.Log(context.Background(), diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "app"}); err == nil {
		t.Errorf("a link led to %q", text)
	}
	link("../outside/pod.yaml", "b.yaml")
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "b.yaml: it is a link") {
		t.Errorf("a link to a file outside gave %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "pods.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), "name the directory") {
		t.Errorf("got %v", err)
	}
}

// TestDumpInOneFile reads what `kubectl cluster-info dump` prints: objects, with the logs between them.
func TestDumpInOneFile(t *testing.T) {
	pairs := dump()
	var b strings.Builder
	for _, suffix := range []string{".json", "/logs.txt"} {
		for i := 0; i < len(pairs); i += 2 {
			if strings.HasSuffix(pairs[i], suffix) {
				b.WriteString(pairs[i+1])
			}
		}
	}
	for _, name := range []string{"dump.txt", "dump.json", "dump.yaml", "dump"} {
		t.Run(name, func(t *testing.T) {
			s, notes := open(t, files(name, b.String()))
			if len(notes) > 0 {
				t.Errorf("notes: %q", notes)
			}
			if got := names(t, s, diagnose.Pods, ""); got != "kube-system/dns shop/web" {
				t.Errorf("got %q", got)
			}
			for container, want := range map[string]string{"init": "prepared\n", "app": "one\n==== END logs for container app of pod shop/web ====\nno line break at the end"} {
				got, err := s.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: container})
				if err != nil || string(got) != want {
					t.Errorf("%s: got %q, %v", container, got, err)
				}
			}
			if _, err := s.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "side"}); err == nil || !strings.Contains(err.Error(), "PodInitializing") {
				t.Errorf("got %v", err)
			}
			if _, err := s.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "app", Previous: true}); !errors.Is(err, diagnose.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("cut off within a log", func(t *testing.T) {
		text := b.String()
		text = text[:strings.Index(text, "no line break")]
		s, _ := open(t, files("dump.txt", text))
		got, err := s.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "app"})
		if err != nil || string(got) != "one\n" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestNothingToRead keeps an empty place from passing for a healthy cluster.
func TestNothingToRead(t *testing.T) {
	pods := `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a","namespace":"shop"}}]}`
	for _, test := range []struct {
		name  string
		files []string
		want  string // in the error; empty when it can be read
	}{
		{"an empty directory", nil, "kubectl get pods"},
		{"only text", []string{"README.md", "# evidence\n"}, "no Kubernetes objects"},
		{"only comments", []string{"a.yaml", "# nothing\n"}, "no Kubernetes objects"},
		{"a dump one folder down", []string{"monday/shop/pods.json", pods}, "The folder monday in it"},
		{"objects one folder down", []string{"evidence/all.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"}, "The folder evidence in it"},
		{"an empty list", []string{"pods.json", `{"kind":"PodList","apiVersion":"v1","items":[]}`}, ""},
		{"a recording of nothing", []string{headerFile, `{"now":"2026-01-01T00:00:00Z"}`}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for i := 0; i < len(test.files); i += 2 {
				name := filepath.Join(dir, filepath.FromSlash(test.files[i]))
				if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(test.files[i+1]), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(dir, Options{})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// manyPods makes n pods with two containers each, as the API gives them.
func manyPods(n int) string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: List\nitems:\n")
	for i := range n {
		fmt.Fprintf(&b, `- apiVersion: v1
  kind: Pod
  metadata:
    annotations: {checksum/config: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
    creationTimestamp: "2026-01-01T00:00:00Z"
    labels:
      app: web
      pod-template-hash: 7c9d8f6b5d
    name: web-7c9d8f6b5d-%05d
    namespace: shop
    ownerReferences:
    - apiVersion: apps/v1
      controller: true
      kind: ReplicaSet
      name: web-7c9d8f6b5d
      uid: 550e8400-e29b-41d4-a716-446655440000
    resourceVersion: "%d"
  spec:
    containers:
`, i, i)
		for _, c := range []string{"app", "side"} {
			fmt.Fprintf(&b, `    - name: %s
      image: registry.example/%s:1.4.2
      env:
      - name: DATABASE_URL
        value: postgres://db:5432/shop
      - name: POD_NAME
        valueFrom:
          fieldRef:
            apiVersion: v1
            fieldPath: metadata.name
      ports:
      - containerPort: 8080
        name: http
        protocol: TCP
      resources:
        limits:
          cpu: 500m
          memory: 256Mi
        requests:
          cpu: 100m
          memory: 128Mi
      livenessProbe:
        failureThreshold: 3
        httpGet:
          path: /healthz
          port: http
          scheme: HTTP
        periodSeconds: 10
      volumeMounts:
      - mountPath: /var/run/secrets/kubernetes.io/serviceaccount
        name: kube-api-access-x7x2k
        readOnly: true
`, c, c)
		}
		b.WriteString(`    nodeName: node-1
    restartPolicy: Always
    serviceAccountName: default
    tolerations:
    - effect: NoExecute
      key: node.kubernetes.io/not-ready
      operator: Exists
      tolerationSeconds: 300
  status:
    conditions:
    - lastProbeTime: null
      lastTransitionTime: "2026-01-01T00:00:00Z"
      status: "True"
      type: Ready
    containerStatuses:
    - containerID: containerd://4c01db0b339c4c8c2e0e3f7f0a0a0b0c0d0e0f0011223344556677889900aabb
      image: registry.example/app:1.4.2
      name: app
      ready: true
      restartCount: 0
      state:
        running:
          startedAt: "2026-01-01T00:00:00Z"
    phase: Running
`)
	}
	return b.String()
}

func BenchmarkOpen2000Pods(b *testing.B) {
	text := manyPods(2000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s, err := FromFS(files("pods.yaml", text), Options{})
		if err != nil {
			b.Fatal(err)
		}
		if list, _ := s.List(context.Background(), diagnose.Pods, "", diagnose.Where{}); len(list) != 2000 {
			b.Fatal(len(list))
		}
	}
}
