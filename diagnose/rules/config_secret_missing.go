package rules

import (
	"regexp"

	"crashloop/diagnose"
)

func configSecretMissing() diagnose.Rule {
	re := regexp.MustCompile(`(?i)secrets? "(?P<name>[^"]+)" not found`)
	return diagnose.Rule{
		ID: "config.secret-missing", Category: "missing-config", Title: "A Secret that the pod needs does not exist",
		Doc: diagnose.Doc{
			Means:   "The pod takes environment or files from a Secret that is not in its namespace. Nothing of the container runs until it is there.",
			Confirm: "`kubectl describe pod POD` shows CreateContainerConfigError or FailedMount with \"secret ... not found\"; `kubectl get secrets` shows those that there are.",
			Mend:    "Create it in the same namespace, or correct the name in the pod template. If an operator should make it (SealedSecret, ExternalSecret, Certificate), see that object's conditions.",
			Source:  "kubernetes.io/docs/concepts/configuration/secret",
		},
		Log: []diagnose.Pattern{{Words: []string{"secret"}, Regexp: `(?i)secrets? \\*"(?P<name>[a-z0-9.-]+)\\*" not found`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			s, g, ok := said(c, re)
			if !ok {
				if f, ok := missedByProgram(c, hits, diagnose.Secrets); ok {
					return []diagnose.Finding{f}
				}
			}
			if !ok || s.reason == "FailedToRetrieveImagePullSecret" {
				return nil
			}
			return []diagnose.Finding{missingObject(c, s, diagnose.Secrets, g["name"])}
		},
	}
}
