package diagnose

import "strings"

// isPlainWord takes values that are no secrets: placeholders, and the first words of messages about one.
func isPlainWord(word string) bool {
	switch strings.ToLower(strings.TrimRight(word, ".,;:!")) {
	case "", "null", "nil", "none", "undefined", "true", "false", "yes", "no", "empty", "unset", "missing", "required", "redacted", "not", "is", "<nil>", "(none)", "string", "n/a", "nan",
		"optional", "default", "changed", "expired", "invalid", "denied", "forbidden", "unauthorized", "unknown", "error", "failed",
		"the", "a", "an", "this", "your", "could", "cannot", "must", "was", "has", "valuefrom", "secretkeyref", "value":
		return true
	}
	return strings.Trim(word, "*xX•.") == ""
}

// worthHiding judges a value by how it looks and where it stands.
func (s *scan) worthHiding(value string, strength strength, how form) bool {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, Redacted) && len(value) == len(Redacted) || isPlainWord(value) || isReference(value) || isFilePath(value) || isURL(value) || strings.HasPrefix(value, "-----BEGIN") {
		return false
	}
	switch {
	case how == prose && strength == strong:
		// "password: hunter2" is one, "password: authentication failed" is not.
		return mixed(value) && !isCapitalized(value) || strings.ContainsAny(value, "!$%^*#@~") && len(value) >= 6
	case how == prose:
		return len(value) >= 12 && mixed(value) && !isName(value)
	case how != assigned && isMessage(value):
		return false
	case strength == weak:
		return len(value) >= 6 && !isNumber(value) && (how == assigned && len(value) >= 8 || mixed(value) || len(value) >= 16 || strings.ContainsAny(value, "!$%^*#@~")) && !strings.ContainsAny(value, " ()<>{}")
	}
	return true
}

// isReference takes what stands for a value that is elsewhere: $(VAR), ${VAR}, $VAR, {{ .x }}, <password>, %s.
func isReference(v string) bool {
	switch {
	case strings.HasPrefix(v, "$(") && isEnvName(strings.TrimSuffix(v[2:], ")")), strings.HasPrefix(v, "${"), strings.HasPrefix(v, "{{"), strings.HasPrefix(v, "<") && strings.HasSuffix(v, ">"),
		v == "%s", v == "%v", v == "%q", v == "?":
		return true
	case strings.HasPrefix(v, "$") && len(v) > 1:
		return isEnvName(v[1:])
	case strings.HasPrefix(v, "{") && strings.HasSuffix(v, "}") && !strings.ContainsAny(v, "\"'=: "):
		return false // ODBC's quotes
	case strings.HasPrefix(v, "{"), strings.HasPrefix(v, "["):
		return !strings.HasPrefix(v, Redacted) // an object or a list: what is in it is judged by itself
	}
	return v == "|" || v == ">" || v == "|-" || v == ">-" || v == "&" || v == "\\"
}

// isEnvName takes upper-case names of environment variables.
func isEnvName(v string) bool {
	for i := 0; i < len(v); i++ {
		if c := v[i]; !isUpper(c) && !isDigit(c) && c != '_' {
			return false
		}
	}
	return len(v) > 1 && !isDigit(v[0])
}

// isFilePath takes absolute paths of ordinary words.
func isFilePath(v string) bool {
	if !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "./") && !strings.HasPrefix(v, "../") && !strings.HasPrefix(v, "~/") && !strings.HasPrefix(v, "file:") {
		return false
	}
	for part := range strings.SplitSeq(v, "/") {
		if looksRandom(part) {
			return false
		}
		for i := 0; i < len(part); i++ {
			if c := part[i]; !isKeyByte(c) && c != '~' && c != ':' {
				return false
			}
		}
	}
	return strings.Count(v, "/") > 1 || strings.Contains(v, ".") || !mixed(v)
}

func isURL(v string) bool {
	i := strings.Index(v, "://")
	return i > 0 && i < 20 && runEnd(v, 0, func(c byte) bool { return isAlnum(c) || c == '+' || c == ':' || c == '.' || c == '-' }) >= i
}

func isNumber(v string) bool {
	digits := 0
	for i := 0; i < len(v); i++ {
		if isDigit(v[i]) {
			digits++
		} else if strings.IndexByte(".,-+eEmsh%", v[i]) < 0 {
			return false
		}
	}
	return digits > 0
}

// isName takes names as Kubernetes has them, with a namespace or not: "shop/db-credentials". Random letters are none.
func isName(v string) bool {
	v = strings.TrimRight(v, ".,")
	digits, changes := 0, 0
	for i := 0; i < len(v); i++ {
		c := v[i]
		if !isLower(c) && !isDigit(c) && c != '-' && c != '.' && c != '/' && c != ':' {
			return false
		}
		if isDigit(c) {
			digits++
			if i > 0 && isLower(v[i-1]) {
				changes++
			}
		}
	}
	return len(v) < 64 && changes < 4 && (digits == 0 || digits*3 <= len(v))
}

// namesSecret says that the value is the name of a Secret rather than a secret: secret="shop/db".
func namesSecret(key, value string) bool {
	if isEnvName(key) {
		return false // TOKEN=... in an environment is one
	}
	k := strings.ToLower(key)
	return (strings.HasSuffix(k, "secret") || strings.HasSuffix(k, "token")) && isName(value) && (strings.ContainsAny(value, "-/.") || len(value) < 16) && !strings.Contains(k, "_")
}

func isCapitalized(v string) bool {
	return isUpper(v[0]) && strings.IndexFunc(v[1:], func(r rune) bool { return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' }) < 0
}

// isMessage says that a text in a value's place speaks of the value: "must be at least 32 characters", "is required".
func isMessage(v string) bool {
	first, rest, _ := strings.Cut(v, " ")
	if isPlainWord(first) {
		return true
	}
	switch strings.ToLower(strings.TrimRight(first, ".,;:!")) {
	case "must", "should", "cannot", "can't", "could", "couldn't", "can", "does", "doesn't", "did", "has", "have", "was", "were", "are", "will", "value", "field", "this", "the", "a", "an", "at", "too",
		"expected", "got", "no", "unable", "please", "wrong", "incorrect", "bad", "needs", "rejected", "authentication", "verification", "mismatch", "minimum", "length", "only", "with", "without", "in", "of", "for":
		return rest != ""
	}
	return false
}

// plainKey takes names whose values are long and random by nature, and no secrets.
func plainKey(key string) bool {
	k := strings.ToLower(key)
	for _, word := range []string{"digest", "image", "sha", "hash", "commit", "etag", "checksum", "trace", "span", "uid", "uuid", "revision", "version", "path", "file", "class", "pod", "node", "host", "name", "container", "url", "request", "cert", "public", "fingerprint", "integrity", "msg", "message", "error", "err"} {
		if strings.Contains(k, word) {
			return true
		}
	}
	return strings.HasSuffix(k, "id")
}
