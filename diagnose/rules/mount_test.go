package rules

import "testing"

// TestHoldsWord finds flags, commands and paths as a command line holds them, and not within longer words.
func TestHoldsWord(t *testing.T) {
	for _, c := range []struct {
		text, word string
		want       bool
	}{
		{"--config=/etc/foobar/x.conf", "bar", false},
		{"--config=/etc/foobar/x.conf", "config", true},
		{"--config=/etc/foobar/x.conf", "/etc/foobar/x.conf", true},
		{"--config=/etc/foobar/x.conf", "/etc/foobar", true},
		{"exec web --catalog --log x", "log", true},
		{"--catalog", "log", false},
		{"--log_level", "log", false},
		{"-x", "x", true},
		{"serve", "serve", true},
		{"serve", "", false},
		{"", "serve", false},
		{"--enable-legacy-auth", "--enable-legacy-auth", true},
		{"--enable-legacy-auth", "--enable", true},
	} {
		if got := holdsWord(c.text, c.word); got != c.want {
			t.Errorf("%q holds %q: %v, want %v", c.text, c.word, got, c.want)
		}
	}
}
