package diagnose

import "strings"

func readDotnet(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	s = strings.TrimPrefix(strings.TrimPrefix(s, "Unhandled exception. "), "Unhandled Exception: ")
	t := Trace{Language: ".NET", At: lines[i].n}
	// An inner exception stands on the same line or on the next, after " ---> ".
	take := func(s string, n int) {
		for k, part := range strings.Split(s, " ---> ") {
			part = strings.TrimSpace(part)
			if part == "" {
				continue
			}
			class, message, _ := strings.Cut(part, ": ")
			if t.Class == "" && k == 0 {
				t.Class, t.Message = class, message
			} else if class != "" {
				t.CauseClass, t.CauseMessage, t.CauseAt = class, message, n
			}
		}
	}
	take(s, lines[i].n)
	next := i + 1
	for ; next < len(lines); next++ {
		s := lines[next].text
		trimmed := strings.TrimSpace(s)
		switch {
		case strings.HasPrefix(s, " ---> ") || strings.HasPrefix(trimmed, "---> "):
			take(" ---> "+strings.TrimPrefix(trimmed, "---> "), lines[next].n)
			continue
		case strings.HasPrefix(trimmed, "at ") || strings.HasPrefix(trimmed, "--- End of"):
			if t.Own == "" {
				if _, place, ok := strings.Cut(trimmed, ") in "); ok && !strings.HasPrefix(trimmed, "at System.") && !strings.HasPrefix(trimmed, "at Microsoft.") {
					t.Own = base(strings.Replace(place, ":line ", ":", 1))
					t.Function = strings.TrimPrefix(trimmed[:strings.IndexByte(trimmed, '(')], "at ")
				}
			}
			continue
		}
		break
	}
	return t, next
}

func readPHP(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	rest := s
	for _, mark := range []string{"PHP Fatal error: ", "PHP Parse error: ", "Fatal error: ", "Parse error: "} {
		if _, after, ok := strings.Cut(s, mark); ok {
			rest = strings.TrimSpace(after)
			break
		}
	}
	if !strings.Contains(s, "PHP ") && !strings.Contains(rest, ".php") {
		if before, after, ok := strings.Cut(s, "Fatal error: "); ok && strings.Contains(s, ".swift") {
			return Trace{Language: "Swift", Panic: true, Message: after, Own: strings.TrimSuffix(strings.TrimSpace(before), ":"), At: lines[i].n}, i + 1
		}
		return Trace{}, i
	}
	t := Trace{Language: "PHP", At: lines[i].n}
	rest = strings.TrimPrefix(rest, "Uncaught ")
	message, place, _ := cutLast(rest, " in ")
	if class, m, ok := strings.Cut(message, ": "); ok && !strings.Contains(class, " ") {
		t.Class, message = class, m
	}
	t.Message = message
	place = strings.Replace(place, " on line ", ":", 1)
	t.Own = base(place)
	next := i + 1
	for ; next < len(lines); next++ {
		s := strings.TrimSpace(lines[next].text)
		if s != "Stack trace:" && !strings.HasPrefix(s, "#") && !strings.HasPrefix(s, "thrown in") && !strings.HasPrefix(s, "Next ") {
			break
		}
	}
	return t, next
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func readElixir(lines []vline, i int) (Trace, int) {
	s := strings.TrimSpace(lines[i].text)
	class, message, ok := strings.Cut(strings.TrimPrefix(s, "** ("), ") ")
	if !ok {
		return Trace{}, i
	}
	t := Trace{Language: "Elixir", Class: class, Message: message, At: lines[i].n}
	next := i + 1
	for ; next < len(lines) && strings.HasPrefix(lines[next].text, "    "); next++ {
		frame := strings.TrimSpace(lines[next].text)
		if inner, ok := strings.CutPrefix(frame, "** ("); ok {
			if c, m, ok := strings.Cut(inner, ") "); ok {
				t.CauseClass, t.CauseMessage, t.CauseAt = c, m, lines[next].n
			}
		}
		if t.Own == "" && strings.Contains(frame, ".ex") && !strings.HasPrefix(frame, "(elixir ") && !strings.HasPrefix(frame, "(stdlib ") && !strings.HasPrefix(frame, "(mix ") {
			if at := strings.Index(frame, ") "); at > 0 {
				frame = frame[at+2:]
			}
			place, function, _ := strings.Cut(frame, ": ")
			t.Own, t.Function = place, function
		}
	}
	return t, next
}

// readRuby reads "/app/x.rb:3:in 'method': message (Class)".
func readRuby(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	at := strings.Index(s, ":in ")
	if at < 0 || !strings.Contains(s[:at], ":") || strings.HasPrefix(strings.TrimSpace(s), "from ") {
		return Trace{}, i
	}
	place := strings.TrimSpace(s[:at])
	if f := strings.Fields(place); len(f) > 0 {
		place = f[len(f)-1]
	}
	_, number, ok := cutLast(place, ":")
	if !ok || !isDigits(number) {
		return Trace{}, i
	}
	_, rest, ok := strings.Cut(s[at:], "': ")
	open := strings.LastIndex(rest, " (")
	if !ok || open < 0 || !strings.HasSuffix(rest, ")") || !pythonClass(strings.ReplaceAll(rest[open+2:len(rest)-1], "::", ".")) {
		return Trace{}, i
	}
	t := Trace{Language: "Ruby", Class: rest[open+2 : len(rest)-1], Message: rest[:open], At: lines[i].n}
	if ownRuby(place) {
		t.Own = base(place)
	}
	library := t.Own == ""
	next := i + 1
	for ; next < len(lines); next++ {
		frame := strings.TrimSpace(lines[next].text)
		if !strings.HasPrefix(frame, "from ") {
			break
		}
		if t.Own == "" && ownRuby(frame) {
			p, _, _ := strings.Cut(strings.TrimPrefix(frame, "from "), ":in ")
			t.Own = base(p)
		}
	}
	t.Foreign = library && t.Own != ""
	return t, next
}

// readRubyLogged reads an exception that a program hands to its logger, class and message on one line and the frames below: Sidekiq's
// "WARN: NameError: message", "WARN: /app/x.rb:3:in `method'".
func readRubyLogged(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	if i+1 >= len(lines) || !strings.Contains(s, "Error: ") && !strings.Contains(s, "Exception: ") || !rubyFrame(lines[i+1].text) {
		return Trace{}, i
	}
	t := Trace{Language: "Ruby", At: lines[i].n}
	// Behind the logger's head: a report of the runtime's own begins with the class.
	_, rest, _ := strings.Cut(s, ": ")
	for t.Class == "" {
		word, after, ok := strings.Cut(rest, ": ")
		if !ok {
			return Trace{}, i
		}
		if f := strings.Fields(word); len(f) > 0 && (strings.HasSuffix(word, "Error") || strings.HasSuffix(word, "Exception")) && pythonClass(strings.ReplaceAll(f[len(f)-1], "::", ".")) {
			t.Class, t.Message = f[len(f)-1], after
		}
		rest = after
	}
	next := i + 1
	for ; next < len(lines) && rubyFrame(lines[next].text); next++ {
		if frame := lines[next].text; t.Own == "" && ownRuby(frame) && strings.Contains(frame, ".rb:") {
			p, _, _ := strings.Cut(frame, ":in ")
			f := strings.Fields(p)
			t.Own = base(f[len(f)-1])
		}
	}
	return t, next
}

// rubyFrame says that a line ends with a frame of a Ruby backtrace: "/app/x.rb:3:in `method'".
func rubyFrame(s string) bool {
	at := strings.Index(s, ":in ")
	if at < 1 || at+4 >= len(s) || s[at+4] != '`' && s[at+4] != '\'' || !strings.HasSuffix(strings.TrimSpace(s), "'") {
		return false
	}
	_, number, ok := cutLast(s[:at], ":")
	return ok && isDigits(number)
}

func ownRuby(place string) bool {
	return !strings.Contains(place, "/gems/") && !strings.Contains(place, "/lib/ruby/") && !strings.Contains(place, "<internal:")
}

// readJVM reads a Java, Kotlin or Scala exception: a line that names it, then frames that begin with "at ".
func readJVM(lines []vline, i int) (Trace, int) {
	s := lines[i].text
	t := Trace{Language: "Java", At: lines[i].n}
	start := strings.Contains(s, "Exception in thread ")
	class, message, ok := jvmException(s)
	if !ok {
		return Trace{}, i
	}
	next := i + 1
	// The message may go on for some lines before the first frame.
	for k := 0; k < 8 && !jvmFrame(text(lines, next)) && next < len(lines); k++ {
		if strings.HasPrefix(lines[next].text, "Caused by: ") {
			break
		}
		if k == 7 {
			break
		}
		next++
	}
	if !jvmFrame(text(lines, next)) && !strings.HasPrefix(text(lines, next), "Caused by: ") {
		// Kafka's have no frames: one stands alone as what was said last.
		if alone := strings.HasPrefix(s, class) && strings.Contains(class, ".") && i == len(lines)-1; !start && !alone {
			return Trace{}, i
		}
		t.Class, t.Message = class, message
		return t, i + 1
	}
	t.Class, t.Message, t.Logged = class, message, !start
	if strings.HasSuffix(message, "the following errors:") {
		// Guice lists what it could not make: the first of them says what is wrong.
		for k := i + 1; k < next; k++ {
			if first, ok := strings.CutPrefix(strings.TrimSpace(lines[k].text), "1) "); ok {
				if _, says, guice := strings.Cut(first, "]: "); guice && strings.HasPrefix(first, "[Guice/") {
					first = says
				}
				t.Message, t.At = first, lines[k].n
				break
			}
		}
	}
	frames, library := 0, false
	for ; next < len(lines); next++ {
		s := lines[next].text
		trimmed := strings.TrimSpace(s)
		switch {
		case jvmFrame(s):
			if frames++; frames == 1 {
				library = !ownJVM(trimmed)
			}
			if t.Own == "" && ownJVM(trimmed) {
				frame := strings.TrimPrefix(trimmed, "at ")
				if a, b := strings.IndexByte(frame, '('), strings.IndexByte(frame, ')'); a > 0 && b > a {
					t.Own, t.Function = frame[a+1:b], frame[:a]
				}
			}
			continue
		case strings.HasPrefix(trimmed, "Caused by: "):
			if c, m, ok := jvmException(strings.TrimPrefix(trimmed, "Caused by: ")); ok {
				t.CauseClass, t.CauseMessage, t.CauseAt, t.Own = c, m, lines[next].n, ""
				frames = 0
			}
			continue
		case strings.HasPrefix(trimmed, "... ") && strings.Contains(trimmed, " more") || strings.HasPrefix(trimmed, "Suppressed: "),
			trimmed == "" && strings.HasPrefix(strings.TrimSpace(text(lines, next+1)), "Caused by: "):
			continue
		case !levelStart(trimmed) && trimmed != "" && causedSoon(lines, next):
			continue // a message of several lines
		}
		break
	}
	t.Foreign = library && t.Own != ""
	return t, next
}

func causedSoon(lines []vline, i int) bool {
	for k := i + 1; k < len(lines) && k < i+6; k++ {
		if jvmFrame(lines[k].text) {
			return true
		}
		if levelStart(lines[k].text) {
			return false
		}
	}
	return false
}

func jvmFrame(s string) bool {
	trimmed := strings.TrimSpace(s)
	return strings.HasPrefix(trimmed, "at ") && len(trimmed) < len(s) && strings.HasSuffix(trimmed, ")") && strings.Contains(trimmed, "(") && !strings.Contains(trimmed, ":line ") &&
		(strings.Contains(trimmed, ".java:") || strings.Contains(trimmed, ".kt:") || strings.Contains(trimmed, ".scala:") || strings.Contains(trimmed, ".groovy:") || strings.Contains(trimmed, ".clj:") || strings.Contains(trimmed, "(Native Method)") || strings.Contains(trimmed, "(Unknown Source)")) ||
		strings.HasPrefix(trimmed, "at ") && strings.Contains(trimmed, ".jar")
}

// jvmException takes class and message out of a line that names a throwable by its full name.
func jvmException(s string) (class, message string, ok bool) {
	if _, after, found := strings.Cut(s, "Exception in thread "); found {
		if len(after) > 0 && after[0] == '"' {
			if end := strings.IndexByte(after[1:], '"'); end >= 0 {
				after = after[end+2:]
			}
		}
		s = strings.TrimSpace(after)
	}
	// After a logger's prefix and words, the class is the last word before one of the first colons.
	for rest, tries := s, 0; tries < 4; tries++ {
		head, tail, more := strings.Cut(rest, ": ")
		class = strings.TrimSuffix(head[strings.LastIndexByte(head, ' ')+1:], ":")
		if message, ok = tail, throwable(class); ok || !more {
			break
		}
		rest = tail
	}
	return class, message, ok
}

// throwable says that a word is the full name of a Java exception or error.
func throwable(class string) bool {
	if !strings.Contains(class, ".") || len(class) > 200 {
		return false
	}
	last := class[strings.LastIndexByte(class, '.')+1:]
	if !strings.HasSuffix(last, "Exception") && !strings.HasSuffix(last, "Error") && !strings.HasSuffix(last, "Throwable") && !strings.Contains(last, "Exception") {
		return false
	}
	return pythonClass(strings.ReplaceAll(class, "$", "."))
}

func ownJVM(frame string) bool {
	frame = strings.TrimPrefix(frame, "at ")
	if i := strings.IndexByte(frame, '/'); i >= 0 && i < strings.IndexByte(frame, '(') {
		frame = frame[strings.LastIndexByte(frame[:strings.IndexByte(frame, '(')], '/')+1:] // module or class loader
	}
	for _, lib := range []string{
		"java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.", "groovy.", "org.springframework.", "org.hibernate.", "org.apache.", "com.zaxxer.",
		"org.postgresql.", "com.mysql.", "io.netty.", "reactor.", "io.micronaut.", "io.quarkus.", "org.jboss.", "com.fasterxml.", "org.eclipse.", "org.flywaydb.", "liquibase.", "com.google.", "akka.", "play.", "org.mariadb.", "com.mongodb.", "redis.clients.", "io.lettuce.", "ch.qos.", "org.slf4j.", "io.grpc.", "kafka.", "io.trino.", "io.airlift.", "io.confluent.", "org.neo4j.", "org.opensearch.", "com.datastax.", "com.starrocks.", "org.graylog2.", "com.github.joschi.", "io.debezium.", "io.questdb.", "com.hazelcast.", "org.janusgraph.", "org.keycloak.", "org.sonar.", "org.infinispan.", "com.clickhouse.", "okhttp3.", "oracle.", "org.elasticsearch.", "clojure.",
	} {
		if strings.HasPrefix(frame, lib) {
			return false
		}
	}
	return true
}

// readNode reads what Node.js prints of an uncaught error: where, the line, the error and its frames.
func readNode(lines []vline, i int) (Trace, int) {
	name, code, message, ok := nodeError(lines[i].text)
	if !ok {
		return Trace{}, i
	}
	t := Trace{Language: "Node.js", Class: name, Message: message, At: lines[i].n}
	if code != "" {
		t.Class += " [" + code + "]"
	}
	t.Message = strings.TrimSuffix(t.Message, "] {")
	if strings.HasSuffix(t.Message, ":") && !nodeFrame(text(lines, i+1)) {
		t.Message += " " + strings.TrimSpace(text(lines, i+1))
	}
	next := i + 1
	for k := 0; k < 32 && next < len(lines) && !nodeFrame(lines[next].text); k++ {
		if levelStart(lines[next].text) {
			break
		}
		if strings.HasPrefix(strings.TrimSpace(text(lines, next)), "Require stack:") || k < 16 || strings.HasPrefix(text(lines, next), "- ") {
			next++
			continue
		}
		break
	}
	if !nodeFrame(text(lines, next)) {
		// No frames: only a line right after "throw err" or with an Uncaught mark counts.
		whole := strings.TrimSpace(lines[i].text)
		if strings.Contains(whole, "Uncaught") || strings.Contains(whole, "UnhandledPromiseRejection") {
			return t, i + 1
		}
		// An error without a stack is printed in brackets.
		if strings.HasPrefix(whole, "["+name+": ") && (strings.HasSuffix(whole, "]") || strings.HasSuffix(whole, "] {")) {
			t.Logged, t.Message = true, strings.TrimSuffix(t.Message, "]")
			return t, i + 1
		}
		return Trace{}, i
	}
	frames := 0
	for ; next < len(lines); next++ {
		s := lines[next].text
		trimmed := strings.TrimSpace(s)
		switch {
		case nodeFrame(s):
			if frames++; frames == 1 {
				t.Foreign = strings.Contains(s, "/node_modules/")
			}
			if t.Own == "" && !strings.Contains(s, "node:") && !strings.Contains(s, "node_modules/") && !strings.Contains(s, "internal/") && !strings.Contains(s, "<anonymous>)") {
				place := strings.TrimPrefix(trimmed, "at ")
				if a := strings.LastIndexByte(place, '('); a >= 0 {
					t.Function, place = strings.TrimSpace(place[:a]), strings.TrimSuffix(place[a+1:], ")")
				}
				place = strings.TrimPrefix(strings.TrimPrefix(place, "async "), "file://")
				if p, _, ok := cutLast(place, ":"); ok {
					place = p
				}
				t.Own = base(place)
			}
			continue
		case strings.HasPrefix(trimmed, "[cause]: "):
			t.CauseClass, t.CauseMessage, _ = strings.Cut(strings.TrimPrefix(trimmed, "[cause]: "), ": ")
			t.CauseAt = lines[next].n
			continue
		case strings.HasPrefix(s, "  ") || trimmed == "}" || trimmed == "" || strings.HasPrefix(trimmed, "Node.js v") || strings.HasPrefix(trimmed, "..."):
			continue
		}
		break
	}
	for next > i+1 && strings.TrimSpace(lines[next-1].text) == "" {
		next--
	}
	return t, next
}

// nodeError takes an error's name, code and message out of the line that Node.js prints of it: "TypeError [ERR_INVALID_URL]: Invalid URL".
func nodeError(line string) (name, code, message string, ok bool) {
	s := strings.TrimPrefix(strings.TrimSpace(line), "Uncaught ")
	if j := strings.Index(s, "[UnhandledPromiseRejection"); j > 0 {
		s = s[j:]
	}
	class, message, _ := strings.Cut(s, ": ")
	name, code, _ = strings.Cut(strings.Trim(class, "["), " [")
	if strings.HasPrefix(name, "(node:") || strings.HasPrefix(name, "UnhandledPromiseRejectionWarning") {
		if _, after, ok := strings.Cut(s, "UnhandledPromiseRejectionWarning: "); ok {
			name, message, _ = strings.Cut(after, ": ")
		}
	}
	name = name[strings.LastIndexByte(name, ' ')+1:]
	ok = (strings.HasSuffix(name, "Error") || strings.HasSuffix(name, "Exception") || strings.HasPrefix(name, "UnhandledPromiseRejection")) && pythonClass(name)
	return name, strings.TrimSuffix(code, "]"), message, ok
}

func nodeFrame(s string) bool {
	trimmed := strings.TrimLeft(s, " ")
	return strings.HasPrefix(trimmed, "at ") && len(s)-len(trimmed) >= 2 && (strings.Contains(trimmed, ":") || strings.Contains(trimmed, "<anonymous>"))
}
