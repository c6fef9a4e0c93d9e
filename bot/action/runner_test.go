package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/audit"
	"crashloop/notify"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
)

var (
	alice = notify.Person{ID: "U024BE7LH", Name: "alice", Member: true}
	web   = Target{"Deployment", "shop", "web"}
)

// may allows what the function allows, and keeps what was asked.
type may struct {
	allow func(access.Permission) bool
	asked []access.Permission
}

func (m *may) Decide(_ context.Context, _ notify.Person, all ...access.Permission) access.Decision {
	d := access.Decision{Allowed: true, Identity: access.Identity{User: "alice@example.com"}}
	for _, p := range all {
		m.asked = append(m.asked, p)
		if !m.allow(p) {
			d.Allowed, d.Says, d.Grant = false, "alice may not "+p.String(), "kubectl create role"
		}
	}
	return d
}

func everything(access.Permission) bool { return true }
func nothingAtAll(access.Permission) bool {
	return false
}

// stage is a cluster with a runner in front of it.
type stage struct {
	*Runner
	client *fake.Clientset
	access *may
	audit  *bytes.Buffer
}

func newStage(t *testing.T, objects ...runtime.Object) *stage {
	t.Helper()
	s := &stage{client: fake.NewClientset(objects...), access: &may{allow: everything}, audit: &bytes.Buffer{}}
	s.Runner = s.runner(t, s.audit)
	return s
}

// runner is a bot that was started anew on the same cluster.
func (s *stage) runner(t *testing.T, w io.Writer) *Runner {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	r, err := New(Options{Client: s.client, Guard: &Guard{Access: s.access, Audit: audit.New(w), Log: log}, Actions: All(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *stage) run(t *testing.T, name string, target Target) Outcome {
	t.Helper()
	out, err := s.Run(t.Context(), Request{Person: alice, Action: name, Target: target, Incident: "i1", Channel: "C1"})
	if err != nil {
		t.Fatalf("%s of %s: %v", name, target, err)
	}
	return out
}

// writes lists what changed the cluster: "patch deployments".
func (s *stage) writes() []string {
	var all []string
	for _, a := range s.client.Actions() {
		if !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()) {
			all = append(all, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	return all
}

func (s *stage) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d, err := s.client.AppsV1().Deployments("shop").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// audited lists phase and outcome of the audit lines.
func (s *stage) audited(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, line := range strings.Split(strings.TrimSpace(s.audit.String()), "\n") {
		var l struct{ Phase, Outcome, Target, Action, Incident string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(l.Phase+" "+l.Outcome))
	}
	return all
}

func deployment(change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	three := int32(3)
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "u1", ResourceVersion: "7"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &three,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
			},
		},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func statefulSet() *appsv1.StatefulSet {
	two := int32(2)
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop", UID: "u2"},
		Spec:       appsv1.StatefulSetSpec{Replicas: &two, UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}},
	}
}

func daemonSet() *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "shop", UID: "u3"}}
}

func TestRestart(t *testing.T) {
	s := newStage(t, deployment())
	before := s.deployment(t)
	out := s.run(t, "restart", web)
	if !out.Changed || out.Says != "restarted Deployment shop/web" || out.Private != "Done: you restarted Deployment shop/web." {
		t.Errorf("got %+v", out)
	}
	after := s.deployment(t)
	if _, err := time.Parse(time.RFC3339, after.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"]); err != nil || len(after.Spec.Template.Annotations) != 1 {
		t.Errorf("the template's annotations are %v", after.Spec.Template.Annotations)
	}
	if last := after.Annotations[AnnotationLastAction]; !strings.HasPrefix(last, "restart by alice (U024BE7LH) at 20") {
		t.Errorf("the last action is %q", last)
	}
	after.Spec.Template.Annotations, after.Annotations = nil, nil
	if got, want := after.Spec.String(), before.Spec.String(); got != want {
		t.Errorf("the spec is %s, was %s", got, want)
	}
	events, err := s.client.CoreV1().Events("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(events.Items) != 1 {
		t.Fatalf("%d events, %v", len(events.Items), err)
	}
	e := events.Items[0]
	if e.Reason != "Restarted" || e.InvolvedObject.UID != "u1" || e.ReportingController != "crashloop" || e.Type != "Normal" ||
		!strings.Contains(e.Message, "restart by alice (U024BE7LH) at") || !strings.HasSuffix(e.Message, "from Slack, as alice@example.com") {
		t.Errorf("the event is %+v", e)
	}
	if got := s.audited(t); !slices.Equal(got, []string{"begin", "end done"}) {
		t.Errorf("audited: %v", got)
	}
	if want := (access.Permission{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: "shop", Name: "web"}); !slices.Equal(s.access.asked, []access.Permission{want}) {
		t.Errorf("asked for %v", s.access.asked)
	}
}

func TestRestartOtherKinds(t *testing.T) {
	s := newStage(t, statefulSet(), daemonSet())
	if out := s.run(t, "restart", Target{"StatefulSet", "shop", "db"}); !out.Changed || len(out.Notes) != 1 || !strings.Contains(out.Private, "OnDelete") {
		t.Errorf("got %+v", out)
	}
	if out := s.run(t, "restart", Target{"DaemonSet", "shop", "agent"}); !out.Changed {
		t.Errorf("got %+v", out)
	}
	d, err := s.client.AppsV1().DaemonSets("shop").Get(t.Context(), "agent", metav1.GetOptions{})
	if err != nil || d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Errorf("%v, %v", d, err)
	}
}

func TestNothingIsDone(t *testing.T) {
	zero := int32(0)
	for name, c := range map[string]struct {
		action string
		target Target
		with   runtime.Object
		says   string
	}{
		"restart of a paused deployment":    {"restart", web, deployment(func(d *appsv1.Deployment) { d.Spec.Paused = true }), "kubectl -n shop rollout resume deployment/web"},
		"restart at zero":                   {"restart", web, deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = &zero }), "scaled to zero"},
		"restart of what is gone":           {"restart", web, nil, "There is no Deployment shop/web"},
		"restart of a pod":                  {"restart", Target{"Pod", "shop", "web"}, nil, "kubectl replace --force -f -"},
		"restart of a cron job":             {"restart", Target{"CronJob", "shop", "web"}, nil, "create job web-now --from=cronjob/web"},
		"restart of a job":                  {"restart", Target{"Job", "shop", "web"}, nil, "delete job web"},
		"scale-to-zero of a daemon set":     {"scale-to-zero", Target{"DaemonSet", "shop", "web"}, nil, "nodeSelector"},
		"scale-to-zero of a cron job":       {"scale-to-zero", Target{"CronJob", "shop", "web"}, nil, `'{"spec":{"suspend":true}}'`},
		"scale-to-zero of a pod":            {"scale-to-zero", Target{"Pod", "shop", "web"}, nil, "delete pod web"},
		"scale-to-zero at zero":             {"scale-to-zero", web, deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = &zero }), "is at zero already."},
		"scale-back with nothing":           {"scale-back", web, deployment(), "was not scaled to zero from here, and wants 3 replicas"},
		"scale-back from somebody's zero":   {"scale-back", web, deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = &zero }), "how many replicas it had is not known"},
		"scale-back of a daemon set":        {"scale-back", Target{"DaemonSet", "shop", "web"}, nil, "scales Deployments and StatefulSets only"},
		"scale-back of a hostile number":    {"scale-back", web, zeroed("99999999"), "no number of replicas"},
		"scale-back of a number that isn't": {"scale-back", web, zeroed("$(reboot)"), "no number of replicas"},
		"scale-back of zero":                {"scale-back", web, zeroed("0"), "no number of replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			var s *stage
			if c.with == nil {
				s = newStage(t)
			} else {
				s = newStage(t, c.with)
			}
			out := s.run(t, c.action, c.target)
			if out.Changed || out.Refused || out.Says != "" || !strings.Contains(out.Private, c.says) {
				t.Errorf("got %+v, want %q", out, c.says)
			}
			if w := s.writes(); len(w) > 0 {
				t.Errorf("the cluster was changed: %v", w)
			}
			if got := s.audited(t); !slices.Equal(got, []string{"begin", "end nothing"}) {
				t.Errorf("audited: %v", got)
			}
		})
	}
}

func zeroed(remembered string) *appsv1.Deployment {
	return deployment(func(d *appsv1.Deployment) {
		zero := int32(0)
		d.Spec.Replicas, d.Annotations = &zero, map[string]string{AnnotationReplicas: remembered}
	})
}

func TestRefusedLeavesTheClusterAlone(t *testing.T) {
	for _, a := range All() {
		for _, target := range []Target{web, {"Pod", "shop", "web"}} {
			t.Run(a.Name+" "+target.Kind, func(t *testing.T) {
				s := newStage(t, zeroed("2"))
				s.access.allow = nothingAtAll
				out := s.run(t, a.Name, target)
				if !out.Refused || out.Changed || out.Grant == "" || out.Says != "" || !strings.Contains(out.Private, "may not") {
					t.Errorf("got %+v", out)
				}
				if n := len(s.client.Actions()); n > 0 {
					t.Errorf("the cluster was touched: %v", s.client.Actions())
				}
				if got := s.audited(t); !slices.Equal(got, []string{"refusal refused"}) {
					t.Errorf("audited: %v", got)
				}
			})
		}
	}
}

func TestScalingNeedsBothPermissions(t *testing.T) {
	for _, missing := range []string{"", "scale"} {
		s := newStage(t, deployment())
		s.access.allow = func(p access.Permission) bool { return p.Subresource != missing }
		if out := s.run(t, "scale-to-zero", web); !out.Refused {
			t.Errorf("without the permission on %q: %+v", missing, out)
		}
	}
}

func TestScaleToZeroAndBack(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		t.Run(kind, func(t *testing.T) {
			s := newStage(t, deployment(), statefulSet())
			target, had := web, "3 replicas"
			if kind == "StatefulSet" {
				target, had = Target{kind, "shop", "db"}, "2 replicas"
			}
			state := func() (int32, map[string]string, map[string]string) {
				t.Helper()
				if kind == "Deployment" {
					d := s.deployment(t)
					return *d.Spec.Replicas, d.Annotations, d.Spec.Template.Annotations
				}
				d, err := s.client.AppsV1().StatefulSets("shop").Get(t.Context(), "db", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return *d.Spec.Replicas, d.Annotations, d.Spec.Template.Annotations
			}
			out := s.run(t, "scale-to-zero", target)
			if !out.Changed || out.Says != "scaled "+target.Words()+" to zero; it had "+had || out.Undo != "scale-back" {
				t.Errorf("got %+v", out)
			}
			n, annotations, template := state()
			if n != 0 || annotations[AnnotationReplicas] != had[:1] || !strings.HasPrefix(annotations[AnnotationLastAction], "scale-to-zero by alice") || template != nil {
				t.Errorf("%d replicas, annotations %v, template %v", n, annotations, template)
			}
			s.Runner = s.runner(t, s.audit) // the bot was restarted
			if out := s.run(t, "scale-to-zero", target); out.Changed || !strings.Contains(out.Private, "brings back "+had) {
				t.Errorf("got %+v", out)
			}
			if out := s.run(t, "scale-back", target); !out.Changed || out.Says != "scaled "+target.Words()+" back to "+had || out.Undo != "scale-to-zero" {
				t.Errorf("got %+v", out)
			}
			n, annotations, template = state()
			if _, still := annotations[AnnotationReplicas]; n != int32(had[0]-'0') || still || !strings.HasPrefix(annotations[AnnotationLastAction], "scale-back by alice") || template != nil {
				t.Errorf("%d replicas, annotations %v, template %v", n, annotations, template)
			}
		})
	}
}

func TestScaleBackForgetsWhatIsNoLongerTrue(t *testing.T) {
	s := newStage(t, deployment(func(d *appsv1.Deployment) { d.Annotations = map[string]string{AnnotationReplicas: "5"} }))
	out := s.run(t, "scale-back", web)
	if out.Changed || !strings.Contains(out.Private, "wants 3 replicas already") {
		t.Errorf("got %+v", out)
	}
	if d := s.deployment(t); *d.Spec.Replicas != 3 || d.Annotations[AnnotationReplicas] != "" {
		t.Errorf("%d replicas, %v", *d.Spec.Replicas, d.Annotations)
	}
}

func TestConflicts(t *testing.T) {
	conflict := func(times int) (*stage, *int) {
		s, n := newStage(t, deployment()), 0
		s.client.PrependReactor("patch", "deployments", func(a kubetesting.Action) (bool, runtime.Object, error) {
			var patch struct {
				Metadata struct{ ResourceVersion, UID string }
			}
			if err := json.Unmarshal(a.(kubetesting.PatchAction).GetPatch(), &patch); err != nil || patch.Metadata.UID != "u1" || patch.Metadata.ResourceVersion == "" {
				t.Errorf("a patch that changes whatever is there: %s", a.(kubetesting.PatchAction).GetPatch())
			}
			if n++; n <= times {
				return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "deployments"}, "web", errors.New("changed"))
			}
			return false, nil, nil
		})
		return s, &n
	}
	for _, action := range []string{"restart", "scale-to-zero"} {
		s, n := conflict(2)
		if out := s.run(t, action, web); !out.Changed || *n != 3 {
			t.Errorf("%s: %d patches, %+v", action, *n, out)
		}
		s, _ = conflict(1000)
		out, err := s.Run(t.Context(), Request{Person: alice, Action: action, Target: web})
		if err == nil || out.Changed || !strings.Contains(err.Error(), "others keep changing it") {
			t.Errorf("%s: %+v, %v", action, out, err)
		}
		if got := s.audited(t); !slices.Equal(got, []string{"begin", "end failed"}) {
			t.Errorf("%s audited: %v", action, got)
		}
	}
}

func TestTheBotsOwnRightsAreNamed(t *testing.T) {
	s := newStage(t, deployment())
	s.client.PrependReactor("patch", "deployments", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "web", errors.New("no"))
	})
	if _, err := s.Run(t.Context(), Request{Person: alice, Action: "restart", Target: web}); err == nil || !strings.Contains(err.Error(), "the bot's own ServiceAccount may not") {
		t.Errorf("got %v", err)
	}
}

func TestADoubleClickCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, deployment())
		s.run(t, "restart", web)
		if out := s.run(t, "restart", web); out.Changed || !strings.Contains(out.Private, "was done a moment ago") {
			t.Errorf("got %+v", out)
		}
		if n := strings.Count(strings.Join(s.writes(), ","), "patch"); n != 1 {
			t.Errorf("%d patches", n)
		}
		if out := s.run(t, "scale-to-zero", web); !out.Changed {
			t.Errorf("another action is not the same click: %+v", out)
		}
		s.run(t, "scale-back", web)
		time.Sleep(doubleClick + time.Second)
		if out := s.run(t, "restart", web); !out.Changed {
			t.Errorf("a later click does not count: %+v", out)
		}
	})
}

func TestClicksAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, deployment())
		hold := make(chan struct{})
		s.client.PrependReactor("get", "deployments", func(kubetesting.Action) (bool, runtime.Object, error) {
			<-hold
			return false, nil, nil
		})
		first := make(chan Outcome)
		go func() {
			out, _ := s.Run(t.Context(), Request{Person: alice, Action: "restart", Target: web})
			first <- out
		}()
		synctest.Wait()
		if out := s.run(t, "restart", web); out.Changed || !strings.Contains(out.Private, "is under way already") {
			t.Errorf("got %+v", out)
		}
		close(hold)
		if out := <-first; !out.Changed {
			t.Errorf("got %+v", out)
		}
	})
}

func TestAFailedActionMayBeTriedAgain(t *testing.T) {
	s, fail := newStage(t, deployment()), true
	s.client.PrependReactor("patch", "deployments", func(kubetesting.Action) (bool, runtime.Object, error) {
		return fail, nil, errors.New("broken pipe")
	})
	if _, err := s.Run(t.Context(), Request{Person: alice, Action: "restart", Target: web}); err == nil {
		t.Fatal("no error")
	}
	fail = false
	if out := s.run(t, "restart", web); !out.Changed {
		t.Errorf("got %+v", out)
	}
}

func TestAClickThatWasTakenIsDoneThoughTheBotStops(t *testing.T) {
	s := newStage(t, deployment())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out, err := s.Run(ctx, Request{Person: alice, Action: "restart", Target: web}); err != nil || !out.Changed {
		t.Errorf("%+v, %v", out, err)
	}
	if got := s.audited(t); !slices.Equal(got, []string{"begin", "end done"}) {
		t.Errorf("audited: %v", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWithoutAuditNothingIsDone(t *testing.T) {
	s := newStage(t, deployment())
	s.Runner = s.runner(t, full{})
	if _, err := s.Run(t.Context(), Request{Person: alice, Action: "restart", Target: web}); err == nil || !strings.Contains(err.Error(), "audit log cannot be written") {
		t.Errorf("got %v", err)
	}
	s.access.allow = nothingAtAll
	if out, err := s.Run(t.Context(), Request{Person: alice, Action: "restart", Target: web}); err != nil || !out.Refused {
		t.Errorf("%+v, %v", out, err)
	}
	if n := len(s.client.Actions()); n > 0 {
		t.Errorf("the cluster was touched: %v", s.client.Actions())
	}
}

func TestReadOnly(t *testing.T) {
	s := newStage(t, deployment())
	s.o.Actions = nil
	if out := s.run(t, "restart", web); !out.Refused || !strings.Contains(out.Private, "CRASHLOOP_READ_ONLY") {
		t.Errorf("got %+v", out)
	}
	if got := s.audited(t); !slices.Equal(got, []string{"refusal refused"}) {
		t.Errorf("audited: %v", got)
	}
	if n := len(s.client.Actions()); n > 0 {
		t.Errorf("the cluster was touched: %v", s.client.Actions())
	}
}

func TestHostileTargets(t *testing.T) {
	s := newStage(t)
	for _, target := range []Target{
		{"Deployment", "shop", "web; rm -rf /"}, {"Deployment", "shop", "../../secrets/x"}, {"Deployment", "$(id)", "web"},
		{"Deployment", "shop", "`id`"}, {"Deployment", "", "web"}, {"Deployment", "shop", ""}, {"Secret", "shop", "web"}, {"Node", "shop", "n"},
		{"Deployment", "shop/x", "web"}, {"Deployment", "shop", strings.Repeat("a", 254)}, {"Deployment", "shop", "WEB"}, {"Deployment", "shop", "w\x00b"},
	} {
		if _, err := s.Run(t.Context(), Request{Person: alice, Action: "restart", Target: target}); err == nil {
			t.Errorf("%q was taken", target)
		}
	}
	if len(s.access.asked) > 0 || len(s.client.Actions()) > 0 {
		t.Error("the cluster was asked about a name that cannot be one")
	}
}

// TestRulesCoverWhatIsDone holds what actions declare to what they do.
func TestRulesCoverWhatIsDone(t *testing.T) {
	s := newStage(t, deployment(), statefulSet(), daemonSet())
	db := Target{"StatefulSet", "shop", "db"}
	for _, target := range []Target{web, db} {
		s.run(t, "restart", target)
		s.run(t, "scale-to-zero", target)
		s.run(t, "scale-back", target)
	}
	s.run(t, "restart", Target{"DaemonSet", "shop", "agent"})
	rules := Rules(All())
	used := map[string]bool{}
	for _, a := range s.client.Actions() {
		resource := a.GetResource().Resource
		if a.GetSubresource() != "" {
			resource += "/" + a.GetSubresource()
		}
		if !slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
			return slices.Contains(r.APIGroups, a.GetResource().Group) && slices.Contains(r.Resources, resource) && slices.Contains(r.Verbs, a.GetVerb())
		}) {
			t.Errorf("%s %s is done and not declared", a.GetVerb(), resource)
		}
		used[a.GetVerb()+" "+a.GetResource().Group+" "+resource] = true
	}
	for _, r := range rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					if !used[verb+" "+group+" "+resource] {
						t.Errorf("%s %s is declared and never done", verb, resource)
					}
				}
			}
		}
	}
	if len(Rules(nil)) != 0 {
		t.Error("without actions the bot needs no rights to write")
	}
}

func TestActionsSayWhatTheyAre(t *testing.T) {
	for _, a := range All() {
		if a.Undo == "" || a.Help == "" || a.Instead(web) == "" || a.Title == "" || a.reason == "" {
			t.Errorf("%s lacks a text", a.Name)
		}
		if a.undo != "" {
			if _, ok := Find(All(), a.undo); !ok {
				t.Errorf("%s is undone by %s, which does not exist", a.Name, a.undo)
			}
		}
	}
}
