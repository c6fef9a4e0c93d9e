package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func imageBadInterpreter() diagnose.Rule {
	re := regexp.MustCompile(`exec (?P<cmd>/\S+): no such file or directory`)
	return diagnose.Rule{
		ID: "image.bad-interpreter", Category: "bad-image", Title: "The script is there, but not what should run it",
		Doc: diagnose.Doc{
			Means:   "The entrypoint is a script whose first line names an interpreter that the image lacks - often because the file was saved with Windows line ends, so that it asks for \"/bin/sh\\r\" - or a program whose loader is missing.",
			Confirm: "The log says \"exec /path: no such file or directory\" although the file is in the image, \"bad interpreter\", or shows \\r or ^M.",
			Mend:    "Save it with Unix line ends (`dos2unix`, or `* text eol=lf` in .gitattributes), or name a shell that the image has: Alpine has /bin/sh but no bash, distroless images have none.",
			Source:  "execve(2), ENOENT for an interpreter; fact of the runtime: the same text for CRLF and a missing loader",
		},
		Log: []diagnose.Pattern{
			{Name: "interpreter", Words: []string{"bad interpreter"}, Regexp: `(?P<cmd>[^\s:]+): (?P<interp>[^\s:]+): bad interpreter`},
			{Name: "cr", Words: []string{`\r'`, `\r"`, `\r:`, `\r’`, "^m'", "^m:", "^m\""}, Regexp: `(?i)(?:env: ['‘"]?(?P<interp>\w+)(?:\\r|\^M)|\$'\\r': command not found|(?:\\r|\^M)['’"]?: (?:No such file|not found|command not found))`},
			{Name: "exec", Words: []string{"no such file or directory"}, Regexp: `(?:^|\s|\[FATAL tini \(\d+\)\] |standard_init_linux\.go:\d+: )exec:? (?:user process caused[: ]*"?|(?P<cmd>/\S+?):? (?:failed: )?)[Nn]o such file or directory`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var f diagnose.Finding
			cmd, interp, cr := "", "", false
			if s, g, ok := said(c, re); ok && !strings.Contains(s.text, "stat ") {
				f, cmd = fromStatement(s), g["cmd"]
			} else {
				var h diagnose.Hit
				if f, h, ok = lastHit(c, hits, nil); !ok {
					return nil
				}
				cmd, interp, cr = h.Group("cmd"), h.Group("interp"), h.Pattern == "cr" || strings.Contains(h.Text, "^M") || strings.Contains(h.Text, `\r`)
				f.Confidence, f.Weight = diagnose.Certain, 60
			}
			script, from := mountedScript(c, cmd)
			if first, _, _ := strings.Cut(script, "\n"); strings.HasPrefix(first, "#!") {
				cr = cr || strings.HasSuffix(first, "\r")
				interp = firstOf(interp, strings.TrimSpace(strings.TrimPrefix(first, "#!")))
				f.Root = from
				f.Chain = []diagnose.Link{{Object: from, Says: "brings " + cmd + ", whose first line is " + strconv.Quote(first)}}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: from, Text: strconv.Quote(first)})
			}
			what := "Its start script"
			if cmd != "" {
				what = cmd
			}
			switch {
			case cr:
				f.Summary = fmt.Sprintf("%s cannot start: a script has Windows line ends, so that its interpreter is not found", c.Who())
				f.Advice = "Save the script with Unix line ends and build the image again"
				if from != "" {
					f.Summary = fmt.Sprintf("%s cannot start: its script %s, which %s brings, has Windows line ends, so that its interpreter is not found", c.Who(), cmd, strings.Replace(from, "/"+c.Subject.Namespace+"/", " ", 1))
					f.Advice = "Save the script with Unix line ends and make the ConfigMap again"
				}
			case interp != "":
				f.Summary = fmt.Sprintf("%s cannot start: %s asks for %s, which the image does not have", c.Who(), what, interp)
				f.Advice = "Name an interpreter that the image has, or add it"
			default:
				f.Summary = fmt.Sprintf("%s cannot start: %s exists but what should run it does not: a shell that the image lacks, Windows line ends, or a missing loader", c.Who(), what)
				f.Advice = "Look at the first line of the script and its line ends; for a compiled program, at the libc it was built against"
				f.Settle = "Whether the file is there, is a script, and ends its lines with \\r."
				if f.Proof == diagnose.Structural {
					f.Confidence = diagnose.Likely
				}
			}
			f.Fixes = []diagnose.Fix{
				{Title: "Write the script with Unix line ends", Command: diagnose.CommandLine("dos2unix", firstOf(strings.TrimPrefix(cmd, "/"), "entrypoint.sh"))},
				{Title: "Look into the image", Command: c.Kubectl("run", "look", "--rm", "-it", "--restart=Never", "--image="+image(c), "--command", "--", "sh")},
			}
			return []diagnose.Finding{f}
		},
	}
}

// mountedScript gives the text of a file that a ConfigMap brings into the container, and the ConfigMap; nothing when it cannot be read.
func mountedScript(c *diagnose.Case, file string) (text, from string) {
	m, ok := mountAt(c, file)
	if !ok || m.volume == nil || m.volume.ConfigMap == nil {
		return "", ""
	}
	o, err := c.Get(diagnose.ConfigMaps, c.Subject.Namespace, m.volume.ConfigMap.Name)
	if err != nil {
		return "", ""
	}
	made, ok := o.(*corev1.ConfigMap)
	if !ok || made.Data[m.sourceKey()] == "" {
		return "", ""
	}
	from, _ = m.object(c.Subject.Namespace)
	return made.Data[m.sourceKey()], from
}
