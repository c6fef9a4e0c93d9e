package rules

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"crashloop/diagnose"
)

// lastHit starts a finding from the last hit that the filter takes, likely and by the program's words.
func lastHit(c *diagnose.Case, hits []diagnose.Hit, takes func(diagnose.Hit) bool) (diagnose.Finding, diagnose.Hit, bool) {
	t := c.Last()
	if t == nil {
		return diagnose.Finding{}, diagnose.Hit{}, false
	}
	// A program that ends well ends of nothing, unless an error is the last that it says.
	well := t.ExitCode == 0 && t.Reason == "Completed" && !probeKilled(c).killed
	for _, h := range slices.Backward(hits) {
		if level := levelAround(h); well && (level < diagnose.Error && (h.Pattern != "proven" || level != diagnose.Warn) || saidBefore(h, beforeStopping(h.Log)) > 3) {
			continue
		}
		if takes == nil || takes(h) {
			return diagnose.FromHit(h, diagnose.Likely, diagnose.Words), h, true
		}
	}
	return diagnose.Finding{}, diagnose.Hit{}, false
}

// saidBefore counts what is said between a hit and a later line, frames of stack traces aside.
func saidBefore(h diagnose.Hit, to int) int {
	count := 0
	for n := h.Line + 1; n <= to && count < 10; n++ {
		if line := h.Log.Line(n); strings.TrimSpace(line) != "" && !stackFrame.MatchString(line) {
			count++
		}
	}
	return count
}

// stackFrame is a line of a stack trace in Java's form.
var stackFrame = regexp.MustCompile(`^\s+at |^\s*\.\.\. \d+ (?:more|common)|^Caused by: `)

// levelAround is what a line calls itself, or what the line does that it belongs to.
func levelAround(h diagnose.Hit) diagnose.Level {
	level := h.Level
	for n := h.Line - 1; level == diagnose.NoLevel && n > 0 && n >= h.Line-4; n-- {
		level = diagnose.LineLevel(h.Log.Line(n))
	}
	return level
}

// beforeStopping is the last line of a log that does more than tell that the program stops.
func beforeStopping(l *diagnose.Log) int {
	n := l.Len()
	for ; n > 1; n-- {
		line := l.Line(n)
		if strings.ContainsFunc(line, unicode.IsLetter) && !stackFrame.MatchString(line) && (diagnose.LineLevel(line) >= diagnose.Error || !stopping.MatchString(line)) {
			break
		}
	}
	return n
}

// stopping is how programs tell that they, or what they started, come to an end.
var stopping = regexp.MustCompile(`(?i)\b(?:stopp?(?:ed|ing)|shut(?:ting)? ?down|shutdown_msg|exited|exiting|ending|terminat(?:ed|ing)|clos(?:ed|ing)|bye)\b`)

// atEnd says that a line stands where a program ends: it calls itself an error, or hardly anything is said after it. Words that many a program
// says without dying of them count there only.
func atEnd(h diagnose.Hit) bool { return h.Level >= diagnose.Error || nearEnd(h) && !told(h) }

// nearEnd says that little follows a hit but a stack trace, whatever it calls itself.
func nearEnd(h diagnose.Hit) bool {
	said := 0
	for n := h.Line + 1; n <= h.Log.Len() && said <= 8; n++ {
		if line := strings.TrimSpace(h.Log.Line(n)); line != "" && !strings.HasPrefix(line, "at ") && !strings.HasPrefix(line, "/") && !strings.HasPrefix(line, "#") {
			said++
		}
	}
	return said <= 8
}

// told says that a line only tells what the program does. A notice that stands where a program ends is more than that.
func told(h diagnose.Hit) bool {
	return h.Level == diagnose.Debug || h.Level == diagnose.Info && !(h.Line > h.Log.Len()-6 && strings.Contains(h.Log.Line(h.Line), "NOTICE"))
}

// user is the numeric user that the container runs as, as far as the spec says; known is false when the image decides.
func user(c *diagnose.Case) (uid int64, known bool) {
	if c.Container != nil && c.Container.SecurityContext != nil && c.Container.SecurityContext.RunAsUser != nil {
		return *c.Container.SecurityContext.RunAsUser, true
	}
	if c.Spec.SecurityContext != nil && c.Spec.SecurityContext.RunAsUser != nil {
		return *c.Spec.SecurityContext.RunAsUser, true
	}
	return 0, false
}

// fsGroup is the pod's fsGroup.
func fsGroup(c *diagnose.Case) (int64, bool) {
	if c.Spec.SecurityContext != nil && c.Spec.SecurityContext.FSGroup != nil {
		return *c.Spec.SecurityContext.FSGroup, true
	}
	return 0, false
}

// readOnlyRoot says that the container's root file system is read-only.
func readOnlyRoot(c *diagnose.Case) bool {
	return c.Container != nil && c.Container.SecurityContext != nil && c.Container.SecurityContext.ReadOnlyRootFilesystem != nil && *c.Container.SecurityContext.ReadOnlyRootFilesystem
}
