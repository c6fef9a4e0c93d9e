package corpus

import (
	"bytes"
	"context"
	"flag"
	"hash/fnv"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
	"crashloop/diagnose/reading"
	"crashloop/diagnose/rules"
)

var update = flag.Bool("update", false, "fit the model of last words anew and write it to diagnose/rules/reading.tsv")

// said is what a program of the corpus said last.
type said struct {
	reading.Sample
	also    []string // subjects that serve as well
	program string
}

// lastWords collects what the programs said last whose end their words tell: those of the corpus, those of the rules' own cases, and those of
// testdata/words, of which nothing is kept but the end of the log.
func lastWords(t *testing.T) []said {
	t.Helper()
	words := rules.LastWords()
	heard := map[string]reading.Words{}
	listen := rules.All()[0]
	listen.ID = "app.heard"
	listen.Log, listen.Closing, listen.Last = nil, nil, nil
	listen.Match = func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
		if w := words(c); len(w) > 0 && heard[c.Subject.Workload+c.Subject.Container] == nil {
			heard[c.Subject.Workload+c.Subject.Container] = w
		}
		return nil
	}
	e, err := diagnose.New([]diagnose.Rule{listen}, diagnose.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []said
	for _, c := range slices.Concat(load(t), onlyWords(t), ofRules(t)) {
		subject := rules.Subject(c.cause)
		if subject == "" {
			continue
		}
		clear(heard)
		view := openFiles(t, c.files)
		for _, d := range diagnoseAll(t, e, view) {
			w := heard[d.Subject.Workload+d.Subject.Container]
			if c.workload != "" && d.Subject.Workload != c.workload || c.container != "" && d.Subject.Container != c.container || w == nil {
				continue
			}
			s := said{Sample: reading.Sample{Words: w, Subject: subject}, program: programOf(view, d.Subject, c.name)}
			for _, cause := range c.also {
				s.also = append(s.also, rules.Subject(cause))
			}
			out = append(out, s)
			break
		}
	}
	return out
}

// onlyWords reads testdata/words: files named cause|cause/exit code/program-number, each the end of a program's log without its stack frames.
func onlyWords(t *testing.T) []*crash {
	t.Helper()
	var out []*crash
	for _, a := range archives(t, "testdata/words/*.txtar") {
		for _, f := range a.files {
			parts := strings.Split(f.Name, "/")
			if len(parts) != 3 {
				t.Fatalf("%s: %q is not of the form cause/exit code/program", a.name, f.Name)
			}
			out = append(out, ended(t, a.name, parts[2], parts[0], parts[1], f.Data))
		}
	}
	return out
}

// ofRules reads what the programs of the rules' own cases said last.
func ofRules(t *testing.T) []*crash {
	t.Helper()
	var out []*crash
	for _, a := range archives(t, "../rules/*.txtar") {
		cause, exit, log := map[string]string{}, map[string]string{}, map[string][]byte{}
		for _, f := range a.files {
			dir, rest, _ := strings.Cut(f.Name, "/")
			switch rest {
			case "want":
				for line := range strings.Lines(string(f.Data)) {
					switch key, value, _ := strings.Cut(line, ":"); key {
					case "cause":
						cause[dir] = strings.TrimSpace(value)
					case "exit":
						exit[dir] = strings.TrimSpace(value)
					}
				}
			case "pod.yaml":
				if m := exitCode.FindSubmatch(f.Data); m != nil && exit[dir] == "" {
					exit[dir] = string(m[1])
				}
			case "previous.log":
				log[dir] = f.Data
			}
		}
		for _, dir := range slices.Sorted(maps.Keys(log)) {
			if cause[dir] != "" && exit[dir] != "" {
				out = append(out, ended(t, a.name, dir, cause[dir], exit[dir], log[dir]))
			}
		}
	}
	return out
}

// ended is the case of a program of which nothing is known but its exit code and the end of its log.
func ended(t *testing.T, file, name, causes, exit string, log []byte) *crash {
	t.Helper()
	c := &crash{file: file, name: name, cause: "", files: fstest.MapFS{
		"snapshot.json": {Data: []byte(`{"now": "` + now + `"}`)},
		"workload.yaml": {Data: []byte("exit: " + exit + "\nran: 3s\n")},
		"previous.log":  {Data: log},
	}}
	c.take(t, "want", []byte("from: its log\ncause: "+causes+"\n"))
	c.finish(t)
	return c
}

// TestReading fits the model of last words to all programs of the corpus but a fifth, asks it about those, and so on for each fifth. It prints how often
// it speaks and is right: what it is worth with programs that it does not know. With -update it writes the model fitted to all.
func TestReading(t *testing.T) {
	if raced {
		t.Skip("a fit is arithmetic of one goroutine, which takes ten minutes under the race detector and one without it: go test without -race runs it")
	}
	all := lastWords(t)
	const parts = 5
	type count struct{ of, spoke, right int }
	board := map[string]*count{}
	for part := range parts {
		var known []reading.Sample
		var unknown []said
		for _, s := range all {
			h := fnv.New32a()
			h.Write([]byte(s.program))
			if int(h.Sum32()%parts) == part {
				unknown = append(unknown, s)
			} else {
				known = append(known, s.Sample)
			}
		}
		m := reading.Fit(known)
		for _, s := range unknown {
			subject, probable := m.Read(s.Words)
			for _, row := range []string{s.Subject, "all"} {
				if board[row] == nil {
					board[row] = &count{}
				}
				board[row].of++
				if probable >= 0.5 {
					board[row].spoke++
					if subject == s.Subject || slices.Contains(s.also, subject) {
						board[row].right++
					}
				}
			}
		}
	}
	for _, row := range slices.Sorted(maps.Keys(board)) {
		b := board[row]
		t.Logf("%-12s of %4d it speaks of %4d, and is right about %4d, %3.0f in 100", row, b.of, b.spoke, b.right, 100*float64(b.right)/float64(max(b.spoke, 1)))
	}
	if b := board["all"]; b.of < 800 || b.right*100 < 80*b.spoke || b.spoke*100 < 60*b.of {
		t.Errorf("of %d unknown programs it speaks of %d and is right about %d", b.of, b.spoke, b.right)
	}
	if *update {
		var samples []reading.Sample
		for _, s := range all {
			samples = append(samples, s.Sample)
		}
		var out bytes.Buffer
		if err := reading.Fit(samples).Write(&out); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("../rules/reading.tsv", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exitCode is the exit code in a pod's status.
var exitCode = regexp.MustCompile(`exitCode: (\d+)`)

// number is what tells several cases of one program apart.
var number = regexp.MustCompile(`-\d+$`)

// programOf names the program that a case is about: its image without registry and tag, or the case itself where that says nothing.
func programOf(view diagnose.View, s diagnose.Subject, name string) string {
	o, err := view.Get(context.Background(), diagnose.Pods, s.Namespace, s.Pod)
	if pod, ok := o.(*corev1.Pod); ok && err == nil {
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			image, _, _ := strings.Cut(path.Base(c.Image), ":")
			if c.Name == s.Container && image != "web" && image != "app" && image != "api" {
				return image
			}
		}
	}
	return number.ReplaceAllString(name, "")
}
