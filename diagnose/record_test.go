package diagnose_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

// A pod that was taken away - its node is gone, a drain, a pod of higher priority - has not failed; one that the kubelet evicted has.
func TestDisruptedPodsHaveNotFailed(t *testing.T) {
	for reason, want := range map[string]bool{
		"DeletionByPodGC": false, "DeletionByTaintManager": false, "EvictionByEvictionAPI": false, "PreemptionByScheduler": false, "": true, "TerminationByKubelet": true,
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}
		if reason != "" {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason}}
		}
		if reason == "TerminationByKubelet" {
			pod.Status.Reason = "Evicted"
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "Error", FinishedAt: metav1.NewTime(time.Now())}}}}
		rec := diagnose.RecordPod(pod)
		if _, failed := diagnose.FailureOf(&rec, time.Now()); failed != want {
			t.Errorf("disruption %q: failed %t, want %t", reason, failed, want)
		}
	}
}
