package diagnose

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fieldSet is the set of fields that one manager owns, as fieldsV1 writes it: {"f:data":{"f:KEY":{}}}. It is nil when the entry holds none.
type fieldSet map[string]json.RawMessage

func readFields(f *metav1.FieldsV1) fieldSet {
	if f == nil {
		return nil
	}
	var out fieldSet
	if json.Unmarshal(f.GetRawBytes(), &out) != nil {
		return nil
	}
	return out
}

// at returns the set below a path.
func (f fieldSet) at(path ...string) fieldSet {
	for _, p := range path {
		raw, ok := f[p]
		if !ok {
			return nil
		}
		f = fieldSet{}
		if json.Unmarshal(raw, &f) != nil {
			return nil
		}
	}
	return f
}

// has says that the manager owns the field, or something below it.
func (f fieldSet) has(path ...string) bool {
	if len(path) == 0 {
		return true
	}
	_, ok := f.at(path[:len(path)-1]...)[path[len(path)-1]]
	return ok
}

// names lists the fields right below a path.
func (f fieldSet) names(path ...string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(f.at(path...))) {
		if name, ok := strings.CutPrefix(k, "f:"); ok {
			out = append(out, name)
		}
	}
	return out
}

// edited is when an object was last written before a moment and after it was created, by whom, and what of it, as far as managedFields
// tell. touches picks the fields that count, nil for an entry that does not; what the controllers of the cluster write never counts.
func edited(o Object, before time.Time, touches func(fieldSet) []string) (at time.Time, by string, what []string) {
	if o == nil {
		return at, "", nil
	}
	for _, m := range o.GetManagedFields() {
		if m.Time == nil || m.Subresource != "" && m.Subresource != "scale" || m.Time.After(before) || !m.Time.After(o.GetCreationTimestamp().Add(time.Second)) {
			continue
		}
		switch m.Manager {
		case "kube-controller-manager", "kube-scheduler", "kubelet":
			continue
		}
		if names := touches(readFields(m.FieldsV1)); names != nil && m.Time.After(at) {
			at, by, what = m.Time.Time, managerName(m.Manager), names
		}
	}
	return at, by, what
}

// madeBy is the manager that created an object, "" when managedFields do not tell.
func madeBy(o Object) string {
	for _, m := range o.GetManagedFields() {
		if m.Time != nil && m.Subresource == "" && m.Time.Sub(o.GetCreationTimestamp().Time).Abs() <= time.Second {
			return managerName(m.Manager)
		}
	}
	return ""
}

// managerName writes kubectl's field managers as the command that was typed.
func managerName(m string) string {
	switch m {
	case "kubectl-client-side-apply", "kubectl-last-applied", "kubectl":
		return "kubectl apply"
	case "kubectl-edit", "kubectl-set", "kubectl-patch", "kubectl-create", "kubectl-rollout", "kubectl-replace", "kubectl-scale", "kubectl-label", "kubectl-annotate":
		return strings.Replace(m, "-", " ", 1)
	case "argocd-controller", "argocd-application-controller":
		return "Argo CD"
	case "kustomize-controller", "helm-controller":
		return "Flux (" + m + ")"
	case "helm":
		return "Helm"
	}
	return Shorten(m, 60)
}

func byWhom(by string) string {
	if by == "" {
		return ""
	}
	return " by " + by
}
