package diagnose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changeWindow is how long before the first crash a change can have been and still be named.
const changeWindow = 24 * time.Hour

// revision is the number that the Deployment controller gives a ReplicaSet.
func revision(o metav1.Object) int {
	n, _ := strconv.Atoi(o.GetAnnotations()["deployment.kubernetes.io/revision"])
	return n
}

// FirstCrash estimates when the container began to crash: from the runs and events that the cluster still knows, and from how long that
// many restarts take at least by the kubelet's back-off. It is zero when the container never ended.
func (c *Case) FirstCrash() time.Time {
	last := c.Last()
	if last == nil || c.Pod == nil || last.FinishedAt.IsZero() {
		return time.Time{}
	}
	first := last.FinishedAt.Time
	if t := c.Status.LastTerminationState.Terminated; t != nil && !t.FinishedAt.IsZero() && t.FinishedAt.Time.Before(first) {
		first = t.FinishedAt.Time
	}
	needed := time.Duration(0)
	for n := int32(1); n < c.Status.RestartCount && n < 10000; n++ {
		needed += Backoff(n) + c.Ran()
	}
	if at := last.FinishedAt.Add(-needed); at.Before(first) {
		first = at
	}
	for _, e := range c.ContainerEvents() {
		if (e.Reason == "BackOff" || e.Reason == "Unhealthy") && e.Warning && !e.First.IsZero() && e.First.Before(first) && e.Has("back-off", "liveness", "startup") {
			first = e.First
		}
	}
	if created := c.Pod.CreationTimestamp.Time; first.Before(created) {
		first = created
	}
	// Looping for most of its life means from its start.
	if age := last.FinishedAt.Sub(c.Pod.CreationTimestamp.Time); first.Sub(c.Pod.CreationTimestamp.Time) < age/3 {
		if started := began(last.StartedAt); !started.IsZero() {
			first = c.Pod.CreationTimestamp.Add(min(c.Ran(), age))
		}
	}
	return first
}

// Change returns the last change of the pod template or of a ConfigMap that the pod uses before the first crash, or nil. Only a change
// that can have set the crashes off counts: it came before them, not long before, and what ran before it did not crash.
func (c *Case) Change() *Change {
	if !c.changeRead {
		c.changeRead = true
		c.change = c.findChange()
	}
	return c.change
}

func (c *Case) findChange() *Change {
	if c.Pod == nil {
		return nil
	}
	first := c.FirstCrash()
	if first.IsZero() {
		first = c.Pod.CreationTimestamp.Add(time.Minute) // it never started
	}
	var best *Change
	if now, before, at, by := c.revisions(); now != nil && before != nil && !at.After(first) && first.Sub(at) <= changeWindow {
		if diff := DiffTemplates(before, now); len(diff) > 0 {
			says := strings.Join(diff, ", ")
			if by != "" {
				says += ", by " + by
			}
			best = &Change{Object: objectOf(c.Subject), At: at.UTC(), Says: says + c.howLong(at, first)}
		}
	}
	if edit := c.configEdit(first); edit != nil && (best == nil || edit.At.After(best.At)) {
		best = edit
	}
	return best
}

func (c *Case) howLong(at, first time.Time) string {
	return fmt.Sprintf(" (%s before the first crash)", Duration(max(first.Sub(at), time.Second)))
}

// revisions returns the template that crashes, the one that ran before it, when the change was made and by whom.
func (c *Case) revisions() (now, before *corev1.PodTemplateSpec, at time.Time, by string) {
	switch c.Subject.Kind() {
	case "Deployment":
		var current *appsv1.ReplicaSet
		owner := metav1.GetControllerOf(c.Pod)
		if owner == nil {
			return nil, nil, at, ""
		}
		for _, rs := range c.replicaSets() { // newest first
			if rs.Name == owner.Name {
				current = rs
				continue
			}
			if current != nil && revision(rs) < revision(current) {
				if c.crashesToo("ReplicaSet", rs.Name) {
					return nil, nil, at, ""
				}
				at := current.CreationTimestamp.Time
				return &current.Spec.Template, &rs.Spec.Template, at, c.editor(at)
			}
		}
	case "StatefulSet", "DaemonSet":
		hash := c.Pod.Labels["controller-revision-hash"]
		var list []*appsv1.ControllerRevision
		objects, _ := c.List(ControllerRevisions, c.Subject.Namespace)
		for _, o := range objects {
			if r, ok := o.(*appsv1.ControllerRevision); ok {
				if owner := metav1.GetControllerOf(r); owner != nil && owner.Kind == c.Subject.Kind() && owner.Name == c.Subject.Name() {
					list = append(list, r)
				}
			}
		}
		slices.SortFunc(list, func(a, b *appsv1.ControllerRevision) int { return int(b.Revision - a.Revision) })
		var current *appsv1.ControllerRevision
		for _, r := range list {
			if hash != "" && (r.Name == hash || strings.HasSuffix(r.Name, "-"+hash) || r.Labels["controller-revision-hash"] == hash) {
				current = r
				continue
			}
			if current != nil {
				a, b := revisionTemplate(current), revisionTemplate(r)
				return a, b, current.CreationTimestamp.Time, c.editor(current.CreationTimestamp.Time)
			}
		}
	}
	return nil, nil, at, ""
}

func revisionTemplate(r *appsv1.ControllerRevision) *corev1.PodTemplateSpec {
	var patch struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if json.Unmarshal(r.Data.Raw, &patch) != nil {
		return nil
	}
	return patch.Spec.Template
}

// crashesToo says that pods of the older revision crash as well: then the change is not what set it off.
func (c *Case) crashesToo(kind, name string) bool {
	objects, _ := c.List(Pods, c.Subject.Namespace)
	for _, o := range objects {
		p, ok := o.(*corev1.Pod)
		if !ok || p.DeletionTimestamp != nil {
			continue
		}
		if owner := metav1.GetControllerOf(p); owner != nil && owner.Kind == kind && owner.Name == name {
			if l, _, _ := loops(p); l {
				return true
			}
		}
	}
	return false
}

// editor is the field manager that last wrote the workload's spec at about that time.
func (c *Case) editor(at time.Time) string {
	w := c.Workload()
	if w == nil {
		return ""
	}
	by := ""
	var latest time.Time
	for _, m := range w.GetManagedFields() {
		if m.Subresource != "" || m.Time == nil || m.Manager == "kube-controller-manager" || m.Time.Sub(at).Abs() > 2*time.Minute || m.FieldsV1 == nil || !strings.Contains(m.FieldsV1.GetRawString(), "f:template") {
			continue
		}
		if m.Time.Time.After(latest) || by == "" {
			by, latest = m.Manager, m.Time.Time
		}
	}
	return managerName(by)
}

// managerName writes kubectl's field managers as the command that was typed.
func managerName(m string) string {
	switch m {
	case "kubectl-client-side-apply", "kubectl-last-applied", "kubectl":
		return "kubectl apply"
	case "kubectl-edit", "kubectl-set", "kubectl-patch", "kubectl-create", "kubectl-rollout", "kubectl-replace", "kubectl-scale", "kubectl-label", "kubectl-annotate":
		return strings.Replace(m, "-", " ", 1)
	}
	return m
}

// configEdit returns the last edit of a ConfigMap that the pod uses, made after its workload was rolled out and before the first crash.
func (c *Case) configEdit(first time.Time) *Change {
	rolledOut := c.Pod.CreationTimestamp.Time
	if owner := metav1.GetControllerOf(c.Pod); owner != nil && owner.Kind == "ReplicaSet" {
		if rs, err := c.Get(ReplicaSets, c.Subject.Namespace, owner.Name); err == nil {
			rolledOut = rs.GetCreationTimestamp().Time
		}
	} else if w := c.Workload(); w != nil {
		rolledOut = w.GetCreationTimestamp().Time
	}
	var best *Change
	for _, name := range c.ConfigMapNames() {
		o, err := c.Get(ConfigMaps, c.Subject.Namespace, name)
		if err != nil {
			continue
		}
		for _, m := range o.GetManagedFields() {
			if m.Time == nil {
				continue
			}
			at := m.Time.Time
			if !at.After(rolledOut) || at.After(first) || first.Sub(at) > changeWindow || !at.After(o.GetCreationTimestamp().Add(time.Second)) || best != nil && !at.After(best.At) {
				continue
			}
			says := "edited"
			if keys := editedKeys(m.FieldsV1); len(keys) > 0 {
				says = "edited (" + strings.Join(keys, ", ") + ")"
			}
			if m.Manager != "" {
				says += " by " + managerName(m.Manager)
			}
			best = &Change{Object: "ConfigMap/" + c.Subject.Namespace + "/" + name, At: at.UTC(), Says: "ConfigMap " + name + " " + says + c.howLong(at, first)}
		}
	}
	return best
}

func editedKeys(fields *metav1.FieldsV1) []string {
	if fields == nil {
		return nil
	}
	var f struct {
		Data map[string]json.RawMessage `json:"f:data"`
	}
	if json.Unmarshal(fields.GetRawBytes(), &f) != nil {
		return nil
	}
	var out []string
	for _, k := range sortedKeys(f.Data) {
		if key, ok := strings.CutPrefix(k, "f:"); ok && len(out) < 5 {
			out = append(out, key)
		}
	}
	return out
}

// ConfigMapNames lists the ConfigMaps that the pod's containers take environment from or that it mounts.
func (c *Case) ConfigMapNames() []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) && name != "kube-root-ca.crt" {
			out = append(out, name)
		}
	}
	for _, ct := range slices.Concat(c.Spec.InitContainers, c.Spec.Containers) {
		for _, f := range ct.EnvFrom {
			if f.ConfigMapRef != nil {
				add(f.ConfigMapRef.Name)
			}
		}
		for _, e := range ct.Env {
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				add(e.ValueFrom.ConfigMapKeyRef.Name)
			}
		}
	}
	for _, v := range c.Spec.Volumes {
		if v.ConfigMap != nil {
			add(v.ConfigMap.Name)
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.ConfigMap != nil {
					add(s.ConfigMap.Name)
				}
			}
		}
	}
	return out
}

// Previous returns the pod template that ran before the crashing one, nil when it is not known.
func (c *Case) Previous() *corev1.PodTemplateSpec {
	if c.Pod == nil {
		return nil
	}
	_, before, _, _ := c.revisions()
	return before
}

// rollback is the fix that goes back to the revision that ran, when the change was one of the template.
func (c *Case) rollback() (Fix, bool) {
	if c.change == nil || c.change.Object != objectOf(c.Subject) {
		return Fix{}, false
	}
	return Fix{Title: "Go back to the revision that ran before", Command: c.Kubectl("rollout", "undo", c.Target())}, true
}
