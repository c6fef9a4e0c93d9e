package rules_test

import (
	"regexp/syntax"
	"testing"

	"crashloop/diagnose/rules"
)

// TestPatternsStaySmall bounds the programs that patterns compile to: a larger one is better split by the words that lead to it.
func TestPatternsStaySmall(t *testing.T) {
	const most = 2000
	for _, r := range rules.All() {
		for i, p := range r.Log {
			re, err := syntax.Parse(p.Regexp, syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			program, err := syntax.Compile(re.Simplify())
			if err != nil {
				t.Fatal(err)
			}
			if n := len(program.Inst); n > most {
				t.Errorf("%s: pattern %d (%s) has %d instructions, and %d are allowed", r.ID, i, p.Name, n, most)
			}
		}
	}
}
