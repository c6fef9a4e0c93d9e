package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"crashloop/notify/workspace"
)

// The answer to the post of the root is lost after Slack took it: there must be one root all the same, and its diagnosis.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.inject(workspace.Fault{Method: "chat.postMessage", Kind: workspace.CutAfter})
	s.crashing(s.ns, "web")
	// The next incident's messages stand behind this one's in the channel's order, so nothing of this one is still on its way after them.
	s.crashing(s.ns, "next")
	if n := len(threadsOf(s.slack.Snapshot(), s.ns, "web")); n != 1 {
		t.Errorf("there are %d roots, not one:\n%s", n, s.see())
	}
}

// Slack says to wait, is down, or cuts the connection: everything is delivered, each message once.
func TestSlackFailsForAWhile(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	for _, f := range []workspace.Fault{
		{Method: "chat.postMessage", Kind: workspace.RateLimit, RetryAfter: 2 * time.Second},
		{Method: "chat.postMessage", Kind: workspace.ServerError, Times: 2},
		{Method: "chat.postMessage", Kind: workspace.CutBefore},
		{Method: "chat.update", Kind: workspace.RateLimit},
	} {
		s.inject(f)
	}
	th := s.crashing(s.ns, "web")
	s.press(alice, th, "restart")
	th = s.waitThread(s.ns, "web", "restarted Deployment")
	if n := strings.Count(th.text(), "restarted Deployment"); n != 1 {
		t.Errorf("the line stands there %d times:\n%s", n, th.text())
	}
	if n := len(threadsOf(s.slack.Snapshot(), s.ns, "web")); n != 1 {
		t.Errorf("there are %d roots, not one:\n%s", n, s.see())
	}
}

func (s *stage) inject(f workspace.Fault) {
	s.t.Helper()
	if _, err := s.slack.Inject(f); err != nil {
		s.t.Fatal(err)
	}
}

// The socket dies: the bot connects again, and what is clicked then arrives. While it cannot, it says that it is not ready.
func TestSocketDies(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	th := s.crashing(s.ns, "web")
	s.slack.RefuseSockets(true)
	s.slack.DropSockets()
	eventually(t, "the bot to say that it is not ready", func(ctx context.Context) error {
		err := s.bot.readyz(ctx)
		if err == nil {
			return errors.New("it says it is")
		}
		contains(t, "what is not ready", err.Error(), "slack")
		return nil
	})
	s.slack.RefuseSockets(false)
	s.bot.ready(t)
	s.press(alice, th, "restart")
	s.waitThread(s.ns, "web", "restarted Deployment")
}

// The API server goes away for a minute. Nothing that failed meanwhile is lost, nothing is posted twice, and people are told.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	p := onSimulated(t)
	between := newProxy(t, p.cluster.URL())
	s := newStage(t, staging{settings: map[string]string{"KUBECONFIG": p.throughProxy(t, between)}})
	th := s.crashing(s.ns, "web")
	between.cut()
	away := time.Now()
	contains(t, "the answer while the API server is away", s.command(alice, "restart "+s.ns+"/deployment/web"), "cluster")
	s.apply(workload{namespace: s.ns, name: "meanwhile", does: nilPointer}.manifest())
	eventually(t, "the bot to say that it is not ready", func(ctx context.Context) error {
		err := s.bot.readyz(ctx)
		if err == nil {
			return errors.New("it says it is")
		}
		contains(t, "what is not ready", err.Error(), "watch")
		return nil
	})
	if _, status, err := s.bot.get(t.Context(), "/healthz"); err != nil || status != 200 {
		t.Errorf("/healthz says %d, %v: a restart of the bot would mend nothing", status, err)
	}
	eventually(t, "a minute to pass", func(context.Context) error {
		if left := time.Minute - time.Since(away); left > 0 {
			return fmt.Errorf("%s left", left)
		}
		return nil
	})
	between.join()
	s.bot.ready(t)
	s.waitDiagnosed(s.ns, "meanwhile", "app.panic")
	s.press(alice, th, "restart")
	s.waitThread(s.ns, "web", "restarted Deployment")
	for _, name := range []string{"web", "meanwhile"} {
		if n := len(threadsOf(s.slack.Snapshot(), s.ns, name)); n != 1 {
			t.Errorf("%s has %d roots, not one:\n%s", name, n, s.see())
		}
	}
}

// proxy stands between the bot and the API server and can be cut: then connections end and new ones are refused, as when a machine dies.
type proxy struct {
	address, target string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	wg       sync.WaitGroup
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: freeAddress(t), target: u.Host, open: map[net.Conn]bool{}}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) listen() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.target)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.open[in], p.open[out] = true, true
			p.mu.Unlock()
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				p.wg.Go(func() {
					io.Copy(way[0], way[1])
					way[0].Close()
					p.mu.Lock()
					delete(p.open, way[0])
					p.mu.Unlock()
				})
			}
		}
	})
	return nil
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.open {
		c.Close()
	}
}

func (p *proxy) join() {
	for p.listen() != nil { // the port may be held for a moment by connections that just ended
		time.Sleep(50 * time.Millisecond)
	}
}

// throughProxy writes the bot's kubeconfig with the proxy's address.
func (p *playground) throughProxy(t testing.TB, via *proxy) string {
	t.Helper()
	bot, err := p.cluster.ServiceAccount(t.Context(), "crashloop", "crashloop")
	if err != nil {
		t.Fatal(err)
	}
	bot.Host = "https://" + via.address
	return p.kubeconfig(t, bot)
}

func (p *playground) kubeconfig(t testing.TB, c *rest.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := p.cluster.WriteKubeconfig(path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the bot cannot run with: it says what is wrong and what to do, never the token, and ends with the right status.
func TestCannotRun(t *testing.T) {
	t.Parallel()
	p := onSimulated(t)
	nobody, err := p.cluster.User("nobody@example.com")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		slack    func(*workspace.Workspace) error
		settings func(*stage) map[string]string
		status   int
		says     []string
	}{
		"a bot token that Slack refuses": {
			slack:  func(w *workspace.Workspace) error { return w.BreakToken(w.BotToken(), "token_revoked") },
			status: 1, says: []string{"token_revoked", "refuses the bot token", "CRASHLOOP_SLACK_BOT_TOKEN"},
		},
		"an app token that Slack refuses": {
			slack:  func(w *workspace.Workspace) error { return w.BreakToken(w.AppToken(), "invalid_auth") },
			status: 1, says: []string{"invalid_auth", "CRASHLOOP_SLACK_APP_TOKEN"},
		},
		"an app token without its scope": {
			slack:  func(w *workspace.Workspace) error { return w.RemoveScope(w.AppToken(), "connections:write") },
			status: 1, says: []string{"missing_scope", "connections:write"},
		},
		"a channel that is not there": {
			settings: func(*stage) map[string]string { return map[string]string{"CRASHLOOP_CHANNEL": "#nowhere"} },
			status:   1, says: []string{"#nowhere", "invite"},
		},
		"no permission to list pods": {
			settings: func(s *stage) map[string]string { return map[string]string{"KUBECONFIG": p.kubeconfig(s.t, nobody)} },
			status:   1, says: []string{"cannot list pods in namespace", "grant it with", "kubectl create"},
		},
		"a malformed access file": {
			settings: func(s *stage) map[string]string {
				return map[string]string{"CRASHLOOP_ACCESS_FILE": tempFile(s.t, "access.yaml", "users:\n- slack: alice\n  kubernetes: {user: alice}\n- slack: dev@example.com\n  kubernetes: {user: system:admin}\n")}
			},
			status: 2, says: []string{"access.yaml:2", `"alice"`, "access.yaml:5", "system:"},
		},
		"malformed and unknown settings, all told together": {
			settings: func(*stage) map[string]string {
				return map[string]string{"CRASHLOOP_RESOLVE_AFTER": "soon", "CRASHLOOP_CRASHES": "1", "CRASHLOOP_CHANEL": "#x"}
			},
			status: 2, says: []string{"CRASHLOOP_RESOLVE_AFTER", `"soon"`, "CRASHLOOP_CRASHES", "CRASHLOOP_CHANEL", "did you mean CRASHLOOP_CHANNEL?"},
		},
		"a kubeconfig that is not there": {
			settings: func(*stage) map[string]string { return map[string]string{"KUBECONFIG": "/nowhere/kubeconfig"} },
			status:   1, says: []string{"/nowhere/kubeconfig"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{noBot: true})
			if tt.slack != nil {
				if err := tt.slack(s.slack); err != nil {
					t.Fatal(err)
				}
			}
			if tt.settings != nil {
				for k, v := range tt.settings(s) {
					s.settings[k] = v
				}
			}
			_, stderr, status := runProgram(t, s.settings)
			if status != tt.status {
				t.Errorf("the exit status is %d, not %d", status, tt.status)
			}
			contains(t, "stderr", stderr, tt.says...)
			absent(t, "stderr", stderr, s.slack.BotToken(), s.slack.AppToken(), "panic", "goroutine ")
		})
	}
}

// A scope that is missing for one thing takes away that thing only.
func TestMissingScope(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{noBot: true})
	if err := s.slack.RemoveScope(s.slack.BotToken(), "users:read.email"); err != nil {
		t.Fatal(err)
	}
	s.startBot()
	th := s.crashing(s.ns, "web")
	// Nobody's e-mail address is known, so nobody is mapped: it fails closed, and says so.
	before := s.deployment(s.ns, "web").Generation
	contains(t, "the refusal", s.press(alice, th, "restart"), "access file")
	if s.deployment(s.ns, "web").Generation != before {
		t.Error("somebody unknown changed the cluster")
	}
	contains(t, "the log", s.bot.stderr.String(), "users:read.email")
}

// A role that is taken away while the bot runs.
func TestPermissionLost(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{noBot: true})
	// A user of its own, with the bot's role in these two namespaces, so that it can be taken away without hurting the others.
	user := "bot-" + s.ns
	for _, ns := range []string{s.ns, s.other} {
		s.bindBot(user, ns)
	}
	c, err := s.cluster.User(user)
	if err != nil {
		t.Fatal(err)
	}
	s.settings["KUBECONFIG"] = s.kubeconfig(t, c)
	s.startBot()
	s.crashing(s.ns, "web")
	if err := s.client.RbacV1().RoleBindings(s.ns).Delete(t.Context(), user, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.bot.kill()
	s.bot = startBot(t, s.settings)
	if status := s.bot.wait(t); status != 1 {
		t.Errorf("without the right to list pods the exit status is %d", status)
	}
	contains(t, "stderr", s.bot.stderr.String(), "cannot list pods in namespace", s.ns, "grant it with")
}

// bindBot gives a user the bot's ClusterRole in one namespace.
func (s *stage) bindBot(user, namespace string) {
	s.t.Helper()
	_, err := s.client.RbacV1().RoleBindings(namespace).Create(s.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "crashloop"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
}

// SIGTERM drains within 10 s, with messages on their way and Slack slow.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.crashing(s.ns, "web")
	s.inject(workspace.Fault{Method: "chat.postMessage", Kind: workspace.RateLimit, RetryAfter: time.Minute, Times: -1})
	s.apply(workload{namespace: s.ns, name: "late", does: nilPointer}.manifest())
	eventually(t, "late to crash", func(ctx context.Context) error { return s.restarted(ctx, s.ns, "late", 2) })
	if took := s.bot.stop(t); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if code := s.bot.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the exit status is %d:\n%s", code, tail(s.bot.stderr.String(), 20))
	}
	// What could not be sent is sent by the next one.
	s.slack.ClearFaults()
	s.startBot()
	s.waitDiagnosed(s.ns, "late", "app.panic")
	if n := len(threadsOf(s.slack.Snapshot(), s.ns, "late")); n != 1 {
		t.Errorf("there are %d roots, not one", n)
	}
}
