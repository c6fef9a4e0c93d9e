package rules

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"crashloop/diagnose"
)

// refusing is how programs say that what they were given is not what they take.
var refusing = regexp.MustCompile(`(?i)\binvalid\b|\bunknown\b|\bunsupported\b|\bunrecogni[sz]ed\b|\bpars(?:e|ing)\b|\bmalformed\b|\billegal\b|\bnot (?:a |an )?(?:valid|number|recogni[sz]ed|supported)|\bexpected\b|\bmust be\b|\bout of range\b|\bfor input string\b|\bno (?:enum|such) \w+|\bcannot (?:convert|deserialize|decode)|\b(?:could|can)(?: ?not|n't) (?:convert|decode|interpret|understand)|\bbad\b|\b(?:correct|wrong) format\b|\bNumberFormat`)

// beyond is what a value is refused by that is no fault of the value's form: a peer, a file, the command line.
var beyond = regexp.MustCompile(`(?i)authenticat|password|credential|denied|unauthorized|forbidden|refused\b|connect|resolve|lookup|timed? ?out|no such file|not found|certificate|x509|permission|\bflags?\b|\barguments?\b|\busage\b|\boptions?\b|\bcommand\b`)

// refusedValue finds the variable whose value the program refuses as it ends, in whatever words: the line that it dies of quotes the value.
func refusedValue(c *diagnose.Case) (diagnose.Finding, bool) {
	l, t := c.Log(), c.Last()
	if c.Container == nil || l.Empty() || t == nil || t.ExitCode == 0 || t.ExitCode > 128 && t.ExitCode != 134 && t.ExitCode != 139 && t.ExitCode != 255 || c.Ran().Minutes() > 2 {
		return diagnose.Finding{}, false
	}
	n := lastWords(l)
	says := diagnose.Say(l.Line(n))
	for _, tr := range c.Traces() {
		if !tr.Handled {
			n, says = tr.At, tr.Class+": "+tr.Message
			if tr.CauseAt > 0 {
				n, says = tr.CauseAt, tr.CauseClass+": "+tr.CauseMessage
			}
		}
	}
	if !refusing.MatchString(says) || beyond.MatchString(says) {
		return diagnose.Finding{}, false
	}
	for _, e := range c.Container.Env {
		if !telling(e.Value) || !quotes(quote(says), e.Value) {
			continue
		}
		f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Words, Weight: -40, Log: l, At: n, Span: n, Keys: []string{e.Name, e.Value}}
		f.Evidence = []diagnose.Evidence{l.Cite(n), {Source: c.SpecField("env[" + e.Name + "]"), Text: e.Value}}
		f.Summary = fmt.Sprintf("%s refuses the value of %s: %s", c.Who(), e.Name, shorten(quote(says), 220))
		f.Advice = "Give that variable a value of the form that the program takes"
		f.Fixes = []diagnose.Fix{{Title: "Correct " + e.Name, Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, e.Name+"=VALUE")}}
		return f, true
	}
	return diagnose.Finding{}, false
}

// telling says that a value is unlike others: a word or more, not a number or a switch that any line may hold.
func telling(value string) bool {
	if len(value) < 2 || len(value) > 120 || strings.Contains(value, "$(") {
		return false
	}
	letters := 0
	for _, r := range value {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "on", "off", "none", "null", "production", "info", "debug":
		return false
	}
	return letters > 0
}

// quotes says that a text holds a value between quotes or other marks, not as a part of a word.
func quotes(text, value string) bool {
	for rest, at := text, 0; ; {
		i := strings.Index(rest[at:], value)
		if i < 0 {
			return false
		}
		i += at
		before, after := byte(' '), byte(' ')
		if i > 0 {
			before = rest[i-1]
		}
		if j := i + len(value); j < len(rest) {
			after = rest[j]
		}
		if strings.IndexByte("\"'`‘“<[(=", before) >= 0 && strings.IndexByte("\"'`>])", after) >= 0 || before == '.' && i+len(value) == len(rest) && len(value) > 3 || before == ' ' && (after == ' ' || after == '.' || after == ',') && len(value) > 5 {
			return true
		}
		at = i + 1
	}
}
