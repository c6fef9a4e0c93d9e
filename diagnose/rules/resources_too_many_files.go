package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func resourcesTooManyFiles() diagnose.Rule {
	return diagnose.Rule{
		ID: "resources.too-many-files", Category: "resource-limits", Title: "It runs out of file handles, watches or processes",
		Doc: diagnose.Doc{
			Means:   "The program hit a limit of the kernel: open files of the process (ulimit -n), inotify watches or instances of the node, or the number of processes and threads that the pod may have.",
			Confirm: "`kubectl logs POD --previous`: \"too many open files\" (EMFILE), \"no space left on device\" for a watch, \"resource temporarily unavailable\" or \"cannot allocate memory\" on fork.",
			Mend:    "For watches raise fs.inotify.max_user_watches and max_user_instances on the nodes; for open files the runtime's LimitNOFILE; for processes the kubelet's podPidsLimit. Or have the program close what it opens.",
			Source:  "errno(3) EMFILE, inotify(7), pids cgroup; kubernetes.io/docs/concepts/policy/pid-limiting",
		},
		Log: append(serverLimits(), []diagnose.Pattern{
			{Name: "files", Words: []string{"too many open files", "emfile", "enfile"}, Regexp: `(?i:too many open files)|\bE[MN]FILE\b`},
			{Name: "watches", Words: []string{"inotify", "enospc: system limit for number of file watchers", "number of file watchers"}, Regexp: `(?i)(?:could not|cannot|can't|unable to|failed to) (?:initiali[sz]e|create|add|open|start).{0,30}inotify|inotify.*(?:limit (?:was |is |has been )?(?:reached|exceeded|hit)|too many|no space|max_user|fail)|(?:limit|too many|no space).*(?:inotify|watch)|system limit for number of file watchers`},
			{Name: "processes", Words: []string{"fork: ", "can't fork", "cannot fork", "unable to create native thread", "unable to create new native thread", "pthread_create", "can't start new thread", "failed to create new os thread", "fork/exec", "spawn "}, Regexp: `(?i)\bspawn \S+ EAGAIN\b|(?:fork|thread|pthread_create).*(?:resource temporarily unavailable|cannot allocate memory|EAGAIN|errno=11|OutOfMemoryError|unable to create|can't start new thread|retry)|unable to create (?:new )?native thread|can't start new thread|can't fork`},
			// What C++ throws when it may not start a thread.
			{Name: "processes", Words: []string{"what():"}, Regexp: `what\(\):\s+(?:thread constructor failed: )?Resource temporarily unavailable\s*$`},
		}...),
		Closing: fileLimitShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return h.Pattern != "processes" || !strings.Contains(strings.ToLower(h.Text), "operation not permitted") // no limit says so
			})
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 30
			f.Keys = []string{"open files", "EMFILE", "inotify", "fork", "thread", "Resource temporarily unavailable"}
			t := strings.ToLower(h.Text)
			switch {
			case h.Pattern == "limit":
				f.Confidence = diagnose.Likely
				f.Summary = fmt.Sprintf("%s refuses to start with the limits that it is given: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Raise that limit in the container runtime (LimitNOFILE, LimitNPROC), or the kubelet's podPidsLimit"
			case h.Pattern == "watches" || strings.Contains(t, "inotify") || strings.Contains(t, "watch"):
				f.Summary = fmt.Sprintf("%s ends because its node has no inotify watches left", c.Who())
				f.Advice = "Raise fs.inotify.max_user_instances and max_user_watches on the node"
				f.Fixes = []diagnose.Fix{{Title: "Raise the limits on the node", Command: "sysctl -w fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288"}}
			case h.Pattern == "processes":
				f.Summary = fmt.Sprintf("%s ends because it may not start more processes or threads", c.Who())
				f.Advice = "Have it start fewer, or raise the kubelet's podPidsLimit"
				f.Confidence = diagnose.Likely
			default:
				f.Summary = fmt.Sprintf("%s ends because it has too many files open", c.Who())
				f.Advice = "Have it close what it opens, or raise the limit of open files of the container runtime (LimitNOFILE)"
			}
			if c.Running() {
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See the limits inside the container", Command: c.Kubectl("exec", c.Subject.Pod, "-c", c.Subject.Container, "--", "sh", "-c", "ulimit -a")})
			} else {
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See the limits (ulimit -a) in a copy of the pod that does not run its program", Command: shellInCopy(c)})
			}
			return []diagnose.Finding{f}
		},
	}
}
