package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/notify/workspace"
)

// patience is how long anything may take on a machine that is slow and busy. Nothing waits for it to pass; it is where a test gives up.
const patience = 90 * time.Second

// Shorter names for the people of the workspace.
const (
	alice   = workspace.UserAlice   // cluster-admin
	dev     = workspace.UserDev     // edit in the stage's first namespace
	vic     = workspace.UserVic     // view in all the stage's namespaces
	mallory = workspace.UserMallory // mapped to nobody
)

const incidents = workspace.ChannelIncidents

// accessFile maps people to Kubernetes users. The guest, the deactivated user and the stranger have alice's e-mail address or one of their
// own that is mapped: they must get nothing all the same.
const accessFile = `
users:
- slack: alice@example.com
  kubernetes: {user: alice@example.com}
- slack: dev@example.com
  kubernetes: {user: dev@example.com}
- slack: vic@example.com
  kubernetes: {user: vic@example.com}
- slack: guest@example.com
  kubernetes: {user: alice@example.com}
`

// stage is what one story plays on: namespaces of its own on a shared cluster, a workspace of its own, and a bot that watches only these.
type stage struct {
	*playground
	t testing.TB
	// ns is the namespace where dev may edit; other is one where he may not.
	ns, other string
	slack     *workspace.Workspace
	settings  map[string]string
	bot       *botProcess
	audit     string
}

// staging says how a stage differs from the usual one.
type staging struct {
	on       *playground              // the simulated one when nil
	settings map[string]string        // of the bot; an empty value takes a default away
	slack    func(*workspace.Options) // changes the workspace before it starts
	noBot    bool                     // the test starts it
	ns       string                   // the first namespace; one that nothing else uses when empty
}

var stages atomic.Int32

// newStage sets a stage, with the bot running and ready.
func newStage(t testing.TB, o staging) *stage {
	t.Helper()
	s := &stage{playground: o.on, t: t}
	if s.playground == nil {
		s.playground = onSimulated(t)
	}
	n := stages.Add(1)
	s.ns, s.other = fmt.Sprintf("shop-%d", n), fmt.Sprintf("staging-%d", n)
	if o.ns != "" {
		s.ns = o.ns
	}
	s.makeNamespaces()
	s.audit = filepath.Join(t.TempDir(), "audit.jsonl")
	s.openWorkspace(o.slack)
	s.settings = map[string]string{
		"KUBECONFIG":                s.serviceAccount,
		"CRASHLOOP_SLACK_BOT_TOKEN": s.slack.BotToken(),
		"CRASHLOOP_SLACK_APP_TOKEN": s.slack.AppToken(),
		"CRASHLOOP_SLACK_API_URL":   s.slack.APIURL(),
		"CRASHLOOP_CHANNEL":         "#incidents",
		"CRASHLOOP_CLUSTER":         "playground",
		"CRASHLOOP_NAMESPACES":      s.ns + "," + s.other,
		"CRASHLOOP_ACCESS_FILE":     tempFile(t, "access.yaml", accessFile),
		"CRASHLOOP_AUDIT_FILE":      s.audit,
		"CRASHLOOP_STATE":           "dir:" + filepath.Join(t.TempDir(), "state"),
		"CRASHLOOP_LISTEN":          freeAddress(t),
		"CRASHLOOP_STUCK_AFTER":     "3s",
		"CRASHLOOP_INSTANCE_NAME":   "crashloop-0",
	}
	maps.Copy(s.settings, o.settings)
	if !o.noBot {
		s.startBot()
	}
	return s
}

// onSimulated gives the shared cluster with simulated nodes.
func onSimulated(t testing.TB) *playground {
	t.Helper()
	p, err := shared.simulated()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *stage) makeNamespaces() {
	s.t.Helper()
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Namespace
metadata: {name: %[2]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dev-edits, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: dev@example.com}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: vic-views, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: vic@example.com}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: vic-views, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: vic@example.com}
`, s.ns, s.other))
	s.t.Cleanup(func() { s.removeNamespaces(s.ns, s.other) })
	for _, ns := range []string{s.ns, s.other} {
		eventually(s.t, "the ServiceAccount of "+ns, func(ctx context.Context) error {
			_, err := s.client.CoreV1().ServiceAccounts(ns).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
	}
}

// removeNamespaces does not wait: nothing else uses these names.
func (p *playground) removeNamespaces(names ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, ns := range names {
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
		_ = p.client.CoreV1().Namespaces().Delete(ctx, ns, now)
	}
}

func (s *stage) openWorkspace(edit func(*workspace.Options)) {
	s.t.Helper()
	opts := workspace.DefaultOptions(slog.New(slog.DiscardHandler))
	if edit != nil {
		edit(&opts)
	}
	w, err := workspace.New(opts)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := w.Start(context.Background(), "127.0.0.1:0"); err != nil {
		s.t.Fatal(err)
	}
	s.slack = w
	s.t.Cleanup(func() { w.Close() })
}

// startBot starts the bot, anew after it has ended, and waits until it is ready.
func (s *stage) startBot() {
	s.t.Helper()
	s.bot = startBot(s.t, s.settings)
	bot := s.bot
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the end of the bot's log:\n%s", tail(bot.stderr.String(), 40))
		}
	})
	s.bot.ready(s.t)
}

// apply applies manifests.
func (s *stage) apply(manifest string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.objects.apply(ctx, []byte(manifest), nil); err != nil {
		s.t.Fatal(err)
	}
}

// eventually asks again until there is no error, and fails with the last one.
func eventually(t testing.TB, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// waitFor waits until the workspace looks as it should, and shows how it does look when that does not come.
func (s *stage) waitFor(what string, cond func(*workspace.Snapshot) bool) {
	s.t.Helper()
	s.waitForOr(cond, func() string { return fmt.Sprintf("waiting for %s:\n%s", what, s.see()) })
}

// waitForOr is waitFor with words of its own for the failure.
func (s *stage) waitForOr(cond func(*workspace.Snapshot) bool, says func() string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if s.bot != nil { // no use waiting for a bot that is gone
		go func() {
			select {
			case <-s.bot.done:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	if err := s.slack.Wait(ctx, cond); err != nil {
		s.t.Fatalf("%v, %s", err, says())
	}
}

// see draws the channel with its threads, and what single people saw.
func (s *stage) see() string {
	var b strings.Builder
	snap := s.slack.Snapshot()
	for _, root := range snap.Roots(incidents) {
		fmt.Fprintf(&b, "---- root %s\n%s\n", root.TS, root.Visible())
		for _, m := range snap.Thread(incidents, root.TS) {
			fmt.Fprintf(&b, "  -- reply %s\n  %s\n", m.TS, strings.ReplaceAll(m.Visible(), "\n", "\n  "))
		}
	}
	for _, who := range []string{alice, dev, vic, mallory} {
		for _, m := range snap.Ephemerals(who) {
			fmt.Fprintf(&b, "---- only %s sees\n%s\n", who, m.Visible())
		}
	}
	if b.Len() == 0 {
		return "the channel is empty"
	}
	return b.String()
}

// thread is an incident as the channel shows it.
type thread struct {
	root    *workspace.Message
	replies []*workspace.Message
}

// text is everything that stands in the thread.
func (t thread) text() string {
	var b strings.Builder
	b.WriteString(t.root.Visible())
	for _, m := range t.replies {
		b.WriteString("\n" + m.Visible())
	}
	return b.String()
}

// threadOf finds the thread of a workload, or nothing. A root's header names namespace/workload.
func threadOf(snap *workspace.Snapshot, namespace, workload string) (thread, bool) {
	all := threadsOf(snap, namespace, workload)
	if len(all) == 0 {
		return thread{}, false
	}
	return all[len(all)-1], true
}

func threadsOf(snap *workspace.Snapshot, namespace, workload string) []thread {
	var all []thread
	for _, root := range snap.Roots(incidents) {
		header, _, _ := strings.Cut(root.Visible(), "\n")
		if strings.HasSuffix(header, ": "+namespace+"/"+workload) {
			all = append(all, thread{root, snap.Thread(incidents, root.TS)})
		}
	}
	return all
}

// waitThread waits until the workload's thread holds all these texts.
func (s *stage) waitThread(namespace, workload string, texts ...string) thread {
	s.t.Helper()
	var found thread
	s.waitFor(fmt.Sprintf("the thread of %s/%s to hold %q", namespace, workload, texts), func(snap *workspace.Snapshot) bool {
		var ok bool
		if found, ok = threadOf(snap, namespace, workload); !ok {
			return false
		}
		text := found.text()
		for _, want := range texts {
			if !strings.Contains(text, want) {
				return false
			}
		}
		return true
	})
	return found
}

// waitDiagnosed waits for the root with a cause and the diagnosis as the first reply.
func (s *stage) waitDiagnosed(namespace, workload, cause string) thread {
	s.t.Helper()
	var found thread
	s.waitFor(fmt.Sprintf("the diagnosis %s of %s/%s", cause, namespace, workload), func(snap *workspace.Snapshot) bool {
		var ok bool
		found, ok = threadOf(snap, namespace, workload)
		return ok && strings.Contains(found.root.Visible(), ": "+cause+" ·") && len(found.replies) > 0
	})
	return found
}

// command types a slash command in the channel and gives the answer, which only the person sees.
func (s *stage) command(who, text string) string {
	s.t.Helper()
	return s.answerTo(who, "/crashloop "+text, func() error { return s.slack.As(who).Slash(incidents, "/crashloop", text) })
}

// press clicks a button of an incident's root, confirms when asked, and gives the answer, which only the person sees.
func (s *stage) press(who string, th thread, action string, choice ...string) string {
	s.t.Helper()
	return s.answerTo(who, "the button "+action, func() error { return s.slack.As(who).Press(incidents, th.root.TS, action, choice...) })
}

func (s *stage) answerTo(who, what string, do func() error) string {
	s.t.Helper()
	before := len(s.slack.Snapshot().Ephemerals(who))
	if err := do(); err != nil {
		s.t.Fatalf("%s, by %s: %v\n%s", what, who, err, s.see())
	}
	var answer string
	s.waitFor("an answer to "+what, func(snap *workspace.Snapshot) bool {
		all := snap.Ephemerals(who)
		if len(all) <= before {
			return false
		}
		answer = all[len(all)-1].Visible()
		return true
	})
	return answer
}

// contains fails when a text lacks one of the parts.
func contains(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}

// absent fails when a text holds one of the parts.
func absent(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%s holds %q:\n%s", what, p, text)
		}
	}
}
