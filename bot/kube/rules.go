package kube

import rbacv1 "k8s.io/api/rbac/v1"

// Rules are what the bot's own ServiceAccount needs for the watch. What a View reads is declared by diagnose.Kinds.
func Rules() []rbacv1.PolicyRule {
	follow := []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: follow},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets", "statefulsets", "daemonsets"}, Verbs: follow},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: follow},
	}
}
