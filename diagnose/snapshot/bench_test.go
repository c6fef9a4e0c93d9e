package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"crashloop/diagnose"
)

// busyNamespace is a namespace of n pods with a log of size bytes each.
func busyNamespace(n, size int) map[string]string {
	var pods strings.Builder
	for i := range n {
		fmt.Fprintf(&pods, `---
apiVersion: v1
kind: Pod
metadata: {name: web-%d, namespace: shop, uid: u%d, labels: {app: web, pod-template-hash: 7d4b9c}, creationTimestamp: "2026-01-01T00:00:00Z",
  managedFields: [{manager: kubelet, operation: Update, apiVersion: v1, time: "2026-01-01T00:00:10Z", fieldsType: FieldsV1, fieldsV1: {"f:status": {"f:conditions": {}}}}]}
spec:
  nodeName: node-1
  volumes: [{name: token, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 3607}}, {configMap: {name: kube-root-ca.crt}}]}}]
  containers:
  - name: web
    image: registry.example.com/shop/web:1.4.2
    args: [--listen=:8080, --log=info]
    env: [{name: DATABASE_URL, value: "postgres://db.shop.svc:5432/shop"}, {name: LOG_LEVEL, value: info}]
    resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 256Mi}}
    livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 10}
status:
  phase: Running
  conditions: [{type: Ready, status: "False"}, {type: PodScheduled, status: "True"}, {type: Initialized, status: "True"}]
  containerStatuses:
  - {name: web, restartCount: 4, ready: false, state: {waiting: {reason: CrashLoopBackOff, message: "back-off 40s restarting failed container=web pod=web-%d_shop"}}, lastState: {terminated: {exitCode: 1, reason: Error}}}
`, i, i, i)
	}
	var log strings.Builder
	for i := 0; log.Len() < size; i++ {
		fmt.Fprintf(&log, "2026-01-01T00:%02d:%02dZ INFO request served method=GET path=/api/orders/%d status=200 took=%dms\n", i/60%60, i%60, i, i%97)
	}
	return map[string]string{"pods.yaml": pods.String(), "logs/shop/web-0/web.previous.log": log.String()}
}

// BenchmarkRecord is what a recorder and a tape add to the reads of a diagnosis: its pod, its namespace's pods, and a log.
func BenchmarkRecord(b *testing.B) {
	for _, test := range []struct{ pods, log int }{{1, 20 << 10}, {1, 1 << 20}, {50, 20 << 10}, {1000, 20 << 10}} {
		var pairs []string
		for name, text := range busyNamespace(test.pods, test.log) {
			pairs = append(pairs, name, text)
		}
		s, err := FromFS(files(pairs...), Options{})
		if err != nil {
			b.Fatal(err)
		}
		read := func(v diagnose.View) {
			if _, err := v.Get(b.Context(), diagnose.Pods, "shop", "web-0"); err != nil {
				b.Fatal(err)
			}
			if _, err := v.List(b.Context(), diagnose.Pods, "shop", diagnose.Where{}); err != nil {
				b.Fatal(err)
			}
			if _, err := v.Log(b.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web-0", Container: "web", Previous: true}); err != nil {
				b.Fatal(err)
			}
		}
		name := fmt.Sprintf("%dpods,%dKiB", test.pods, test.log>>10)
		b.Run("plain/"+name, func(b *testing.B) {
			for b.Loop() {
				read(s)
			}
		})
		redact := diagnose.NewRedactor()
		b.Run("recorded/"+name, func(b *testing.B) {
			for b.Loop() {
				read(Record(s, redact))
			}
		})
		b.Run("taped/"+name, func(b *testing.B) {
			for b.Loop() {
				read(NewTape(s, diagnose.Symptom{}))
			}
		})
		b.Run("packed/"+name, func(b *testing.B) {
			tape := NewTape(s, diagnose.Symptom{})
			read(tape)
			for b.Loop() {
				if _, err := tape.Pack(redact, 256<<10); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("files/"+name, func(b *testing.B) {
			r := Record(s, redact)
			read(r)
			for b.Loop() {
				if _, err := r.Files(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
