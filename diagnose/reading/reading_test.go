package reading_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"crashloop/diagnose/reading"
)

func words(text string) reading.Words {
	w := reading.Words{}
	for word := range strings.FieldsSeq(text) {
		w.Add(word, 1)
	}
	return w
}

// fitted is a model of two subjects that share some of their words.
func fitted() *reading.Model {
	var samples []reading.Sample
	for _, s := range []struct{ subject, text string }{
		{"config", "the setting is invalid"}, {"config", "unknown setting in file"}, {"config", "invalid file"}, {"config", "setting unknown"},
		{"data", "the journal is corrupt"}, {"data", "corrupt journal in file"}, {"data", "journal of an older version"}, {"data", "version of journal is older"},
	} {
		samples = append(samples, reading.Sample{Words: words(s.text), Subject: s.subject})
	}
	return reading.Fit(samples)
}

func TestRead(t *testing.T) {
	m := fitted()
	for _, tc := range []struct {
		name, text, want string
		atLeast, atMost  float64
	}{
		{"words of one subject", "invalid setting", "config", 0.8, 1},
		{"words of the other", "the journal is older", "data", 0.8, 1},
		{"words of both", "setting journal", "", 0, 0.9},
		{"words of none", "moon", "", 0, 0.75},
		{"no words", "", "", 0, 0.75},
	} {
		t.Run(tc.name, func(t *testing.T) {
			subject, p := m.Read(words(tc.text))
			if tc.want != "" && subject != tc.want || p < tc.atLeast || p > tc.atMost {
				t.Errorf("got %q with %.2f, want %q with %.2f to %.2f", subject, p, tc.want, tc.atLeast, tc.atMost)
			}
		})
	}
	if for1, against := m.Speaks(words("setting"), "config"), m.Speaks(words("journal"), "config"); for1 <= 0 || against >= 0 {
		t.Errorf("a word of its own speaks %.2f for a subject, and one of another's %.2f", for1, against)
	}
}

// TestFitAgain holds the same samples to the same model, to the last digit.
func TestFitAgain(t *testing.T) {
	var first, again bytes.Buffer
	for _, to := range []*bytes.Buffer{&first, &again} {
		if err := fitted().Write(to); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first.String(), again.String()); diff != "" {
		t.Errorf("the second differs (-first +second):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	var out bytes.Buffer
	m := fitted()
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	read, err := reading.Parse(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"invalid setting", "older journal", "file"} {
		subject, p := m.Read(words(text))
		again, q := read.Read(words(text))
		if subject != again || fmt.Sprintf("%.6f", p) != fmt.Sprintf("%.6f", q) {
			t.Errorf("%q: was %s with %.6f, is %s with %.6f", text, subject, p, again, q)
		}
	}
	for _, tc := range []struct{ name, text, want string }{
		{"no weight", "journal\tdata", `line 1 of a model: "data" is no subject with a weight`},
		{"no number", "file\tdata 3\njournal\tdata x", `line 2 of a model: "data x"`},
		{"a stem twice", "file\tdata 3\nfile\tdata 4", `line 2 of a model: the stem "file"`},
		{"no stem", "\tdata 3", `line 1 of a model: the stem ""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := reading.Parse(strings.NewReader(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
