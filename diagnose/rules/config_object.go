package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"crashloop/diagnose"
)

// missingObject is the finding for a ConfigMap or Secret that the pod needs and that is not there.
func missingObject(c *diagnose.Case, s statement, kind diagnose.Kind, name string) diagnose.Finding {
	f := fromStatement(s)
	ns := c.Subject.Namespace
	f.Root = kind.Kind + "/" + ns + "/" + name
	f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
	f.Summary = fmt.Sprintf("%s cannot start: %s %s does not exist in namespace %s", c.Who(), kind.Kind, name, ns)
	if where := usedAt(c, kind, name); where != "" {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: "asks for " + kind.Kind + " " + name})
	}
	other := elsewhere(c, kind, name)
	near := diagnose.Nearest(name, names(c, kind))
	switch {
	case len(other) > 0:
		f.Summary += fmt.Sprintf("; one of that name is in %s", list(other))
		f.Advice = fmt.Sprintf("Create it in %s: a pod can only use its own namespace's", ns)
	case near != "":
		f.Summary += fmt.Sprintf("; the nearest name there is %s", near)
		f.Advice = fmt.Sprintf("Create %s, or use %s if that is what is meant", name, near)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: kind.Kind + "s in " + ns, Text: list(names(c, kind))})
	default:
		f.Advice = "Create it, or take the reference out of the pod template"
	}
	for _, e := range c.EventsOf(kind.Kind, ns, name) {
		f.Evidence = append(f.Evidence, e.Cite())
	}
	lower := strings.ToLower(kind.Kind)
	create := []string{"create", lower}
	if kind == diagnose.Secrets {
		create = append(create, "generic")
	}
	create = append(create, name)
	keys := keysAsked(c, kind, name)
	if len(keys) == 0 {
		keys = []string{"KEY"}
	}
	for _, k := range keys {
		create = append(create, "--from-literal="+k+"=VALUE")
	}
	f.Fixes = []diagnose.Fix{{Title: "Create it with the keys that the pod asks for", Command: c.Kubectl(create...)}, {Title: "See which there are", Command: c.Kubectl("get", lower+"s")}}
	return f
}

// missedByProgram is the finding for a ConfigMap or Secret that the program itself asks the API for: its log says that there is none of
// that name, and its own namespace has none, nor has another that it may mean.
func missedByProgram(c *diagnose.Case, hits []diagnose.Hit, kind diagnose.Kind) (diagnose.Finding, bool) {
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
		return h.Level != diagnose.Info && h.Level != diagnose.Debug && h.Level != diagnose.Warn && (h.Level >= diagnose.Error || !h.DoesWithout())
	})
	if !ok || !c.Missing(kind, c.Subject.Namespace, h.Group("name")) || len(elsewhere(c, kind, h.Group("name"))) > 0 {
		return f, false
	}
	m := missingObject(c, statement{}, kind, h.Group("name"))
	f.Proof, f.Weight = diagnose.Corroborated, 15
	f.Keys = []string{h.Group("name")}
	f.Root, f.Chain, f.Advice, f.Fixes = m.Root, m.Chain, m.Advice, m.Fixes
	f.Evidence = append(f.Evidence, m.Evidence[1:]...)
	f.Summary = strings.Replace(m.Summary, " cannot start: ", " ends: it asks the API for ", 1)
	f.Summary = strings.Replace(f.Summary, " does not exist in ", ", which does not exist in ", 1)
	return f, true
}

// references lists what the container's environment and the pod's volumes take from ConfigMaps and Secrets.
func references(c *diagnose.Case) []diagnose.ConfigReference {
	return slices.DeleteFunc(c.ConfigReferences(), func(r diagnose.ConfigReference) bool { return r.Volume == "" && r.Container != c.Subject.Container })
}

// usedAt says where the pod's spec asks for a ConfigMap or Secret.
func usedAt(c *diagnose.Case, kind diagnose.Kind, name string) string {
	for _, r := range references(c) {
		if r.Kind == kind && r.Name == name {
			return r.Where
		}
	}
	return ""
}

// keysAsked lists the keys of a ConfigMap or Secret that the pod names.
func keysAsked(c *diagnose.Case, kind diagnose.Kind, name string) []string {
	var out []string
	for _, r := range references(c) {
		if r.Kind == kind && r.Name == name && r.Key != "" && !slices.Contains(out, r.Key) {
			out = append(out, r.Key)
		}
	}
	return out
}

// jsonString writes a string for a patch in JSON.
func jsonString(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}
