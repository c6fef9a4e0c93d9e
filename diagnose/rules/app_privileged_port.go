package rules

import (
	"fmt"
	"strconv"

	"crashloop/diagnose"
)

func appPrivilegedPort() diagnose.Rule {
	read := newReader()
	return diagnose.Rule{
		ID: "app.privileged-port", Category: "app-error", Title: "It may not listen on a port below 1024",
		Doc: diagnose.Doc{
			Means:   "The program wants a port below 1024 and runs as a user who may not have one: not root, or root without the capability NET_BIND_SERVICE.",
			Confirm: "`kubectl logs POD --previous` says \"bind: permission denied\" with the port; the pod's securityContext shows the user and the capabilities.",
			Mend:    "Listen on a port above 1023 and let the Service map it, add the capability NET_BIND_SERVICE, or set the sysctl net.ipv4.ip_unprivileged_port_start for the pod.",
			Source:  "capabilities(7), CAP_NET_BIND_SERVICE; kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster",
		},
		Log: []diagnose.Pattern{{Words: []string{"permission denied", "eacces", "operation not permitted"}, Regexp: `(?:(?i:bind|listen|socket|port)|\bEACCES\b).*(?:(?i:permission denied|operation not permitted)|\bEACCES\b)|(?:(?i:permission denied)|\bEACCES\b).*(?i:bind|listen|socket|port\b|0\.0\.0\.0|address)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			number := 0
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				n, err := strconv.Atoi(read.port(h.Text))
				if err != nil || n < 20 || n >= 1024 {
					return false
				}
				number = n
				return true
			})
			if !ok {
				return nil
			}
			_ = h
			f.Confidence, f.Weight = diagnose.Certain, 40
			f.Summary = fmt.Sprintf("%s may not listen on port %d, which is below 1024", c.Who(), number)
			if uid, known := user(c); known && uid != 0 {
				f.Proof = diagnose.Corroborated
				f.Summary += fmt.Sprintf(": it runs as user %d", uid)
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: fmt.Sprint(uid)})
			}
			f.Advice = "Let it listen on a port above 1023, or add the capability NET_BIND_SERVICE"
			f.Fixes = []diagnose.Fix{
				{Title: "Allow low ports to the pod's users", Patch: podPatch(c, "securityContext:\n  sysctls:\n  - name: net.ipv4.ip_unprivileged_port_start\n    value: \"0\"")},
				{Title: "Or add the capability", Patch: containerPatch(c, "securityContext:\n  capabilities:\n    add: [NET_BIND_SERVICE]")},
			}
			return []diagnose.Finding{f}
		},
	}
}
