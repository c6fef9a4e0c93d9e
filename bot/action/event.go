package action

import (
	"context"
	"fmt"
	"time"

	"crashloop/bot/access"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// event leaves an Event on the object that was changed, so that kubectl describe shows who did it. That it could not be written is logged
// only: the change has been made, and its audit line stands.
func (r *Runner) event(ctx context.Context, a Action, q Request, id access.Identity) {
	w := work{client: r.o.Client, target: q.Target}
	on, err := w.get(ctx)
	if err == nil {
		now := metav1.NewTime(time.Now())
		_, err = r.o.Client.CoreV1().Events(q.Target.Namespace).Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: cut(q.Target.Name, 200) + ".", Namespace: q.Target.Namespace},
			InvolvedObject: corev1.ObjectReference{
				APIVersion: "apps/v1", Kind: q.Target.Kind, Namespace: q.Target.Namespace, Name: q.Target.Name,
				UID: on.GetUID(), ResourceVersion: on.GetResourceVersion(),
			},
			Type: corev1.EventTypeNormal, Reason: a.reason, Action: a.reason,
			Message:        fmt.Sprintf("%s, from Slack, as %s", stamp(a.Name, q.Person, id.String(), now.Time), cut(id.String(), 200)),
			Source:         corev1.EventSource{Component: "crashloop"},
			FirstTimestamp: now, LastTimestamp: now, Count: 1,
			ReportingController: "crashloop", ReportingInstance: cut(r.o.Instance, 128),
		}, metav1.CreateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		r.o.Log.Warn("no Event could be left on what was changed", "target", q.Target.String(), "error", err)
	}
}
