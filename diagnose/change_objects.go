package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// objectChanges returns the changes of the other objects that the failure leads to: of the workload at the chain's end, of the objects on
// the way there, and of how many pods are wanted where that is what does not fit.
func (c *Case) objectChanges(f *Finding, first time.Time) []candidate {
	var out []candidate
	take := func(k candidate, ok bool) {
		if ok && !k.At.IsZero() && !k.At.After(first) && first.Sub(k.At) <= changeWindow {
			out = append(out, k)
		}
	}
	if f.elsewhere != nil && f.elsewhere.Change != nil {
		take(candidate{Change: *f.elsewhere.Change, weight: bearsDirectly}, true)
	}
	objects := []string{f.Root}
	for _, l := range f.Chain {
		if !slices.Contains(objects, l.Object) {
			objects = append(objects, l.Object)
		}
	}
	for _, object := range objects {
		if !c.isOther(object) {
			continue
		}
		k, ok := c.objectChange(f, object, first)
		if k.weight = bearsWell; object == f.Root {
			k.weight = bearsDirectly
		}
		take(k, ok)
	}
	switch f.Cause {
	case "node.unschedulable", "dependency.admission-rejected", "volume.multi-attach", "resources.oom-node":
		if f.elsewhere == nil {
			take(c.scaledUp(first))
		}
	}
	return out
}

// objectChange is the last change of one object, "Kind/namespace/name", before the first crash.
func (c *Case) objectChange(f *Finding, object string, first time.Time) (candidate, bool) {
	parts := strings.SplitN(object, "/", 3)
	if len(parts) != 3 {
		return candidate{}, false
	}
	i := slices.IndexFunc(Kinds(), func(k Kind) bool { return k.Kind == parts[0] })
	if i < 0 {
		return candidate{}, false
	}
	kind := Kinds()[i]
	switch kind {
	case Pods, Nodes, ConfigMaps, Secrets: // pods change with their workload; the others are looked at on their own
		return candidate{}, false
	}
	o, err := c.Get(kind, parts[1], parts[2])
	if err != nil {
		return candidate{}, false
	}
	switch kind {
	case Deployments, StatefulSets, DaemonSets:
		if kind != DaemonSets && replicas(o) == 0 {
			return c.scaledDown(kind, o, first)
		}
		if f.elsewhere == nil {
			return c.rolledOut(f, kind, o, first)
		}
		return candidate{}, false
	}
	at, by, what := edited(o, first, touches(kind))
	if len(what) > 1 && kind != Namespaces && kind != ServiceAccounts && wroteWhole(o, at) {
		what = nil
	}
	says := kind.Kind + " " + parts[2]
	switch {
	case !at.IsZero():
		says += " edited"
		if len(what) > 0 {
			says += " (" + strings.Join(what[:min(len(what), 5)], ", ") + ")"
		}
	case restricts(kind):
		w := c.Workload()
		if at = o.GetCreationTimestamp().Time; w == nil || !at.After(w.GetCreationTimestamp().Time) {
			return candidate{}, false
		}
		by = madeBy(o)
		says += " created"
	default:
		return candidate{}, false
	}
	return candidate{Change: Change{Object: object, At: at.UTC(), Says: says + byWhom(by) + howLong(at, first)}}, true
}

// wroteWhole says that who wrote at that time owns fields of the object's metadata, too, as whoever applies a whole manifest does: then it owns
// more than it changed.
func wroteWhole(o Object, at time.Time) bool {
	for _, m := range o.GetManagedFields() {
		if m.Time != nil && m.Time.Time.Equal(at) && readFields(m.FieldsV1).has("f:metadata") {
			return true
		}
	}
	return false
}

// touches picks the fields of a kind whose edit can break what depends on it.
func touches(kind Kind) func(fieldSet) []string {
	path, only := []string{"f:spec"}, ""
	switch kind {
	case ResourceQuotas:
		path = []string{"f:spec", "f:hard"}
	case Namespaces:
		path, only = []string{"f:metadata", "f:labels"}, "pod-security.kubernetes.io/"
	case ServiceAccounts:
		path = []string{"f:metadata", "f:annotations"}
	case StorageClasses:
		return func(f fieldSet) []string {
			var out []string
			for _, field := range []string{"provisioner", "parameters", "volumeBindingMode", "allowedTopologies", "reclaimPolicy"} {
				if f.has("f:" + field) {
					out = append(out, field)
				}
			}
			if f.has("f:metadata", "f:annotations", "f:storageclass.kubernetes.io/is-default-class") {
				out = append(out, "whether it is the default")
			}
			return out
		}
	case ValidatingWebhooks, MutatingWebhooks:
		return func(f fieldSet) []string {
			if f.has("f:webhooks") {
				return []string{"webhooks"}
			}
			return nil
		}
	}
	return func(f fieldSet) []string {
		var out []string
		for _, name := range f.names(path...) {
			if name != "kubectl.kubernetes.io/last-applied-configuration" && strings.HasPrefix(name, only) {
				out = append(out, name)
			}
		}
		return out
	}
}

// restricts says that an object of this kind forbids things merely by being there.
func restricts(kind Kind) bool {
	switch kind {
	case NetworkPolicies, ResourceQuotas, LimitRanges, ValidatingWebhooks, MutatingWebhooks, Ingresses:
		return true
	}
	return false
}

// scaledDown is when and by whom a workload was scaled to zero.
func (c *Case) scaledDown(kind Kind, o Object, first time.Time) (candidate, bool) {
	at, by := replicasEdited(o, first)
	if at.IsZero() {
		for _, e := range c.EventsOf(kind.Kind, o.GetNamespace(), o.GetName()) {
			if e.Reason == "ScalingReplicaSet" && strings.HasSuffix(e.Message, " to 0") && !e.Last.After(first) {
				at = e.Last
			}
		}
	}
	if at.IsZero() {
		return candidate{}, false
	}
	object := kind.Kind + "/" + o.GetNamespace() + "/" + o.GetName()
	return candidate{Change: Change{Object: object, At: at.UTC(), Says: o.GetName() + " scaled to 0" + byWhom(by) + howLong(at, first)}}, true
}

func replicasEdited(o Object, first time.Time) (time.Time, string) {
	at, by, _ := edited(o, first, func(f fieldSet) []string {
		if f.has("f:spec", "f:replicas") {
			return []string{"replicas"}
		}
		return nil
	})
	return at, by
}

// rolledOut is the last rollout of another workload: what differs in its template from the revision that ran before.
func (c *Case) rolledOut(f *Finding, kind Kind, o Object, first time.Time) (candidate, bool) {
	if c.depth >= c.engine.options.Depth {
		return candidate{}, false
	}
	sub, err := c.engine.open(c.read, Symptom{Subject: Subject{Cluster: c.Subject.Cluster, Namespace: o.GetNamespace(), Workload: kind.Kind + "/" + o.GetName()}}, c.depth+1, c.visited)
	if err != nil || sub.Pod == nil {
		return candidate{}, false
	}
	r := sub.rollout()
	if r == nil || r.at.After(first) {
		return candidate{}, false
	}
	says := o.GetName() + ": " + sayDiff(r.diff)
	if r.by != "" {
		says += ", by " + r.by
	}
	return candidate{Change: Change{Object: kind.Kind + "/" + o.GetNamespace() + "/" + o.GetName(), At: r.at.UTC(), Says: says + howLong(r.at, first)}}, f.Cause != "dependency.pod-pending" || anyOf(r.diff, diffMemory, diffCPU, diffPlace, diffMount, diffDisk)
}

func anyOf(diff []difference, sorts ...string) bool {
	return slices.ContainsFunc(diff, func(d difference) bool { return slices.Contains(sorts, d.sort) })
}

// scaledUp is the last time that more pods were asked for, by a HorizontalPodAutoscaler or by a person.
func (c *Case) scaledUp(first time.Time) (candidate, bool) {
	if h := c.autoscaler(c.Subject.Namespace, c.Subject.Workload); h != nil {
		for _, e := range slices.Backward(c.EventsOf(HorizontalPodAutoscalers.Kind, c.Subject.Namespace, h.Name)) {
			if e.Reason == "SuccessfulRescale" && e.Has("above target", "below spec.minReplicas") && !e.Last.After(first) && first.Sub(e.Last) <= nearWindow {
				return candidate{Change: Change{Object: HorizontalPodAutoscalers.Kind + "/" + c.Subject.Namespace + "/" + h.Name, At: e.Last.UTC(),
					Says: "HorizontalPodAutoscaler " + h.Name + " asked for more pods (" + Shorten(strings.TrimSpace(e.Message), 120) + ")" + howLong(e.Last, first)}, weight: bearsWell}, true
			}
		}
	}
	w := c.Workload()
	if w == nil || replicas(w) < 2 {
		return candidate{}, false
	}
	at, by := replicasEdited(w, first)
	// An apply that writes the whole spec tells nothing of the number of pods.
	if at.IsZero() || first.Sub(at) > nearWindow || !scaleAlone(w, at) {
		return candidate{}, false
	}
	return candidate{Change: Change{Object: objectOf(c.Subject), At: at.UTC(), Says: fmt.Sprintf("scaled to %d replicas%s%s", replicas(w), byWhom(by), howLong(at, first))}, weight: bearsWell}, true
}

// scaleAlone says that the write at that time was of the number of replicas and not of the template.
func scaleAlone(o Object, at time.Time) bool {
	for _, m := range o.GetManagedFields() {
		if m.Time != nil && m.Time.Time.Equal(at) {
			f := readFields(m.FieldsV1)
			return f.has("f:spec", "f:replicas") && !f.has("f:spec", "f:template")
		}
	}
	return false
}

// autoscaler returns the HorizontalPodAutoscaler of a workload, "Deployment/web"; nil when it has none.
func (c *Case) autoscaler(namespace, workload string) *autoscalingv2.HorizontalPodAutoscaler {
	for h := range typed[*autoscalingv2.HorizontalPodAutoscaler](c, HorizontalPodAutoscalers, namespace) {
		if h.Spec.ScaleTargetRef.Kind+"/"+h.Spec.ScaleTargetRef.Name == workload {
			return h
		}
	}
	return nil
}

// citeAutoscaler says what a HorizontalPodAutoscaler has to do with it: that it cannot add pods where more are needed, or that it does not
// scale a dependency up again that was scaled to zero.
func (c *Case) citeAutoscaler(f *Finding) []Evidence {
	namespace, workload := c.Subject.Namespace, c.Subject.Workload
	reason := "TooManyReplicas"
	switch f.Cause {
	case "resources.cpu-throttled", "resources.oom-limit", "resources.oom-leak", "probe.timeout":
	case "dependency.no-endpoints":
		kind, rest, _ := strings.Cut(f.Root, "/")
		ns, name, _ := strings.Cut(rest, "/")
		if kind != "Deployment" && kind != "StatefulSet" {
			return nil
		}
		namespace, workload, reason = ns, kind+"/"+name, "ScalingDisabled"
	default:
		return nil
	}
	h := c.autoscaler(namespace, workload)
	if h == nil {
		return nil
	}
	for _, cond := range h.Status.Conditions {
		if cond.Reason != reason {
			continue
		}
		source := "HorizontalPodAutoscaler " + h.Namespace + "/" + h.Name + " status"
		switch {
		case cond.Type == autoscalingv2.ScalingLimited && cond.Status == corev1.ConditionTrue && h.Status.CurrentReplicas >= h.Spec.MaxReplicas:
			return []Evidence{{Source: source, Text: fmt.Sprintf("it is at its maximum of %d replicas and adds no more", h.Spec.MaxReplicas)}}
		case cond.Type == autoscalingv2.ScalingActive && cond.Status == corev1.ConditionFalse:
			return []Evidence{{Source: source, Text: "it does not scale from zero: " + Shorten(strings.TrimSpace(cond.Message), 160)}}
		}
	}
	return nil
}
