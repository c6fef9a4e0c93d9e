package rules_test

import (
	"testing"

	"crashloop/diagnose/fixtest"
)

// TestFixes holds every fix of every case to what kubectl and the API server take.
func TestFixes(t *testing.T) {
	engine := newEngine(t)
	seen := 0
	for _, tc := range append(loadCases(t), loadCasesOf(t, "testdata/changes/*.txtar")...) {
		t.Run(tc.file+"/"+tc.name, func(t *testing.T) {
			view, symptom := tc.open(t)
			d, err := engine.Diagnose(t.Context(), view, symptom)
			if err != nil {
				t.Fatal(err)
			}
			seen += len(d.Fixes)
			containers, err := fixtest.Containers(t.Context(), view)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range fixtest.Problems(d, containers) {
				t.Error(problem)
			}
		})
	}
	if seen < 300 {
		t.Errorf("only %d fixes were looked at", seen)
	}
}
