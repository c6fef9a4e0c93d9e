package rules

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"crashloop/diagnose"
)

func volumeFull() diagnose.Rule {
	return diagnose.Rule{
		ID: "volume.full", Category: "volume", Title: "Its volume is full",
		Doc: diagnose.Doc{
			Means:   "The program cannot write because there is no space left: on its PersistentVolumeClaim, an emptyDir, or the node's disk.",
			Confirm: "`kubectl logs POD --previous`: \"no space left on device\" (ENOSPC); `kubectl exec POD -- df -h` while it runs.",
			Mend:    "Remove what is not needed, or make the claim larger, if its StorageClass allows expansion.",
			Source:  "errno(3), ENOSPC; kubernetes.io/docs/concepts/storage/persistent-volumes#expanding-persistent-volumes-claims",
		},
		Log: slices.Concat(serverVolumes(), storageVolumes(), []diagnose.Pattern{
			{Name: "path", Words: []string{"no space left on device", "enospc", "disk quota exceeded", "disk is full", "not enough space", "disk full"}, Regexp: `(?P<path>/[^\s'"` + "`" + `:,;()]+)['"]?\)?:? [^/]{0,60}(?i:no space left|disk quota|disk full)|(?i:no space left on device|ENOSPC)[^/]{0,60}(?P<path2>/[^\s'"` + "`" + `:,;()]+)`},
			{Name: "bare", Words: []string{"no space left on device", "enospc", "disk quota exceeded", "disk is full", "disk full", "low-disk space condition", "low disk space condition"}},
		}),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			watch := func(h diagnose.Hit) bool {
				t := strings.ToLower(h.Text)
				return !strings.Contains(t, "watch") && !strings.Contains(t, "code: 'enospc'") && !strings.Contains(t, "shm") && !strings.Contains(t, "shared memory")
			}
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "path" && watch(h) })
			if !ok {
				if f, _, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return strings.Contains(h.Text, "shared memory segment") }); ok {
					f.Summary = fmt.Sprintf("%s ends because its shared memory, /dev/shm, is full", c.Who())
					f.Advice = "Mount an emptyDir with medium: Memory at /dev/shm, which has only 64 MiB otherwise, or have the program take less"
					f.Keys, f.Unchanged = []string{"shared memory"}, true
					f.Fixes = []diagnose.Fix{{Title: "See what is mounted there", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.volumes}")}}
					return []diagnose.Finding{f}
				}
			}
			if !ok {
				// The kernel says the same of the watches on files that it has none left of: what names neither a file nor a disk is of those.
				if f, h, ok = lastHit(c, hits, watch); !ok || slices.ContainsFunc(hits, func(o diagnose.Hit) bool { return strings.Contains(strings.ToLower(o.Text), "inotify") }) {
					return nil
				}
			}
			f.Confidence, f.Weight = diagnose.Certain, 30
			file := h.Group("path")
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
						if !size.IsZero() {
							f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "PersistentVolumeClaim " + claim, Text: "size " + size.String()})
						}
						double := size.DeepCopy()
						double.Add(size)
						larger := diagnose.Fix{Title: "Make the claim larger", Command: c.Kubectl("patch", "pvc", claim, "-p", fmt.Sprintf(`{"spec":{"resources":{"requests":{"storage":%q}}}}`, double.String()))}
						switch class, grows, known := expansion(c, pvc); {
						case size.IsZero():
						case !known:
							larger.Title += ", if its StorageClass allows expansion"
							f.Fixes = append(f.Fixes, larger)
						case grows:
							f.Fixes = append(f.Fixes, larger)
						default:
							f.Advice = "Remove what is not needed, or move to a larger volume: StorageClass " + class + " does not let one grow"
							f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "StorageClass " + class, Text: "allowVolumeExpansion is not set"})
						}
					}
				}
			}
			f.Unchanged = true
			switch {
			case c.Running():
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See what fills it", Command: c.Kubectl("exec", c.Subject.Pod, "-c", c.Subject.Container, "--", "df", "-h")})
			case claim != "":
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See what fills it, in a copy of the pod that does not run its program", Command: shellInCopy(c)})
			}
			return []diagnose.Finding{f}
		},
	}
}

// expansion says whether a claim's StorageClass lets its volume grow, as far as the class can be seen.
func expansion(c *diagnose.Case, pvc *corev1.PersistentVolumeClaim) (class string, grows, known bool) {
	if pvc.Spec.StorageClassName == nil || *pvc.Spec.StorageClassName == "" {
		return "", false, false
	}
	class = *pvc.Spec.StorageClassName
	o, err := c.Get(diagnose.StorageClasses, "", class)
	if err != nil {
		return class, false, false
	}
	s, ok := o.(*storagev1.StorageClass)
	return class, ok && s.AllowVolumeExpansion != nil && *s.AllowVolumeExpansion, ok
}
