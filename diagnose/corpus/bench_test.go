package corpus

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"crashloop/diagnose"
	"crashloop/diagnose/rules"
)

// BenchmarkAmongPods is a whole diagnosis, redaction included, in a namespace of so many other pods.
func BenchmarkAmongPods(b *testing.B) {
	e, err := diagnose.New(rules.All(), diagnose.Options{Redact: diagnose.NewRedactor()})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, 1000} {
		var pods strings.Builder
		for i := range n {
			fmt.Fprintf(&pods, `---
apiVersion: v1
kind: Pod
metadata: {name: other-%d, namespace: shop, uid: u-%d, labels: {app: other}}
spec:
  nodeName: node-1
  containers: [{name: a, image: x, args: [serve, --port, "80"], env: [{name: URL, value: "http://db:80/x"}], livenessProbe: {httpGet: {path: /healthz, port: 80}}}]
status: {phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: a, image: x, ready: true, state: {running: {startedAt: "2026-03-01T09:50:00Z"}}}]}
`, i, i)
		}
		c := &crash{file: "pods", name: "many", cause: "any", from: "made up", files: fstest.MapFS{
			"snapshot.json": {Data: []byte(`{"now": "` + now + `"}`)}, "workload.yaml": {Data: []byte("exit: 1\n")}, "pods.yaml": {Data: []byte(pods.String())},
			"previous.log": {Data: []byte(strings.Repeat("INFO serving\n", 50) + "fatal: connection refused by db:5432\n")},
		}}
		c.finish(b)
		view := openFiles(b, c.files)
		symptom := find(b, view)[0]
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Diagnose(b.Context(), view, symptom); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
