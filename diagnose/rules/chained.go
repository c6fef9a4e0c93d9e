package rules

import (
	"crashloop/diagnose"
)

// chained is a rule that only ends of chains can match: the engine follows the addresses that a log names.
func chained(id, title string, doc diagnose.Doc) diagnose.Rule {
	return diagnose.Rule{
		ID: id, Category: "dependency", Title: title, Doc: doc,
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding { return dependencies(c, id) },
	}
}
