package rules

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crashloop/diagnose"
)

// awaited is an object that an operator waits for before it can make a Secret.
type awaited struct {
	kind diagnose.Kind
	name string
	link diagnose.Link
	// failed says that it tells of a failure, and not only that it is under way.
	failed bool
}

func (a awaited) describe(c *diagnose.Case) string {
	return a.kubectl(c, "describe", a.kind.Resource, a.name)
}

func (a awaited) list(c *diagnose.Case) string { return a.kubectl(c, "get", a.kind.Resource) }

func (a awaited) kubectl(c *diagnose.Case, args ...string) string {
	if !a.kind.Namespaced {
		return diagnose.Kubectl("", args...)
	}
	return c.Kubectl(args...)
}

// behind follows an ExternalSecret or Certificate whose Secret is not made to what it waits for, as far as that can be seen: its store; its
// issuer, or the request, the ACME order and the challenge that do not come to an end.
func behind(c *diagnose.Case, kind diagnose.Kind, u *unstructured.Unstructured) []awaited {
	said := strings.Join(conditionTexts(u), "\n")
	switch kind {
	case diagnose.ExternalSecrets:
		return source(c, u, []string{"spec", "secretStoreRef"}, diagnose.SecretStores, diagnose.ClusterSecretStores, said)
	case diagnose.Certificates:
		request := ownedByNewest(c, diagnose.CertificateRequests, "Certificate", u.GetName())
		if request != nil {
			said += "\n" + strings.Join(conditionTexts(request), "\n")
		}
		if group, _, _ := unstructured.NestedString(u.Object, "spec", "issuerRef", "group"); group == "" || group == diagnose.Issuers.Group {
			if issuer := source(c, u, []string{"spec", "issuerRef"}, diagnose.Issuers, diagnose.ClusterIssuers, said); issuer != nil {
				return issuer
			}
		}
		return issuance(c, request)
	}
	return nil
}

// source is the store or issuer that an object refers to, when it is not ready or does not exist. That it does not exist is taken from said,
// which is what the operator says, or from others of its kind that can be seen.
func source(c *diagnose.Case, u *unstructured.Unstructured, path []string, local, cluster diagnose.Kind, said string) []awaited {
	ref, _, _ := unstructured.NestedStringMap(u.Object, path...)
	name, kind, namespace := ref["name"], local, c.Subject.Namespace
	if ref["kind"] == cluster.Kind {
		kind, namespace = cluster, ""
	}
	if name == "" || ref["kind"] != "" && ref["kind"] != kind.Kind {
		return nil
	}
	a := awaited{kind: kind, name: name, failed: true, link: diagnose.Link{Object: kind.Kind + "/" + namespace + "/" + name}}
	o, err := c.Get(kind, namespace, name)
	if err != nil {
		others, _ := c.List(kind, namespace)
		if !c.Missing(kind, namespace, name) || len(others) == 0 && !strings.Contains(said, `"`+name+`" not found`) {
			return nil
		}
		a.link.Says = "does not exist"
		return []awaited{a}
	}
	s, ok := o.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	message := ""
	for _, cond := range conditionsOf(s) {
		if cond["type"] == "Ready" && cond["status"] == "False" {
			message = firstOf(textOf(cond["message"]), textOf(cond["reason"]))
		}
	}
	if message == "" {
		return nil
	}
	a.link.Says = "is not ready: " + diagnose.Shorten(message, 200)
	return []awaited{a}
}

// issuance follows a request for a certificate that does not come to an end, through the ACME order to the challenge.
func issuance(c *diagnose.Case, request *unstructured.Unstructured) []awaited {
	if request == nil {
		return nil
	}
	a := awaited{kind: diagnose.CertificateRequests, name: request.GetName(), link: diagnose.Link{Object: objectName(request)}}
	for _, cond := range conditionsOf(request) {
		text := diagnose.Shorten(firstOf(textOf(cond["message"]), textOf(cond["reason"])), 200)
		switch kind, status := cond["type"], cond["status"]; {
		case kind == "Ready" && status == "True":
			return nil
		case kind == "Denied" && status == "True":
			a.link.Says, a.failed = "was denied: "+text, true
		case kind == "InvalidRequest" && status == "True":
			a.link.Says, a.failed = "is not valid: "+text, true
		case kind == "Ready" && a.link.Says == "":
			a.link.Says, a.failed = firstOf(text, "is not done"), cond["reason"] == "Failed"
		}
	}
	out := []awaited{a}
	order := ownedByNewest(c, diagnose.Orders, "CertificateRequest", request.GetName())
	if order == nil {
		return out
	}
	state, reason := stateOf(order)
	if state == "valid" {
		return out
	}
	out = append(out, awaited{kind: diagnose.Orders, name: order.GetName(), failed: reason != "" || state == "invalid" || state == "errored",
		link: diagnose.Link{Object: objectName(order), Says: "is " + withReason(firstOf(state, "pending"), reason)}})
	challenges := ownedBy(c, diagnose.Challenges, "Order", order.GetName())
	i := slices.IndexFunc(challenges, func(u *unstructured.Unstructured) bool {
		state, reason := stateOf(u)
		return state != "valid" && reason != ""
	})
	if i < 0 {
		return out
	}
	u := challenges[i]
	state, reason = stateOf(u)
	says := "is " + withReason(firstOf(state, "pending"), reason)
	if host, _, _ := unstructured.NestedString(u.Object, "spec", "dnsName"); host != "" {
		says = "for " + diagnose.Shorten(host, 100) + " " + says
	}
	return append(out, awaited{kind: diagnose.Challenges, name: u.GetName(), failed: true, link: diagnose.Link{Object: objectName(u), Says: says}})
}

func stateOf(u *unstructured.Unstructured) (state, reason string) {
	state, _, _ = unstructured.NestedString(u.Object, "status", "state")
	reason, _, _ = unstructured.NestedString(u.Object, "status", "reason")
	return diagnose.Shorten(state, 30), reason
}

func withReason(state, reason string) string {
	if reason == "" {
		return state
	}
	return fmt.Sprintf("%s: %s", state, diagnose.Shorten(reason, 200))
}

func objectName(u *unstructured.Unstructured) string {
	return u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
}

// ownedBy lists the objects of a kind that an object of the subject's namespace controls, the newest first.
func ownedBy(c *diagnose.Case, kind diagnose.Kind, ownerKind, owner string) []*unstructured.Unstructured {
	objects, _ := c.List(kind, c.Subject.Namespace)
	var out []*unstructured.Unstructured
	for _, o := range objects {
		if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == ownerKind && ref.Name == owner {
			if u, ok := o.(*unstructured.Unstructured); ok {
				out = append(out, u)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int {
		return b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time)
	})
	return out
}

func ownedByNewest(c *diagnose.Case, kind diagnose.Kind, ownerKind, owner string) *unstructured.Unstructured {
	if all := ownedBy(c, kind, ownerKind, owner); len(all) > 0 {
		return all[0]
	}
	return nil
}

func conditionsOf(u *unstructured.Unstructured) []map[string]any {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var out []map[string]any
	for _, x := range list {
		if cond, ok := x.(map[string]any); ok {
			out = append(out, cond)
		}
	}
	return out
}

func conditionTexts(u *unstructured.Unstructured) []string {
	var out []string
	for _, cond := range conditionsOf(u) {
		out = append(out, textOf(cond["message"]))
	}
	return out
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}
