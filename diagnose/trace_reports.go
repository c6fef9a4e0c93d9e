package diagnose

import "strings"

// readReport reads what programs print in a form of their own instead of a stack trace: a framework's report of why it does not start,
// an error with its numbered causes, the last words of a virtual machine.
func readReport(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	switch {
	case s == "APPLICATION FAILED TO START":
		return readSpringReport(lines, i)
	case strings.HasPrefix(s, "Error: ") && text(lines, i+1) == "" && text(lines, i+2) == "Caused by:":
		return readAnyhow(lines, i, i+3)
	case strings.TrimRight(s, " ") == "Error:" && strings.HasPrefix(text(lines, i+1), "   0: "):
		return readAnyhow(lines, i, i+1)
	case strings.HasPrefix(s, "FATAL ERROR: ") && strings.Contains(s, "JavaScript heap out of memory"):
		return Trace{Language: "Node.js", Panic: true, Message: strings.TrimPrefix(s, "FATAL ERROR: "), At: lines[i].n}, i + 1
	case strings.HasPrefix(s, "thread '") && strings.HasSuffix(s, "' has overflowed its stack"):
		return Trace{Language: "Rust", Panic: true, Message: "stack overflow in " + strings.TrimSuffix(s, " has overflowed its stack"), At: lines[i].n}, i + 1
	case s == "rails aborted!" || s == "rake aborted!" || s == "bin/rails aborted!":
		return readRake(lines, i)
	case s == "Unhandled exception:":
		return readDart(lines, i)
	case strings.HasPrefix(s, "error: Uncaught "):
		return readDeno(lines, i)
	case strings.HasPrefix(s, "Kernel pid terminated (") || strings.HasPrefix(s, "Runtime terminating during boot (") || strings.HasPrefix(s, "init terminating in do_boot ("):
		return readErlangExit(lines, i)
	case strings.HasPrefix(s, "Error: LinkageError occurred while loading main class "):
		if class, message, ok := jvmException(strings.TrimSpace(text(lines, i+1))); ok {
			return Trace{Language: "Java", Class: class, Message: message, At: lines[i+1].n}, i + 2
		}
	}
	return Trace{}, i
}

// readSpringReport reads Spring Boot's failure analysis: what it found out stands in the paragraphs between "Description:" and "Action:".
func readSpringReport(lines []vline, i int) (Trace, int) {
	t := Trace{Language: "Java", At: lines[i].n}
	next := i + 1
	var said []string
	described := false
	for ; next < len(lines) && next < i+40; next++ {
		s := strings.TrimSpace(lines[next].text)
		if s == "Action:" {
			break
		}
		switch {
		case s == "Description:":
			described = true
		case described && s != "":
			if len(said) == 0 {
				t.At = lines[next].n
			}
			said = append(said, s)
		}
	}
	if len(said) == 0 {
		return Trace{}, i
	}
	t.Message = strings.Join(said[:min(len(said), 5)], " ")
	for k := 0; k < 4 && next < len(lines) && !levelStart(text(lines, next)); k++ {
		next++
	}
	return t, next
}

// readAnyhow reads the report of Rust's anyhow and eyre: "Error: what", an empty line, "Caused by:", and the causes, the innermost last;
// or "Error:" and the causes alone.
func readAnyhow(lines []vline, i, next int) (Trace, int) {
	t := Trace{Language: "Rust", Message: strings.TrimSpace(strings.TrimPrefix(lines[i].text, "Error:")), At: lines[i].n}
	for ; next < len(lines) && strings.HasPrefix(lines[next].text, "   "); next++ {
		s := strings.TrimSpace(lines[next].text)
		number, rest, ok := strings.Cut(s, ": ")
		switch {
		case ok && isDigits(number):
			t.CauseMessage, t.CauseAt = rest, lines[next].n
		case t.CauseAt == 0:
			t.CauseMessage, t.CauseAt = s, lines[next].n
		}
	}
	if t.CauseAt == 0 {
		return Trace{}, i
	}
	if t.Message == "" {
		t.Message = strings.TrimSpace(text(lines, i+1))
		_, t.Message, _ = strings.Cut(t.Message, ": ")
	}
	if t.Message != t.CauseMessage {
		t.CauseMessage = t.Message + ": " + t.CauseMessage
	}
	t.Message = t.CauseMessage
	return t, next
}

// readDart reads what the Dart VM prints: the exception, and frames that begin with #0.
func readDart(lines []vline, i int) (Trace, int) {
	t := Trace{Language: "Dart", At: lines[min(i+1, len(lines)-1)].n}
	t.Class, t.Message, _ = strings.Cut(text(lines, i+1), ": ")
	next := i + 2
	for next < len(lines) && next < i+12 && !strings.HasPrefix(lines[next].text, "#0 ") {
		next++
	}
	if !strings.HasPrefix(text(lines, next), "#0 ") {
		return Trace{}, i
	}
	for ; next < len(lines) && strings.HasPrefix(lines[next].text, "#"); next++ {
		s := lines[next].text
		open := strings.LastIndexByte(s, '(')
		if t.Own != "" || open < 0 || strings.Contains(s[open:], "(dart:") || strings.Contains(s[open:], "(package:") {
			continue
		}
		place, _, _ := cutLast(strings.TrimSuffix(s[open+1:], ")"), ":") // without the column
		t.Own = base(strings.TrimPrefix(place, "file://"))
	}
	return t, next
}

// readDeno reads "error: Uncaught (in promise) Class: message", the line of the source, and the frames.
func readDeno(lines []vline, i int) (Trace, int) {
	s := strings.TrimPrefix(strings.TrimPrefix(lines[i].text, "error: Uncaught "), "(in promise) ")
	t := Trace{Language: "Deno", At: lines[i].n}
	class, message, ok := strings.Cut(s, ": ")
	if !ok || !pythonClass(class) {
		return Trace{}, i
	}
	t.Class, t.Message = class, message
	next := i + 1
	for k := 0; k < 6 && next < len(lines) && !nodeFrame(lines[next].text); k++ {
		next++
	}
	if !nodeFrame(text(lines, next)) {
		return t, i + 1
	}
	for ; next < len(lines) && nodeFrame(lines[next].text); next++ {
		place := strings.TrimSuffix(lines[next].text[strings.LastIndexAny(lines[next].text, " (")+1:], ")")
		if t.Own == "" && strings.HasPrefix(place, "file://") {
			place, _, _ = cutLast(place, ":")
			t.Own = base(strings.TrimPrefix(place, "file://"))
		}
	}
	return t, next
}

// readErlangExit reads the line with which the Erlang VM gives up. What happened mostly stands in a report before it.
func readErlangExit(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	open := strings.Index(s, " (")
	if strings.HasPrefix(s, "Kernel pid terminated (") {
		if k := strings.Index(s, ") ("); k > 0 {
			open = k + 1
		}
	}
	t := Trace{Language: "Erlang", Class: s[:open], Message: strings.Trim(s[open:], ` ("{})`), At: lines[i].n}
	t.Class, _, _ = strings.Cut(t.Class, " (")
	next := i + 1
	if text(lines, next) == "" && strings.HasPrefix(text(lines, next+1), "Crash dump is being written") {
		next += 2
	}
	return t, next
}

// readRake reads how rake and the rails command end: the exception, its frames, what caused it, and where to see more.
func readRake(lines []vline, i int) (Trace, int) {
	t := Trace{Language: "Ruby"}
	next, cause := i+1, false
	for ; next < len(lines) && next < i+80; next++ {
		s := strings.TrimSpace(lines[next].text)
		if strings.HasPrefix(s, "Tasks: TOP") || strings.HasPrefix(s, "(See full trace") {
			continue
		}
		if s == "Caused by:" {
			cause = true
			continue
		}
		if strings.HasPrefix(s, "/") && strings.Contains(s, ":in ") {
			if t.Own == "" && ownRuby(s) {
				place, _, _ := strings.Cut(s, ":in ")
				t.Own = base(place)
			}
			continue
		}
		if levelStart(s) && t.At > 0 {
			break
		}
		class, message, ok := strings.Cut(s, ": ")
		if !ok || !pythonClass(strings.ReplaceAll(class, "::", ".")) {
			if t.At == 0 && s != "" {
				t.Message, t.At = s, lines[next].n
			}
			continue
		}
		switch {
		case t.At == 0:
			t.Class, t.Message, t.At = class, message, lines[next].n
		case cause:
			t.CauseClass, t.CauseMessage, t.CauseAt, cause = class, message, lines[next].n, false
		}
	}
	if t.At == 0 {
		return Trace{}, i
	}
	for next > i+1 && strings.TrimSpace(lines[next-1].text) == "" {
		next--
	}
	return t, next
}

// readGlog reads the fatal line of Google's logger for C++, which aborts the program: "F20240328 05:40:32.391830 78788 transaction.cc:499] Check
// failed: x > 0 (0 vs. 0)", and the stack below it.
func readGlog(lines []vline, i int) (Trace, int) {
	head, message, _ := strings.Cut(lines[i].text, "] ")
	place := head[strings.LastIndexByte(head, ' ')+1:]
	file, _, _ := strings.Cut(place, ":")
	if !strings.HasSuffix(file, ".cc") && !strings.HasSuffix(file, ".cpp") && !strings.HasSuffix(file, ".h") {
		return Trace{}, i
	}
	t := Trace{Language: "C++", Panic: true, Message: strings.TrimSpace(message), At: lines[i].n}
	next := i + 1
	for next < len(lines) && next < i+60 {
		if s := strings.TrimSpace(lines[next].text); s != "" && !strings.HasPrefix(s, "@ ") && !strings.HasPrefix(s, "*** ") && !strings.HasPrefix(s, "PC: ") {
			break
		}
		next++
	}
	return t, next
}
