package diagnose

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// found is what a prefilter finds in a text, by word: how often.
func found(words []string, text string) map[string]int {
	out := map[string]int{}
	newPrefilter(words).scan(text, func(_ int, w int32) { out[words[w]]++ })
	return out
}

// counted is what a prefilter has to find, counted place by place.
func counted(words []string, text string) map[string]int {
	out := map[string]int{}
	text = lowerWord(text)
	for at := range text {
		for _, w := range words {
			if strings.HasPrefix(text[at:], w) {
				out[w]++
			}
		}
	}
	return out
}

func TestPrefilter(t *testing.T) {
	for name, c := range map[string]struct {
		words []string
		text  string
	}{
		"upper case":                     {[]string{"no such file"}, "open: No Such File"},
		"a word that begins another":     {[]string{"connection", "connection refused"}, "connection refused, connection reset"},
		"a word that ends another":       {[]string{"permission denied", "denied"}, "Permission denied"},
		"words alike for long":           {[]string{"could not connect to the server", "could not connect to the broker", "could not"}, "could not connect to the broker"},
		"the rest is another":            {[]string{"address already in use"}, "address already taken"},
		"the text ends within a word":    {[]string{"address already in use"}, "address already"},
		"a word within another's rest":   {[]string{"failed to load the certificate", "the cert"}, "failed to load the certificate"},
		"a beginning that begins anew":   {[]string{"aaaaaaaab", "aaaab"}, "aaaaaaaaaaaab"},
		"bytes that are no text":         {[]string{"\xff\xfe bom"}, "\xff\xfe BOM"},
		"a rest that goes over the line": {[]string{"no such file or directory"}, "no such file\nor directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(counted(c.words, c.text), found(c.words, c.text)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestPrefilterOfManyWords compares it, over few letters, where words share all there is to share.
func TestPrefilterOfManyWords(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abAB"[random.IntN(4)]
		}
		return string(b)
	}
	total := 0
	for range 200 {
		var words []string
		for range 30 {
			if w := lowerWord(letters(1 + random.IntN(14))); !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
		text := letters(300)
		want := counted(words, text)
		if diff := cmp.Diff(want, found(words, text)); diff != "" {
			t.Fatalf("%q in %q (-want +got)\n%s", words, text, diff)
		}
		for w, n := range want {
			if len(w) > shortestBeginning {
				total += n
			}
		}
	}
	if total < 100 {
		t.Errorf("only %d long words were there to be found", total)
	}
}
