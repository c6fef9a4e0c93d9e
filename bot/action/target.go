package action

import (
	"fmt"
	"slices"
	"strings"

	"crashloop/bot/access"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Target names the object that an action is for.
type Target struct {
	Kind      string // "Deployment"
	Namespace string
	Name      string
}

// String is Kind/namespace/name.
func (t Target) String() string { return t.Kind + "/" + t.Namespace + "/" + t.Name }

// Words is how people call it: Deployment shop/web.
func (t Target) Words() string { return t.Kind + " " + t.Namespace + "/" + t.Name }

// kubectl is the object as kubectl takes it: deployment/web.
func (t Target) kubectl() string { return strings.ToLower(t.Kind) + "/" + t.Name }

// resource is how the API serves a kind.
type resource struct{ kind, group, plural string }

// served lists the kinds that an action or a description can be asked for: those that run pods, and the few that a crash loop's chain
// names. Nodes are left out: their description lists pods of every namespace.
func served() []resource {
	return []resource{
		{"Deployment", "apps", "deployments"}, {"StatefulSet", "apps", "statefulsets"}, {"DaemonSet", "apps", "daemonsets"},
		{"CronJob", "batch", "cronjobs"}, {"Job", "batch", "jobs"}, {"ReplicaSet", "apps", "replicasets"}, {"Pod", "", "pods"},
		{"Service", "", "services"}, {"PersistentVolumeClaim", "", "persistentvolumeclaims"},
	}
}

// resource finds how the target's kind is served.
func (t Target) resource() (resource, bool) {
	all := served()
	i := slices.IndexFunc(all, func(r resource) bool { return r.kind == t.Kind })
	if i < 0 {
		return resource{}, false
	}
	return all[i], true
}

// Validate refuses what can be no name of an object, before anything is asked of the cluster.
func (t Target) Validate() error {
	if _, ok := t.resource(); !ok {
		return fmt.Errorf("%q is not a kind that Crashloop works on", t.Kind)
	}
	if why := validation.IsDNS1123Label(t.Namespace); len(why) > 0 {
		return fmt.Errorf("%q cannot be the name of a namespace: %s", t.Namespace, why[0])
	}
	if why := validation.IsDNS1123Subdomain(t.Name); len(why) > 0 {
		return fmt.Errorf("%q cannot be the name of an object: %s", t.Name, why[0])
	}
	return nil
}

// Permission is a verb on the target, or on a subresource of it.
func (t Target) Permission(verb, subresource string) access.Permission {
	r, _ := t.resource()
	return access.Permission{Verb: verb, Group: r.group, Resource: r.plural, Subresource: subresource, Namespace: t.Namespace, Name: t.Name}
}
