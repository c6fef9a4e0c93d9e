package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func imageRunsAsRoot() diagnose.Rule {
	root := regexp.MustCompile(`(?i)(?:can ?not|can't|must not|may not|should not|refus\w+ to|do not|don't) (?:be )?(?:run|start|execut)\w*\b.{0,30}?\bas (?:the )?["']?root\b|"root" execution of|\brun mysqld as root|running as root is not (?:allowed|supported|permitted)`)
	re := regexp.MustCompile(`(?i)image will run as root|runAsUser breaks non-root policy|non-numeric user \((?P<user>[^)]*)\)`)
	return diagnose.Rule{
		ID: "image.runs-as-root", Category: "bad-image", Title: "The pod may not run as root, and the image does",
		Doc: diagnose.Doc{
			Means:   "The securityContext says runAsNonRoot, and the image's user is root, or a name that the kubelet cannot tell from root. Or the program itself refuses to run as root, as database servers do.",
			Confirm: "`kubectl describe pod POD` shows CreateContainerConfigError: \"container has runAsNonRoot and image will run as root\", or \"image has non-numeric user\".",
			Mend:    "Set runAsUser to a number other than 0, or give the image a USER line with a number.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/security-context; k8s.io/kubernetes/pkg/kubelet/kuberuntime/security_context.go",
		},
		Log: []diagnose.Pattern{{Words: []string{"as root", "\"root\" execution"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return atEnd(h) && h.Level != diagnose.Warn && root.MatchString(h.Text) }); ok {
				f.Weight = 20
				f.Summary = fmt.Sprintf("%s refuses to run as root: %s", c.Who(), inSentence(h, 140))
				f.Advice = "Run it as the image's unprivileged user"
				if uid, known := user(c); known && uid == 0 {
					f.Proof = diagnose.Corroborated // but it may as well take root by an argument or a setting of its own
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: "0"})
				}
				f.Fixes = []diagnose.Fix{{Title: "Run it as a user other than root", Patch: containerPatch(c, "securityContext:\n  runAsUser: 1000")}}
				return []diagnose.Finding{f}
			}
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
