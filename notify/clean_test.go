package notify

import (
	"strings"
	"testing"
)

func TestBothEnds(t *testing.T) {
	const wrapped = "failed to pull image: failed to resolve reference: failed to do request: dial tcp: lookup registry.invalid: no such host"
	if got := bothEnds(wrapped, 60); len([]rune(got)) != 60 || !strings.HasPrefix(got, "failed to pull") || !strings.HasSuffix(got, "registry.invalid: no such host") {
		t.Errorf("%q", got)
	}
	if got := bothEnds(wrapped, 300); got != wrapped {
		t.Errorf("a short text became %q", got)
	}
}
