package action

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// raisers names, in a sentence each, what may scale a workload up again, or scale it no longer, while it is at zero.
func (w work) raisers(ctx context.Context, of workload) []string {
	var all []string
	scalers, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.target.Namespace).List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil {
		w.log.Warn("autoscalers could not be listed", "namespace", w.target.Namespace, "error", err)
		all = append(all, "Whether an autoscaler will scale it up again could not be seen.")
	} else {
		for _, h := range scalers.Items {
			ref := h.Spec.ScaleTargetRef
			if ref.Kind != w.target.Kind || ref.Name != w.target.Name {
				continue
			}
			scaled := ""
			for _, o := range h.OwnerReferences {
				// The API server takes any text for an owner's name, and this one is to be copied into a shell.
				if o.Kind == "ScaledObject" && len(validation.IsDNS1123Subdomain(o.Name)) == 0 {
					scaled = o.Name
				}
			}
			if scaled == "" {
				scaled, _ = strings.CutPrefix(h.Name, "keda-hpa-")
				if scaled == h.Name {
					scaled = ""
				}
			}
			if scaled != "" {
				all = append(all, fmt.Sprintf("KEDA may scale it up again; to keep it down: kubectl -n %s annotate scaledobject %s autoscaling.keda.sh/paused-replicas=0", w.target.Namespace, scaled))
			} else {
				all = append(all, fmt.Sprintf("The HorizontalPodAutoscaler %s does nothing while replicas are 0.", h.Name))
			}
		}
	}
	return append(all, keepers(of)...)
}

// keepers names those who hold a workload to a state of their own: GitOps tools, Helm, operators. Each leaves marks on what it made.
func keepers(of workload) []string {
	labels, annotations := of.GetLabels(), of.GetAnnotations()
	var all []string
	// https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
	app, _, _ := strings.Cut(annotations["argocd.argoproj.io/tracking-id"], ":")
	if app == "" {
		app = labels["argocd.argoproj.io/instance"]
	}
	if app != "" {
		all = append(all, fmt.Sprintf("Argo CD (application %s) may scale it up again at its next sync.", cut(app, 100)))
	}
	// https://fluxcd.io/flux/components/kustomize/kustomizations/ and .../helm/helmreleases/
	if name := labels["kustomize.toolkit.fluxcd.io/name"]; name != "" {
		all = append(all, fmt.Sprintf("Flux may scale it up again; to keep it down: flux -n %s suspend kustomization %s", labels["kustomize.toolkit.fluxcd.io/namespace"], name))
	}
	if name := labels["helm.toolkit.fluxcd.io/name"]; name != "" {
		all = append(all, fmt.Sprintf("Flux may scale it up again; to keep it down: flux -n %s suspend helmrelease %s", labels["helm.toolkit.fluxcd.io/namespace"], name))
	} else if release := annotations["meta.helm.sh/release-name"]; release != "" {
		all = append(all, fmt.Sprintf("The next upgrade of the Helm release %s scales it up again.", cut(release, 60)))
	}
	if owner := metav1.GetControllerOf(of); owner != nil {
		all = append(all, fmt.Sprintf("It belongs to %s %s, whose operator may scale it up again.", owner.Kind, owner.Name))
	}
	return all
}
