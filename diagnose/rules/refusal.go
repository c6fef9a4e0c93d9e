package rules

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// refusals returns what is said about pods that cannot be created: FailedCreate events of the workload and its ReplicaSets, and the
// Deployment's condition ReplicaFailure.
func refusals(c *diagnose.Case) []statement {
	var out []statement
	if c.Pod != nil && c.Symptom.Condition != diagnose.CannotCreate {
		return nil
	}
	events := c.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if e := events[i]; e.Reason == "FailedCreate" && e.Kind != "Pod" {
			ev := e.Cite()
			out = append(out, statement{ev.Source, e.Reason, e.Message})
		}
	}
	var conditions []statement
	switch w := c.Workload().(type) {
	case *appsv1.Deployment:
		for _, cond := range w.Status.Conditions {
			if cond.Type == appsv1.DeploymentReplicaFailure && cond.Status == corev1.ConditionTrue {
				conditions = append(conditions, statement{"Deployment " + w.Name + " status.conditions[ReplicaFailure]", cond.Reason, cond.Message})
			}
		}
	case *appsv1.ReplicaSet:
		for _, cond := range w.Status.Conditions {
			if cond.Type == appsv1.ReplicaSetReplicaFailure && cond.Status == corev1.ConditionTrue {
				conditions = append(conditions, statement{"ReplicaSet " + w.Name + " status.conditions[ReplicaFailure]", cond.Reason, cond.Message})
			}
		}
	}
	return append(conditions, out...)
}
