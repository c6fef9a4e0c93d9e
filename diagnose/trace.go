package diagnose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Trace is one panic, uncaught exception or logged stack trace.
type Trace struct {
	Language string // "Go", "Python", "Java", ...
	Panic    bool   // the runtime gave up (panic, abort, assertion) rather than an exception passing through
	Class    string // "java.lang.IllegalStateException"; empty where the language has none
	Message  string
	// CauseClass and CauseMessage are the innermost "Caused by", empty when there is none.
	CauseClass, CauseMessage string
	// Own is the first frame in code that is not the runtime's or a library's: "main.go:42". Function is its name where the trace has it.
	Own, Function string
	// First, Last and At are line numbers: of the whole trace, and of the line that says what happened.
	First, Last, At int
	// CauseAt is the line of the innermost cause, 0 when there is none.
	CauseAt int
	// Handled says that the program went on to log other things after it.
	Handled bool
	// Foreign says that the frame that threw it, or its cause, is a library's, and that its own code called that, as far as that is known.
	Foreign bool
	// Logged says that a logger printed it rather than the runtime.
	Logged bool
}

// Says is the trace's message with its class, the innermost cause where there is one.
func (t Trace) Says() string {
	class, message := t.Class, t.Message
	if t.CauseClass != "" {
		class, message = t.CauseClass, t.CauseMessage
	}
	switch {
	case class == "":
		return message
	case message == "":
		return class
	}
	return class + ": " + message
}

// Where is the place of the first own frame in a sentence, " at main.go:42", or empty.
func (t Trace) Where() string {
	if t.Own == "" {
		return ""
	}
	return " at " + t.Own
}

// traceWindow is how many lines at the end of a log are read for stack traces.
const traceWindow = 4000

// vline is a line as a trace reader sees it: a line of the log, or of the text inside a JSON field.
type vline struct {
	n    int
	text string
}

// readTraces finds the traces among the last lines of a log.
func readTraces(l *Log) []Trace {
	var lines []vline
	for n := max(1, l.Len()-traceWindow); n <= l.Len(); n++ {
		text := l.Line(n)
		if strings.Contains(text, `\n`) && strings.Contains(text, "{") {
			if e := readEntry(text); strings.Contains(e.text, "\n") {
				for part := range strings.SplitSeq(e.text, "\n") {
					lines = append(lines, vline{n, part})
				}
				continue
			}
		}
		lines = append(lines, vline{n, text})
	}
	var out []Trace
	for i := 0; i < len(lines); {
		t, next := readTrace(lines, i)
		if next <= i {
			i++
			continue
		}
		t.First, t.Last = lines[i].n, lines[next-1].n
		if t.At == 0 {
			t.At = t.First
		}
		t.Message = Shorten(strings.TrimSpace(t.Message), 300)
		t.CauseMessage = Shorten(strings.TrimSpace(t.CauseMessage), 300)
		if k := len(out) - 1; k >= 0 && repeats(out[k], t) {
			out[k].Last = t.Last
		} else {
			out = append(out, t)
		}
		i = next
	}
	for k := range out {
		out[k].Handled = wentOn(l, out[k].Last)
	}
	return out
}

// repeats says that a program only says on its way out, in a second trace, what the first one told in full.
func repeats(first, t Trace) bool {
	if t.Own != "" {
		return false
	}
	if t.Language == "Erlang" && t.First-first.Last <= 12 {
		return first.Language == "Elixir" || first.Language == "Erlang"
	}
	return first.Class == t.Class && (first.Message == t.Message ||
		t.Language == "Go" && t.First-first.Last <= 2 && strings.Contains(first.Message, strings.TrimPrefix(t.Message, "runtime error: ")))
}

// afterwards is what runtimes print of an end that was told of before: frames of Ruby, rulers, and how Erlang's virtual machine gives up.
var afterwards = regexp.MustCompile("^(?:\\S+:\\d+:in [`']|[=\\-*#_~]{3,}$|BOOT FAILED$|Error during startup: |\\{\"Kernel pid terminated|Kernel pid terminated |Crash dump is being written|.{0,80}\\bexited with reason: )")

// wentOn says whether a program logged ordinary lines after the given one: more than a handful, or one that says that it runs.
func wentOn(l *Log, after int) bool {
	count := 0
	for n := after + 1; n <= l.Len() && count <= 12; n++ {
		line := strings.TrimSpace(l.Line(n))
		if line == "" || strings.HasPrefix(line, "at ") || strings.HasPrefix(line, "npm ") || strings.HasPrefix(line, "error Command failed") || afterwards.MatchString(line) {
			continue
		}
		switch e := readEntry(line); e.level {
		case Info, Debug:
			count += 3
		case NoLevel:
			count += 2
		case Warn:
			count++
		}
	}
	return count > 12
}

// readTrace reads a trace that begins at line i, and returns where it ends; i itself when none begins there.
func readTrace(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	if len(s) < 5 || len(s) > lineHead {
		return Trace{}, i
	}
	switch {
	case strings.Contains(s, "panic: ") || strings.HasPrefix(s, "fatal error: "):
		if t, next := readGo(lines, i); next > i {
			return t, next
		}
	case i == 0 && strings.HasPrefix(s, "goroutine ") && strings.HasSuffix(s, " [running]:") && len(lines) > 2:
		// The log begins amid a panic: its message was cut off.
		t := Trace{Language: "Go", Panic: true, Message: "(the log does not reach back to the message)", At: lines[i].n}
		if next := readGoFrames(lines, 1, &t); t.Own != "" || next > 2 {
			return t, next
		}
	case strings.Contains(s, "' panicked at ") || strings.Contains(s, ") panicked at "):
		return readRust(lines, i)
	case strings.HasPrefix(s, "memory allocation of ") && strings.HasSuffix(s, " bytes failed"):
		return Trace{Language: "Rust", Panic: true, Message: s, At: lines[i].n}, i + 1
	case strings.Contains(s, "Traceback (most recent call last)"):
		return readPython(lines, i)
	case strings.HasPrefix(s, "terminate called ") || strings.HasPrefix(s, "libc++abi"):
		return readCpp(lines, i)
	case s[0] == 'F' && isDigits(s[1:5]) && strings.Contains(s, "] "):
		if t, next := readGlog(lines, i); next > i {
			return t, next
		}
	case strings.Contains(s, "Assertion `") && strings.HasSuffix(s, "failed."):
		_, message, _ := strings.Cut(s, "Assertion ")
		return Trace{Language: "C", Panic: true, Message: "assertion " + message, Own: assertPlace(s)}, i + 1
	case strings.HasPrefix(s, "Unhandled exception. ") || strings.HasPrefix(s, "Unhandled Exception: "):
		return readDotnet(lines, i)
	case strings.Contains(s, "PHP Fatal error:") || strings.Contains(s, "PHP Parse error:") || strings.HasPrefix(s, "Fatal error: ") || strings.HasPrefix(s, "Parse error: ") || strings.Contains(s, ".swift:") && strings.Contains(s, ": Fatal error: "):
		return readPHP(lines, i)
	case strings.HasPrefix(strings.TrimSpace(s), "** (") && !strings.HasPrefix(strings.TrimSpace(s), "** (EXIT"):
		return readElixir(lines, i)
	case strings.HasPrefix(strings.TrimSpace(s), "File \"") && i+1 < len(lines):
		if t, next := readPythonSyntax(lines, i); next > i {
			return t, next
		}
		return readPythonTail(lines, i)
	}
	if says, ok := strings.CutPrefix(s, "! Unable to load application: "); ok { // Puma
		if class, message, ok := strings.Cut(says, ": "); ok && pythonClass(strings.ReplaceAll(class, "::", ".")) {
			return Trace{Language: "Ruby", Class: class, Message: message, At: lines[i].n}, i + 1
		}
	}
	if t, next := readReport(lines, i); next > i {
		return t, next
	}
	if t, next := readRuby(lines, i); next > i {
		return t, next
	}
	if t, next := readRubyLogged(lines, i); next > i {
		return t, next
	}
	if t, next := readJVM(lines, i); next > i {
		return t, next
	}
	return readNode(lines, i)
}

func text(lines []vline, i int) string {
	if i < len(lines) {
		return lines[i].text
	}
	return ""
}

// base shortens a path to its last two elements.
func base(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		parts = parts[len(parts)-2:]
		if parts[0] == "app" || parts[0] == "src" {
			parts = parts[1:]
		}
	}
	return strings.TrimPrefix(strings.Join(parts, "/"), "/")
}

func readGo(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	at := strings.Index(s, "panic: ")
	skip := len("panic: ")
	if strings.HasPrefix(s, "fatal error: ") {
		at, skip = 0, len("fatal error: ")
	}
	t := Trace{Language: "Go", Panic: true, Message: s[at+skip:], At: lines[i].n}
	next := i + 1
	// More of the message, nested panics, "[recovered]", the signal's line.
	for ; next < len(lines) && next < i+40; next++ {
		s := lines[next].text
		if strings.HasPrefix(strings.TrimSpace(s), "panic: ") {
			if _, message, _ := strings.Cut(s, "panic: "); !strings.HasPrefix(message, strings.TrimSuffix(t.Message, " [recovered]")) {
				t.CauseClass, t.CauseMessage, t.CauseAt = "panic", message, lines[next].n
			}
			continue
		}
		if strings.HasPrefix(s, "goroutine ") || strings.HasPrefix(s, "runtime stack:") || strings.HasPrefix(s, "exit status ") {
			break
		}
		if s == "" && next+1 < len(lines) && !strings.HasPrefix(lines[next+1].text, "goroutine ") && !strings.HasPrefix(lines[next+1].text, "runtime stack:") {
			break
		}
	}
	if !strings.HasPrefix(text(lines, next), "goroutine ") && !strings.HasPrefix(text(lines, next), "runtime stack:") {
		// GOTRACEBACK=none, or a cut log: one line is all there is. A logger's "panic: " amid other words is none.
		if at > 0 && !isStamp(s[:at]) {
			return Trace{}, i
		}
		t.Message = strings.TrimSuffix(t.Message, " [recovered]")
		return t, i + 1
	}
	t.Message = strings.TrimSuffix(strings.TrimSuffix(t.Message, " [recovered]"), " [recovered, repanicked]")
	t.CauseClass = ""
	next = readGoFrames(lines, next, &t)
	for next > i+1 && strings.TrimSpace(lines[next-1].text) == "" {
		next--
	}
	return t, next
}

// readGoFrames reads the frames of a goroutine and of those that follow, and returns where they end.
func readGoFrames(lines []vline, next int, t *Trace) int {
	for ; next < len(lines); next++ {
		s := lines[next].text
		if strings.HasPrefix(s, "\t") || strings.HasPrefix(s, "    ") {
			place := strings.TrimSpace(s)
			place, _, _ = strings.Cut(place, " ")
			if t.Own == "" && strings.Contains(place, ".go:") && ownGo(lines[next-1].text, place) {
				t.Own = base(place)
				t.Function, _, _ = cutLast(lines[next-1].text, "(")
			}
			continue
		}
		if s == "" || strings.HasPrefix(s, "goroutine ") || strings.HasPrefix(s, "runtime stack:") || strings.HasPrefix(s, "created by ") ||
			strings.HasSuffix(s, ")") || strings.HasPrefix(s, "exit status ") || strings.HasPrefix(s, "rax ") || strings.HasPrefix(s, "[signal ") {
			continue
		}
		break
	}
	return next
}

func ownGo(function, place string) bool {
	for _, lib := range []string{"@v", "/usr/local/go/", "/go/pkg/mod/", "/pkg/mod/", "/vendor/", "/libexec/src/", "/usr/lib/go", "/hostedtoolcache/go/", "/src/runtime/", "/src/testing/", "/src/net/", "_testmain.go"} {
		if strings.Contains(place, lib) {
			return false
		}
	}
	return !strings.HasPrefix(function, "runtime.") && !strings.HasPrefix(function, "panic(") && !strings.HasPrefix(function, "created by runtime")
}

// isStamp says that a prefix holds a time, a level or a program's name, and no sentence.
func isStamp(prefix string) bool {
	return len(prefix) < 48 && len(strings.Fields(prefix)) <= 4
}

func readRust(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	_, rest, _ := strings.Cut(s, " panicked at ")
	t := Trace{Language: "Rust", Panic: true, At: lines[i].n}
	next := i + 1
	if strings.HasPrefix(rest, "'") { // up to 1.72: 'message', src/main.rs:4:5
		if at := strings.LastIndex(rest, "', "); at > 0 {
			t.Message, t.Own = rest[1:at], strings.TrimSpace(rest[at+3:])
		} else {
			t.Message = rest
		}
	} else { // from 1.73: the place, then the message on lines of its own
		t.Own = strings.TrimSuffix(strings.TrimSpace(rest), ":")
		var message []string
		for ; next < len(lines) && next < i+10; next++ {
			s := lines[next].text
			if strings.HasPrefix(s, "note: run with") || strings.HasPrefix(s, "stack backtrace:") || s == "" {
				break
			}
			message = append(message, s)
		}
		t.Message = strings.Join(message, " ")
		if len(message) > 0 {
			t.At = lines[i+1].n
		}
	}
	if strings.HasPrefix(t.Own, "/rustc/") || strings.Contains(t.Own, "/.cargo/") {
		t.Own = ""
	}
	for ; next < len(lines); next++ {
		s := lines[next].text
		if !strings.HasPrefix(s, "note: ") && !strings.HasPrefix(s, "stack backtrace:") && !strings.HasPrefix(s, "  ") {
			break
		}
	}
	return t, next
}

func readCpp(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	t := Trace{Language: "C++", Panic: true, Message: s, At: lines[i].n}
	if a := strings.IndexAny(s, "'"); a >= 0 {
		if b := strings.LastIndexAny(s, "'"); b > a {
			t.Class, t.Message = s[a+1:b], ""
		}
	}
	next := i + 1
	if w := strings.TrimSpace(text(lines, next)); strings.HasPrefix(w, "what():") {
		t.Message, t.At = strings.TrimSpace(strings.TrimPrefix(w, "what():")), lines[next].n
		next++
	} else if _, after, ok := strings.Cut(s, "of type "); ok {
		t.Class, t.Message, _ = strings.Cut(after, ": ")
	}
	return t, next
}

func assertPlace(s string) string {
	parts := strings.SplitN(s, ":", 4)
	if len(parts) == 4 && isDigits(strings.TrimSpace(parts[2])) {
		return strings.TrimSpace(parts[1]) + ":" + strings.TrimSpace(parts[2])
	}
	return ""
}

// withoutHead takes what a logger writes before every line of a traceback off its lines: the same words, or the same but for digits. It
// returns nil when nothing stands before the first frame.
func withoutHead(lines []vline, i int) []vline {
	s := text(lines, i+1)
	k := strings.Index(s, `  File "`)
	if k <= 0 || k > 120 || strings.TrimSpace(s[:k]) == "" && !strings.HasPrefix(lines[i].text, s[:k]+"Traceback") {
		return nil
	}
	head := s[:k]
	like := func(s string) bool {
		if len(s) < k {
			return strings.TrimRight(head, " ") == strings.TrimRight(s, " ") || len(s) > k-3 && len(s) > 0 && strings.TrimRight(head, " ") == s
		}
		for n := range k {
			if s[n] != head[n] && !(isDigits(s[n:n+1]) && isDigits(head[n:n+1])) {
				return false
			}
		}
		return true
	}
	out := make([]vline, 0, 64)
	out = append(out, lines[i])
	for n := i + 1; n < len(lines) && len(out) < 400 && like(lines[n].text); n++ {
		out = append(out, vline{lines[n].n, lines[n].text[min(k, len(lines[n].text)):]})
	}
	return out
}

func readPython(lines []vline, i int) (Trace, int) {
	if bare := withoutHead(lines, i); bare != nil {
		t, next := readPython(append(bare, vline{}), 0)
		t.Logged = true
		return t, i + min(next, len(bare))
	}
	t := Trace{Language: "Python"}
	prefix, _, _ := strings.Cut(lines[i].text, "Traceback")
	prefix = strings.TrimRight(prefix, " +|") // exception groups draw a frame
	t.Logged = strings.TrimSpace(prefix) != ""
	var all []raised
	direct := false
	next := i + 1
	for {
		r, end, ok := readRaised(lines, next)
		if next = end; !ok {
			break
		}
		all = append(all, r)
		// Chained exceptions: a blank line, the sentence, a blank line, the next traceback.
		k := skipBlank(lines, next)
		cause := strings.HasPrefix(text(lines, k), "The above exception was the direct cause")
		if !cause && !strings.HasPrefix(text(lines, k), "During handling of the above exception") {
			break
		}
		direct = cause
		if k = skipBlank(lines, k+1); !strings.Contains(text(lines, k), "Traceback (most recent") {
			break
		}
		next = k + 1
	}
	if len(all) == 0 {
		return Trace{}, i
	}
	last := all[len(all)-1]
	t.Class, t.Message, t.Own, t.Function, t.At, t.Foreign = last.class, last.message, last.own, last.function, last.n, last.foreign
	if len(all) > 1 {
		t.CauseAt = all[0].n
		if direct || last.class == "SystemExit" {
			t.CauseClass, t.CauseMessage = all[0].class, all[0].message
		}
	}
	return t, next
}

// raised is one exception of a Python traceback.
type raised struct {
	class, message, own, function string
	n                             int  // the line that names it
	foreign                       bool // as in Trace
}

// readRaised reads the frames of a Python traceback and the exception below them. It returns where it stopped; false when there is none.
func readRaised(lines []vline, next int) (r raised, end int, ok bool) {
	last := "" // the last frame, whoever's it is
	lastFunction := ""
	library := false
	for ; next < len(lines); next++ {
		s := lines[next].text
		bare := strings.TrimLeft(s, " |+")
		if strings.HasPrefix(bare, "File \"") {
			last, lastFunction = pythonPlace(bare)
			library = strings.Contains(bare, "site-packages/") || strings.Contains(bare, "dist-packages/")
			if ownPython(bare) {
				r.own, r.function = last, lastFunction
			}
			continue
		}
		if s == "" || strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t") || levelStart(s) && frameSoon(lines, next) {
			continue
		}
		break
	}
	r.foreign = library && r.own != ""
	if r.own == "" {
		r.own, r.function = last, lastFunction
	}
	class, message, _ := strings.Cut(text(lines, next), ": ")
	if class = strings.TrimSuffix(class, ":"); !pythonClass(class) {
		return raised{}, next, false
	}
	r.class, r.message, r.n = class, message, lines[next].n
	next++
	// A message can go on for lines; the first lines are enough, but an empty first one is not.
	for k := 0; k < 12 && next < len(lines); k++ {
		s := lines[next].text
		if s == "" || strings.HasPrefix(s, "Traceback") || levelStart(s) {
			break
		}
		if k < 2 && len(r.message) < 200 {
			r.message = strings.TrimSpace(r.message + " " + strings.TrimSpace(s))
		}
		if !strings.HasPrefix(s, " ") && k > 2 {
			break
		}
		next++
	}
	return r, next, true
}

// skipBlank is the first line from i on that is not blank.
func skipBlank(lines []vline, i int) int {
	for i < len(lines) && lines[i].text == "" {
		i++
	}
	return i
}

func levelStart(s string) bool {
	return lineLevel(s) != NoLevel || len(s) > 10 && isDigits(s[:4]) && (s[4] == '-' || s[4] == '/')
}

// frameSoon says that a traceback goes on after a line that another thread logged in its midst.
func frameSoon(lines []vline, i int) bool {
	for k := i + 1; k < len(lines) && k <= i+3; k++ {
		if strings.HasPrefix(strings.TrimSpace(lines[k].text), "File \"") {
			return true
		}
		if !levelStart(lines[k].text) {
			return false
		}
	}
	return false
}

func pythonClass(s string) bool {
	if s == "" || len(s) > 120 || !(s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z' || s[0] == '_') {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_') {
			return false
		}
	}
	return true
}

func pythonPlace(s string) (place, function string) {
	_, rest, _ := strings.Cut(s, "File \"")
	file, rest, _ := strings.Cut(rest, "\"")
	_, line, _ := strings.Cut(rest, "line ")
	line, function, _ = strings.Cut(line, ", in ")
	line, _, _ = strings.Cut(line, ",")
	return fmt.Sprintf("%s:%s", base(file), strings.TrimSpace(line)), strings.TrimSpace(function)
}

func ownPython(s string) bool {
	for _, lib := range []string{"site-packages/", "dist-packages/", "/lib/python", "<frozen ", "/usr/lib/", "<string>", "/bin/"} {
		if strings.Contains(s, lib) {
			return false
		}
	}
	return true
}

// readPythonSyntax reads what Python prints when it cannot even parse the program: the place, the line, a mark, the class.
// readPythonTail reads a traceback of which the log holds only the last frames, as one that was cut or a "tail" of it does.
func readPythonTail(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	if !strings.HasPrefix(s, "  File \"") || !strings.Contains(s, ", line ") || !strings.Contains(s, ", in ") {
		return Trace{}, i
	}
	rest := lines[i:min(len(lines), i+80)]
	t, next := readPython(slices.Concat([]vline{{lines[i].n, "Traceback (most recent call last):"}}, rest, []vline{{}}), 0)
	if t.Class == "" {
		return Trace{}, i
	}
	return t, i + min(next-1, len(rest))
}

func readPythonSyntax(lines []vline, i int) (Trace, int) {
	for k := i + 1; k < len(lines) && k <= i+4; k++ {
		class, message, ok := strings.Cut(lines[k].text, ": ")
		if ok && (class == "SyntaxError" || class == "IndentationError" || class == "TabError") {
			place, _ := pythonPlace(strings.TrimSpace(lines[i].text))
			return Trace{Language: "Python", Class: class, Message: message, Own: place, At: lines[k].n}, k + 1
		}
	}
	return Trace{}, i
}
