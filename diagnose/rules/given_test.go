package rules_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"crashloop/diagnose"
	"crashloop/diagnose/rules"
)

// TestGivenLineIsRedactedWhole holds that a line of a ConfigMap is cited without its secret also where the citation is cut amid it.
func TestGivenLineIsRedactedWhole(t *testing.T) {
	standard, err := os.ReadFile("testdata/standard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pod := strings.NewReplacer("EXIT", "1", "REASON", "Error", "image: registry.example/web:1.4.2\n    ports",
		"image: registry.example/web:1.4.2\n    volumeMounts: [{name: conf, mountPath: /etc/web}]\n    ports", "  nodeName: node-1",
		"  nodeName: node-1\n  volumes: [{name: conf, configMap: {name: web}}]").Replace(string(standard))
	const secret = "ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i"
	line := "sinks: [blobstor, " + strings.Repeat("x", 150) + ", " + secret + "]"
	config, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "web", "namespace": "shop"}, "data": map[string]any{"web.conf": line}})
	if err != nil {
		t.Fatal(err)
	}
	tc := testCase{files: fstest.MapFS{
		"pod.yaml": {Data: []byte(pod)}, "config.json": {Data: config}, "snapshot.json": {Data: []byte(`{"now": "2026-03-01T10:00:00Z"}`)},
		"logs/shop/web-7d4b9c5f6d-x2x7k/web.previous.log": {Data: []byte("fatal: unknown sink: blobstor\n")},
	}}
	view, symptom := tc.open(t)
	engine, err := diagnose.New(rules.All(), diagnose.Options{Redact: diagnose.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := engine.Diagnose(t.Context(), view, symptom)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "sinks: [blobstor") {
		t.Fatalf("the line is not cited: %s", raw)
	}
	if strings.Contains(string(raw), secret[:12]) {
		t.Errorf("the token came through: %s", raw)
	}
}
