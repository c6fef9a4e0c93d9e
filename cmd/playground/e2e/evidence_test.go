package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/notify/workspace"
)

// evidenceButton finds the message of a thread that leads to what was captured.
func evidenceButton(t *testing.T, th thread) *workspace.Message {
	t.Helper()
	for _, m := range th.replies {
		for _, e := range m.Elements() {
			if e.ActionID == "evidence" {
				return m
			}
		}
	}
	t.Fatalf("the thread has no button for evidence:\n%s", th.text())
	return nil
}

// What a container said before it died can be read from the thread when its pod, its workload and the bot of that time are gone, by those
// who may read logs there, and replayed elsewhere.
func TestEvidenceOutlivesThePod(t *testing.T) {
	t.Parallel()
	evidenceOutlivesThePod(newStage(t, staging{}))
}

func evidenceOutlivesThePod(s *stage) {
	t := s.t.(*testing.T)
	s.crashed(s.ns, "web", "")
	if err := s.client.AppsV1().Deployments(s.ns).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	th := s.waitThread(s.ns, "web", "Closed: "+s.ns+"/web")
	eventually(t, "the pods to be gone", func(ctx context.Context) error {
		all, err := s.client.CoreV1().Pods(s.ns).List(ctx, metav1.ListOptions{})
		if err == nil && len(all.Items) > 0 {
			err = fmt.Errorf("%d are there", len(all.Items))
		}
		return err
	})
	absent(t, "a log of what is gone", s.command(vic, "logs "+s.ns+"/deployment/web --previous"), "goroutine 1")
	s.bot.stop(t)
	s.startBot()

	button := evidenceButton(t, th)
	press := func(who string) string {
		return s.answerTo(who, "the button for evidence", func() error { return s.slack.As(who).Press(incidents, button.TS, "evidence") })
	}
	says := []string{"Evidence of Deployment " + s.ns + "/web", "invalid memory address", "goroutine 1 [running]", "Kept until"}
	contains(t, "the evidence by the button", press(vic), says...)
	contains(t, "the evidence by its name", s.command(vic, "evidence "+s.ns+"/web"), says...)
	contains(t, "the evidence by a short name", s.command(dev, "evidence web"), says...)
	contains(t, "a stranger's evidence", press(mallory), "access file")
	s.crashed(s.other, "api", "")
	refused := s.command(dev, "evidence "+s.other+"/api")
	contains(t, "dev's evidence of another's", refused, "dev@example.com may not get pods/log")
	absent(t, "dev's evidence of another's", refused, "goroutine")
	contains(t, "dev's evidence of another's, by a short name", s.command(dev, "evidence api"), "Nothing is kept")
	s.wantAudit("evidence", "Deployment/"+s.ns+"/web", vic, "begin", "end done", "begin", "end done")

	// The archive replays, to the same answer each time.
	contains(t, "the answer to --archive", s.command(vic, "evidence "+s.ns+"/web --archive"), "direct message")
	file := filepath.Join(t.TempDir(), "evidence.tar.gz")
	if err := os.WriteFile(file, []byte(s.fileFor(vic)), 0o600); err != nil {
		t.Fatal(err)
	}
	bot, err := shared.bot()
	if err != nil {
		t.Fatal(err)
	}
	var answers [2]string
	for i := range answers {
		var stderr strings.Builder
		cmd := exec.CommandContext(t.Context(), bot, "diagnose", "--from", file, "-o", "json")
		cmd.Env, cmd.Stderr = []string{"HOME=" + t.TempDir()}, &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		answers[i] = string(out)
	}
	contains(t, "the replay", answers[0], `"cause": "app.panic"`, `"workload": "Deployment/web"`, s.ns, "invalid memory address")
	if answers[0] != answers[1] {
		t.Error("two replays differ")
	}
	absent(t, "the channel", s.see(), "evidence.tar.gz")
}
