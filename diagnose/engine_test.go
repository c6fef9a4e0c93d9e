package diagnose_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

func rule(id string) diagnose.Rule {
	return diagnose.Rule{
		ID: id, Category: "app-error", Title: "x", Doc: diagnose.Doc{Means: "x", Confirm: "x", Mend: "x", Source: "x"},
		Match: func(*diagnose.Case, []diagnose.Hit) []diagnose.Finding { return nil },
	}
}

// TestNewRefusesBadRules holds that a catalogue with a defect is refused, and that the error names the rule and the defect.
func TestNewRefusesBadRules(t *testing.T) {
	with := func(change func(*diagnose.Rule)) []diagnose.Rule {
		r := rule("app.x")
		change(&r)
		return []diagnose.Rule{r}
	}
	for name, tc := range map[string]struct {
		rules []diagnose.Rule
		want  string
	}{
		"the same id twice":     {[]diagnose.Rule{rule("app.x"), rule("app.x")}, `rule "app.x": the id stands twice`},
		"an unknown category":   {with(func(r *diagnose.Rule) { r.Category = "weather" }), `unknown category "weather"`},
		"no documentation":      {with(func(r *diagnose.Rule) { r.Doc.Mend = "" }), "documentation needs"},
		"no match":              {with(func(r *diagnose.Rule) { r.Match = nil }), "no Match"},
		"a bad regexp":          {with(func(r *diagnose.Rule) { r.Log = []diagnose.Pattern{{Name: "p", Words: []string{"abc"}, Regexp: "("}} }), `pattern "p": error parsing regexp`},
		"a pattern of no words": {with(func(r *diagnose.Rule) { r.Log = []diagnose.Pattern{{Name: "p", Regexp: "a"}} }), "no words"},
		"an id without a dot":   {with(func(r *diagnose.Rule) { r.ID = "panic" }), "must look like"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := diagnose.New(tc.rules, diagnose.Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one that holds %q", err, tc.want)
			}
		})
	}
}

// broken is a View that fails in chosen ways.
type broken struct {
	oneLog
	get, list, log error
}

func (v broken) Get(ctx context.Context, kind diagnose.Kind, ns, name string) (diagnose.Object, error) {
	if v.get != nil {
		return nil, v.get
	}
	return v.oneLog.Get(ctx, kind, ns, name)
}

func (v broken) List(context.Context, diagnose.Kind, string, diagnose.Where) ([]diagnose.Object, error) {
	return nil, v.list
}

func (v broken) Log(ctx context.Context, r diagnose.LogRequest) ([]byte, error) {
	if v.log != nil {
		return nil, v.log
	}
	return v.oneLog.Log(ctx, r)
}

// TestReadsThatFailAreGaps holds that what cannot be read is said, and fails nothing but the pod itself.
func TestReadsThatFailAreGaps(t *testing.T) {
	engine := newEngine(t)
	log := oneLog{[]byte("dial tcp: lookup db on 10.96.0.10:53: no such host\n")}
	for name, tc := range map[string]struct {
		view diagnose.View
		gap  string
	}{
		"events and lists are forbidden": {broken{oneLog: log, list: fmt.Errorf("x: %w", diagnose.ErrForbidden)}, "no permission to read events in shop"},
		"the log is gone":                {broken{oneLog: log, log: fmt.Errorf("x: %w", diagnose.ErrGone)}, "the previous log of web is gone"},
		"the log is forbidden":           {broken{oneLog: log, log: fmt.Errorf("x: %w", diagnose.ErrForbidden)}, "no permission to read logs in shop"},
		"the API server fails":           {broken{oneLog: log, list: errors.New("connection reset")}, "could not be read: connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := engine.Diagnose(t.Context(), tc.view, web)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(d.Gaps, "\n"), tc.gap) {
				t.Errorf("gaps are %q, want %q among them", d.Gaps, tc.gap)
			}
			if d.Cause == "" || d.Summary == "" {
				t.Errorf("there is no diagnosis: %+v", d)
			}
		})
	}
	if _, err := engine.Diagnose(t.Context(), broken{oneLog: log, get: errors.New("connection reset")}, web); err == nil || !strings.Contains(err.Error(), `reading pod "shop/web"`) {
		t.Errorf("a pod that cannot be read gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Diagnose(ctx, log, web); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled diagnosis gives %v", err)
	}
}

// TestForbiddenServicesProveNothing holds that a Service is only said to be missing when it could have been seen.
func TestForbiddenServicesProveNothing(t *testing.T) {
	view := forbidServices{oneLog{[]byte("dial tcp: lookup db on 10.96.0.10:53: no such host\n")}}
	d, err := newEngine(t).Diagnose(t.Context(), view, web)
	if err != nil {
		t.Fatal(err)
	}
	if d.Cause == "dependency.service-missing" {
		t.Errorf("claims that a Service is missing that it may not read: %s", d.Summary)
	}
}

type forbidServices struct{ oneLog }

func (v forbidServices) Get(ctx context.Context, kind diagnose.Kind, ns, name string) (diagnose.Object, error) {
	if kind == diagnose.Services {
		return nil, diagnose.ErrForbidden
	}
	return v.oneLog.Get(ctx, kind, ns, name)
}

// TestMetricsAreAskedOnce holds that a metrics API which does not answer is asked once, whatever is to be measured.
func TestMetricsAreAskedOnce(t *testing.T) {
	asks := rule("app.bad")
	asks.Match = func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
		for _, pod := range []string{"web", "web-2", "web-3"} {
			if _, ok := c.UsageOf("shop", pod, "web"); ok {
				t.Error("something was measured")
			}
		}
		c.NodeUsage("node-1")
		return nil
	}
	engine, err := diagnose.New([]diagnose.Rule{asks}, diagnose.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[error]int{context.DeadlineExceeded: 1, diagnose.ErrNotFound: 4, diagnose.ErrForbidden: 4} {
		view := &noMetrics{oneLog: oneLog{[]byte("bye\n")}, answer: answer}
		if _, err := engine.Diagnose(t.Context(), view, web); err != nil {
			t.Fatal(err)
		}
		if view.asked != want {
			t.Errorf("where metrics give %q they were asked for %d times, want %d", answer, view.asked, want)
		}
	}
}

type noMetrics struct {
	oneLog
	answer error
	asked  int
}

func (v *noMetrics) Get(ctx context.Context, kind diagnose.Kind, ns, name string) (diagnose.Object, error) {
	if kind.Group == diagnose.PodMetrics.Group {
		v.asked++
		return nil, v.answer
	}
	return v.oneLog.Get(ctx, kind, ns, name)
}

// TestRuleThatPanics holds that one bad rule does not silence the others.
func TestRuleThatPanics(t *testing.T) {
	bad, good := rule("app.bad"), rule("app.good")
	bad.Match = func(*diagnose.Case, []diagnose.Hit) []diagnose.Finding { panic("x") }
	good.Match = func(*diagnose.Case, []diagnose.Hit) []diagnose.Finding {
		return []diagnose.Finding{{Confidence: diagnose.Likely, Proof: diagnose.Words, Summary: "it is this"}}
	}
	e, err := diagnose.New([]diagnose.Rule{bad, good}, diagnose.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Diagnose(t.Context(), oneLog{}, web)
	if err != nil || d.Cause != "app.good" || !strings.Contains(strings.Join(d.Gaps, " "), "app.bad failed") {
		t.Errorf("got %+v, %v", d, err)
	}
}

// TestSecondOpinion holds when what the last words as a whole are about goes before what one rule makes of a line of them.
func TestSecondOpinion(t *testing.T) {
	for _, tc := range []struct {
		name       string
		confidence diagnose.Confidence // of what the rules found first
		proof      diagnose.Proof
		sure       diagnose.Confidence // of the guess
		about      string              // what the guess says
		summary    string
		second     bool // the rule of the guess's cause has found something, too
		want       []string
	}{
		{"a likely guess before likely words", diagnose.Likely, diagnose.Words, diagnose.Likely, "host", "guessed", false, []string{"app.host guessed", "app.config possible"}},
		{"what its own rule found before the guess", diagnose.Likely, diagnose.Words, diagnose.Likely, "host", "guessed", true, []string{"app.host found", "app.config likely"}},
		{"a guess that only speaks for what was found", diagnose.Likely, diagnose.Words, diagnose.Likely, "host", "", true, []string{"app.host found", "app.config likely"}},
		{"a guess that speaks for nothing", diagnose.Likely, diagnose.Words, diagnose.Likely, "host", "", false, []string{"app.config found"}},
		{"a possible guess", diagnose.Likely, diagnose.Words, diagnose.Possible, "host", "guessed", false, []string{"app.config found"}},
		{"certain words", diagnose.Certain, diagnose.Words, diagnose.Likely, "host", "guessed", false, []string{"app.config found"}},
		{"the cluster's objects", diagnose.Likely, diagnose.Structural, diagnose.Likely, "host", "guessed", false, []string{"app.config found"}},
		{"the same subject", diagnose.Likely, diagnose.Words, diagnose.Likely, "config", "guessed", false, []string{"app.config found"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config, host := rule("app.config"), rule("app.host")
			config.About, host.About = "config", tc.about
			says := func(by string, conf diagnose.Confidence, proof diagnose.Proof, weight int) func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
				return func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
					return []diagnose.Finding{{Confidence: conf, Proof: proof, Weight: weight, Log: c.Log(), At: 1, Summary: by}}
				}
			}
			config.Match = says("found", tc.confidence, tc.proof, 0)
			if tc.second {
				host.Match = says("found", diagnose.Likely, diagnose.Words, -50)
			}
			host.Last = func(c *diagnose.Case) []diagnose.Finding {
				return []diagnose.Finding{{Cause: "app.host", Confidence: tc.sure, Proof: diagnose.Words, Log: c.Log(), At: 1, Summary: tc.summary}}
			}
			e, err := diagnose.New([]diagnose.Rule{config, host}, diagnose.Options{})
			if err != nil {
				t.Fatal(err)
			}
			d, err := e.Diagnose(t.Context(), oneLog{[]byte("the kernel does not like this setting\n")}, web)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{d.Cause + " " + strings.TrimSuffix(d.Summary, ".")}
			for _, a := range d.Alternatives {
				got = append(got, a.Cause+" "+string(a.Confidence))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestCommandsAreForCopying holds that nobody copies a command with "[redacted]" in it, or half of one.
func TestCommandsAreForCopying(t *testing.T) {
	offers := rule("app.bad")
	offers.Match = func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
		return []diagnose.Finding{{Confidence: diagnose.Certain, Proof: diagnose.Structural, Summary: "x", Fixes: []diagnose.Fix{
			{Title: "Set it", Command: c.Kubectl("set", "env", "deploy/db", "DB_PASSWORD=hunter2", "PORT=80"), Patch: "env:\n- name: DB_PASSWORD\n  value: hunter2\n"},
			{Title: "Too long", Command: c.Kubectl("exec", "web", "--", strings.Repeat("x", 600)), Patch: strings.Repeat("x", 3000)},
		}}}
	}
	engine, err := diagnose.New([]diagnose.Rule{offers}, diagnose.Options{Redact: diagnose.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := engine.Diagnose(t.Context(), oneLog{[]byte("bye\n")}, web)
	if err != nil {
		t.Fatal(err)
	}
	want := []diagnose.Fix{
		{Title: "Set it", Command: "kubectl -n shop set env deploy/db DB_PASSWORD=VALUE PORT=80", Patch: "env:\n- name: DB_PASSWORD\n  value: VALUE\n"},
		{Title: "Too long"},
	}
	if !slices.Equal(d.Fixes, want) {
		t.Errorf("got %+v, want %+v", d.Fixes, want)
	}
}

// TestEverythingIsRedacted holds that no text leaves the engine but through Redact.
func TestEverythingIsRedacted(t *testing.T) {
	r := rule("app.x")
	r.Match = func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
		return []diagnose.Finding{{
			Confidence: diagnose.Certain, Proof: diagnose.Words, Log: c.Log(), At: 1, Summary: "SECRET", Advice: "SECRET", Root: "Service/a/b", Chain: []diagnose.Link{{Object: "Service/a/b", Says: "SECRET"}},
			Evidence: []diagnose.Evidence{c.Log().Cite(1)}, Fixes: []diagnose.Fix{{Title: "SECRET", Command: "SECRET", Patch: "SECRET"}},
		}}
	}
	e, err := diagnose.New([]diagnose.Rule{r}, diagnose.Options{Redact: diagnose.NewRedactor("SECRET")})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Diagnose(t.Context(), oneLog{[]byte("password is SECRET\n")}, web)
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%+v", d); strings.Contains(s, "SECRET") {
		t.Errorf("a secret comes through: %s", s)
	}
}

// TestHalfATokenAtTheBeginningOfALog holds that the line is left out in which a long log was cut: it may begin amid a token.
func TestHalfATokenAtTheBeginningOfALog(t *testing.T) {
	const secret, limit = "ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i", 400
	end := " is no key that is known\nfatal: cannot go on\n"
	for at := range len(secret) {
		for name, rest := range map[string]string{"lines": end, "one line": strings.ReplaceAll(end, "\n", " ")} {
			rest += strings.Repeat("x", limit-len(secret)+at-len(rest))
			e, err := diagnose.New([]diagnose.Rule{rule("app.x")}, diagnose.Options{Redact: diagnose.NewRedactor(), LimitBytes: limit})
			if err != nil {
				t.Fatal(err)
			}
			d, err := e.Diagnose(t.Context(), oneLog{[]byte(strings.Repeat("y", 900) + " " + secret + rest)}, web)
			if err != nil {
				t.Fatal(err)
			}
			s := fmt.Sprintf("%+v", d)
			if half := secret[at:]; len(half) > 3 && strings.Contains(s, half) {
				t.Errorf("%s, cut at %d: %q comes through: %s", name, at, half, s)
			}
			if !strings.Contains(s, "cannot go on") {
				t.Errorf("%s, cut at %d: nothing is left: %s", name, at, s)
			}
		}
	}
}

// statusView is a View of one pod with a given status.
type statusView struct {
	oneLog
	status corev1.ContainerStatus
	policy corev1.RestartPolicy
}

func (v statusView) Get(_ context.Context, kind diagnose.Kind, _, _ string) (diagnose.Object, error) {
	if kind != diagnose.Pods {
		return nil, diagnose.ErrNotFound
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{RestartPolicy: v.policy, Containers: []corev1.Container{{Name: "web"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{v.status}},
	}, nil
}

// TestNextRetry holds the kubelet's back-off: none at first, then 10 s doubled to 5 minutes from the end of the last run, forgotten after a
// run of 10 minutes; and its own word, where it gives one, above all of that.
func TestNextRetry(t *testing.T) {
	engine, now := newEngine(t), time.Unix(1772359200, 0)
	ended := func(ago, ran time.Duration) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: metav1.NewTime(now.Add(-ago)), StartedAt: metav1.NewTime(now.Add(-ago - ran))}
	}
	waiting := func(message string, t *corev1.ContainerStateTerminated, restarts int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "web", RestartCount: restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: message}}, LastTerminationState: corev1.ContainerState{Terminated: t}}
	}
	for name, tc := range map[string]struct {
		status corev1.ContainerStatus
		policy corev1.RestartPolicy
		want   time.Duration // from now; 0 for none
	}{
		"first":                        {waiting("", ended(2*time.Second, time.Second), 1), "Always", 8 * time.Second},
		"fourth":                       {waiting("", ended(2*time.Second, time.Second), 4), "Always", 78 * time.Second},
		"never more than 5 minutes":    {waiting("", ended(2*time.Second, time.Second), 40), "Always", 298 * time.Second},
		"the kubelet's own number":     {waiting("back-off 20s restarting failed container=web", ended(2*time.Second, time.Second), 9), "Always", 18 * time.Second},
		"at once after a long run":     {waiting("", ended(2*time.Second, 11*time.Minute), 9), "Always", 0},
		"its word after a long run":    {waiting("back-off 10s restarting failed container=web", ended(2*time.Second, 11*time.Minute), 9), "Always", 8 * time.Second},
		"the first restart is at once": {corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Terminated: ended(time.Second, time.Second)}}, "Always", 0},
		"a word that no kubelet gives": {waiting("back-off 900h restarting failed container=web", ended(2*time.Second, time.Second), 1), "Always", 8 * time.Second},
		"a kubelet of short back-offs": {corev1.ContainerStatus{Name: "web", RestartCount: 5, State: corev1.ContainerState{Terminated: ended(2*time.Second, time.Second)},
			LastTerminationState: corev1.ContainerState{Terminated: ended(5*time.Second, time.Second)}}, "Always", 0},
		"a kubelet that keeps to the rule": {corev1.ContainerStatus{Name: "web", RestartCount: 3, State: corev1.ContainerState{Terminated: ended(2*time.Second, time.Second)},
			LastTerminationState: corev1.ContainerState{Terminated: ended(24*time.Second, time.Second)}}, "Always", 38 * time.Second},
		"succeeded, not restarted": {corev1.ContainerStatus{Name: "web", RestartCount: 2, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(now.Add(-time.Second)), StartedAt: metav1.NewTime(now.Add(-2 * time.Second))}}}, "OnFailure", 0},
		"already due":     {waiting("", ended(time.Hour, time.Second), 9), "Always", 0},
		"never restarted": {waiting("", ended(2*time.Second, time.Second), 1), "Never", 0},
		"it runs": {corev1.ContainerStatus{Name: "web", RestartCount: 2, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			LastTerminationState: corev1.ContainerState{Terminated: ended(2*time.Second, time.Second)}}, "Always", 0},
		"its first wait, which nothing has shown": {corev1.ContainerStatus{Name: "web", RestartCount: 1, State: corev1.ContainerState{Terminated: ended(2*time.Second, time.Second)},
			LastTerminationState: corev1.ContainerState{Terminated: ended(4*time.Second, time.Second)}}, "Always", 0},
		"terminated, not yet shown as waiting": {corev1.ContainerStatus{Name: "web", RestartCount: 2, State: corev1.ContainerState{Terminated: ended(2*time.Second, time.Second)}}, "Always", 18 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := engine.Diagnose(t.Context(), statusView{status: tc.status, policy: tc.policy}, web)
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if tc.want != 0 {
				want = now.Add(tc.want).UTC().Format(time.RFC3339)
			}
			if d.NextRetry != want {
				t.Errorf("next retry is %q, want %q", d.NextRetry, want)
			}
		})
	}
}

// TestHostileLogs holds that no log makes a diagnosis slow, endless or unreadable.
func TestHostileLogs(t *testing.T) {
	engine := newEngine(t)
	for name, log := range map[string]string{
		"one line of 5 MB":   strings.Repeat("x", 5<<20) + " panic: y",
		"binary":             string([]byte{0, 1, 2, 0xff, 0xfe, 0x80, '\n', 0x7f, 'E', 'L', 'F'}),
		"colours":            "\x1b[1;31mpanic: red\x1b[0m\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:14 +0x1c\n",
		"a paging mention":   "<!channel> panic\n",
		"only carriage":      "\r\r\r\r",
		"a million newlines": strings.Repeat("\n", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			d, err := engine.Diagnose(t.Context(), oneLog{[]byte(log)}, web)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if text := diagnose.Text(d); strings.ContainsRune(text, 0x1b) || len(text) > 64<<10 {
				t.Errorf("the text is unsafe or %d bytes long", len(text))
			}
			if name == "colours" && d.Cause != "app.panic" {
				t.Errorf("cause is %s", d.Cause)
			}
		})
	}
}
