package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/evidence"
	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
	"crashloop/notify"
)

// kept is a small store of evidence.
type kept struct {
	all   [][]evidence.Recording
	views map[string]*snapshot.Snapshot // by incident and number
	fail  error
}

func (k *kept) Age() time.Duration { return 7 * 24 * time.Hour }

func (k *kept) Of(incident string) []evidence.Recording {
	for _, have := range k.all {
		if have[0].Incident == incident {
			return have
		}
	}
	return nil
}

func (k *kept) Find(match func(diagnose.Subject) bool) [][]evidence.Recording {
	var out [][]evidence.Recording
	for _, have := range k.all {
		if match(have[0].Subject) {
			out = append(out, have)
		}
	}
	return out
}

func (k *kept) Open(_ context.Context, r evidence.Recording) (evidence.Evidence, error) {
	if k.fail != nil {
		return evidence.Evidence{}, k.fail
	}
	return evidence.Evidence{Recording: r, View: k.views[fmt.Sprint(r.Incident, r.Number)], Archive: []byte("the whole archive")}, nil
}

const (
	running = "{running: {}}"
	waiting = "{waiting: {reason: CrashLoopBackOff}}"
)

// keeps adds a recording to a stage, which is made to have evidence.
func (k *kept) keeps(t *testing.T, incident string, number int, namespace, name, state, log string) {
	t.Helper()
	files := fstest.MapFS{
		"snapshot.json": {Data: []byte(`{"now":"2026-03-01T09:00:00Z","leftOut":["3 of 5 pods.json","the first 7 bytes of logs/data/db-0/db.log"],"symptoms":[{"subject":{"namespace":"` + namespace + `"}}],` +
			`"failed":[{"verb":"get","kind":"Service","namespace":"vault","name":"keys","is":"not found","error":"no keys"},{"verb":"log","namespace":"data","name":"db-0","container":"db","is":"gone","error":"gone"}]}`)},
		"all.yaml": {Data: fmt.Appendf(nil, `
apiVersion: v1
kind: Pod
metadata: {name: %[2]s-1-a, namespace: %[1]s}
status: {containerStatuses: [{name: %[2]s, state: %[3]s, lastState: {terminated: {exitCode: 2}}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: data}
---
apiVersion: v1
kind: Event
metadata: {name: e1, namespace: %[1]s}
involvedObject: {kind: Pod, name: %[2]s-1-a, namespace: %[1]s}
reason: BackOff
count: 7
lastTimestamp: "2026-03-01T08:59:00Z"
message: "Back-off restarting, said hunter2"
---
apiVersion: v1
kind: Event
metadata: {name: e2, namespace: %[1]s}
involvedObject: {kind: Pod, name: neighbour, namespace: %[1]s}
reason: Unrelated
`, namespace, name, state)},
	}
	if state == waiting {
		files["logs/"+namespace+"/"+name+"-1-a/"+name+".log"] = &fstest.MapFile{Data: []byte(log)}
	} else if log != "" {
		files["logs/"+namespace+"/"+name+"-1-a/"+name+".previous.log"] = &fstest.MapFile{Data: []byte(log)}
	}
	s, err := snapshot.FromFS(files, snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := evidence.Recording{
		Incident: incident, Number: number, At: time.Date(2026, 3, 1, 9, number, 0, 0, time.UTC), Cause: "app.panic", Summary: "It panics, hunter2.", Restarts: 3, Log: log != "",
		Subject: diagnose.Subject{Cluster: "test", Namespace: namespace, Workload: "Deployment/" + name, Pod: name + "-1-a", Container: name},
	}
	if k.views == nil {
		k.views = map[string]*snapshot.Snapshot{}
	}
	k.views[fmt.Sprint(incident, number)] = s
	for i, have := range k.all {
		if have[0].Incident == incident {
			k.all[i] = append(have, r)
			return
		}
	}
	k.all = append(k.all, []evidence.Recording{r})
}

// evidenceStage has evidence of workloads that are no more: shop/gone, twice, pay/gone, and shop/quiet, which left no log.
func evidenceStage(t *testing.T) (*stage, *kept) {
	t.Helper()
	s := newStage(t)
	k := &kept{}
	k.keeps(t, "i7", 1, "shop", "gone", waiting, "first, password hunter2\npanic: no database\n")
	k.keeps(t, "i7", 3, "shop", "gone", running, strings.Repeat("request served\n", 100)+"panic: second\n")
	k.keeps(t, "i8", 1, "pay", "gone", running, "pay's own\n")
	k.keeps(t, "i9", 1, "shop", "quiet", running, "")
	o := s.o
	o.Evidence = k
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Dispatcher = d
	return s, k
}

func TestEvidence(t *testing.T) {
	for _, test := range []struct {
		line  string
		wants []string
	}{
		{"evidence shop/gone", []string{"Evidence of Deployment shop/gone, container gone", "pod gone-1-a after 3 restarts", "panic: second", "the last 40 of 101 lines", "BackOff ×7 Back-off restarting", "Recording 2 of 2", "Kept until 8 Mar 09:03 UTC", "!hunter2", "!Unrelated", "!pay's own"}},
		{"evidence shop/gone --recording 1", []string{"Log of the run that crashed", "panic: no database", "Recording 1 of 2", "!hunter2", "!run before it", "!dropped"}},
		{"evidence shop/gone -r 3", []string{"There are only 2 recordings"}},
		{"evidence shop/gone -r -1", []string{"--recording is -1"}},
		{"evidence i7", []string{"panic: second"}},
		{"evidence shop/pod/gone-1-a", []string{"panic: second"}},
		{"evidence gone", []string{"could be any of these", "evidence shop/deployment/gone", "evidence pay/deployment/gone"}},
		{"evidence quiet", []string{"Log of the run that crashed: the node had dropped it already", "!There was no log", "BackOff"}},
		{"evidence shop/web", []string{"Nothing is kept of shop/web", "7 days"}},
		{"evidence never", []string{`Nothing is kept of "never" where you may list pods`}},
		{"evidence shop/statefulset/gone", []string{"Nothing is kept of shop/statefulset/gone"}},
		{"evidence", []string{"NAME is missing"}},
		{"help evidence", []string{"--archive", "get pods/log"}},
		{"evidence shop/gone --archive", []string{"evidence-shop-gone-20260301-0903.tar.gz", "the whole archive", "crashloop diagnose --from", "3 of 5 pods.json"}},
	} {
		t.Run(test.line, func(t *testing.T) {
			s, _ := evidenceStage(t)
			holds(t, s.types(t, test.line), test.wants...)
		})
	}
}

// Whoever may not read logs in a namespace learns nothing of what is kept there, and the refusal is written down.
func TestEvidenceIsGatedLikeLogs(t *testing.T) {
	s, k := evidenceStage(t)
	s.only("pay")
	holds(t, s.types(t, "evidence shop/gone"), "may not get pods/log", "!panic", "!gone-1-a")
	holds(t, s.types(t, "evidence shop/web"), "may not get pods/log", "!Nothing is kept")
	holds(t, s.types(t, "evidence gone"), "pay's own", "!shop")
	holds(t, s.types(t, "evidence shop/gone --recording 9"), "may not get pods/log", "!recordings")
	k.keeps(t, "i10", 1, "shop", "gone", running, "")
	k.all[len(k.all)-1][0].Subject.Workload = "StatefulSet/gone"
	holds(t, s.types(t, "evidence shop/gone"), "may not get pods/log", "!statefulset", "!deployment")
	holds(t, s.types(t, "evidence i7"), "may not get pods/log", "!panic")
	holds(t, s.types(t, "evidence i7 --archive"), "may not get pods/log", "!the whole archive")
	holds(t, s.types(t, "evidence quiet"), "Nothing is kept", "!shop")
	for _, name := range []string{notify.ActionEvidence, notify.ActionEvidenceFile} {
		holds(t, s.clicksOn(t, name, "i7"), "may not get pods/log", "!panic", "!archive")
	}
	if n := strings.Count(s.audit.String(), `"refusal"`); n != 8 {
		t.Errorf("%d refusals are in the audit log:\n%s", n, s.audit.String())
	}
	s.unmapped = true
	holds(t, s.types(t, "evidence gone"), "not in the access file", "!pay's own")
	holds(t, s.clicksOn(t, notify.ActionEvidence, "i8"), "not in the access file", "!pay's own")
}

// clicksOn clicks a button by its value, of an incident that the bot has forgotten.
func (s *stage) clicksOn(t *testing.T, name, value string) notify.Message {
	t.Helper()
	s.replies = nil
	s.Click(t.Context(), notify.Click{Person: alice, Channel: "C1", Action: name, Value: value, Reply: s}, nil)
	if len(s.replies) != 1 {
		t.Fatalf("%q was answered %d times", name, len(s.replies))
	}
	return s.replies[0]
}

func TestEvidenceButtons(t *testing.T) {
	s, k := evidenceStage(t)
	m := s.clicksOn(t, notify.ActionEvidence, "i7")
	holds(t, m, "panic: second")
	var c *notify.Controls
	for _, b := range m.Blocks {
		if b.Actions != nil {
			c = b.Actions
		}
	}
	if c == nil || len(c.Buttons) != 1 || len(c.Menu) != 1 || c.Buttons[0].Value != "i7/3" || c.Menu[0].Value != "i7/1" {
		t.Fatalf("the answer's buttons are %+v", c)
	}
	holds(t, s.clicksOn(t, c.Menu[0].Action, c.Menu[0].Value), "panic: no database")
	holds(t, s.clicksOn(t, c.Buttons[0].Action, c.Buttons[0].Value), "the whole archive")
	holds(t, s.clicksOn(t, notify.ActionEvidence, "i7/2"), "not kept any more")
	holds(t, s.clicksOn(t, notify.ActionEvidence, "forgotten"), "Nothing is kept of this incident", "7 days")
	holds(t, s.clicksOn(t, notify.ActionEvidence, ""), "Nothing is kept of this incident")
	k.fail = evidence.ErrGone
	holds(t, s.clicksOn(t, notify.ActionEvidence, "i7"), "dropped just now")
	k.fail = errors.New("the recording is damaged")
	holds(t, s.clicksOn(t, notify.ActionEvidence, "i7"), "The recording is damaged")

	without := newStage(t)
	holds(t, without.clicksOn(t, notify.ActionEvidence, "i7"), "keeps no evidence any more")
	holds(t, without.types(t, "evidence shop/web"), "There is no command")
	holds(t, without.types(t, "help"), "!evidence")
}

// The archive holds what the person could get themselves, and nothing else; events are shown to those who may list them.
func TestAnArchiveHoldsWhatThePersonMayRead(t *testing.T) {
	s, k := evidenceStage(t)
	s.allow = func(p access.Permission) bool {
		return p.Namespace == "shop" && (p.Subresource == "log" || p.Resource == "pods")
	}
	k.Of("i7")[1].Elsewhere = []string{"data"}
	holds(t, s.types(t, "evidence shop/gone"), "panic: second", "The cause was app.panic", "!It panics")
	holds(t, s.types(t, "evidence shop/gone"), "panic: second", "Events are not shown: you may not list them", "!BackOff")
	m := s.types(t, "evidence shop/gone --archive")
	holds(t, m, "Left out, since you may not read it: logs in data, configmaps in data, events in shop, services in vault", "3 of 5 pods.json", "!db-0")
	files, err := snapshot.ReadArchive(bytes.NewReader(m.File.Content))
	if err != nil {
		t.Fatal(err)
	}
	view, err := snapshot.FromFS(files, snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := view.Get(t.Context(), diagnose.Pods, "shop", "gone-1-a"); err != nil {
		t.Errorf("the pod: %v", err)
	}
	if _, err := view.Log(t.Context(), diagnose.LogRequest{Namespace: "shop", Pod: "gone-1-a", Container: "gone", Previous: true}); err != nil {
		t.Errorf("the log: %v", err)
	}
	for what, err := range map[string]error{
		"a Service that is not there": func() error { _, err := view.Get(t.Context(), diagnose.Services, "vault", "keys"); return err }(),
		"a ConfigMap elsewhere":       func() error { _, err := view.Get(t.Context(), diagnose.ConfigMaps, "data", "settings"); return err }(),
		"events":                      func() error { _, err := view.List(t.Context(), diagnose.Events, "shop", diagnose.Where{}); return err }(),
	} {
		if !errors.Is(err, diagnose.ErrForbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
