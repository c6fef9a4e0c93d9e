package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// probing is what is known of a container that the kubelet kills for a failed probe.
type probing struct {
	killed  bool   // the kubelet says so
	likely  bool   // the probe fails and the way of ending fits, but no event says that it was killed
	which   string // "liveness" or "startup"
	probe   *corev1.Probe
	kill    diagnose.Event
	failure diagnose.Event // the last failure that says something
	text    string         // of that failure, without the kubelet's introduction
}

// probeKilled reads the events about the container's liveness and startup probes. Their texts differ with the version: "Container web
// failed liveness probe, will be restarted", and before 1.14 "Killing container with id docker://web:Container failed liveness probe..
// Container will be killed and recreated."
func probeKilled(c *diagnose.Case) probing {
	p := probing{}
	if c.Container == nil {
		return p
	}
	for _, e := range c.ContainerEvents() {
		if e.Container == "" && !strings.Contains(e.Message, c.Subject.Container) && e.Reason == "Killing" {
			continue
		}
		switch {
		case e.Reason == "Killing" && e.Has("failed liveness probe"):
			p.killed, p.which, p.kill = true, "liveness", e
		case e.Reason == "Killing" && e.Has("failed startup probe"):
			p.killed, p.which, p.kill = true, "startup", e
		}
	}
	for _, e := range c.ContainerEvents() {
		if e.Reason != "Unhealthy" && e.Reason != "ProbeWarning" {
			continue
		}
		for _, which := range []string{"liveness", "startup"} {
			if !e.Has(which+" probe") || p.which != "" && p.which != which && p.killed {
				continue
			}
			text := e.Message
			if _, rest, ok := strings.Cut(text, "failed: "); ok {
				text = rest
			} else if _, rest, ok := strings.Cut(text, "errored: "); ok {
				text = rest
			} else if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(strings.ToLower(text), which) {
				text = rest
			}
			text = strings.TrimSpace(text)
			if p.text == "" || text != "" {
				p.failure, p.text = e, text
			}
			if p.which == "" {
				p.which = which
			}
		}
	}
	switch p.which {
	case "liveness":
		p.probe = c.Container.LivenessProbe
	case "startup":
		p.probe = c.Container.StartupProbe
	}
	if p.probe == nil {
		p.probe = &corev1.Probe{}
		if c.Container.LivenessProbe == nil && c.Container.StartupProbe == nil {
			p.killed = false // it was taken out of the template since
		}
	}
	t := c.Last()
	if t == nil {
		p.killed = false
		return p
	}
	// A kill ends with 0, 2, 143 or 137, as the program takes SIGTERM; another code is a death of its own, which made the probe fail.
	byKill := t.ExitCode == 0 || t.ExitCode == 2 || t.ExitCode == 143 || t.ExitCode == 137 || t.ExitCode == 130
	if t.Reason == "OOMKilled" {
		p.killed = false
		return p
	}
	if !byKill && p.killed && p.kill.Count*2 < c.Status.RestartCount {
		p.killed = false
	}
	p.likely = !p.killed && byKill && p.failure.Count >= int32(threshold(p.probe)) && (t.ExitCode == 137 || t.ExitCode == 143)
	return p
}

// messenger is the weight of a probe's kill when what the program waits for explains it.
const messenger = -300

func threshold(p *corev1.Probe) int { return int(orDefault(p.FailureThreshold, 3)) }

func orDefault(n, def int32) int32 {
	if n == 0 {
		return def
	}
	return n
}

// window is how long a container has from its start until the probe has failed often enough.
func window(p *corev1.Probe) time.Duration {
	return time.Duration(p.InitialDelaySeconds+orDefault(p.PeriodSeconds, 10)*orDefault(p.FailureThreshold, 3)) * time.Second
}

// sum writes the window with what it is made of: "35s (5s + 3 x 10s)".
func sum(p *corev1.Probe) string {
	parts := fmt.Sprintf("%d x %ds", orDefault(p.FailureThreshold, 3), orDefault(p.PeriodSeconds, 10))
	if p.InitialDelaySeconds > 0 {
		parts = fmt.Sprintf("%ds + %s", p.InitialDelaySeconds, parts)
	}
	return fmt.Sprintf("%s (%s)", diagnose.Duration(window(p)), parts)
}

// lived says how long the runs lasted that a probe ended, and how much of that was the wait for an end after SIGTERM; empty when not known.
func (p probing) lived(c *diagnose.Case) string {
	l := c.Lives(killedByProbe)
	if l.Count == 0 {
		return ""
	}
	says := l.String()
	if t := c.Last(); t != nil && t.ExitCode == 137 && l.Shortest >= p.grace(c)+window(p.probe)-time.Duration(orDefault(p.probe.PeriodSeconds, 10))*time.Second {
		says += fmt.Sprintf(", %s of it after the SIGTERM that it did not heed", diagnose.Duration(p.grace(c)))
	}
	return says
}

// grace is how long the kubelet waits between SIGTERM and SIGKILL.
func (p probing) grace(c *diagnose.Case) time.Duration {
	if p.probe.TerminationGracePeriodSeconds != nil {
		return time.Duration(*p.probe.TerminationGracePeriodSeconds) * time.Second
	}
	if s := c.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 30 * time.Second
}

// field is the spec field that holds the probe.
func (p probing) field(c *diagnose.Case) string { return c.SpecField(p.which + "Probe") }

// early says that the container never lived longer than the probe's window: it was killed while it was still starting.
func (p probing) early(c *diagnose.Case) bool {
	ran := c.Ran()
	if ran == 0 {
		return true
	}
	period := time.Duration(orDefault(p.probe.PeriodSeconds, 10)) * time.Second
	limit := window(p.probe) + period + 5*time.Second
	if t := c.Last(); t != nil && t.ExitCode == 137 {
		limit += p.grace(c) // it did not heed SIGTERM
	}
	return ran <= limit
}

// finding starts a finding of a probe's kill.
func (p probing) finding(c *diagnose.Case) diagnose.Finding {
	f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural}
	if p.killed {
		f.Evidence = append(f.Evidence, p.kill.Cite())
	} else {
		f.Confidence, f.Proof = diagnose.Likely, diagnose.Corroborated
	}
	if p.failure.Message != "" {
		f.Evidence = append(f.Evidence, p.failure.Cite())
	}
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: p.field(c), Text: diagnose.ProbeWords(p.probe)})
	f.Evidence = append(f.Evidence, c.CiteLast()...)
	f.Settle = "The kubelet's Killing and Unhealthy events tell."
	return f
}

// says begins the sentence that every one of these causes begins with.
func (p probing) says(c *diagnose.Case) string {
	return fmt.Sprintf("%s is killed by its %s probe", c.Who(), p.which)
}

// port is the port that the probe asks, 0 when it is a command or cannot be told.
func (p probing) port(c *diagnose.Case) int {
	number := func(v string) int {
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
		for _, cp := range c.Container.Ports {
			if cp.Name == v {
				return int(cp.ContainerPort)
			}
		}
		return 0
	}
	switch {
	case p.probe.HTTPGet != nil:
		return number(p.probe.HTTPGet.Port.String())
	case p.probe.TCPSocket != nil:
		return number(p.probe.TCPSocket.Port.String())
	case p.probe.GRPC != nil:
		return int(p.probe.GRPC.Port)
	}
	return 0
}

// host is the host that the probe asks instead of the pod's own address, "" for the pod.
func (p probing) host() string {
	switch {
	case p.probe.HTTPGet != nil:
		return p.probe.HTTPGet.Host
	case p.probe.TCPSocket != nil:
		return p.probe.TCPSocket.Host
	}
	return ""
}

// waitsFor says that the program was killed while it waited for something that the cluster's objects prove to be down: its log ends with
// that, and never says that the program is up. The probe then is the messenger.
func (p probing) waitsFor(c *diagnose.Case, hits []diagnose.Hit) bool {
	if _, ok := up(hits); ok {
		return false
	}
	for _, d := range c.Dependencies() {
		if d.Finding.Proof >= diagnose.Corroborated && d.Finding.Confidence == diagnose.Certain && c.EndsWaiting(d.Hit) {
			return true
		}
	}
	return false
}

// listening is the pattern of lines in which servers say that they are up.
func listening() []diagnose.Pattern {
	return []diagnose.Pattern{{
		Name: "listening",
		Words: []string{
			"listening", "started on", "running on", "running at", "ready to accept connections", "started server", "server started", "serving on", "serving http", "bound to", "http bound on", "bind to", "tomcat started", "start worker process",
			"application startup complete", "server is up", "started application", "ready for connections", "start listening", "accepting connections", "now listening", "server ready", "started at", "ready on", "available at", "ready - started", "http server on", "starting server on", "starting http", "booting on", "jvm running for",
			"process running for", "server lifted", "has launched from", "responding at", "started serverconnector", "now serving", "serving securely", "running in http", "bound on host",
		},
	}, {
		// In any other words, with the address: "Starting application at 127.0.0.1:3000".
		Name: "listening", Words: []string{" 127.0.0.1:", " localhost:", " 0.0.0.0:", "/127.0.0.1:", "/localhost:", "/0.0.0.0:"}, Regexp: `(?i)\b(?:start|listen|serv|bound|bind)\w*\s(?:\w+ ){0,4}(?:at|on|to):? (?:https?://)?(?:127\.0\.0\.1|localhost|0\.0\.0\.0):\d+`,
	}, {
		// Vite, Next.js and Angular; Streamlit.
		Name: "listening", Words: []string{"local:", "network:", "url: http"}, Regexp: `(?i)\b(?:local|network):\s+(?:https?://|use --host)|^\s*(?:local |network |external )?url: https?://(?:localhost|\d+\.\d+\.\d+\.\d+|\[::\]):\d+\s*$`,
	}}
}

// starting is the pattern of lines that tell on which port a program is about to serve, or does by now: they do not say that it is up.
func starting() []diagnose.Pattern {
	return []diagnose.Pattern{{
		// controller-runtime, and loggers with fields: msg="starting server" kind="health probe" addr=[::]:8081.
		Name: "starting", Words: []string{"starting server", "started server", "starting api server", "starting web server", "starting grpc server", "server listen", "starting listener", "serving "}, Regexp: `(?i)\b(?:start(?:ing|ed)|serving) (?:[\w-]+ ){0,3}server\b|\bserver listen\b|\bstarting listener\b`,
	}, {
		Name: "starting", Words: []string{" on port", " at port", " on :", " at :", ".endpoint with "}, Regexp: `(?i)\b(?:start|listen|serv|bound|bind|run|launch|expos|live|ready|up\b)\w*\s(?:[\w.:-]+ ){0,5}(?:at|on|to):? (?:port:? ?|\[?:*\]?:)\d{2,5}\b`,
	}, {
		// A banner lists it among the settings: "Port        : 1337".
		Name: "banner", Words: []string{"port"}, Regexp: `(?i)^\W*(?:(?:info|debug|notice|log)\W{1,4})?(?:(?:http|https|web|app|application|server|listen\w*|service)[ _.-]?)?port\s*[:=]\s*(?P<port>\d{2,5})\W*$|(?i:\b(?:http|https|web|server|listen\w*)[ _.-]?port\s*[:=]\s*)(?P<port2>\d{2,5})\W*$`,
	}}
}

var (
	// listenField is a field of a JSON line that holds an address or a port.
	listenField = regexp.MustCompile(`(?i)"(addr|address|port|listen|bind|endpoint)\w*"\s*:\s*"?([^",}\s]{1,80})`)
	// listenPort is a port within such a line's words.
	listenPort = regexp.MustCompile(`(?i)(?:port\(?s?\)?\s*[:=]?\s*|[\]\w.*]:|\s:|^:|["'=]:|:::)(\d{2,5})(?:[^0-9.:]|\.?$|/)|\bon (\d{4,5})[.!]?$`)
)

var (
	// clockTime is the time of a line, or where in its source the program says it: their numbers are no ports.
	clockTime = regexp.MustCompile(`\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?|\b[\w-]+\.(?:go|py|[cm]?[jt]s|java|kt|scala|rs|rb|exs?|cc?|cpp|cs|php):\d+`)
	// sideDoor is what a program opens beside its own port, often long before that.
	sideDoor = regexp.MustCompile(`(?i)\b(?:metrics?|prometheus|telemetry|pprof|profil\w+|jmx|debugger|debug[ -](?:port|server|endpoint|address|listener|agent)|dt_socket|webhook server)\b`)
	// sideField is how the fields of such a line name it.
	sideField = regexp.MustCompile(`(?i)\b(?:kind|logger|name|server|component|service|path)"?\s*[:=]\s*"?[^",\s]*\b(?:metrics|pprof|webhook|debug)\b`)
	// healthDoor is what a program opens for probes to ask.
	healthDoor = regexp.MustCompile(`(?i)\bhealth(?:z|[ -]?(?:probes?|checks?))? (?:server|endpoint|listener|port|probes?)\b|\b(?:kind|name|server)"?\s*[:=]\s*"?health`)
)

// listenPorts takes the ports out of the lines in which servers say that they are up.
func listenPorts(hits []diagnose.Hit) (ports []int, at diagnose.Hit) {
	for i := len(hits) - 1; i >= 0; i-- {
		h := hits[i]
		if h.Pattern != "listening" && h.Pattern != "starting" || h.Level >= diagnose.Error {
			continue
		}
		if sideDoor.MatchString(h.Text) || strings.Contains(h.Text, "auto-assigned") || h.Log != nil && sideField.MatchString(h.Log.Line(h.Line)) {
			continue
		}
		text := clockTime.ReplaceAllString(h.Text, "")
		if h.Log != nil {
			for _, m := range listenField.FindAllStringSubmatch(h.Log.Line(h.Line), 4) {
				text += " " + m[1] + "=" + m[2] + " " // a field of a JSON line, next to its message
			}
		}
		for _, m := range listenPort.FindAllStringSubmatch(text, 4) {
			if n, err := strconv.Atoi(firstOf(m[1], m[2])); err == nil && n > 9 && n < 65536 {
				if len(ports) == 0 {
					at = h
				}
				ports = append(ports, n)
			}
		}
	}
	return ports, at
}

// bannerPort is the port that a program lists among its settings as it starts, where it says besides that it is up, and not on which one; 0 when it
// does not. Another program's port that it is told, as of its database, is listed below that one's name.
func bannerPort(hits []diagnose.Hit) (int, diagnose.Hit) {
	if _, ok := up(hits); !ok {
		return 0, diagnose.Hit{}
	}
	for _, h := range slices.Backward(hits) {
		n, err := strconv.Atoi(h.Group("port"))
		if h.Pattern != "banner" || err != nil || n > 65535 || othersPort(n) {
			continue
		}
		others := othersName.MatchString(h.Text)
		for k := h.Line - 1; k > 0 && k >= h.Line-6 && !ownPort.MatchString(h.Text); k-- {
			others = others || othersName.MatchString(h.Log.Line(k))
		}
		if !others {
			return n, h
		}
	}
	return 0, diagnose.Hit{}
}

// ownPort is how a program calls its port that may be listed below another's.
var ownPort = regexp.MustCompile(`(?i)\b(?:https?|web|server|listen\w*)[ _.-]?port\b`)

// othersName is what programs are told the ports of.
var othersName = regexp.MustCompile(`(?i)postgres|mysql|maria|mongo|redis|rabbit|kafka|smtp|mail|ldap|elastic|database|\bdb\b|upstream|proxy|broker|\bcache\b`)

// othersPort is the usual port of a server that programs use, rather than their own.
func othersPort(n int) bool {
	switch n {
	case 25, 389, 465, 587, 636, 1433, 1521, 3306, 5432, 5672, 6379, 9042, 9092, 9200, 11211, 27017, 2379, 2181:
		return true
	}
	return false
}

// up returns the first line in which the program says that it serves, in the log.
func up(hits []diagnose.Hit) (diagnose.Hit, bool) {
	for _, h := range hits {
		if h.Pattern == "listening" && h.Level < diagnose.Error {
			return h, true
		}
	}
	return diagnose.Hit{}, false
}
