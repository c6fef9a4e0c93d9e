package command

import (
	"errors"
	"strings"
	"testing"
	"time"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/diagnose"

	"github.com/google/go-cmp/cmp"
)

func TestLogsReadWhatWasAskedFor(t *testing.T) {
	for line, want := range map[string]action.LogQuery{
		"logs web":                          {Namespace: "shop", Pod: "web-1-a", Container: "web", Tail: defaultTail},
		"logs web --previous":               {Namespace: "shop", Pod: "web-1-a", Container: "web", Previous: true, Tail: defaultTail},
		"logs web -c proxy":                 {Namespace: "shop", Pod: "web-1-a", Container: "proxy", Tail: defaultTail},
		"logs web --tail 7 --since 90m":     {Namespace: "shop", Pod: "web-1-a", Container: "web", Tail: 7, Since: 90 * time.Minute},
		"logs web-1-a":                      {Namespace: "shop", Pod: "web-1-a", Container: "web", Tail: defaultTail},
		"logs web --grep panic":             {Namespace: "shop", Pod: "web-1-a", Container: "web", Tail: grepTail},
		"logs shop/pod/web-1-b -c web -t 1": {Namespace: "shop", Pod: "web-1-b", Container: "web", Tail: 1},
	} {
		t.Run(line, func(t *testing.T) {
			s := newStage(t)
			if strings.Contains(line, "web-1-b") {
				s.objects = append(s.objects, action.Object{Target: action.Target{Kind: "Deployment", Namespace: "shop", Name: "web"}, Pod: "web-1-b"})
			}
			s.types(t, line)
			if diff := cmp.Diff([]action.LogQuery{want}, s.queries); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLogsNeedThePermission(t *testing.T) {
	s := newStage(t)
	s.allow = func(p access.Permission) bool { return p.Subresource != "log" }
	holds(t, s.types(t, "logs web"), "may not get pods/log in namespace shop", "!panic", "!web-1-a")
	holds(t, s.types(t, "logs shop/pod/web-1-a"), `may not get pods/log "web-1-a" in namespace shop`, "!panic")
	holds(t, s.types(t, "diagnose web"), "may not get pods/log in namespace shop")
	inc := s.incidents[0].Incident
	for _, button := range []string{"logs", "logs-previous", "diagnose"} {
		holds(t, s.clicks(t, button, &inc), "may not get pods/log in namespace shop", "!panic")
	}
	if len(s.queries)+len(s.diagnosed) > 0 {
		t.Error("something was read")
	}
	if n := strings.Count(s.audit.String(), `"phase":"refusal"`); n != 6 {
		t.Errorf("%d refusals were audited: %s", n, s.audit.String())
	}
	if strings.Contains(s.audit.String(), "panic") {
		t.Error("the audit log holds log lines")
	}
}

func TestLogsShowTheEnd(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "logs web"), "Log of container web, pod shop/web-1-a", "the last 2 lines", "starting\npanic: no DATABASE_URL")
	holds(t, s.types(t, "logs web --previous"), "Previous log of container web", "1 line", "old run")
	holds(t, s.types(t, "logs web --tail 1"), "!starting", "panic")
	holds(t, s.types(t, "logs web -c proxy"), "is empty", "wrote nothing")
	current := s.logs["web-1-a web"]
	delete(s.logs, "web-1-a web") // replaced, and its file dropped, between two questions
	holds(t, s.types(t, "logs web"), "Previous log of container web", "old run")
	s.logs["web-1-a web"] = current
	holds(t, s.types(t, "logs web -c nope"), `Pod web-1-a has no container "nope". It has init, web, proxy.`)
	holds(t, s.types(t, "logs web -c init"), "has not started")
	holds(t, s.types(t, "logs web --grep DATABASE"), `1 of the last 2 lines match "DATABASE"`, "!starting")
	holds(t, s.types(t, "logs web --grep nothing"), `No line of the last 2 of the log of container web`)
	holds(t, s.types(t, "logs db"), "shop/web-1-a") // the made-up cluster has one workload's pods only
	s.pods = nil
	holds(t, s.types(t, "logs web"), "Deployment shop/web has no pods just now")
}

func TestLogsAreRedactedBeforeTheyAreSearched(t *testing.T) {
	s := newStage(t)
	s.logs["web-1-a web"] = "password=hunter2\nfine\n"
	holds(t, s.types(t, "logs web"), "password=[redacted]", "!hunter2")
	m := s.types(t, "logs web --grep ^password=h")
	holds(t, m, "No line of the last 2", "!hunter2")
}

func TestLogsAreHarmless(t *testing.T) {
	s := newStage(t)
	s.logs["web-1-a web"] = "\x1b[31mred\x1b[0m \xff\x00 <!channel>\nover\u202ewritten\n"
	m := s.types(t, "logs web")
	holds(t, m, "red ", "<!channel>", "!\x1b", "!\x00", "!\u202e", "!\xff")
	if m.Blocks[1].Code == "" {
		t.Error("a log is not set as code, where nothing is markup")
	}
}

func TestLongLogsAreFiles(t *testing.T) {
	s := newStage(t)
	s.logs["web-1-a web"] = strings.Repeat("a line of the log\n", 1000)
	m := s.types(t, "logs web --tail 900")
	if m.File == nil || m.File.Name != "web-1-a-web.log" || strings.Count(string(m.File.Content), "\n") != 900 {
		t.Errorf("got %+v", m.File)
	}
	s.logs["web-1-a web"] = strings.Repeat("ü", 5<<20)
	m = s.types(t, "logs web")
	if got := len(text(m)); got > 5000 {
		t.Errorf("a line of 10 MB is answered with %d bytes", got)
	}
	holds(t, m, "bytes more)")
}

func TestDescribe(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "describe web"), "Deployment shop/web", "Name:  web", "password=[redacted]", "as kubectl describe shows it", "!\x1b")
	holds(t, s.types(t, "describe web-1-a"), "Pod shop/web-1-a")
	holds(t, s.types(t, "describe svc/front"), "Service shop/front")
	holds(t, s.types(t, "describe shop/deployment/gone"), "There is no Deployment shop/gone.")
	s.allow = func(p access.Permission) bool { return p.Resource != "events" }
	holds(t, s.types(t, "describe web"), "without events, which you may not list")
	want := []string{"Deployment/shop/web with events", "Pod/shop/web-1-a with events", "Service/shop/front with events", "Deployment/shop/gone with events", "Deployment/shop/web without events"}
	if diff := cmp.Diff(want, s.described); diff != "" {
		t.Error(diff)
	}
	s.allow = func(p access.Permission) bool { return p.Verb == "list" }
	s.described = nil
	holds(t, s.types(t, "describe web"), `may not get deployments.apps "web" in namespace shop`)
	if len(s.described) > 0 {
		t.Error("it was read")
	}
	for _, line := range []string{"describe secret/x", "describe shop/secret/x", "describe shop/configmap/x", "describe node/n"} {
		s.types(t, line)
	}
	if len(s.described) > 0 {
		t.Errorf("described %v", s.described)
	}
}

func TestDiagnose(t *testing.T) {
	s := newStage(t)
	holds(t, s.types(t, "diagnose web"), "Nothing keeps failing in Deployment shop/web just now.")
	sidecar := standing("i3", "shop", "Deployment/web", "proxy")
	sidecar.Diagnosis = &diagnose.Diagnosis{Summary: "The proxy has no certificate."}
	s.found = []Standing{s.incidents[0], sidecar}
	holds(t, s.types(t, "diagnose web"), "DATABASE_URL is not set.", "The proxy has no certificate.")
	inc := s.incidents[0].Incident
	holds(t, s.clicks(t, "diagnose", &inc), "DATABASE_URL is not set.", "!certificate")
	if diff := cmp.Diff([]string{"shop/Deployment/web", "shop/Deployment/web", "shop/Deployment/web"}, s.diagnosed); diff != "" {
		t.Error(diff)
	}
}

func TestChanges(t *testing.T) {
	for _, name := range []string{"restart", "scale-to-zero", "scale-back"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			inc := s.incidents[0].Incident
			holds(t, s.types(t, name+" web"), "Done.")
			holds(t, s.clicks(t, name, &inc), "Done.")
			want := action.Request{Person: alice, Action: name, Target: action.Target{Kind: "Deployment", Namespace: "shop", Name: "web"}, Incident: "i1", Channel: "C1"}
			if diff := cmp.Diff([]action.Request{want, want}, s.ran); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"i1 " + name, "i1 " + name}, s.told); diff != "" {
				t.Errorf("the thread: %s", diff)
			}
			s.told, s.outcome = nil, action.Outcome{Refused: true, Private: "alice may not.", Grant: "kubectl create role x"}
			holds(t, s.types(t, name+" web"), "alice may not.", "An admin can allow it with:", "kubectl create role x")
			s.outcome = action.Outcome{Private: "Nothing to do."}
			holds(t, s.clicks(t, name, &inc), "Nothing to do.")
			s.failing = errors.New("restart of it failed: token=hunter2")
			holds(t, s.clicks(t, name, &inc), "Restart of it failed", "!hunter2")
			if len(s.told) > 0 {
				t.Errorf("the thread was told of what did not happen: %v", s.told)
			}
		})
	}
}

func TestStaleClicks(t *testing.T) {
	s := newStage(t)
	inc := s.incidents[0].Incident
	inc.State, inc.EndedSays = diagnose.Recovered, "every instance has run for 10m"
	holds(t, s.clicks(t, "restart", &inc), "This incident is over (every instance has run for 10m), so nothing was done.", "/crashloop restart shop/deployment/web")
	holds(t, s.clicks(t, "restart", nil), "no longer knows it", "/crashloop list")
	holds(t, s.clicks(t, "reticulate", &inc), "another version of the bot")
	if len(s.ran) > 0 {
		t.Errorf("ran %v", s.ran)
	}
	holds(t, s.clicks(t, "logs", &inc), "panic")
	inc.State = diagnose.Closed
	s.clicks(t, "scale-back", &inc)
	if len(s.ran) != 1 || len(s.told) != 1 {
		t.Errorf("scale-back of a workload at zero: ran %v, told %v", s.ran, s.told)
	}
}

func TestLogButtons(t *testing.T) {
	s := newStage(t)
	inc := s.incidents[0].Incident
	holds(t, s.clicks(t, "logs", &inc), "Log of container web", "panic")
	holds(t, s.clicks(t, "logs-previous", &inc), "Previous log of container web", "old run")
	s.logs["web-1-a web"] = ""
	holds(t, s.clicks(t, "logs", &inc), "Previous log of container web", "old run")
	delete(s.logs, "web-1-a web, previous")
	holds(t, s.clicks(t, "logs", &inc), "is empty")
	holds(t, s.clicks(t, "logs-previous", &inc), "No log")
	delete(s.logs, "web-1-a web")
	holds(t, s.clicks(t, "logs", &inc), "has not started")
	inc.Subject.Container = "renamed-since" // then the one that fails
	s.logs["web-1-a web"] = "again\n"
	holds(t, s.clicks(t, "logs", &inc), "Log of container web", "again")
	inc.Subject.Pod = "web-1-b"
	holds(t, s.clicks(t, "logs", &inc), "fine")
}
