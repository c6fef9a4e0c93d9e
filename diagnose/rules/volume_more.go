package rules

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func volumeMultiAttach() diagnose.Rule {
	re := regexp.MustCompile(`(?i)multi-attach error for volume "(?P<volume>[^"]+)"(?P<rest>.*)|volume (?P<volume2>\S+) is already (?:exclusively )?attached to (?:one|another) node|is already used by pod\(s\) (?P<pods>[\w.,/ -]+)`)
	by := regexp.MustCompile(`used by pod\(s\) (?P<pods>[\w.,/ -]+)`)
	return diagnose.Rule{
		ID: "volume.multi-attach", Category: "volume", Title: "Its volume is still attached to another node",
		Doc: diagnose.Doc{
			Means:   "A ReadWriteOnce volume can be attached to one node at a time, and another node still holds it: an old pod of a rolling update runs there, or a node went away without giving it back.",
			Confirm: "`kubectl describe pod POD`: FailedAttachVolume \"Multi-Attach error\"; `kubectl get volumeattachments` shows the node that holds it.",
			Mend:    "Use the strategy Recreate (or a StatefulSet) for a workload with such a volume, delete the old pod, or use a ReadWriteMany volume. For a dead node, see that its pods are deleted.",
			Source:  "kubernetes.io/docs/concepts/storage/persistent-volumes (access modes)",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := said(c, re)
			if !ok {
				return nil
			}
			f := fromStatement(s)
			f.Weight = 20
			claim := claimOf(c)
			volume := firstOf(g["volume"], g["volume2"])
			f.Summary = fmt.Sprintf("%s cannot start: its volume %s is still attached to another node", c.Who(), firstOf(claim, volume))
			if pods := groups(by, s.text)["pods"]; pods != "" {
				f.Summary += ", used by " + strings.TrimSpace(pods)
			}
			for _, p := range c.Siblings() {
				if p.Spec.NodeName != "" && p.Spec.NodeName != c.Spec.NodeName {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "pod " + p.Name, Text: "runs on node " + p.Spec.NodeName})
					break
				}
			}
			if claim != "" {
				f.Root = "PersistentVolumeClaim/" + c.Subject.Namespace + "/" + claim
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is attached to another node and can only be on one"}}
			}
			f.Advice = "Have the old pod end first: strategy Recreate, or delete it"
			f.Fixes = []diagnose.Fix{{Title: "See which node holds which volume", Command: "kubectl get volumeattachments"}}
			if c.Subject.Kind() == "Deployment" {
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Replace the pod rather than run two at a time", Command: c.Kubectl("patch", "deployment", c.Subject.Name(), "-p", `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}`)})
			}
			return []diagnose.Finding{f}
		},
	}
}

// claimOf is the pod's only claim, "" when it has none or several.
func claimOf(c *diagnose.Case) string {
	name := ""
	for _, v := range c.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			if name != "" {
				return ""
			}
			name = v.PersistentVolumeClaim.ClaimName
		}
	}
	return name
}

func volumeMountFailed() diagnose.Rule {
	re := regexp.MustCompile(`(?is)MountVolume\.|failed to mount|mount failed|unable to attach or mount volumes|failed to attach|AttachVolume\.|failed to prepare subpath|driver name .* not found|MapVolume\.|mounting failed|error mounting`)
	other := regexp.MustCompile(`(?i)(?:configmap|secret)s? "[^"]+" not found|references non-existent|persistentvolumeclaims? "[^"]+" not found|hostPath type check failed|multi-attach|not registered|object "`)
	waits := regexp.MustCompile(`(?i)timed out waiting for the condition|unmounted volumes=`)
	return diagnose.Rule{
		ID: "volume.mount-failed", Category: "volume", Title: "A volume cannot be mounted",
		Doc: diagnose.Doc{
			Means:   "The node cannot attach or mount one of the pod's volumes: the storage driver is not there, the server does not answer, the file system is damaged or of another kind, or a subPath does not fit.",
			Confirm: "`kubectl describe pod POD`: FailedMount or FailedAttachVolume quotes the driver. Its own pods usually run in kube-system.",
			Mend:    "Mend what the driver complains of: the NFS server's address and exports, the CSI driver on that node, the file system, the subPath.",
			Source:  "kubernetes.io/docs/concepts/storage/volumes; the driver's own documentation",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var best *statement
			for _, s := range statements(c) {
				if s.reason != "FailedMount" && s.reason != "FailedAttachVolume" && s.reason != "FailedMapVolume" && !re.MatchString(s.text) || other.MatchString(s.text) {
					continue
				}
				if best == nil || waits.MatchString(best.text) && !waits.MatchString(s.text) {
					best = &s
				}
			}
			if best == nil {
				return nil
			}
			f := fromStatement(*best)
			f.Weight = -20
			t := strings.ToLower(best.text)
			volume := ""
			if m := regexp.MustCompile(`volume "(?P<v>[^"]+)"`).FindStringSubmatch(best.text); m != nil {
				volume = " " + m[1]
			}
			why, advice := "", "Read the driver's message in the event, and the log of its pod on that node"
			switch {
			case strings.Contains(t, "csi driver") && strings.Contains(t, "not found") || strings.Contains(t, "driver name"):
				why, advice = "its CSI driver is not registered on the node", "See that the driver's DaemonSet runs on that node"
			case strings.Contains(t, "mount.nfs") || strings.Contains(t, "nfs"):
				why, advice = "the NFS server does not give it out, or does not answer", "Check the server's address, its exports, and that the node has an NFS client"
			case strings.Contains(t, "wrong fs type") || strings.Contains(t, "bad superblock") || strings.Contains(t, "fsck"):
				why, advice = "its file system is damaged or of another kind", "Check the file system, or its fsType"
			case strings.Contains(t, "subpath"):
				why, advice = "its subPath does not fit", "Check that the subPath exists and is a file or directory as the mount wants"
			case strings.Contains(t, "not a directory"):
				why, advice = "a file is mounted over a directory, or the other way round", "Mount single files with subPath"
			case strings.Contains(t, "permission denied") || strings.Contains(t, "access denied"):
				why, advice = "the storage refuses the node", "Check the export's or share's access rules and credentials"
			case waits.MatchString(best.text):
				f.Weight = -60
				why = "the node waited for it in vain"
			case strings.Contains(t, "not found"):
				why, advice = "the disk behind it does not exist", "See whether the disk was deleted"
			case strings.Contains(t, "no space left"):
				why = "there is no space left where it is set up"
			default:
				why = "the driver refuses it"
			}
			f.Summary = fmt.Sprintf("%s cannot start: volume%s cannot be mounted, because %s: %s", c.Who(), volume, why, shorten(lastPart(best.text), 160))
			f.Advice = advice
			f.Fixes = []diagnose.Fix{{Title: "Read all of the driver's messages", Command: c.Kubectl("describe", "pod", c.Subject.Pod)}}
			return []diagnose.Finding{f}
		},
	}
}

// lastPart is the end of a chain of "this: that: what" texts, which says most.
func lastPart(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\n", " "))
	if i := strings.Index(s, " : "); i >= 0 {
		return s[i+3:]
	}
	return s
}

func volumeHostPath() diagnose.Rule {
	re := regexp.MustCompile(`(?i)hostPath type check failed: (?P<path>\S+) is not (?:an? )?(?P<type>[\w ]+)|(?:error mounting|mounting) \\?"(?P<path2>/[^"\\]+)\\?" to rootfs.*?(?P<why>not a directory|no such file or directory|permission denied|read-only file system)|bind source path does not exist: (?P<path3>\S+)`)
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
					f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Have the kubelet make the directory", Patch: podPatch(c, fmt.Sprintf("volumes:\n- name: %s\n  hostPath:\n    path: %s\n    type: DirectoryOrCreate", v.Name, v.HostPath.Path))})
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

func volumeFull() diagnose.Rule {
	return diagnose.Rule{
		ID: "volume.full", Category: "volume", Title: "Its volume is full",
		Doc: diagnose.Doc{
			Means:   "The program cannot write because there is no space left: on its PersistentVolumeClaim, an emptyDir, or the node's disk.",
			Confirm: "`kubectl logs POD --previous`: \"no space left on device\" (ENOSPC); `kubectl exec POD -- df -h` while it runs.",
			Mend:    "Remove what is not needed, or make the claim larger, if its StorageClass allows expansion.",
			Source:  "errno(3), ENOSPC; kubernetes.io/docs/concepts/storage/persistent-volumes#expanding-persistent-volumes-claims",
		},
		Log: []diagnose.Pattern{
			{Name: "path", Words: []string{"no space left on device", "enospc", "disk quota exceeded", "disk is full", "not enough space", "disk full"}, Regexp: `(?P<path>/[^\s'"` + "`" + `:,;()]+)['"]?\)?:? [^/]{0,60}(?i:no space left|disk quota|disk full)|(?i:no space left on device|ENOSPC)[^/]{0,60}(?P<path2>/[^\s'"` + "`" + `:,;()]+)`},
			{Name: "bare", Words: []string{"no space left on device", "enospc", "disk quota exceeded", "disk is full", "disk full"}},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			watch := func(h diagnose.Hit) bool {
				t := strings.ToLower(h.Text)
				return !strings.Contains(t, "watch") && !strings.Contains(t, "code: 'enospc'") && !strings.Contains(t, "shm") && !strings.Contains(t, "shared memory")
			}
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "path" && watch(h) })
			if !ok {
				if f, h, ok = lastHit(c, hits, watch); !ok {
					return nil
				}
			}
			f.Confidence, f.Weight = diagnose.Certain, 30
			file := firstOf(h.Group("path"), h.Group("path2"))
			f.Keys = []string{"space", file}
			f.Summary = fmt.Sprintf("%s ends because there is no space left on its disk", c.Who())
			f.Advice = "Remove what is not needed, or make the volume larger"
			claim := claimOf(c)
			if m, mounted := mountAt(c, file); mounted {
				_, words := m.object(c.Subject.Namespace)
				f.Summary = fmt.Sprintf("%s ends because %s (at %s) is full", c.Who(), words, m.MountPath)
				if m.volume != nil && m.volume.PersistentVolumeClaim != nil {
					claim = m.volume.PersistentVolumeClaim.ClaimName
				} else {
					claim = ""
				}
			}
			if claim != "" {
				f.Proof = diagnose.Corroborated
				f.Root = "PersistentVolumeClaim/" + c.Subject.Namespace + "/" + claim
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is full"}}
				if !strings.Contains(f.Summary, claim) {
					f.Summary += ", most likely claim " + claim
					f.Confidence = diagnose.Likely
				}
				if o, err := c.Get(diagnose.PersistentVolumeClaims, c.Subject.Namespace, claim); err == nil {
					if pvc, ok := o.(*corev1.PersistentVolumeClaim); ok {
						size := pvc.Status.Capacity[corev1.ResourceStorage]
						if size.IsZero() {
							size = pvc.Spec.Resources.Requests[corev1.ResourceStorage]
						}
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "PersistentVolumeClaim " + claim, Text: "size " + size.String()})
						double := size.DeepCopy()
						double.Add(size)
						f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Make the claim larger", Command: c.Kubectl("patch", "pvc", claim, "-p", fmt.Sprintf(`{"spec":{"resources":{"requests":{"storage":%q}}}}`, double.String()))})
					}
				}
			}
			f.Unchanged = true
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See what fills it", Command: c.Kubectl("exec", c.Subject.Pod, "-c", c.Subject.Container, "--", "df", "-h")})
			return []diagnose.Finding{f}
		},
	}
}

func volumeSubpathShadow() diagnose.Rule {
	quoted := regexp.MustCompile(`"(?P<path>/[^"\s]+)"|(?P<bare>/[\w.@+-]+(?:/[\w.@+-]+)+)`)
	missing := regexp.MustCompile(`(?i)not found|no such file|cannot find|can't open|unable to access|could not find|must be unique`)
	return diagnose.Rule{
		ID: "volume.subpath-shadow", Category: "volume", Title: "A mount hides the program's own files",
		Doc: diagnose.Doc{
			Means:   "A volume is mounted over a directory in which the image keeps its program or code. The volume's content takes its place, so that the program is not found although it is in the image.",
			Confirm: "Compare the path that is not found with the volumeMounts; without the mount the image starts.",
			Mend:    "Mount the volume elsewhere, or mount only the one file that is needed, with subPath.",
			Source:  "kubernetes.io/docs/concepts/storage/volumes#using-subpath",
		},
		Log: []diagnose.Pattern{{Words: []string{"not found", "no such file", "cannot find module", "can't open file", "unable to access jarfile", "could not find"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			check := func(text string) (string, mount, bool) {
				if !missing.MatchString(text) {
					return "", mount{}, false
				}
				for _, m := range quoted.FindAllStringSubmatch(text, 6) {
					p := firstOf(m[1], m[2])
					at, ok := mountAt(c, p)
					if !ok || at.SubPath != "" || strings.HasPrefix(at.MountPath, "/etc") && !strings.Contains(text, "exec") || strings.HasPrefix(at.MountPath, "/var/run") || at.volume == nil {
						continue
					}
					if isProgram(c, p, text) {
						return p, at, true
					}
				}
				return "", mount{}, false
			}
			var f diagnose.Finding
			file, m, found := "", mount{}, false
			for _, s := range statements(c) {
				if file, m, found = check(s.text); found {
					f = fromStatement(s)
					break
				}
			}
			if !found {
				t := c.Last()
				if t == nil || t.ExitCode == 0 {
					return nil
				}
				for i := len(hits) - 1; i >= 0 && !found; i-- {
					if file, m, found = check(hits[i].Text); found {
						f = diagnose.FromHit(hits[i], diagnose.Certain, diagnose.Corroborated)
					}
				}
			}
			if !found {
				return nil
			}
			f.Weight = 70
			_, words := m.object(c.Subject.Namespace)
			f.Keys = []string{file}
			f.Summary = fmt.Sprintf("%s cannot start: %s is mounted over %s and hides %s of the image", c.Who(), words, m.MountPath, file)
			f.Advice = "Mount it elsewhere, or only the one file that is needed, with subPath"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath + " is " + words})
			if f.Confidence == diagnose.Certain && m.volume.PersistentVolumeClaim != nil {
				f.Confidence = diagnose.Likely
			}
			f.Fixes = []diagnose.Fix{{Title: "Mount a single file", Patch: containerPatch(c, fmt.Sprintf("volumeMounts:\n- name: %s\n  mountPath: %s\n  subPath: FILE", m.Name, path.Join(m.MountPath, "FILE")))}}
			return []diagnose.Finding{f}
		},
	}
}

// isProgram says that a path is of a program or its code rather than of its configuration.
func isProgram(c *diagnose.Case, file, text string) bool {
	if strings.Contains(text, "exec:") || strings.Contains(text, "exec ") || strings.Contains(text, "jarfile") || strings.Contains(text, "Cannot find module") || strings.Contains(text, "can't open file") {
		return true
	}
	if argued(c, file) != "" && !strings.Contains(argued(c, file), "config") {
		switch path.Ext(file) {
		case ".py", ".js", ".mjs", ".jar", ".rb", ".php", ".sh", ".dll", "":
			return true
		}
	}
	return strings.Contains(text, ": not found") && (strings.HasPrefix(text, "/bin/sh") || strings.HasPrefix(text, "sh:") || strings.Contains(text, "exec:"))
}
