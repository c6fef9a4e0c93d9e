package rules_test

import (
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/fstest"

	"crashloop/diagnose"
)

// TestCorpus diagnoses the logs of testdata/corpus, each on the standard pod, and prints a scoreboard per category. The files hold
// "### EXITCODE CAUSE|OTHER" before each log: the first is the cause, the others would be right too. The logs are written after what the
// programs print, from their own messages; none is copied from a person's report.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no corpus: %v", err)
	}
	standard, err := os.ReadFile("testdata/standard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	engine := newEngine(t)
	type score struct{ cases, first, three, wrongCertain, abstained int }
	board := map[string]*score{}
	total := score{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split(string(raw), "### ")[1:] {
			head, log, _ := strings.Cut(c, "\n")
			exit, causes, _ := strings.Cut(strings.TrimSpace(head), " ")
			want := strings.Split(causes, "|")
			tc := testCase{want: map[string][]string{}, files: fstest.MapFS{
				"pod.yaml":      {Data: []byte(strings.NewReplacer("EXIT", exit, "REASON", "Error").Replace(string(standard)))},
				"snapshot.json": {Data: []byte(`{"now": "2026-03-01T10:00:00Z"}`)},
				"logs/shop/web-7d4b9c5f6d-x2x7k/web.previous.log": {Data: []byte(log)},
			}}
			view, symptom := tc.open(t)
			d, err := engine.Diagnose(t.Context(), view, symptom)
			if err != nil {
				t.Fatal(err)
			}
			category, _, _ := strings.Cut(want[0], ".")
			s := board[category]
			if s == nil {
				s = &score{}
				board[category] = s
			}
			for _, s := range []*score{s, &total} {
				s.cases++
				right := slices.Contains(want, d.Cause)
				if right {
					s.first++
				}
				if right || slices.ContainsFunc(d.Alternatives[:min(2, len(d.Alternatives))], func(a diagnose.Alternative) bool { return slices.Contains(want, a.Cause) }) {
					s.three++
				}
				if !right && d.Confidence == diagnose.Certain {
					s.wrongCertain++
				}
				if !right && d.Cause == "app.exit-code" {
					s.abstained++
				}
			}
			if !slices.Contains(want, d.Cause) {
				t.Logf("%s: want %s, got %s (%s): %s", filepath.Base(file), causes, d.Cause, d.Confidence, d.Summary)
			}
		}
	}
	names := make([]string, 0, len(board))
	for n := range board {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		s := board[n]
		t.Logf("%-12s %3d cases: right first %d, in the first three %d, wrong but certain %d, abstained %d", n, s.cases, s.first, s.three, s.wrongCertain, s.abstained)
	}
	t.Logf("%-12s %3d cases: right first %d, in the first three %d, wrong but certain %d, abstained %d", "all", total.cases, total.first, total.three, total.wrongCertain, total.abstained)
	if total.first*100 < total.cases*95 {
		t.Errorf("only %d of %d are right, want 95 of 100", total.first, total.cases)
	}
	if total.wrongCertain > 0 {
		t.Errorf("%d are wrong and certain", total.wrongCertain)
	}
}
