package rules

import "crashloop/diagnose"

// All returns the catalogue, in the order in which it is listed and documented.
func All() []diagnose.Rule {
	return []diagnose.Rule{
		appPanic(),
		appException(),
		appExitCode(),
	}
}
