package access

import (
	"fmt"
	"strings"
)

// Permission is one thing that RBAC can allow: a verb on a resource. An empty Namespace means all namespaces, or a cluster-scoped
// resource; an empty Name means every object of the kind.
type Permission struct {
	Verb, Group, Resource, Subresource, Namespace, Name string
}

// String says the permission in words: patch deployments.apps/scale "web" in namespace shop.
func (p Permission) String() string {
	s := p.Verb + " " + p.resource()
	if p.Name != "" {
		s += fmt.Sprintf(" %q", p.Name)
	}
	if p.Namespace != "" {
		return s + " in namespace " + p.Namespace
	}
	return s + " in all namespaces"
}

// resource is written as kubectl's --resource wants it: deployments.apps/scale.
func (p Permission) resource() string {
	s := p.Resource
	if p.Group != "" {
		s += "." + p.Group
	}
	if p.Subresource != "" {
		s += "/" + p.Subresource
	}
	return s
}

// changes says whether the verb can change anything. What is not known to be reading counts as changing.
func (p Permission) changes() bool {
	switch p.Verb {
	case "get", "list", "watch":
		return false
	}
	return true
}

// list joins permissions into one phrase.
func list(all []Permission) string {
	words := make([]string, len(all))
	for i, p := range all {
		words[i] = p.String()
	}
	return strings.Join(words, ", nor ")
}
