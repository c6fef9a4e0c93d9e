package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crashloop/diagnose"
)

func probeWrongPort() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.wrong-port", Category: "liveness-probe", Title: "The liveness probe asks a port on which nothing listens",
		Doc: diagnose.Doc{
			Means:   "The probe's connection is refused because the program listens on another port than the one that the probe asks. The program is healthy; the kubelet kills it for the wrong number.",
			Confirm: "Compare the port in the event \"Liveness probe failed: ... connection refused\" with the port that the program's log says it listens on and with the containerPorts.",
			Mend:    "Set the probe to the port that the program listens on, best by the name of a containerPort, so that both change together.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes",
		},
		Log: slices.Concat(listening(), starting()),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			port := 0
			if p.killed || p.likely {
				port = p.port(c)
			}
			if port == 0 || !refused(p.text) {
				return nil
			}
			if ports, _ := listenPorts(hits); slices.Contains(ports, port) {
				return onlyLocal(c, p, hits, port)
			}
			// What listens on the loopback address alone, such as a database within, is not for the kubelet to ask.
			ports, at := listenPorts(slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool {
				return strings.Contains(h.Text, "127.0.0.1:") && !strings.Contains(h.Text, "://")
			}))
			declared := []int{}
			for _, cp := range c.Container.Ports {
				declared = append(declared, int(cp.ContainerPort))
			}
			banner, listed := bannerPort(hits)
			f := p.finding(c)
			other := 0
			switch {
			case banner == port:
				return nil
			case len(ports) > 0:
				other = ports[0]
				f.Weight = 60
				listens := slices.ContainsFunc(hits, func(h diagnose.Hit) bool { return h.Pattern == "listening" && h.Line == at.Line })
				if !listens && !healthDoor.MatchString(at.Log.Line(at.Line)) && f.Confidence == diagnose.Certain {
					f.Confidence = diagnose.Likely // it may open others later
				}
				f.Evidence = append(f.Evidence, at.Cite())
				f.Summary = fmt.Sprintf("%s, which asks port %d while the program listens on %d", p.says(c), port, other)
			case banner > 0:
				other = banner
				f.Weight = 60
				f.Confidence = diagnose.Likely
				f.Evidence = append(f.Evidence, listed.Cite())
				f.Summary = fmt.Sprintf("%s, which asks port %d, while the program says that its port is %d", p.says(c), port, other)
			case len(declared) > 0 && !slices.Contains(declared, port):
				other = declared[0]
				f.Weight = 30
				f.Confidence = diagnose.Likely
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("ports"), Text: fmt.Sprint(declared)})
				f.Summary = fmt.Sprintf("%s, which asks port %d, while the container declares only %d", p.says(c), port, other)
			default:
				return nil
			}
			f.Advice = fmt.Sprintf("Point the probe at port %d", other)
			field := "httpGet"
			switch {
			case p.probe.TCPSocket != nil:
				field = "tcpSocket"
			case p.probe.GRPC != nil:
				field = "grpc"
			}
			f.Fixes = []diagnose.Fix{{Title: fmt.Sprintf("Point the probe at port %d", other), Patch: containerPatch(c, fmt.Sprintf("%sProbe:\n  %s:\n    port: %d", p.which, field, other))}}
			return []diagnose.Finding{f}
		},
	}
}

// onlyLocal is for a program that listens on the right port, but only for its own pod: the kubelet asks the pod's address.
func onlyLocal(c *diagnose.Case, p probing, hits []diagnose.Hit, port int) []diagnose.Finding {
	if !refused(p.text) || strings.Contains(strings.ToLower(p.text), "reset") || p.host() != "" {
		return nil
	}
	var at diagnose.Hit
	bound := false // it names the address that it listens on, rather than one to open in a browser
	for _, h := range hits {
		if h.Pattern != "listening" || !strings.Contains(h.Text, strconv.Itoa(port)) {
			continue
		}
		switch {
		case loopback.MatchString(h.Text):
			at, bound = h, bound || !strings.Contains(h.Text, "://") || strings.Contains(h.Text, "--host")
		default:
			return nil // somewhere else too
		}
	}
	if at.Log == nil {
		return nil
	}
	for n := at.Line; n <= at.Line+3; n++ {
		bound = bound || strings.Contains(at.Log.Line(n), "use --host to expose")
	}
	f := p.finding(c)
	f.Confidence, f.Weight = diagnose.Likely, 20
	if !bound {
		f.Confidence, f.Weight = diagnose.Possible, -60
	}
	f.Evidence = append(f.Evidence, at.Cite())
	f.Settle = fmt.Sprintf("Whether `netstat -ltn` inside shows 127.0.0.1:%d rather than 0.0.0.0:%d.", port, port)
	f.Summary = fmt.Sprintf("%s, which asks port %d at the pod's own address, while the program listens only on localhost", p.says(c), port)
	f.Advice = "Let the program listen on 0.0.0.0: its setting is most often called host, bind or address"
	f.Fixes = []diagnose.Fix{{Title: "See where it says that it listens", Command: previousLog(c)}}
	return []diagnose.Finding{f}
}

var loopback = regexp.MustCompile(`(?:^|[^\d.])127\.0\.0\.1|\blocalhost\b|\[?::1\]?:`)
