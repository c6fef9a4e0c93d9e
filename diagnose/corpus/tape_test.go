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

// replayTapes diagnoses as the bot does, through a tape each, and again from what the tape packed: the same answer. It counts them.
func replayTapes(t *testing.T, e *diagnose.Engine, view diagnose.View) int {
	t.Helper()
	symptoms := find(t, view)
	for _, s := range symptoms {
		tape, first := record(t, e, view, s)
		again, leftOut := replay(t, e, tape)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s: from its tape it says something else (-first +replay):\n%s", s.Subject.Key(), diff)
		}
		if len(leftOut) > 0 {
			t.Errorf("%s: something was left out: %q", s.Subject.Key(), leftOut)
		}
	}
	return len(symptoms)
}

// record diagnoses through a tape, and gives the tape and the JSON.
func record(t *testing.T, e *diagnose.Engine, view diagnose.View, s diagnose.Symptom) (*snapshot.Tape, string) {
	t.Helper()
	tape := snapshot.NewTape(view, s)
	d, err := e.Diagnose(t.Context(), tape, s)
	if err != nil {
		t.Fatal(err)
	}
	return tape, asJSON(t, d)
}

// taped diagnoses through tapes, as the bot does, and returns the files that they pack.
func taped(t *testing.T, e *diagnose.Engine, view diagnose.View) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for i, s := range find(t, view) {
		tape, _ := record(t, e, view, s)
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
	return asJSON(t, d), notes
}
