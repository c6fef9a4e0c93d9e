package rules

import "crashloop/diagnose"

func appException() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.exception", Category: "app-error", Title: "The program ends with an uncaught exception",
		Doc: diagnose.Doc{
			Means:   "An exception went through the whole program and nothing caught it, so the runtime ended it. When the exception only reports another failure that has a cause of its own, such as a host that refuses the connection, that cause is named instead.",
			Confirm: "`kubectl logs POD -c CONTAINER --previous` ends with the exception and its stack trace. Read the innermost \"Caused by\".",
			Mend:    "Start at the first frame that is your own code, below the innermost cause; fix it there, or roll back to the revision that ran.",
			Source:  "The runtimes' own documentation: Python traceback, java.lang.Throwable, Node.js errors, .NET unhandled exceptions, Ruby Exception, PHP errors",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			for _, t := range c.Traces() {
				if !t.Panic {
					out = append(out, fromTrace(c, t, "ends with an exception"))
				}
			}
			return out
		},
	}
}
