package rules

import (
	"fmt"
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
		Log: denied(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, file, ok := deniedAt(c, hits)
			if !ok || file == "" {
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
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath + " is claim " + m.volume.PersistentVolumeClaim.ClaimName})
			f.Summary = fmt.Sprintf("%s may not access %s%s, on claim %s", c.Who(), file, identity(c, &f), m.volume.PersistentVolumeClaim.ClaimName)
			group, has := fsGroup(c)
			if has {
				f.Confidence = diagnose.Likely
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.securityContext.fsGroup", Text: fmt.Sprint(group)})
				f.Advice = "fsGroup is set, so the volume's kind may not take it: change the owner of its files"
			} else {
				f.Summary += "; the pod sets no fsGroup"
				f.Advice = "Set fsGroup to a group of its user"
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
