package rules

import (
	"fmt"
	"regexp"

	"crashloop/diagnose"
)

func configFilePermission() diagnose.Rule {
	// How programs refuse a key that others may read, too.
	tooOpen := regexp.MustCompile(`(?i)too open|owner only|group or world access|too permissive`)
	// How Elastic's Beats refuse a file that another user owns.
	owned := regexp.MustCompile(`must be owned by|writable by the owner`)
	return diagnose.Rule{
		ID: "config.file-permission", Category: "missing-config", Title: "It may not read a file of a ConfigMap or Secret",
		Doc: diagnose.Doc{
			Means:   "The file is mounted from a ConfigMap, Secret or projected volume, but its mode does not let the container's user read it, or the program wants to write to it, which such a mount never allows.",
			Confirm: "`kubectl logs POD --previous` names the path; compare the volume's defaultMode with runAsUser and fsGroup.",
			Mend:    "Set fsGroup, so that the files belong to a group of the user's, or a defaultMode that lets others read (0444).",
			Source:  "kubernetes.io/docs/concepts/configuration/secret (file permissions), .../security-context",
		},
		Log: denied(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, file, ok := deniedAt(c, hits)
			if !ok || file == "" {
				return nil
			}
			m, mounted := mountAt(c, file)
			if !mounted || !m.isConfig() {
				return nil
			}
			_, words := m.object(c.Subject.Namespace)
			mode, _ := m.mode()
			f.Proof, f.Confidence = diagnose.Corroborated, diagnose.Certain
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.volumes[" + m.Name + "].defaultMode", Text: fmt.Sprintf("%04o", mode)})
			f.Summary = fmt.Sprintf("%s may not access %s%s: %s is mounted with mode %04o", c.Who(), file, identity(c, &f), words, mode)
			f.Advice = "Set fsGroup, or a defaultMode that lets its user read"
			if mode&0o111 == 0 && mode&0o004 != 0 {
				f.Advice = "If it is a script to run, give the volume defaultMode 0555; if it wants to write, copy the file to an emptyDir first"
			}
			if tooOpen.MatchString(f.Log.Line(f.At)) {
				f.Summary = fmt.Sprintf("%s does not take %s because others may read it: %s is mounted with mode %04o", c.Who(), file, words, mode)
				f.Advice = "Give the volume defaultMode 0400; with fsGroup set the kubelet adds the group's right to read, so then let the start copy the file and chmod 0600 the copy"
				f.Fixes = []diagnose.Fix{m.setMode(c, "Let nobody else read it", "0400")}
				return []diagnose.Finding{f}
			}
			if owned.MatchString(f.Log.Line(f.At)) {
				f.Summary = fmt.Sprintf("%s does not take %s because of whose it is and who may write to it: %s is mounted with mode %04o", c.Who(), file, words, mode)
				f.Advice = "The kubelet mounts such files as root's: run the container as root, or turn the program's check off (for Elastic's Beats: -strict.perms=false)"
				return []diagnose.Finding{f}
			}
			uid, known := user(c)
			if !known {
				uid = 1000
			}
			f.Fixes = []diagnose.Fix{{Title: "Let the user's group read the volume", Patch: podPatch(c, fmt.Sprintf("securityContext:\n  fsGroup: %d", uid))}}
			return []diagnose.Finding{f}
		},
	}
}
