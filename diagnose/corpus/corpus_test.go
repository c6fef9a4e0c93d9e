package corpus

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"crashloop/diagnose"
	"crashloop/diagnose/fixtest"
	"crashloop/diagnose/rules"
	"crashloop/diagnose/snapshot"
)

// crash is one case: a snapshot and the cause that an experienced person would name.
type crash struct {
	file, name string
	cause      string   // "none" where nothing is wrong; after a | come others that serve as well
	also       []string // the causes after the |
	root       string   // not compared when hasRoot is false
	hasRoot    bool
	from       string
	workload   string   // Kind/name that the cause is of; needed where several fail
	container  string   // the container that the cause is of, where several of the workload fail
	likely     bool     // the evidence proves nothing: even the right cause may not be called certain
	open       string   // why it is not expected to be right yet; it counts, and does not fail the test
	says       []string // what the summary must hold: the exception, file, flag, port, ...
	files      fstest.MapFS
}

// archive is a txtar file and its name.
type archive struct {
	name  string
	files []txtar.File
}

// archives reads the txtar files that a pattern names.
func archives(t *testing.T, pattern string) []archive {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases in %s: %v", pattern, err)
	}
	var out []archive
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, archive{filepath.Base(name), a.Files})
	}
	return out
}

func load(t *testing.T) []*crash {
	t.Helper()
	var out []*crash
	for _, a := range archives(t, "testdata/*.txtar") {
		byName := map[string]*crash{}
		for _, f := range a.files {
			dir, rest, ok := strings.Cut(f.Name, "/")
			if !ok {
				t.Fatalf("%s: file %q stands in no folder", a.name, f.Name)
			}
			c := byName[dir]
			if c == nil {
				c = &crash{file: a.name, name: dir, files: fstest.MapFS{"snapshot.json": {Data: []byte(`{"now": "` + now + `"}`)}}}
				byName[dir] = c
				out = append(out, c)
			}
			c.take(t, rest, f.Data)
		}
		for _, c := range byName {
			c.finish(t)
		}
	}
	return out
}

// take adds one file of the archive to the case.
func (c *crash) take(t *testing.T, name string, text []byte) {
	t.Helper()
	if name != "want" {
		c.files[name] = &fstest.MapFile{Data: text}
		return
	}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("%s: %s: %q is no \"key: value\"", c.file, c.name, line)
		}
		value = strings.TrimSpace(value)
		switch key {
		case "cause":
			causes := strings.Split(value, "|")
			for i := range causes {
				causes[i] = strings.TrimSpace(causes[i])
			}
			c.cause, c.also = causes[0], causes[1:]
		case "root":
			c.root, c.hasRoot = value, true
		case "from":
			c.from = value
		case "says":
			c.says = append(c.says, value)
		case "workload":
			c.workload = value
		case "container":
			c.container = value
		case "atMost":
			if value != string(diagnose.Likely) {
				t.Fatalf("%s: %s: atMost is %q", c.file, c.name, value)
			}
			c.likely = true
		case "open":
			c.open = value
		default:
			t.Fatalf("%s: %s: unknown key %q", c.file, c.name, key)
		}
	}
}

// finish expands the short form of the workload and moves the short names of its logs to their places.
func (c *crash) finish(t testing.TB) {
	t.Helper()
	if c.cause == "" || c.from == "" {
		t.Fatalf("%s: %s: a case says its cause, and where its facts come from", c.file, c.name)
	}
	f := c.files["workload.yaml"]
	if f == nil {
		return
	}
	w := parseWorkload(t, f.Data)
	c.files["workload.yaml"] = &fstest.MapFile{Data: w.expand(t)}
	for short, suffix := range map[string]string{"previous.log": ".previous.log", "current.log": ".log"} {
		if log := c.files[short]; log != nil {
			delete(c.files, short)
			c.files["logs/"+w.Namespace+"/"+w.podName()+"/"+w.container()+suffix] = log
		}
	}
}

func engine(t *testing.T) *diagnose.Engine {
	t.Helper()
	e, err := diagnose.New(rules.All(), diagnose.Options{Redact: diagnose.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// diagnoseAll is what `crashloop diagnose` does with a View.
func diagnoseAll(t *testing.T, e *diagnose.Engine, view diagnose.View) []diagnose.Diagnosis {
	t.Helper()
	var out []diagnose.Diagnosis
	for _, s := range find(t, view) {
		d, err := e.Diagnose(t.Context(), view, s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func find(t testing.TB, view diagnose.View) []diagnose.Symptom {
	t.Helper()
	symptoms, err := diagnose.Find(t.Context(), view, diagnose.Scope{}, diagnose.DefaultThresholds())
	if err != nil {
		t.Fatal(err)
	}
	return symptoms
}

func openFiles(t testing.TB, files fs.FS) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.FromFS(files, snapshot.Options{Cluster: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The verdicts on a case, best first.
const (
	rightFirst   = "right first"
	rightInThree = "right in the first three"
	wrongRoot    = "right cause, wrong root"
	wrongWords   = "right cause, wrong words"
	abstained    = "abstained"
	wrong        = "wrong"
	wrongCertain = "wrong but certain"
)

// floor is how many of 100 cases must be right first. It only ever rises.
const floor = 98

// score is the board: how many cases of a category got which verdict, and how much else was looked at.
type score struct {
	mu              sync.Mutex
	verdicts        map[string]map[string]int
	fixes, replayed int
}

func (s *score) add(category, verdict string, fixes, replayed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []string{category, "all"} {
		if s.verdicts[c] == nil {
			s.verdicts[c] = map[string]int{}
		}
		s.verdicts[c][verdict]++
	}
	s.fixes += fixes
	s.replayed += replayed
}

// conclude prints the board, and fails where less is right, or less was looked at, than was before.
func (s *score) conclude(t *testing.T, cases int) {
	for _, c := range slices.Sorted(maps.Keys(s.verdicts)) {
		var parts []string
		for _, v := range []string{rightFirst, rightInThree, wrongRoot, wrongWords, abstained, wrong, wrongCertain} {
			if n := s.verdicts[c][v]; n > 0 {
				parts = append(parts, fmt.Sprintf("%s %d", v, n))
			}
		}
		t.Logf("%-16s %s", c, strings.Join(parts, ", "))
	}
	judged := 0
	for _, n := range s.verdicts["all"] {
		judged += n
	}
	if judged < cases {
		return // -run picked some, or a case ended before its verdict and says so
	}
	if right := s.verdicts["all"][rightFirst]; right*100 < floor*cases {
		t.Errorf("%d of %d cases are right first, fewer than %d in 100", right, cases, floor)
	}
	if s.fixes < 200 || s.replayed < 120 {
		t.Errorf("only %d fixes were looked at, and %d diagnoses replayed", s.fixes, s.replayed)
	}
}

// TestCorpus diagnoses every case and prints the scoreboard. It fails where a case is not right that does not say why it is open. What is
// found is then held to more: kubectl and the API server take every fix, and what was recorded says the same again, byte for byte - the
// recording of `crashloop diagnose --record`, and the tapes that the bot keeps.
func TestCorpus(t *testing.T) {
	e := engine(t)
	cases := load(t)
	if raced {
		// All of them are diagnosed without the detector, in a tenth of the time. A diagnosis has no goroutine of its own: what the detector looks
		// for is what diagnoses that go on at once share, and these do as well.
		few := cases[:0]
		for i := 0; i < len(cases); i += 4 {
			few = append(few, cases[i])
		}
		cases = few
	}
	board := &score{verdicts: map[string]map[string]int{}}
	t.Cleanup(func() { board.conclude(t, len(cases)) })
	for _, c := range cases {
		t.Run(strings.TrimSuffix(c.file, ".txtar")+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := e.Rule(c.cause); !ok && c.cause != "none" {
				t.Fatalf("the catalogue has no cause %q", c.cause)
			}
			view := openFiles(t, c.files)
			found := diagnoseAll(t, e, view)
			verdict, says := c.judge(found)
			switch {
			case verdict != rightFirst && c.open == "":
				t.Errorf("%s: %s", verdict, says)
			case verdict != rightFirst:
				t.Logf("%s: %s", verdict, says)
			case c.open != "":
				t.Error(`it is right now: take the line "open" away`)
			}
			category, _, _ := strings.Cut(c.cause, ".")
			board.add(category, verdict, checkFixes(t, view, found), replayTapes(t, e, view))
			replayRecording(t, e, view)
		})
	}
}

// judge compares what is found with what is expected.
func (c *crash) judge(found []diagnose.Diagnosis) (verdict, says string) {
	if c.cause == "none" {
		if len(found) == 0 {
			return rightFirst, ""
		}
		return wrongCertain, fmt.Sprintf("nothing is wrong, and it says %s: %s", found[0].Cause, found[0].Summary)
	}
	i := slices.IndexFunc(found, func(d diagnose.Diagnosis) bool {
		return (c.workload == "" || d.Subject.Workload == c.workload) && (c.container == "" || d.Subject.Container == c.container)
	})
	if i < 0 {
		return abstained, "nothing was found"
	}
	d := found[i]
	right := d.Cause == c.cause || slices.Contains(c.also, d.Cause)
	says = fmt.Sprintf("want %s, got %s (%s) %q root %q", c.cause, d.Cause, d.Confidence, d.Summary, d.Root)
	inThree := slices.ContainsFunc(d.Alternatives[:min(2, len(d.Alternatives))], func(a diagnose.Alternative) bool { return a.Cause == c.cause })
	switch {
	case right && c.likely && d.Confidence == diagnose.Certain:
		return wrongCertain, "it is called certain, which the evidence does not prove"
	case right && c.hasRoot && d.Root != c.root:
		return wrongRoot, fmt.Sprintf("want root %q, got %q", c.root, d.Root)
	case right:
		for _, s := range c.says {
			if !strings.Contains(d.Summary, s) {
				return wrongWords, fmt.Sprintf("the summary lacks %q: %q", s, d.Summary)
			}
		}
		return rightFirst, ""
	case d.Confidence == diagnose.Certain:
		return wrongCertain, says
	case inThree:
		return rightInThree, says
	case d.Cause == "app.exit-code" || d.Cause == "":
		return abstained, says
	}
	return wrong, says
}

// checkFixes holds every fix to what kubectl and the API server take, and counts them.
func checkFixes(t *testing.T, view diagnose.View, found []diagnose.Diagnosis) int {
	t.Helper()
	containers, err := fixtest.Containers(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	fixes := 0
	for _, d := range found {
		fixes += len(d.Fixes)
		for _, problem := range fixtest.Problems(d, containers) {
			t.Error(problem)
		}
	}
	return fixes
}

// replayRecording holds a recording to the diagnoses that it was made with.
func replayRecording(t *testing.T, e *diagnose.Engine, view diagnose.View) {
	t.Helper()
	r := snapshot.Record(view, diagnose.NewRedactor())
	first := diagnoseAll(t, e, r)
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	written := fstest.MapFS{}
	for name, text := range files {
		written[name] = &fstest.MapFile{Data: text}
	}
	again := diagnoseAll(t, e, openFiles(t, written))
	if diff := cmp.Diff(asJSON(t, first...), asJSON(t, again...)); diff != "" {
		t.Errorf("from its recording it says something else (-first +replay):\n%s", diff)
	}
}

func asJSON(t *testing.T, diagnoses ...diagnose.Diagnosis) string {
	t.Helper()
	var out bytes.Buffer
	if err := diagnose.WriteJSON(&out, diagnoses); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
