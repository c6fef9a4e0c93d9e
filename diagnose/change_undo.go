package diagnose

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keeper is what puts an object back to its own idea of it: a GitOps controller, a Helm release, an operator.
type keeper struct {
	kind string // "Argo CD", "Flux", "Helm", or the kind of the operator's object
	name string // of the application, release or object
	// at once: it puts the object back by itself; a Helm release only at its next upgrade.
	atOnce bool
}

// keeperOf tells who keeps an object as it is, by the labels, annotations and owners that each of them leaves.
func keeperOf(o Object) (keeper, bool) {
	if o == nil {
		return keeper{}, false
	}
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if owner := metav1.GetControllerOf(o); owner != nil {
		if _, known := workloadKind(owner.Kind); !known {
			return keeper{owner.Kind, owner.Name, true}, true
		}
	}
	if id := annotations["argocd.argoproj.io/tracking-id"]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return keeper{"Argo CD", app, true}, true
	}
	if app := labels["argocd.argoproj.io/instance"]; app != "" {
		return keeper{"Argo CD", app, true}, true
	}
	for _, kind := range []string{"kustomize", "helm"} {
		if name := labels[kind+".toolkit.fluxcd.io/name"]; name != "" {
			return keeper{"Flux", name, true}, true
		}
	}
	for _, m := range o.GetManagedFields() {
		switch m.Manager {
		case "argocd-controller", "argocd-application-controller":
			return keeper{"Argo CD", labels["app.kubernetes.io/instance"], true}, true
		case "kustomize-controller", "helm-controller":
			return keeper{"Flux", "", true}, true
		}
	}
	if release := annotations["meta.helm.sh/release-name"]; release != "" {
		return keeper{"Helm", release, false}, true
	}
	return keeper{}, false
}

// keeper is what keeps the subject's workload, or one of the objects above its pod.
func (c *Case) keeper() (keeper, bool) {
	if k, ok := keeperOf(c.Workload()); ok {
		return k, true
	}
	if c.Pod != nil && c.Subject.Kind() == "Pod" {
		return keeperOf(c.Pod)
	}
	return keeper{}, false
}

// says is what to do instead of changing the object by hand.
func (k keeper) says() string {
	who := k.kind
	if k.name != "" {
		who += " (" + k.name + ")"
	}
	switch {
	case k.kind == "Helm":
		return fmt.Sprintf("in the values of the Helm release %s too, or its next upgrade undoes it", k.name)
	case k.kind == "Argo CD" || k.kind == "Flux":
		return "in Git: " + who + " puts back what is changed by hand"
	}
	return fmt.Sprintf("in %s %s: its operator puts back what is changed by hand", k.kind, k.name)
}

// rollback is the fix that goes back to the last revision that ran, when the change was one of the template.
func (c *Case) rollback() (Fix, bool) {
	r := c.rollout()
	if !c.undoes || r == nil || r.unproven {
		return Fix{}, false
	}
	title := "Go back to the revision that ran before"
	if r.between > 0 {
		title = "Go back to " + r.good.title() + ", the last that is known to have run"
	}
	if k, ok := c.keeper(); ok {
		switch k.kind {
		case "Helm":
			return Fix{Title: title + ", with Helm: see which of the release's revisions that was, then helm rollback " + k.name + " REVISION", Command: CommandLine("helm", "-n", c.Subject.Namespace, "history", k.name)}, true
		case "Argo CD", "Flux":
			who := k.kind
			if k.name != "" {
				who += " (" + k.name + ")"
			}
			return Fix{Title: title + " in Git: " + who + " would put back what is undone by hand"}, true
		}
		return Fix{Title: fmt.Sprintf("%s, in %s %s: its operator would put back what is undone by hand", title, k.kind, k.name)}, true
	}
	switch w := c.Workload().(type) {
	case *appsv1.Deployment:
		if w.Spec.Paused {
			return Fix{}, false // kubectl refuses to undo while it is paused
		}
	case *appsv1.StatefulSet:
		if w.Spec.PodManagementPolicy != appsv1.ParallelPodManagement && c.Subject.Pod != "" {
			title += "; then delete pod " + c.Subject.Pod + ", as a StatefulSet does not replace one that is broken"
		}
	case nil:
		return Fix{}, false
	}
	if c.Subject.Kind() == "CronJob" {
		return Fix{}, false // it has no revisions to go back to
	}
	args := []string{"rollout", "undo", c.Target()}
	if r.good.number > 0 {
		args = append(args, fmt.Sprintf("--to-revision=%d", r.good.number))
	} else if r.between > 0 {
		return Fix{}, false
	}
	return Fix{Title: title, Command: c.Kubectl(args...)}, true
}

// goesBackFirst says that going back is the safest way out of a cause: not where data has already moved on, or where what is at fault
// lies elsewhere.
func goesBackFirst(category, cause string) bool {
	switch category {
	case "dependency", "volume", "node", "component":
		return false
	}
	return cause != "app.incompatible-data"
}
