package notify_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"crashloop/diagnose"
	"crashloop/notify"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func code(n int32) *int32 { return &n }

func incident() diagnose.Incident {
	return diagnose.Incident{
		ID:        "3fa9c2",
		Subject:   diagnose.Subject{Cluster: "prod-eu", Namespace: "shop", Workload: "Deployment/web", Pod: "web-6d5c9b7f4-x2x9k", Container: "web", ContainerType: diagnose.App},
		Condition: diagnose.CrashLoop, Says: "ended 3 times within 2m10s, each time with exit code 1", State: diagnose.Open,
		Since: noon.Add(-2 * time.Minute), Opened: noon, LastCrash: noon, Restarts: 3, ExitCode: code(1), Failing: 2, Instances: 3,
	}
}

func envMissing() diagnose.Diagnosis {
	return diagnose.Diagnosis{
		Cause: "config.env-missing", Category: "missing-config", Confidence: diagnose.Certain,
		Summary: "web in shop stops at start because the environment variable DATABASE_URL is not set.",
		Chain:   []diagnose.Link{{Object: "Deployment/shop/web", Says: "container web exits with code 1 three seconds after its start"}},
		Change:  &diagnose.Change{Object: "Deployment/shop/web", At: noon.Add(-3 * time.Minute), Says: "revision 42: image 1.4.1 -> 1.4.2, env DATABASE_URL removed"},
		Evidence: []diagnose.Evidence{
			{Source: "log web (previous) line 12", Text: "KeyError: 'DATABASE_URL'"},
			{Source: "spec.containers[web].env", Text: "holds LOG_LEVEL, PORT"},
		},
		Fixes: []diagnose.Fix{
			{Title: "Go back to the revision that ran", Command: "kubectl -n shop rollout undo deployment/web --to-revision=41"},
			{Title: "Set the variable", Command: "kubectl -n shop set env deployment/web DATABASE_URL=…", Patch: "spec:\n  template:\n    spec:\n      containers:\n      - name: web\n        env:\n        - name: DATABASE_URL\n          value: …"},
		},
		Restarts: 3, ExitCode: code(1), NextRetry: noon.Add(40 * time.Second).Format(time.RFC3339),
		Alternatives: []diagnose.Alternative{{Cause: "app.exception", Confidence: diagnose.Possible, Says: "The variable is set by the image in 1.4.1; docker history tells."}},
		Gaps:         []string{"no permission to read ReplicaSets in shop: older revisions are not compared"},
		Excerpt: diagnose.Excerpt{Container: "web", Previous: true, Lines: []diagnose.Line{
			{Number: 9, Text: "Traceback (most recent call last):"}, {Number: 11, Text: "    url = os.environ[\"DATABASE_URL\"]"}, {Number: 12, Text: "KeyError: 'DATABASE_URL'", Cited: true}}},
		Timeline: []diagnose.Run{
			{Started: noon.Add(-130 * time.Second), Ended: noon.Add(-127 * time.Second), ExitCode: 1, Reason: "Error"},
			{Started: noon.Add(-3 * time.Second), Ended: noon, ExitCode: 1, Reason: "Error"},
		},
	}
}

func chained() (diagnose.Incident, diagnose.Diagnosis) {
	inc := incident()
	inc.Subject.Container, inc.Subject.ContainerType = "wait-for-db", diagnose.Init
	d := diagnose.Diagnosis{
		Cause: "dependency.pod-pending", Confidence: diagnose.Likely,
		Summary: "web in shop waits for postgres:5432, which has no running pod: postgres-0 is Pending because its volume claim data-postgres-0 asks for the storage class fast, which does not exist.",
		Root:    "StorageClass//fast",
		Chain: []diagnose.Link{{Object: "Deployment/shop/web", Says: "init container wait-for-db cannot connect to postgres:5432"}, {Object: "Service/shop/postgres", Says: "has no ready endpoints"},
			{Object: "StatefulSet/shop/postgres", Says: "its pod postgres-0 is Pending"}, {Object: "PersistentVolumeClaim/shop/data-postgres-0", Says: "is not bound"}, {Object: "StorageClass//fast", Says: "does not exist"}},
		Evidence: []diagnose.Evidence{{Source: "event FailedScheduling", Text: "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims"}},
		Fixes:    []diagnose.Fix{{Title: "Create the storage class fast, or recreate the claim with one that exists (standard)"}},
		Restarts: 3, Excerpt: diagnose.Excerpt{Container: "wait-for-db", Previous: true, Empty: true},
	}
	return inc, d
}

// hostile is a diagnosis made of everything that a cluster could put into a message to do harm.
func hostile() (diagnose.Incident, diagnose.Diagnosis) {
	const evil = "<!channel> <@U0ALICE> *bold* _it_ ~no~ `code` ```x``` &amp; <https://evil.example|shop> :tada: @here #general \u202egnp.exe\u200b\x1b[31mred\x1b[0m\x00\x07 http://evil.example"
	inc, d := incident(), envMissing()
	inc.Subject.Cluster, inc.Says, inc.Subject.Container = evil, evil, "web"
	d.Summary, d.Cause = evil, "app.exception"
	d.Chain[0].Object, d.Chain[0].Says = evil, evil
	d.Change.Object, d.Change.Says = evil, evil
	d.Evidence = []diagnose.Evidence{{Source: evil, Text: evil + "\n> " + evil}}
	d.Fixes = []diagnose.Fix{{Title: evil, Command: evil + "\n" + evil, Patch: evil}}
	d.Alternatives = []diagnose.Alternative{{Cause: evil, Says: evil}}
	d.Gaps = []string{evil}
	d.Excerpt.Container = evil
	d.Excerpt.Lines = []diagnose.Line{{Number: 1, Text: evil}, {Number: 7, Text: "bad \xff\xfe bytes"}}
	return inc, d
}

// huge is a diagnosis with as much of everything as there can be, and more.
func huge() (diagnose.Incident, diagnose.Diagnosis) {
	inc, d := incident(), envMissing()
	long := strings.Repeat("wörd ", 2000)
	inc.Subject.Workload, inc.Subject.Namespace, inc.Says, inc.EndedSays = "Deployment/"+strings.Repeat("w", 253), strings.Repeat("n", 63), long, long
	d.Summary, d.Change.Says, d.Change.Object = long, long, long
	for i := range 100 {
		d.Chain = append(d.Chain, diagnose.Link{Object: fmt.Sprint("Pod/", i, long), Says: long})
		d.Evidence = append(d.Evidence, diagnose.Evidence{Source: "log " + long, Text: long})
		d.Fixes = append(d.Fixes, diagnose.Fix{Title: long, Command: long, Patch: long})
		d.Alternatives = append(d.Alternatives, diagnose.Alternative{Cause: long, Says: long})
		d.Gaps = append(d.Gaps, long)
		d.Excerpt.Lines = append(d.Excerpt.Lines, diagnose.Line{Number: 100 + i, Text: long})
		d.Timeline = append(d.Timeline, diagnose.Run{Started: noon, Ended: noon.Add(time.Hour), Reason: long})
	}
	return inc, d
}

type rendered struct {
	name string
	m    notify.Message
}

func renderings() []rendered {
	inc, d := incident(), envMissing()
	recovered, closed, unfinished, cannot := inc, inc, inc, inc
	recovered.State, recovered.Ended, recovered.EndedSays = diagnose.Recovered, noon.Add(20*time.Minute), "All 3 pods have run, ready and unrestarted, for 10 minutes"
	closed.State, closed.Ended, closed.EndedSays = diagnose.Closed, noon.Add(5*time.Minute), "Deployment web was scaled to zero"
	unfinished.Restarts, unfinished.ExitCode = 0, nil
	cannot.Condition, cannot.Subject = diagnose.CannotCreate, diagnose.Subject{Namespace: "shop", Workload: "Job/report"}
	cannot.Says, cannot.Restarts, cannot.ExitCode, cannot.Failing, cannot.Instances = "no pod could be created for 1m0s", 0, nil, 0, 0
	ci, cd := chained()
	hi, hd := hostile()
	bi, bd := huge()
	hidden := notify.RenderOptions{HideLogs: true, Without: []string{notify.ActionScaleToZero}}
	now := d
	now.Cause, now.Confidence, now.Summary = "resources.oom-limit", diagnose.Certain, "web in shop is killed because it needs more memory than its limit of 128Mi."
	undo := notify.ScaleBackButton(inc)
	o := notify.RenderOptions{}
	return []rendered{
		{"root", notify.Root(inc, &d, o)},
		{"root-unknown", notify.Root(unfinished, nil, o)},
		{"root-cannot-create", notify.Root(cannot, nil, o)},
		{"root-chain", notify.Root(ci, &cd, o)},
		{"root-recovered", notify.Root(recovered, &d, o)},
		{"root-closed", notify.Root(closed, nil, o)},
		{"root-hidden", notify.Root(inc, &d, hidden)},
		{"root-hostile", notify.Root(hi, &hd, o)},
		{"root-huge", notify.Root(bi, &bd, o)},
		{"detail", notify.Detail(inc, d, o)},
		{"detail-chain", notify.Detail(ci, cd, o)},
		{"detail-hidden", notify.Detail(inc, d, hidden)},
		{"detail-hostile", notify.Detail(hi, hd, o)},
		{"detail-huge", notify.Detail(bi, bd, o)},
		{"cause-changed", notify.CauseChanged(inc, d, now)},
		{"end-recovered", notify.End(recovered)},
		{"end-closed", notify.End(closed)},
		{"action", notify.ActionLine(notify.Action{User: "U0ALICE", Name: "alice", Did: "restarted Deployment web in shop"})},
		{"action-failed", notify.ActionLine(notify.Action{User: "U0ALICE", Name: "alice", Tried: "restart Deployment web", Failed: "the API server did not answer"})},
		{"action-undo", notify.ActionLine(notify.Action{User: "U0ALICE", Name: "alice", Did: "scaled Deployment web in shop to zero (it had 3 replicas)", Notes: []string{"The HorizontalPodAutoscaler web may scale it up again."}, Undo: &undo})},
	}
}

// golden is a message as the golden files show it: what notifications say, what a reader sees, what can be clicked.
func golden(m notify.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "text: %s\n", m.Text)
	for _, bl := range m.Blocks {
		b.WriteString("--\n")
		if bl.Actions != nil {
			raw, _ := json.MarshalIndent(bl.Actions, "", "  ")
			fmt.Fprintf(&b, "%s\n", raw)
			continue
		}
		b.WriteString(notify.Message{Blocks: []notify.Block{bl}}.Plain() + "\n")
	}
	return b.String()
}

func TestRender(t *testing.T) {
	for _, r := range renderings() {
		t.Run(r.name, func(t *testing.T) {
			got := golden(r.m)
			file := filepath.Join("testdata", r.name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got; write anew with -update)\n%s", diff)
			}
			if n := r.m.Len(); n > 9000 {
				t.Errorf("%d characters", n)
			}
			if n := utf8.RuneCountInString(r.m.Text); n == 0 || n > 600 {
				t.Errorf("the text has %d characters", n)
			}
		})
	}
}

// What stands in a value or an action goes through Slack and comes back: it names the incident, and nothing else.
func TestControlsHoldTheIncidentOnly(t *testing.T) {
	inc, d := hostile()
	for _, b := range notify.Root(inc, &d, notify.RenderOptions{}).Blocks {
		if b.Actions == nil {
			continue
		}
		for _, c := range append(b.Actions.Buttons, b.Actions.Menu...) {
			if c.Value != inc.ID {
				t.Errorf("%s has value %q", c.Action, c.Value)
			}
			if changes := c.Action == notify.ActionRestart || c.Action == notify.ActionScaleToZero; changes != (c.Confirm != nil) {
				t.Errorf("%s: confirm %v", c.Action, c.Confirm)
			}
		}
		if len(b.Actions.Buttons) > 3 || len(b.Actions.Menu) > 5 {
			t.Errorf("%d buttons, %d entries", len(b.Actions.Buttons), len(b.Actions.Menu))
		}
	}
}

func TestClean(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "héllo\tworld\n", "héllo\tworld\n"},
		{"emoji with joiner", "👩‍🚒 ❤️", "👩‍🚒 ❤️"},
		{"ansi colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"ansi title", "\x1b]0;title\x07x", "x"},
		{"lone escape", "a\x1bb", "ab"},
		{"bidi", "gnp\u202eexe", "gnp\ufffdexe"},
		{"zero width", "pay\u200bpal", "pay\ufffdpal"},
		{"control", "a\x00b\x07c", "a\ufffdb\ufffdc"},
		{"c1", "a\u0085b\u009bc", "a\ufffdb\ufffdc"},
		{"not utf-8", "a\xffb", "a\ufffdb"},
		{"crlf", "a\r\nb\rc", "a\nb\nc"},
		{"line separator", "a\u2028b", "a\nb"},
		{"tags", "a\U000e0041b", "a\ufffdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := notify.Clean(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m \u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := notify.Clean(s)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\u202e\u200b\r") {
			t.Errorf("%q became %q", s, got)
		}
		if again := notify.Clean(got); again != got {
			t.Errorf("%q is not stable: %q", got, again)
		}
		if cut := notify.Cut(got, 10); utf8.RuneCountInString(cut) > 10 {
			t.Errorf("cut to 10: %q", cut)
		}
	})
}

func TestARunIsAsLongAsItWas(t *testing.T) {
	for lasted, want := range map[time.Duration]string{
		0: "less than 1s", 3 * time.Second: "3s", 10 * time.Second: "10s", 40 * time.Second: "40s", 130 * time.Second: "2m10s", 20 * time.Minute: "20m", time.Hour: "1h", 3*time.Hour + 5*time.Minute: "3h5m",
	} {
		inc, d := incident(), envMissing()
		d.Timeline = []diagnose.Run{{Started: noon.Add(-lasted), Ended: noon, ExitCode: 1}}
		if text := notify.Detail(inc, d, notify.RenderOptions{}).Plain(); !strings.Contains(text, " ended after "+want+" with exit code 1") {
			t.Errorf("a run of %s does not read %q:\n%s", lasted, want, text)
		}
		inc.State, inc.Since, inc.Ended, inc.EndedSays = diagnose.Recovered, noon.Add(-lasted), noon, "it runs"
		if text := notify.End(inc).Plain(); lasted > 0 && !strings.Contains(text, "It lasted "+want+", with 3 restarts.") {
			t.Errorf("an incident of %s does not read %q:\n%s", lasted, want, text)
		}
	}
}
