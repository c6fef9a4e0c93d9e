package diagnose

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// attemptWindow is how far up from a failure a log is read for what the program had set out to reach.
const attemptWindow = 400

var (
	// setsOut is how programs say where they are about to connect to.
	setsOut = regexp.MustCompile(`(?i)\b(?:connecting|connect[_ ]?string|connection[_ ]?string|(?:opening|establishing|creating|initiating|acquiring|testing|checking) (?:\w+ ){0,3}(?:connection|database|db|session|store|pool)|dialing|contacting|reaching|pinging|waiting for|bootstrap[._]servers|data ?source|dsn)\b`)
	// arrived is how they say that they got there.
	arrived = regexp.MustCompile(`(?i)\b(?:connected|connection (?:to \S+ )?(?:is |was |has been )?(?:established|successful|ok|ready)|session establishment complete|(?:is|are) (?:up|ready|reachable|available)|reachable)\b`)
)

// attempted are the addresses of which the log says, in the last line before a failure that names any, that the program was about to connect to
// them. One to which it did get is none of them.
func (c *Case) attempted(h Hit) []Address {
	reached := map[string]bool{}
	for n := h.Line - 1; n > 0 && n > h.Line-attemptWindow; n-- {
		line := h.Log.Line(n)
		if !strings.ContainsAny(line, ":=./") && !strings.Contains(line, " ") {
			continue
		}
		switch {
		case arrived.MatchString(line):
			for _, a := range c.engine.address.find(line) {
				reached[a.Host] = true
			}
		case setsOut.MatchString(line):
			text := withoutSource(line)
			found := c.reachable(paired(c.engine.address.find(text)))
			// A bare name counts when it is that of a Service: "connectString=my-zookeeper".
			if len(found) == 0 {
				for _, m := range givenName.FindAllStringSubmatch(text, 4) {
					if a := (Address{Host: strings.ToLower(m[1])}); c.findService(a).service != nil {
						found = append(found, a)
					}
				}
			}
			found = slices.DeleteFunc(found, func(a Address) bool { return a.IsLocal() || reached[a.Host] })
			if len(found) > 0 {
				return found
			}
		}
	}
	return nil
}

// givenName is a name that a line gives as a value, "connectString=zk", "connecting to zk", or in quotation marks.
var givenName = regexp.MustCompile(`(?i)(?:=|: ?|\bto |\bfor |['"])([a-z][a-z0-9-]{1,62}(?:\.[a-z0-9-]+){0,4})(?:['",;\s]|$)`)

// followAttempted goes on from where the log says that the program was about to connect to, when the failure itself names no address. Only what
// is proven to be broken counts, and is never certain.
func (c *Case) followAttempted(h Hit) {
	for _, a := range c.attempted(h) {
		f, ok := c.follow(a, h)
		if !ok || f.Cause == "" || f.Proof < Corroborated || len(c.dependencies) == maxDependencies {
			continue
		}
		if f.Confidence == Certain {
			f.Confidence = Likely
		}
		c.dependencies = append(c.dependencies, Dependency{Address: a, Hit: h, How: h.Pattern, Finding: f})
	}
}

// followNamed takes the one address that the last lines before a failure name, when the failure is what the program ended with and names none itself:
// "checking relay smtp.example.com:587", then a stack trace that ends with a timeout.
func (c *Case) followNamed(h Hit) {
	if c.Subject.ContainerType == Init || !c.lastTells(h) {
		return
	}
	first := h.Line
	if t := c.traceAround(h.Line); t != nil {
		first = t.First
	}
	for n, said := first-1, 0; n > 0 && said < 3; n-- {
		line := h.Log.Line(n)
		if strings.TrimSpace(line) == "" {
			continue
		}
		said++
		if arrived.MatchString(line) || listensAt.MatchString(line) {
			return
		}
		found := slices.DeleteFunc(c.reachable(paired(c.engine.address.find(withoutSource(line)))), func(a Address) bool { return a.IsLocal() || a.Port == 0 })
		switch {
		case len(found) > 1:
			return
		case len(found) == 0:
			continue
		}
		if f, ok := c.follow(found[0], h); ok && (f.Proof >= Corroborated || f.Cause == "dependency.external") {
			if f.Confidence == Certain {
				f.Confidence = Likely
			}
			f.Evidence = append(f.Evidence, h.Log.Cite(n))
			c.dependencies = append(c.dependencies, Dependency{Address: found[0], Hit: h, How: h.Pattern, Finding: f})
		}
		return
	}
}

// listensAt is a line in which a program says where it can be reached itself.
var listensAt = regexp.MustCompile(`(?i)\b(?:listen|serv|bind|bound|expos|start)\w*\b.{0,40}\b(?:on|at)\b`)

// attemptedWith is the one name of a Service which the log says that the program was about to connect to, on an address's port; "" when there is
// none, or several.
func (c *Case) attemptedWith(a Address, h Hit) string {
	to := ""
	for _, named := range c.attempted(h) {
		s := c.findService(named).service
		if s == nil || named.Host == a.Host || named.Port != a.Port && (named.Port != 0 || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == a.Port })) {
			continue
		}
		if to != "" && to != named.Host {
			return ""
		}
		to = named.Host
	}
	return to
}

var (
	// lateWords are how programs say, as the last of all, that something did not answer in time; gaveUp how they say that they cannot get to it.
	lateWords = regexp.MustCompile(`(?i)\btimed[- ]?out\b|\btime[- ]?out (?:expired|exceeded|reached|occurred|while|waiting|connecting|acquiring|after|during|error|of \d)|\b(?:request|connection|connect|operation|read|query|network|dial|socket|nats|ping|server)(?::|ion)? ?time[- ]?out\W*$|: time[- ]?out\W*$|\b\w*Time[Oo]ut(?:Error|Exception|Expired)\b|TimedOut\b|Net::OpenTimeout|\.TIMEOUT\b|deadline (?:has )?(?:elapsed|exceeded)|deadline_?exceeded|execution expired`)
	gaveUp    = regexp.MustCompile(`(?i)connection ?loss|lost connection|\bnot (?:be )?(?:reachable|become available|respond(?:ing)?)\b|\bno (?:hosts?|servers?|brokers?|nodes?) (?:are |is )?available|NoHostAvailable|all host\(s\) tried|not present in metadata|connection (?:is )?not available|\bgave up (?:on|waiting|connecting)|giving up (?:on|waiting|connecting)`)
	// ownBusiness is what a program waits for in itself, or on its node.
	ownBusiness = regexp.MustCompile(`(?i)\b(?:lock|locks|flock|mutex|semaphore|worker|workers|plugin|goroutine|subprocess|child|command|script|shutdown|shut down|graceful|test|tests)\b|\bopen(?:ing)? (?:the )?(?:[\w-]+ )?(?:file|bolt|db file|/)|\b(?:opening|open) [^:]{0,60}: timeout\W*$`)
)

// waits is how a program says that it waits for something, or is about to try again.
var waits = regexp.MustCompile(`(?i)\b(?:wait(?:ing|s)?|retry(?:ing)?|retries|try(?:ing)? again|sleep(?:ing)?|attempt(?:ing|s)?|polling)\b`)

// waitsInLoop says that the log of a program which was killed ends with one line over and over again, but for its numbers, by which it waits.
func (c *Case) waitsInLoop() (Hit, bool) {
	t := c.Last()
	if t == nil || t.Reason == "OOMKilled" || t.ExitCode != 137 && t.ExitCode != 143 || c.Log().Missing != "" {
		return Hit{}, false
	}
	l := c.Log()
	last := l.lastText()
	said := func(n int) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, l.Line(n))
	}
	if last < 4 || !waits.MatchString(said(last)) || said(last) != said(last-1) || said(last) != said(last-2) {
		return Hit{}, false
	}
	return Hit{Pattern: failedSomehow, Log: l, Line: last, Text: readEntry(l.Line(last)).text}, true
}

// lastFailure is a failure to reach something that only the program's last words tell of, in words that mean that there and could mean anything
// anywhere else: "TimeoutError", "deadline has elapsed".
func (c *Case) lastFailure() (Hit, bool) {
	t := c.Last()
	if t == nil || !ranAtAll(t) || t.ExitCode == 0 || c.Log().Missing != "" {
		return Hit{}, false
	}
	l := c.Log()
	var said []Hit
	for _, t := range c.Traces() {
		if t.Handled || t.Last < l.lastText()-8 {
			continue
		}
		said = said[:0] // the last of them counts
		for _, n := range []int{t.At, t.CauseAt} {
			if n > 0 {
				said = append(said, Hit{Log: l, Line: n, Text: readEntry(l.Line(n)).text, Level: Error})
			}
		}
	}
	if len(said) == 0 {
		said = c.lastWords(false)
	}
	for _, h := range slices.Backward(said) {
		switch {
		case answered(h.Text) || ownWait.MatchString(h.Text) || ownBusiness.MatchString(h.Text):
		case lateWords.MatchString(h.Text):
			h.Pattern = failedTimeout
			return h, true
		case gaveUp.MatchString(h.Text):
			h.Pattern = failedSomehow
			return h, true
		}
	}
	return Hit{}, false
}
