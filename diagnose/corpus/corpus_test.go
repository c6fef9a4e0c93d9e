package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"crashloop/diagnose"
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

func load(t *testing.T) []*crash {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var out []*crash
	for _, file := range names {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]*crash{}
		for _, f := range archive.Files {
			dir, rest, ok := strings.Cut(f.Name, "/")
			if !ok {
				t.Fatalf("%s: file %q stands in no folder", file, f.Name)
			}
			c := byName[dir]
			if c == nil {
				c = &crash{file: filepath.Base(file), name: dir, files: fstest.MapFS{"snapshot.json": {Data: []byte(`{"now": "` + now + `"}`)}}}
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
func (c *crash) finish(t *testing.T) {
	t.Helper()
	if c.cause == "" || c.from == "" {
		t.Fatalf("%s: %s: a case says its cause, and where its facts come from", c.file, c.name)
	}
	f := c.files["workload.yaml"]
	if f == nil {
		return
	}
	text := expand(t, f.Data)
	c.files["workload.yaml"] = &fstest.MapFile{Data: text}
	s, err := snapshot.FromFS(c.files, snapshot.Options{})
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", c.file, c.name, err, text)
	}
	pods, err := s.List(t.Context(), diagnose.Pods, "", diagnose.Where{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range pods {
		if o.GetUID() != "pod-1" {
			continue
		}
		container := o.GetLabels()["app"]
		if bytes.Contains(text, []byte("initContainerStatuses")) {
			container = "init"
		}
		for short, suffix := range map[string]string{"previous.log": ".previous.log", "current.log": ".log"} {
			if log := c.files[short]; log != nil {
				delete(c.files, short)
				c.files["logs/"+o.GetNamespace()+"/"+o.GetName()+"/"+container+suffix] = log
			}
		}
	}
}

func engine(t *testing.T) *diagnose.Engine {
	t.Helper()
	e, err := diagnose.New(rules.All(), diagnose.Options{Redact: diagnose.NewRedactor().Redact})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// diagnoseAll is what `crashloop diagnose` does with a View.
func diagnoseAll(t *testing.T, e *diagnose.Engine, view diagnose.View) []diagnose.Diagnosis {
	t.Helper()
	ctx := context.Background()
	symptoms, err := diagnose.Find(ctx, view, diagnose.Scope{}, diagnose.DefaultThresholds())
	if err != nil {
		t.Fatal(err)
	}
	var out []diagnose.Diagnosis
	for _, s := range symptoms {
		d, err := e.Diagnose(ctx, view, s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func openFiles(t *testing.T, files fs.FS) *snapshot.Snapshot {
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
	missing      = "not in the catalogue yet"
)

// score is the board: how many cases of a category got which verdict.
type score map[string]map[string]int

func (s score) add(category, verdict string) {
	for _, c := range []string{category, "all"} {
		if s[c] == nil {
			s[c] = map[string]int{}
		}
		s[c][verdict]++
	}
}

func (s score) log(t *testing.T) {
	verdicts := []string{rightFirst, rightInThree, wrongRoot, wrongWords, abstained, wrong, wrongCertain, missing}
	categories := make([]string, 0, len(s))
	for c := range s {
		categories = append(categories, c)
	}
	slices.Sort(categories)
	for _, c := range categories {
		var parts []string
		for _, v := range verdicts {
			if n := s[c][v]; n > 0 {
				parts = append(parts, fmt.Sprintf("%s %d", v, n))
			}
		}
		t.Logf("%-16s %s", c, strings.Join(parts, ", "))
	}
}

// TestCorpus prints the scoreboard. It fails where a case is not right that does not say why it is open, and when fewer cases of the
// catalogue's own causes are right than were before.
func TestCorpus(t *testing.T) {
	e := engine(t)
	board := score{}
	for _, c := range load(t) {
		t.Run(strings.TrimSuffix(c.file, ".txtar")+"/"+c.name, func(t *testing.T) {
			category, _, _ := strings.Cut(c.cause, ".")
			verdict, says := c.judge(t, e)
			board.add(category, verdict)
			switch {
			case verdict != rightFirst && verdict != missing && c.open == "":
				t.Errorf("%s: %s", verdict, says)
			case verdict == rightFirst && c.open != "":
				t.Logf("it is right now: take the line \"open\" away")
			case verdict == rightFirst:
			default:
				t.Logf("%s: %s", verdict, says)
			}
		})
	}
	board.log(t)
	all := board["all"]
	known := 0
	for verdict, n := range all {
		if verdict != missing {
			known += n
		}
	}
	if all[rightFirst]*100 < floor*known {
		t.Errorf("%d of %d cases are right first, fewer than %d in 100", all[rightFirst], known, floor)
	}
}

// floor is how many of 100 cases whose cause the catalogue has must be right first. It only ever rises.
const floor = 97

// judge compares what is found with what is expected.
func (c *crash) judge(t *testing.T, e *diagnose.Engine) (verdict, says string) {
	found := diagnoseAll(t, e, openFiles(t, c.files))
	if c.cause == "none" {
		if len(found) == 0 {
			return rightFirst, ""
		}
		return wrongCertain, fmt.Sprintf("nothing is wrong, and it says %s: %s", found[0].Cause, found[0].Summary)
	}
	if _, ok := e.Rule(c.cause); !ok {
		says = missing + "; "
	}
	found = slices.DeleteFunc(found, func(d diagnose.Diagnosis) bool {
		return c.workload != "" && d.Subject.Workload != c.workload || c.container != "" && d.Subject.Container != c.container
	})
	if len(found) == 0 {
		if says != "" {
			return missing, says + "nothing was found"
		}
		return abstained, "nothing was found"
	}
	d := found[0]
	if slices.Contains(c.also, d.Cause) {
		c.cause = d.Cause
	}
	says += fmt.Sprintf("want %s, got %s (%s) %q root %q", c.cause, d.Cause, d.Confidence, d.Summary, d.Root)
	inThree := slices.ContainsFunc(d.Alternatives[:min(2, len(d.Alternatives))], func(a diagnose.Alternative) bool { return a.Cause == c.cause })
	switch {
	case d.Cause == c.cause && c.likely && d.Confidence == diagnose.Certain:
		return wrongCertain, "it is called certain, which the evidence does not prove"
	case d.Cause == c.cause && c.hasRoot && d.Root != c.root:
		return wrongRoot, fmt.Sprintf("want root %q, got %q", c.root, d.Root)
	case d.Cause == c.cause:
		for _, s := range c.says {
			if !strings.Contains(d.Summary, s) {
				return wrongWords, fmt.Sprintf("the summary lacks %q: %q", s, d.Summary)
			}
		}
		return rightFirst, ""
	case strings.HasPrefix(says, missing):
		return missing, says
	case d.Confidence == diagnose.Certain:
		return wrongCertain, says
	case inThree:
		return rightInThree, says
	case d.Cause == "app.exit-code" || d.Cause == "":
		return abstained, says
	}
	return wrong, says
}

// TestReplay holds each recording to the diagnosis that it was made with, byte for byte.
func TestReplay(t *testing.T) {
	e := engine(t)
	for _, c := range load(t) {
		t.Run(strings.TrimSuffix(c.file, ".txtar")+"/"+c.name, func(t *testing.T) {
			r := snapshot.Record(openFiles(t, c.files), diagnose.NewRedactor())
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
			if diff := cmp.Diff(asJSON(t, first), asJSON(t, again)); diff != "" {
				t.Errorf("replayed, it says something else:\n%s", diff)
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
