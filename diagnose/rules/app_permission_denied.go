package rules

import (
	"fmt"
	"regexp"

	"crashloop/diagnose"
)

func appPermissionDenied() diagnose.Rule {
	// runc, and crun.
	workdir := regexp.MustCompile("chdir to cwd \\(\\\\?\"(?P<runc>[^\"\\\\]+)\\\\?\"\\) set in config.json failed: permission denied|(?:cannot )?chdir to `(?P<crun>[^`]+)`: Permission denied")
	return diagnose.Rule{
		ID: "app.permission-denied", Category: "app-error", Title: "It may not do what it tries: permission denied",
		Doc: diagnose.Doc{
			Means:   "The operating system refuses something to the program: a file that belongs to another user, a system call that a capability, seccomp, SELinux or AppArmor forbids.",
			Confirm: "`kubectl logs POD --previous` names the path or operation; the pod's securityContext shows the user and what was taken away.",
			Mend:    "Make the path belong to the user that the container runs as (`chown` in the image, fsGroup for volumes), or set runAsUser to the image's own user. Add a capability only when the program cannot do without.",
			Source:  "errno(3) EACCES and EPERM; kubernetes.io/docs/tasks/configure-pod-container/security-context",
		},
		Log: denied(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if s, g, ok := said(c, workdir); ok {
				dir := firstOf(g["runc"], g["crun"])
				f := fromStatement(s)
				f.Summary = fmt.Sprintf("%s cannot start: it may not enter its working directory %s%s", c.Who(), dir, identity(c, &f))
				f.Advice = "Give the directory to the user that it runs as, or set workingDir to one that it may enter"
				f.Fixes = []diagnose.Fix{
					{Title: "See as whom it runs", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.containers[*].securityContext}")},
					{Title: "Start it in a directory that anyone may enter", Patch: containerPatch(c, "workingDir: /")},
				}
				return []diagnose.Finding{f}
			}
			if f, _, ok := lastHit(c, switching(hits), nil); ok {
				f.Weight = 20
				f.Summary = fmt.Sprintf("%s starts in order to change from root to another user, and may not%s", c.Who(), identity(c, &f))
				f.Advice = "Let it start as root, as its image expects, or use an image that runs as one user throughout"
				f.Fixes = []diagnose.Fix{{Title: "See as whom it runs, and what it may", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.containers[*].securityContext}")}}
				return []diagnose.Finding{f}
			}
			f, file, ok := deniedAt(c, hits)
			if !ok {
				return nil
			}
			if m, mounted := mountAt(c, file); mounted && m.volume != nil && (m.isConfig() || m.volume.PersistentVolumeClaim != nil) {
				return nil // those have causes of their own
			}
			f.Summary = fmt.Sprintf("%s ends because the operating system refuses it something: %s", c.Who(), diagnose.Shorten(quote(diagnose.Say(f.Log.Line(f.At))), 160))
			if file != "" {
				f.Summary = fmt.Sprintf("%s ends because it may not access %s", c.Who(), file)
			} else {
				f.Weight = -30
			}
			as := identity(c, &f)
			if as != "" {
				f.Proof = diagnose.Corroborated
				f.Summary += as
			}
			f.Advice = "Give the path to the user that it runs as, or set runAsUser to the image's own user"
			uid, known := user(c)
			if !known {
				uid = 1000
			}
			f.Fixes = []diagnose.Fix{
				{Title: "See as whom it runs", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.containers[*].securityContext}")},
				{Title: "Give volumes to the user's group", Patch: podPatch(c, fmt.Sprintf("securityContext:\n  fsGroup: %d", uid))},
			}
			return []diagnose.Finding{f}
		},
	}
}

// switching are the hits that tell of a start which cannot change its user, where they are how the log ends.
func switching(hits []diagnose.Hit) []diagnose.Hit {
	var out []diagnose.Hit
	for _, h := range hits {
		if h.Pattern == "switch" && h.Line >= lastWords(h.Log)-1 {
			out = append(out, h)
		}
	}
	return out
}
