package rules

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"crashloop/diagnose"
)

func volumePVCPending() diagnose.Rule {
	return diagnose.Rule{
		ID: "volume.pvc-pending", Category: "volume", Title: "A PersistentVolumeClaim is not bound",
		Doc: diagnose.Doc{
			Means:   "The pod waits for a claim that has no volume: its StorageClass does not exist or has no provisioner that works, or no PersistentVolume fits its size, access mode or class. Or the claim has a volume that lies on one node, and the pod cannot run on that one.",
			Confirm: "`kubectl get pvc` shows it Pending; `kubectl describe pvc NAME` says why, in the events ProvisioningFailed or FailedBinding.",
			Mend:    "Name a StorageClass that there is, mend its provisioner, or make a volume that fits. A claim of a class with WaitForFirstConsumer waits for the pod and is no fault.",
			Source:  "kubernetes.io/docs/concepts/storage/persistent-volumes, .../storage-classes",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			if !stuck(c) || c.Pod == nil {
				return out
			}
			for _, v := range c.Spec.Volumes {
				name := ""
				if v.PersistentVolumeClaim != nil {
					name = v.PersistentVolumeClaim.ClaimName
				} else if v.Ephemeral != nil {
					name = c.Pod.Name + "-" + v.Name
				}
				if name == "" {
					continue
				}
				o, err := c.Get(diagnose.PersistentVolumeClaims, c.Subject.Namespace, name)
				claim, ok := o.(*corev1.PersistentVolumeClaim)
				if err != nil || !ok {
					continue
				}
				if f, ok := claimOutOfReach(c, claim); ok {
					out = append(out, f)
				}
				if claim.Status.Phase == corev1.ClaimBound || claim.Status.Phase == "" && claim.Spec.VolumeName != "" {
					continue
				}
				if f, ok := claimPending(c, claim); ok {
					out = append(out, f)
				}
			}
			return out
		},
	}
}

func claimPending(c *diagnose.Case, claim *corev1.PersistentVolumeClaim) (diagnose.Finding, bool) {
	ns := claim.Namespace
	f := diagnose.Finding{Confidence: diagnose.Certain, Proof: diagnose.Structural, Weight: 15, Root: "PersistentVolumeClaim/" + ns + "/" + claim.Name}
	phase := string(claim.Status.Phase)
	if phase == "" {
		phase = "Pending"
	}
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "PersistentVolumeClaim " + ns + "/" + claim.Name + " status.phase", Text: phase})
	class := ""
	if claim.Spec.StorageClassName != nil {
		class = *claim.Spec.StorageClassName
	}
	why, advice := "", "See the events of the claim"
	var last *diagnose.Event
	for _, e := range c.EventsOf("PersistentVolumeClaim", ns, claim.Name) {
		if e.Warning || e.Reason == "FailedBinding" || e.Reason == "ExternalProvisioning" || e.Reason == "WaitForFirstConsumer" {
			last = &e
		}
	}
	var classes []string
	objects, classErr := c.List(diagnose.StorageClasses, "")
	var used *storagev1.StorageClass
	defaulted := false
	for _, o := range objects {
		classes = append(classes, o.GetName())
		sc, ok := o.(*storagev1.StorageClass)
		if !ok {
			continue
		}
		if sc.Name == class {
			used = sc
		}
		if sc.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			defaulted = true
		}
	}
	switch {
	case claim.Status.Phase == corev1.ClaimLost:
		why, advice = "its volume "+claim.Spec.VolumeName+" no longer exists", "Restore the volume, or make the claim anew"
	case class != "" && used == nil && classErr == nil && (last == nil || last.Reason != "ExternalProvisioning"):
		why = fmt.Sprintf("there is no StorageClass %s (there are: %s)", class, list(classes))
		advice = "Use a class that there is"
		if len(classes) == 0 {
			why, advice = fmt.Sprintf("there is no StorageClass %s, and no other either", class), "Install a provisioner with a class of that name, or make a volume by hand"
		}
		if near := diagnose.Nearest(class, classes); near != "" {
			advice = "Use " + near + " if that is what is meant"
		}
		f.Chain = append(f.Chain, diagnose.Link{Object: "StorageClass//" + class, Says: "does not exist"})
		f.Root = "PersistentVolumeClaim/" + ns + "/" + claim.Name
	case claim.Spec.StorageClassName == nil && !defaulted && classErr == nil && len(objects) == 0:
		why, advice = "it names no StorageClass and the cluster has none", "Install a provisioner with a default class, or make a volume by hand"
	case claim.Spec.StorageClassName == nil && !defaulted && classErr == nil:
		why, advice = fmt.Sprintf("it names no StorageClass and none is the default (there are: %s)", list(classes)), "Name one of the classes in the claim"
	case last != nil && last.Reason == "ProvisioningFailed":
		why, advice = "its provisioner failed: "+diagnose.Shorten(last.Message, 220), "Mend what the provisioner complains of"
	case last != nil && last.Reason == "FailedBinding":
		why, advice = "no volume fits it: "+diagnose.Shorten(last.Message, 200), "Make a volume that fits its size, access mode and class, or name a class that makes one"
	case used != nil && used.VolumeBindingMode != nil && *used.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer && (last == nil || last.Reason == "WaitForFirstConsumer"):
		if s, alone, ok := schedulerBlames(c, noVolumeFits); ok && c.Spec.NodeName == "" {
			f.Evidence = append(f.Evidence, s.cite())
			f.Weight = 40
			if !alone {
				f.Confidence = diagnose.Likely
			}
			why, advice = "no PersistentVolume that there is fits it on any node that the pod may run on", "Make one of its class, size and access mode, with the name of a node that there is in its nodeAffinity"
			if used.Provisioner != "kubernetes.io/no-provisioner" {
				why, advice = "class "+class+" can make its volume on none of the nodes that the pod may run on", "See which nodes or zones the class and its driver serve, and how much room they have left"
			}
			break
		}
		if c.Spec.NodeName == "" {
			return f, false // it waits for the pod, which waits for something else
		}
		why = "its class " + class + " waits for the pod, and then nothing happened"
	case used != nil && used.Provisioner == "kubernetes.io/no-provisioner":
		why, advice = "class "+class+" makes no volumes and none that there is fits", "Make a PersistentVolume of that class"
	default:
		why = "no volume fits it, or its provisioner does not answer"
	}
	if last != nil {
		f.Evidence = append(f.Evidence, last.Cite())
	}
	if q, ok := claim.Spec.Resources.Requests[corev1.ResourceStorage]; ok {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "PersistentVolumeClaim " + ns + "/" + claim.Name + " spec", Text: fmt.Sprintf("%s, %v, class %q", q.String(), claim.Spec.AccessModes, class)})
	}
	f.Chain = append([]diagnose.Link{{Object: "PersistentVolumeClaim/" + ns + "/" + claim.Name, Says: "is " + phase + ": " + why}}, f.Chain...)
	if len(f.Chain) > 1 {
		f.Chain = f.Chain[:1]
	}
	f.Summary = fmt.Sprintf("%s cannot start: its claim %s is %s, because %s", c.Who(), claim.Name, phase, why)
	f.Advice = advice
	f.Fixes = []diagnose.Fix{
		{Title: "See why the claim waits", Command: c.Kubectl("describe", "pvc", claim.Name)},
		{Title: "See which classes there are", Command: "kubectl get storageclass"},
	}
	return f, true
}

// What the scheduler says of nodes that it finds no volume for, and of nodes that cannot reach the volume which a claim is bound to: in 1.36, and before.
const (
	noVolumeFits     = "didn't find available persistent volumes to bind|did not have enough free storage"
	volumeOutOfReach = "didn't match PersistentVolume's node affinity|had volume node affinity conflict"
)

// schedulerBlames says that one of the reasons, with | between them, keeps the pod from more nodes than any other does, and whether from all nodes but
// those of the control plane.
func schedulerBlames(c *diagnose.Case, reasons string) (s statement, alone, ok bool) {
	if c.Pod == nil {
		return s, false, false
	}
	holds := func(text string) bool {
		return slices.ContainsFunc(strings.Split(reasons, "|"), func(r string) bool { return strings.Contains(text, r) })
	}
	for _, cond := range c.Pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			s = statement{"status.conditions[PodScheduled]", cond.Reason, cond.Message}
		}
	}
	for _, x := range statements(c) {
		if s.text == "" && x.reason == "FailedScheduling" {
			s = x
		}
	}
	said, _, _ := strings.Cut(s.text, " preemption:")
	if !holds(most(said)) {
		return s, false, false
	}
	alone = true
	for _, r := range keptOut(said) {
		alone = alone && (r.nodes == 0 || holds(r.why))
	}
	return s, alone, true
}

// claimOutOfReach is for a claim that is bound to a volume which lies on one node, when that is why the scheduler finds no node for the pod.
func claimOutOfReach(c *diagnose.Case, claim *corev1.PersistentVolumeClaim) (diagnose.Finding, bool) {
	s, alone, ok := schedulerBlames(c, volumeOutOfReach)
	if !ok || !alone || claim.Spec.VolumeName == "" {
		return diagnose.Finding{}, false
	}
	o, err := c.Get(diagnose.PersistentVolumes, "", claim.Spec.VolumeName)
	volume, ok := o.(*corev1.PersistentVolume)
	if err != nil || !ok {
		return diagnose.Finding{}, false
	}
	node := nodeOfVolume(volume)
	if node == "" {
		return diagnose.Finding{}, false // a zone's: then its nodes are what is missing
	}
	f := fromStatement(s)
	f.Confidence, f.Weight = diagnose.Likely, 40
	f.Root = "PersistentVolumeClaim/" + claim.Namespace + "/" + claim.Name
	says := fmt.Sprintf("is bound to volume %s, which lies on node %s", volume.Name, node)
	f.Chain = []diagnose.Link{{Object: f.Root, Says: says}}
	f.Summary = fmt.Sprintf("%s has no node: its claim %s %s, and the pod cannot run there", c.Who(), claim.Name, says)
	f.Advice = "Let the pod run on that node: look at its nodeSelector and affinity. If the node is gone, so is the data: delete claim and volume, and restore"
	if nodes, err := c.List(diagnose.Nodes, ""); err == nil && len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n diagnose.Object) bool {
		return n.GetName() == node || n.GetLabels()[corev1.LabelHostname] == node
	}) {
		f.Summary = fmt.Sprintf("%s has no node: its claim %s %s, and there is no such node", c.Who(), claim.Name, says)
		f.Advice = "Bring that node back under its name. If it is gone for good, so is the data: delete claim and volume, and restore"
	}
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "PersistentVolume " + volume.Name + " spec.nodeAffinity", Text: "node " + node})
	f.Fixes = []diagnose.Fix{{Title: "See the volume and where it lies", Command: diagnose.Kubectl("", "describe", "pv", volume.Name)}}
	return f, true
}

// nodeOfVolume is the one node that a volume can be used on, or "".
func nodeOfVolume(v *corev1.PersistentVolume) string {
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil || len(v.Spec.NodeAffinity.Required.NodeSelectorTerms) != 1 {
		return ""
	}
	term := v.Spec.NodeAffinity.Required.NodeSelectorTerms[0]
	for _, e := range slices.Concat(term.MatchExpressions, term.MatchFields) {
		if (e.Key == corev1.LabelHostname || e.Key == "metadata.name") && e.Operator == corev1.NodeSelectorOpIn && len(e.Values) == 1 {
			return e.Values[0]
		}
	}
	return ""
}
