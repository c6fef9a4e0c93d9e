package e2e

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nilPointer is how a simulated container crashes as the program in the playground's image does for real when it is told to panic.
const nilPointer = `exitCode: 2
log: |
  panic: runtime error: invalid memory address or nil pointer dereference
  [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x6b2f1c]

  goroutine 1 [running]:
  main.crash({0xc000012345?, 0x0?, 0x0?})
  	/src/checkout/main.go:128 +0x9c
`

// workload is a Deployment or StatefulSet with one container, which both kinds of nodes understand.
type workload struct {
	namespace, name string
	kind            string   // Deployment when empty
	replicas        int      // 1 when 0
	does            string   // the simulated behaviour; healthy when empty
	command         []string // what a real container runs; /app/server panic, or serve when it is healthy
	extra           string   // more fields of the container, as YAML at no indentation
}

func (w workload) manifest() string {
	if w.kind == "" {
		w.kind = "Deployment"
	}
	if w.replicas == 0 {
		w.replicas = 1
	}
	if w.command == nil {
		w.command = []string{"/app/server", "panic"}
		if w.does == "" {
			w.command = []string{"/app/server", "serve"}
		}
	}
	annotations := ""
	if w.does != "" {
		annotations = fmt.Sprintf("      annotations:\n        playground.crashloop.dev/%s: |\n%s", w.name, indent(w.does, 10))
	}
	quoted := make([]string, len(w.command))
	for i, c := range w.command {
		quoted[i] = fmt.Sprintf("%q", c)
	}
	service := ""
	if w.kind == "StatefulSet" {
		service = "  serviceName: " + w.name + "\n"
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: %[1]s
metadata:
  name: %[2]s
  namespace: %[3]s
spec:
  replicas: %[4]d
%[8]s  selector:
    matchLabels: {app: %[2]s}
  template:
    metadata:
      labels: {app: %[2]s}
%[5]s    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: %[2]s
        image: registry.example/shop/checkout:1.4.2
        imagePullPolicy: IfNotPresent
        command: [%[6]s]
%[7]s`, w.kind, w.name, w.namespace, w.replicas, annotations, strings.Join(quoted, ", "), indent(w.extra, 8), service)
}

func indent(s string, n int) string {
	if s == "" {
		return ""
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+pad) + "\n"
}

// crashing applies a Deployment that panics, and waits for its thread with the diagnosis.
func (s *stage) crashing(namespace, name string) thread {
	s.t.Helper()
	s.apply(workload{namespace: namespace, name: name, does: nilPointer}.manifest())
	return s.waitDiagnosed(namespace, name, "app.panic")
}

// crashed is like crashing, but the third run stays: so the log of the one before it stays too, which a loop soon replaces.
func (s *stage) crashed(namespace, name, more string) thread {
	s.t.Helper()
	s.apply(workload{namespace: namespace, name: name, does: "times: 2\n" + more + nilPointer}.manifest())
	eventually(s.t, "the third run of "+name, func(ctx context.Context) error {
		all, err := s.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return err
		}
		for _, p := range all.Items {
			if c := p.Status.ContainerStatuses; len(c) == 1 && c[0].RestartCount == 2 && c[0].State.Running != nil {
				return nil
			}
		}
		return fmt.Errorf("not one of %d pods is at it", len(all.Items))
	})
	return s.waitDiagnosed(namespace, name, "app.panic")
}

func (s *stage) deployment(namespace, name string) *appsv1.Deployment {
	s.t.Helper()
	d, err := s.client.AppsV1().Deployments(namespace).Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// revisions counts the Deployment's ReplicaSets.
func (s *stage) revisions(namespace, name string) int {
	s.t.Helper()
	all, err := s.client.AppsV1().ReplicaSets(namespace).List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		s.t.Fatal(err)
	}
	return len(all.Items)
}
