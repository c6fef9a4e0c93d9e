package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func imageRunsAsRoot() diagnose.Rule {
	re := regexp.MustCompile(`(?i)image will run as root|runAsUser breaks non-root policy|non-numeric user \((?P<user>[^)]*)\)`)
	return diagnose.Rule{
		ID: "image.runs-as-root", Category: "bad-image", Title: "The pod may not run as root, and the image does",
		Doc: diagnose.Doc{
			Means:   "The securityContext says runAsNonRoot, and the image's user is root, or a name that the kubelet cannot tell from root.",
			Confirm: "`kubectl describe pod POD` shows CreateContainerConfigError: \"container has runAsNonRoot and image will run as root\", or \"image has non-numeric user\".",
			Mend:    "Set runAsUser to a number other than 0, or give the image a USER line with a number.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/security-context; k8s.io/kubernetes/pkg/kubelet/kuberuntime/security_context.go",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := said(c, re)
			if !ok {
				return nil
			}
			f := fromStatement(s)
			f.Summary = fmt.Sprintf("%s cannot start: runAsNonRoot forbids root, and image %s runs as root", c.Who(), image(c))
			if g["user"] != "" {
				f.Summary = fmt.Sprintf("%s cannot start: runAsNonRoot needs a numeric user, and image %s names %s", c.Who(), image(c), g["user"])
			} else if strings.Contains(s.text, "breaks non-root") {
				f.Summary = fmt.Sprintf("%s cannot start: runAsNonRoot forbids root, and runAsUser is 0", c.Who())
			}
			f.Advice = "Set runAsUser to the image's unprivileged user, as a number"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsNonRoot", Text: "true"})
			f.Fixes = []diagnose.Fix{{Title: "Run it as a user other than root", Patch: containerPatch(c, "securityContext:\n  runAsUser: 1000")}}
			return []diagnose.Finding{f}
		},
	}
}
