package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func probeWrongPath() diagnose.Rule {
	return diagnose.Rule{
		ID: "probe.wrong-path", Category: "liveness-probe", Title: "The liveness probe asks in a way that the server does not answer",
		Doc: diagnose.Doc{
			Means:   "The server answers, but not as the probe wants it: with 404, a redirect, 401 or 403, because the probe's path does not exist or wants a login; or in another protocol, because the probe speaks HTTP to an HTTPS port, or gRPC to a server without the health service. The program is healthy; the kubelet kills it for the answer.",
			Confirm: "`kubectl describe pod POD`: \"Liveness probe failed: HTTP probe failed with statuscode: 404\"; `kubectl exec POD -- wget -qSO- localhost:PORT/PATH` from inside.",
			Mend:    "Set httpGet.path to one that the server answers with 200 without a login, and httpGet.scheme to the protocol that the port speaks.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (any code from 200 to 399 is success)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			p := probeKilled(c)
			code := status(p.text)
			if !p.killed && !p.likely {
				return nil
			}
			if otherProtocol(p.text) {
				f := p.finding(c)
				f.Weight = 40
				f.Summary = fmt.Sprintf("%s, because the server speaks another protocol than the probe: %s", p.says(c), diagnose.Shorten(p.text, 160))
				f.Advice = "Ask in the protocol that the port speaks: httpGet with the right scheme, grpc, or tcpSocket"
				f.Fixes = []diagnose.Fix{{Title: "See what the probe asks", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.containers[*]."+p.which+"Probe}")}}
				return []diagnose.Finding{f}
			}
			if code < 300 || code >= 500 || p.probe.HTTPGet == nil {
				return nil
			}
			f := p.finding(c)
			f.Weight = 40
			what := map[int]string{404: "not found", 401: "a login is asked for", 403: "forbidden", 405: "method not allowed", 400: "bad request"}[code]
			if what != "" {
				what = ", " + what
			}
			f.Summary = fmt.Sprintf("%s, because GET %s answers with HTTP %d%s", p.says(c), firstOf(p.probe.HTTPGet.Path, "/"), code, what)
			f.Advice = "Point the probe at a path that answers 200 without a login"
			f.Fixes = []diagnose.Fix{{Title: "Point the probe at another path", Patch: containerPatch(c, fmt.Sprintf("%sProbe:\n  httpGet:\n    path: /\n    port: %s", p.which, port(p.probe.HTTPGet.Port)))}}
			return []diagnose.Finding{f}
		},
	}
}

// otherProtocol says that a server answered the probe, but not in the probe's protocol.
func otherProtocol(text string) bool {
	t := strings.ToLower(text)
	return strings.Contains(t, "http response to https client") || strings.Contains(t, "malformed http") || strings.Contains(t, "does not implement the grpc health protocol") || strings.Contains(t, "remote error: tls: certificate required") || strings.Contains(t, "remote error: tls: bad certificate") || strings.Contains(t, "remote error: tls: handshake failure")
}
