package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"crashloop/diagnose"
	"crashloop/diagnose/reading"
)

// wording takes the words that a program ended with out of its log.
type wording struct {
	refusal, goesOn, names, quoted, noise, source *regexp.Regexp
}

// naming is what a line names.
type naming struct{ variable, file string }

// saidLine is a line that is read, and how much its words count.
type saidLine struct {
	n      int
	text   string
	weight float64
	words  reading.Words // as they count in all that is read
	calm   bool          // no line that is read with it says that something failed or is refused
	naming
}

// linesBefore and linesAfter are how many lines around the last error may be read with it, and longestRead how much of one.
const linesBefore, linesAfter, longestRead = 6, 4, 2000

func newWording() *wording {
	return &wording{
		refusal: regexp.MustCompile(`(?i)\b(?:not?|n't|cannot|can't|couldn't|fail\w*|failure|error|invalid|unable|missing|unknown|must|refus\w*|reject\w*|denied|bad|illegal|unsupported|requires?|required|needs?|expect\w*|please|exceed\w*|too|already|without|wrong|incorrect|fatal|abort\w*|mismatch\w*|unexpected|insecure|duplicate\w*|conflict\w*|lack\w*|expired|corrupt\w*|incompatible|lower|newer|older)\b|n't\b`),
		goesOn:  regexp.MustCompile(`(?i)using (?:the |a |its )?(?:built-?in |older |previous )?(?:default|one|instead)|defaulting|falling back|fall back to|ignoring|ignored|will (?:be retried|retry)|retrying|(?:will|to|then) try again|trying again|answered with|skipping|\b(?:continu|proceed)(?:es|ing)\b|\bdisabled$|without it\b|\boptional\b`),
		names: regexp.MustCompile(`\b([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\b` + // a variable
			`|(?:^|[\s='"(\x60:,\[])(/[\w.@+-]+(?:/[\w.@+-]+)+)` + // a file
			`|(?:^|[\s='"(\x60])(--?[a-z][\w-]+)` + // a flag
			`|(?:^|[\s='"(@/])((?:[a-z][\w-]*(?:\.[\w-]+)*|\d+\.\d+\.\d+\.\d+):\d{2,5})\b`), // an address
		quoted: regexp.MustCompile(`['"\x60‘](-{0,2}\w[\w.-]*)['"\x60’]|(?:: |\s)(-{0,2}\w[\w.-]*)\.?$`),
		noise:  regexp.MustCompile(`\b(?:ts|time|timestamp|caller|level|lvl|component|logger|logSource|source|subsys|goversion|revision|thread|thread_id|pid|tid|version)=(?:"(?:[^"\\]|\\.)*"|\S+)|\b[a-z]+://\S+`),
		source: regexp.MustCompile(`\S*\.(?:go|rs|cc|cpp|java|py|rb|js|ts|erl|hpp|h|c|clj|exs?|php):\d+\S*`),
	}
}

// read returns the words that a program ended with and the lines that they stand in, the last one first and exceptions behind; none where it said nothing that
// could be why. A word is the beginning of one in lower case, or two that follow each other; what a line names stands among them in braces: {variable}, one that the container does not
// set, {set}, one that it does, {mounted}, a path below a ConfigMap or Secret, {claim}, below a claim, {path}, any other, {settings}, a path of a file as
// settings are kept in, {address}, {flag}, {argument}, what stands in the container's arguments; and how it ended: {exit 1}, {trace}, {own code}.
func (w *wording) read(c *diagnose.Case) (reading.Words, []saidLine) {
	lines := w.withTraces(c, w.pick(c.Log()))
	if len(lines) == 0 {
		return nil, nil
	}
	all := w.weigh(c, lines)
	if t := c.Last(); t != nil {
		all.Add(fmt.Sprintf("{exit %d}", t.ExitCode), 0.5)
	}
	if lines[0].calm {
		all.Add("{calm}", 1)
	}
	for _, t := range c.Traces() {
		if !t.Handled {
			all.Add("{trace}", 0.5)
			all.Add("{"+t.Language+"}", 0.5)
			if t.Own != "" {
				all.Add("{own code}", 0.5)
			}
		}
	}
	return all, lines
}

// weigh returns the words of lines, and fills in what each line has of them and names.
func (w *wording) weigh(c *diagnose.Case, lines []saidLine) reading.Words {
	all := reading.Words{}
	for i := range lines {
		l := &lines[i]
		var tokens []string
		tokens, l.naming = w.tokens(c, l.text)
		l.words = reading.Words{}
		before := ""
		for _, t := range tokens[:min(len(tokens), 80)] {
			stem, ok := stemOf(t)
			if !ok {
				continue
			}
			l.words.Add(stem, l.weight)
			all.Add(stem, l.weight)
			if before != "" { // two that follow each other say more than both: "not found", "key size"
				l.words.Add(before+" "+stem, l.weight)
				all.Add(before+" "+stem, l.weight)
			}
			before = stem
		}
	}
	return all
}

// stemOf is what a word is known by; false of numbers and single letters, which say nothing.
func stemOf(word string) (string, bool) {
	const long = 6
	switch {
	case strings.HasPrefix(word, "{"):
		return word, true
	case len(word) < 2 || word[0] >= '0' && word[0] <= '9':
		return "", false
	}
	if r := []rune(word); len(r) > long {
		word = string(r[:long])
	}
	return word, true
}

// withTraces adds what the exceptions say that ended the program.
func (w *wording) withTraces(c *diagnose.Case, lines []saidLine) []saidLine {
	l := c.Log()
	for _, t := range c.Traces() {
		for _, n := range []int{t.At, t.CauseAt} {
			if n > 0 && !t.Handled && !slices.ContainsFunc(lines, func(s saidLine) bool { return s.n == n }) {
				lines = append(lines, saidLine{n: n, text: w.plain(diagnose.Say(l.Line(n))), weight: 1})
			}
		}
	}
	return lines
}

// plain is a line's text without what says nothing of why: where in the source it was written, addresses of pages, fields of the logger.
func (w *wording) plain(text string) string {
	text = text[:min(len(text), longestRead)]
	return quote(w.source.ReplaceAllString(w.noise.ReplaceAllString(text, " "), " "))
}

// pick picks the error that a program ended with and the lines around it that belong to it.
func (w *wording) pick(l *diagnose.Log) []saidLine {
	type line struct {
		n     int
		text  string
		level diagnose.Level
	}
	var all []line // the last ones, the last first
	for n := l.Len(); n > 0 && n > l.Len()-120 && len(all) < 40; n-- {
		raw := l.Line(n)
		if letters(raw) < 5 || frame.MatchString(raw) {
			continue
		}
		if at := more.FindStringIndex(raw); at != nil && letters(raw[:strings.LastIndexAny(raw[:at[0]], ".!;:")+1]) < 8 {
			continue
		}
		all = append(all, line{n, diagnose.Say(raw), diagnose.LineLevel(raw)})
	}
	at := slices.IndexFunc(all, func(x line) bool { return x.level >= diagnose.Error })
	if at < 0 {
		at = slices.IndexFunc(all, func(x line) bool {
			return x.level == diagnose.NoLevel && (len(x.text) > 80 || !stopping.MatchString(x.text) || w.refusal.MatchString(x.text))
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
		case x.level == diagnose.NoLevel && !usage.MatchString(x.text) && (i == at+1 || i == at-1 || w.refusal.MatchString(x.text)):
			weight = 0.5
		default:
			continue
		}
		if w.goesOn.MatchString(notAgain.ReplaceAllString(x.text, "")) {
			if i == at {
				return nil
			}
			continue
		}
		text := w.plain(x.text)
		refused = refused || w.refusal.MatchString(text)
		out = append(out, saidLine{n: x.n, text: text, weight: weight})
	}
	if !refused {
		out[0].calm = true
	}
	return out
}

// usage is a line of a text on how to use a program, which many print whatever went wrong.
var usage = regexp.MustCompile(`(?i)^\s*(?:-|usage\b|flags:|options:|commands:|available commands)`)

// notAgain is how a program says that it tries no more.
var notAgain = regexp.MustCompile(`(?i)\b(?:not|no longer|without|stop(?:ped)?) (?:retrying|trying again)\b`)

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

// tokens takes a line apart into words in lower case: ConfigError gives config and error. What it names stands among them as a word in braces.
func (w *wording) tokens(c *diagnose.Case, text string) ([]string, naming) {
	var out []string
	var n naming
	at := 0
	for _, g := range w.names.FindAllStringSubmatchIndex(text, 16) {
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
	for _, g := range w.quoted.FindAllStringSubmatch(text, 8) {
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
		case "ca", "wo": // n't was taken off
			out = append(out, map[string]string{"ca": "can", "wo": "will"}[w])
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
