package diagnose

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestSymptomSaysHowOften(t *testing.T) {
	for restarts, want := range map[int32]string{
		0: "container web ends with exit code 1",
		1: "container web ends with exit code 1, restarted once",
		2: "container web ends with exit code 1, restarted twice",
		7: "container web ends with exit code 1, restarted 7 times",
	} {
		ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}
		c := &Case{
			Subject: Subject{Namespace: "shop", Workload: "Deployment/web", Container: "web", ContainerType: App},
			Pod:     &corev1.Pod{}, Status: &corev1.ContainerStatus{Name: "web", RestartCount: restarts, State: ended},
		}
		if got := c.symptomSays(); got != want {
			t.Errorf("after %d restarts: %q, want %q", restarts, got, want)
		}
	}
}
