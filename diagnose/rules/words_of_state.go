package rules

import (
	"path"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

// stateWords are what programs say of a file in which they kept where they were and that they cannot read any more, of a store that another run
// still has open, and of values that were stored under another key.
func stateWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name: "state",
		Words: []string{
			"unexpected end", "unexpected eof", ": eof", "ran out of input", "decod", "invalid character", "malformed", "invalid contents", "invalid version in", "failed to read", "positions", "could not parse", "cannot parse", "failed to parse", "error parsing", "parsing /", "unmarshal", "truncated",
			"while loading metadata", "while loading table", "while loading part", "while attaching",
		},
		Regexp: unreadable,
	}, {
		// bbolt's lock: whoever opens the file waits for the one who has it open, and gets no other word than this.
		Name:   "held",
		Words:  []string{": timeout", "file timeout", "timed out while opening"},
		Regexp: `(?i)\bopen(?:ing)? [^:]{0,80}(?::[^:]{1,60})?:? timeout\W*$|timed out while opening (?:the )?(?:database|store)`,
	}, {
		Name:   "key",
		Words:  []string{"decrypt", "invalidtoken", "message authentication failed", "ciphererror", "payload is invalid", "mac is invalid"},
		Regexp: `(?i)(?:could not|couldn't|cannot|can't|unable to|failed to|fail(?:ed|ure)|error) (?:be )?decrypt(?:ing|ed|ion)?\b|could not be decrypted|\bdecryption (?:failed|error)\b|DecryptException\b|CipherError: .{0,20}decrypt|fernet\.InvalidToken\b|message authentication failed`,
	}}
}

const (
	// unreadable is what a program says of contents that are not what it wrote.
	unreadable = `(?i)unexpected (?:end|eof)\b|: EOF\W*$|ran out of input|invalid (?:character|contents?\b|version in|header|magic|\w+ positions)|malformed|truncated|fail\w* (?:to )?(?:pars|decod|unmarshal|deseriali|read data)|(?:error|errors) (?:decoding|parsing|unmarshall?ing|reading)|(?:cannot|could(?: not|n't)) (?:be )?(?:parse|decode)|not valid|control characters|(?:exception|error) while (?:loading|attaching) (?:metadata|tables?|parts?)\b`
	// aState is what it calls what it keeps between two runs.
	aState = `(?i)\b(?:load|read|decod|restor|open|pars|recover|unmarshal|deseriali[sz])\w* (?:the |its |from |of |any |existing |an? )*(?:(?:local|saved|stored|persisted|previous|node|agent|client|server) )?states?\b|\b(?:registrar|registry file|checkpoints?|positions file|positions \w+ file|offsets? (?:file|checkpoint)|plugin storage|storage file|meta\.properties|session store|state (?:file|store)|lease file|snapshot file|recovery-point\S*|replication-offset\S*|nodes\.conf|acme (?:account|storage)|format\.json)\b|(?:exception|error) while (?:loading|attaching) (?:metadata|tables?|parts?)\b|ran out of input`
)

var (
	aStateRE     = regexp.MustCompile(aState)
	unreadableRE = regexp.MustCompile(unreadable)
	// keyed is what is decrypted that is no data: keys, certificates, files of settings.
	keyed = regexp.MustCompile(`(?i)private key|x509|_key\b|\bkey ?file|certificate|keystore|\bpem\b|pkcs|\btls\b|\bssl\b|\bsops\b|\bconfig|settings|\.enc\b|sealed|licen[cs]e|\bticket\b|kubeconfig|master[._]key|credentials\.yml`)
	// otherState is called a state and kept by nobody here.
	otherState = regexp.MustCompile(`(?i)state (?:machine|param)|cluster state`)
	anyFile    = regexp.MustCompile(`(/[\w.@+-]+(?:/[\w.@+-]+)+)`)
	// configName is how a file is called that holds settings, wherever it lies.
	configName = regexp.MustCompile(`(?i)config|settings|\.(?:conf|cfg|ya?ml|toml|ini|hcl|cnf|properties|env|xml|rules|tf)$`)
)

// keptState says that a line tells of something unreadable that the program wrote itself: it calls it so, or the file lies on a volume for data.
func keptState(c *diagnose.Case, text string) bool {
	if !unreadableRE.MatchString(text) {
		return false
	}
	if aStateRE.MatchString(text) && !otherState.MatchString(text) {
		return true
	}
	for _, m := range anyFile.FindAllStringSubmatch(text, 4) {
		if onDataVolume(c, m[1]) && !configName.MatchString(path.Base(m[1])) {
			return true
		}
	}
	return false
}

// onDataVolume says that a path lies on a volume that a program writes to: a claim, a directory of the node, an emptyDir.
func onDataVolume(c *diagnose.Case, file string) bool {
	m, ok := mountAt(c, file)
	return ok && !m.ReadOnly && m.volume != nil && (m.volume.PersistentVolumeClaim != nil || m.volume.HostPath != nil || m.volume.EmptyDir != nil)
}

// lostKey says that a line tells of stored values that the key at hand does not open.
func lostKey(h diagnose.Hit) bool {
	return !keyed.MatchString(h.Text) && (atEnd(h) || strings.Contains(h.Text, "Exception"))
}

// opensConnection says that what was opened is none of the program's files.
var opensConnection = regexp.MustCompile(`(?i)connect|session|stream|tunnel|socket|\bdial|browser|page|url|https?|\btcp\b|channel|port\b`)
