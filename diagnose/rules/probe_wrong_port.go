package rules

import (
	"fmt"
	"slices"

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
		Log: []diagnose.Pattern{listening()},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			port := 0
			if p.killed || p.likely {
				port = p.port(c)
			}
			if port == 0 || !refused(p.text) {
				return nil
			}
			ports, at := listenPorts(hits)
			if slices.Contains(ports, port) {
				return nil
			}
			declared := []int{}
			for _, cp := range c.Container.Ports {
				declared = append(declared, int(cp.ContainerPort))
			}
			f := p.finding(c)
			other := 0
			switch {
			case len(ports) > 0:
				other = ports[0]
				f.Weight = 60
				f.Evidence = append(f.Evidence, at.Cite())
				f.Summary = fmt.Sprintf("%s, which asks port %d while the program listens on %d", p.says(c), port, other)
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
