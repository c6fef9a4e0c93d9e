package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func componentTLSSecretMissing() diagnose.Rule {
	re := regexp.MustCompile(`(?i)secrets? "(?P<name>(?:[^"]*(?:tls|cert|admission|webhook|ssl)[^"]*|(?:[^"]*[-.])?ca(?:[-.][^"]*)?))" not found`)
	return diagnose.Rule{
		ID: "component.tls-secret-missing", Category: "component", Title: "The TLS Secret of a controller or webhook is missing",
		Doc: diagnose.Doc{
			Means:   "An ingress or webhook controller needs a Secret with a certificate that does not exist yet: its Certificate is not issued, the Job that makes it has not run, or the name differs.",
			Confirm: "The controller's log or its FailedMount event names the Secret; `kubectl get certificate -A` shows whether cert-manager has issued it.",
			Mend:    "Get the certificate issued (see the Certificate's conditions), run the Job that makes it, or create the Secret.",
			Source:  "cert-manager.io/docs/troubleshooting, kubernetes.github.io/ingress-nginx (certgen)",
		},
		Log: []diagnose.Pattern{{Words: []string{"secret"}, Regexp: `(?i)(?:secret|certificate)s? "?(?:(?P<ns>[\w-]+)/)?(?P<name>[\w.-]*(?:tls|cert|admission|webhook|ssl)[\w.-]*|(?:[\w.-]*[-.])?ca(?:[-.][\w.-]*)?)"? (?:was )?(?:not found|does not exist|no such)|no object matching key "(?P<key>[^"]+)"|(?:error|failed|unable|could not)[^"]{0,40}(?:get|getting|find|load|read|obtain)[^"]{0,40}(?:tls |default )?(?:secret|certificate)[^"]{0,20}"(?P<name2>[^"]+)"`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			id := strings.ToLower(c.Subject.Namespace + " " + c.Subject.Name() + " " + image(c))
			controller := isIngress(c) || strings.Contains(id, "webhook") || strings.Contains(id, "cert-manager") || strings.Contains(id, "admission") || strings.Contains(id, "operator") || strings.Contains(id, "controller") || strings.Contains(id, "gateway")
			if !controller {
				return nil
			}
			var f diagnose.Finding
			name := ""
			if s, g, ok := said(c, re); ok {
				f, name = fromStatement(s), g["name"]
			} else {
				var h diagnose.Hit
				if f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool {
					return h.Level != diagnose.Info && (h.Level >= diagnose.Error || !h.DoesWithout())
				}); !ok {
					return nil
				}
				name = firstOf(h.Group("name"), h.Group("key"))
				if _, after, ok := strings.Cut(name, "/"); ok {
					name = after
				}
				if _, err := c.Get(diagnose.Secrets, c.Subject.Namespace, name); err == nil {
					return nil
				}
				f.Proof = diagnose.Corroborated
			}
			f.Weight = 45
			f.Root = "Secret/" + c.Subject.Namespace + "/" + name
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
			f.Summary = fmt.Sprintf("%s needs the TLS Secret %s, which does not exist", c.Who(), name)
			f.Advice = "Get the certificate issued, or create the Secret"
			for _, u := range makers(c, diagnose.Certificates, name) {
				message := failingCondition(u)
				f.Root = "Certificate/" + c.Subject.Namespace + "/" + u.GetName()
				f.Chain = append(f.Chain, diagnose.Link{Object: f.Root, Says: firstOf("is not issued: "+message, "is not issued")})
				f.Summary += fmt.Sprintf(": Certificate %s is not issued", u.GetName())
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Certificate " + u.GetName() + " status.conditions", Text: message})
				for _, a := range behind(c, diagnose.Certificates, u) {
					f.Root = a.link.Object
					f.Chain = append(f.Chain, a.link)
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: a.kind.Kind + " " + a.name + " status", Text: a.link.Says})
				}
			}
			f.Fixes = []diagnose.Fix{{Title: "See whether a certificate should make it", Command: c.Kubectl("get", "certificate,job")}}
			return []diagnose.Finding{f}
		},
	}
}
