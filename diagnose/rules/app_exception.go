package rules

import (
	"fmt"

	"crashloop/diagnose"
)

func appException() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.exception", Category: "app-error", Title: "The program ends with an uncaught exception",
		Doc: diagnose.Doc{
			Means:   "An exception went through the whole program and nothing caught it, so the runtime ended it. When the exception only reports another failure that has a cause of its own, such as a host that refuses the connection, that cause is named instead.",
			Confirm: "`kubectl logs POD -c CONTAINER --previous` ends with the exception and its stack trace. Read the innermost \"Caused by\".",
			Mend:    "Start at the first frame that is your own code, below the innermost cause; fix it there, or roll back to the revision that ran.",
			Source:  "The runtimes' own documentation: Python traceback, java.lang.Throwable, Node.js errors, .NET unhandled exceptions, Ruby Exception, PHP errors",
		},
		// What a program that catches all that nothing else does says of it before it ends.
		Log: []diagnose.Pattern{{Words: []string{"uncaught", "unhandled"}, Regexp: `(?i)\b(?:there was an |an )?(?:uncaught|unhandled) (?:error|exception|rejection)(?: (?:occurred|was thrown))?: (?P<what>\S.{3,})`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			if len(c.Traces()) == 0 {
				if f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Level >= diagnose.Error && nearEnd(h) }); ok {
					f.Weight = -50 // what it carries is more
					f.Summary = fmt.Sprintf("%s ends with an exception that nothing in it handles: %s", c.Who(), inSentence(h, 200))
					f.Advice = "Find out where it comes from, in the lines before, and have the program handle it"
					f.Fixes = []diagnose.Fix{{Title: "Read the whole log of the run that crashed", Command: previousLog(c)}}
					return []diagnose.Finding{f}
				}
			}
			for _, t := range c.Traces() {
				if !t.Panic {
					out = append(out, fromTrace(c, t, "ends with an exception"))
				}
			}
			return out
		},
	}
}
