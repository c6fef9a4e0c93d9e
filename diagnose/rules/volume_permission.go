package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func volumePermission() diagnose.Rule {
	return diagnose.Rule{
		ID: "volume.permission", Category: "volume", Title: "It may not write to its volume",
		Doc: diagnose.Doc{
			Means:   "The path lies on a PersistentVolumeClaim whose files belong to another user, and the pod does not say which group they should have (fsGroup).",
			Confirm: "`kubectl logs POD --previous` names the path; `kubectl get pod POD -o yaml` shows runAsUser and whether fsGroup is set.",
			Mend:    "Set fsGroup to a group of the container's user; the kubelet then gives the volume to that group. Volumes such as NFS or hostPath do not take it: change their owner on the server or in an init container.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/security-context (fsGroup)",
		},
		Log: append(denied(), diagnose.Pattern{Name: "sqlite", Words: []string{"unable to open database file", "attempt to write a readonly database"}}),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if f, ok := sqliteDenied(c, hits); ok {
				return []diagnose.Finding{f}
			}
			if len(switching(hits)) > 0 {
				return nil // whatever lies on the volume, the start expects to be root
			}
			f, file, ok := deniedAt(c, hits)
			if !ok {
				return nil
			}
			if file == "" {
				if h, on := relativeDenied(hits, f); on {
					if f, ok := onlyClaim(c, f, true); ok {
						f.Summary = fmt.Sprintf("%s may not access %s%s, most likely on claim %s", c.Who(), h, identity(c, &f), f.Keys[0]) + "; the pod sets no fsGroup"
						return []diagnose.Finding{f}
					}
				} else if ownData.MatchString(f.Log.Line(f.At)) {
					if f, ok := onlyClaim(c, f, true); ok {
						f.Summary = fmt.Sprintf("%s may not access what it keeps its data in%s, most likely on claim %s; the pod sets no fsGroup", c.Who(), identity(c, &f), f.Keys[0])
						return []diagnose.Finding{f}
					}
				}
				return nil
			}
			m, mounted := mountAt(c, file)
			if !mounted || m.volume == nil || m.volume.PersistentVolumeClaim == nil {
				return nil
			}
			f.Proof, f.Confidence = diagnose.Corroborated, diagnose.Certain
			if !strings.Contains(f.Log.Line(f.At), file) {
				f.Confidence = diagnose.Likely // the path was put together
			}
			f.Evidence = append(f.Evidence, m.cite(c))
			f.Summary = fmt.Sprintf("%s may not access %s%s, on claim %s", c.Who(), file, identity(c, &f), m.volume.PersistentVolumeClaim.ClaimName)
			if !refusedByOS.MatchString(f.Log.Line(f.At)) {
				f.Confidence = diagnose.Likely // why, the log does not say
				f.Summary = fmt.Sprintf("%s cannot make %s%s, most likely because it may not write to claim %s", c.Who(), file, identity(c, &f), m.volume.PersistentVolumeClaim.ClaimName)
			}
			group, has := fsGroup(c)
			if has {
				f.Confidence = diagnose.Likely
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.securityContext.fsGroup", Text: fmt.Sprint(group)})
				f.Advice = "fsGroup is set, so the volume's kind may not take it: change the owner of its files"
			} else {
				f.Summary += "; the pod sets no fsGroup"
				f.Advice = "Set fsGroup to a group of its user"
			}
			if line := f.Log.Line(f.At); strings.HasPrefix(line, "chown: ") || strings.HasPrefix(line, "chmod: ") {
				f.Advice = "The storage does not let it change owners or modes, as an NFS export that squashes root does not, or it does not run as root: set them on the server, and leave this step out"
				f.Fixes = []diagnose.Fix{{Title: "See as whom it runs", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.securityContext}{.spec.initContainers[*].securityContext}{.spec.containers[*].securityContext}")}}
				return []diagnose.Finding{f}
			}
			uid, known := user(c)
			if !known {
				uid = 1000
			}
			f.Fixes = []diagnose.Fix{{Title: "Give the volume to the user's group", Patch: podPatch(c, fmt.Sprintf("securityContext:\n  fsGroup: %d", uid))}}
			return []diagnose.Finding{f}
		},
	}
}

// refusedByOS is the operating system's, in whatever language: a line without it does not say why something failed.
var refusedByOS = regexp.MustCompile(`(?i)denied|not permitted|EACCES|EPERM|permission|owner|\bwrit(?:e|able|ing)\b`)

// sqliteDenied is SQLite's way of saying that it may not write where its file is, and a store's of asking for that right, neither of which names a path.
func sqliteDenied(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, bool) {
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "sqlite" || h.Pattern == "store" })
	if !ok {
		return f, false
	}
	if f, ok = onlyClaim(c, f, false); !ok {
		return f, false
	}
	if h.Pattern == "store" {
		f.Summary = fmt.Sprintf("%s asks for the right to write where it keeps its data%s, most likely on claim %s; the pod sets no fsGroup", c.Who(), identity(c, &f), f.Keys[0])
		return f, true
	}
	f.Summary = fmt.Sprintf("%s cannot open its SQLite database%s, most likely because it may not write to claim %s; the pod sets no fsGroup", c.Who(), identity(c, &f), f.Keys[0])
	return f, true
}

// ownData is how a store speaks of the files that it keeps, wherever it runs.
var ownData = regexp.MustCompile(`(?i)append[- ]?only|\brdb\b|\bwal\b|\bjournal\b|\b(?:data(?:base)?|collections?|storage|store|index|persistence|rocksdb|leveldb|badger|bolt|lmdb) (?:dir|file|folder|path)|\bthe owner of the data\b|\bloading the DB\b|\bnodes\.conf\b|\bibdata\d|\bib_logfile\d|-bin\.index\b|\baria_log\w*\b`)

// relativeDenied is the path that begins at the working directory which a finding's line names, when it is one of a store's own data.
func relativeDenied(hits []diagnose.Hit, f diagnose.Finding) (string, bool) {
	for _, h := range hits {
		if h.Line != f.At || !ownData.MatchString(h.Text) {
			continue
		}
		if h.Pattern == "relative" {
			return h.Group("rel"), true
		}
		if h.Pattern == "bare" && !anyPath.MatchString(h.Text) {
			return "its data", true
		}
	}
	return "", false
}

// onlyClaim completes a finding about a file that is not named in full: it lies on the one claim that the container mounts, and the container
// runs as a user whom nothing gives that claim to, which, where the operating system has refused it something, may be the image's own. The first key
// is the claim's name.
func onlyClaim(c *diagnose.Case, f diagnose.Finding, refused bool) (diagnose.Finding, bool) {
	uid, known := user(c)
	if _, has := fsGroup(c); has || !known && !refused || known && uid == 0 || c.Container == nil {
		return f, false
	}
	var on *mount
	for _, vm := range c.Container.VolumeMounts {
		if m, ok := mountAt(c, vm.MountPath); ok && m.volume != nil && m.volume.PersistentVolumeClaim != nil {
			if on != nil {
				return f, false
			}
			on = &m
		}
	}
	if on == nil {
		return f, false
	}
	claim := on.volume.PersistentVolumeClaim.ClaimName
	f.Proof, f.Confidence = diagnose.Corroborated, diagnose.Likely
	f.Keys = []string{claim}
	f.Evidence = append(f.Evidence, on.cite(c))
	f.Advice = "Set fsGroup to a group of its user"
	if !known {
		uid = 1000
	}
	f.Fixes = []diagnose.Fix{{Title: "Give the volume to the user's group", Patch: podPatch(c, fmt.Sprintf("securityContext:\n  fsGroup: %d", uid))}}
	return f, true
}
