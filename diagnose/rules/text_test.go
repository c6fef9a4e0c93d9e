package rules_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crashloop/diagnose"
	"crashloop/diagnose/rules"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if got != string(want) {
		gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range gotLines {
			if i >= len(wantLines) || gotLines[i] != wantLines[i] {
				t.Errorf("%s differs from line %d on; run the test with -update if this is meant. Got: %s", path, i+1, gotLines[i])
				return
			}
		}
		t.Errorf("%s has more lines than the test wrote; run the test with -update if this is meant", path)
	}
}

// TestText holds what a person reads in a terminal to goldens, for a few cases of each kind.
func TestText(t *testing.T) {
	engine := newEngine(t)
	shown := map[string]bool{
		"app.panic.txtar/match-go-nil-map": true, "config.env-missing.txtar/match-removed-by-rollout": true, "volume.pvc-missing.txtar/match-chain": true,
		"probe.slow-start.txtar/match-never-ready": true, "resources.oom-limit.txtar/match-start": true, "dependency.crash-looping.txtar/match-own-diagnosis": true,
		"app.exit-code.txtar/match-log-gone": true, "image.pull-failed.txtar/match-old-event": true,
	}
	for _, tc := range loadCases(t) {
		name := tc.file + "/" + tc.name
		if !shown[name] {
			continue
		}
		delete(shown, name)
		view, symptom := tc.open(t)
		d, err := engine.Diagnose(t.Context(), view, symptom)
		if err != nil {
			t.Fatal(err)
		}
		file := strings.TrimSuffix(tc.file, ".txtar") + "-" + strings.TrimPrefix(tc.name, "match-")
		golden(t, "testdata/text/"+file+".txt", diagnose.Text(d))
		var b bytes.Buffer
		if err := diagnose.WriteJSON(&b, []diagnose.Diagnosis{d}); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/text/"+file+".json", b.String())
	}
	for name := range shown {
		t.Errorf("there is no case %s", name)
	}
}

// TestJSONHasNoNull holds the contract's "[] when empty" for a diagnosis that was never filled.
func TestJSONHasNoNull(t *testing.T) {
	var b bytes.Buffer
	if err := diagnose.WriteJSON(&b, nil); err != nil || strings.TrimSpace(b.String()) != "[]" {
		t.Errorf("no diagnoses give %q, %v; want []", b.String(), err)
	}
	b.Reset()
	if err := diagnose.WriteJSON(&b, []diagnose.Diagnosis{{}}); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, value := range got[0] {
		if value == nil && key != "change" && key != "exitCode" {
			t.Errorf("%s is null", key)
		}
	}
}

// TestCausesPage holds docs/causes.md to the rules.
func TestCausesPage(t *testing.T) {
	golden(t, "../../docs/causes.md", diagnose.Markdown(rules.All()))
}

// TestExplain holds that every rule explains itself.
func TestExplain(t *testing.T) {
	for _, r := range rules.All() {
		text := diagnose.Explain(r)
		for _, part := range []string{r.ID, r.Title, "How to see it by hand", "How to mend it"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: explain lacks %q", r.ID, part)
			}
		}
	}
}
