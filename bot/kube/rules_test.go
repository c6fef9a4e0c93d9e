package kube

import (
	"slices"
	"testing"

	"k8s.io/client-go/kubernetes/fake"
)

// What the watch follows is what Rules grants, no more and no less.
func TestRulesMatchWatchedKinds(t *testing.T) {
	pods, workloads := watchedKinds(fake.NewClientset())
	var want, have []string
	for _, k := range append(workloads, pods) {
		want = append(want, k.group+"/"+k.resource)
	}
	for _, r := range Rules() {
		for _, n := range r.Resources {
			have = append(have, r.APIGroups[0]+"/"+n)
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("Rules grants %v, the watch follows %v", have, want)
	}
}
