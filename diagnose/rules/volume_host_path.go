package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func volumeHostPath() diagnose.Rule {
	re := regexp.MustCompile(`(?i)hostPath type check failed: (?P<path>\S+) is not (?:an? )?(?P<type>[\w ]+)|(?:error mounting|mounting) \\*"(?P<path2>/[^"\\]+)\\*" to rootfs.*?(?P<why>not a directory|no such file or directory|permission denied|read-only file system)|bind source path does not exist: (?P<path3>\S+)`)
	return diagnose.Rule{
		ID: "volume.host-path", Category: "volume", Title: "A path of the node that it mounts is not what it should be",
		Doc: diagnose.Doc{
			Means:   "A hostPath volume asks for a file, directory or socket that does not exist on this node, or is of another type; or a mount meets a file where it needs a directory.",
			Confirm: "`kubectl describe pod POD`: \"hostPath type check failed\", or the runtime's \"error mounting ... to rootfs\".",
			Mend:    "Correct the path or its type (DirectoryOrCreate makes the directory), make the path on the node, or keep the pod on nodes that have it. To mount one file of a ConfigMap over an existing one, use subPath.",
			Source:  "kubernetes.io/docs/concepts/storage/volumes#hostpath",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := said(c, re)
			if !ok {
				return nil
			}
			p := firstOf(g["path"], g["path2"], g["path3"])
			if strings.Contains(p, "/pods/") && strings.Contains(p, "/volume") {
				return nil // a volume that the kubelet has set up, no path of the node's own
			}
			f := fromStatement(s)
			f.Weight = 30
			f.Summary = fmt.Sprintf("%s cannot start: %s on node %s is not a %s", c.Who(), p, firstOf(c.Spec.NodeName, "its node"), firstOf(strings.TrimSpace(g["type"]), "thing that can be mounted there"))
			if g["why"] != "" {
				f.Summary = fmt.Sprintf("%s cannot start: mounting %s fails, %s", c.Who(), p, g["why"])
			}
			for _, v := range c.Spec.Volumes {
				if v.HostPath != nil && (v.HostPath.Path == p || p == "") {
					kind := ""
					if v.HostPath.Type != nil {
						kind = string(*v.HostPath.Type)
					}
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.volumes[" + v.Name + "].hostPath", Text: strings.TrimSpace(v.HostPath.Path + " " + kind)})
					f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Have the kubelet make the directory", Patch: podPatch(c, fmt.Sprintf("volumes:\n- name: %s\n  hostPath:\n    path: %s\n    type: DirectoryOrCreate", diagnose.Scalar(v.Name), diagnose.Scalar(v.HostPath.Path)))})
				}
			}
			f.Advice = "Correct the path or its type, or make it on the node"
			if len(f.Fixes) == 0 {
				f.Fixes = []diagnose.Fix{{Title: "See what is mounted where", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "yaml")}}
			}
			return []diagnose.Finding{f}
		},
	}
}
