package kube

import (
	"context"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// builtIn says whether a kind of owner is one of Kubernetes' own controllers. Other groups have a Job, a DaemonSet or a StatefulSet too.
func builtIn(group, kind string) bool {
	switch kind {
	case "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment":
		return group == "apps"
	case "Job", "CronJob":
		return group == "batch"
	case "ReplicationController":
		return group == ""
	}
	return false
}

// guess names the topmost built-in controller from what a pod says of its owner. sure is false for the two kinds that may have an owner
// themselves: a ReplicaSet, whose Deployment is known by the hash at the end of its name, and a Job.
func guess(o owner) (workload string, sure bool) {
	switch {
	case !o.builtIn: // a bare pod, a static one (whose owner is the Node), one of a custom controller
		return "", true
	case o.kind == "ReplicaSet":
		if name, ok := strings.CutSuffix(o.name, "-"+o.hash); ok && o.hash != "" {
			return shared("Deployment/" + name), false
		}
		return shared("ReplicaSet/" + o.name), false
	case o.kind == "Job":
		return shared("Job/" + o.name), false
	}
	return shared(o.kind + "/" + o.name), true
}

// lookupTimeout bounds the read that verifies an owner, which holds up the stream of pods.
const lookupTimeout = 3 * time.Second

// topmost returns the workload of a pod of g, verified where that is possible: against the watched workloads, else by reading the owner.
func (w *Watch) topmost(ctx context.Context, g *group, p *pod) string {
	w.pods.mu.Lock()
	o, workload, sure := g.owner, g.of(p), g.verified || time.Now().Before(g.retry)
	w.pods.mu.Unlock()
	if sure {
		return workload
	}
	found, err := w.verify(ctx, o, workload)
	w.pods.mu.Lock()
	defer w.pods.mu.Unlock()
	if err != nil {
		g.retry = time.Now().Add(30 * time.Second)
		w.o.Log.Debug("an owner could not be verified; its name tells", "namespace", o.namespace, "owner", o.kind+"/"+o.name, "taken", workload, "error", err)
		return g.of(p)
	}
	g.workload, g.verified = shared(found), true
	return g.workload
}

func (w *Watch) verify(ctx context.Context, o owner, guessed string) (string, error) {
	switch o.kind {
	case "Job":
		if r, ok := w.workloads.get(o.namespace, "Job/"+o.name); ok {
			if r.Owner != "" {
				return r.Owner, nil
			}
			return "Job/" + o.name, nil
		}
	case "ReplicaSet":
		if _, ok := w.workloads.get(o.namespace, "ReplicaSet/"+o.name); ok {
			return "ReplicaSet/" + o.name, nil
		}
		if strings.HasPrefix(guessed, "Deployment/") {
			if _, ok := w.workloads.get(o.namespace, guessed); ok {
				return guessed, nil
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var ref *metav1.OwnerReference
	if o.kind == "Job" {
		job, err := w.o.Client.BatchV1().Jobs(o.namespace).Get(ctx, o.name, metav1.GetOptions{})
		if err != nil {
			return guessIfGone(guessed, err)
		}
		ref = metav1.GetControllerOf(job)
	} else {
		rs, err := w.o.Client.AppsV1().ReplicaSets(o.namespace).Get(ctx, o.name, metav1.GetOptions{})
		if err != nil {
			return guessIfGone(guessed, err)
		}
		ref = metav1.GetControllerOf(rs)
	}
	if above := builtInOwner(ref); above != "" {
		return above, nil
	}
	return o.kind + "/" + o.name, nil
}

// guessIfGone lets a name stand that nothing can prove any more.
func guessIfGone(guessed string, err error) (string, error) {
	if apierrors.IsNotFound(err) {
		return guessed, nil
	}
	return "", err
}

// builtInOwner is "Kind/name" of a controller reference to one of Kubernetes' own controllers, else empty.
func builtInOwner(ref *metav1.OwnerReference) string {
	if ref == nil {
		return ""
	}
	group, _, found := strings.Cut(ref.APIVersion, "/")
	if !found {
		group = ""
	}
	if !builtIn(group, ref.Kind) {
		return ""
	}
	return ref.Kind + "/" + ref.Name
}
