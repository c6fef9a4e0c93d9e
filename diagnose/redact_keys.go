package diagnose

import "strings"

// strength says how surely a name means that its value is a secret.
type strength int

const (
	notSecret strength = iota
	weak               // token, secret: may also name a Secret, or a parser's token
	strong             // password, api_key: the value goes whatever it looks like
	header             // Authorization: a scheme and credentials
	cookie             // Cookie: all of the line
)

// strongNames and weakNames are looked for anywhere in a name, lower case, without - _ and dots.
var strongNames = []string{
	"password", "passwd", "passphrase", "passcode", "pwd", "clientsecret", "secretkey", "secretaccesskey", "accesskey", "accountkey", "apikey", "apisecret", "appsecret", "apitoken",
	"authtoken", "accesstoken", "refreshtoken", "sessiontoken", "idtoken", "bearertoken", "securitytoken", "bottoken", "apptoken", "privatekey", "encryptionkey", "signingkey",
	"signingsecret", "masterkey", "sharedkey", "credential", "webhooksecret", "jwtsecret", "sessionsecret", "cookiesecret", "secretid", "secrettoken", "csrftoken", "xsrftoken",
	"licensekey", "requirepass", "masterauth", "masterpass", "keypass", "storepass", "bindpass", "userpass", "dbpass", "rootpass", "smtppass", "cliauth", "encryptkey", "hmackey", "hmacsecret", "storagekey", "xamzsignature", "sharedaccesssignature",
}

var weakNames = []string{"token", "secret"}

// plainEndings end names that speak of a secret without holding one.
var plainEndings = []string{
	"name", "names", "ref", "refs", "file", "files", "filename", "path", "paths", "dir", "url", "uri", "endpoint", "host", "namespace", "ttl", "type", "policy", "length", "len", "size",
	"count", "counts", "limit", "limits", "used", "usage", "expiry", "expires", "expired", "expiresin", "expiresat", "expiration", "expirationseconds", "enabled", "required", "version", "kind",
	"format", "mode", "field", "provider", "class", "issuer", "audience", "location", "error", "errors", "mount", "volume", "store", "storeref", "backend", "reset", "rotation",
	"validation", "timeout", "source", "valid", "ok", "set", "present", "exists", "strength", "attempts", "status", "state", "tokens", "secrets", "algorithm", "alg", "auth", "review", "reviews",
	"controller", "manager", "lister", "informer", "prefix", "suffix", "encoder", "projection", "bucket", "index", "position", "handler", "service", "keyref",
}

// keyStrength judges the name that a value is assigned to.
func keyStrength(key string) strength {
	if len(key) < 3 || len(key) > 128 {
		return notSecret
	}
	var buf [128]byte
	n, candidate := 0, false
	for i := 0; i < len(key); i++ {
		c := key[i]
		if isUpper(c) {
			c += 'a' - 'A'
		}
		if c == '_' || c == '-' || c == '.' {
			continue
		}
		// Every name above holds one of these; most names of settings hold none, and are done with here.
		if n > 1 {
			switch (uint32(buf[n-2])<<8|uint32(buf[n-1]))<<8 | uint32(c) {
			case 'p'<<16 | 'a'<<8 | 's', 'p'<<16 | 'w'<<8 | 'd', 's'<<16 | 'e'<<8 | 'c', 'k'<<16 | 'e'<<8 | 'y', 't'<<16 | 'o'<<8 | 'k', 'c'<<16 | 'r'<<8 | 'e',
				'a'<<16 | 'u'<<8 | 't', 's'<<16 | 'i'<<8 | 'g', 'c'<<16 | 'o'<<8 | 'o':
				candidate = true
			}
		}
		buf[n] = c
		n++
	}
	if !candidate {
		return notSecret
	}
	folded := string(buf[:n])
	switch folded {
	case "authorization", "proxyauthorization", "xauthorization":
		return header
	case "cookie", "setcookie":
		return cookie
	case "sig", "signature", "auth", "pass":
		return weak
	case "secretkeyref", "secretkeys":
		return notSecret
	}
	for _, e := range plainEndings {
		if strings.HasSuffix(folded, e) {
			return notSecret
		}
	}
	for _, name := range strongNames {
		if strings.Contains(folded, name) {
			return strong
		}
	}
	if strings.HasSuffix(folded, "pass") && (strings.HasSuffix(key, "_PASS") || strings.HasSuffix(key, "_pass") || strings.HasSuffix(key, "Pass") || strings.HasSuffix(key, "-pass")) {
		return strong
	}
	for _, name := range weakNames {
		if strings.Contains(folded, name) {
			return weak
		}
	}
	return notSecret
}

// beginsPort says that a text begins with a port of an address with a path or nothing behind it.
func beginsPort(text string) bool {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return n > 0 && n < 6 && (n == len(text) || strings.IndexByte("/?#\"' \n),", text[n]) >= 0)
}

// form says how a value is written, which tells an assignment from a sentence.
type form int

const (
	prose    form = iota // name: value in the middle of a line
	assigned             // name=value
	quoted               // name: "value"
	line                 // name: value on a line of its own
)

// assignment looks at a = or : and what stands on either side.
func (s *scan) assignment(i int) int {
	text := s.text
	if text[i] == ':' {
		if strings.HasPrefix(text[i:], "://") {
			return s.url(i)
		}
		if i > 7 && isDigit(text[i-1]) && strings.HasPrefix(text[i:], ":AA") {
			return s.telegram(i)
		}
	}
	keyStart, keyEnd := s.keyBefore(i)
	if keyStart == keyEnd {
		return i
	}
	key := text[keyStart:keyEnd]
	value := i + 1
	for value < len(text) && value < i+3 && (text[value] == '=' || text[value] == '>') { // := == => are assignments too
		value++
	}
	spaces := value
	for value < len(text) && (text[value] == ' ' || text[value] == '\t') {
		value++
	}
	if value >= len(text) {
		return i
	}
	strength := keyStrength(key)
	if strength == notSecret {
		if i < s.valueUntil && strings.EqualFold(key, "value") {
			s.valueUntil, strength = 0, strong
		} else if strings.EqualFold(key, "name") || strings.EqualFold(key, "key") {
			start, end, _ := s.valueAt(value, false)
			if k := keyStrength(text[start:end]); k == strong || k == header || k == weak && isEnvName(text[start:end]) {
				s.valueUntil = end + 64
			}
			return i
		}
	}
	switch strength {
	case header:
		return s.authorization(i, value)
	case cookie:
		return s.cookies(i, value)
	}
	if strength == notSecret {
		return s.randomValue(i, value, key)
	}
	start, end, inQuotes := s.valueAt(value, true)
	if text[i] == ':' && strings.HasSuffix(text[:keyStart], "//") && beginsPort(text[i+1:]) {
		return i // https://my-secrets.example.com:443/path
	}
	if start >= end || text[i] == ':' && isSystemError(text[value:]) {
		return i
	}
	how := assigned
	switch {
	case inQuotes && text[i] == ':':
		how = quoted
	case text[i] == ':' && spaces != value && s.startsLine(keyStart):
		how = line
	case text[i] == ':' && spaces != value:
		how = prose
	}
	switch {
	case how == line && strength == strong:
		end = s.plainLineEnd(start, end)
	case how == prose && strength == strong && (isCompound(key) || s.endsLine(end) && end-start >= 6):
		how = line // db.password: x is the name of a setting in any sentence, and so is the last word of one
	}
	if !s.worthHiding(text[start:end], strength, how) || strength == weak && namesSecret(key, text[start:end]) {
		return i
	}
	return s.hide(start, end)
}

// systemErrors are what the system and a shell say of a file or variable that they name before a colon: of /data/.access_key, of $API_KEY.
var systemErrors = []string{
	"permission denied", "no such file or directory", "read-only file system", "operation not permitted", "is a directory", "not a directory", "file exists", "input/output error", "device or resource busy",
	"no space left on device", "disk quota exceeded", "stale file handle", "too many open files", "bad address", "unbound variable", "parameter not set", "parameter null or not set", "command not found", "not found",
	"cannot open", "cannot access", "cannot create", "can't open",
}

func isSystemError(text string) bool {
	for _, says := range systemErrors {
		if len(text) >= len(says) && strings.EqualFold(text[:len(says)], says) {
			return true
		}
	}
	return false
}

// endsLine says whether the line, or the text in quotes, ends at i.
func (s *scan) endsLine(i int) bool {
	return i == len(s.text) || strings.IndexByte("\n\r\"'`", s.text[i]) >= 0
}

// isCompound tells the name of a setting from a word: db_password, dbPassword, DB_PASSWORD.
func isCompound(key string) bool {
	for i := 1; i < len(key); i++ {
		if c := key[i]; c == '_' || c == '.' || c == '-' || isUpper(c) && isLower(key[i-1]) {
			return true
		}
	}
	return isEnvName(key)
}

// plainLineEnd extends a value without quotes to the end of its line, as YAML has it, up to a comment.
func (s *scan) plainLineEnd(start, end int) int {
	text := s.text
	for end < len(text) && text[end] != '\n' && text[end] != '\r' && end-start < maxValue {
		if text[end] == '#' && isBlank(text[end-1]) || text[end] == '\\' || text[end] == '"' {
			break
		}
		end++
	}
	return end
}

// randomValue hides the value of any name when it is one long word of random letters. i is the separator.
func (s *scan) randomValue(i, value int, key string) int {
	text := s.text
	start := value
	for start < len(text) && start < value+2 && (isQuote(text[start]) || text[start] == '\\') {
		start++
	}
	if text[i] == ':' && start == value && value > i+1 && !s.startsLine(i-len(key)) {
		return i // prose
	}
	end := start
	for end < len(text) && (isWord(text[end]) || text[end] == '+' || text[end] == '/' || text[end] == '~') {
		end++
	}
	if end-start < 20 || end+1 < len(text) && (text[end] == '.' || text[end] == '@' || text[end] == ':') && !isBlank(text[end+1]) || text[start] == '/' || !looksRandom(text[start:end]) || plainKey(key) {
		return max(i, end-1)
	}
	return s.hide(start, runEnd(text, end, func(c byte) bool { return c == '=' }))
}

// keyBefore finds the name in front of a separator: letters, maybe in quotes, maybe with blanks behind.
func (s *scan) keyBefore(i int) (start, end int) {
	text := s.text
	end = i
	for end > 0 && i-end < 32 && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	for end > 0 && i-end < 40 && (isQuote(text[end-1]) || text[end-1] == '\\' || text[end-1] == ']') {
		end--
	}
	start = end
	for start > 0 && end-start < 128 && isKeyByte(text[start-1]) {
		start--
	}
	// A time of day, a port, a hash: a name has a letter at its start.
	for start < end && !isAlnum(text[start]) {
		start++
	}
	return start, end
}

// startsLine says whether nothing but blanks and list marks stand before i on its line.
func (s *scan) startsLine(i int) bool {
	for i--; i >= 0; i-- {
		switch s.text[i] {
		case '\n':
			return true
		case ' ', '\t', '-', '"', '\'', '+':
		default:
			return false
		}
	}
	return true
}

// maxValue bounds what is taken as one value.
const maxValue = 16 << 10

// valueAt finds the extent of the value that begins at i. whole takes marks that a password may hold as part of it.
func (s *scan) valueAt(i int, whole bool) (start, end int, inQuotes bool) {
	text := s.text
	limit := min(len(text), i+maxValue)
	// Text in JSON in JSON has its quotes behind one, three or seven backslashes, at either end.
	slashes := runEnd(text[:limit], i, func(c byte) bool { return c == '\\' }) - i
	if at := i + slashes; at < limit && isQuote(text[at]) {
		quote, behind := text[at], 0
		start = at + 1
		for end = start; end < limit; end++ {
			switch c := text[end]; {
			case c == '\n' && whole:
				return start, end, true
			case c == '\\':
				behind++
				continue
			case c == quote && (behind == slashes || slashes > 0 && behind < slashes || slashes == 0 && behind%2 == 0):
				return start, end - min(behind, slashes), true
			}
			behind = 0
		}
		return start, min(end, limit), true
	}
	start = i
	// {p;ssword}, as ODBC writes what holds a semicolon.
	if whole && start < limit && text[start] == '{' && text[i-1] == '=' {
		if n := strings.IndexAny(text[start:min(limit, start+128)], "}\"'=:\n "); n > 1 && text[start+n] == '}' {
			return start, start + n + 1, false
		}
	}
	if strings.HasPrefix(text[start:], Redacted) {
		return start, start + len(Redacted), false
	}
	for end = start; end < limit; end++ {
		switch c := text[end]; c {
		case ' ', '\t', '\n', '\r', '"', '\'', '`', '<', ';':
			return start, end, false
		case '\\':
			// The end of a text in escaped quotes, or of an escaped line.
			if end+1 < limit && (isQuote(text[end+1]) || text[end+1] == 'n' || text[end+1] == 'r' || text[end+1] == 't') {
				return start, end, false
			}
		case '&':
			if !whole || s.inQuery(start) || s.endsHere(end) {
				return start, end, false
			}
		case ',', ')', ']', '}':
			if !whole || s.endsHere(end) {
				return start, end, false
			}
		}
	}
	return start, end, false
}

// endsHere tells a comma or bracket that ends a value from one that is part of it: what follows is the end, a blank, another mark or
// the next name with its value.
func (s *scan) endsHere(i int) bool {
	text := s.text
	i++
	if i >= len(text) || isBlank(text[i]) || strings.IndexByte(",;)]}\"'`<\\", text[i]) >= 0 {
		return true
	}
	end := i
	for end < len(text) && end-i < 64 && isKeyByte(text[end]) {
		end++
	}
	return end > i && end < len(text) && (text[end] == '=' || text[end] == ':')
}

// inQuery says whether the value at i belongs to the query of a URL.
func (s *scan) inQuery(i int) bool {
	for n := 0; i > 0 && n < 512; n++ {
		i--
		switch s.text[i] {
		case '?', '&':
			return true
		case ' ', '\n', '"', '\'':
			return false
		}
	}
	return false
}

// authorization hides the credentials of a header and leaves its scheme.
func (s *scan) authorization(i, value int) int {
	text := s.text
	start, end, _ := s.valueAt(value, true)
	for _, scheme := range []string{"Bearer", "Basic", "Digest", "Token", "AWS4-HMAC-SHA256", "Negotiate", "ApiKey", "Key", "GenieKey", "NTLM", "Splunk"} {
		if len(text)-start > len(scheme) && strings.EqualFold(text[start:start+len(scheme)], scheme) && text[start+len(scheme)] == ' ' {
			return s.hide(start+len(scheme)+1, s.lineEnd(start, text[value]))
		}
	}
	if end-start >= 8 && mixed(text[start:end]) {
		return s.hide(start, end)
	}
	return i
}

// cookies hides the whole line of a Cookie or Set-Cookie header.
func (s *scan) cookies(i, value int) int {
	start := runEnd(s.text, value, func(c byte) bool { return isQuote(c) || c == '\\' })
	if start < s.noCookieUntil {
		return i
	}
	end := s.lineEnd(start, s.text[value])
	if !strings.Contains(s.text[start:end], "=") {
		s.noCookieUntil = end
		return i
	}
	return s.hide(start, end)
}

// lineEnd is the end of the line, or of the text in quotes that a header stands in.
func (s *scan) lineEnd(i int, quote byte) int {
	text := s.text
	for end := i; end < len(text); end++ {
		switch c := text[end]; {
		case c == '\n' || c == '\r', isQuote(c) && (c == quote || c != '\'' || !isQuote(quote)):
			return end
		case c == '\\' && end+1 < len(text) && (text[end+1] == '"' || text[end+1] == 'r' || text[end+1] == 'n'):
			return end
		}
	}
	return len(text)
}

// telegram hides the token of a Telegram bot: its number, a colon, 35 letters.
func (s *scan) telegram(i int) int {
	end := runEnd(s.text, i+1, isWord)
	if end-i-1 < 30 {
		return i
	}
	return s.hide(i+1, end)
}
