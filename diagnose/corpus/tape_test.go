package corpus

import (
	"bytes"
	"fmt"
	"io/fs"
	"testing"

	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"

	"github.com/google/go-cmp/cmp"
)

// TestTapesReplay diagnoses every case as the bot does, through a tape, and again from what the tape packed: the same answer, byte for byte.
func TestTapesReplay(t *testing.T) {
	e := engine(t)
	replayed := 0
	for _, c := range load(t) {
		view := openFiles(t, c.files)
		symptoms, err := diagnose.Find(t.Context(), view, diagnose.Scope{}, diagnose.DefaultThresholds())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range symptoms {
			tape := snapshot.NewTape(view, s)
			first, err := e.Diagnose(t.Context(), tape, s)
			if err != nil {
				t.Fatal(err)
			}
			again, leftOut := replay(t, e, tape)
			if diff := cmp.Diff(jsonOf(t, first), again); diff != "" {
				t.Errorf("%s/%s, %s: the replay says something else (-first +replay):\n%s", c.file, c.name, s.Subject.Key(), diff)
			}
			if len(leftOut) > 0 {
				t.Errorf("%s/%s: something was left out: %q", c.file, c.name, leftOut)
			}
			replayed++
		}
	}
	if replayed < 120 {
		t.Errorf("only %d diagnoses were replayed", replayed)
	}
}

// taped diagnoses through tapes, as the bot does, and returns the files that they pack.
func taped(t *testing.T, e *diagnose.Engine, view diagnose.View) map[string][]byte {
	t.Helper()
	symptoms, err := diagnose.Find(t.Context(), view, diagnose.Scope{}, diagnose.DefaultThresholds())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for i, s := range symptoms {
		tape := snapshot.NewTape(view, s)
		if _, err := e.Diagnose(t.Context(), tape, s); err != nil {
			t.Fatal(err)
		}
		files := unpack(t, tape)
		err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				all[fmt.Sprintf("%d/%s", i, name)], err = fs.ReadFile(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		t.Fatal("nothing was taped")
	}
	return all
}

func unpack(t *testing.T, tape *snapshot.Tape) fs.FS {
	t.Helper()
	packed, err := tape.Pack(diagnose.NewRedactor(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	files, err := snapshot.ReadArchive(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// replay diagnoses from what a tape packs, and returns the JSON and the notes.
func replay(t *testing.T, e *diagnose.Engine, tape *snapshot.Tape) (string, []string) {
	t.Helper()
	var notes []string
	s, err := snapshot.FromFS(unpack(t, tape), snapshot.Options{Notes: func(n string) { notes = append(notes, n) }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Diagnose(t.Context(), s, s.Symptoms()[0])
	if err != nil {
		t.Fatal(err)
	}
	return jsonOf(t, d), notes
}

func jsonOf(t *testing.T, d diagnose.Diagnosis) string {
	t.Helper()
	var out bytes.Buffer
	if err := diagnose.WriteJSON(&out, []diagnose.Diagnosis{d}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
