package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func volumeMultiAttach() diagnose.Rule {
	re := regexp.MustCompile(`(?i)multi-attach error for volume "(?P<volume>[^"]+)"(?P<rest>.*)|volume (?P<volume2>\S+) is already (?:exclusively )?attached to (?:one|another) node|is already used by pod\(s\) (?P<pods>[\w.,/ -]+)|` +
		// cStor; Azure Disk; GCE PD; EBS; Cinder; Longhorn; Hetzner, DigitalOcean, Packet; Ceph RBD; vSphere.
		`still mounted on node|already attached to node\(|RESOURCE_IN_USE_BY_ANOTHER_RESOURCE|is already being used by '|VolumeInUse|already attached to (?:an instance|another|a (?:different )?(?:server|instance|droplet|vm)|instance [\w-]+)|` +
		`is already in-use and does not support multiattach|is (?:currently )?attached to (?:a )?different (?:instance|node|droplet|server)|since it is already attached to (?:the )?node|rbd image \S+ is still being used`)
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
			volume := g["volume"]
			f.Summary = fmt.Sprintf("%s cannot start: its volume %s is still attached to another node", c.Who(), firstOf(claim, volume))
			if strings.Contains(s.text, "is still being used") {
				f.Summary = fmt.Sprintf("%s cannot start: its volume %s is still in use on another node", c.Who(), firstOf(claim, volume))
			}
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
