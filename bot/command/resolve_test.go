package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/notify"
)

func TestNamesMayBeShort(t *testing.T) {
	web := action.Target{Kind: "Deployment", Namespace: "shop", Name: "web"}
	db := action.Target{Kind: "StatefulSet", Namespace: "shop", Name: "db"}
	for name, want := range map[string]action.Target{
		"web": web, "shop/web": web, "deployment/web": web, "deploy/web": web, "deployments.apps/web": web, "shop/deployment/web": web, "Deployment/shop/web": web,
		"web-1-a": web, "shop/web-1-a": web, "pod/web-1-a": web, "shop/pod/web-1-a": web, "web -n shop": web, "-n shop deploy/web": web,
		"db": db, "sts/db": db, "pay/api": {Kind: "Deployment", Namespace: "pay", Name: "api"},
		"bare": {Kind: "Pod", Namespace: "shop", Name: "bare"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.types(t, "restart "+name)
			if len(s.ran) != 1 || s.ran[0].Target != want {
				t.Errorf("ran %+v, want %v; said %s", s.ran, want, text(s.replies[0]))
			}
		})
	}
}

func TestAmbiguityIsAnsweredWithTheChoices(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "restart api"), `"api" could be any of these`, "/crashloop restart shop/deployment/api", "/crashloop restart pay/deployment/api")
	if len(s.ran) > 0 {
		t.Error("one was chosen")
	}
	s.only("pay")
	s.types(t, "restart api")
	if len(s.ran) != 1 || s.ran[0].Target.Namespace != "pay" {
		t.Errorf("what the person may not see makes it ambiguous: %+v", s.ran)
	}
}

func TestManyChoicesAreBounded(t *testing.T) {
	s := newStage(t)
	for i := range 50 {
		s.objects = append(s.objects, object("Deployment", fmt.Sprintf("ns-%d", i), "many"))
	}
	m := s.types(t, "restart many")
	holds(t, m, "and 40 more")
	if n := strings.Count(m.Text, "/deployment/many"); n != maxChoices {
		t.Errorf("%d choices", n)
	}
}

func TestAMissNamesTheNearest(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "restart wep"), `There is no workload or pod "wep" where you may list pods. Did you mean shop/deployment/web?`)
	holds(t, s.types(t, "restart pay/ledgr"), "in namespace pay", "pay/statefulset/ledger")
	holds(t, s.types(t, "restart sts/bd"), `There is no StatefulSet "bd"`, "shop/statefulset/db")
	holds(t, s.types(t, "restart something-else-entirely"), "!Did you mean")
	s.only("shop")
	holds(t, s.types(t, "restart ledgr"), "There is no workload", "!ledger ", "!pay")
}

func TestWhatMayNotBeListedIsNotFoundNorDenied(t *testing.T) {
	s := newStage(t)
	s.only("shop")
	exists, missing := s.types(t, "restart pay/api"), s.types(t, "restart nowhere/api")
	if strings.ReplaceAll(text(exists), "pay", "X") != strings.ReplaceAll(text(missing), "nowhere", "X") {
		t.Errorf("the answers tell whether a namespace exists:\n%s\n%s", text(exists), text(missing))
	}
	holds(t, exists, "may not list pods in namespace pay", "kubectl create role")
	holds(t, s.types(t, "restart ledger"), "There is no workload or pod")
	// A full name needs no search: the action decides.
	s.types(t, "restart pay/deployment/api")
	if len(s.ran) != 1 {
		t.Errorf("ran %v", s.ran)
	}
	if strings.Count(s.audit.String(), `"phase":"refusal"`) != 2 {
		t.Errorf("audited: %s", s.audit.String())
	}
	s.allow = func(access.Permission) bool { return false }
	holds(t, s.types(t, "restart web"), "You may list pods in no namespace")
}

func TestADirectoryThatFailsIsSaid(t *testing.T) {
	s := newStage(t)
	s.failing = errors.New("connection refused: password=hunter2")
	holds(t, s.types(t, "restart web"), "Connection refused: password=[redacted].")
}

func TestList(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "list"), "2 open incidents where you may list pods in cluster test.", "shop/web | web | DATABASE_URL is not set. | 7 | 5m", "pay/statefulset/ledger")
	holds(t, s.types(t, "list pay"), "1 open incident in namespace pay", "!shop")
	holds(t, s.types(t, "list quiet"), "Nothing keeps failing in namespace quiet")
	s.only("shop")
	holds(t, s.types(t, "list"), "1 open incident where", "shop/web", "!ledger", "!pay")
	holds(t, s.types(t, "list pay"), "may not list pods in namespace pay", "!ledger")
	s.incidents[0].Incident.State = "recovered"
	holds(t, s.types(t, "list"), "Nothing keeps failing where you may list pods")
	s.incidents = nil
	holds(t, s.types(t, "list"), "Nothing keeps failing where you may list pods")
}

func TestAListIsBounded(t *testing.T) {
	s := newStage(t)
	s.incidents = nil
	for i := range 100 {
		s.incidents = append(s.incidents, standing(fmt.Sprint(i), "shop", fmt.Sprintf("Deployment/w%d", i), "web"))
	}
	m := s.types(t, "list")
	holds(t, m, "100 open incidents", "60 older ones are not shown")
	i := slices.IndexFunc(m.Blocks, func(b notify.Block) bool { return b.Table != nil })
	if n := len(m.Blocks[i].Table.Rows); n != maxRows {
		t.Errorf("%d rows", n)
	}
}

func TestWhoami(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "whoami"), "alice U024BE7LH alice@example.com", "Kubernetes user: alice@example.com", "Kubernetes groups: sre", "may list pods: all")
	s.only("pay")
	holds(t, s.types(t, "whoami"), "may list pods: pay")
	s.only("elsewhere")
	holds(t, s.types(t, "whoami"), "You may list pods in no namespace.")
	s.unmapped = true
	holds(t, s.types(t, "whoami"), "Kubernetes: nobody", "eve is not in the access file.", "- slack: U024BE7LH")
}

func TestANameIsNotSuggestedToThoseWhoMayNotSeeIt(t *testing.T) {
	s := newStage(t)
	var may []string
	for i := range fewNamespaces + 1 { // so many that all namespaces are searched at once
		may = append(may, fmt.Sprintf("ns-%d", i))
		s.objects = append(s.objects, object("Deployment", may[i], "something-else"))
	}
	s.only(may...)
	holds(t, s.types(t, "restart ledgr"), "There is no workload", "!ledger")
	holds(t, s.types(t, "restart ledger"), "There is no workload", "!statefulset")
}
