package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func volumeMountFailed() diagnose.Rule {
	re := regexp.MustCompile(`(?is)MountVolume\.|failed to mount|mount failed|unable to attach or mount volumes|failed to attach|AttachVolume\.|failed to (?:prepare|create) subpath|unable to provision subpath|driver name .* not found|MapVolume\.|mounting failed|error mounting|mounting \\*"?/var/lib/kubelet/pods/`)
	// What the runtime says of a volume that the kubelet had mounted, and behind which nothing answers any more.
	lost := regexp.MustCompile(`(?i)/pods/[^/\s]+/volume(?:s/(?P<plugin>[^/\s]+)|-subpaths)/[^\s:]+: (?:stale (?:nfs )?file handle|transport endpoint is not connected|input/output error|file exists|host is down|connection timed out|operation timed out|no such device|structure needs cleaning|software caused connection abort|remote I/O error|required key not available|key has (?:expired|been revoked))`)
	other := regexp.MustCompile(`(?i)(?:configmap|secret)s? "[^"]+" not found|references non-existent|persistentvolumeclaims? "[^"]+" not found|hostPath type check failed|multi-attach|not registered|object "|error mounting \\?"[^"]*/pods/[^/"]+/(?:etc-hosts|containers/)|error mounting \\?"[a-z0-9]+\\?" to rootfs`)
	named := regexp.MustCompile(`volume "(?P<v>[^"]+)"`)
	waits := regexp.MustCompile(`(?i)timed out waiting for the condition|unmounted volumes=`)
	return diagnose.Rule{
		ID: "volume.mount-failed", Category: "volume", Title: "A volume cannot be mounted",
		Doc: diagnose.Doc{
			Means:   "The node cannot attach or mount one of the pod's volumes: the storage driver is not there, the server does not answer, the file system is damaged or of another kind, or a subPath does not fit.",
			Confirm: "`kubectl describe pod POD`: FailedMount or FailedAttachVolume quotes the driver. Its own pods usually run in kube-system.",
			Mend:    "Mend what the driver complains of: the NFS server's address and exports, the CSI driver on that node, the file system, the subPath.",
			Source:  "kubernetes.io/docs/concepts/storage/volumes; the driver's own documentation",
		},
		// What the program itself says of a volume whose server has lost it.
		Log: []diagnose.Pattern{{Words: []string{"stale nfs file handle", "stale file handle", "transport endpoint is not connected"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var best *statement
			for _, s := range statements(c) {
				if s.reason != "FailedMount" && s.reason != "FailedAttachVolume" && s.reason != "FailedMapVolume" && !re.MatchString(s.text) && !ofStorage(lost, s.text) || other.MatchString(s.text) {
					continue
				}
				if best == nil || waits.MatchString(best.text) && !waits.MatchString(s.text) {
					best = &s
				}
			}
			if best == nil {
				return lostVolume(c, hits)
			}
			f := fromStatement(*best)
			f.Weight = -20
			t := strings.ToLower(best.text)
			volume := ""
			if m := named.FindStringSubmatch(best.text); m != nil {
				volume = " " + m[1]
			}
			why, advice := "", "Read the driver's message in the event, and the log of its pod on that node"
			switch {
			case ofStorage(lost, best.text):
				why, advice = "it was mounted on the node before, and what stands behind that mount does not answer any more", "See that its storage server runs; then unmount it on the node (umount -f -l), or take the node out of use, and delete the pod so that it is mounted anew"
			case strings.Contains(t, "csi driver") && strings.Contains(t, "not found") || strings.Contains(t, "driver name"):
				why, advice = "its CSI driver is not registered on the node", "See that the driver's DaemonSet runs on that node"
			case strings.Contains(t, "mount.nfs") || strings.Contains(t, "nfs"):
				why, advice = "the NFS server does not give it out, or does not answer", "Check the server's address, its exports, and that the node has an NFS client"
			case strings.Contains(t, "wrong fs type") || strings.Contains(t, "bad superblock") || strings.Contains(t, "fsck"):
				why, advice = "its file system is damaged or of another kind", "Check the file system, or its fsType"
			case strings.Contains(t, "volume-subpaths") && strings.Contains(t, "not a directory"):
				why, advice = "its subPath is a directory where the image has a file, or the other way round; most often the volume has no file of that name", "Check that the ConfigMap, Secret or volume holds the subPath, and that it is of the kind that the mountPath wants"
			case strings.Contains(t, "volume-subpaths") && strings.Contains(t, "no such file"):
				why, advice = "the file that its subPath names is gone since the pod was made, as when its ConfigMap or Secret was changed", "Delete the pod: its successor is mounted anew. If that fails too, the volume has no file of that name"
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
			f.Summary = fmt.Sprintf("%s cannot start: volume%s cannot be mounted, because %s: %s", c.Who(), volume, why, diagnose.Shorten(lastPart(best.text), 160))
			f.Advice = advice
			f.Fixes = []diagnose.Fix{{Title: "Read all of the driver's messages", Command: c.Kubectl("describe", "pod", c.Subject.Pod)}}
			return []diagnose.Finding{f}
		},
	}
}

// ofStorage says that a text tells so of a volume that lies on a storage system, rather than of one that the kubelet writes itself.
func ofStorage(lost *regexp.Regexp, text string) bool {
	g := groups(lost, text)
	if g == nil {
		return false
	}
	switch g["plugin"] {
	case "kubernetes.io~configmap", "kubernetes.io~secret", "kubernetes.io~projected", "kubernetes.io~downward-api", "kubernetes.io~empty-dir":
		return false
	}
	return true
}

// lastPart is the end of a chain of "this: that: what" texts, which says most.
func lastPart(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\n", " "))
	if i := strings.Index(s, " : "); i >= 0 {
		return s[i+3:]
	}
	return s
}

// lostVolume finds a volume that is mounted and whose server has lost what the program reads there.
func lostVolume(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Level != diagnose.Warn && atEnd(h) })
	if !ok {
		return nil
	}
	for _, path := range anyFile.FindAllStringSubmatch(h.Text, 4) {
		m, mounted := mountAt(c, path[1])
		if !mounted || !onDataVolume(c, path[1]) {
			continue
		}
		_, words := m.object(c.Subject.Namespace)
		f.Proof, f.Confidence, f.Weight = diagnose.Corroborated, diagnose.Likely, 30
		f.Keys = []string{path[1]}
		f.Summary = fmt.Sprintf("%s ends because the server behind %s, mounted at %s, has lost what it reads there: %s", c.Who(), words, m.MountPath, inSentence(h, 160))
		f.Advice = "Delete the pod, so that the volume is mounted anew; if that does not help, see that the server still gives it out"
		f.Evidence = append(f.Evidence, m.cite(c))
		f.Fixes = []diagnose.Fix{{Title: "Have it mounted anew", Command: c.Kubectl("delete", "pod", c.Subject.Pod)}}
		return []diagnose.Finding{f}
	}
	return nil
}
