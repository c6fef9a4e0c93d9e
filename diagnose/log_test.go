package diagnose

import "testing"

// A label that a tool puts before each line is no part of what the program says; a level, or a word that only some lines begin with, is.
func TestLogLabel(t *testing.T) {
	for _, test := range []struct{ name, log, first string }{
		{"a container's name in brackets", "[manager] starting\n[manager]\n[manager] panic: oops\n", "starting"},
		{"a compose project's", "web-1  | starting\nweb-1  | at\nweb-1  | once\n", "starting"},
		{"a level", "[info] starting\n[info] still\n[info] done\n", "[info] starting"},
		{"not on each line", "[manager] starting\nplain\n[manager] done\n", "[manager] starting"},
		{"too short to tell", "[manager] starting\n[manager] done\n", "[manager] starting"},
		{"only once per line", "[ab] [ab] x\n[ab] y\n[ab] z\n", "[ab] x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := NewLog("test", []byte(test.log))
			if got := l.Line(1); got != test.first {
				t.Errorf("line 1 is %q, want %q", got, test.first)
			}
			if l.Len() != 3 && l.Len() != 2 {
				t.Errorf("%d lines", l.Len())
			}
		})
	}
}

// Rust's tracing writes the message one level down in JSON.
func TestTracingFields(t *testing.T) {
	e := readEntry(`{"timestamp":"2026-03-01T09:59:02Z","level":"ERROR","fields":{"message":"cannot start","error":"no leader"},"target":"core"}`)
	if want := "cannot start: no leader"; e.text != want || e.level != Error {
		t.Errorf("read %q at level %d, want %q", e.text, e.level, want)
	}
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		text  string
		runes int
		want  string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"äöü", 3, "äöü"}, // more bytes, and no more characters
		{"äöüß", 3, "äö…"},
	} {
		if got := Shorten(tt.text, tt.runes); got != tt.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", tt.text, tt.runes, got, tt.want)
		}
	}
}
