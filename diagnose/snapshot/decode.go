package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// objectKey tells objects apart. The version is no part of it: one object can be written in several.
type objectKey struct{ group, kind, namespace, name string }

// document is one object with what decides between duplicates.
type document struct {
	object    diagnose.Object
	hasStatus bool
	version   uint64 // metadata.resourceVersion where it is a number
}

// outline is what is read of a document before its kind is known.
type outline struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Items      []json.RawMessage `json:"items"`
	Metadata   struct {
		Name            string `json:"name"`
		Namespace       string `json:"namespace"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Status json.RawMessage `json:"status"`
}

// add takes one document: an object, a list of objects, or something else, which is noted and left out.
func (r *reader) add(at place, raw json.RawMessage) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return // nothing but comments
	}
	if raw[0] == '[' {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			r.fail(at, err)
			return
		}
		r.addItems(at, items, "", "")
		return
	}
	r.addObject(at, raw, "", "")
}

// addItems takes the items of a list. kubectl's own typed lists (PodList) leave the kind out of their items.
func (r *reader) addItems(at place, items []json.RawMessage, apiVersion, kind string) {
	for i, item := range items {
		at.item = i + 1
		r.addObject(at, item, apiVersion, kind)
	}
}

func (r *reader) addObject(at place, raw json.RawMessage, apiVersion, kind string) {
	var o outline
	// A field of another type than expected is found again below, with the object's name.
	_ = json.Unmarshal(raw, &o)
	if o.APIVersion == "" && o.Kind == "" {
		o.APIVersion, o.Kind = apiVersion, kind
	}
	if o.APIVersion == "" || o.Kind == "" {
		r.notes(fmt.Sprintf("%s: skipped, it has no apiVersion and kind", at))
		return
	}
	r.any = true
	if strings.HasSuffix(o.Kind, "List") && o.Metadata.Name == "" { // its items may be null
		itemVersion, itemKind := o.APIVersion, strings.TrimSuffix(o.Kind, "List")
		if itemKind == "" {
			itemVersion = ""
		}
		r.addItems(at, o.Items, itemVersion, itemKind)
		return
	}
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	if err != nil {
		r.fail(at, fmt.Errorf("apiVersion %q of a %s is malformed", o.APIVersion, o.Kind))
		return
	}
	if o.Metadata.Name == "" {
		r.notes(fmt.Sprintf("%s: skipped, this %s has no metadata.name", at, o.Kind))
		return
	}
	gvk := served(gv.WithKind(o.Kind))
	obj, err := decode(r.schemes, gvk, raw)
	if err != nil {
		r.fail(at, fmt.Errorf("%s %q: %w", o.Kind, joinName(o.Metadata.Namespace, o.Metadata.Name), err))
		return
	}
	gvk = obj.GetObjectKind().GroupVersionKind() // an Event of events.k8s.io has become one of core/v1
	if obj.GetNamespace() == "" && kindOf(gvk.GroupKind()).Namespaced {
		obj.SetNamespace(corev1.NamespaceDefault) // as kubectl does
	}
	r.newest = latest(r.newest, raw)
	r.keep(gvk, obj, &o)
}

// keep stores an object unless a better copy of it is there: one with a status is better than one without, then the newer one.
func (r *reader) keep(gvk schema.GroupVersionKind, obj diagnose.Object, o *outline) {
	key := objectKey{gvk.Group, gvk.Kind, obj.GetNamespace(), obj.GetName()}
	doc := &document{object: obj, hasStatus: hasContent(o.Status)}
	doc.version, _ = strconv.ParseUint(o.Metadata.ResourceVersion, 10, 64)
	old, ok := r.found[key]
	if ok && (old.hasStatus && !doc.hasStatus || old.hasStatus == doc.hasStatus && old.version > doc.version) {
		return
	}
	r.found[key] = doc
}

func hasContent(status json.RawMessage) bool {
	s := strings.TrimSpace(string(status))
	return s != "" && s != "null" && s != "{}"
}

// served gives the group and version under which Kubernetes 1.36 serves a kind, so that dumps of older clusters are found too. The
// older versions named here differ from the newer in no field that a diagnosis reads.
func served(gvk schema.GroupVersionKind) schema.GroupVersionKind {
	switch {
	case gvk.Group == "extensions" && gvk.Kind == "Ingress", gvk.Group == "extensions" && gvk.Kind == "NetworkPolicy":
		gvk.Group, gvk.Version = "networking.k8s.io", "v1"
	case gvk.Group == "extensions":
		gvk.Group, gvk.Version = "apps", "v1"
	case gvk.Group == "apps", gvk.Group == "batch", gvk.Group == "storage.k8s.io", gvk.Group == "policy", gvk.Group == "rbac.authorization.k8s.io":
		if strings.Contains(gvk.Version, "beta") {
			gvk.Version = "v1"
		}
	}
	return gvk
}

// decode makes the object: typed where the kind is built in, unstructured otherwise or where the version is one that the types do not
// know.
func decode(schemes schemes, gvk schema.GroupVersionKind, raw json.RawMessage) (diagnose.Object, error) {
	if gvk.Group == "events.k8s.io" && gvk.Kind == "Event" {
		return decodeNewEvent(raw)
	}
	typed := schemes.newTyped(gvk)
	if typed == nil {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			// An item of a typed list carries no kind of its own.
			var content map[string]any
			if json.Unmarshal(raw, &content) != nil {
				return nil, err
			}
			content["apiVersion"], content["kind"] = gvk.GroupVersion().String(), gvk.Kind
			whole, _ := json.Marshal(content)
			if err := u.UnmarshalJSON(whole); err != nil {
				return nil, err
			}
		}
		u.SetGroupVersionKind(gvk)
		return u, nil
	}
	if err := json.Unmarshal(raw, typed); err != nil {
		return nil, decodeError(err)
	}
	typed.GetObjectKind().SetGroupVersionKind(gvk)
	if secret, ok := typed.(*corev1.Secret); ok {
		diagnose.StripSecret(secret)
	}
	return typed, nil
}

// decodeError says which field is wrong, in the words of the manifest rather than of Go.
func decodeError(err error) error {
	if m, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && m.Field != "" {
		return fmt.Errorf("field %s is a %s, which does not fit there", m.Field, m.Value)
	}
	return err
}
