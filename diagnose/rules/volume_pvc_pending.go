package rules

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"crashloop/diagnose"
)

func volumePVCPending() diagnose.Rule {
	return diagnose.Rule{
		ID: "volume.pvc-pending", Category: "volume", Title: "A PersistentVolumeClaim is not bound",
		Doc: diagnose.Doc{
			Means:   "The pod waits for a claim that has no volume: its StorageClass does not exist or has no provisioner that works, or no PersistentVolume fits its size, access mode or class.",
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
				if err != nil || !ok || claim.Status.Phase == corev1.ClaimBound || claim.Status.Phase == "" && claim.Spec.VolumeName != "" {
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
		why, advice = "its provisioner failed: "+shorten(last.Message, 220), "Mend what the provisioner complains of"
	case last != nil && last.Reason == "FailedBinding":
		why, advice = "no volume fits it: "+shorten(last.Message, 200), "Make a volume that fits its size, access mode and class, or name a class that makes one"
	case used != nil && used.VolumeBindingMode != nil && *used.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer && (last == nil || last.Reason == "WaitForFirstConsumer"):
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
