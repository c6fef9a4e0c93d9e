package diagnose

import (
	"strings"
	"testing"
)

// FuzzRedact holds redaction to three promises for any text: twice is the same as once, no line is lost, and a secret on a line of its
// own does not come through whatever stands around it.
func FuzzRedact(f *testing.F) {
	for _, name := range []string{"planted.txt", "keep.txt"} {
		for i, line := range corpus(f, name) {
			in, _ := unmark(line)
			f.Add(in, i)
		}
	}
	f.Add("-----BEGIN A PRIVATE KEY-----\nMII\n", 0)
	lines := corpus(f, "planted.txt")
	r := NewRedactor()
	f.Fuzz(func(t *testing.T, text string, n int) {
		once := r.Redact(text)
		if twice := r.Redact(once); twice != once {
			t.Errorf("%q\nonce  %q\ntwice %q", text, once, twice)
		}
		if strings.Count(once, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q has other lines than %q", once, text)
		}
		marked := lines[max(n, -n)%len(lines)&0x7fff%len(lines)]
		line, _ := unmark(marked)
		for _, m := range planted.FindAllStringSubmatch(marked, -1) {
			secret := m[2]
			if len(secret) < 12 || strings.Contains(text, secret) || strings.Contains(secret, "\n") {
				continue // short ones may stand in the text anyway
			}
			if got := r.Redact(text + "\n" + line + "\n" + text); strings.Contains(got, secret) {
				t.Errorf("%q came through in %q", secret, got)
			}
		}
	})
}
