package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"crashloop/diagnose"
)

// given is a value that the pod template gives to the program, and where.
type given struct {
	value  string
	source string // spec.containers[web].args, ConfigMap web
	name   string // the flag, the variable or the key that it is the value of
	object string // ConfigMap/shop/web, when it stands in one
	line   string // of the ConfigMap's text
	// variable says that the template itself gives it, as the value of an environment variable.
	variable bool
}

// refusesGiven finds a value that the program's last words name and refuse, and that the pod template or a ConfigMap gives it: whatever words the
// program has for it, what it was given is what it ends of.
func refusesGiven(c *diagnose.Case, values func(*diagnose.Case, string) (given, bool)) (diagnose.Hit, given, bool) {
	if !endedByItself(c) {
		return diagnose.Hit{}, given{}, false
	}
	for _, h := range parting(c) {
		if g, ok := givenIn(c, h.Text, values); ok {
			return h, g, true
		}
	}
	return diagnose.Hit{}, given{}, false
}

// endedByItself says that the program ended soon after its start with an error of its own, of which there is a log. SIGABRT is how a runtime
// ends itself.
func endedByItself(c *diagnose.Case) bool {
	t, l := c.Last(), c.Log()
	return t != nil && t.ExitCode != 0 && (t.ExitCode <= 128 || t.ExitCode >= 160 || t.ExitCode == 134 || c.OwnCode()) && !l.Empty() && l.Missing == "" && c.Ran().Minutes() <= 5
}

// parting returns the lines in which a program says why it ends, the likeliest first: the message of the panic or exception that ends it, and
// the last errors, with the two lines before the very last.
func parting(c *diagnose.Case) []diagnose.Hit {
	l := c.Log()
	var out []diagnose.Hit
	add := func(n int) bool {
		h := diagnose.Hit{Log: l, Line: n, Text: diagnose.Say(l.Line(n)), Level: diagnose.LineLevel(l.Line(n))}
		if h.Level == diagnose.Info || h.Level == diagnose.Warn || h.Level == diagnose.Debug {
			return false
		}
		if t, ok := traceAt(c, n); !ok || t.At == n {
			out = append(out, h) // a frame says where, not why
		}
		return true
	}
	for _, t := range slices.Backward(c.Traces()) {
		if !t.Handled && t.At > 0 {
			add(t.At)
			break
		}
	}
	last := lastWords(l)
	for n := last; n > 0 && n > last-12; n-- {
		if n < last-2 && diagnose.LineLevel(l.Line(n)) == diagnose.NoLevel {
			continue
		}
		if !add(n) {
			break
		}
	}
	return out
}

// givenIn finds the value that a line refuses among those that the program is given.
func givenIn(c *diagnose.Case, text string, values func(*diagnose.Case, string) (given, bool)) (given, bool) {
	text = strings.ReplaceAll(text, `\"`, `"`)
	if !refuses.MatchString(text) || refusesElse.MatchString(text) {
		return given{}, false
	}
	for _, m := range namedFlag.FindAllStringSubmatch(text, 4) {
		if g, ok := values(c, m[1]); ok {
			return g, true
		}
	}
	for _, m := range namedValue.FindAllStringSubmatch(text, 8) {
		word := strings.TrimRight(firstOf(m[1:]...), ".,;:)")
		if len(word) < 3 || everyday.MatchString(word) || strings.Contains(word, "/") {
			continue
		}
		if g, ok := values(c, word); ok {
			return g, true
		}
	}
	return given{}, false
}

var (
	// refuses is how a program says that it does not take a value.
	refuses = regexp.MustCompile(`(?i)\b(?:unknown|unsupported|unrecogni[sz]ed|unexpected|undefined|invalid|illegal|bad|wrong|incorrect|no such|must|should|only|got|malformed|pars(?:e|ing)|out of range|(?:correct|wrong) format|for input string|no enum|cannot|can't|could not|couldn't|unable|deprecated|removed)\b|\b(?:not|n't|no longer|never) (?:\w+ ){0,2}?(?:supported|valid|known|recogni[sz]ed|allowed|available|registered|exist|understood|accepted|found|defined|implemented|enabled|one of|match|an?\b)`)
	// refusesElse is what other causes are about: connections, files, rights, credentials.
	refusesElse = regexp.MustCompile(`(?i)\bclass\b.{0,80}\bnot found\b|\b(?:file|directory|path|folder)\b.{0,80}\b(?:not found|does not exist|doesn't exist|missing)\b|\bconnection|\bconnect(?:ing)? to\b|\bdial |\brefused\b|\btime(?:d )?out\b|deadline exceeded|no such (?:host|file)|\bresolve|\blookup\b|\bpermission|\bdenied\b|\bforbidden\b|unauthorized|authenticat|\bcredentials?\b|\btoken\b|\bpasswords?\b|\bcertificates?\b|x509|already in use|\bbind\b|\bmodule\b|\bcommand not found\b|shared librar|out of memory|no space|read-only|\brelation\b|\bdatabase "|\btables?\b|\bcolumns?\b|\bschema\b|no matches for kind|the requested resource|\bmodprobe\b|\bservice account\b`)
	// namedValue is a value that a sentence names: in quotes, behind what kind of thing it is, behind a colon at the end, before what is said of it.
	namedValue = regexp.MustCompile("['\"`‘“]([^'\"`’”\\s]{1,80})['\"`’”]|(?i)\\b(?:unknown|unsupported|unrecogni[sz]ed|invalid|illegal|bad|no such|got|undefined)(?: [a-z][\\w-]*){0,4}[:=]? ([\\w.:@+-]{2,80})(?:[.,;)]|$| )|(?:: |=)([\\w.:@+-]{2,80})[.)]?$|\\bno enum constant (?:[\\w$]+[.$])*(\\w+)|\\b([\\w.:@+-]{3,80}) (?:does(?: not|n't)|is(?: not|n't)|was(?: not|n't)|cannot|not |must|should)")
	// namedFlag is a flag by its name.
	namedFlag = regexp.MustCompile("(?:^|[\\s'\"`(=])(--[a-z][\\w-]+)")
	// everyday are values too common to tell anything when they stand in a sentence.
	everyday = regexp.MustCompile(`(?i)^(?:true|false|yes|no|on|off|none|null|default|auto|all|any|info|debug|warn|warning|error|json|text|yaml|http|https|tcp|udp|grpc|localhost|server|client|start|run|serve|config|configuration|value|name|type|option|flag|argument|\d{1,3}|it|this|that|file|key|the|and|for|with|provider|version|which|what|could|would|should|can|may|might|must|shall|will|do|does|did|is|are|was|were|has|have|had|be|but|also|still|yet|you|we|they)$`)
)

// argument finds a value in the container's command line: a whole argument, the value of a flag, or one of several with commas between. Of a
// script only the values of flags count.
func argument(c *diagnose.Case, word string) (given, bool) {
	if c.Container == nil {
		return given{}, false
	}
	for i, list := range [][]string{c.Container.Args, c.Container.Command} {
		if i == 1 && len(list) > 0 {
			list = list[1:] // the program itself
		}
		flag := ""
		for _, arg := range list {
			for _, part := range strings.Fields(arg) {
				name, value, ok := strings.Cut(part, "=")
				if !ok || !strings.HasPrefix(part, "-") {
					name, value = flag, part
				}
				flag = ""
				if ok && (name == word || strings.Contains(word, "-") && strings.TrimLeft(name, "-") == word) {
					return given{value: value, source: c.SpecField([]string{"args", "command"}[i]), name: name}, true
				}
				if strings.HasPrefix(part, "-") && !ok {
					flag = part
					continue
				}
				if part != arg && !strings.HasPrefix(name, "-") {
					continue // a word of a shell's script may be any
				}
				for _, v := range append(strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '=' }), value) {
					if strings.Trim(v, `'"`) == word {
						return given{value: word, source: c.SpecField([]string{"args", "command"}[i]), name: name}, true
					}
				}
			}
		}
	}
	return given{}, false
}

// setting finds a value among those that the pod template or whole ConfigMaps set as variables, or in the text of the ConfigMaps that it
// mounts.
func setting(c *diagnose.Case, word string) (given, bool) {
	if c.Container == nil {
		return given{}, false
	}
	for _, e := range c.Container.Env {
		if e.Value == word && telling(word) {
			return given{value: word, source: c.SpecField("env[" + e.Name + "]"), name: e.Name, variable: true}, true
		}
	}
	for _, from := range c.Container.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		data := c.ConfigMapData(from.ConfigMapRef.Name)
		for _, key := range slices.Sorted(maps.Keys(data)) {
			if strings.TrimSpace(data[key]) == word {
				return configured(c, from.ConfigMapRef.Name, key, word, ""), true
			}
		}
	}
	for _, name := range mountedConfigMaps(c) {
		data := c.ConfigMapData(name)
		for _, key := range slices.Sorted(maps.Keys(data)) {
			n := 0
			for line := range strings.Lines(data[key]) {
				n++
				if holdsWord(line, word) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
					return configured(c, name, key, word, fmt.Sprintf("line %d: %s", n, strings.TrimSpace(line))), true
				}
			}
		}
	}
	return given{}, false
}

func configured(c *diagnose.Case, name, key, word, line string) given {
	return given{value: word, source: "ConfigMap " + name + " key " + key, name: key, object: "ConfigMap/" + c.Subject.Namespace + "/" + name, line: line}
}

// mountedConfigMaps lists the ConfigMaps that the container mounts.
func mountedConfigMaps(c *diagnose.Case) []string {
	var out []string
	for _, m := range c.Container.VolumeMounts {
		for _, v := range c.Spec.Volumes {
			if v.Name == m.Name && v.ConfigMap != nil {
				out = append(out, v.ConfigMap.Name)
			}
			if v.Name == m.Name && v.Projected != nil {
				for _, s := range v.Projected.Sources {
					if s.ConfigMap != nil {
						out = append(out, s.ConfigMap.Name)
					}
				}
			}
		}
	}
	return out
}

// refusedFinding starts the finding of a value that the program refuses and was given.
func refusedFinding(h diagnose.Hit, g given) diagnose.Finding {
	f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
	f.Keys = []string{g.value}
	says := firstOf(g.line, g.value)
	if g.line == "" && g.name != "" {
		says = g.name + "=" + g.value
	}
	// The engine redacts it and cuts it then: half of a token does not show what it is.
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: g.source, Text: says})
	return f
}

// refusedArgument is a value of the command line that the program refuses in words of its own.
func refusedArgument(c *diagnose.Case) []diagnose.Finding {
	h, g, ok := refusesGiven(c, argument)
	if !ok || strings.Contains(h.Text, " is not supported for primary IP family") {
		return nil // kube-proxy takes the mode, and its node cannot do it (node.host-incompatible)
	}
	f := refusedFinding(h, g)
	f.Weight = -100
	of := "the argument " + g.value
	if strings.HasPrefix(g.name, "-") {
		of = "the value " + g.value + " of " + g.name
	}
	f.Summary = fmt.Sprintf("%s ends because it does not accept %s, which %s gives it: %s", c.Who(), of, g.source, inSentence(h, 200))
	f.Advice = "Correct args in the pod template"
	f.Fixes = []diagnose.Fix{{Title: "See and correct what it is given", Command: c.Kubectl("edit", c.Target())}}
	return []diagnose.Finding{f}
}

// fromContent names the ConfigMap whose text holds what a line refuses, for lines that name no file.
func fromContent(c *diagnose.Case, h diagnose.Hit, f *diagnose.Finding) {
	g, ok := givenIn(c, h.Text, setting)
	if !ok {
		return
	}
	f.Evidence = append(f.Evidence, refusedFinding(h, g).Evidence[1:]...)
	if g.object == "" {
		return
	}
	f.Root = g.object
	f.Chain = []diagnose.Link{{Object: g.object, Says: "key " + g.name + " holds what it does not accept"}}
	_, name, _ := strings.Cut(strings.TrimPrefix(g.object, "ConfigMap/"), "/")
	f.Advice = fmt.Sprintf("Correct key %s of ConfigMap %s and restart the workload", g.name, name)
	f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Correct the ConfigMap", Command: c.Kubectl("edit", "configmap", name)})
}

// refusedSetting is a value of a variable or of a ConfigMap that the program refuses in words of its own, or a place in a file of its
// configuration at which it ends.
func refusedSetting(c *diagnose.Case) []diagnose.Finding {
	h, g, ok := refusesGiven(c, setting)
	if !ok {
		return refusedPlace(c)
	}
	f := refusedFinding(h, g)
	f.Weight = -250 // words that say by themselves what they are about say more
	f.Summary = fmt.Sprintf("%s refuses a value that it is configured with, %s of %s: %s", c.Who(), g.value, g.source, inSentence(h, 200))
	f.Advice = "Correct it and restart the workload"
	if g.variable {
		f.Summary = fmt.Sprintf("%s refuses the value of %s: %s", c.Who(), g.name, inSentence(h, 220))
		f.Advice = "Give that variable a value of the form that the program takes"
		f.Keys = append(f.Keys, g.name)
		f.Fixes = []diagnose.Fix{{Title: "Correct " + g.name, Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, g.name+"=VALUE")}}
		return []diagnose.Finding{f}
	}
	if g.object != "" {
		f.Root = g.object
		f.Chain = []diagnose.Link{{Object: g.object, Says: "key " + g.name + " holds what it does not accept"}}
		_, name, _ := strings.Cut(strings.TrimPrefix(g.object, "ConfigMap/"), "/")
		f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Correct the ConfigMap", Command: c.Kubectl("edit", "configmap", name)})
	} else {
		f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See what configures it", Command: c.Kubectl("get", c.Target(), "-o", "yaml")})
	}
	f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Restart it once the configuration is right", Command: c.Kubectl("rollout", "restart", c.Target())})
	return []diagnose.Finding{f}
}

// refusedPlace is a line of a mounted ConfigMap or Secret that the program names where it ends: /etc/alloy/config.alloy:12:5.
func refusedPlace(c *diagnose.Case) []diagnose.Finding {
	if !endedByItself(c) {
		return nil
	}
	for _, h := range parting(c) {
		g := groups(filePlace, h.Text)
		if g == nil || refusesElse.MatchString(h.Text) {
			continue
		}
		m, ok := mountAt(c, g["path"])
		if !ok || !m.isConfig() {
			continue
		}
		object, words := m.object(c.Subject.Namespace)
		f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
		f.Weight, f.Keys, f.Root = -100, []string{g["path"]}, object
		f.Chain = []diagnose.Link{{Object: object, Says: "key " + m.key + " line " + g["line"] + " is not accepted"}}
		f.Summary = fmt.Sprintf("%s refuses its configuration, key %s of %s: %s", c.Who(), m.key, words, inSentence(h, 240))
		f.Advice = "Correct that key and restart the workload"
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath + " is " + words})
		if m.volume.ConfigMap != nil {
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Correct the ConfigMap", Command: c.Kubectl("edit", "configmap", m.volume.ConfigMap.Name)})
		}
		f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Restart it once the configuration is right", Command: c.Kubectl("rollout", "restart", c.Target())})
		return []diagnose.Finding{f}
	}
	return nil
}

// filePlace is a line of a file as programs name it.
var filePlace = regexp.MustCompile(`(?P<path>/[\w.@+-]+(?:/[\w.@+-]+)+)(?::(?P<line>\d+)(?::\d+)?\b|['")]?,? \(?(?:at |on |in )?line:? (?P<line2>\d+))`)

// telling says that a value is unlike others: a word or more, not a number or a switch that any line may hold.
func telling(value string) bool {
	if len(value) < 2 || len(value) > 120 || strings.Contains(value, "$(") {
		return false
	}
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "on", "off", "none", "null", "production", "info", "debug":
		return false
	}
	return strings.ContainsFunc(value, unicode.IsLetter)
}
