package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func volumeHostPath() diagnose.Rule {
	// A path in the folder that the kubelet keeps for a pod: its volumes, its /etc/hosts, its termination log.
	kubeletsOwn := regexp.MustCompile(`/pods/[^/]+/(?:volume|etc-hosts|containers/)`)
	re := regexp.MustCompile(`(?i)hostPath type check failed: (?P<path>\S+) is not (?:an? )?(?P<type>[\w ]+)|(?:error mounting|mounting) \\*"(?P<path2>/[^"\\]+)\\*" to rootfs.*?(?P<why>not a directory|no such file or directory|permission denied|read-only file system|stale (?:NFS )?file handle|transport endpoint is not connected|input/output error)|bind source path does not exist: (?P<path3>\S+)|(?:[Ff]ailed to mkdir|mount source path) \\*['"]?(?P<path4>/[^\s:'"\\]+)\\*['"]?: .{0,80}?(?P<why2>not a directory|file exists|permission denied|read-only file system)`)
	return diagnose.Rule{
		ID: "volume.host-path", Category: "volume", Title: "A path of the node that it mounts is not what it should be",
		Doc: diagnose.Doc{
			Means:   "A hostPath volume asks for a file, directory or socket that does not exist on this node, or is of another type; or a mount meets a file where it needs a directory.",
			Confirm: "`kubectl describe pod POD`: \"hostPath type check failed\", or the runtime's \"error mounting ... to rootfs\".",
			Mend:    "Correct the path or its type (DirectoryOrCreate makes the directory), make the path on the node, or keep the pod on nodes that have it. To mount one file of a ConfigMap over an existing one, use subPath.",
			Source:  "kubernetes.io/docs/concepts/storage/volumes#hostpath",
		},
		// A socket of the node's own, such as its container runtime's.
		Log: []diagnose.Pattern{{Words: []string{".sock"}, Regexp: `(?P<sock>/[\w./-]+\.sock)\b[^/]{0,60}(?i:no such file or directory|not found|does not exist)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			s, g, ok := said(c, re)
			if !ok {
				return missingSocket(c, hits)
			}
			p := g["path"]
			if kubeletsOwn.MatchString(p) || g["why"] != "" && !mountsOfNode(c, p) {
				return nil // what the kubelet or the runtime has set up, no path that the pod asks of the node
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
					if g["why"] != "" && !strings.Contains(g["why"], "no such file") {
						continue // the node does not let it be made
					}
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

// mountsOfNode says that the pod mounts a path of the node, or one above it.
func mountsOfNode(c *diagnose.Case, file string) bool {
	return slices.ContainsFunc(c.Spec.Volumes, func(v corev1.Volume) bool {
		return v.HostPath != nil && (file == path.Clean(v.HostPath.Path) || strings.HasPrefix(file, strings.TrimSuffix(path.Clean(v.HostPath.Path), "/")+"/"))
	})
}

// missingSocket is for a program that misses a socket within a path of the node that it mounts: the node keeps it elsewhere, or the kubelet
// made an empty directory where the path should have been.
func missingSocket(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, h, ok := lastHit(c, hits, nil)
	if !ok {
		return nil
	}
	sock := h.Group("sock")
	m, mounted := mountAt(c, sock)
	if !mounted || m.volume == nil || m.volume.HostPath == nil {
		return nil
	}
	f.Proof, f.Weight = diagnose.Corroborated, 20
	f.Keys = []string{sock}
	f.Summary = fmt.Sprintf("%s ends because the socket %s is not there: it mounts %s of node %s, which has none", c.Who(), sock, m.volume.HostPath.Path, firstOf(c.Spec.NodeName, "that it runs on"))
	f.Advice = "Mount the path at which this node keeps it; k3s and RKE2, for one, keep containerd's under /run/k3s/containerd"
	f.Evidence = append(f.Evidence, m.cite(c))
	f.Fixes = []diagnose.Fix{{Title: "Mount another path of the node there", Patch: podPatch(c, fmt.Sprintf("volumes:\n- name: %s\n  hostPath:\n    path: %s", diagnose.Scalar(m.Name), "/run/k3s/containerd"))}}
	if !strings.Contains(sock, "containerd") {
		f.Advice = "Mount the path at which this node keeps it"
		f.Fixes = []diagnose.Fix{{Title: "See what is mounted where", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "yaml")}}
	}
	return []diagnose.Finding{f}
}
