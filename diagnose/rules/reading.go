package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"crashloop/diagnose"
)

// reading tells what the words that a program ended with are about, when no rule knows those words. It weighs the stems of [stems] that stand
// in the last error and in the lines around it that belong to it, and speaks only when one subject has enough of them and clearly more than any
// other. What it finds goes on as what that subject's own rule finds does, to the same object, and is never more than possible.
//
// What that is worth was measured on crash loops of programs that neither the catalogue nor the table had seen. Of 586, no rule knew the words of
// 80: a first table read 27 of them rightly and 5 wrongly, and was silent on the rest. Of 191 later ones, no rule knew the words of 25: it read 11
// rightly and 1 wrongly. It was silent on all 27 whose words tell nothing. Subjects that came up too rarely for that have no follow.
type reading struct {
	stems   []stem
	phrases [][]string       // the words of each
	words   map[string][]int // by their first word
	begins  map[string][]int // by what their first word begins with
	follows map[string]follow

	refusal, goesOn, names, quoted, noise, source *regexp.Regexp
}

// follow is how a subject goes on: what a sentence calls it, and how the rule of its cause takes it up.
type follow struct {
	about string
	find  func(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding
	start bool // a program finds this out as it starts
}

// naming is what a line names.
type naming struct{ variable, file string }

const (
	// enough is what the stems of a subject must weigh together.
	enough = 5
	// anchor is what one of them must weigh alone: many words that each say little say nothing.
	anchor = 3
	// ahead is how many times as much as those of the next subject.
	ahead = 1.25
	// linesBefore and linesAfter are how many lines around the error may be read with it.
	linesBefore, linesAfter = 6, 4
)

// saidLine is a line that is read, and how much its words count.
type saidLine struct {
	n      int
	text   string
	weight float64
}

func newReading() *reading {
	r := &reading{
		words: map[string][]int{}, begins: map[string][]int{}, stems: stems(),
		refusal: regexp.MustCompile(`(?i)\b(?:not?|n't|cannot|can't|couldn't|fail\w*|failure|error|invalid|unable|missing|unknown|must|refus\w*|reject\w*|denied|bad|illegal|unsupported|requires?|required|needs?|expect\w*|please|exceed\w*|too|already|without|wrong|incorrect|fatal|abort\w*|mismatch\w*|unexpected|insecure|duplicate\w*|conflict\w*|lack\w*|expired|corrupt\w*|incompatible|lower|newer|older)\b|n't\b`),
		goesOn:  regexp.MustCompile(`(?i)using (?:the |a |its )?(?:built-?in |older |previous )?(?:default|one|instead)|defaulting|falling back|fall back to|ignoring|ignored|will (?:be retried|retry)|retrying|try again|answered with|skipping|\b(?:continu|proceed)(?:es|ing)\b|\bdisabled$|without it\b|\boptional\b`),
		names: regexp.MustCompile(`\b([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\b` + // a variable
			`|(?:^|[\s='"(\x60:,\[])(/[\w.@+-]+(?:/[\w.@+-]+)+)` + // a file
			`|(?:^|[\s='"(\x60])(--?[a-z][\w-]+)` + // a flag
			`|(?:^|[\s='"(@/])((?:[a-z][\w-]*(?:\.[\w-]+)*|\d+\.\d+\.\d+\.\d+):\d{2,5})\b`), // an address
		quoted: regexp.MustCompile(`['"\x60‘](-{0,2}\w[\w.-]*)['"\x60’]|(?:: |\s)(-{0,2}\w[\w.-]*)\.?$`),
		noise:  regexp.MustCompile(`\b(?:ts|time|timestamp|caller|level|lvl|component|logger|logSource|source|subsys|goversion|revision|thread|thread_id|pid|tid|version)=(?:"(?:[^"\\]|\\.)*"|\S+)|\b[a-z]+://\S+`),
		source: regexp.MustCompile(`\S*\.(?:go|rs|cc|cpp|java|py|rb|js|ts|erl|hpp|h|c|clj|exs?|php):\d+\S*`),
	}
	for i, s := range r.stems {
		phrase := strings.Fields(s.words)
		r.phrases = append(r.phrases, phrase)
		first, prefix := strings.CutSuffix(phrase[0], "*")
		if prefix {
			r.begins[first] = append(r.begins[first], i)
		} else {
			r.words[first] = append(r.words[first], i)
		}
	}
	r.follows = follows()
	return r
}

// follows is how each subject that is spoken of goes on.
func follows() map[string]follow {
	as := func(rule diagnose.Rule) func(*diagnose.Case, diagnose.Hit, naming) []diagnose.Finding {
		return func(c *diagnose.Case, h diagnose.Hit, _ naming) []diagnose.Finding {
			found := rule.Match(c, []diagnose.Hit{h})
			for i := range found {
				found[i].Cause = rule.ID
			}
			return found
		}
	}
	config := as(appInvalidConfig())
	return map[string]follow{
		onConfig:    {"its configuration", config, true},
		onArguments: {"its command line", as(appBadArguments()), true},
		onVariable: {"an environment variable", func(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding {
			f := diagnose.FromHit(h, diagnose.Possible, diagnose.Words)
			f.Advice = "Set it in the pod template"
			if n.variable != "" {
				var ok bool
				if f, ok = envMissing(c, h, n.variable); !ok {
					return config(c, h, n) // it is there, and wrong
				}
			}
			f.Cause = "config.env-missing"
			return []diagnose.Finding{f}
		}, true},
		onFile: {"a file that it needs", func(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding {
			if n.file == "" {
				return nil
			}
			f := fileMissing(c, h, n.file)
			f.Cause = "config.file-missing"
			return []diagnose.Finding{f}
		}, true},
		onData:        {"the data that it finds", as(appIncompatibleData()), false},
		onCredentials: {"its credentials", as(appBadCredentials()), false},
		onModule:      {"something that its image lacks", as(appMissingModule()), true},
		onHost:        {"the machine that it runs on", as(nodeHostIncompatible()), false},
		onPermission:  {"what it may not touch", denies, false},
		onConnection: {"something that it cannot reach", func(c *diagnose.Case, h diagnose.Hit, _ naming) []diagnose.Finding {
			return c.Unreached(h)
		}, false},
	}
}

// denies takes up a path that a program may not use as it wants to. Without one the words may be about a right that a server keeps.
func denies(c *diagnose.Case, h diagnose.Hit, n naming) []diagnose.Finding {
	if n.file == "" {
		return nil
	}
	f := diagnose.FromHit(h, diagnose.Possible, diagnose.Words)
	f.Cause = "app.permission-denied"
	f.Keys = []string{n.file}
	f.Advice = "Give the path to the user that it runs as, with the mode that it asks for"
	if m, ok := mountAt(c, n.file); ok && m.volume != nil && m.volume.PersistentVolumeClaim != nil {
		claim := m.volume.PersistentVolumeClaim.ClaimName
		f.Cause = "volume.permission"
		f.Advice = fmt.Sprintf("Set fsGroup to a group of its user, or correct owner and mode of what is on claim %s", claim)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath + " is claim " + claim})
	}
	f.Fixes = []diagnose.Fix{{Title: "See as whom it runs", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.containers[*].securityContext}")}}
	return []diagnose.Finding{f}
}

// last finds what the program's last words are about.
func (r *reading) last(c *diagnose.Case) []diagnose.Finding {
	t := c.Last()
	if t == nil || t.Reason == "OOMKilled" || t.ExitCode > 125 && t.ExitCode != 128 && t.ExitCode != 134 && t.ExitCode != 255 {
		return nil // a signal ended it, or it did not begin
	}
	lines := r.pick(c.Log())
	if len(lines) == 0 {
		return nil
	}
	subject, at, n := r.subject(c, lines)
	f, ok := r.follows[subject]
	if !ok || f.start && c.Ran().Minutes() > 10 {
		return nil
	}
	l := c.Log()
	h := diagnose.Hit{Pattern: "read", Log: l, Line: at, Text: diagnose.Say(l.Line(at)), Level: diagnose.LineLevel(l.Line(at))}
	if h.Level < diagnose.Error {
		h.Level = diagnose.NoLevel
	}
	found := f.find(c, h, n)
	if len(found) == 0 {
		return nil
	}
	found = found[:1]
	found[0].Confidence = diagnose.Possible
	found[0].Summary = fmt.Sprintf("%s ends with exit code %d; what it said last seems to be about %s: %s", c.Who(), t.ExitCode, f.about, strings.TrimSpace(shorten(quote(h.Text), 200)))
	return found
}

// pick picks the error that a program ended with and the lines around it that belong to it.
func (r *reading) pick(l *diagnose.Log) []saidLine {
	type line struct {
		n     int
		text  string
		level diagnose.Level
	}
	var all []line // the last ones, the last first
	for n := l.Len(); n > 0 && n > l.Len()-120 && len(all) < 40; n-- {
		raw := l.Line(n)
		if letters(raw) < 5 || frame.MatchString(raw) || more.MatchString(raw) {
			continue
		}
		all = append(all, line{n, diagnose.Say(raw), diagnose.LineLevel(raw)})
	}
	at := slices.IndexFunc(all, func(x line) bool { return x.level >= diagnose.Error })
	if at < 0 {
		at = slices.IndexFunc(all, func(x line) bool {
			return x.level == diagnose.NoLevel && (len(x.text) > 80 || !stopping.MatchString(x.text))
		})
	}
	if at < 0 {
		return nil
	}
	went := 0
	for _, x := range all[:at] {
		if x.level > diagnose.NoLevel && x.level < diagnose.Error && !stopping.MatchString(x.text) {
			went++
		}
	}
	if went > 3 {
		return nil // it went on
	}
	var out []saidLine
	refused := all[at].level >= diagnose.Error
	for i := max(0, at-linesAfter); i < len(all) && i <= at+linesBefore; i++ {
		x := all[i]
		weight := 1.0
		switch {
		case i == at:
		case x.level >= diagnose.Error:
			weight = 0.8
		case x.level == diagnose.NoLevel && !usage.MatchString(x.text) && (i == at+1 || i == at-1 || r.refusal.MatchString(x.text)):
			weight = 0.5
		default:
			continue
		}
		if r.goesOn.MatchString(x.text) {
			if i == at {
				return nil
			}
			continue
		}
		text := x.text
		if len(text) > 2000 {
			text = text[:2000]
		}
		text = quote(r.source.ReplaceAllString(r.noise.ReplaceAllString(text, " "), " "))
		refused = refused || r.refusal.MatchString(text)
		out = append(out, saidLine{x.n, text, weight})
	}
	if !refused {
		return nil
	}
	return out
}

// usage is a line of a text on how to use a program, which many print whatever went wrong.
var usage = regexp.MustCompile(`(?i)^\s*(?:-|usage\b|flags:|options:|commands:|available commands)`)

// more is a line that says where more can be read.
var more = regexp.MustCompile(`(?i)\bfor (?:more|further) (?:details|information|help)\b|\bcomplete log of\b|\btry '?[\w -]+--help\b`)

// frame is a line of a stack trace.
var frame = regexp.MustCompile(`^\s*(?:at \S|File "|#\d|/\S+:\d+:in|\.\.\. \d+|from /|goroutine \d|\S+\.go:\d+ )`)

func letters(s string) int {
	n := 0
	for i := 0; i < len(s) && n < 8; i++ {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' {
			n++
		}
	}
	return n
}

// subject weighs the stems. It returns what the lines are about, the line that says most of it, and what that names.
func (r *reading) subject(c *diagnose.Case, lines []saidLine) (subject string, at int, n naming) {
	counted := make([]float64, len(r.stems))
	type best struct {
		n      int
		weight float64
	}
	lineOf := map[string]best{}
	names := map[int]naming{}
	for _, l := range lines {
		tokens, here := r.tokens(c, l.text)
		names[l.n] = here
		sum := map[string]float64{}
		for i := range tokens {
			for _, s := range r.at(tokens, i) {
				if w := r.stems[s].weight * l.weight; w > counted[s] {
					counted[s] = w
				}
				sum[r.stems[s].subject] += r.stems[s].weight * l.weight
			}
		}
		for s, w := range sum {
			if w > lineOf[s].weight {
				lineOf[s] = best{l.n, w}
			}
		}
	}
	total, anchored := map[string]float64{}, map[string]bool{}
	for i, w := range counted {
		s := r.stems[i]
		total[s.subject] += w
		anchored[s.subject] = anchored[s.subject] || w > 0 && s.weight >= anchor
	}
	var first, second float64
	for _, s := range subjects() {
		switch w := total[s]; {
		case w > first:
			subject, first, second = s, w, first
		case w > second:
			second = w
		}
	}
	if first < enough || first < ahead*second || !anchored[subject] {
		return "", 0, n
	}
	at = lineOf[subject].n
	n = names[at]
	for _, l := range lines {
		if n.variable == "" {
			n.variable = names[l.n].variable
		}
		if n.file == "" {
			n.file = names[l.n].file
		}
	}
	return subject, at, n
}

// at returns the stems that begin at a token.
func (r *reading) at(tokens []string, i int) []int {
	var out []int
	take := func(list []int) {
		for _, s := range list {
			words := r.phrases[s]
			if i+len(words) > len(tokens) {
				continue
			}
			ok := true
			for j := 1; j < len(words) && ok; j++ {
				ok = isWord(tokens[i+j], words[j])
			}
			if ok {
				out = append(out, s)
			}
		}
	}
	t := tokens[i]
	take(r.words[t])
	if len(t) > 2 && t[len(t)-1] == 's' {
		take(r.words[t[:len(t)-1]])
	}
	for n := 3; n <= len(t); n++ {
		take(r.begins[t[:n]])
	}
	return out
}

// isWord says that a token is a stem's word, its plural, or begins with it when the word ends in *.
func isWord(token, word string) bool {
	if begin, ok := strings.CutSuffix(word, "*"); ok {
		return strings.HasPrefix(token, begin)
	}
	return token == word || token == word+"s"
}

// tokens takes a line apart into words in lower case: ConfigError gives config and error. What it names stands among them as a word in braces.
func (r *reading) tokens(c *diagnose.Case, text string) ([]string, naming) {
	var out []string
	var n naming
	at := 0
	for _, g := range r.names.FindAllStringSubmatchIndex(text, 16) {
		if g[0] < at {
			continue
		}
		group := func(i int) string {
			if g[2*i] < 0 {
				return ""
			}
			return text[g[2*i]:g[2*i+1]]
		}
		name := ""
		switch variable, file, flag := group(1), group(2), group(3); {
		case variable != "" && !strings.HasPrefix(text[g[1]:], "=") && !notAVariable(variable):
			name = "{variable}"
			if set, empty, _ := envSet(c, variable); set && !empty {
				name = "{set}"
			} else if n.variable == "" {
				n.variable = variable
			}
		case file != "":
			file = strings.TrimRight(file, ".")
			name = "{path}"
			if m, ok := mountAt(c, file); ok && m.isConfig() {
				name = "{mounted}"
			} else if ok && m.volume != nil && m.volume.PersistentVolumeClaim != nil {
				name = "{claim}"
			}
			if n.file == "" {
				n.file = file
			}
		case flag != "":
			name = "{flag}"
		case group(4) != "":
			name = "{address}"
		}
		if name == "" {
			continue
		}
		out = append(words(out, text[at:g[0]]), name)
		if file := group(2); file != "" && settingsFile.MatchString(file) {
			out = append(out, "{settings}")
		}
		at = g[1]
	}
	out = words(out, text[at:])
	for _, g := range r.quoted.FindAllStringSubmatch(text, 8) {
		if isArgument(c, firstOf(g[1], g[2])) {
			out = append(out, "{argument}")
			break
		}
	}
	return out, n
}

// settingsFile is a path of a file as settings are kept in.
var settingsFile = regexp.MustCompile(`\.(?:conf|cfg|cnf|ini|ya?ml|toml|json|xml|hcl|properties)\b`)

// words appends the words of a text.
func words(out []string, text string) []string {
	runes := []rune(text)
	var word []rune
	end := func() {
		switch w := strings.ToLower(string(word)); w {
		case "":
		case "cannot":
			out = append(out, "can", "not")
		default:
			out = append(out, w)
		}
		word = word[:0]
	}
	for i, ch := range runes {
		switch {
		case ch == '\'' && i+1 < len(runes) && runes[i+1] == 't' && len(word) > 1 && word[len(word)-1] == 'n':
			word = word[:len(word)-1] // does-n't
			end()
			word = append(word, 'n', 'o')
			continue
		case !unicode.IsLetter(ch) && !unicode.IsDigit(ch):
			end()
			continue
		case len(word) > 0 && unicode.IsDigit(ch) != unicode.IsDigit(word[len(word)-1]):
			end()
		case len(word) > 0 && unicode.IsUpper(ch) && (unicode.IsLower(word[len(word)-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(word[len(word)-1]) && len(word) > 1):
			end()
		}
		word = append(word, ch)
	}
	end()
	return out
}

// isArgument says that a word is a flag that the spec gives the container, or the value of one.
func isArgument(c *diagnose.Case, word string) bool {
	word = strings.TrimLeft(word, "-")
	if c.Container == nil || len(word) < 3 {
		return false
	}
	for _, a := range slices.Concat(c.Container.Command, c.Container.Args) {
		name, value, _ := strings.Cut(a, "=")
		if strings.HasPrefix(a, "-") && (strings.TrimLeft(name, "-") == word || value == word || len(word) > 7 && strings.Contains(value, word)) {
			return true
		}
	}
	return false
}
