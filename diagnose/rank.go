package diagnose

import (
	"regexp"
	"slices"
	"strings"
)

// ranked is a finding with the number that orders it.
type ranked struct {
	Finding
	score   int
	related bool // to the trace that ended the program
}

// rank orders findings, the best first. What counts, in this order: proof from the cluster's objects before the program's words; words
// that agree with the objects before those that stand alone; the line that the program died of before earlier noise; and an exception
// or panic as such only when nothing says what it carries.
func (c *Case) rank(findings []Finding) []ranked {
	var final *Trace
	for i := range c.Traces() {
		if t := &c.Traces()[i]; !t.Handled {
			final = t
		}
	}
	explained := final != nil && explains(findings, final)
	last := c.Log().lastText()
	signalled := c.signalled(final)
	out := make([]ranked, 0, len(findings))
	for _, f := range findings {
		r := ranked{Finding: f}
		if f.Proof == Messenger && f.Confidence == Certain && c.carriesFailure(&f) {
			r.Confidence = Likely // what it carries lies outside of the program
		}
		r.score = map[Proof]int{Hint: 100, Messenger: 400, Words: 600, Corroborated: 800, Structural: 1000}[f.Proof] + f.Weight
		r.score += map[Confidence]int{Certain: 30, Likely: 10, Possible: -60}[f.Confidence]
		if f.Log != nil && f.At > 0 && f.Proof < Structural {
			r.place(final, explained, last)
			if by := overtaken(&f, findings, last); by != nil {
				r.score -= 300
				r.Confidence = Possible
				if by.Proof == Hint {
					r.score = min(r.score, 60) // what it ended with is not known, but this it got over
				}
			}
			if carried(&f, findings) {
				r.score -= 200
				r.Confidence = Possible
			}
			if passedOver(&f, final, last) {
				r.score, r.Confidence = min(r.score, 60), Possible
			}
			if f.connection && diedOfAnother(&f, findings, last) {
				r.score -= 300
				r.Confidence = Possible
			}
			if r.Confidence == Certain && !f.ofDependency() {
				switch other := saidElse(&f, findings, last); {
				case other > 0:
					r.Confidence = Likely
					if final == nil && lineLevelAt(f.Log, other) == Fatal && lineLevelAt(f.Log, f.At) < Error {
						r.score -= 250
					}
				case f.raised || survived(&f, final, last) || hedges.MatchString(f.Log.Line(f.At)):
					r.Confidence = Likely
				}
			}
			if signalled && !c.explainsSignal(&f) {
				r.score, r.Confidence = min(r.score, 120), Possible
			}
		}
		out = append(out, r)
	}
	c.blameDependency(out, findings, last)
	c.blameComplaint(out, findings, last)
	slices.SortStableFunc(out, func(a, b ranked) int { return b.score - a.score })
	return out
}

// signalled says that a signal ended the program, so that it did not end by what it complained of. final is the trace that it ended with.
func (c *Case) signalled(final *Trace) bool {
	t := c.Last()
	if t == nil || t.Reason == "OOMKilled" || c.OwnCode() {
		return false
	}
	switch t.ExitCode {
	case 132, 135, 136, 137, 139, 143:
	default:
		return false
	}
	switch {
	case final == nil:
		return true
	case final.Language == "Swift":
		return false // a trap is how it ends of any fatal error
	}
	return final.Logged || t.ExitCode != 139 // .NET on some images, and others, end an unhandled exception so
}

// explainsSignal says that a finding can be why a program was killed: by its limits, its probe, its node, or for what it waited for.
func (c *Case) explainsSignal(f *Finding) bool {
	category, _, _ := strings.Cut(f.Cause, ".")
	switch {
	case f.Proof > Corroborated, category == "resources", category == "probe", category == "node", f.Cause == "app.segfault":
		return true
	}
	return f.ofDependency() && (lineLevelAt(f.Log, f.At) != Warn || c.EndsWaiting(Hit{Log: f.Log, Line: f.At}))
}

// ofDependency says that it tells of something that the program could not reach, or that fails itself.
func (f *Finding) ofDependency() bool {
	return f.connection || strings.HasPrefix(f.Cause, "dependency.")
}

// namedIn says that a text, in lower case, holds a name that the finding turns on.
func (f *Finding) namedIn(text string) bool {
	return slices.ContainsFunc(f.Keys, func(k string) bool { return len(k) > 2 && strings.Contains(text, strings.ToLower(k)) })
}

// blameDependency puts a dependency that is proven to be down, and of which the program complains to the end, before the probe that kills the
// program for it. out are the findings with their numbers, in the same order; last is the log's last line.
func (c *Case) blameDependency(out []ranked, findings []Finding, last int) {
	var probe *ranked
	for i := range out {
		if out[i].Killing != "" && (probe == nil || out[i].score > probe.score) {
			probe = &out[i]
		}
	}
	if probe == nil {
		return
	}
	for j := range out {
		d, f := &out[j], &findings[j]
		if !f.ofDependency() || f.Proof < Corroborated || f.Confidence == Possible || d.Confidence == Possible && (f.At == 0 || last-f.At > 2) {
			continue
		}
		d.Confidence = f.Confidence
		if d.score <= probe.score {
			d.score = probe.score + 1 + d.score/10
		}
		d.Summary = probe.Killing + ": " + strings.Replace(d.Summary, c.Who()+" ", "it ", 1)
		d.Evidence = append(d.Evidence, probe.Evidence...)
	}
}

// carried says that another finding rests on the system's own error that the same line ends with: "failed to load shard 3: too many open files".
// What a line ends with is why, what stands before it is what came of that.
func carried(f *Finding, findings []Finding) bool {
	if f.to == 0 || f.Proof < Words {
		return false
	}
	text := readEntry(f.Log.Line(f.At)).text
	at := systemError.FindStringIndex(text)
	if at == nil || at[0] < f.to-1 {
		return false
	}
	return slices.ContainsFunc(findings, func(o Finding) bool {
		return o.Log == f.Log && o.At == f.At && o.Cause != f.Cause && o.Proof >= Words && o.Confidence != Possible && o.to > at[0] && o.to <= at[1]
	})
}

// systemError is what the system calls an error (errno(3)), at the end of a line, with its number, quotes and brackets.
var systemError = regexp.MustCompile(`(?i): (?:too many open files(?: in system)?|no space left on device|disk quota exceeded|read-only file system|permission denied|operation not permitted|cannot allocate memory|resource temporarily unavailable|connection refused|no route to host|address already in use)(?:[ .]*\([^()]{0,80}\))*[\s"'\\.)\]}]*$`)

// diedOfAnother says that the line which a program ended with, or a later fatal one, is another finding's and tells of no connection: what
// could not be reached before that was something it does without, such as a collector of its traces.
func diedOfAnother(f *Finding, findings []Finding, last int) bool {
	for i := range findings {
		o := &findings[i]
		if o.connection || o.Proof < Words || o.Log != f.Log || o.At <= max(f.Span, f.At) || o.At != last && lineLevelAt(o.Log, o.At) != Fatal {
			continue
		}
		line := strings.ToLower(o.Log.Line(o.At))
		if !tellsOfConnection(line) && !f.namedIn(line) {
			return true
		}
	}
	return false
}

// overtaken returns the finding that the program ended with when it went on after what f rests on, such as a helper that complained while it
// started, or a warning; nil when it did not go on.
func overtaken(f *Finding, findings []Finding, last int) *Finding {
	if f.Proof < Words || f.ofDependency() {
		return nil
	}
	level := lineLevelAt(f.Log, f.At)
	if level >= Error {
		return nil
	}
	var hint *Finding
	for i := range findings {
		o := &findings[i]
		if o.Log != f.Log || o.Proof < Words && o.Proof != Hint || o.At <= max(f.Span, f.At) || o.Cause == f.Cause {
			continue
		}
		if lineLevelAt(o.Log, o.At) < Error && (o.Proof == Hint || o.At < last-2) {
			continue
		}
		if f.namedIn(strings.ToLower(o.Log.Line(o.At))) {
			continue
		}
		if (f.Cause == "app.tls" || f.Cause == "app.bad-credentials") && tellsOfConnection(o.Log.Line(o.At)) {
			continue // what the other side objected to is why it gave up
		}
		switch {
		case level != Warn && !wentOnBetween(f.Log, max(f.Span, f.At), o.At):
		case o.Proof != Hint:
			return o
		case f.Cause == "config.file-missing" && wentOnBetween(f.Log, max(f.Span, f.At), o.At):
			hint = o
		}
	}
	return hint
}

// carriesFailure says that an exception or panic tells of a connection that failed.
func (c *Case) carriesFailure(f *Finding) bool {
	for _, t := range c.Traces() {
		if t.At != f.At {
			continue
		}
		for _, h := range c.failures {
			if h.Line >= t.First && h.Line <= t.Last {
				return true
			}
		}
		return tellsOfConnection(t.Class + " " + t.Message + " " + t.CauseClass + " " + t.CauseMessage)
	}
	return false
}

// tellsOfConnection says that the words of an exception are those of something that could not be reached.
func tellsOfConnection(says string) bool {
	says = strings.ToLower(says)
	for _, w := range []string{"connect", "dial", "unavailable", "retries", "retry", "attempts", "timed out", "timeout", "unreachable", "deadline exceeded", "giving up", "not ready", "refused", "lookup", "resolv"} {
		if strings.Contains(says, w) {
			return true
		}
	}
	return false
}

// lastReport says that a trace is how Erlang's virtual machine sums up, on its way out, what the application has logged before.
func (t *Trace) lastReport() bool {
	return t.Language == "Erlang" && t.Class == "Kernel pid terminated"
}

// explains says that one of the findings tells why the trace's own exception was raised.
func explains(findings []Finding, t *Trace) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Proof >= Words && f.Proof < Structural && f.Confidence != Possible && f.At > 0 && (f.At == t.At || f.At == t.CauseAt)
	})
}

// place weighs where in the log a finding's decisive line stands. final is the trace that the program ended with, explained whether another
// finding tells what of.
func (r *ranked) place(final *Trace, explained bool, last int) {
	l := r.Log
	if l.Len() > 0 {
		r.score += 40 * r.At / l.Len()
	}
	span := max(r.Span, r.At)
	switch {
	case final != nil && related(&r.Finding, final, explained):
		r.related = true
		if r.At >= final.First && r.At <= final.Last {
			r.score += 20
		}
	case final != nil && r.Proof != Messenger && span < final.First && !(final.lastReport() && lineLevelAt(l, r.At) >= Error && final.First-span < 2*closingWindow):
		// The program died of something else, later.
		r.score -= 450
		r.Confidence = Possible
	case last-span > 12 && wentOn(l, span):
		// It went on as if nothing had happened.
		r.score -= 300
		r.Confidence = Possible
	}
	level := lineLevelAt(l, r.At)
	if level == Fatal {
		r.score += 40
	}
	if (level == Warn || level == Info || level == Debug) && last-span > 3 && !r.related {
		r.score -= 120
	}
}

// survived says that a program went on to say something else after a line that calls itself a warning or less, or that says itself that the
// program does without: whether it ended of what that line tells is not proven.
func survived(f *Finding, final *Trace, last int) bool {
	level := lineLevelAt(f.Log, f.At)
	if level == Fatal || final != nil && f.At >= final.First-3 && f.At <= final.Last || (level == NoLevel || level >= Error) && !doesWithout.MatchString(f.Log.Line(f.At)) && !gotOver.MatchString(f.Log.Line(f.At)) {
		return false
	}
	for n := max(f.Span, f.At) + 1; n <= last; n++ {
		line := strings.ToLower(f.Log.Line(n))
		if strings.TrimSpace(line) != "" && !slices.ContainsFunc(f.Keys, func(k string) bool { return len(k) > 2 && strings.Contains(line, strings.ToLower(k)) }) {
			return true
		}
	}
	return false
}

// passedOver says that a line only notes what a program does not mind - it ignores it, takes a default in its place, will not take it much longer
// - and that the program said later what it does mind.
func passedOver(f *Finding, final *Trace, last int) bool {
	level := lineLevelAt(f.Log, f.At)
	line := f.Log.Line(f.At)
	if f.Proof < Words || level == Fatal || !neglected.MatchString(line) && (level != Warn || !unknownSetting.MatchString(line)) || final != nil && f.At >= final.First-3 && f.At <= final.Last {
		return false
	}
	passed := false
	for n := max(f.Span, f.At) + 1; n <= last; n++ {
		e := readEntry(f.Log.Line(n))
		if strings.TrimSpace(e.text) == "" || beside.MatchString(f.Log.Line(n)) || endsOnly.MatchString(e.text) || ended.MatchString(e.text) {
			continue
		}
		if f.namedIn(strings.ToLower(f.Log.Line(n))) || f.ofDependency() && tellsOfConnection(e.text) {
			return false
		}
		passed = passed || e.level >= Error || e.level == NoLevel && n == last
	}
	return passed
}

var (
	neglected      = regexp.MustCompile(`(?i)\b(?:ignor(?:ed|ing)|deprecat\w+|skipp(?:ed|ing)|falling back|defaulting|using (?:the )?(?:built-?in )?defaults?|running in \w+ mode|(?:is|are) off|creating (?:it|one|them)|(?:is|are|will be) dropped)\b`)
	unknownSetting = regexp.MustCompile(`(?i)\b(?:unknown|unrecogni[sz]ed|unused|obsolete)\b.{0,30}\b(?:field|key|option|property|setting|parameter|flag|entry)s?\b`)
)

// endsOnly is an error that says no more than that the program could not be started.
var endsOnly = regexp.MustCompile(`(?i)\b(?:fail(?:ed|ure)?|unable|could not|couldn't|cannot|can't|error|problem|exception)\b.{0,50}\b(?:start(?:ed|ing|up)?|boot(?:ed|ing|strap)?|init\w*|run(?:ning)?|launch\w*|execut\w*|load\w*|configur\w*)\b.{0,40}$|\b(?:start(?:up)?|boot(?:strap)?|initiali[sz]ation|launch|command|run|validation|configuration)\b.{0,30}\b(?:failed|failure|error|aborted)\W*$`)

// saidElse is the last line of a program when that is another finding's, else 0: which of the two it ended of is not proven.
func saidElse(f *Finding, findings []Finding, last int) int {
	for i := range findings {
		o := &findings[i]
		if o.Log == f.Log && o.Cause != f.Cause && o.Proof >= Words && o.Proof < Structural && o.At > max(f.Span, f.At) && o.At >= last-1 && o.Confidence != Possible && !f.namedIn(strings.ToLower(o.Log.Line(o.At))) {
			return o.At
		}
	}
	return 0
}

// doesWithout is how programs say that they go on in spite of what they complain of.
var doesWithout = regexp.MustCompile(`(?i)\b(?:skip(?:ped|ping)|disabl(?:ed|ing)|turned off|continu(?:e|es|ing)|ignor(?:ed|ing)|retry(?:ing)?|proceed(?:s|ing)?|fall(?:s|ing)? ?back|defaulting|defaults? to|setting (?:it|them|(?:the )?value) to|(?:assuming|generating) (?:an?|one|the|it|random|that)|will be (?:generated|set to)|using (?:the |a )?(?:built-?in|defaults?)|will not be (?:used|sent|available)|without (?:it|them))\b|\boff$`)

func lineLevelAt(l *Log, n int) Level { return readEntry(l.Line(n)).level }

// hedges is a program that only guesses why: "maybe these locations are not writable or multiple nodes were started".
var hedges = regexp.MustCompile(`(?i)\b(?:maybe|perhaps|possibly)\b`)

// auxiliary is what programs send their traces, metrics and errors to, and run well without.
var auxiliary = regexp.MustCompile(`(?i)\b(?:traces?|metrics?|spans?|logs?) (?:export|push|upload)|\b(?:otel|otlp|opentelemetry|telemetry|jaeger|zipkin|sentry|statsd)\b`)

// related says that a finding speaks of what a trace carries: it stands inside it or right before it, or the trace's words name what
// the finding turns on. What another finding explains is not explained by a line before that calls itself nothing.
func related(f *Finding, t *Trace, explained bool) bool {
	if f.At >= t.First {
		return true // in it, or said on the way out
	}
	says := strings.ToLower(t.Message + " " + t.CauseMessage + " " + t.Class + " " + t.CauseClass)
	if f.connection && auxiliary.MatchString(f.Log.Line(f.At)) && !tellsOfConnection(says) {
		return false
	}
	if level := lineLevelAt(f.Log, f.At); (!explained || level >= Error) && saidBetween(f.Log, f.At, t.First) < 3 && (level >= Error || level == NoLevel) && !wentOnBetween(f.Log, f.At, t.First) {
		return true
	}
	// A virtual machine's last line only says that it ends: what was reported before is what it ends of.
	if t.Language == "Erlang" && f.At >= t.First-40 && lineLevelAt(f.Log, f.At) >= Error {
		return true
	}
	return f.namedIn(says) || f.ofDependency() && tellsOfConnection(says)
}

// saidBetween counts the lines between two of a log, stack frames and blank lines aside.
func saidBetween(l *Log, from, to int) int {
	count := 0
	for n := from + 1; n < to && count < 10; n++ {
		line := l.Line(n)
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "at ") || strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t") || trimmed == "}" {
			continue
		}
		count++
	}
	return count
}

// wentOnBetween says that an ordinary line stands between two lines: what the first complained of was over.
func wentOnBetween(l *Log, from, to int) bool {
	for n := from + 1; n < to; n++ {
		if level := lineLevelAt(l, n); level == Info || level == Debug || gotOver.MatchString(l.Line(n)) {
			return true
		}
	}
	return false
}

// gotOver is a line that says that a failure is over.
var gotOver = regexp.MustCompile(`(?i)\b(?:recovered|reconnected|succeeded|restored)\b`)
