package rules_test

import (
	"slices"
	"strings"
	"testing"
)

// TestElsewhere holds that a diagnosis says which other namespaces it tells of: those that it may not be shown without.
func TestElsewhere(t *testing.T) {
	engine := newEngine(t)
	seen := 0
	for _, tc := range loadCases(t) {
		view, symptom := tc.open(t)
		d, err := engine.Diagnose(t.Context(), view, symptom)
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, ok := strings.Cut(d.Summary, "one of that name is in "); ok {
			seen++
			if namespace := strings.TrimRight(strings.Fields(strings.TrimPrefix(rest, "namespace "))[0], ".,"); !slices.Contains(d.Elsewhere(), namespace) {
				t.Errorf("%s/%s: %q tells of %s, and names %q", tc.file, tc.name, d.Summary, namespace, d.Elsewhere())
			}
		}
		if slices.Contains(d.Elsewhere(), symptom.Subject.Namespace) {
			t.Errorf("%s/%s: its own namespace is elsewhere", tc.file, tc.name)
		}
	}
	if seen < 2 {
		t.Errorf("only %d diagnoses tell of another namespace", seen)
	}
}
