package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func componentIngressConfig() diagnose.Rule {
	from := regexp.MustCompile(`(?i)ingress(?:es)?[ :"'/=]+(?P<ns>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)|server (?P<host>[\w.-]+)`)
	// What the proxy cannot listen on comes from its own listeners and its node, never from an Ingress.
	sockets := regexp.MustCompile(`\[emerg\].*(?:\bbind\(\)|\bsocket\(\)|still could not bind|mkdir\(\))`)
	return diagnose.Rule{
		ID: "component.ingress-config", Category: "component", Title: "An Ingress breaks the ingress controller's configuration",
		Doc: diagnose.Doc{
			Means:   "The ingress controller makes its configuration from all Ingress objects, and one of them - an annotation, a snippet, a path - makes one that the proxy refuses.",
			Confirm: "`kubectl logs` of the controller: \"nginx: [emerg]\" or \"Error: exit status 1\" with the line; the comment in the generated file names the Ingress.",
			Mend:    "Correct or remove that Ingress. The controller's validating webhook would have refused it: see that it is on.",
			Source:  "kubernetes.github.io/ingress-nginx/troubleshooting",
		},
		Log: []diagnose.Pattern{{Words: []string{"[emerg]", "invalid ingress", "error obtaining", "configuration file /etc/nginx", "ingress \"", "unexpected failure reloading", "error reloading", "no ingressclass", "ingressclass", "no configmap with name", "no service with name", "error generating", "unexpected error validating"}, Regexp: `(?i)\[emerg\].*|invalid ingress.*|unexpected failure reloading.*|error reloading.*|no (?:service|configmap) with name \S+ found.*|IngressClass.*(?:not found|forbidden|invalid|does not exist).*|error obtaining.*|ingress .*(?:invalid|malformed).*`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if !isIngress(c) {
				return nil
			}
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return !strings.Contains(h.Text, "is forbidden: User") && !sockets.MatchString(h.Text)
			})
			if !ok {
				return nil
			}
			f.Weight = 70
			f.Proof = diagnose.Corroborated
			f.Summary = fmt.Sprintf("%s, the ingress controller, refuses its configuration: %s", c.Who(), inSentence(h, 180))
			f.Advice = "Correct the Ingress that it comes from"
			for n := h.Line - 30; n <= h.Line+5; n++ {
				if g := groups(from, h.Log.Line(n)); g != nil && g["name"] != "" {
					f.Root = "Ingress/" + g["ns"] + "/" + g["name"]
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "makes a configuration that the controller refuses"}}
					f.Advice = "Correct Ingress " + g["ns"] + "/" + g["name"]
				}
			}
			if f.Root == "" {
				// A host or word of the message that stands in one Ingress only.
				objects, _ := c.List(diagnose.Ingresses, "")
				for _, o := range objects {
					for k, v := range o.GetAnnotations() {
						if strings.Contains(k, "snippet") || len(v) > 3 && strings.Contains(h.Text, v) {
							f.Root = "Ingress/" + o.GetNamespace() + "/" + o.GetName()
							f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Ingress " + o.GetNamespace() + "/" + o.GetName() + " annotation " + k, Text: v})
						}
					}
				}
				if f.Root != "" {
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "most likely makes the configuration that the controller refuses"}}
				}
			}
			f.Fixes = []diagnose.Fix{{Title: "See the Ingresses, the newest last", Command: "kubectl get ingress -A --sort-by=.metadata.creationTimestamp"}}
			return []diagnose.Finding{f}
		},
	}
}
