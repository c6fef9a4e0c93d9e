package rules

import (
	"regexp"

	"crashloop/diagnose"
)

func configConfigMapMissing() diagnose.Rule {
	// "configmap \"x\" not found" in all versions; a mount says `configmap "x" not found` or `configmap references non-existent ...`.
	re := regexp.MustCompile(`(?i)configmaps? "(?P<name>[^"]+)" not found|couldn't find (?:configmap|object) "?(?:[^"/\s]+/)?(?P<other>[^"\s,]+)"?(?: not registered)?`)
	registered := regexp.MustCompile(`object "(?P<ns>[^"/]+)"/"(?P<name>[^"]+)" not registered`)
	return diagnose.Rule{
		ID: "config.configmap-missing", Category: "missing-config", Title: "A ConfigMap that the pod needs does not exist",
		Doc: diagnose.Doc{
			Means:   "The pod takes environment or files from a ConfigMap that is not in its namespace. Nothing of the container runs until it is there.",
			Confirm: "`kubectl describe pod POD` shows CreateContainerConfigError or FailedMount with \"configmap ... not found\"; `kubectl get configmaps` shows those that there are.",
			Mend:    "Create it in the same namespace, correct the name in the pod template, or mark the reference `optional: true` if the program runs without it.",
			Source:  "kubernetes.io/docs/concepts/configuration/configmap",
		},
		Log: []diagnose.Pattern{{Words: []string{"configmap"}, Regexp: `(?i)configmaps? \\*"(?P<name>[a-z0-9.-]+)\\*" not found`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			s, g, ok := said(c, re)
			if !ok {
				if f, ok := missedByProgram(c, hits, diagnose.ConfigMaps); ok {
					return []diagnose.Finding{f}
				}
				// A kubelet's cache that has not seen it yet says "not registered"; then the API must agree that it is not there.
				if s, g, ok = said(c, registered); !ok || usedAt(c, diagnose.ConfigMaps, g["name"]) == "" || !c.Missing(diagnose.ConfigMaps, c.Subject.Namespace, g["name"]) {
					return nil
				}
			}
			name := g["name"]
			if name == "" {
				name = g["other"]
			}
			return []diagnose.Finding{missingObject(c, s, diagnose.ConfigMaps, name)}
		},
	}
}
