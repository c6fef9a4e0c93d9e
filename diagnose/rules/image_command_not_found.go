package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func imageCommandNotFound() diagnose.Rule {
	// runc; crun; youki; gVisor; Kata's agent; Windows' hcsshim.
	path := regexp.MustCompile(`exec:? \\?"(?P<cmd>[^"\\]+)\\?": executable file not found in \$PATH|executable file ` + "`(?P<crun>[^`]+)`" + ` not found|executable '(?P<youki>[^']+)' (?:for container process )?not found|` +
		`error finding executable \\?"(?P<gvisor>[^"\\]+)\\?" in PATH|failed to create shim task: the file (?P<kata>\S+) was not found|CreateProcess (?P<hcs>[^:]+): The system cannot find the file specified`)
	// The runtime that the node is told to use is missing, not the command.
	runtime := regexp.MustCompile(`apparmor_parser|unable to retrieve OCI runtime error|exec: \\?"(?:\S*/)?(?:nvidia-container-runtime\S*|nvidia-container-cli|runc|crun|runsc|kata-runtime|youki|containerd-shim\S*)\\?": executable file`)
	stat := regexp.MustCompile(`exec:? \\?"(?P<cmd>[^"\\]+)\\?": (?:stat )?(?:\S+: )?no such file or directory|stat (?P<cmd2>/\S+): no such file or directory`)
	none := regexp.MustCompile(`(?i)no command specified`)
	return diagnose.Rule{
		ID: "image.command-not-found", Category: "bad-image", Title: "The command does not exist in the image",
		Doc: diagnose.Doc{
			Means:   "The runtime, or a shell in the image, was told to run a program that the image does not have, or not on its PATH. A name that is misspelt, a whole command line given as one word, or an image without that tool.",
			Confirm: "`kubectl describe pod POD` shows StartError with \"executable file not found in $PATH\" (exit code 128), or the log says \"not found\" (exit code 127).",
			Mend:    "Correct `command` in the pod template - each argument is an item of its own - or add the program to the image. Without `command` the image's own entrypoint runs.",
			Source:  "kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container; bash(1) on exit status 127",
		},
		Log: []diagnose.Pattern{
			{Name: "shell", Words: []string{"not found"}, Regexp: `(?:^|\s|/)(?:sh|bash|ash|dash|zsh|[\w./-]+\.sh)(?:\[\d+\])?: (?:line )?\d*:? ?(?:exec: )?(?:line \d+: )?(?P<cmd>[^\s:]+): (?:command )?not found`},
			{Name: "shell", Words: []string{"no such file or directory"}, Regexp: `(?:^|\s|/)(?:sh|bash|ash|dash)(?:\[\d+\])?: (?:line )?\d*:? ?(?:exec: )?(?P<cmd>/?[^\s:]+): No such file or directory`},
			{Name: "shell127", Words: []string{"no such file or directory"}, Regexp: `: (?:line )?\d+: (?:exec: )?(?P<cmd>[\w.-]*/[^\s:]+): No such file or directory`},
			{Name: "bash127", Words: []string{": command not found"}, Regexp: `^(?:\S*/)?[\w.@-]+: line \d+: (?P<cmd>[\w./+-]+): command not found$`},
			{Name: "env", Words: []string{"env: "}, Regexp: `env: (?:can't execute )?['‘"]?(?P<cmd>[^'’":\s]+)['’"]?: No such file or directory`},
			{Name: "tini", Words: []string{"exec "}, Regexp: `\[FATAL tini \(\d+\)\] exec (?P<cmd>\S+) failed: No such file or directory`},
			{Name: "exec", Words: []string{"executable file not found in"}, Regexp: `exec:? \\?"(?P<cmd>[^"\\]+)\\?": executable file not found in`},
			{Name: "entrypoint", Words: []string{"not found"}, Regexp: `exec: (?:line )?\d*:? ?(?P<cmd>[^\s:]+): not found`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if h, ok := hookFailed(c); ok {
				if g := groups(hookNoCommand, h.complain); g != nil {
					f := h.finding(c)
					f.Advice = fmt.Sprintf("Have the hook in the pod template run what the image has, or add %q to the image", g["cmd"])
					return []diagnose.Finding{f}
				}
				return nil
			}
			// The node's own programs (apparmor_parser, iscsiadm) are missing in the same words.
			if s, g, ok := said(c, path); ok && !runtime.MatchString(s.text) && (s.reason == "Failed" || !strings.HasPrefix(s.reason, "Failed")) {
				return []diagnose.Finding{commandMissing(c, fromStatement(s), firstOf(g["cmd"], g["crun"], g["youki"], g["gvisor"], g["kata"], g["hcs"]))}
			}
			if s, g, ok := said(c, stat); ok && !strings.Contains(s.text, "mount") && !strings.HasPrefix(s.reason, "Failed") {
				cmd := g["cmd"]
				return []diagnose.Finding{commandMissing(c, fromStatement(s), cmd)}
			}
			if s, _, ok := said(c, none); ok {
				f := fromStatement(s)
				f.Summary = fmt.Sprintf("%s cannot start: neither the pod template nor image %s says which command to run", c.Who(), image(c))
				f.Advice = "Give it a command, or an ENTRYPOINT in the image"
				f.Fixes = []diagnose.Fix{{Title: "Give it a command", Patch: containerPatch(c, "command: [\"/path/to/program\"]")}}
				return []diagnose.Finding{f}
			}
			t := c.Last()
			if len(hits) == 0 || t == nil || t.ExitCode == 0 {
				return nil
			}
			h := hits[len(hits)-1]
			if h.Group("cmd") == "nvidia-smi" {
				return nil // the driver of the node brings it
			}
			if strings.Contains(h.Text, "\\r") || strings.Contains(h.Text, "^M") {
				return nil // the end of a line of Windows
			}
			if strings.HasSuffix(h.Pattern, "127") && t.ExitCode != 127 {
				return nil // a file that a script reads, a command that it does without
			}
			f := diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
			f.Keys = []string{h.Group("cmd")}
			if t.ExitCode == 127 || argued(c, h.Group("cmd")) != "" {
				f.Confidence, f.Proof = diagnose.Certain, diagnose.Corroborated
			}
			return []diagnose.Finding{commandMissing(c, f, h.Group("cmd"))}
		},
	}
}

func commandMissing(c *diagnose.Case, f diagnose.Finding, cmd string) diagnose.Finding {
	f.Summary = fmt.Sprintf("%s cannot start: there is no command %q in image %s", c.Who(), cmd, image(c))
	where := argued(c, cmd)
	switch {
	case where != "" && strings.Contains(cmd, " "):
		f.Advice = "The pod template gives the whole command line as one word: make each argument an item of its own"
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: cmd})
	case where != "":
		f.Advice = "Correct it in the pod template, or add it to the image"
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: cmd})
	default:
		f.Advice = "The command comes from the image: mend its entrypoint, or set a command in the pod template"
	}
	if strings.HasPrefix(cmd, "/") {
		if m, ok := mountAt(c, cmd); ok {
			_, words := m.object(c.Subject.Namespace)
			f.Summary += fmt.Sprintf("; %s is mounted over %s", words, m.MountPath)
		}
	}
	f.Fixes = append(f.Fixes,
		diagnose.Fix{Title: "Look into the image", Command: c.Kubectl("run", "look", "--rm", "-it", "--restart=Never", "--image="+image(c), "--command", "--", "sh")},
		diagnose.Fix{Title: "Set the right command", Patch: containerPatch(c, "command: [\"/path/to/program\"]")})
	return f
}
