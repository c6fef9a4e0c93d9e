package diagnose

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// oldest is how old an edit can be that took effect only when the pod was started again.
const oldest = 30 * 24 * time.Hour

// configUse is how the pod's containers use a ConfigMap or Secret.
type configUse struct {
	kind      Kind
	name      string
	keys      []string // the keys that are used; nil for all
	atStart   bool     // environment or a subPath: an edit takes effect when a container starts
	container string   // that uses it; empty for several
}

// configUses are those of a pod, each ConfigMap and Secret once.
type configUses []configUse

func (all *configUses) add(kind Kind, name, key, container string, atStart bool) {
	if name == "" || name == "kube-root-ca.crt" {
		return
	}
	for i := range *all {
		u := &(*all)[i]
		if u.kind != kind || u.name != name {
			continue
		}
		u.atStart = u.atStart || atStart
		if key == "" || u.keys == nil {
			u.keys = nil
		} else {
			u.keys = append(u.keys, key)
		}
		if u.container != container {
			u.container = ""
		}
		return
	}
	u := configUse{kind: kind, name: name, atStart: atStart, container: container}
	if key != "" {
		u.keys = []string{key}
	}
	*all = append(*all, u)
}

// configUses lists the ConfigMaps and Secrets that the subject's container uses, or that of any container when there is no subject.
func (c *Case) configUses() configUses {
	var out configUses
	for _, r := range c.ConfigReferences() {
		if r.Volume == "" {
			out.add(r.Kind, r.Name, r.Key, r.Container, true)
			continue
		}
		for _, ct := range slices.Concat(c.Spec.InitContainers, c.Spec.Containers) {
			for _, m := range ct.VolumeMounts {
				if m.Name == r.Volume {
					out.add(r.Kind, r.Name, r.Key, ct.Name, m.SubPath+m.SubPathExpr != "")
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(u configUse) bool {
		return c.Subject.Container != "" && u.container != "" && u.container != c.Subject.Container
	})
}

// configEdits returns the edits of ConfigMaps and Secrets that the container uses, before its first crash and after something of the
// workload had run without them.
func (c *Case) configEdits(f *Finding, first time.Time) []candidate {
	var out []candidate
	w := c.Workload()
	if c.Pod == nil {
		return nil
	}
	for _, u := range c.configUses() {
		o, err := c.Get(u.kind, c.Subject.Namespace, u.name)
		if err != nil {
			continue
		}
		object := u.kind.Kind + "/" + c.Subject.Namespace + "/" + u.name
		at, by, keys := edited(o, first, dataKeys)
		says := "edited"
		if at.IsZero() {
			// Deleted and made anew under a pod that was there before.
			if at = o.GetCreationTimestamp().Time; !at.After(c.Pod.CreationTimestamp.Time) || at.After(first) {
				continue
			}
			by, says = madeBy(o), "created"
		}
		started := c.Pod.CreationTimestamp.Time
		before := started // something that ran without the edit
		if w != nil && w.GetCreationTimestamp().Time.Before(before) {
			before = w.GetCreationTimestamp().Time
		}
		age := first.Sub(at)
		tookEffect := started.Sub(at) > 5*time.Minute && first.Sub(started) < 15*time.Minute
		switch {
		case !at.After(before) || c.ranWith(at):
			continue
		case age > changeWindow && (!tookEffect || age > oldest):
			continue
		case u.keys != nil && len(keys) > 0 && !slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(u.keys, k) }):
			continue // keys that the container does not use
		}
		text := u.kind.Kind + " " + u.name + " " + says
		if len(keys) > 0 && (len(keys) == 1 || len(keys) < dataSize(o)) { // who owns all of them may have edited any
			text += " (" + strings.Join(keys[:min(len(keys), 5)], ", ")
			if len(keys) > 5 {
				text += ", and more"
			}
			text += ")"
		}
		sort := diffMount
		if u.atStart {
			sort = diffEnv
		}
		weight := max(c.bearing(f, difference{sort: sort, container: c.Subject.Container, text: text}), c.bearing(f, difference{sort: diffMount, container: c.Subject.Container, text: text}))
		if f.Root == object {
			weight = bearsDirectly
		}
		text += byWhom(by) + howLong(at, first)
		if tookEffect {
			text += "; it took effect when the pod was started again, " + Duration(started.Sub(at)) + " later"
		}
		out = append(out, candidate{Change: Change{Object: object, At: at.UTC(), Says: text}, weight: weight})
	}
	return out
}

// dataSize is how many keys a ConfigMap or Secret has.
func dataSize(o Object) int {
	switch o := o.(type) {
	case *corev1.ConfigMap:
		return len(o.Data) + len(o.BinaryData)
	case *corev1.Secret:
		return len(o.Data)
	}
	return 0
}

// dataKeys lists the keys of a ConfigMap or Secret that an entry of managedFields owns. An entry that tells no fields counts.
func dataKeys(f fieldSet) []string {
	if f == nil {
		return []string{}
	}
	var out []string
	for _, field := range []string{"f:data", "f:binaryData", "f:stringData"} {
		out = append(out, f.names(field)...)
	}
	return out
}

// ranWith says that the workload is known to have run with what its pods took at a start after that moment: then it did no harm.
func (c *Case) ranWith(at time.Time) bool {
	for _, p := range c.Siblings() {
		if p.CreationTimestamp.After(at.Add(time.Second)) && PodReady(p) {
			if l, _, _ := loops(p); !l {
				return true
			}
		}
	}
	versions, crashing := c.versions()
	for i, v := range versions {
		if i > crashing && !v.reused && v.created.After(at.Add(time.Minute)) && v.standing >= standingLived {
			return true
		}
	}
	return false
}
