package rules_test

import (
	"path/filepath"
	"strings"
	"testing"

	"crashloop/diagnose"
)

// TestChanges holds the engine to what it says of the change that set a failure off: which, whose, when, and how to go back.
func TestChanges(t *testing.T) {
	engine := newEngine(t)
	for _, tc := range loadCasesOf(t, "testdata/changes/*.txtar") {
		t.Run(strings.TrimSuffix(filepath.Base(tc.file), ".txtar")+"/"+tc.name, func(t *testing.T) {
			if tc.want["change"] == nil {
				t.Fatal("the case does not say which change it wants")
			}
			view, symptom := tc.open(t)
			d, err := engine.Diagnose(t.Context(), view, symptom)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range tc.problems(d) {
				t.Error(problem)
			}
			if t.Failed() {
				t.Logf("got:\n%s", diagnose.Text(d))
			}
		})
	}
}
