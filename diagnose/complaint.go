package diagnose

import (
	"regexp"
	"slices"
	"strings"
)

// blameComplaint puts what a program complains of to the end before the probe that kills it, where the program answers that probe itself, with an
// error: the probe hands on what is wrong, and the log says it. Nothing proves that the one is why of the other, so that it is likely at most.
// out are the findings with their numbers, in the same order; last is the log's last line.
func (c *Case) blameComplaint(out []ranked, findings []Finding, last int) {
	probe, complaint := -1, -1
	for i := range out {
		f := &findings[i]
		if f.Unwell && (probe < 0 || out[i].score > out[probe].score) {
			probe = i
		}
		if f.complains() && c.complainsLast(f, last) && (complaint < 0 || f.At > findings[complaint].At || f.At == findings[complaint].At && f.Proof > findings[complaint].Proof) {
			complaint = i
		}
	}
	if probe < 0 || complaint < 0 {
		return
	}
	for i := range out {
		if i != complaint && i != probe && out[i].score > out[probe].score {
			return // a dependency that is down, or what is proven otherwise
		}
	}
	p, d := &out[probe], &out[complaint]
	d.Confidence, d.score = Likely, max(d.score, p.score+1)
	says, ok := strings.CutPrefix(d.Summary, c.Who()+" ends because ")
	if !ok {
		says = strings.Replace(d.Summary, c.Who()+" ", "it ", 1)
	}
	d.Summary = p.Killing + "; what it complains of is that " + says
	d.Evidence = append(d.Evidence, p.Evidence...)
}

// complains says that a finding is what the program's own words name as wrong: something that it was given, is refused or lacks. That something cannot
// be reached is followed elsewhere, and an exception as such names nothing.
func (f *Finding) complains() bool {
	category, name, _ := strings.Cut(f.Cause, ".")
	if f.Proof != Words && f.Proof != Corroborated || f.Confidence == Possible || f.guessed || f.ofDependency() || f.Log == nil || f.At == 0 {
		return false
	}
	switch category {
	case "resources", "probe", "node", "image":
		return false
	}
	return !slices.Contains([]string{"exception", "panic", "segfault", "exit-code", "terminated", "completed", "bad-arguments", "port-in-use"}, name)
}

// complainsLast says that a finding rests on the last error of the log, or on one that it repeats until it ends.
func (c *Case) complainsLast(f *Finding, last int) bool {
	trace := c.traceAround(f.At)
	words, repeats := lettersOf(f.Log.Line(f.At)), 0
	for n := f.At; n > 0 && n > f.At-200 && repeats < insists; n-- {
		if lettersOf(f.Log.Line(n)) == words {
			repeats++
		}
	}
	if level := lineLevelAt(f.Log, f.At); trace == nil && level < Error && repeats < insists || level == Info || level == Debug {
		return false
	}
	for n := max(f.At, f.Span) + 1; n <= last; n++ {
		line := f.Log.Line(n)
		switch e := readEntry(line); {
		case trace != nil && n <= trace.Last, lettersOf(line) == words:
		case gotOver.MatchString(line):
			return false
		case e.level >= Error && !ofHealth.MatchString(line) && !f.namedIn(strings.ToLower(line)) && (repeats < insists || last-f.At > closingWindow/2):
			return false
		}
	}
	return true
}

// ofHealth is a line about the answer to a probe.
var ofHealth = regexp.MustCompile(`(?i)health|liveness|readiness|\bready\b|\bprobe|\b50[03]\b`)
