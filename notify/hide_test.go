package notify_test

import (
	"strings"
	"testing"

	"crashloop/diagnose"
	"crashloop/notify"
)

// quoting is a diagnosis whose every text quotes the log, as those of a panic do.
func quoting() diagnose.Diagnosis {
	const said = "customer 4711 owes 12 EUR"
	return diagnose.Diagnosis{
		Cause: "app.panic", Category: "app-error", Confidence: diagnose.Certain,
		Summary:      "Container web panics at main.go:42: " + said + ".",
		Root:         "Deployment/shop/billing",
		Chain:        []diagnose.Link{{Object: "Deployment/shop/web", Says: "container web ends with exit code 2"}, {Object: "Deployment/shop/billing", Says: "panics: " + said}},
		Evidence:     []diagnose.Evidence{{Source: "log web (previous) line 3", Text: "panic: " + said}, {Source: "status.containerStatuses[web].lastState.terminated", Text: "Error, exit code 2"}},
		Fixes:        []diagnose.Fix{{Title: "Mend " + said, Command: "grep '" + said + "' main.go", Patch: "# " + said}},
		Alternatives: []diagnose.Alternative{{Cause: "app.exception", Confidence: diagnose.Possible, Says: "Ends with: " + said}},
		Excerpt:      diagnose.Excerpt{Container: "web", Lines: []diagnose.Line{{Number: 3, Text: "panic: " + said, Cited: true}}},
	}
}

// Log lines stand in more places than those that are marked as such: what rests on a log quotes it in its summary, too.
func TestHiddenLogsAreHiddenEverywhere(t *testing.T) {
	hidden := notify.RenderOptions{HideLogs: true, Title: func(string) string { return "The program panics" }}
	onlyElse := quoting()
	onlyElse.Summary, onlyElse.Chain, onlyElse.Fixes, onlyElse.Evidence = "Container web is killed.", nil, nil, onlyElse.Evidence[1:]
	termination := quoting()
	termination.Evidence[0].Source = "status.containerStatuses[web].lastState.terminated.message line 1"
	over := incident()
	over.State = diagnose.Recovered
	for name, d := range map[string]diagnose.Diagnosis{"a panic": quoting(), "another cause that quotes": onlyElse, "a termination message, which holds the log's end": termination} {
		t.Run(name, func(t *testing.T) {
			public := hidden.Public(d)
			for place, m := range map[string]notify.Message{
				"root": notify.Root(incident(), &d, hidden), "root at the end": notify.Root(over, &d, hidden), "detail": notify.Detail(incident(), d, hidden),
				"cause changed": notify.CauseChanged(incident(), hidden.Public(d), hidden.Public(d)), "digest": {Text: public.Summary},
			} {
				if got := golden(m); strings.Contains(got, "4711") {
					t.Errorf("the %s quotes the log:\n%s", place, got)
				}
			}
		})
	}
	if got := golden(notify.Root(incident(), new(quoting()), hidden)); !strings.Contains(got, "The program panics") {
		t.Errorf("the root does not say what is wrong:\n%s", got)
	}
	if got := golden(notify.Detail(incident(), quoting(), hidden)); !strings.Contains(got, "Deployment/shop/billing") {
		t.Errorf("the detail does not name the root object:\n%s", got)
	}
}

func TestLogsAreShownWhereThePolicyLetsThem(t *testing.T) {
	d := quoting()
	if got := golden(notify.Root(incident(), &d, notify.RenderOptions{})); !strings.Contains(got, "4711") {
		t.Errorf("the root hides what it may show:\n%s", got)
	}
}
