package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"crashloop/diagnose"
)

func probeSlowStart() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.slow-start", Category: "liveness-probe", Title: "The liveness probe kills the container while it is still starting",
		Doc: diagnose.Doc{
			Means:   "The liveness probe begins to ask before the program is ready to answer, and the kubelet kills the container once it has failed often enough: after initialDelaySeconds and periodSeconds times failureThreshold. The program itself is healthy and would come up if it had the time.",
			Confirm: "`kubectl describe pod POD`: Unhealthy \"Liveness probe failed\" and Killing \"failed liveness probe\" events; each run lasts about as long as the probe's window, and the log ends before the program says that it is ready.",
			Mend:    "Give it a startupProbe with a window longer than the slowest start: the liveness probe waits until it has succeeded. Raising initialDelaySeconds works too, but slows every later detection.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes",
		},
		Log: listening(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			if !p.killed && !p.likely || p.which != "liveness" || !p.early(c) || p.probe.Exec != nil && !refused(p.text) && !notYet(p.text) && !(p.text == "" || notAlive.MatchString(p.text)) {
				return nil
			}
			if status(p.text) != 0 && status(p.text) != 503 {
				return nil
			}
			if otherProtocol(p.text) {
				return nil
			}
			w := window(p.probe)
			if p.probe.Exec != nil && !refused(p.text) && !notYet(p.text) && !stillAtIt(c.Log(), 8) {
				return nil // what its command misses is not that it is up
			}
			silent := p.probe.Exec != nil && !refused(p.text) && !notYet(p.text)
			f := p.finding(c)
			if (silent || !notYet(p.text) && !stillAtIt(c.Log(), 4)) && f.Confidence == diagnose.Certain {
				f.Confidence = diagnose.Likely // its command may as well be wrong, or the program be up and listen elsewhere
			}
			f.Killing = p.says(c)
			f.Summary = fmt.Sprintf("%s while it is still starting: it gets %s", p.says(c), sum(p.probe))
			if lived := p.lived(c); lived != "" {
				f.Summary += " and was killed after " + lived
			}
			if p.waitsFor(c, hits) {
				f.Weight = messenger
			}
			needed, why := 2*w, "twice what it gets now"
			if w < 30*time.Second {
				needed, why = time.Minute, "nothing shows how much it needs"
			}
			if h, ok := up(hits); ok && !(p.probe.Exec != nil && notYet(p.text)) { // a database listens before it has recovered
				if status(p.text) == 503 {
					return nil // it serves, and says itself that it is not well
				}
				f.Evidence = append(f.Evidence, h.Cite())
				f.Weight = -40
				if took := startTook(h.Text); took > 0 {
					needed, why = max(2*took, w), fmt.Sprintf("its log says that the start took %s", diagnose.Duration(took))
				}
				if f.Confidence == diagnose.Certain {
					f.Confidence = diagnose.Likely
				}
			}
			period := time.Duration(orDefault(p.probe.PeriodSeconds, 10)) * time.Second
			failures := int((needed + period - 1) / period)
			f.Advice = fmt.Sprintf("Give it a startup probe: %d failures of %s allow it %s to start (%s)", failures, diagnose.Duration(period), diagnose.Duration(time.Duration(failures)*period), why)
			if cited, used, at := citeCPU(c); len(cited) > 0 {
				f.Evidence = append(f.Evidence, cited...)
				if at {
					f.Advice += fmt.Sprintf("; it uses all its CPU limit allows (%s), and would start sooner with more", diagnose.Cores(used))
				}
			}
			f.Fixes = []diagnose.Fix{{
				Title: "Add a startup probe that allows a slow start; the liveness probe waits for it",
				Patch: containerPatch(c, fmt.Sprintf("startupProbe:\n%s  periodSeconds: %d\n  failureThreshold: %d", indent(handler(p), 2), orDefault(p.probe.PeriodSeconds, 10), failures)),
			}}
			return []diagnose.Finding{f}
		},
	}
}

var startedIn = regexp.MustCompile(`(?i)\bstart(?:ed|up)\b.{0,80}?\bin \[?(\d{1,4}(?:\.\d{1,3})?)\]? ?(s|secs?|seconds|ms|milliseconds)\b`)

// startTook reads how long a program says that its start took: "Started Application in 45.3 seconds", 0 when it does not say.
func startTook(text string) time.Duration {
	m := startedIn.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0
	}
	if strings.HasPrefix(m[2], "m") {
		n /= 1000
	}
	return time.Duration(n * float64(time.Second))
}

// handler writes what the probe asks, for a patch.
func handler(p probing) string {
	switch {
	case p.probe.HTTPGet != nil:
		s := fmt.Sprintf("httpGet:\n  path: %s\n  port: %s", diagnose.Scalar(p.probe.HTTPGet.Path), port(p.probe.HTTPGet.Port))
		if p.probe.HTTPGet.Scheme == "HTTPS" {
			s += "\n  scheme: HTTPS"
		}
		return s
	case p.probe.TCPSocket != nil:
		return "tcpSocket:\n  port: " + port(p.probe.TCPSocket.Port)
	case p.probe.GRPC != nil:
		return fmt.Sprintf("grpc:\n  port: %d", p.probe.GRPC.Port)
	case p.probe.Exec != nil:
		var b strings.Builder
		b.WriteString("exec:\n  command:")
		for _, a := range p.probe.Exec.Command {
			b.WriteString("\n  - " + diagnose.Scalar(a))
		}
		return b.String()
	}
	return "tcpSocket:\n  port: 8080"
}

// port writes a port as a YAML value: a number stays one.
func port(p intstr.IntOrString) string {
	if p.Type == intstr.Int {
		return p.String()
	}
	return diagnose.Scalar(p.StrVal)
}

// refused says that a probe's failure is a refused connection.
func refused(text string) bool {
	t := strings.ToLower(text)
	return strings.Contains(t, "connection refused") || strings.Contains(t, "connect: ") || strings.Contains(t, "connection reset") || strings.Contains(t, "eof") || strings.Contains(t, grpcRefused)
}

// stillAtIt says that a log ends with what a program does before it begins with its work: in the last few lines before it is told to stop.
func stillAtIt(l *diagnose.Log, lines int) bool {
	for n, said := l.Len(), 0; n > 0 && said < lines; n-- {
		line := l.Line(n)
		if strings.TrimSpace(line) == "" || stopping.MatchString(line) {
			continue
		}
		if said++; preparing.MatchString(line) {
			return true
		}
	}
	return false
}

// notAlive is a probe's command that says no more than that it fails.
var notAlive = regexp.MustCompile(`(?i)\bnot (?:alive|running|healthy|live|ok)\b`)

var preparing = regexp.MustCompile(`(?i)\b(?:installing|building|compiling|downloading|unpacking|extracting|fetching|pulling|migrating|migration|indexing|warming up|pre-?loading|loading|restoring|recovering|replaying|importing|seeding|initiali[sz]ing|generating|setting up)\b|\b(?:take|takes) (?:a while|several|some|a few|up to)\b`)

// notYet says that the command of a probe tells of a server that is not up, rather than of a fault of its own.
func notYet(text string) bool { return notYetRE.MatchString(text) }

var notYetRE = regexp.MustCompile(`(?i)rejecting connections|no response|\bstarting up\b|\bnot (?:yet )?(?:ready|started|up|initiali[sz]ed|accepting)\b|\bis (?:still )?(?:loading|starting|initiali[sz]ing)\b|(?:can't|cannot|could not|couldn't|failed to|unable to) connect\b`)

// grpcRefused is how a gRPC probe says that nothing accepts its connection: it tries until its time is over, and then calls that a timeout.
const grpcRefused = "failed to connect service"

// timedOut says that a probe's failure is an answer that did not come in time.
func timedOut(text string) bool {
	t := strings.ToLower(text)
	if strings.Contains(t, grpcRefused) {
		return false
	}
	return strings.Contains(t, "context deadline exceeded") || strings.Contains(t, "client.timeout") || strings.Contains(t, "i/o timeout") || strings.Contains(t, "timed out") || strings.Contains(t, "did not complete within") || strings.Contains(t, "handshake timeout")
}

// status is the HTTP status that a probe got, 0 when it got none.
func status(text string) int {
	_, rest, _ := strings.Cut(text, "statuscode: ")
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
