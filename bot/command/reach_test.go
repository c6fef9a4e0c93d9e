package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"crashloop/bot/access"
	"crashloop/diagnose"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// everything is a View in which each read works.
type everything struct{ diagnose.View }

func (everything) Get(_ context.Context, _ diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, nil
}

func (e everything) List(ctx context.Context, kind diagnose.Kind, namespace string, _ diagnose.Where) (all []diagnose.Object, err error) {
	for _, ns := range []string{"pay", "shop", "vault"} {
		if namespace == "" || namespace == ns {
			o, _ := e.Get(ctx, kind, ns, "x")
			all = append(all, o)
		}
	}
	return all, nil
}

func (everything) Log(context.Context, diagnose.LogRequest) ([]byte, error) {
	return []byte("a line"), nil
}

// A log can name any Service of the cluster: whoever can write one must not have the bot look there with its own rights and tell.
func TestDiagnosesGoNoFurtherThanThePerson(t *testing.T) {
	s := newStage(t)
	s.only("shop", "pay")
	s.types(t, "diagnose shop/web")
	if s.within == nil {
		t.Fatal("nothing was diagnosed")
	}
	view, ctx := s.within(everything{}), t.Context()
	for namespace, may := range map[string]bool{"shop": true, "pay": true, "vault": false, "": true} {
		_, getErr := view.Get(ctx, diagnose.Services, namespace, "x")
		list, listErr := view.List(ctx, diagnose.Pods, namespace, diagnose.Where{})
		_, logErr := view.Log(ctx, diagnose.LogRequest{Namespace: namespace, Pod: "x", Container: "x"})
		for _, err := range []error{getErr, listErr, logErr} {
			if may != (err == nil) || err != nil && !errors.Is(err, diagnose.ErrForbidden) {
				t.Errorf("namespace %q: %v", namespace, err)
			}
		}
		for _, o := range list {
			if o.GetNamespace() == "vault" {
				t.Errorf("a list of %q shows what is in vault", namespace)
			}
		}
	}
	s.allow = func(access.Permission) bool { return true }
	if list, err := s.within(everything{}).List(ctx, diagnose.Pods, "", diagnose.Where{}); err != nil || len(list) != 3 {
		t.Errorf("who may read everywhere sees %d objects, %v", len(list), err)
	}
}

// A summary quotes the log; that something fails, and the name of its cause, do not.
func TestListQuotesLogsToThoseWhoMayReadThem(t *testing.T) {
	s := newStage(t)
	s.allow = func(p access.Permission) bool {
		return p.Resource == "pods" && p.Subresource == "" || p.Namespace == "pay"
	}
	s.incidents[0].Diagnosis.Summary = "web panics: the customer is 4711."
	holds(t, s.types(t, "list"), "config.env-missing", "DATABASE_URL is not set.", "!4711")
	if got := s.incidents[0].Diagnosis.Summary; got != "web panics: the customer is 4711." {
		t.Errorf("the bot's own diagnosis was changed to %q", got)
	}
	s.allow = func(access.Permission) bool { return true }
	holds(t, s.types(t, "list shop"), "4711")
}

// The bot follows a log into other namespaces with its own rights; what it found there is for those who may read there.
func TestListTellsOfNoOtherNamespace(t *testing.T) {
	for name, d := range map[string]diagnose.Diagnosis{
		"root":    {Root: "Service/vault/keys"},
		"chain":   {Root: "Node//n1", Chain: []diagnose.Link{{Object: "Deployment/shop/web"}, {Object: "Pod/vault/keys-0"}, {Object: "Node//n1"}}},
		"change":  {Change: &diagnose.Change{Object: "ConfigMap/vault/keys"}},
		"summary": {Mentions: []string{"vault"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.only("shop", "pay")
			d.Subject, d.Cause, d.Summary = s.incidents[0].Incident.Subject, "dependency.no-endpoints", "web waits for keys in vault."
			s.incidents[0].Diagnosis = &d
			holds(t, s.types(t, "list shop"), "dependency.no-endpoints", "!vault")
			s.only("shop", "pay", "vault")
			holds(t, s.types(t, "list shop"), "web waits for keys in vault.")
		})
	}
}

// RE2 takes time in the product of text and pattern: counted repetitions make a short pattern a huge program.
func TestGrepIsBounded(t *testing.T) {
	s := newStage(t)
	long := strings.Repeat("a", 2<<20)
	s.logs["web-1-a web"] = long + "\n" + strings.Repeat(strings.Repeat("a", 1000)+"\n", 2000)
	for name, pattern := range map[string]string{
		"many counted repetitions": strings.Repeat(".{0,1000}", 33) + "b",
		"one, within the bounds":   ".{0,40}.{0,40}.{0,40}b",
	} {
		start := time.Now()
		s.types(t, "logs web --grep '"+pattern+"'")
		if took := time.Since(start); took > 10*grepLimit { // a bound that a busy machine keeps; without one it takes minutes
			t.Errorf("%s: answered only after %s", name, took)
		}
	}
	holds(t, s.types(t, "logs web --grep '"+strings.Repeat(".{0,1000}", 33)+"'"), "too large")
}
