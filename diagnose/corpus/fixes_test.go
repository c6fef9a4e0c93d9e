package corpus

import (
	"strings"
	"testing"

	"crashloop/diagnose/fixtest"
)

// TestFixes holds every fix of the corpus to what kubectl and the API server take.
func TestFixes(t *testing.T) {
	e := engine(t)
	seen := 0
	for _, c := range load(t) {
		t.Run(strings.TrimSuffix(c.file, ".txtar")+"/"+c.name, func(t *testing.T) {
			view := openFiles(t, c.files)
			containers, err := fixtest.Containers(t.Context(), view)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range diagnoseAll(t, e, view) {
				seen += len(d.Fixes)
				for _, problem := range fixtest.Problems(d, containers) {
					t.Error(problem)
				}
			}
		})
	}
	if seen < 200 {
		t.Errorf("only %d fixes were looked at", seen)
	}
}
