package diagnose

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// What a byte may begin, as bits. Most bytes begin nothing, and the scan passes them at the cost of one look-up.
const (
	beginsToken     = 1 << iota // the first letter of a token of a well-known form, or of Bearer and Basic
	beginsValue                 // = or : between a name and a value
	beginsFlag                  // - of a command line flag or of a private key
	beginsQuote                 // ' of an SQL password
	beginsUser                  // @ behind user and password without a scheme
	beginsElement               // > of an XML element
	beginsRedaction             // [ of what is redacted already
)

// makeTriggers says for each byte what it may begin.
func makeTriggers(forms *[256][]tokenForm) *[256]uint8 {
	t := new([256]uint8)
	for c := range forms {
		if len(forms[c]) > 0 {
			t[c] |= beginsToken
		}
	}
	for _, c := range "Bb" {
		t[c] |= beginsToken
	}
	t['='], t[':'] = beginsValue, beginsValue
	t['-'] |= beginsFlag
	t['\''], t['@'], t['>'], t['['] = beginsQuote, beginsUser, beginsElement, beginsRedaction
	return t
}

func (s *scan) run() {
	text := s.text
	i := 0
	s.findLongWord(0)
	for {
		for i < s.longWord.start && s.triggers[text[i]] == 0 {
			i++
		}
		if i >= s.longWord.start {
			if i >= len(text) {
				return
			}
			i = max(s.hide(s.longWord.start, s.longWord.end), i)
			s.findLongWord(i)
			continue
		}
		t := s.triggers[text[i]]
		next := i
		switch {
		case t&beginsToken != 0:
			if i == 0 || !isAlnum(text[i-1]) {
				next = s.token(i)
			}
		case t&beginsValue != 0:
			next = s.assignment(i)
		case t&beginsFlag != 0:
			next = s.dash(i)
		case t&beginsUser != 0:
			next = s.userAt(i)
		case t&beginsQuote != 0:
			next = s.sqlPassword(i)
		case t&beginsElement != 0:
			next = s.element(i)
		case t&beginsRedaction != 0:
			if strings.HasPrefix(text[i:], Redacted) {
				next = i + len(Redacted)
			}
		}
		i = max(next, i+1)
	}
}

// token hides a token of a well-known form that begins at i, and what follows Bearer and Basic.
func (s *scan) token(i int) int {
	text := s.text
	if c := text[i]; c == 'B' || c == 'b' {
		return s.scheme(i)
	}
	forms := s.forms[text[i]]
	for f := range forms {
		form := &forms[f]
		if !strings.HasPrefix(text[i:], form.prefix) {
			continue
		}
		end := runEnd(text, i+len(form.prefix), form.takes)
		body := text[i+len(form.prefix) : end]
		if len(body) < form.min || form.check != nil && !form.check(body) {
			continue
		}
		if last := form.prefix[len(form.prefix)-1]; last == '/' || last == ' ' {
			i += len(form.prefix) // the host of a webhook and the name of a setting stay
		}
		return s.hide(i, end)
	}
	return i
}

// scheme hides the credentials behind an HTTP authentication scheme.
func (s *scan) scheme(i int) int {
	text := s.text
	word, isBasic := "bearer", false
	if len(text) > i+6 && (text[i+1] == 'a' || text[i+1] == 'A') {
		word, isBasic = "basic", true
	}
	if len(text) <= i+len(word)+1 || !strings.EqualFold(text[i:i+len(word)], word) || text[i+len(word)] != ' ' {
		return i
	}
	start := i + len(word) + 1
	end := runEnd(text, start, func(c byte) bool { return isWord(c) || strings.IndexByte("./+=~:", c) >= 0 })
	value := text[start:end]
	if isBasic {
		// "Basic authentication" is prose: credentials are base64 of user:password.
		plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil || len(value) < 6 || !strings.Contains(string(plain), ":") || !utf8.Valid(plain) {
			return i
		}
		return s.hide(start, end)
	}
	if len(value) < 8 || !mixed(value) || strings.HasPrefix(value, "realm=") {
		return i
	}
	return s.hide(start, end)
}

// dash hides a private key, and the value of a flag that is an argument of its own.
func (s *scan) dash(i int) int {
	text := s.text
	if !strings.HasPrefix(text[i:], "--") {
		return s.shortFlag(i)
	}
	if strings.HasPrefix(text[i:], "-----BEGIN ") {
		return s.privateKey(i)
	}
	if i > 0 && !isBlank(text[i-1]) && !isQuote(text[i-1]) && text[i-1] != '[' && text[i-1] != '(' {
		return i
	}
	start := i + 2
	end := runEnd(text, start, isKeyByte)
	strength := keyStrength(text[start:end])
	if strength == notSecret && text[start:end] != "user" {
		return i
	}
	// --name value, "--name", "value" and ["--name","value"]; --name=value is an assignment.
	at := end
	for at < len(text) && (isQuote(text[at]) || text[at] == ',' || text[at] == ' ') {
		at++
	}
	if at == len(text) || text[at] == '-' || text[at] == ']' {
		return i
	}
	stop := 0
	if text[at] == '\n' {
		if at, stop = s.argumentBelow(i, at); isMessage(text[at:stop]) {
			return i
		}
	} else if stop = runEnd(text, at, isFlagValue); at == end {
		return i
	}
	if text[start:end] == "user" {
		if colon := strings.IndexByte(text[at:stop], ':'); colon > 0 {
			return s.hide(at+colon+1, stop)
		}
		return i
	}
	if !s.worthHiding(text[at:stop], strength, assigned) {
		return i
	}
	return s.hide(at, stop)
}

// shortFlag hides the password of `curl -u user:password`, `redis-cli -a password` and `mysql -ppassword`.
func (s *scan) shortFlag(i int) int {
	text := s.text
	if i == 0 || !isBlank(text[i-1]) || i+3 >= len(text) {
		return i
	}
	before := text[max(0, i-128):i]
	start, stop := i+3, runEnd(text, i+3, isFlagValue)
	if text[i+2] == '\n' {
		start, stop = s.argumentBelow(i, i+2)
	}
	apart := text[i+2] == ' ' || text[i+2] == '\n'
	switch {
	case text[i+1] == 'a' && apart && strings.Contains(before, "redis-cli"):
		return s.hide(start, stop)
	case text[i+1] == 'p' && !isBlank(text[i+2]) && text[i+2] != '-' && strings.Contains(before, "mysql"):
		return s.hide(i+2, runEnd(text, i+2, isArgument))
	case text[i+1] != 'u' || !apart:
		return i
	}
	colon := strings.IndexByte(text[start:stop], ':')
	if colon <= 0 || strings.Contains(text[start:stop], "://") {
		return i
	}
	return s.hide(start+colon+1, stop)
}

func isFlagValue(c byte) bool { return !isBlank(c) && !isQuote(c) }

// maxIndent bounds what stands before an argument that has a line of its own.
const maxIndent = 64

// argumentBelow is the argument that follows a flag where each has a line of its own, as `kubectl describe`, YAML and JSON write them: the
// line below, with the same before it. It is empty when there is none. eol is the end of the flag's line.
func (s *scan) argumentBelow(flag, eol int) (start, stop int) {
	text := s.text
	begin := flag
	for begin > 0 && flag-begin < maxIndent && text[begin-1] != '\n' {
		if c := text[begin-1]; !isBlank(c) && !isQuote(c) && c != '-' {
			return eol, eol
		}
		begin--
	}
	before := text[begin:flag]
	if begin > 0 && text[begin-1] != '\n' || !strings.HasPrefix(text[eol+1:], before) {
		return eol, eol
	}
	start = eol + 1 + len(before)
	inQuotes := before != "" && isQuote(before[len(before)-1])
	stop = runEnd(text, start, func(c byte) bool { return c != '\n' && c != '\r' && (!inQuotes || c != before[len(before)-1]) })
	if start == stop || isBlank(text[start]) || text[start] == '-' || before == "" && strings.IndexByte(text[start:stop], ' ') >= 0 {
		return eol, eol // a line of its own at the margin may be a sentence
	}
	return start, stop
}

// maxKey bounds a private key whose end is missing. An RSA key of 16384 bits takes under 13 KB.
const maxKey = 16 << 10

// privateKey hides a PEM block, on one line with escaped line breaks or on many. What is cut off runs to the last line that could
// belong to it.
func (s *scan) privateKey(i int) int {
	text := s.text
	head := i + len("-----BEGIN ")
	label := runEnd(text, head, func(c byte) bool { return isUpper(c) || isDigit(c) || c == ' ' })
	if !strings.HasPrefix(text[label:], "-----") || !strings.Contains(text[head:label], "PRIVATE KEY") {
		return i + 5
	}
	start := label + 5
	window := text[start:min(len(text), start+maxKey)]
	if end := strings.Index(window, "-----"); end >= 0 {
		if strings.HasPrefix(window[end:], "-----END ") {
			return s.hide(start, start+end)
		}
		window = window[:end] // the end is missing, and another block begins
	}
	end := 0
	for end < len(window) {
		line := window[end:]
		if n := strings.IndexByte(line, '\n'); n >= 0 {
			line = line[:n+1]
		}
		if !isPEMLine(line) {
			break
		}
		end += len(line)
	}
	return s.hide(start, start+end)
}

// isPEMLine takes base64, the headers of an encrypted key and blank lines, also with line breaks written as \n.
func isPEMLine(line string) bool {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "Proc-Type:") || strings.HasPrefix(line, "DEK-Info:") {
		return true
	}
	for i := 0; i < len(line); i++ {
		if c := line[i]; !isAlnum(c) && c != '+' && c != '/' && c != '=' && c != '\\' {
			return false
		}
	}
	return true
}

// minLongWord is how long a word of random base64 is that goes whatever stands around it: the lines of a private key are 64 letters.
const minLongWord = 60

// findLongWord looks for the next such word at or behind from. One byte in sixty is looked at, and the word around it.
func (s *scan) findLongWord(from int) {
	text := s.text
	s.longWord = span{len(text), 0}
	low := from // where a word may begin
	for at := from + minLongWord - 1; at < len(text); at += minLongWord {
		if !isBase64(text[at]) {
			continue
		}
		start, end := at, runEnd(text, at, isBase64)
		for start > low && isBase64(text[start-1]) {
			start--
		}
		low = end
		// Subresource integrity, npm's lock files: sha512-... is a hash.
		isHash := start > 6 && strings.EqualFold(text[start-7:start-4], "sha") && (text[start-1] == '-' || text[start-1] == ':')
		if end-start >= minLongWord && !isHash && strings.Count(text[start:end], "/")*12 < end-start && looksRandom(text[start:end]) {
			s.longWord = span{start, end}
			return
		}
		if end > at {
			at += (end - at) / minLongWord * minLongWord
		}
	}
}

func isBase64(c byte) bool { return isAlnum(c) || c == '+' || c == '/' || c == '=' }

// sqlPassword hides what follows PASSWORD or IDENTIFIED BY in a statement.
func (s *scan) sqlPassword(i int) int {
	text := s.text
	if i < 4 || text[i-1] != ' ' {
		return i
	}
	before := text[max(0, i-24) : i-1]
	if !hasSuffixFold(before, " password") && !hasSuffixFold(before, "identified by") || hasSuffixFold(before, "revision identified by") { // Alembic's own words

		return i
	}
	end := strings.IndexByte(text[i+1:], '\'')
	if end <= 0 || strings.IndexByte(text[i+1:i+1+end], '\n') >= 0 {
		return i
	}
	return s.hide(i+1, i+1+end)
}

func hasSuffixFold(text, suffix string) bool {
	return len(text) >= len(suffix) && strings.EqualFold(text[len(text)-len(suffix):], suffix)
}

// element hides the text of an XML element whose name says secret.
func (s *scan) element(i int) int {
	text := s.text
	start := i
	for start > 0 && i-start < 64 && isKeyByte(text[start-1]) {
		start--
	}
	if start == i || start == 0 || text[start-1] != '<' {
		return i
	}
	strength := keyStrength(text[start:i])
	if strength == notSecret {
		return i
	}
	end := strings.IndexByte(text[i+1:min(len(text), i+1+4096)], '<')
	if end <= 0 || !s.worthHiding(text[i+1:i+1+end], strength, quoted) {
		return i
	}
	return s.hide(i+1, i+1+end)
}
