package evidence

import (
	"fmt"
	"testing"
	"time"

	"crashloop/diagnose"
)

func TestWhatIsKept(t *testing.T) {
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(after time.Duration, cause string, log bool, c diagnose.Confidence) Recording {
		return Recording{Incident: "i", At: start.Add(after), Cause: cause, Log: log, Confidence: c, Size: 10}
	}
	const certain, likely = diagnose.Certain, diagnose.Likely
	first := at(0, "a", true, likely)
	for _, test := range []struct {
		name string
		have []Recording
		next Recording
		want string
	}{
		{"the first", nil, first, "add"},
		{"the same seconds later", []Recording{first}, at(2*time.Second, "a", true, likely), "no"},
		{"surer seconds later", []Recording{first}, at(10*time.Second, "a", true, certain), "instead of 0"},
		{"another cause, as sure, seconds later", []Recording{first}, at(10*time.Second, "b", true, likely), "instead of 0"},
		{"less sure seconds later", []Recording{at(0, "a", true, certain)}, at(10*time.Second, "b", true, likely), "no"},
		{"a log seconds later", []Recording{at(0, "a", false, certain)}, at(2*time.Second, "b", true, likely), "instead of 0"},
		{"the log gone seconds later", []Recording{first}, at(45*time.Second, "a", false, certain), "no"},
		{"another cause later", []Recording{first}, at(5*time.Minute, "b", false, likely), "add"},
		{"the same within half an hour", []Recording{first}, at(29*time.Minute, "a", true, certain), "no"},
		{"the same after half an hour", []Recording{first}, at(30*time.Minute, "a", true, likely), "add"},
		{"the same once more", []Recording{first, at(30*time.Minute, "a", true, likely)}, at(time.Hour, "a", true, likely), "instead of 1"},
		{"without the log, much later", []Recording{first}, at(3*time.Hour, "a", false, likely), "no"},
		{"a change, and the same again", []Recording{first, at(30*time.Minute, "b", true, likely)}, at(2*time.Hour, "b", true, likely), "add"},
		{"to and fro", []Recording{first, at(10*time.Minute, "b", true, likely), at(11*time.Minute, "a", true, likely)}, at(12*time.Minute, "b", true, likely), "no"},
		{"to and fro, in time", []Recording{first, at(10*time.Minute, "b", true, likely), at(11*time.Minute, "a", true, likely)}, at(16*time.Minute, "b", true, likely), "add"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := "no"
			switch c := judge(test.have, test.next); {
			case c.take && c.replace >= 0:
				got = fmt.Sprintf("instead of %d", c.replace)
			case c.take:
				got = "add"
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatHasToGo(t *testing.T) {
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	rs := func(incident string, sizes ...int) []Recording {
		var all []Recording
		for i, size := range sizes {
			all = append(all, Recording{Incident: incident, Number: i + 1, At: start.Add(time.Duration(i) * time.Minute), Size: size})
		}
		return all
	}
	names := func(all []Recording) string {
		out := ""
		for _, r := range all {
			out += r.key()[len(keyPrefix):] + " "
		}
		return out
	}
	for _, test := range []struct {
		have  []Recording
		limit int
		want  string
	}{
		{rs("i", 10, 10, 10, 10), 40, ""},
		{rs("i", 10, 10, 10, 10, 10), 100, "i/2 "},
		{rs("i", 10, 10, 10, 10), 25, "i/2 i/3 "},
		{rs("i", 30, 30), 40, "i/2 "},
		{rs("i", 50), 40, ""},
	} {
		if got := names(surplus(test.have, test.limit)); got != test.want {
			t.Errorf("of %d recordings with a limit of %d go %q, want %q", len(test.have), test.limit, got, test.want)
		}
	}
	all := map[string][]Recording{"a": rs("a", 10, 10, 10), "b": rs("b", 10), "c": rs("c", 10)}
	for limit, want := range map[int]string{50: "", 49: "a/2 ", 40: "a/2 ", 39: "a/2 a/1 ", 29: "a/2 a/1 b/1 ", 0: "a/2 a/1 b/1 c/1 a/3 "} {
		if got := names(excess(all, limit)); got != want {
			t.Errorf("with room for %d go %q, want %q", limit, got, want)
		}
	}
}
