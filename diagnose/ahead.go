package diagnose

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ahead returns reads with which a diagnosis of the symptom begins, whatever its cause: each of them asks a View for something and drops
// the answer. A View that remembers, and that can be asked by several goroutines, may be put to all of them at once, so that the
// diagnosis that follows need not wait for one answer after the other.
func (e *Engine) Ahead(symptom Symptom) []func(context.Context, View) {
	var out []func(context.Context, View)
	for _, read := range []func(*Case){
		(*Case).readAnyLog,
		func(c *Case) {
			if c.Pod != nil {
				c.EventsOf("Pod", c.Pod.Namespace, c.Pod.Name)
			}
		},
		func(c *Case) {
			if c.Pod == nil {
				return
			}
			if owner := metav1.GetControllerOf(c.Pod); owner != nil {
				c.EventsOf(owner.Kind, c.Subject.Namespace, owner.Name)
			}
		},
		func(c *Case) { c.EventsOf(c.Subject.Kind(), c.Subject.Namespace, c.Subject.Name()) },
		func(c *Case) { _, _ = c.read.list(Pods, c.Subject.Namespace, Where{}) },
		func(c *Case) { c.Node() },
		func(c *Case) {
			if c.Spec.NodeName != "" {
				c.EventsOf("Node", "", c.Spec.NodeName)
			}
		},
		func(c *Case) { c.Workload() },
		func(c *Case) {
			switch c.Subject.Kind() {
			case "Deployment":
				c.replicaSets()
			case "StatefulSet", "DaemonSet":
				_, _ = c.read.list(ControllerRevisions, c.Subject.Namespace, Where{})
			}
		},
	} {
		out = append(out, func(ctx context.Context, view View) {
			if c, err := e.open(newReader(ctx, view, e.options.Redact), symptom, 0, map[string]bool{}); err == nil {
				read(c)
			}
		})
	}
	return out
}

// readAnyLog asks for the log that the diagnosis reads first.
func (c *Case) readAnyLog() {
	if c.Pod != nil && c.Container != nil {
		_, _ = c.read.view.Log(c.read.ctx, c.logRequest(!c.endedUnrestarted()))
	}
}
