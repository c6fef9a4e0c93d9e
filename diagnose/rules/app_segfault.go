package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func appSegfault() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.segfault", Category: "app-error", Title: "The program crashes in native code",
		Doc: diagnose.Doc{
			Means:   "The kernel ended the program with a signal that only a fault in its own machine code raises: SIGSEGV (exit code 139) and SIGBUS (135) for memory that it may not touch, SIGILL (132) for a CPU instruction that the node does not have, SIGFPE (136), or SIGABRT (134) when it or its C library gave up.",
			Confirm: "`kubectl describe pod POD` shows exit code 139, 132, 134, 135 or 136; the log often ends without a word. `dmesg` on the node names the library.",
			Mend:    "Look at what changed in native parts: the image's base, a driver, a compiled extension. For SIGILL, build for an older CPU (for example x86-64-v2) or move to other nodes.",
			Source:  "signal(7); bash(1), exit status 128+n",
		},
		Log: []diagnose.Pattern{
			// What a supervisor, a shell or a wrapper says of the child that it started.
			{Name: "child", Words: []string{"signal: segmentation fault", "signal: illegal instruction", "signal: aborted", "signal: abort", "signal: bus error", "signal: floating point", "exited on signal ", "terminated by signal ", "by unhandled signal", "caught segmentation fault", "caught signal (", "caught signal 1", "caught signal 4", "caught signal 6", "caught signal 7", "caught signal 8", "killed by signal ", "segmentation fault (core dumped)", "illegal instruction (core dumped)", "illegal instruction     (core dumped)", "segmentation fault      (core dumped)"},
				Regexp: `(?i)signal: (?P<child>segmentation fault|illegal instruction|abort(?:ed)?|bus error|floating point exception)|(?:exited on|terminated by|killed by|unhandled) signal:? (?P<child2>(?:11|4|6|7|8|SIGSEGV|SIGILL|SIGABRT|SIGBUS|SIGFPE)\b)|Caught (?P<child3>segmentation fault|illegal instruction|abort|bus error)|Caught signal (?P<child5>\((?:Aborted|Segmentation fault|Bus error|Illegal instruction|Floating point exception)\)|(?:11|4|6|7|8)\b)|(?P<child4>segmentation fault|illegal instruction) +\(core dumped\)`},
			// What Go's runtime says of a signal that C code raised.
			{Name: "cgo", Words: []string{"sigsegv: segmentation violation", "sigabrt: abort", "sigbus: bus error", "sigill: illegal instruction", "sigfpe: floating-point exception"}, Regexp: `^(?P<what>SIG(?:SEGV|ABRT|BUS|ILL|FPE): [a-z -]+)$`},
			{Words: []string{"segmentation fault", "sigsegv", "sigill", "illegal instruction", "bus error", "sigbus", "core dumped", "double free", "corrupted size", "floating point exception", "stack smashing", "heap corruption", "munmap_chunk", "free(): invalid", "malloc(): "}}, {Name: "sanitizer", Words: []string{"summary: addresssanitizer", "error: addresssanitizer", "summary: threadsanitizer", "summary: undefinedbehaviorsanitizer"}, Regexp: `(?:SUMMARY|ERROR): (?P<name>\w+Sanitizer): (?P<what>.+)`}, {Name: "heap", Words: []string{"double free or corruption", "free(): ", "malloc(): ", "munmap_chunk(): ", "realloc(): ", "corrupted size vs. prev_size", "stack smashing detected"}, Regexp: `(?P<what>(?:double free or corruption|(?:free|malloc|realloc|munmap_chunk)\(\): |corrupted size vs\. prev_size|\*\*\* stack smashing detected).*)`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil || !ran(t) || c.OwnCode() {
				return nil
			}
			said, child, sanitized := "", "", false
			for _, h := range hits {
				if what := h.Group("what"); what != "" {
					said, sanitized = what, sanitized || h.Pattern == "sanitizer" || h.Pattern == "cgo"
				}
				child = firstOf(strings.Trim(h.Group("child"), "()"), child)
			}
			// An exception or panic that went through the program is what ended it, whatever the signal.
			for _, trace := range c.Traces() {
				if !trace.Handled && !trace.Logged && !sanitized && trace.Language != "Go" && (t.ExitCode != 132 || trace.Language == "Swift") {
					return nil
				}
			}
			code := t.ExitCode
			if code == 11 || code == 4 || code == 7 || code == 8 {
				code += 128 // some runtimes give the bare number
				if len(hits) == 0 {
					return nil
				}
			}
			switch code {
			case 139, 132, 135, 136:
			case 134:
				if len(hits) == 0 {
					// An abort mostly has words of its own: a panic, an exception, an assertion. Nothing but the code is left when none is known.
					f := diagnose.Finding{Confidence: diagnose.Possible, Proof: diagnose.Hint, Weight: 20, Evidence: c.CiteLast()}
					f.Summary = fmt.Sprintf("%s aborts itself: exit code 134, %s", c.Who(), diagnose.ExitCode(code))
					f.Advice = "The last lines of its log are the place to look: what it, or a library of it, found wrong"
					if l := c.Log(); l.Missing == "" && !l.Empty() {
						n := lastWords(l)
						f.Log, f.At, f.Span = l, n, n
						f.Summary += "; the last that it said is: " + strings.TrimSpace(diagnose.Shorten(quote(diagnose.Say(l.Line(n))), 160))
						f.Evidence = append(f.Evidence, l.Cite(n))
					}
					f.Fixes = []diagnose.Fix{{Title: "Read the log of the run that aborted", Command: previousLog(c)}}
					return []diagnose.Finding{f}
				}
			default:
				if !sanitized && child != "" {
					return crashedChild(c, hits, child)
				}
				if !sanitized || code == 0 {
					return nil
				}
			}
			f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Messenger, Weight: 60, Evidence: c.CiteLast()}
			f.Summary = fmt.Sprintf("%s crashes in native code: exit code %d, %s", c.Who(), t.ExitCode, diagnose.ExitCode(code))
			if sanitized {
				f.Proof = diagnose.Words
			}
			if said != "" {
				f.Summary += ": " + diagnose.Shorten(said, 160)
			}
			f.Advice = "Look at what changed in its native parts: base image, libraries, compiled extensions"
			if code == 132 {
				f.Advice = "It is built for a newer CPU than its node's: use a build for older CPUs, or other nodes"
				if n := c.Node(); n != nil {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Node " + n.Name, Text: "architecture " + n.Status.NodeInfo.Architecture})
				}
			}
			if code != 134 {
				f.Proof = diagnose.Words // no program gives these codes for another reason
			}
			if len(hits) > 0 {
				h := hits[len(hits)-1]
				f.Log, f.At, f.Span = h.Log, h.Line, h.Line
				f.Evidence = append(f.Evidence, h.Cite())
			}
			f.Settle = "The exit code of its next runs."
			f.Fixes = []diagnose.Fix{{Title: "Read the log of the run that crashed", Command: previousLog(c)}}
			return []diagnose.Finding{f}
		},
	}
}

// crashedChild is the finding of a container whose main process lives on, or ends by itself, after a process that it started crashed in
// native code: a proxy under its agent, a server under a shell.
func crashedChild(c *diagnose.Case, hits []diagnose.Hit, signal string) []diagnose.Finding {
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "child" })
	if !ok {
		return nil
	}
	f.Summary = fmt.Sprintf("%s starts a process that crashes in native code (%s): %s", c.Who(), strings.ToLower(signal), inSentence(h, 160))
	f.Advice = "Look at what changed in that program's native parts: its image, libraries, compiled modules"
	if strings.Contains(strings.ToLower(signal+h.Text), "ill") && strings.Contains(strings.ToLower(h.Text), "illegal instruction") {
		f.Advice = "It is built for another or newer CPU than its node's: use a build for older CPUs, or other nodes"
	}
	if probeKilled(c).killed {
		f.Proof, f.Weight = diagnose.Corroborated, 260 // the probe fails because that process is gone
	}
	f.Evidence = append(f.Evidence, c.CiteLast()...)
	f.Fixes = []diagnose.Fix{{Title: "Read the log of the run that crashed", Command: previousLog(c)}}
	return []diagnose.Finding{f}
}
