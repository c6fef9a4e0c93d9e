package rules_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"crashloop/diagnose"
)

// behind is what stands behind the Service that a program of TestUnreached cannot reach, and what that must lead to. SVC is the Service's name, PORT
// its port.
var behind = []struct{ name, cause, root, objects string }{
	{"pending", "dependency.pod-pending", "StatefulSet/shop/SVC", `
spec: {containers: [{name: SVC, image: s, resources: {requests: {memory: 12Gi}}}]}
status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/2 nodes are available: 2 Insufficient memory."}]}
`},
	{"claim", "volume.pvc-pending", "PersistentVolumeClaim/shop/data-SVC-0", `
spec: {containers: [{name: SVC, image: s}], volumes: [{name: data, persistentVolumeClaim: {claimName: data-SVC-0}}]}
status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-SVC-0, namespace: shop}
spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
status: {phase: Pending}
---
apiVersion: v1
kind: Event
metadata: {name: data-SVC-0.1, namespace: shop}
involvedObject: {kind: PersistentVolumeClaim, namespace: shop, name: data-SVC-0}
reason: ProvisioningFailed
message: 'storageclass.storage.k8s.io "fast" not found'
type: Warning
lastTimestamp: "2026-03-01T09:58:00Z"
`},
	{"policy", "dependency.network-policy", "NetworkPolicy/shop/SVC-in", `
spec: {nodeName: node-1, containers: [{name: SVC, image: s, ports: [{containerPort: PORT}]}]}
status: {phase: Running, podIP: 10.244.0.9, conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-03-01T09:01:00Z"}], containerStatuses: [{name: SVC, ready: true, restartCount: 0, state: {running: {startedAt: "2026-03-01T09:00:10Z"}}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: SVC-in, namespace: shop}
spec: {podSelector: {matchLabels: {app: SVC}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]}
`},
	{"nothing wrong", "", "", `
spec: {nodeName: node-1, containers: [{name: SVC, image: s, ports: [{containerPort: PORT}]}]}
status: {phase: Running, podIP: 10.244.0.9, conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-03-01T09:01:00Z"}], containerStatuses: [{name: SVC, ready: true, restartCount: 0, state: {running: {startedAt: "2026-03-01T09:00:10Z"}}}]}
`},
}

// backend is the Service and the StatefulSet in front of what stands in behind.
const backend = `
apiVersion: v1
kind: Service
metadata: {name: SVC, namespace: shop, creationTimestamp: "2026-03-01T09:00:00Z"}
spec: {clusterIP: 10.96.0.12, selector: {app: SVC}, ports: [{port: PORT}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: SVC, namespace: shop, uid: sts-1}
spec: {replicas: 1, serviceName: SVC, selector: {matchLabels: {app: SVC}}, template: {metadata: {labels: {app: SVC}}, spec: {containers: [{name: SVC, image: s}]}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: SVC-abc, namespace: shop, labels: {kubernetes.io/service-name: SVC}}
addressType: IPv4
endpoints: ENDPOINTS
---
apiVersion: v1
kind: Pod
metadata: {name: SVC-0, namespace: shop, creationTimestamp: "2026-03-01T09:00:00Z", labels: {app: SVC}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: SVC, uid: sts-1, controller: true}]}
`

// TestUnreached holds that a program which ends since what it needs does not answer leads to why that is, in whatever words it says so and
// whether its log, a variable or a DSN says where that is.
func TestUnreached(t *testing.T) {
	standard, err := os.ReadFile("testdata/standard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := txtar.ParseFile("testdata/unreached.txtar")
	if err != nil {
		t.Fatal(err)
	}
	engine := newEngine(t)
	for _, f := range archive.Files {
		words := strings.Fields(f.Name)
		service, port, _ := strings.Cut(words[1], ":")
		var env []string
		for _, v := range words[2:] {
			name, value, _ := strings.Cut(v, "=")
			env = append(env, fmt.Sprintf("{name: %s, value: %q}", name, value))
		}
		const image = "    image: registry.example/web:1.4.2\n"
		at := strings.LastIndex(string(standard), image+"    ports") + len(image)
		pod := string(standard)[:at] + "    env: [" + strings.Join(env, ", ") + "]\n" + string(standard)[at:]
		for _, b := range behind {
			t.Run(words[0]+" "+b.name, func(t *testing.T) {
				endpoints := "null"
				if strings.Contains(b.objects, "Running") {
					endpoints = "[{addresses: [10.244.0.9], conditions: {ready: true}}]"
				}
				named := strings.NewReplacer("ENDPOINTS", endpoints, "SVC", service, "PORT", port).Replace
				tc := testCase{want: map[string][]string{}, files: fstest.MapFS{
					"snapshot.json": &fstest.MapFile{Data: []byte(`{"now": "2026-03-01T10:00:00Z"}`)},
					"behind.yaml":   &fstest.MapFile{Data: []byte(named(backend + strings.TrimPrefix(b.objects, "\n")))},
					"standard.yaml": &fstest.MapFile{Data: []byte(strings.NewReplacer("EXIT", "1", "REASON", "Error").Replace(pod))},
					"logs/shop/web-7d4b9c5f6d-x2x7k/web.previous.log": &fstest.MapFile{Data: f.Data},
				}}
				view, symptom := tc.open(t)
				d, err := engine.Diagnose(t.Context(), view, symptom)
				if err != nil {
					t.Fatal(err)
				}
				blamed := strings.Contains(d.Root, "/shop/"+service) || strings.Contains(d.Root, "/shop/data-"+service)
				switch {
				case b.cause == "" || strings.HasPrefix(words[0], "near-"):
					if blamed && d.Confidence != diagnose.Possible {
						t.Errorf("blames %s: %s %s: %s", d.Root, d.Cause, d.Confidence, d.Summary)
					}
				case d.Cause != b.cause || d.Root != named(b.root):
					t.Errorf("%s %s, root %q: %s", d.Cause, d.Confidence, d.Root, d.Summary)
				}
			})
		}
	}
}
