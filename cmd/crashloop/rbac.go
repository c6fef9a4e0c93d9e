package main

import (
	"cmp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/bot/kube"
	"crashloop/bot/state"
	"crashloop/diagnose"
)

// clusterRules are the bot's own rights in the whole cluster, put together from what each part declares: what a diagnosis may read, what
// the watch follows, what the actions change, and the question who may. deploy/rbac.yaml is generated from them.
func clusterRules() []rbacv1.PolicyRule {
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}}}
	for _, k := range diagnose.Kinds() {
		if k == diagnose.Secrets {
			continue // a right to read Secrets is a right to read their values
		}
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{k.Group}, Resources: []string{k.Resource}, Verbs: []string{"get", "list"}})
	}
	rules = append(rules, kube.Rules()...)
	rules = append(rules, access.Rules()...)
	rules = append(rules, action.ReaderRules()...)
	return merge(append(rules, action.Rules(action.All())...))
}

// ownRules are the bot's rights in the namespace that it runs in, where it keeps its state.
func ownRules() []rbacv1.PolicyRule { return merge(state.Rules()) }

// merge gives one rule to each set of verbs in a group, with everything sorted.
func merge(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	type resource struct{ group, name string }
	verbs := map[resource][]string{}
	for _, r := range rules {
		for _, g := range r.APIGroups {
			for _, n := range r.Resources {
				verbs[resource{g, n}] = append(verbs[resource{g, n}], r.Verbs...)
			}
		}
	}
	type set struct{ group, verbs string }
	names := map[set][]string{}
	for r, v := range verbs {
		slices.SortFunc(v, func(a, b string) int { return cmp.Compare(verbOrder(a), verbOrder(b)) })
		key := set{r.group, strings.Join(slices.Compact(v), " ")}
		names[key] = append(names[key], r.name)
	}
	var merged []rbacv1.PolicyRule
	for key, resources := range names {
		slices.Sort(resources)
		merged = append(merged, rbacv1.PolicyRule{APIGroups: []string{key.group}, Resources: resources, Verbs: strings.Fields(key.verbs)})
	}
	slices.SortFunc(merged, func(a, b rbacv1.PolicyRule) int {
		return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), slices.Compare(a.Verbs, b.Verbs), slices.Compare(a.Resources, b.Resources))
	})
	return merged
}

func verbOrder(verb string) int {
	return slices.Index([]string{"get", "list", "watch", "create", "update", "patch", "delete"}, verb)
}
