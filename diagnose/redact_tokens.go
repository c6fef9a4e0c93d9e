package diagnose

import "strings"

// tokenForm is a kind of token that its first letters give away.
type tokenForm struct {
	prefix string
	min    int             // how many bytes at least follow the prefix
	takes  func(byte) bool // which bytes belong to it
	check  func(body string) bool
}

// tokenForms gives the forms that the issuers document.
func tokenForms() []tokenForm {
	return []tokenForm{
		// Slack: bot, user, app, refresh and configuration tokens.
		{"xoxb-", 8, isWord, nil}, {"xoxp-", 8, isWord, nil}, {"xoxa-", 8, isWord, nil}, {"xoxr-", 8, isWord, nil}, {"xoxs-", 8, isWord, nil},
		{"xoxo-", 8, isWord, nil}, {"xoxc-", 8, isWord, nil}, {"xoxd-", 8, isTokenByte, nil}, {"xoxe-", 8, isWord, nil}, {"xoxe.", 8, isDotted, nil}, {"xapp-", 8, isWord, nil},
		// GitHub and GitLab.
		{"ghp_", 20, isWord, nil}, {"gho_", 20, isWord, nil}, {"ghu_", 20, isWord, nil}, {"ghs_", 20, isWord, nil}, {"ghr_", 20, isWord, nil}, {"github_pat_", 20, isWord, nil},
		{"glpat-", 16, isDotted, nil}, {"gldt-", 16, isDotted, nil}, {"glptt-", 16, isDotted, nil}, {"glrt-", 16, isDotted, nil}, {"glcbt-", 16, isDotted, nil},
		{"glsoat-", 16, isDotted, nil}, {"glft-", 16, isDotted, nil}, {"glagent-", 16, isDotted, nil}, {"glimt-", 16, isDotted, nil}, {"glsa_", 24, isWord, nil}, {"glc_", 24, isTokenByte, nil},
		// AWS access key ids; the secret keys have no form and are known by the names they are assigned to.
		{"AKIA", 16, isAlnum, upperOrDigit}, {"ASIA", 16, isAlnum, upperOrDigit}, {"ABIA", 16, isAlnum, upperOrDigit}, {"ACCA", 16, isAlnum, upperOrDigit},
		// Google: API keys and OAuth access tokens.
		{"AIza", 30, isWord, nil}, {"ya29.", 20, isDotted, nil}, {"GOCSPX-", 20, isWord, nil},
		// JSON Web Tokens, Kubernetes' ServiceAccount tokens among them, and other JSON in base64: docker logins, Grafana keys.
		{"eyJ", 27, isJSONWord, mixed},
		// Payment, mail, models, packages, clouds.
		{"sk_live_", 10, isWord, nil}, {"sk_test_", 10, isWord, nil}, {"rk_live_", 10, isWord, nil}, {"rk_test_", 10, isWord, nil}, {"whsec_", 16, isTokenByte, nil},
		{"sk-", 20, isWord, hasLongPart}, {"hf_", 30, isAlnum, nil}, {"SG.", 40, isDotted, nil}, {"npm_", 30, isAlnum, nil}, {"pypi-", 40, isWord, nil},
		{"dckr_pat_", 20, isWord, nil}, {"dckr_oat_", 20, isWord, nil}, {"dop_v1_", 32, isAlnum, nil}, {"doo_v1_", 32, isAlnum, nil}, {"dor_v1_", 32, isAlnum, nil},
		{"dapi", 32, isAlnum, onlyHex}, {"lin_api_", 20, isAlnum, nil}, {"shpat_", 32, isAlnum, nil}, {"shpss_", 32, isAlnum, nil}, {"shpca_", 32, isAlnum, nil}, {"shppa_", 32, isAlnum, nil},
		{"PMAK-", 40, isWord, nil}, {"NRAK-", 20, isAlnum, nil}, {"key-", 32, isAlnum, onlyHex}, {"AGE-SECRET-KEY-1", 50, isAlnum, nil}, {"rubygems_", 40, isAlnum, nil}, {"pul-", 40, isAlnum, onlyHex},
		// Vault: service, batch and recovery tokens, and the service tokens before 1.10.
		{"hvs.", 20, isWord, nil}, {"hvb.", 20, isWord, nil}, {"hvr.", 20, isWord, nil}, {"s.", 24, isAlnum, func(b string) bool { return len(b) == 24 && mixed(b) }},
		// Password hashes as crypt(3) writes them.
		{"$2a$", 30, isCrypt, nil}, {"$2b$", 30, isCrypt, nil}, {"$2y$", 30, isCrypt, nil}, {"$6$", 30, isCrypt, nil}, {"$apr1$", 20, isCrypt, nil}, {"$argon2", 30, isCrypt, nil},
		// Settings of Redis and words before a password that no mark divides from it.
		{"requirepass ", 1, isArgument, notQuote}, {"masterauth ", 1, isArgument, notQuote}, {"sshpass -p ", 1, isArgument, nil}, {"password is ", 6, isArgument, mixed}, {"Password is ", 6, isArgument, mixed},
		// Webhooks whose URL is the credential.
		{"hooks.slack.com/services/", 20, isPath, nil}, {"hooks.slack.com/workflows/", 20, isPath, nil}, {"discord.com/api/webhooks/", 40, isPath, nil},
	}
}

func isJSONWord(c byte) bool { return isDotted(c) || c == '+' || c == '/' || c == '=' }

func isCrypt(c byte) bool { return isAlnum(c) || strings.IndexByte("./$=,", c) >= 0 }

// isArgument takes a word of a command line.
func isArgument(c byte) bool { return !isBlank(c) && !isQuote(c) && c != '\\' }

func notQuote(body string) bool { return !isReference(body) }

func isDotted(c byte) bool { return isWord(c) || c == '.' }

func isTokenByte(c byte) bool { return isWord(c) || strings.IndexByte("+/=%", c) >= 0 }

func isPath(c byte) bool { return isWord(c) || c == '/' }

func upperOrDigit(body string) bool {
	return len(body) == 16 && strings.IndexFunc(body, func(r rune) bool { return r >= 'a' && r <= 'z' }) < 0
}

// hasLongPart tells a key from a name of words and hashes with dashes between them.
func hasLongPart(body string) bool {
	for part := range strings.FieldsFuncSeq(body, func(r rune) bool { return r == '-' || r == '_' }) {
		if len(part) >= 16 && mixed(part) {
			return true
		}
	}
	return false
}

func onlyHex(body string) bool {
	for i := 0; i < len(body); i++ {
		if c := body[i]; !isDigit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// mixed says that a text has letters and digits, or letters of both cases in the middle of a word: it is not plain words.
func mixed(text string) bool {
	var letter, digit, hump bool
	for i := 0; i < len(text); i++ {
		c := text[i]
		digit = digit || isDigit(c)
		letter = letter || isAlnum(c) && !isDigit(c)
		hump = hump || i > 0 && isUpper(c) && isLower(text[i-1])
	}
	return letter && (digit || hump)
}

// looksRandom says that a text is too irregular for a name, a word or a number: letters of both cases and digits, changing often. Hex
// never is: hashes and ids are what a diagnosis shows.
func looksRandom(text string) bool {
	text = strings.TrimRight(text, "=")
	var count [4]int // by class
	var changes, inWords, run, prev int
	for i := 0; i <= len(text); i++ {
		class := -1
		if i < len(text) {
			switch c := text[i]; {
			case isUpper(c):
				class = 1
			case isLower(c):
				class = 2
			case isDigit(c):
				class = 3
			default:
				class = 0
			}
			count[class]++
		}
		if i > 0 && class != prev {
			changes++
			if prev == 2 && run >= 3 {
				inWords += run // lower-case letters in a row make words
			}
			run = 0
		}
		run++
		prev = class
	}
	if len(text) < 20 || count[1] == 0 || count[2] == 0 || count[3] < 2 {
		return false
	}
	return changes*100 >= 38*len(text) && inWords*2 < len(text)
}
