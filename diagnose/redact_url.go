package diagnose

import "strings"

// maxURL bounds what is read of a URL.
const maxURL = 4 << 10

// url hides the password of a URL: scheme://user:password@host. Host, port, user and path stay. i is the colon before the slashes.
func (s *scan) url(i int) int {
	text := s.text
	start := i + 3
	end := start
	for end < len(text) && end-start < maxURL {
		if c := text[end]; isBlank(c) || isQuote(c) || c == '<' || c == '>' || c == '\\' && (end+1 == len(text) || text[end+1] != 'u') {
			break
		} else if c == ':' && strings.HasPrefix(text[end:], "://") {
			// Another URL in the same run has its own turn.
			for end > start && isAlnum(text[end-1]) {
				end--
			}
			break
		}
		end++
	}
	run := text[start:end]
	authority := run
	if slash := strings.IndexAny(run, "/?#"); slash >= 0 {
		authority = run[:slash]
	}
	at := strings.LastIndexByte(authority, '@')
	web := strings.HasSuffix(text[:i], "http") || strings.HasSuffix(text[:i], "https")
	if last := strings.LastIndexByte(run, '@'); at >= 0 && !web && last > at && isHostPort(run[last+1:]) {
		at = last // the password holds an @ and a slash
	}
	if at < 0 {
		// A password that holds a slash or a question mark cuts the authority short: what follows the colon is then no port.
		colon := strings.IndexByte(authority, ':')
		if colon < 0 || isPort(authority[colon+1:]) {
			return i + 3
		}
		if at = strings.LastIndexByte(run, '@'); at < 0 {
			// A text that was cut for display may end in the middle of a password.
			if cutOff, ok := strings.CutSuffix(run, "…"); ok && strings.IndexByte(authority, '[') < 0 {
				return s.hide(start+colon+1, start+len(cutOff))
			}
			return i + 3
		}
	}
	user := run[:at]
	if colon := strings.IndexByte(user, ':'); colon >= 0 {
		if password := user[colon+1:]; password == "" || isReference(password) || isStars(password) {
			return start + at
		}
		return max(s.hide(start+colon+1, start+at), start+at)
	}
	// https://token@host
	if len(user) >= 16 && mixed(user) {
		return max(s.hide(start, start+at), start+at)
	}
	return i + 3
}

func isPort(text string) bool {
	if text == "" || strings.HasPrefix(text, "$") {
		return true
	}
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) && text[i] != ',' {
			return false
		}
	}
	return true
}

func isStars(v string) bool { return strings.Trim(v, "*xX") == "" }

// userAt hides the password of user:password@tcp(host:port) and user:password@host:port, and Oracle's user/password@host. i is the @.
func (s *scan) userAt(i int) int {
	text := s.text
	after := text[i+1 : min(len(text), i+80)]
	isDriver := strings.HasPrefix(after, "tcp(") || strings.HasPrefix(after, "unix(") || strings.HasPrefix(after, "udp(") || strings.HasPrefix(after, "tcp6(")
	if !isDriver && !isHostPort(after) {
		return i
	}
	start := i
	for start > 0 && i-start < 256 && !isBlank(text[start-1]) && !isQuote(text[start-1]) && strings.IndexByte("=,([{<>", text[start-1]) < 0 {
		start--
	}
	before := text[start:i]
	if n := len(s.spans); before == "" || n > 0 && s.spans[n-1].end >= i || strings.Contains(before, "://") {
		return i
	}
	if thin := strings.Index(before, "jdbc:oracle:"); thin >= 0 {
		if slash := strings.IndexByte(before, '/'); slash > thin {
			return max(s.hide(start+slash+1, i), i)
		}
		return i
	}
	colon := strings.IndexByte(before, ':')
	if colon <= 0 || colon == len(before)-1 {
		return i
	}
	if runEnd(before, 0, func(c byte) bool { return isKeyByte(c) || c == '%' || c == '+' }) < colon {
		return i
	}
	if password := before[colon+1:]; isReference(password) || isStars(password) {
		return i
	}
	return max(s.hide(start+colon+1, i), i)
}

// isHostPort takes host:port at the beginning of a text; a digest's algorithm is no host.
func isHostPort(text string) bool {
	end := runEnd(text, 0, isKeyByte)
	if end == 0 || end+1 >= len(text) || text[end] != ':' || strings.HasPrefix(text, "sha256:") || strings.HasPrefix(text, "sha512:") {
		return false
	}
	digits := runEnd(text, end+1, isDigit) - end - 1
	return digits >= 2 && digits <= 5 && (end+1+digits == len(text) || !isAlnum(text[end+1+digits]))
}
