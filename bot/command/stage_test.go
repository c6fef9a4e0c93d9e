package command

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/bot/audit"
	"crashloop/diagnose"
	"crashloop/notify"
)

var alice = notify.Person{ID: "U024BE7LH", Name: "alice", Email: "alice@example.com", Member: true}

// stage is a dispatcher in front of a small, made-up cluster.
type stage struct {
	*Dispatcher
	replies   []notify.Message
	ran       []action.Request
	outcome   action.Outcome
	told      []string // what the thread was told: incident and action
	allow     func(access.Permission) bool
	asked     []access.Permission
	unmapped  bool
	objects   []action.Object
	pods      []action.Pod
	logs      map[string]string // by pod, container and ", previous"
	queries   []action.LogQuery
	described []string
	failing   error // of the directory
	incidents []Standing
	diagnosed []string
	found     []Standing
	within    func(diagnose.View) diagnose.View // that the last diagnosis was given
	audit     bytes.Buffer
}

func (s *stage) Identity(_ context.Context, who notify.Person) (access.Identity, access.Decision) {
	if s.unmapped {
		return access.Identity{}, access.Decision{Says: "eve is not in the access file.", Grant: "- slack: " + who.ID}
	}
	return access.Identity{User: "alice@example.com", Groups: []string{"sre"}}, access.Decision{Allowed: true}
}

func (s *stage) Decide(_ context.Context, _ notify.Person, all ...access.Permission) access.Decision {
	if s.unmapped {
		return access.Decision{Says: "eve is not in the access file."}
	}
	d := access.Decision{Allowed: true, Identity: access.Identity{User: "alice@example.com"}}
	for _, p := range all {
		s.asked = append(s.asked, p)
		if !s.allow(p) {
			d.Allowed, d.Says, d.Grant = false, "alice@example.com may not "+p.String()+".", "kubectl create role"
		}
	}
	return d
}

func (s *stage) May(_ context.Context, _ notify.Person, p access.Permission) (bool, error) {
	return s.allow(p), nil
}

func (s *stage) Namespaces(_ context.Context, who notify.Person, candidates []string) ([]string, error) {
	if s.unmapped {
		return nil, &access.Refusal{Decision: access.Decision{Says: "eve is not in the access file.", Grant: "- slack: " + who.ID}}
	}
	var some []string
	for _, c := range candidates {
		if s.allow(access.Permission{Verb: "list", Resource: "pods", Namespace: c}) {
			some = append(some, c)
		}
	}
	return some, nil
}

func (s *stage) Run(_ context.Context, q action.Request) (action.Outcome, error) {
	s.ran = append(s.ran, q)
	out := s.outcome
	out.Request = q
	return out, s.failing
}

// directory is the stage as a Directory: its Namespaces has another signature.
type directory struct{ *stage }

func (d directory) Namespaces(context.Context) ([]string, error) {
	if d.failing != nil {
		return nil, d.failing
	}
	var all []string
	for _, o := range d.objects {
		if !slices.Contains(all, o.Target.Namespace) {
			all = append(all, o.Target.Namespace)
		}
	}
	return all, nil
}

func (d directory) Named(_ context.Context, namespace, kind, name string) ([]action.Object, error) {
	var some []action.Object
	for _, o := range d.objects {
		own := o.Target.Name == name && o.Pod == "" && (kind == "" || kind == o.Target.Kind)
		pod := o.Pod == name && (kind == "" || kind == "Pod")
		if (own || pod) && (namespace == "" || namespace == o.Target.Namespace) {
			some = append(some, o)
		}
	}
	return some, d.failing
}

func (d directory) Names(_ context.Context, namespace string) ([]action.Object, error) {
	var some []action.Object
	for _, o := range d.objects {
		if o.Pod == "" && (namespace == "" || namespace == o.Target.Namespace) {
			some = append(some, o)
		}
	}
	return some, d.failing
}

func (d directory) Pods(_ context.Context, of action.Target) ([]action.Pod, error) {
	if of.Kind == "Pod" {
		return slices.DeleteFunc(slices.Clone(d.pods), func(p action.Pod) bool { return p.Name != of.Name }), nil
	}
	return d.pods, nil
}

func (s *stage) Log(_ context.Context, q action.LogQuery) (action.LogText, error) {
	s.queries = append(s.queries, q)
	key := q.Pod + " " + q.Container
	if q.Previous {
		key += ", previous"
	}
	text, ok := s.logs[key]
	if !ok {
		return action.LogText{}, errors.Join(action.ErrNoLog, errors.New("container "+q.Container+" has not started"))
	}
	return action.LogText{Text: []byte(text)}, nil
}

func (s *stage) Describe(_ context.Context, t action.Target, events bool) (string, error) {
	with := " without events"
	if events {
		with = " with events"
	}
	s.described = append(s.described, t.String()+with)
	if t.Name == "gone" {
		return "", action.ErrNoObject
	}
	return "Name:  " + t.Name + "\npassword=hunter2\n\x1b[31mEvents\x1b[0m\n", nil
}

// Reply makes the stage the Replier too.
func (s *stage) Reply(_ context.Context, m notify.Message) error {
	s.replies = append(s.replies, m)
	return nil
}

func standing(id, namespace, workload, container string) Standing {
	_, name, _ := strings.Cut(workload, "/")
	return Standing{Incident: diagnose.Incident{
		ID: id, State: diagnose.Open, Condition: diagnose.CrashLoop, Restarts: 7, Since: time.Now().Add(-5 * time.Minute),
		Subject: diagnose.Subject{Cluster: "test", Namespace: namespace, Workload: workload, Pod: name + "-1-a", Container: container, ContainerType: diagnose.App},
	}, Diagnosis: &diagnose.Diagnosis{Cause: "config.env-missing", Summary: "DATABASE_URL is not set."}}
}

func object(kind, namespace, name string) action.Object {
	return action.Object{Target: action.Target{Kind: kind, Namespace: namespace, Name: name}}
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{
		allow:   func(access.Permission) bool { return true },
		outcome: action.Outcome{Changed: true, Says: "restarted it", Private: "Done."},
		objects: []action.Object{
			object("Deployment", "shop", "web"), object("Deployment", "shop", "api"), object("StatefulSet", "shop", "db"),
			object("Deployment", "pay", "api"), object("StatefulSet", "pay", "ledger"), object("Service", "shop", "front"),
			{Target: action.Target{Kind: "Deployment", Namespace: "shop", Name: "web"}, Pod: "web-1-a"},
			object("Pod", "shop", "bare"),
		},
		pods: []action.Pod{
			{Name: "web-1-a", Default: "web", Containers: []action.Container{{Name: "init"}, {Name: "web", Restarts: 3, Failing: true}, {Name: "proxy"}}},
			{Name: "web-1-b", Default: "web", Containers: []action.Container{{Name: "web"}}},
		},
		logs: map[string]string{
			"web-1-a web": "starting\npanic: no DATABASE_URL\n", "web-1-a web, previous": "old run\n", "web-1-a proxy": "", "web-1-b web": "fine\n",
		},
		incidents: []Standing{standing("i1", "shop", "Deployment/web", "web"), standing("i2", "pay", "StatefulSet/ledger", "ledger")},
	}
	log := slog.New(slog.DiscardHandler)
	d, err := New(Options{
		Name: "/crashloop", Cluster: "test", Access: s, Guard: &action.Guard{Access: s, Audit: audit.New(&s.audit), Log: log}, Runner: s,
		Directory: directory{s}, Logs: s, Describer: s, Incidents: func() []Standing { return s.incidents }, Log: log,
		Diagnose: func(_ context.Context, namespace, workload string, within func(diagnose.View) diagnose.View) ([]Standing, error) {
			s.diagnosed = append(s.diagnosed, namespace+"/"+workload)
			s.within = within
			return s.found, s.failing
		},
		Render: func(_ diagnose.Incident, d diagnose.Diagnosis) notify.Message { return say(d.Summary) },
		Redact: func(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") },
		OnAction: func(_ context.Context, id string, out action.Outcome) {
			s.told = append(s.told, id+" "+out.Request.Action)
		},
		Actions: action.All(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Dispatcher = d
	return s
}

// types types a line and returns the one answer.
func (s *stage) types(t testing.TB, line string) notify.Message {
	t.Helper()
	s.replies = nil
	s.Command(t.Context(), notify.Command{Person: alice, Channel: "C1", Text: line, Reply: s})
	if len(s.replies) != 1 {
		t.Fatalf("%q was answered %d times", line, len(s.replies))
	}
	return s.replies[0]
}

// clicks chooses a button and returns the one answer.
func (s *stage) clicks(t testing.TB, name string, inc *diagnose.Incident) notify.Message {
	t.Helper()
	s.replies = nil
	s.Click(t.Context(), notify.Click{Person: alice, Channel: "C1", Action: name, Reply: s}, inc)
	if len(s.replies) != 1 {
		t.Fatalf("%q was answered %d times", name, len(s.replies))
	}
	return s.replies[0]
}

// only lets the person list pods, and everything else, in these namespaces alone.
func (s *stage) only(namespaces ...string) {
	s.allow = func(p access.Permission) bool { return slices.Contains(namespaces, p.Namespace) }
}

// text is everything that a message says.
func text(m notify.Message) string {
	var b strings.Builder
	b.WriteString(m.Text + "\n")
	spans := func(all []notify.Span) {
		for _, s := range all {
			b.WriteString(s.Text)
		}
		b.WriteString("\n")
	}
	for _, block := range m.Blocks {
		b.WriteString(block.Header + block.Code + "\n")
		spans(block.Text)
		spans(block.Context)
		for _, l := range block.List {
			spans(l)
		}
		for _, f := range block.Fields {
			b.WriteString(f.Name + ": ")
			spans(f.Value)
		}
		if block.Table != nil {
			for _, r := range append([][]string{block.Table.Header}, block.Table.Rows...) {
				b.WriteString(strings.Join(r, " | ") + "\n")
			}
		}
	}
	if m.File != nil {
		b.WriteString(m.File.Name + "\n" + string(m.File.Content))
	}
	return b.String()
}

// holds checks that an answer says all of these, and none of those after a "!".
func holds(t *testing.T, m notify.Message, want ...string) {
	t.Helper()
	got := text(m)
	for _, w := range want {
		if not, is := strings.CutPrefix(w, "!"); is {
			if strings.Contains(got, not) {
				t.Errorf("says %q, and should not:\n%s", not, got)
			}
		} else if !strings.Contains(got, w) {
			t.Errorf("does not say %q:\n%s", w, got)
		}
	}
}
