package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func componentCalicoRBAC() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.calico-rbac", Category: "component", Title: "Calico may not read what it needs of the Kubernetes API",
		Doc: diagnose.Doc{
			Means:   "calico-node or calico-kube-controllers is forbidden something by the API server: its ClusterRole or binding is missing or from another version of Calico.",
			Confirm: "`kubectl -n kube-system logs ds/calico-node --previous`: \"forbidden\" or \"connection is unauthorized\"; `kubectl get clusterrole calico-node`.",
			Mend:    "Apply the RBAC part of the manifest of the very version of Calico that runs.",
			Source:  "docs.tigera.io/calico/latest/getting-started/kubernetes",
		},
		Log: []diagnose.Pattern{{Words: []string{"forbidden", "unauthorized"}, Regexp: `(?i)is forbidden: User "?[^" ]*calico[^" ]*"? cannot (?P<verb>\w+) (?:resource )?"?(?P<resource>[\w.]+)|connection is unauthorized: (?P<why>.+)|forbidden.*calico|calico.*forbidden`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if !strings.Contains(strings.ToLower(c.Subject.Name()+c.Subject.Container+image(c)), "calico") {
				return nil
			}
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 85
			role := "calico-node"
			if strings.Contains(c.Subject.Name(), "controllers") {
				role = "calico-kube-controllers"
			}
			f.Proof = diagnose.Corroborated
			f.Root = "ClusterRole//" + role
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not allow what Calico needs"}}
			f.Summary = fmt.Sprintf("%s ends because the API server forbids it something: %s", c.Who(), shorten(quote(h.Text), 180))
			f.Advice = fmt.Sprintf("Apply ClusterRole %s of the version of Calico that runs", role)
			f.Fixes = []diagnose.Fix{{Title: "See the role that there is", Command: "kubectl get clusterrole " + role + " -o yaml"}}
			return []diagnose.Finding{f}
		},
	}
}

// isIngress says that the subject is an ingress controller.
func isIngress(c *diagnose.Case) bool {
	id := strings.ToLower(c.Subject.Namespace + " " + c.Subject.Name() + " " + image(c))
	return strings.Contains(id, "ingress") || strings.Contains(id, "traefik") || strings.Contains(id, "haproxy") || strings.Contains(id, "kong") || strings.Contains(id, "contour")
}
