package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"crashloop/cmd/playground/cluster"
)

// The bot's identity in deploy/rbac.yaml.
const (
	botNamespace      = "crashloop"
	botServiceAccount = "crashloop"
)

// buildBot builds the bot from the repository, as a module of its own, so that it has the versions of its own go.mod.
func (s *Stage) buildBot(ctx context.Context, dir string) error {
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	s.root, s.binary = root, filepath.Join(dir, "crashloop")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "./cmd/crashloop")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/crashloop: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// repository finds the folder of the module crashloop.
func repository(ctx context.Context) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "crashloop")
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("finding the module crashloop (run this in the repository's cmd/playground): %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// grantBot applies the ServiceAccount and the rights that deploy/ ships, and writes the bot's kubeconfig with a token of that account.
func (s *Stage) grantBot(ctx context.Context) error {
	manifest, err := os.ReadFile(filepath.Join(s.root, "deploy", "rbac.yaml"))
	if err != nil {
		return fmt.Errorf("reading the bot's rights: %w", err)
	}
	if err := s.Cluster.Apply(ctx, manifest); err != nil {
		return err
	}
	credentials, err := s.Cluster.ServiceAccount(ctx, botNamespace, botServiceAccount)
	if err != nil {
		return err
	}
	return s.Cluster.WriteKubeconfig(s.Kubeconfig("bot"), credentials)
}

// StartBot starts the bot, and waits until it is ready: its watch is synced and its Slack socket is connected. It keeps its state from one
// start to the next. env are further settings, as NAME=value.
func (s *Stage) StartBot(ctx context.Context, env ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bot != nil {
		return errors.New("starting the bot: it is running")
	}
	listen, err := cluster.FreeAddress()
	if err != nil {
		return err
	}
	bot, err := s.Cluster.StartProgram("bot", s.botEnv(listen, env), s.binary, "run")
	if err != nil {
		return err
	}
	s.bot, s.listen = bot, listen
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return bot.WaitFor(ctx, "the bot to be ready", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz says %s", answer.Status)
		}
		return nil
	})
}

// botEnv is the bot's environment: this process's own without any setting of another bot, and the stage's settings.
func (s *Stage) botEnv(listen string, more []string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "CRASHLOOP_") || strings.HasPrefix(kv, "KUBECONFIG=") || strings.HasPrefix(kv, "KUBERNETES_SERVICE_")
	})
	env = append(env,
		"KUBECONFIG="+s.Kubeconfig("bot"),
		"CRASHLOOP_SLACK_API_URL="+s.Workspace.APIURL(),
		"CRASHLOOP_SLACK_BOT_TOKEN="+s.Workspace.BotToken(),
		"CRASHLOOP_SLACK_APP_TOKEN="+s.Workspace.AppToken(),
		"CRASHLOOP_CHANNEL=#incidents",
		"CRASHLOOP_CLUSTER=playground",
		"CRASHLOOP_ACCESS_FILE="+s.accessFile(),
		"CRASHLOOP_STATE=dir:"+s.stateDir(),
		"CRASHLOOP_AUDIT_FILE="+s.AuditFile(),
		"CRASHLOOP_LISTEN="+listen,
	)
	env = append(env, s.opts.BotEnv...)
	return append(env, more...)
}

// StopBot asks the bot to end and waits for it. It does nothing when the bot does not run.
func (s *Stage) StopBot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bot != nil {
		s.bot.Stop()
		s.bot = nil
	}
}

// KillBot ends the bot without a warning.
func (s *Stage) KillBot() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bot == nil {
		return errors.New("killing the bot: it does not run")
	}
	err := s.bot.Kill()
	s.bot = nil
	return err
}

// Bot is the running bot, or nil.
func (s *Stage) Bot() *cluster.Program {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bot
}

// BotURL is where the bot serves /healthz, /readyz and /metrics.
func (s *Stage) BotURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.listen
}

// BotBinary is the path of the built bot, for its other commands.
func (s *Stage) BotBinary() string { return s.binary }

// AuditFile is where the bot writes its audit lines.
func (s *Stage) AuditFile() string { return filepath.Join(s.Cluster.Dir(), "audit.jsonl") }
