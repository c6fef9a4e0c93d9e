package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/notify/workspace"
)

// The first story: a crash, the thread, the Restart button, the rollout that follows, and who did it, everywhere where that is kept.
func TestCrashThreadRestart(t *testing.T) {
	t.Parallel()
	crashThreadRestart(newStage(t, staging{}))
}

func crashThreadRestart(s *stage) {
	t := s.t
	th := s.crashing(s.ns, "web")
	contains(t, "the root", th.root.Visible(), "Crash loop: "+s.ns+"/web", "Certain: app.panic", "Deployment/web")
	contains(t, "the diagnosis", th.replies[0].Visible(), "panic: runtime error: invalid memory address or nil pointer dereference")
	before := s.deployment(s.ns, "web")

	confirm, err := s.slack.As(alice).Click(incidents, th.root.TS, "restart")
	if err != nil {
		t.Fatal(err)
	}
	if confirm == nil {
		t.Fatal("Restart changes the cluster and asks nobody to confirm")
	}
	contains(t, "the confirm dialog", confirm.Title+"\n"+confirm.ConfirmDialog.Text, s.ns+"/web", "Replaces every pod")
	if s.deployment(s.ns, "web").Generation != before.Generation {
		t.Fatal("the cluster changed before anybody confirmed")
	}
	answer := s.answerTo(alice, "Restart", confirm.Yes)
	contains(t, "the answer", answer, "you restarted Deployment "+s.ns+"/web")

	after := s.deployment(s.ns, "web")
	if after.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Errorf("the template has no kubectl.kubernetes.io/restartedAt: %v", after.Spec.Template.Annotations)
	}
	contains(t, "the annotation of who did it", after.Annotations["crashloop/last-action"], "restart", "alice")
	for key := range after.Spec.Template.Annotations {
		if strings.HasPrefix(key, "crashloop/") {
			t.Errorf("the bot wrote %s on the template", key)
		}
	}
	eventually(t, "the second ReplicaSet", func(context.Context) error {
		if n := s.revisions(s.ns, "web"); n != 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	did := "restarted Deployment " + s.ns + "/web"
	th = s.waitThread(s.ns, "web", did)
	named := false
	for _, m := range th.replies {
		// It mentions her by her id, which Slack shows as her name.
		named = named || strings.Contains(m.Visible(), did) && strings.Contains(m.Visible(), "<@"+alice+">")
	}
	if !named {
		t.Errorf("no line in the thread names alice:\n%s", th.text())
	}
	s.wantEvent(s.ns, "web", "Restarted", "alice")
	s.wantAudit("restart", "Deployment/"+s.ns+"/web", alice, "begin", "end done")
}

// wantEvent waits for an Event of the bot's on a Deployment.
func (s *stage) wantEvent(namespace, name, reason, who string) {
	s.t.Helper()
	eventually(s.t, "the Event "+reason+" on the object", func(ctx context.Context) error {
		all, err := s.client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name + ",reason=" + reason})
		if err != nil {
			return err
		}
		for _, e := range all.Items {
			if strings.Contains(e.Message, who) && e.InvolvedObject.UID != "" {
				return nil
			}
		}
		return fmt.Errorf("%d Events, none of which names %s", len(all.Items), who)
	})
}

// wantAudit looks at what the audit file says of one person's action, in order, as "phase outcome".
func (s *stage) wantAudit(action, target, who string, want ...string) {
	s.t.Helper()
	var have []string
	for _, a := range readAudit(s.t, s.audit) {
		if a.Action == action && a.Target == target && a.Person == who {
			have = append(have, strings.TrimSpace(a.Phase+" "+a.Outcome))
		}
	}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		s.t.Errorf("the audit file says %q of %s on %s by %s, not %q", have, action, target, who, want)
	}
}

// change is one way to change the cluster, by a button or by a command.
type change struct {
	action string
	// changed says whether it was done.
	changed func(s *stage, namespace, name string) error
}

var changes = []change{
	{"restart", func(s *stage, ns, name string) error {
		if s.deployment(ns, name).Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
			return fmt.Errorf("%s was not restarted", name)
		}
		return nil
	}},
	{"scale-to-zero", func(s *stage, ns, name string) error {
		if n := *s.deployment(ns, name).Spec.Replicas; n != 0 {
			return fmt.Errorf("%s has %d replicas", name, n)
		}
		return nil
	}},
	{"scale-back", func(s *stage, ns, name string) error {
		if n := *s.deployment(ns, name).Spec.Replicas; n != 3 {
			return fmt.Errorf("%s has %d replicas", name, n)
		}
		return nil
	}},
}

// Who may, by each of the two ways. The workload has three replicas, which come back after it was scaled to zero.
func TestChangesByButtonAndCommand(t *testing.T) {
	t.Parallel()
	changesByButtonAndCommand(newStage(t, staging{}))
}

func changesByButtonAndCommand(s *stage) {
	t := s.t
	for _, name := range []string{"button", "command"} {
		s.apply(workload{namespace: s.ns, name: name, replicas: 3, does: nilPointer}.manifest())
		s.apply(workload{namespace: s.other, name: name, replicas: 3, does: nilPointer}.manifest())
	}
	for _, name := range []string{"button", "command"} {
		for _, ns := range []string{s.ns, s.other} {
			s.waitDiagnosed(ns, name, "app.panic")
		}
	}
	do := func(way, who, ns, action string) string {
		if way == "command" {
			return s.command(who, action+" "+ns+"/command")
		}
		th, _ := threadOf(s.slack.Snapshot(), ns, "button")
		if action != "scale-back" {
			return s.press(who, th, action)
		}
		// Scale back is offered under the line that says that it was scaled to zero, or on the root.
		for _, m := range append(th.replies, th.root) {
			for _, e := range m.Elements() {
				if e.ActionID == action {
					return s.answerTo(who, action, func() error { return s.slack.As(who).Press(incidents, m.TS, action) })
				}
			}
		}
		t.Fatalf("no message offers %s:\n%s", action, s.see())
		return ""
	}
	for _, way := range []string{"button", "command"} {
		for _, c := range changes {
			for _, ns := range []string{s.ns, s.other} {
				before := s.deployment(ns, way)
				unchanged := func(who string) {
					t.Helper()
					if now := s.deployment(ns, way); now.Generation != before.Generation || fmt.Sprint(now.Annotations) != fmt.Sprint(before.Annotations) {
						t.Errorf("%s of %s by %s, who may not, by %s changed it", c.action, ns, who, way)
					}
				}
				refused := do(way, vic, ns, c.action)
				contains(t, "vic's refusal of "+c.action+" by "+way, refused, "vic@example.com may not patch", ns, "kubectl", "create role", "--user=vic@example.com")
				unchanged("vic")
				refused = do(way, mallory, ns, c.action)
				contains(t, "mallory's refusal of "+c.action+" by "+way, refused, "access")
				unchanged("mallory")
				who := dev
				if ns == s.other {
					refused := do(way, dev, ns, c.action)
					contains(t, "dev's refusal of "+c.action+" by "+way+" in another's namespace", refused, "dev@example.com may not")
					unchanged("dev")
					who = alice
				}
				do(way, who, ns, c.action)
				eventually(t, c.action+" by "+way, func(context.Context) error { return c.changed(s, ns, way) })
				if s.deployment(ns, way).Annotations["crashloop/last-action"] == "" {
					t.Errorf("%s by %s leaves no crashloop/last-action", c.action, way)
				}
				s.waitThread(ns, way, map[string]string{"restart": "restarted Deployment", "scale-to-zero": "to zero; it had 3 replicas", "scale-back": "back to 3 replicas"}[c.action])
			}
		}
	}
	for _, ns := range []string{s.ns, s.other} {
		s.wantAudit("scale-to-zero", "Deployment/"+ns+"/button", vic, "refusal refused")
	}
	s.wantAudit("scale-to-zero", "Deployment/"+s.ns+"/command", dev, "begin", "end done")
	s.wantAudit("restart", "Deployment/"+s.other+"/button", dev, "refusal refused")
	s.wantAudit("restart", "Deployment/"+s.other+"/button", alice, "begin", "end done")
}

// What nobody may: people who are no full members, whatever e-mail address they have.
func TestGuestsStrangersAndFormerMembersAreRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	th := s.crashing(s.ns, "web")
	before := s.deployment(s.ns, "web").Generation
	for _, who := range []string{workspace.UserGuest, workspace.UserGone, workspace.UserStranger} {
		seen := len(s.slack.Snapshot().Ephemerals(who))
		err := s.slack.As(who).Press(incidents, th.root.TS, "restart")
		if err != nil { // Slack itself lets nobody act who was deactivated
			t.Logf("%s cannot even click: %v", who, err)
			continue
		}
		s.waitFor("the refusal of "+who, func(snap *workspace.Snapshot) bool { return len(snap.Ephemerals(who)) > seen })
		all := s.slack.Snapshot().Ephemerals(who)
		contains(t, "the refusal of "+who, all[len(all)-1].Visible(), "member")
		absent(t, "the refusal of "+who, all[len(all)-1].Visible(), "restarted Deployment")
	}
	if s.deployment(s.ns, "web").Generation != before {
		t.Error("somebody who is no full member changed the cluster")
	}
}

// A refusal says how it is granted; what it says, works.
func TestWhatARefusalGrantsWorks(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	th := s.crashing(s.ns, "web")
	refusal := s.press(vic, th, "restart")
	s.kubectl(refusal)
	contains(t, "the answer after the grant", s.press(vic, th, "restart"), "you restarted Deployment")
	if s.deployment(s.ns, "web").Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Error("nothing was restarted")
	}
	// It granted no more than that.
	contains(t, "the refusal of another action", s.command(vic, "scale-to-zero "+s.ns+"/web"), "vic@example.com may not")
}

// Scale-to-zero is undone by another bot process than did it, and refused politely when there is nothing to undo.
func TestScaleBackAfterARestartOfTheBot(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.apply(workload{namespace: s.ns, name: "web", replicas: 3, does: nilPointer}.manifest())
	th := s.waitDiagnosed(s.ns, "web", "app.panic")
	contains(t, "scale-back of what runs", s.command(alice, "scale-back "+s.ns+"/web"), "web")
	if n := *s.deployment(s.ns, "web").Spec.Replicas; n != 3 {
		t.Fatalf("scale-back with nothing to restore set %d replicas", n)
	}
	s.press(alice, th, "scale-to-zero")
	d := s.deployment(s.ns, "web")
	if *d.Spec.Replicas != 0 || d.Annotations["crashloop/replicas"] != "3" {
		t.Fatalf("after scale-to-zero: %d replicas, annotations %v", *d.Spec.Replicas, d.Annotations)
	}
	s.waitThread(s.ns, "web", "Closed")
	s.bot.kill()
	s.startBot()
	contains(t, "the answer", s.command(alice, "scale-back "+s.ns+"/web"), "3 replicas")
	d = s.deployment(s.ns, "web")
	if _, kept := d.Annotations["crashloop/replicas"]; *d.Spec.Replicas != 3 || kept {
		t.Errorf("after scale-back: %d replicas, annotations %v", *d.Spec.Replicas, d.Annotations)
	}
	contains(t, "scale-back a second time", s.command(alice, "scale-back "+s.ns+"/web"), "web")
}
