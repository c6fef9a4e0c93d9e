package kube

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTopmost(t *testing.T) {
	a := newAPI(t)
	job := func(name, cronJob string) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		if cronJob != "" {
			j.OwnerReferences = []metav1.OwnerReference{ownerRef("CronJob", cronJob)}
		}
		return j
	}
	rs := func(name, kind, of string) *appsv1.ReplicaSet {
		r := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		if of != "" {
			r.OwnerReferences = []metav1.OwnerReference{ownerRef(kind, of)}
		}
		return r
	}
	a.put(deployment("shop", "web", 1), job("backup-1", "backup"), job("once", ""),
		rs("canary-7c", "Rollout", "canary"), rs("lone", "", ""), rs("moved-5f", "Deployment", "other"), rs("lone-abc", "", ""))
	tests := []struct{ name, controller, want string }{
		{"web-5f-a", "ReplicaSet/web-5f", "Deployment/web"},
		{"canary-7c-a", "ReplicaSet/canary-7c", "ReplicaSet/canary-7c"},
		{"lone-a", "ReplicaSet/lone", "ReplicaSet/lone"},
		{"lone-abc-a", "ReplicaSet/lone-abc", "ReplicaSet/lone-abc"},
		{"moved-5f-a", "ReplicaSet/moved-5f", "Deployment/other"},
		{"deleted-5f-a", "ReplicaSet/deleted-5f", "Deployment/deleted"},
		{"backup-1-a", "Job/backup-1", "CronJob/backup"},
		{"once-a", "Job/once", "Job/once"},
		{"expired-a", "Job/expired", "Job/expired"},
		{"db-0", "StatefulSet/db", "StatefulSet/db"},
		{"agent-x", "DaemonSet/agent", "DaemonSet/agent"},
		{"rc-x", "ReplicationController/rc", "ReplicationController/rc"},
		{"bare", "", "Pod/bare"},
		{"etcd-node-1", "Node/node-1", "Pod/etcd-node-1"},
		{"clone-x", "CloneSet/clone", "Pod/clone-x"},
		{"volcano-0", "customJob/volcano", "Pod/volcano-0"},
	}
	for i, test := range tests {
		a.put(crashed(podOf("shop", test.name, test.controller, i+1), 1))
	}
	w, s, _ := begin(t, a, WatchOptions{})
	synced(t, w)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := s.pods[test.name].Workload; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	reads := 0
	for _, c := range a.called() {
		if strings.HasPrefix(c, "get ") {
			reads++
		}
	}
	if reads != 3 { // moved, deleted, expired: none for what the watch knows
		t.Errorf("%d reads for owners, want 3: %q", reads, a.called())
	}
	s.forget()
	a.put(crashed(podOf("shop", "canary-7c-b", "ReplicaSet/canary-7c", 90), 2))
	s.wait("canary-7c-b of ReplicaSet/canary-7c ")
	if got := w.PodsOf("shop", "ReplicaSet/canary-7c"); len(got) != 2 {
		t.Errorf("the ReplicaSet has %d pods, want 2", len(got))
	}
	if rec, ok := w.Workload("shop", "ReplicaSet/lone"); !ok || rec.Desired != 1 {
		t.Errorf("the record of a ReplicaSet of nobody's is %+v", rec)
	}
	if rec, ok := w.Workload("shop", "ReplicaSet/canary-7c"); !ok || rec.Owner != "" {
		t.Errorf("the record of a Rollout's ReplicaSet is %+v", rec)
	}
	w.workloads.mu.Lock()
	defer w.workloads.mu.Unlock()
	for k, r := range w.workloads.all {
		if strings.HasPrefix(k.workload, "ReplicaSet/") && r.Owner != "" {
			t.Errorf("%s of %s is kept", k.workload, r.Owner)
		}
	}
}
