package diagnose

import (
	"regexp"
	"regexp/syntax"
	"sync"
)

// expression is a regular expression that is compiled when it is first needed. A cluster shows few of the failures that the catalogue knows, and
// all of its expressions compiled take five mebibytes.
type expression func() *regexp.Regexp

// newExpression takes an RE2 expression; an empty one becomes nil.
func newExpression(text string) (expression, error) {
	if text == "" {
		return nil, nil
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil, err
	}
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) }), nil
}
