package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"crashloop/diagnose"
)

// hook is the command or request that the kubelet runs right after it has started a container, and that failed: the kubelet kills the container for
// it, whatever its program does.
type hook struct {
	said     statement
	field    string // of the spec: "spec.containers[web].lifecycle.postStart"
	runs     string // the command or URL, as the spec gives it; empty when the spec has none
	complain string // what it printed, or why it could not run; empty when the kubelet does not tell
}

var (
	// hookOf is how the kubelet begins what it says of a hook; it says no more than that it failed in events since 1.26, and all of it in the
	// status (pkg/kubelet/lifecycle, pkg/kubelet/kuberuntime).
	hookOf      = regexp.MustCompile(`(?s)^(?:Exec|HTTP|Sleep) lifecycle hook \(.*\) for Container .+ failed - error: (?P<error>.*?), message: (?P<said>.*)$`)
	hookEnded   = regexp.MustCompile(`(?s)^command '.*' exited with \d+: (?P<said>.*)$`)
	hookTooLate = regexp.MustCompile(`(?i)container (?:is )?not running|stopped container|container (?:\S+ )?not found|no running task|task \S+ not found|container is in CONTAINER_EXITED|process (?:already finished|not found)|not in running state|ttrpc: closed`)
	// hookNoCommand is what the runtime or a shell says of a command that is not there.
	hookNoCommand = regexp.MustCompile(`exec: \\*"(?P<cmd>[^"\\]+)\\*": (?:stat \S+: no such file or directory|executable file not found|no such file or directory)|(?m:(?:^|: )(?P<cmd2>[\w./-]+): (?:command )?not found$)`)
	hookArgument  = regexp.MustCompile(`(?i)(?:unknown|invalid|unrecogni[sz]ed|illegal|unexpected|missing) (?:(?:long|short|shorthand|command[- ]line|required) )?(?:arguments?|flags?|options?|commands?|subcommands?)\b|flag provided but not defined|incorrect usage|requires an argument|flag needs an argument|required flag|too (?:many|few) arguments|syntax error`)
)

// hookFailed says that the container's last run was ended by the kubelet because its post-start hook failed, and what is known of that.
func hookFailed(c *diagnose.Case) (hook, bool) {
	t := c.Last()
	if c.Container == nil || t == nil || !ran(t) {
		return hook{}, false
	}
	switch t.ExitCode {
	case 0, 2, 130, 137, 143:
	default:
		return hook{}, false // no kill ends so: it died by itself, and its hook with it
	}
	h := hook{field: c.SpecField("lifecycle.postStart")}
	if l := c.Container.Lifecycle; l != nil && l.PostStart != nil {
		switch p := l.PostStart; {
		case p.Exec != nil:
			h.runs = strings.Join(p.Exec.Command, " ")
		case p.HTTPGet != nil:
			h.runs = fmt.Sprintf("GET %s on port %s", firstOf(p.HTTPGet.Path, "/"), p.HTTPGet.Port.String())
		}
	}
	if reason, message := c.Waiting(); reason == "PostStartHookError" {
		h.said = statement{c.StatusField("state.waiting"), reason, message}
	} else if reason == "CreateContainerError" || reason == "RunContainerError" || h.runs == "" {
		return hook{}, false
	} else {
		for _, e := range c.ContainerEvents() {
			if e.Reason != "FailedPostStartHook" && (e.Reason != "Killing" || e.Message != "FailedPostStartHook") || e.Last.Before(t.StartedAt.Add(-5*time.Second)) {
				continue
			}
			if h.said.reason == "" || len(e.Message) > len(h.said.text) {
				h.said = statement{e.Cite().Source, e.Reason, e.Message}
			}
		}
	}
	if h.said.reason == "" || hookTooLate.MatchString(h.said.text) {
		return hook{}, false
	}
	if g := groups(hookOf, strings.TrimSpace(h.said.text)); g != nil {
		h.complain = g["error"]
		if s, err := strconv.Unquote(g["said"]); err == nil && strings.TrimSpace(s) != "" {
			h.complain = s
		} else if e := groups(hookEnded, h.complain); e["said"] != "" {
			h.complain = e["said"]
		}
		h.complain = strings.TrimSpace(h.complain)
	}
	return h, true
}

// ofKernel is the last command of a hook's script when that asks something of the node's kernel: the script ends as that command does.
var ofKernel = regexp.MustCompile(`(?:^|[;&|\n]|\s)\s*(?P<cmd>(?:/\S*/)?(?:modprobe|insmod|sysctl)\s[^;&|>\n]*[^;&|>\s\d])(?:\s*\d?>{1,2}&?\s*\S+)*\s*;?\s*$`)

// incompatible is the finding of a hook that the kubelet does not tell the words of, and whose last command asks something of the kernel; false for
// any other.
func (h hook) incompatible(c *diagnose.Case) (diagnose.Finding, bool) {
	g := groups(ofKernel, h.runs)
	if g == nil || h.complain != "" {
		return diagnose.Finding{}, false
	}
	f := h.finding(c)
	f.Weight = 20
	f.Summary = fmt.Sprintf("%s is killed each time because its post-start hook fails, whose last command is %s: node %s most likely has no such kernel module or setting, or the container may not change it", c.Who(), g["cmd"], firstOf(c.Spec.NodeName, "NODE"))
	f.Advice = "Load or set it on the node itself, or let the hook go on without it"
	f.Settle = "What the command says when it is run on the node."
	return f, true
}

// finding is what every rule says of a hook that failed; its own advice comes on top.
func (h hook) finding(c *diagnose.Case) diagnose.Finding {
	f := diagnose.Finding{Confidence: diagnose.Likely, Proof: diagnose.Structural, Evidence: []diagnose.Evidence{h.said.cite()}}
	f.Summary = fmt.Sprintf("%s is killed each time because its post-start hook fails, not because of its program", c.Who())
	if h.complain != "" {
		f.Summary += ": " + diagnose.Shorten(quote(h.complain), 200)
	}
	f.Advice = "Correct the command of the hook in the pod template, or have it wait until the program answers; what it printed stands in no log, so run it by hand in a copy of the pod"
	if h.complain != "" {
		f.Advice = "Correct the command of the hook in the pod template, or have it wait until the program answers"
	}
	if h.runs != "" {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: h.field, Text: h.runs})
	}
	f.Evidence = append(f.Evidence, c.CiteLast()...)
	f.Fixes = []diagnose.Fix{
		{Title: "See and correct the hook", Command: c.Kubectl("edit", c.Target())},
		{Title: "Run it by hand in a copy of the pod", Command: shellInCopy(c)},
	}
	return f
}
