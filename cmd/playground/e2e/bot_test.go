package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"crashloop/cmd/playground/cluster"
)

// botProcess is the bot as it runs: its own process, told what to do by its environment.
type botProcess struct {
	cmd    *exec.Cmd
	listen string
	stderr *lockedBuffer
	stdout *lockedBuffer
	done   chan struct{} // closed when it has ended
	err    error         // how it ended, after done
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// environment is what a program of the bot sees: nothing of the test's own but PATH.
func environment(home string, settings map[string]string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	for k, v := range settings {
		if v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// startBot starts the program and does not wait for anything.
func startBot(t testing.TB, settings map[string]string, args ...string) *botProcess {
	t.Helper()
	path, err := shared.bot()
	if err != nil {
		t.Fatal(err)
	}
	b := &botProcess{cmd: exec.Command(path, args...), listen: settings["CRASHLOOP_LISTEN"], stderr: &lockedBuffer{}, stdout: &lockedBuffer{}, done: make(chan struct{})}
	b.cmd.Dir = t.TempDir()
	b.cmd.Env = environment(b.cmd.Dir, settings)
	b.cmd.Stdout, b.cmd.Stderr = b.stdout, b.stderr
	// In a group of its own, so that Ctrl-C reaches the test, which stops it.
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.done)
	}()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// ready waits until /readyz says so.
func (b *botProcess) ready(t testing.TB) {
	t.Helper()
	eventually(t, "the bot to be ready", func(ctx context.Context) error {
		select {
		case <-b.done:
			t.Fatalf("the bot ended before it was ready: %v\n%s", b.err, b.stderr)
		default:
		}
		return b.readyz(ctx)
	})
}

// readyz asks once; the error says what is not ready.
func (b *botProcess) readyz(ctx context.Context) error {
	body, status, err := b.get(ctx, "/readyz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, body)
	}
	return err
}

func (b *botProcess) get(ctx context.Context, path string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.listen+path, nil)
	if err != nil {
		return "", 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return body.String(), resp.StatusCode, err
}

// stop asks it to end, and gives how long that took. It is no error when it has ended already.
func (b *botProcess) stop(t testing.TB) time.Duration {
	t.Helper()
	begun := time.Now()
	b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.done:
	case <-time.After(20 * time.Second):
		b.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines say what it waits for
		<-b.done
		t.Errorf("the bot did not end within 20 s of SIGTERM:\n%s", tail(b.stderr.String(), 200))
	}
	return time.Since(begun)
}

// kill ends it as a crash of its machine would.
func (b *botProcess) kill() {
	b.cmd.Process.Kill()
	<-b.done
}

// wait gives the exit status.
func (b *botProcess) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-b.done:
	case <-time.After(patience):
		t.Fatalf("the program did not end by itself:\n%s", tail(b.stderr.String(), 100))
	}
	return b.cmd.ProcessState.ExitCode()
}

// runProgram runs one command to its end.
func runProgram(t testing.TB, settings map[string]string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	b := startBot(t, settings, args...)
	status = b.wait(t)
	return b.stdout.String(), b.stderr.String(), status
}

// freeAddress gives a loopback address that nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := cluster.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// auditLine is what a test looks at in a line of the audit file.
type auditLine struct {
	Phase, Person, Name, User, Action, Target, Incident, Outcome, Detail, ID string
	Permissions                                                              []string
}

func readAudit(t testing.TB, path string) []auditLine {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []auditLine
	for line := range strings.Lines(string(data)) {
		var a auditLine
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("a line of the audit file is no JSON: %v\n%s", err, line)
		}
		all = append(all, a)
	}
	return all
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func tempFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
