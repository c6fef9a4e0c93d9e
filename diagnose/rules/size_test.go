package rules_test

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"crashloop/diagnose"
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

// TestGroupNames holds that a number at the end of a group's name tells it from a namesake in the same expression, and belongs to no name.
func TestGroupNames(t *testing.T) {
	numbered := 0
	for _, r := range rules.All() {
		expressions := []string{}
		for _, p := range r.Log {
			expressions = append(expressions, p.Regexp)
		}
		for _, s := range r.Closing {
			expressions = append(expressions, s.Regexp)
		}
		for _, expression := range expressions {
			names := regexp.MustCompile(expression).SubexpNames()
			for _, n := range names {
				plain := diagnose.GroupName(n)
				if plain == n && !strings.ContainsAny(n, "0123456789") {
					continue
				}
				if numbered++; !slices.Contains(names, plain) || strings.ContainsAny(plain, "0123456789") {
					t.Errorf("%s: the group %s is read as %s, which the expression lacks: %s", r.ID, n, plain, expression)
				}
			}
		}
	}
	if numbered == 0 {
		t.Error("no group has a number")
	}
}
