package rules_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/tools/txtar"

	"crashloop/diagnose"
	"crashloop/diagnose/rules"
	"crashloop/diagnose/snapshot"
)

// testCase is one folder of a txtar: a snapshot and what its diagnosis must be.
type testCase struct {
	file, name string
	want       map[string][]string
	files      fstest.MapFS
}

// loadCases reads every txtar beside the rules.
//
// In a txtar, the files of a case stand in its folder; those in "common/" belong to every case of that txtar that has no file of the same name. Besides the
// snapshot's own files a case may have "previous.log" and "current.log", for the standard pod, and "want", lines of "key: value":
//
//	cause, confidence, root     the exact value ("root:" with nothing is the subject itself)
//	summary, evidence, fix, change, gap, alternative, excerpt   a part of it; may stand several times; "change: none" when none is to be named
//	change-object, change-at    whose change it is, and when
//	no-fix                      a part of a fix that must not be offered
//	chain                       objects that stand in the chain in this order
//	exit, reason                how the standard pod's container ended; without them and without a Pod there is no standard pod
//	pod, container              which pod is looked at, when there are several that fail
//	workload                    whose the pod is, where the objects do not tell
//	from                        where the texts were seen
func loadCases(t testing.TB) []testCase {
	t.Helper()
	return loadCasesOf(t, "*.txtar")
}

func loadCasesOf(t testing.TB, pattern string) []testCase {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no txtar files: %v", err)
	}
	standard, err := os.ReadFile("testdata/standard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out []testCase
	for _, file := range names {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases := map[string]*testCase{}
		common := fstest.MapFS{}
		var order []string
		for _, f := range archive.Files {
			dir, rest, ok := strings.Cut(f.Name, "/")
			if !ok {
				t.Fatalf("%s: file %q stands in no case", file, f.Name)
			}
			if dir == "common" {
				common[rest] = &fstest.MapFile{Data: f.Data}
				continue
			}
			c := cases[dir]
			if c == nil {
				c = &testCase{file: file, name: dir, want: map[string][]string{}, files: fstest.MapFS{}}
				cases[dir] = c
				order = append(order, dir)
			}
			if rest != "want" {
				c.files[rest] = &fstest.MapFile{Data: f.Data}
				continue
			}
			for line := range strings.Lines(string(f.Data)) {
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				k, v, ok := strings.Cut(line, ":")
				if !ok {
					t.Fatalf("%s: %s: %q is no \"key: value\"", file, dir, line)
				}
				c.want[k] = append(c.want[k], strings.TrimSpace(v))
			}
		}
		for _, name := range order {
			c := cases[name]
			for k, f := range common {
				if c.files[k] == nil {
					c.files[k] = f
				}
			}
			for short, long := range map[string]string{"previous.log": "web.previous.log", "current.log": "web.log"} {
				if f := c.files[short]; f != nil {
					delete(c.files, short)
					c.files["logs/shop/web-7d4b9c5f6d-x2x7k/"+long] = f
				}
			}
			if exit := c.want["exit"]; exit != nil {
				reason := "Error"
				if c.want["reason"] != nil {
					reason = c.want["reason"][0]
				}
				text := strings.NewReplacer("EXIT", exit[0], "REASON", reason).Replace(string(standard))
				if c.files["pod.yaml"] != nil { // the case's own pod of the standard workload
					text = text[:strings.LastIndex(text, "\n---\n")]
				}
				c.files["zz-standard.yaml"] = &fstest.MapFile{Data: []byte(text)}
			}
			if c.files["snapshot.json"] == nil {
				c.files["snapshot.json"] = &fstest.MapFile{Data: []byte(`{"now": "2026-03-01T10:00:00Z"}`)}
			}
			out = append(out, *c)
		}
	}
	return out
}

// open makes the view of a case and picks what is looked at: the pod that the case names, or the one that fails.
func (tc testCase) open(t testing.TB) (diagnose.View, diagnose.Symptom) {
	t.Helper()
	view, err := snapshot.FromFS(fs.FS(tc.files), snapshot.Options{Cluster: "test"})
	if err != nil {
		t.Fatalf("reading the case: %v", err)
	}
	if s := tc.want["subject"]; s != nil { // namespace Kind/name: a workload without pods
		ns, workload, _ := strings.Cut(s[0], " ")
		return view, diagnose.Symptom{Condition: diagnose.CannotCreate, Subject: diagnose.Subject{Cluster: "test", Namespace: ns, Workload: workload}}
	}
	ctx := context.Background()
	objects, err := view.List(ctx, diagnose.Pods, "", diagnose.Where{})
	if err != nil {
		t.Fatal(err)
	}
	symptom, best := diagnose.Symptom{}, -1
	for _, o := range objects {
		p := o.(*corev1.Pod)
		if w := tc.want["pod"]; w != nil && p.Name != w[0] || tc.want["pod"] == nil && p.Name != "web-7d4b9c5f6d-x2x7k" && slices.ContainsFunc(objects, func(o diagnose.Object) bool { return o.GetName() == "web-7d4b9c5f6d-x2x7k" }) {
			continue
		}
		for _, c := range diagnose.RecordPod(p).Containers {
			if w := tc.want["container"]; w != nil && c.Name != w[0] {
				continue
			}
			bad := 0
			switch {
			case c.Last != nil || c.State == diagnose.Terminated && c.ExitCode != 0:
				bad = 3
			case c.State == diagnose.Waiting && c.Reason != "PodInitializing":
				bad = 2
			case c.State != diagnose.Running:
				bad = 1
			}
			if bad > best {
				best = bad
				condition := diagnose.CrashLoop
				if c.Last == nil {
					condition = diagnose.CannotStart
				}
				symptom = diagnose.Symptom{Condition: condition, Subject: diagnose.Subject{
					Cluster: "test", Namespace: p.Namespace, Workload: workloadOf(ctx, view, p), Pod: p.Name, Container: c.Name, ContainerType: c.Type,
				}}
			}
		}
	}
	if best < 0 {
		t.Fatal("the case has no pod that fails")
	}
	if w := tc.want["workload"]; w != nil {
		symptom.Subject.Workload = w[0]
	}
	return view, symptom
}

func workloadOf(ctx context.Context, view diagnose.View, p *corev1.Pod) string {
	kind, name := "Pod", p.Name
	owner := metav1.GetControllerOf(p)
	for owner != nil && slices.ContainsFunc(diagnose.Kinds(), func(k diagnose.Kind) bool { return k.Kind == owner.Kind }) {
		kind, name = owner.Kind, owner.Name
		var up *metav1.OwnerReference
		for _, k := range diagnose.Kinds() {
			if k.Kind != owner.Kind {
				continue
			}
			if o, err := view.Get(ctx, k, p.Namespace, owner.Name); err == nil {
				up = metav1.GetControllerOf(o)
			}
		}
		owner = up
	}
	return kind + "/" + name
}

func newEngine(t testing.TB) *diagnose.Engine {
	t.Helper()
	e, err := diagnose.New(rules.All(), diagnose.Options{Redact: diagnose.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCases runs the whole catalogue on every case and asserts the winner.
func TestCases(t *testing.T) {
	engine := newEngine(t)
	for _, tc := range loadCases(t) {
		t.Run(tc.file+"/"+tc.name, func(t *testing.T) {
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
			id := strings.TrimSuffix(tc.file, ".txtar")
			if own := d.Cause == id; own != strings.HasPrefix(tc.name, "match-") {
				t.Errorf("cause is %s in a case named %s", d.Cause, tc.name)
			}
		})
	}
}

// problems compares a diagnosis with what the case wants of it.
func (tc testCase) problems(d diagnose.Diagnosis) []string {
	var out []string
	exact := func(key, got string) {
		if w := tc.want[key]; w != nil && w[0] != got {
			out = append(out, fmt.Sprintf("%s is %q, want %q", key, got, w[0]))
		}
	}
	if tc.want["cause"] == nil {
		out = append(out, "the case does not say which cause it wants")
	}
	exact("cause", d.Cause)
	exact("confidence", string(d.Confidence))
	exact("root", d.Root)
	part := func(key string, texts ...string) {
		for _, w := range tc.want[key] {
			if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, w) }) {
				out = append(out, fmt.Sprintf("%s lacks %q in %q", key, w, texts))
			}
		}
	}
	part("summary", d.Summary)
	var evidence, fixes, alternatives, objects, excerpt []string
	for _, e := range d.Evidence {
		evidence = append(evidence, e.Source+": "+e.Text)
	}
	for _, f := range d.Fixes {
		fixes = append(fixes, f.Title+"\n"+f.Command+"\n"+f.Patch)
	}
	for _, a := range d.Alternatives {
		alternatives = append(alternatives, a.Cause+": "+a.Says)
	}
	for _, l := range d.Excerpt.Lines {
		excerpt = append(excerpt, l.Text)
	}
	part("evidence", evidence...)
	part("fix", fixes...)
	part("gap", d.Gaps...)
	part("alternative", alternatives...)
	part("excerpt", excerpt...)
	for _, w := range tc.want["no-fix"] {
		if slices.ContainsFunc(fixes, func(f string) bool { return strings.Contains(f, w) }) {
			out = append(out, fmt.Sprintf("a fix holds %q: %q", w, fixes))
		}
	}
	if w := tc.want["change"]; w != nil && (w[0] == "none") != (d.Change == nil) {
		out = append(out, fmt.Sprintf("change is %+v, want %q", d.Change, w))
	} else if d.Change != nil {
		part("change", d.Change.Says)
		exact("change-object", d.Change.Object)
		exact("change-at", d.Change.At.Format(time.RFC3339))
	}
	for _, l := range d.Chain {
		objects = append(objects, l.Object)
	}
	at := 0
	for _, w := range tc.want["chain"] {
		i := slices.Index(objects[min(at, len(objects)):], w)
		if i < 0 {
			out = append(out, fmt.Sprintf("chain %v lacks %s after place %d", objects, w, at))
			break
		}
		at += i + 1
	}
	return out
}

// TestEveryRuleHasCases fails for a rule without a match and a near-miss case, and for cases without a rule.
func TestEveryRuleHasCases(t *testing.T) {
	match, miss := map[string]int{}, map[string]int{}
	for _, tc := range loadCases(t) {
		id := strings.TrimSuffix(tc.file, ".txtar")
		switch {
		case strings.HasPrefix(tc.name, "match-"):
			match[id]++
		case strings.HasPrefix(tc.name, "miss-"):
			miss[id]++
		default:
			t.Errorf("%s: case %q begins with neither match- nor miss-", tc.file, tc.name)
		}
	}
	for _, r := range rules.All() {
		if match[r.ID] == 0 || miss[r.ID] == 0 {
			t.Errorf("%s: %d match and %d near-miss cases, want at least one of each", r.ID, match[r.ID], miss[r.ID])
		}
		delete(match, r.ID)
		delete(miss, r.ID)
	}
	for id := range match {
		t.Errorf("%s.txtar: no rule has that id", id)
	}
}
