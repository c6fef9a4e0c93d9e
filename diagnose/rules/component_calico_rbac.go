package rules

import (
	"fmt"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func componentCalicoRBAC() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.calico-rbac", Category: "component", Title: "Calico may not read what it needs of the Kubernetes API",
		Doc: diagnose.Doc{
			Means:   "The API server turns calico-node or calico-kube-controllers away. \"Forbidden\" (403): its ClusterRole or binding is missing or from another version of Calico. \"Unauthorized\" (401): its token is not valid, as after a change of the cluster's signing key.",
			Confirm: "`kubectl -n kube-system logs ds/calico-node --previous`: \"forbidden\" or \"connection is unauthorized\"; `kubectl get clusterrole calico-node`.",
			Mend:    "Forbidden: apply the RBAC part of the manifest of the very version of Calico that runs. Unauthorized: restart the pods so that they get new tokens.",
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
			f.Weight = 85
			// "connection is unauthorized" wraps 403 as well; 401 says no more than "Unauthorized".
			if strings.HasPrefix(h.Group("why"), "Unauthorized") && !slices.ContainsFunc(hits, func(h diagnose.Hit) bool { return strings.Contains(h.Text, "forbidden") }) {
				return []diagnose.Finding{calicoToken(c, f, h)}
			}
			f.Confidence = diagnose.Certain
			role := "calico-node"
			if strings.Contains(c.Subject.Name(), "controllers") {
				role = "calico-kube-controllers"
			}
			f.Proof = diagnose.Corroborated
			f.Root = "ClusterRole//" + role
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not allow what Calico needs"}}
			f.Summary = fmt.Sprintf("%s ends because the API server forbids it something: %s", c.Who(), inSentence(h, 180))
			f.Advice = fmt.Sprintf("Apply ClusterRole %s of the version of Calico that runs", role)
			f.Fixes = []diagnose.Fix{{Title: "See the role that there is", Command: diagnose.Kubectl("", "get", "clusterrole", role, "-o", "yaml")}}
			return []diagnose.Finding{f}
		},
	}
}

// calicoToken is the finding for a token that the API server does not accept.
func calicoToken(c *diagnose.Case, f diagnose.Finding, h diagnose.Hit) diagnose.Finding {
	name := firstOf(c.Spec.ServiceAccountName, "default")
	f.Proof = diagnose.Corroborated
	f.Root = "ServiceAccount/" + c.Subject.Namespace + "/" + name
	f.Chain = []diagnose.Link{{Object: f.Root, Says: "has a token here that the API server does not accept"}}
	f.Summary = fmt.Sprintf("%s ends because the API server does not accept its token (401, before any role is looked at): %s", c.Who(), inSentence(h, 160))
	f.Advice = fmt.Sprintf("Restart it, so that ServiceAccount %s gets a new token; should that not help, the signing key of the API server or the node's clock has changed", name)
	f.Fixes = []diagnose.Fix{{Title: "Start it with a new token", Command: c.Kubectl("rollout", "restart", c.Target())}}
	return f
}

// isIngress says that the subject is an ingress controller.
func isIngress(c *diagnose.Case) bool {
	id := strings.ToLower(c.Subject.Namespace + " " + c.Subject.Name() + " " + image(c))
	return strings.Contains(id, "ingress") || strings.Contains(id, "traefik") || strings.Contains(id, "haproxy") || strings.Contains(id, "kong") || strings.Contains(id, "contour")
}
