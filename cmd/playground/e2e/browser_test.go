package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"crashloop/notify/workspace"
)

// browser is a real Chromium that shows the workspace's page.
type browser struct {
	*stage
	ctx context.Context
}

// chromium finds the browser, or skips.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium here; a machine with Debian's package chromium can run this test")
	return ""
}

func newBrowser(s *stage) *browser {
	s.t.Helper()
	options := append([]chromedp.ExecAllocatorOption{},
		chromedp.ExecPath(chromium(s.t)), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoSandbox, // tests run as root, where Chromium's sandbox does not work
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(s.t.TempDir()),
		chromedp.WindowSize(1360, 1240), chromedp.WSURLReadTimeout(patience),
	)
	// The story is longer than one wait, and the browser must outlive the last.
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	s.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	s.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	s.t.Cleanup(cancel)
	b := &browser{stage: s, ctx: ctx}
	b.do("open the page", chromedp.Navigate(s.slack.PageURL()), visible(`body[data-connected="true"]`))
	return b
}

// step is one thing that a person does or waits for.
type step = chromedp.Action[chromedp.Void]

// do acts, and fails with what stands in the channel when that takes too long.
func (b *browser) do(what string, steps ...step) {
	b.t.Helper()
	ask(b, what, chromedp.Steps(steps...))
}

// ask is do for what gives an answer.
func ask[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	type result struct {
		value T
		err   error
	}
	// The first use starts the browser, which would end with a limit that stands around that use.
	done := make(chan result, 1)
	go func() {
		v, err := chromedp.Run(b.ctx, action)
		done <- result{v, err}
	}()
	limit, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	select {
	case r := <-done:
		if r.err != nil {
			b.t.Fatalf("%s: %v", what, r.err)
		}
		return r.value
	case <-limit.Done():
		b.t.Fatalf("%s: it does not come\n%s", what, b.see())
	}
	panic("unreachable")
}

func visible(selector string) step    { return chromedp.WaitVisible(chromedp.CSS(selector)) }
func absentFrom(selector string) step { return chromedp.WaitNotPresent(chromedp.CSS(selector)) }
func click(selector string) step      { return chromedp.Click(chromedp.CSS(selector)) }

// as lets another person use the page.
func (b *browser) as(user string) {
	b.t.Helper()
	b.do("act as "+user,
		chromedp.SetValue(chromedp.CSS("[data-acting-as]"), user),
		visible(`body[data-connected="true"]`))
	ask(b, "act as "+user, chromedp.Evaluate[bool](`document.querySelector("[data-acting-as]").dispatchEvent(new Event("change", {bubbles: true}))`))
	b.do("be connected as "+user, visible(`body[data-connected="true"]`))
}

// typeCommand types into the message box, as on a keyboard, and sends.
func (b *browser) typeCommand(text string) {
	b.t.Helper()
	box := `[data-composer="channel"]`
	b.do("type "+text, click(box), chromedp.SendKeys(chromedp.CSS(box), text), chromedp.KeyEvent("\x1b"), chromedp.KeyEvent("\r"))
}

// textOf is what a person reads in an element.
func (b *browser) textOf(selector string) string {
	b.t.Helper()
	return ask(b, "read "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// picture writes a screenshot for the README, when it is asked for.
func (b *browser) picture(name string) {
	b.t.Helper()
	if !*update {
		return
	}
	png := ask(b, "take the picture "+name, chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join("..", "..", "..", "docs", name), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// A person with a browser: sees the incident, opens its thread, restarts, is refused as somebody else, and types a command.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	pictured := ""
	if *update {
		pictured = "shop" // the scenarios use it, which are not run together with this
	}
	s := newStage(t, staging{ns: pictured})
	b := newBrowser(s)
	s.apply(unreachable(s.ns))
	s.apply(workload{namespace: s.ns, name: "checkout", does: nilPointer}.manifest())
	s.waitDiagnosed(s.ns, "web", "volume.pvc-pending")
	th := s.waitDiagnosed(s.ns, "checkout", "app.panic")
	root := fmt.Sprintf(`[data-pane="channel"] [data-ts="%s"]`, th.root.TS)

	// The channel, by itself: nothing was reloaded since the crash.
	b.as(alice)
	b.do("see the incident", visible(root), visible(root+` [data-action-id="restart"]`))
	contains(t, "the message on the page", b.textOf(root), s.ns+"/checkout", "Crash loop", "nil pointer dereference")
	b.picture("channel.png")

	// The thread.
	b.do("open the thread", click(fmt.Sprintf(`[data-thread-link="%s"]`, th.root.TS)), visible(fmt.Sprintf(`[data-pane="thread"] [data-ts="%s"]`, th.replies[0].TS)))
	contains(t, "the thread on the page", b.textOf(`[data-pane="thread"]`), "panic: runtime error: invalid memory address or nil pointer dereference", "Evidence")

	// No, and then yes.
	dialog := `[role="dialog"][data-dialog="confirm"]`
	b.do("click Restart", click(root+` [data-action-id="restart"]`), visible(dialog))
	contains(t, "the dialog", b.textOf(dialog), "Restart "+s.ns+"/checkout?")
	b.picture("confirm.png")
	b.do("say no", click(dialog+` [data-dialog-deny]`), absentFrom(dialog))
	if s.deployment(s.ns, "checkout").Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] != "" {
		t.Fatal("Cancel restarted it")
	}
	b.do("click Restart again, and confirm", click(root+` [data-action-id="restart"]`), visible(dialog), click(dialog+` [data-dialog-confirm]`))
	did := s.waitThread(s.ns, "checkout", "restarted Deployment")
	if s.deployment(s.ns, "checkout").Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Error("nothing was restarted")
	}
	line := did.replies[len(did.replies)-1].TS
	b.do("see the line in the thread", visible(fmt.Sprintf(`[data-pane="thread"] [data-ts="%s"]`, line)))
	contains(t, "the line on the page", b.textOf(fmt.Sprintf(`[data-pane="thread"] [data-ts="%s"]`, line)), "@Alice Adams restarted Deployment")

	// What was captured at the time, though the pod has been replaced since.
	button := evidenceButton(t, th)
	b.do("click the button for evidence", click(fmt.Sprintf(`[data-pane="thread"] [data-ts="%s"] [data-action-id="evidence"]`, button.TS)), visible(`[data-pane="thread"] [data-ephemeral]`))
	contains(t, "the evidence on the page", b.textOf(`[data-pane="thread"] [data-ephemeral]`), "Evidence of Deployment "+s.ns+"/checkout", "goroutine 1 [running]", "Download everything")
	b.picture("evidence.png")

	// The picture of a thread is that of the chain.
	chain, _ := threadOf(s.slack.Snapshot(), s.ns, "web")
	b.do("open the other thread", click(fmt.Sprintf(`[data-thread-link="%s"]`, chain.root.TS)), visible(fmt.Sprintf(`[data-pane="thread"] [data-ts="%s"]`, chain.replies[0].TS)))
	contains(t, "the chain on the page", b.textOf(`[data-pane="thread"]`), "connection refused", "PersistentVolumeClaim")
	b.picture("thread.png")

	// The viewer is refused, and is told what would grant it.
	b.as(vic)
	before := s.deployment(s.ns, "checkout").Generation
	b.do("click Restart as the viewer", visible(root), click(root+` [data-action-id="restart"]`), visible(dialog), click(dialog+` [data-dialog-confirm]`),
		visible(`[data-ephemeral]`))
	contains(t, "the refusal on the page", b.textOf(`[data-ephemeral]`), "vic@example.com may not patch", "kubectl", "create role")
	b.picture("refusal.png")
	if s.deployment(s.ns, "checkout").Generation != before {
		t.Error("the viewer changed the cluster")
	}

	// A command, typed.
	seen := len(s.slack.Snapshot().Ephemerals(vic))
	b.typeCommand("/crashloop logs " + s.ns + "/checkout --tail 20") // not --previous: a loop this quick soon replaces that one
	s.waitFor("the log that was asked for", func(snap *workspace.Snapshot) bool {
		all := snap.Ephemerals(vic)
		return len(all) > seen && strings.Contains(all[len(all)-1].Visible(), "goroutine 1 [running]")
	})
	all := s.slack.Snapshot().Ephemerals(vic)
	answer := fmt.Sprintf(`[data-ts="%s"]`, all[len(all)-1].TS)
	b.do("see the log", visible(answer))
	contains(t, "the log on the page", b.textOf(answer), "goroutine 1 [running]", "checkout/main.go:128")
	// Nobody else sees it.
	b.as(dev)
	b.do("look as somebody else", visible(root), absentFrom(answer))
}

// unreachable is web, which cannot reach postgres, which waits for its disk.
func unreachable(namespace string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: postgres, namespace: %[1]s}
spec:
  selector: {app: postgres}
  ports: [{port: 5432}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: %[1]s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: fast-ssd
  resources: {requests: {storage: 20Gi}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: postgres, namespace: %[1]s}
spec:
  selector: {matchLabels: {app: postgres}}
  template:
    metadata: {labels: {app: postgres}}
    spec:
      containers:
      - name: postgres
        image: registry.example/library/postgres:17.2
        volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
`, namespace) + workload{namespace: namespace, name: "web", does: fmt.Sprintf(`exitCode: 1
log: |
  connecting to postgres.%s.svc.cluster.local:5432: dial tcp 10.96.154.40:5432: connect: connection refused
`, namespace)}.manifest()
}
