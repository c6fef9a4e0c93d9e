package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func imageNotExecutable() diagnose.Rule {
	re := regexp.MustCompile(`exec:? \\?"(?P<cmd>[^"\\]+)\\?":? (?:stat \S+: )?permission denied|\b(?:exec|eaccess) (?P<cmd2>/\S+): permission denied|the path ` + "`(?P<crun>[^`]+)`" + ` exists but is not executable|(?P<open>open executable): (?:Permission denied|Operation not permitted)|exec:? \\?"(?P<dir>[^"\\]+)\\?":? is a directory`)
	return diagnose.Rule{
		ID: "image.not-executable", Category: "bad-image", Title: "The command is there but may not be executed",
		Doc: diagnose.Doc{
			Means:   "The file that should be run is not executable: it lacks the x bit, or its directory, or the mount that it comes from.",
			Confirm: "`kubectl describe pod POD` shows StartError with \"permission denied\", or exit code 126.",
			Mend:    "`chmod +x` it in the image (`COPY --chmod=755`), run it through its interpreter, or give the ConfigMap volume that it comes from defaultMode 0555.",
			Source:  "execve(2), EACCES; bash(1), exit status 126",
		},
		Log: []diagnose.Pattern{
			{Name: "shell", Words: []string{"permission denied"}, Regexp: `(?:^|\s|/)(?:sh|bash|ash|dash|[\w./-]+\.sh)(?:\[\d+\])?: (?:line )?\d*:? ?(?:exec: )?(?:line \d+: )?(?P<cmd>\S+): [Pp]ermission denied`},
			// runc before 1.0, from within the container, which does not say what it was to run.
			{Name: "init", Words: []string{"exec user process caused"}, Regexp: `standard_init_linux\.go:\d+: exec user process caused:? "?permission denied`},
			{Name: "exec", Words: []string{"permission denied"}, Regexp: `exec:? "?(?P<cmd>/[^"\s:]+)"?:? (?:failed: )?[Pp]ermission denied`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var f diagnose.Finding
			cmd := ""
			if s, g, ok := said(c, re); ok {
				f, cmd = fromStatement(s), firstOf(g["cmd"], g["crun"])
				if g["dir"] != "" {
					f.Summary = fmt.Sprintf("%s cannot start: its command %s is a directory", c.Who(), g["dir"])
					f.Advice = "Name the program itself, in command or in the image's ENTRYPOINT"
					f.Fixes = []diagnose.Fix{{Title: "Name the program", Patch: containerPatch(c, "command: ["+diagnose.Scalar(strings.TrimSuffix(g["dir"], "/")+"/PROGRAM")+"]")}}
					return []diagnose.Finding{f}
				}
				if g["open"] != "" {
					cmd = "its command" // crun before 1.0 does not name it
				}
			} else {
				var h diagnose.Hit
				if f, h, ok = lastHit(c, hits, nil); !ok || exit(c) != 126 && h.Pattern == "shell" {
					return nil
				}
				if cmd = h.Group("cmd"); h.Pattern == "init" {
					cmd = "the image's own command"
					if c.Container != nil && len(c.Container.Command) > 0 {
						cmd = c.Container.Command[0]
					}
				}
				f.Confidence, f.Proof = diagnose.Certain, diagnose.Corroborated
			}
			f.Summary = fmt.Sprintf("%s cannot start: %s is not executable", c.Who(), cmd)
			f.Advice = "Make it executable in the image (chmod +x), or run it through its interpreter"
			if uid, known := user(c); known && uid != 0 {
				f.Summary += fmt.Sprintf(" for user %d, as whom it runs", uid)
				f.Advice = "Make it, and the folders above it, executable for everybody in the image (chmod a+rx), or set runAsUser to the image's own user"
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: fmt.Sprint(uid)})
			}
			if m, ok := mountAt(c, cmd); ok && m.isConfig() {
				_, words := m.object(c.Subject.Namespace)
				f.Summary += fmt.Sprintf("; it is mounted from %s", words)
				f.Advice = "Give that volume defaultMode 0555"
				f.Fixes = append(f.Fixes, m.setMode(c, "Make the mounted script executable", "0555"))
			}
			if strings.Contains(cmd, " ") {
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See as whom it runs", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.containers[*].securityContext}")})
				return []diagnose.Finding{f}
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Or run it through its interpreter", Patch: containerPatch(c, "command: [sh, "+diagnose.Scalar(cmd)+"]")})
			return []diagnose.Finding{f}
		},
	}
}
