package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"crashloop/diagnose"
)

func dependencyWebhook() diagnose.Rule {
	re := regexp.MustCompile(`(?s)failed calling (?:admission )?webhook "?(?P<name>[\w.-]+)"?: (?P<why>.*)`)
	converts := regexp.MustCompile(`(?s)conversion webhook for (?P<name>[\w./-]+(?:, Kind=\w+)?) failed: (?P<why>.*)`)
	denies := regexp.MustCompile(`(?s)admission webhook "(?P<name>[^"]+)" denied the request:? ?(?P<why>.*)`)
	service := regexp.MustCompile(`https?://(?P<svc>[\w-]+)\.(?P<ns>[\w-]+)\.svc(?::(?P<port>\d{1,5}))?|service "(?P<svc2>[\w-]+)" not found|no endpoints available for service "(?P<svc3>[\w-]+)"`)
	return diagnose.Rule{
		ID: "dependency.webhook", Category: "dependency", Title: "An admission webhook keeps it from working",
		Doc: diagnose.Doc{
			Means:   "The API server asks a webhook before it creates an object, or to convert one from version to version, and the webhook does not answer or says no. While its Service has no ready pod, nothing that it watches over can be created.",
			Confirm: "`kubectl get events --field-selector=reason=FailedCreate`: \"failed calling webhook\" or \"denied the request\"; `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`.",
			Mend:    "Bring the webhook's own workload up. If it was removed, delete its configuration. failurePolicy Ignore lets objects pass when it is down.",
			Source:  "kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers",
		},
		Log: []diagnose.Pattern{{Words: []string{"failed calling webhook", "failed calling admission webhook", "denied the request", "conversion webhook for"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var f diagnose.Finding
			var g map[string]string
			text := ""
			for _, s := range refusals(c) {
				if g = groups(re, s.text); g == nil {
					g = groups(denies, s.text)
				}
				if g != nil {
					f, text = fromStatement(s), s.text
					break
				}
			}
			if g == nil {
				var h diagnose.Hit
				var ok bool
				if f, h, ok = lastHit(c, hits, nil); !ok {
					return nil
				}
				text = quote(h.Text)
				if g = groups(re, text); g == nil {
					if g = groups(converts, text); g == nil {
						if g = groups(denies, text); g == nil {
							return nil
						}
					}
				}
				f.Weight, f.Keys = 30, []string{"webhook"}
			}
			f.Weight += 30
			what := "has no pods"
			if c.Pod != nil {
				what = "ends"
			}
			if groups(denies, text) != nil {
				f.Summary = fmt.Sprintf("%s %s: webhook %s refuses: %s", c.Who(), what, g["name"], diagnose.Shorten(strings.TrimSpace(g["why"]), 200))
				f.Advice = "Change what the webhook objects to"
				f.Fixes = []diagnose.Fix{{Title: "See the webhooks", Command: "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"}}
				return []diagnose.Finding{f}
			}
			f.Summary = fmt.Sprintf("%s %s: webhook %s cannot be called: %s", c.Who(), what, g["name"], diagnose.Shorten(lastColon(strings.TrimSpace(g["why"])), 160))
			f.Advice = "Bring the webhook's own workload up, or delete its configuration if it is gone"
			state := "does not answer"
			if strings.Contains(text, "x509: ") {
				state = "shows a certificate that the API server does not trust"
				f.Advice = "Renew the webhook's certificate, and put the CA that signed it into the caBundle of its configuration"
			}
			if s := groups(service, text); s != nil {
				name, ns := s["svc"], s["ns"]
				if ns == "" {
					for _, n := range elsewhere(c, diagnose.Services, name) {
						ns = n
					}
				}
				if ns != "" {
					f.Root = "Service/" + ns + "/" + name
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "is the webhook's, and " + state}}
					port, _ := strconv.Atoi(firstOf(s["port"], "443"))
					if below, ok := c.Follow(diagnose.Address{Host: name + "." + ns + ".svc", Port: port}); ok && state == "does not answer" {
						if len(below.Chain) > 0 {
							f.Chain = append(f.Chain, below.Chain[1:]...)
						}
						f.Root = firstOf(below.Root, f.Root)
						f.Evidence = append(f.Evidence, below.Evidence...)
						// What the API server says of the webhook, the objects show as well.
						if f.Proof < diagnose.Corroborated {
							f.Proof, f.Confidence = diagnose.Corroborated, below.Confidence
						}
					}
					f.Fixes = []diagnose.Fix{{Title: "See the webhook's own pods", Command: diagnose.Kubectl(ns, "get", "pods")}}
				}
			}
			for _, kind := range []diagnose.Kind{diagnose.ValidatingWebhooks, diagnose.MutatingWebhooks} {
				objects, _ := c.List(kind, "")
				for _, o := range objects {
					if strings.Contains(fmt.Sprint(o), g["name"]) {
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: kind.Kind, Text: o.GetName()})
					}
				}
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See the webhooks", Command: "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"})
			f.Unchanged = true
			return []diagnose.Finding{f}
		},
	}
}
