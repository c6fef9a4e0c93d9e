package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func appPanic() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.panic", Category: "app-error", Title: "The program panics",
		Doc: diagnose.Doc{
			Means:   "The program hit something that it does not handle and its runtime ended it at once: a Go panic or fatal error, a Rust panic, an uncaught C++ exception, a failed assertion. When the panic only reports another failure that has a cause of its own, such as a variable that is not set, that cause is named instead.",
			Confirm: "`kubectl logs POD -c CONTAINER --previous` ends with the panic and a stack trace. Exit codes: 2 for Go, 101 for Rust, 134 for an abort.",
			Mend:    "Read the first frame that is your own code; fix it there, or roll back to the revision that ran. If only some input sets it off, the log lines before the panic tell which.",
			Source:  "go.dev/ref/spec (Run-time panics), doc.rust-lang.org/std/macro.panic.html, abort(3)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			for _, t := range c.Traces() {
				if t.Panic {
					out = append(out, fromTrace(c, t, "panics"))
				}
			}
			return out
		},
	}
}

// fromTrace makes a finding of a stack trace as such.
func fromTrace(c *diagnose.Case, t diagnose.Trace, verb string) diagnose.Finding {
	l := c.Log()
	f := diagnose.Finding{
		Confidence: diagnose.Certain, Proof: diagnose.Messenger, Log: l, At: t.At, Span: t.Last,
		Summary: fmt.Sprintf("%s %s%s: %s", c.Who(), verb, t.Where(), t.Says()),
		Settle:  "The stack trace in the log shows where.",
	}
	f.Evidence = append(f.Evidence, l.Cite(t.At))
	if t.CauseAt > 0 && t.CauseAt != t.At {
		f.Evidence = append(f.Evidence, l.Cite(t.CauseAt))
	}
	if t.Own != "" {
		f.Advice = "Fix it there, or go back to the revision that ran"
		where := t.Own
		if t.Function != "" {
			where += " in " + t.Function
		}
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: fmt.Sprintf("%s lines %d-%d", l.Source, t.First, t.Last), Text: "first frame of its own code: " + where})
	} else if t.Last > max(t.At, t.CauseAt)+1 {
		f.Advice = "The stack trace in the log shows where; fix it there, or go back to the revision that ran"
	} else {
		f.Advice = "The log has no stack trace: look for these words in its code, or go back to the revision that ran"
		f.Settle = ""
	}
	if t.Handled || t.Logged || !bug(t) {
		f.Confidence = diagnose.Likely // what it says may have a cause elsewhere
	}
	if strings.HasSuffix(t.CauseClass, ".CancellationException") && t.CauseMessage == "" {
		f.Confidence = diagnose.Possible // that something was given up, not why
	}
	if t.Handled {
		f.Weight = -350 // the program got over it
		f.Confidence = diagnose.Possible
	}
	if last := c.Last(); last != nil && last.ExitCode == 0 {
		f.Confidence = diagnose.Possible
	}
	f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Read the whole log of the run that crashed", Command: previousLog(c)})
	return f
}

// previousLog is the command that shows the log of the run that crashed.
func previousLog(c *diagnose.Case) string {
	args := []string{"logs", c.Subject.Pod, "-c", c.Subject.Container}
	if c.Log().Previous || c.Running() {
		args = append(args, "--previous")
	}
	return c.Kubectl(args...)
}

// bug says that a trace tells of a mistake in the program itself, and cannot be the messenger of something around it.
func bug(t diagnose.Trace) bool {
	says := t.Class + " " + t.Says()
	for _, w := range []string{
		"nil pointer dereference", "nil map", "index out of range", "index out of bounds", "slice bounds out of range", "out of range", "concurrent map", "all goroutines are asleep", "close of closed channel", "send on closed channel", "close of nil channel", "integer divide by zero", "interface conversion", "makeslice", "divide by zero", "unreachable code", "stack overflow", "StackOverflow",
		"NullPointerException", "IndexOutOfBounds", "ClassCastException", "ArithmeticException", "NumberFormatException", "NullReferenceException", "InvalidCastException", "IndexOutOfRangeException", "KeyNotFoundException", "ConcurrentModification", "DivideByZero",
		"TypeError", "ReferenceError", "RangeError", "SyntaxError", "AttributeError", "IndexError", "KeyError", "NameError", "ZeroDivisionError", "UnboundLocalError", "IndentationError", "NoMethodError", "AssertionError", "RecursionError", "ArgumentCountError", "DivisionByZeroError",
		"undefined method", "Undefined variable", "Option::unwrap()", "assertion failed", "assertion `", "attempt to subtract with overflow", "attempt to add with overflow", "already borrowed", "entered unreachable", "not yet implemented", "not implemented", "MatchError", "FunctionClauseError", "UndefinedFunctionError", "BadMapError", "badmatch", "function_clause", "undef",
		"std::out_of_range", "std::bad_alloc", "std::logic_error", "std::length_error", "found nil while unwrapping", "JavaScript heap out of memory",
	} {
		if strings.Contains(says, w) {
			return true
		}
	}
	return false
}
