package rules

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// refusesNumber is how programs speak of a value that should be a number, a port or an address and is none.
var refusesNumber = regexp.MustCompile(`(?i)invalid|pars|convert|for input string|literal|numer|number|\bNaN\b|expect|format|integer|\bnot a\b|unable to|cannot|illegal|bad |range|\blisten EACCES`)

// serviceLink recognizes a variable that the cluster has set in the pod for a Service, NAME_PORT=tcp://10.96.3.4:8080, in what a program
// refuses: it reads a variable of that name for itself.
func serviceLink(c *diagnose.Case, h diagnose.Hit) (diagnose.Finding, bool) {
	if h.Pattern == "obsolete" {
		return obsoleteLink(c, h)
	}
	if h.Pattern != "link" || !refusesNumber.MatchString(h.Text) && !refusesNumber.MatchString(h.Log.Line(h.Line+1)) && !refusesNumber.MatchString(h.Log.Line(h.Line+2)) {
		return diagnose.Finding{}, false
	}
	if on := c.Spec.EnableServiceLinks; on != nil && !*on {
		return diagnose.Finding{}, false
	}
	f := diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
	value := h.Group("ip") + ":" + h.Group("port")
	f.Keys, f.Weight = []string{value}, 40
	variable, of := "", "a Service"
	objects, _ := c.List(diagnose.Services, c.Subject.Namespace)
	for _, o := range objects {
		if s, ok := o.(*corev1.Service); ok && s.Spec.ClusterIP == h.Group("ip") {
			variable = strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_PORT"
			of = "Service " + s.Namespace + "/" + s.Name
			f.Confidence, f.Proof = diagnose.Certain, diagnose.Corroborated
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: of + " spec.clusterIP", Text: s.Spec.ClusterIP})
		}
	}
	f.Advice = "Set enableServiceLinks to false in the pod template"
	if variable == "" {
		f.Summary = fmt.Sprintf("%s takes a variable that the cluster sets in its pods for a Service, one like NAME_PORT=tcp://%s, for a setting of its own and refuses it", c.Who(), value)
	} else {
		f.Summary = fmt.Sprintf("%s takes %s, which the cluster sets in its pods for %s (tcp://%s), for a setting of its own and refuses it", c.Who(), variable, of, value)
		f.Advice += ", or set " + variable + " there to what the program expects"
		if set, _, where := envSet(c, variable); set {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: "sets it"})
			f.Confidence = diagnose.Likely
		}
	}
	f.Fixes = []diagnose.Fix{{Title: "Have the cluster set no variables for Services", Patch: podPatch(c, "enableServiceLinks: false")}}
	return f, true
}

// obsoleteLink recognizes such a variable behind a program's words that it does not take a setting of that name any more, which nobody set:
// PORT is deprecated. Please use SCHEMA_REGISTRY_LISTENERS instead.
func obsoleteLink(c *diagnose.Case, h diagnose.Hit) (diagnose.Finding, bool) {
	name := h.Group("var")
	set, _, _ := envSet(c, name)
	if on := c.Spec.EnableServiceLinks; on != nil && !*on || set || len(c.Container.EnvFrom) > 0 || !lastWord(h) {
		return diagnose.Finding{}, false
	}
	objects, _ := c.List(diagnose.Services, c.Subject.Namespace)
	for _, o := range objects {
		s, ok := o.(*corev1.Service)
		if !ok || s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		variable := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_PORT"
		if own, _, _ := envSet(c, variable); own || variable != name && (name != "PORT" || s.Name != c.Container.Name && s.Name != c.Subject.Name()) {
			continue
		}
		f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
		f.Keys, f.Weight = []string{variable}, 30
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Service " + s.Namespace + "/" + s.Name + " spec.clusterIP", Text: s.Spec.ClusterIP})
		f.Summary = fmt.Sprintf("%s takes %s, which the cluster sets in its pods for Service %s/%s, for a setting of its own and refuses it: %s", c.Who(), variable, s.Namespace, s.Name, diagnose.Shorten(inSentence(h, 160), 160))
		f.Advice = "Set enableServiceLinks to false in the pod template, or rename the Service"
		f.Fixes = []diagnose.Fix{{Title: "Have the cluster set no variables for Services", Patch: podPatch(c, "enableServiceLinks: false")}}
		return f, true
	}
	return diagnose.Finding{}, false
}

// lastWord says that a log says nothing behind a line.
func lastWord(h diagnose.Hit) bool {
	for n := h.Line + 1; n <= h.Log.Len(); n++ {
		if strings.TrimSpace(h.Log.Line(n)) != "" {
			return false
		}
	}
	return true
}
