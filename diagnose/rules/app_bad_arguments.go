package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func appBadArguments() diagnose.Rule {
	// What keeps a Java virtual machine from starting that its options have no part in.
	notGiven := regexp.MustCompile(`(?i)memory|reserve enough space|thread|java/lang/NoClassDefFoundError|module|library|boot layer|bootstrap|permission`)
	return diagnose.Rule{
		ID: "app.bad-arguments", Category: "app-error", Title: "The program does not understand its command line",
		Doc: diagnose.Doc{
			Means:   "The program, or the shell that should start it, rejects a flag or argument that it was given, or misses one. After an upgrade it often means that the flag was renamed or removed between the versions.",
			Confirm: "`kubectl logs POD --previous` names the flag or prints usage; `kubectl get pod POD -o jsonpath='{.spec.containers[*].args}'` shows what it was given.",
			Mend:    "Correct command or args in the pod template (or the chart's values). In the spec each argument is an item of its own, and `$$` stands for one `$`.",
			Source:  "kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container",
		},
		Log: slices.Concat(libraryArguments(), frameworkArguments(), []diagnose.Pattern{
			{Name: "flag", Words: []string{"flag", "option", "argument", "switch"}, Regexp: `(?i)(?:(?:unknown|unrecogni[sz]ed|illegal|unexpected|undefined|unsupported|no such|ambiguous)(?: (?:long|short|shorthand|command[- ]line|startup|VM|cli|global|extra|positional))? (?:flags?|options?|arguments?|switch)|(?:invalid|bad)(?: (?:long|short|command[- ]line))? (?:flag|option|switch))(?: (?:provided|found|name))?(?:: | \(?)(?:-- )?(?P<quote>['"` + "`" + `‘]?)(?P<arg>[-\w][^\s'"` + "`" + `’,]*)`},
			{Name: "whole", Words: []string{"invalid command line argument", "invalid command-line argument", "invalid arguments:"}},
			{Name: "value", Words: []string{"invalid argument \"", "invalid value \"", "invalid value '"}, Regexp: `invalid (?:argument|value) ["'](?P<value>[^"']*)["'] for (?:flag )?["']?(?P<arg>-[\w-]+)`},
			{Name: "argparse", Words: []string{"error: argument ", "error: option "}, Regexp: `error: (?:argument|option) (?P<arg>-{0,2}[\w-]+)(?:[/ ][\w/-]+)?: (?P<why>.+)`},
			{Name: "goflag", Words: []string{"flag provided but not defined"}, Regexp: `flag provided but not defined: (?P<arg>\S+)`},
			{Name: "shorthand", Words: []string{"unknown shorthand flag"}, Regexp: `unknown shorthand flag: '(?P<arg>[^']+)'`},
			{Name: "needs", Words: []string{"flag needs an argument", "requires an argument", "expected one argument", "expected argument for flag", "option requires", "requires a value", "needs a value"}, Regexp: `(?i)(?:flag needs an argument: |argument for flag |argument |option |flag )['"` + "`" + `]?(?P<arg>--?[\w-]+)?|(?:option requires an argument|requires a value)`},
			{Name: "required", Words: []string{"required flag", "the following arguments are required", "the following required arguments were not provided", "missing required argument", "missing required option", "missing required flag", "missing option", "missing parameter", "missing argument", "too few arguments", "too many arguments", "accepts at most", "accepts no arg", "arg(s), received", "requires at least", "required option", "must specify", "is required"}, Regexp: `(?i)(?:required flag(?:\(s\))?|the following (?:required )?arguments (?:are required|were not provided)|missing (?:required )?(?:argument|option|flag|parameter)s?|too (?:few|many) arguments|required option|accepts (?:at most|at least|between|no|\d+).{0,20}arg\S*|requires at least \d+ arg\S*)[:\s]*['"` + "`" + `]?(?P<arg>[-\w<][^\s'"` + "`" + `,]*)?`},
			{Name: "required", Words: []string{"flags provided", "flag provided", "flags specified", "flag specified", "flags given", "flag given"}, Regexp: `(?i)\bno (?P<arg>--?[\w-]+) flags? (?:provided|specified|given)`},
			{Name: "required", Words: []string{" must be set", " must be specified", " must be provided", " must be given", " must be supplied", " needs to be set", " has to be set", " should be set", " is required", " is mandatory"}, Regexp: `(?:^|[\s"'(\x60])(?P<arg>--?[a-z][\w.-]*\w)["'\x60]?(?:[/ ,][^\n]{0,400}?)?\b(?:must|needs? to|has to|have to|should) be (?:set|specified|provided|given|supplied)\b|(?:^|[\s"'(\x60])(?P<arg2>--[a-z][\w-]+)["'\x60]? (?:flag |option |argument |parameter )?is (?:required|mandatory)\b`},
			{Name: "found", Words: []string{"unexpected argument", "wasn't expected", "not expected"}, Regexp: `(?:unexpected argument|[Ff]ound argument) '(?P<arg>[^']+)'`},
			{Name: "command", Words: []string{"unknown command", "unknown subcommand", "no such command", "unrecognized subcommand", "invalid choice", "is not a command", "unrecognized command"}, Regexp: `(?i)(?:unknown (?:sub)?command|no such command|unrecognized (?:sub)?command|invalid choice)[:\s]*['"` + "`" + `]?(?P<arg>[\w.-]+)`},
			{Name: "command", Words: []string{"invalid command '", "invalid command \"", "invalid subcommand", "unsupported command"}, Regexp: `(?i)(?:invalid|unsupported) (?:sub)?command:? ['"](?P<arg>[\w.:-]+)['"][.!]?$`},
			{Name: "shell", Words: []string{"syntax error", "unterminated quoted string", "unexpected eof while looking"}, Regexp: `(?i)(?:^|\s|/)(?:sh|bash|ash|dash)\b.*?(?:syntax error|unterminated quoted string|unexpected EOF)[:\s]*(?P<arg>.*)`},
			{Name: "java", Words: []string{"could not create the java virtual machine", "unrecognized vm option", "unrecognized option"}, Regexp: `(?:Unrecognized (?:VM )?option:? ?'?(?P<arg>[^'\s]+)|Could not create the Java Virtual Machine)`},
			// Runners of scripts and tasks that are asked for one that there is not.
			{Name: "script", Words: []string{"missing script", "find a script named", "script not found", "don't know how to build task", "could not find command", "no rule to make target", "\" not found.", "\" is not defined", "unknown command: '"}, Regexp: `(?i)Missing script:? ['"]?(?P<arg>[\w:.-]+)|Couldn't find a script named ['"](?P<arg2>[^'"]+)|Script not found ['"](?P<arg3>[^'"]+)|Don't know how to build task ['"](?P<arg4>[^'"]+)|No rule to make target ['"\x60](?P<arg5>[^'"]+)|^(?:error )?Command "(?P<arg6>[^"]+)" (?:not found|is not defined)|Unknown command: '(?P<arg7>[^']+)'`},
			{Name: "option", Words: []string{"could not find or load main class"}, Regexp: `Could not find or load main class\s+(?P<arg>(?:[-${("']|X(?:m[nsx]|ss|X:|log))\S*)`},
			{Name: "jvm", Words: []string{"error occurred during initialization of vm"}, Regexp: `^Error occurred during initialization of VM`},
			{Name: "deno", Words: []string{"run again with the --allow"}, Regexp: `Requires (?P<what>.{1,80}?), run again with the (?P<arg>--allow-[\w-]+) flag`},
			// traefik's paerser and karpenter's options, which say it in words of their own
			{Name: "decode", Words: []string{"configuration from flags"}, Regexp: `from flags: .*\bnode: (?P<arg>[\w.-]+)`},
			{Name: "required", Words: []string{"validating options, missing field"}, Regexp: `validating options, missing field, (?P<arg>[\w-]+)`},
			// What parsers of arguments say below their complaint, whatever that is.
			{Name: "help", Words: []string{"--help", " -h"}, Regexp: `(?i)^\s*(?:please )?(?:try|for more (?:information|help|details),? try)[: ]+['"\x60‘]?(?:[\w./-]+ ){0,4}?(?:--help|-h)['"\x60’]?(?: for (?:more |some )?(?:information|help|details|usage|options)\b.*|[ .]*)$`},
			// A program that was given no command prints how it is used, and ends.
			{Name: "usage", Words: []string{"usage:"}, Regexp: `(?i)^\s*usage:`},
			{Name: "badoption", Words: []string{"bad option", "invalid option"}, Regexp: `(?i)(?:bad option|invalid option)[:\s]+(?:-- )?['"]?(?P<arg>[^\s'"]+)`},
		}),
		Closing: argumentShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			t := c.Last()
			if t == nil {
				return nil
			}
			if h, ok := hookFailed(c); ok {
				if hookArgument.MatchString(h.complain) && !hookNoCommand.MatchString(h.complain) {
					return []diagnose.Finding{h.finding(c)}
				}
				return nil
			}
			if slices.ContainsFunc(hits, func(h diagnose.Hit) bool {
				return strings.HasPrefix(strings.TrimSpace(h.Log.Line(h.Line-1)), "Invalid -Xlog option") && strings.Contains(h.Log.Line(h.Line-1), "see error log")
			}) {
				return nil // Java said before why it cannot open the file that the option names
			}
			usage := onlyUsage(c, slices.DeleteFunc(slices.Clone(hits), isHelp))
			if usage == nil && t.ExitCode != 0 && !slices.ContainsFunc(hits, func(h diagnose.Hit) bool { return h.Pattern != "usage" && !isHelp(h) }) {
				if usage = refusedArgument(c); usage == nil {
					usage = aboveHelp(c, hits)
				}
			}
			hits = slices.DeleteFunc(slices.Clone(hits), isHelp)
			if hits = slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool { return h.Pattern == "usage" }); t.ExitCode == 0 || len(hits) == 0 {
				if usage != nil {
					return usage
				}
				if found := refusedArgument(c); len(found) > 0 {
					return found
				}
				return byUsageCode(c)
			}
			if len(named(hits, "whole")) == len(hits) {
				if found := refusedArgument(c); len(found) > 0 {
					return found // which argument it is
				}
			}
			h := hits[len(hits)-1]
			arg := ""
			for i := len(hits) - 1; i >= 0; i-- {
				if a := strings.Trim(hits[i].Group("arg"), ".:"); a != "" && (arg == "" || argued(c, strings.TrimLeft(arg, "-")) == "") {
					h, arg = hits[i], a
				}
			}
			f := diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
			f.Span = usageEnd(h.Log, h.Line)
			if arg != "" {
				f.Keys = []string{arg}
			}
			if h.Pattern == "flag" && !strings.HasPrefix(arg, "-") && h.Group("quote") == "" && argued(c, arg) == "" {
				whole := named(hits, "whole")
				if len(whole) == 0 {
					return nil // a sentence about something else
				}
				h, arg = whole[len(whole)-1], ""
				f = diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
			}
			if h.Pattern == "flag" && !strings.HasPrefix(arg, "-") && argued(c, arg) == "" && filePlace.MatchString(h.Text) {
				return nil // an option in a file
			}
			if h.Pattern == "command" && strings.Contains(h.Text, " ACL") {
				return nil // a rule of its access list
			}
			if strings.Contains(h.Text, "nginx") && strings.Contains(h.Text, "[emerg]") {
				return nil // a directive of its configuration
			}
			switch {
			case h.Pattern == "jvm":
				// The line below says what is wrong with what it was given; memory that cannot be had is another cause's.
				why := strings.TrimSpace(h.Log.Line(h.Line + 1))
				if why == "" || notGiven.MatchString(why) {
					return nil
				}
				f.Span, f.Weight = h.Line+1, 20
				f.Evidence = append(f.Evidence, h.Log.Cite(h.Line+1))
				f.Summary = fmt.Sprintf("%s ends because the Java virtual machine does not accept its options: %s", c.Who(), diagnose.Shorten(quote(why), 160))
				f.Advice = "Correct them where they are set: args, or a variable such as JAVA_TOOL_OPTIONS or JAVA_OPTS"
			case h.Pattern == "script":
				f.Weight = 10
				f.Summary = fmt.Sprintf("%s ends because there is no script, task or command named %s", c.Who(), arg)
				f.Advice = "Correct the command in the pod template, or add the script to the image"
			case h.Pattern == "deno":
				f.Weight = 20
				f.Summary = fmt.Sprintf("%s ends because Deno does not let it have %s: it is started without %s", c.Who(), diagnose.Shorten(h.Group("what"), 100), arg)
				f.Advice = "Add " + arg + " to the command in the pod template or the image"
			case h.Pattern == "shell":
				f.Weight = 20
				f.Summary = fmt.Sprintf("%s ends because the shell command that starts it has a syntax error: %s", c.Who(), inSentence(h, 120))
				f.Advice = "Correct the command in the pod template"
			case h.Pattern == "decode":
				f.Weight = 20
				f.Summary = fmt.Sprintf("%s ends because it does not know the option %s", c.Who(), arg)
				f.Advice = "Correct args in the pod template"
			case h.Pattern == "required" || h.Pattern == "needs":
				f.Summary = fmt.Sprintf("%s ends because its command line lacks something: %s", c.Who(), inSentence(h, 140))
				f.Advice = "Add it to args in the pod template"
			case h.Pattern == "value":
				f.Summary = fmt.Sprintf("%s ends because it does not accept the value %q for %s", c.Who(), diagnose.Shorten(h.Group("value"), 80), arg)
				f.Advice = "Correct args in the pod template"
			case h.Pattern == "argparse" && h.Group("why") != "expected one argument":
				f.Summary = fmt.Sprintf("%s ends because it does not accept the argument %s: %s", c.Who(), arg, diagnose.Shorten(h.Group("why"), 120))
				f.Advice = "Correct args in the pod template"
			case h.Pattern == "whole":
				f.Summary = fmt.Sprintf("%s ends because it does not accept its command line: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Correct args in the pod template"
			case h.Pattern == "command":
				f.Summary = fmt.Sprintf("%s ends because it does not know the command %s", c.Who(), arg)
				f.Advice = "Correct args in the pod template"
			default:
				f.Summary = fmt.Sprintf("%s ends because it does not know the argument %s", c.Who(), arg)
				f.Advice = "Correct args in the pod template"
			}
			where := argued(c, strings.TrimSpace(arg))
			if where == "" {
				where = argued(c, strings.TrimLeft(strings.SplitN(arg, "=", 2)[0], "-"))
			}
			shell := h.Pattern == "shell" && c.Container != nil && slices.ContainsFunc(slices.Concat(c.Container.Command, c.Container.Args), commandString)
			if where != "" && arg != "" || shell {
				f.Proof, f.Confidence = diagnose.Corroborated, diagnose.Certain
				if where == "" {
					where = c.SpecField("command")
				}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: strings.Join(append(append([]string{}, c.Container.Command...), c.Container.Args...), " ")})
				if !shell {
					f.Summary += ", which " + where + " gives it"
				}
			} else if t.ExitCode == 2 || t.ExitCode == 64 {
				f.Weight += 10
			}
			f.Fixes = []diagnose.Fix{{Title: "See and correct what it is given", Command: c.Kubectl("edit", c.Target())}}
			return []diagnose.Finding{f}
		},
	}
}

// commandString says that an argument is the option by which a shell takes the next one for what to run: -c, -ec, -lc.
func commandString(arg string) bool {
	return strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, "c") && len(arg) <= 5
}

// onlyUsage is the finding of a log that holds nothing but how the program is used: it was started without the command or the arguments that it
// needs, and many a program ends well of that.
func onlyUsage(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	t, l := c.Last(), c.Log()
	i := slices.IndexFunc(hits, func(h diagnose.Hit) bool { return h.Pattern == "usage" })
	if i < 0 || t.ExitCode > 128 || c.Ran().Seconds() > 30 || hits[i].Line > 12 || hits[i].Log != l {
		return nil
	}
	for _, h := range hits {
		if h.Pattern != "usage" {
			return nil
		}
	}
	options := 0
	for n := 1; n <= l.Len(); n++ {
		line := l.Line(n)
		if diagnose.LineLevel(line) != diagnose.NoLevel && n < hits[i].Line || timeHead.MatchString(line) {
			return nil // it has said something of its own
		}
		if n > hits[i].Line && usageLine.MatchString(line) {
			options++
		}
	}
	if options < 2 {
		return nil
	}
	f := diagnose.FromHit(hits[i], diagnose.Likely, diagnose.Words)
	f.Span, f.Weight = l.Len(), 10
	f.Summary = fmt.Sprintf("%s only prints how it is used and ends (exit code %d): it is started without the command or the arguments that it needs", c.Who(), t.ExitCode)
	f.Advice = "Give it the command that it should run in args of the pod template"
	where, what := c.SpecField("args"), "none"
	if c.Container != nil && len(c.Container.Args) > 0 {
		what = strings.Join(c.Container.Args, " ")
	}
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: what})
	f.Fixes = []diagnose.Fix{{Title: "See and correct what it is given", Command: c.Kubectl("edit", c.Target())}}
	return []diagnose.Finding{f}
}

// usageLine is a line of the text that tells how a program is used: an option, or a command with what it does.
var usageLine = regexp.MustCompile(`^\s*--?\w|^\s{1,8}[a-z][\w-]*(?:, [\w-]+)?\s{2,}\S|^[A-Z][\w ]{2,30}:$`)

// usageEnd gives the last line of the usage text that a program prints after it has complained in line n; n itself when there is none.
func usageEnd(l *diagnose.Log, n int) int {
	end, usage := n, false
	for i := n + 1; i <= l.Len(); i++ {
		line := l.Line(i)
		text := strings.TrimSpace(line)
		switch {
		case text == "":
		case strings.HasPrefix(strings.ToLower(text), "usage"):
			usage, end = true, i
		case usage && (line[0] == ' ' || line[0] == '\t' || line[0] == '-' || strings.HasSuffix(text, ":")):
			end = i
		case usage || i > n+3:
			return end
		}
	}
	return end
}

// usageOf says that a log begins with how the program is used and holds nothing else.
func usageOf(c *diagnose.Case) bool {
	l := c.Log()
	for n := 1; n <= min(l.Len(), 12); n++ {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(l.Line(n))), "usage:") {
			return onlyUsage(c, []diagnose.Hit{{Pattern: "usage", Log: l, Line: n, Text: l.Line(n)}}) != nil
		}
	}
	return false
}

// byUsageCode deals with a program that ends at once with the exit code for wrong usage, 64 of sysexits(3), after one line in words of its own.
func byUsageCode(c *diagnose.Case) []diagnose.Finding {
	l, t := c.Log(), c.Last()
	if t.ExitCode != 64 || l.Empty() || c.Ran().Seconds() > 10 || c.Container == nil || len(c.Container.Args)+len(c.Container.Command) == 0 {
		return nil
	}
	n := lastWords(l)
	if n > 5 || inTrace(c, n) {
		return nil // it has begun to work
	}
	return []diagnose.Finding{{
		Confidence: diagnose.Likely, Proof: diagnose.Words, Weight: -100, Log: l, At: n, Span: n, Evidence: []diagnose.Evidence{l.Cite(n)},
		Summary: fmt.Sprintf("%s ends with exit code 64, which stands for wrong usage: %s", c.Who(), diagnose.Shorten(quote(diagnose.Say(l.Line(n))), 200)),
		Advice:  "Correct args in the pod template",
		Fixes:   []diagnose.Fix{{Title: "See and correct what it is given", Command: c.Kubectl("edit", c.Target())}},
	}}
}

func inTrace(c *diagnose.Case, line int) bool {
	_, ok := traceAt(c, line)
	return ok
}

// isHelp says that a hit is the line by which a parser of arguments ends its complaint: "Try 'x --help' for more information."
func isHelp(h diagnose.Hit) bool { return h.Pattern == "help" }

// aboveHelp is the finding of a complaint in the program's own words that ends with how to see its options: what it was given does not do. nil when
// there is none, or when it complains of something else, such as a file or a connection.
func aboveHelp(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	at := slices.IndexFunc(hits, isHelp)
	if at < 0 || c.Ran().Minutes() > 1 {
		return nil
	}
	l, help := hits[at].Log, hits[at].Line
	// click says it below.
	for _, n := range []int{help - 1, help - 2, help + 1, help + 2} {
		line := strings.TrimSpace(l.Line(n))
		if line == "" || strings.HasPrefix(strings.ToLower(line), "usage:") || diagnose.LineLevel(line) == diagnose.Info || diagnose.LineLevel(line) == diagnose.Warn {
			continue
		}
		if refusesElse.MatchString(strings.ReplaceAll(line, "connection string", "")) {
			return nil
		}
		f := diagnose.FromHit(diagnose.Hit{Log: l, Line: n, Text: diagnose.Say(line)}, diagnose.Likely, diagnose.Words)
		f.Span, f.Weight = max(n, help), -60
		f.Summary = fmt.Sprintf("%s does not accept the command line that it is given: %s", c.Who(), diagnose.Shorten(quote(diagnose.Say(line)), 160))
		f.Advice = "Correct args in the pod template"
		f.Fixes = []diagnose.Fix{{Title: "See and correct what it is given", Command: c.Kubectl("edit", c.Target())}}
		if c.Container != nil && len(c.Container.Command)+len(c.Container.Args) > 0 {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("args"), Text: strings.Join(append(slices.Clone(c.Container.Command), c.Container.Args...), " ")})
		}
		return []diagnose.Finding{f}
	}
	return nil
}
