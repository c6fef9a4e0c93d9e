package rules

import (
	"crashloop/diagnose"
)

// chained is a rule that only ends of chains can match: the engine itself follows the addresses that a log names, and adds what it finds.
func chained(id, title string, doc diagnose.Doc) diagnose.Rule {
	return diagnose.Rule{
		ID: id, Category: "dependency", Title: title, Doc: doc,
		Match: func(*diagnose.Case, []diagnose.Hit) []diagnose.Finding { return nil },
	}
}
