package snapshot

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crashloop/diagnose"
)

const onePod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"}}`

// entry is one entry of an archive.
type entry struct {
	name, text string
	kind       byte
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a bomb has much to pack
	if err != nil {
		t.Fatal(err)
	}
	out := tar.NewWriter(zipped)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.text)), Mode: 0o644}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if e.kind == tar.TypeSymlink || e.kind == tar.TypeLink {
			h.Linkname, h.Size = e.text, 0
		}
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := out.Write([]byte(e.text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(out.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchivesAreRead(t *testing.T) {
	for _, test := range []struct {
		name    string
		entries []entry
	}{
		{"as it is written", []entry{{name: "logs/shop/a/web.log", text: "one\n"}, {name: "pods.json", text: onePod}}},
		{"as tar -C DIR . packs it", []entry{{name: "./", kind: tar.TypeDir}, {name: "./logs/shop/a/web.log", text: "one\n"}, {name: "./pods.json", text: onePod}}},
		{"as tar DIR packs it", []entry{{name: "dump/", kind: tar.TypeDir}, {name: "dump/pods.json", text: onePod}, {name: "dump/logs/shop/a/web.log", text: "one\n"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.tar.gz")
			if err := os.WriteFile(file, archive(t, test.entries...), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(file, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, s, diagnose.Pods, ""); got != "shop/a" {
				t.Errorf("pods %q", got)
			}
			text, err := s.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "a", Container: "web", LimitBytes: 3})
			if err != nil || string(text) != "ne\n" {
				t.Errorf("log %q, %v", text, err)
			}
		})
	}
}

func TestBadArchivesAreRefused(t *testing.T) {
	zeros := string(make([]byte, 1<<20))
	bomb := []entry{{name: "pods.json", text: onePod}}
	for i := range maxArchive>>20 + 1 {
		bomb = append(bomb, entry{name: fmt.Sprintf("logs/shop/a/%d.log", i), text: zeros})
	}
	var crowd []entry
	for i := range maxArchiveFiles + 1 {
		crowd = append(crowd, entry{name: fmt.Sprintf("%d.json", i)})
	}
	whole := archive(t, entry{name: "pods.json", text: strings.Repeat(onePod+"\n", 2000)})
	for _, test := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a way up", archive(t, entry{name: "../etc/passwd", text: "x"}), "no name of a file"},
		{"a way up from within", archive(t, entry{name: "logs/../../x", text: "x"}), "no name of a file"},
		{"an absolute name", archive(t, entry{name: "/etc/passwd", text: "x"}), "no name of a file"},
		{"a backslash", archive(t, entry{name: `logs\..\x`, text: "x"}), "no name of a file"},
		{"a symbolic link", archive(t, entry{name: "pods.json", text: "/etc/passwd", kind: tar.TypeSymlink}), "no plain file"},
		{"a hard link", archive(t, entry{name: "pods.json", text: "/etc/passwd", kind: tar.TypeLink}), "no plain file"},
		{"a device", archive(t, entry{name: "pods.json", kind: tar.TypeChar}), "no plain file"},
		{"a name twice", archive(t, entry{name: "a.json"}, entry{name: "./a.json"}), "twice"},
		{"a file that is a folder", archive(t, entry{name: "a"}, entry{name: "a/b"}), "a file and a folder"},
		{"a folder that is a file", archive(t, entry{name: "a/b"}, entry{name: "a"}), "twice"},
		{"a bomb", archive(t, bomb...), "grow"},
		{"too many files", archive(t, crowd...), "more than"},
		{"cut short", whole[:len(whole)/2], "unpacking"},
		{"no archive", []byte("apiVersion: v1\n"), "no .tar.gz"},
		{"gzip of no archive", gzipped(t, []byte(strings.Repeat("not a tar ", 200))), "unpacking"},
		{"empty", nil, "no .tar.gz"},
		{"a broken document", archive(t, entry{name: "a.json", text: `{"apiVersion": "v1"`}), "a.json, document 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.tar.gz")
			if err := os.WriteFile(file, test.raw, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(file, Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func gzipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzReadArchive feeds any bytes to the unpacking, bare and zipped. What it takes has valid names only, and can be read.
func FuzzReadArchive(f *testing.F) {
	f.Add(archive(f, entry{name: "dump/pods.json", text: onePod}, entry{name: "dump/logs/shop/a/web.log", text: "one\n"}))
	f.Add(archive(f, entry{name: "../x", text: "y"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, in := range [][]byte{raw, gzipped(t, raw)} {
			files, err := ReadArchive(bytes.NewReader(in))
			if err != nil {
				continue
			}
			err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				_, err = fs.ReadFile(files, name)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func symptom() diagnose.Symptom {
	return diagnose.Symptom{Subject: diagnose.Subject{Cluster: "prod", Namespace: "shop", Workload: "Deployment/web", Pod: "web-0", Container: "web"}, Condition: diagnose.CrashLoop, Says: "ended 3 times, password=hunter2hunter2"}
}

// taped reads a namespace through a tape, and packs it.
func taped(t *testing.T, view diagnose.View, limit int) (*Tape, []byte) {
	t.Helper()
	tape := NewTape(view, symptom())
	ctx := t.Context()
	for _, read := range []func() error{
		func() error { _, err := tape.Get(ctx, diagnose.Pods, "shop", "web-0"); return err },
		func() error { _, err := tape.List(ctx, diagnose.Pods, "shop", diagnose.Where{}); return err },
		func() error {
			_, err := tape.Log(ctx, diagnose.LogRequest{Namespace: "shop", Pod: "web-0", Container: "web", Previous: true})
			return err
		},
	} {
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	packed, err := tape.Pack(diagnose.NewRedactor(), limit)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > limit {
		t.Errorf("it takes %d bytes, and may take %d", len(packed), limit)
	}
	return tape, packed
}

func unpacked(t *testing.T, packed []byte) (*Snapshot, []string) {
	t.Helper()
	files, err := ReadArchive(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	s, err := FromFS(files, Options{Notes: func(n string) { notes = append(notes, n) }})
	if err != nil {
		t.Fatal(err)
	}
	return s, notes
}

func TestTape(t *testing.T) {
	of := func(m map[string]string) []string {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(m)) {
			pairs = append(pairs, name, m[name])
		}
		return pairs
	}
	view, _ := open(t, files(of(busyNamespace(150, 2<<20))...))
	for _, test := range []struct {
		name    string
		limit   int
		pods    int
		log     [2]int // at least, at most
		leftOut []string
	}{
		{"with room", 4 << 20, 101, [2]int{2 << 20, 3 << 20}, []string{"49 of 150 pods.json"}},
		{"with little room", 64 << 10, 101, [2]int{100 << 10, 1 << 20}, []string{"49 of 150 pods.json", "bytes of logs/shop/web-0/web.previous.log"}},
		{"with hardly any", 1500, 0, [2]int{1, 32 << 10}, []string{"49 of 150 pods.json", "all of pods.json", "bytes of logs/"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tape, packed := taped(t, view, test.limit)
			if !tape.HasLog() {
				t.Error("there is no log on it")
			}
			s, notes := unpacked(t, packed)
			pods, err := s.List(t.Context(), diagnose.Pods, "shop", diagnose.Where{})
			if err != nil || len(pods) != test.pods {
				t.Errorf("%d pods, %v", len(pods), err)
			}
			text, err := s.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "web-0", Container: "web", Previous: true})
			if err != nil || len(text) < test.log[0] || len(text) > test.log[1] {
				t.Errorf("%d bytes of log, %v", len(text), err)
			}
			for _, want := range test.leftOut {
				if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
					t.Errorf("the notes %q do not say %q", notes, want)
				}
			}
			if len(notes) != len(test.leftOut) {
				t.Errorf("the notes are %q", notes)
			}
			if got := s.Symptoms(); len(got) != 1 || got[0].Subject != symptom().Subject || strings.Contains(got[0].Says, "hunter2") || !strings.HasPrefix(got[0].Says, "ended 3 times") {
				t.Errorf("the symptom is %+v", got)
			}
			again, err := tape.Pack(diagnose.NewRedactor(), test.limit)
			if err != nil || !bytes.Equal(again, packed) {
				t.Errorf("packed again it is another archive (%v)", err)
			}
		})
	}
}

// What somebody may not read is forbidden in their copy, not missing.
func TestWithout(t *testing.T) {
	whole, _ := open(t, files(
		"a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: db, namespace: data}\n---\n"+
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n",
		"logs/shop/web/web.log", "one\n", "logs/data/db/db.log", "two\n",
		"snapshot.json", `{"now":"2026-01-01T00:00:00Z","failed":[{"verb":"get","kind":"Pod","namespace":"data","name":"x","is":"not found","error":"no x"},{"verb":"get","kind":"Pod","namespace":"shop","name":"y","is":"not found","error":"no y"},`+
			`{"verb":"get","kind":"StatefulSet.apps","namespace":"vault","name":"z","is":"not found","error":"no z"},{"verb":"log","namespace":"vault","name":"z-0","container":"z","is":"gone","error":"gone"},`+
			`{"verb":"get","kind":"Secret","namespace":"shop","name":"w","is":"forbidden","error":"no"}],"symptoms":[{"subject":{"namespace":"shop"}}],`+
			`"leftOut":["3 of 5 pods.json","the first 7 bytes of logs/data/db/db.log","the first 9 bytes of logs/shop/web/web.log"]}`))
	parts, err := whole.Parts()
	if err != nil {
		t.Fatal(err)
	}
	var hide []Part
	var said []string
	for _, p := range parts {
		what := p.Kind.Kind + " " + p.Namespace
		said = append(said, what)
		if p.Namespace == "data" || p.Namespace == "vault" || p.Kind == diagnose.Nodes {
			hide = append(hide, p)
		}
	}
	if want := []string{"Node ", " data", "Pod data", " shop", "ConfigMap shop", "Pod shop", " vault", "StatefulSet vault"}; !slices.Equal(said, want) {
		t.Errorf("the parts are %q", said)
	}
	copied, err := whole.Without(hide)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range copied {
		if strings.Contains(name, "data") || strings.Contains(string(text), "db") || strings.Contains(string(text), "no x") || strings.Contains(string(text), "no z") || strings.Contains(string(text), "z-0") || strings.Contains(string(text), "node-1") {
			t.Errorf("%s still holds what is hidden: %s", name, text)
		}
	}
	if got, want := whole.LeftOut(hide), []string{"3 of 5 pods.json", "the first 9 bytes of logs/shop/web/web.log"}; !slices.Equal(got, want) || !strings.Contains(string(copied["snapshot.json"]), want[1]) {
		t.Errorf("what was left out is %q and in %s", got, copied["snapshot.json"])
	}
	packed, err := Pack(copied, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := unpacked(t, packed)
	ctx := context.Background()
	if got := names(t, s, diagnose.Pods, ""); got != "shop/web" {
		t.Errorf("pods %q", got)
	}
	for what, err := range map[string]error{
		"get a pod":              second(s.Get(ctx, diagnose.Pods, "data", "db")),
		"list pods":              second(s.List(ctx, diagnose.Pods, "data", diagnose.Where{})),
		"read a log":             second(s.Log(ctx, diagnose.LogRequest{Namespace: "data", Pod: "db", Container: "db"})),
		"get a node":             second(s.Get(ctx, diagnose.Nodes, "", "node-1")),
		"get what was not there": second(s.Get(ctx, diagnose.StatefulSets, "vault", "z")),
		"list a kind":            second(s.List(ctx, diagnose.Nodes, "", diagnose.Where{})),
	} {
		if !errors.Is(err, diagnose.ErrForbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if text, err := s.Log(ctx, diagnose.LogRequest{Namespace: "shop", Pod: "web", Container: "web"}); err != nil || string(text) != "one\n" {
		t.Errorf("a log that is not hidden: %q, %v", text, err)
	}
	if _, err := s.Get(ctx, diagnose.Pods, "shop", "y"); !errors.Is(err, diagnose.ErrNotFound) || err.Error() != "no y" {
		t.Errorf("a read that failed: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
