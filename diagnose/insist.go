package diagnose

import (
	"regexp"
	"strings"
)

// insists is how often a warning must stand in a log, in the same words, for a program to have tried again and again.
const insists = 3

// givesUp is how a program ends that has tried often enough, without saying why it got nowhere.
var givesUp = regexp.MustCompile(`(?i)deadline exceeded|time[sd]?[- ]?out|\bg(?:a|i)v(?:e|ing) up\b|\b(?:attempts|retries|tries)\b|(?:did|could|can|does|was) ?n[o']t|\bnever\b|\bfailed to\b|\bunable to\b|not ready|exit(?:ing|ed)?\b|abort|shutting down|stopp(?:ed|ing)`)

var (
	// tried is a warning of something that did not work; shrugged one of something that the program does without.
	tried    = regexp.MustCompile(`(?i)fail|error|retr(?:y|ies)|unable|cannot|can't|could(?: not|n't)|refus|reject|denied|forbidden|reconnect|attempt|not ready`)
	shrugged = regexp.MustCompile(`(?i)\bignor|\busing\b|deprecat|no longer|\bskipp|fall(?:ing)? back|default`)
)

// raise makes errors of the warnings that a log ends with time and again: what a program tried until it gave up, and what the last line, "context
// deadline exceeded", is about, it only warned of while it tried.
func raise(l *Log, hits map[int][]Hit) {
	var tail []string // what the log says after a line, from its end
	last := l.lastText()
	words := map[int]string{}
	said := func(n int) string {
		w, ok := words[n]
		if !ok {
			w = lettersOf(l.Line(n))
			words[n] = w
		}
		return w
	}
	// The line that insists, if any, is one of the last few.
	insisting := ""
	for n := last; n > 0 && len(tail) <= 3; n-- {
		line := l.Line(n)
		if strings.TrimSpace(line) == "" {
			continue
		}
		if e := readEntry(line); e.level == Warn {
			if tried.MatchString(line) && !shrugged.MatchString(line) {
				insisting = said(n)
			}
			break
		}
		tail = append(tail, line)
	}
	for _, line := range tail {
		if !givesUp.MatchString(line) {
			return
		}
	}
	if insisting == "" {
		return
	}
	for r := range hits {
		var same []int
		for i := range hits[r] {
			if h := &hits[r][i]; h.Log == l && h.Level == Warn && said(h.Line) == insisting && (len(same) == 0 || hits[r][same[len(same)-1]].Line != h.Line) {
				same = append(same, i)
			}
		}
		if len(same) < insists {
			continue
		}
		for i := range hits[r] {
			if h := &hits[r][i]; h.Log == l && h.Level == Warn && said(h.Line) == insisting {
				h.Level, h.raised = Error, true
			}
		}
	}
}

// Insists says that the log ends with a hit's line time and again: the program says nothing else any more.
func (h Hit) Insists() bool {
	said, words := 0, lettersOf(h.Log.Line(h.Line))
	last := h.Log.lastText()
	for n := last; n > 0 && n > last-2*insists; n-- {
		if lettersOf(h.Log.Line(n)) == words {
			said++
		}
	}
	return said >= insists
}

// lettersOf is a line without all that differs between two that say the same: times, addresses, counts. Its letters tell enough.
func lettersOf(line string) string {
	if len(line) > 600 {
		line = line[:600]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, line)
}
