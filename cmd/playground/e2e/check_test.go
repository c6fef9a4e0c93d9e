package e2e

import (
	"testing"
)

// crashloop check, with everything as it should be and with everything wrong: one screen, each line says what to do.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{noBot: true})
	stdout, stderr, status := runProgram(t, s.settings, "check")
	if status != 0 {
		t.Errorf("with everything right the exit status is %d: %s", status, stderr)
	}
	contains(t, "the good check", stdout, "ok    settings", "ok    cluster", "ok    permissions", "all that deploy/rbac.yaml grants", "ok    bot token", "ok    scopes", "ok    channel", "ok    app token", "ok    access file", "The bot can run.")
	absent(t, "the good check", stdout, "BAD", s.slack.BotToken(), s.slack.AppToken())

	nobody, err := s.cluster.User("nobody@example.com")
	if err != nil {
		t.Fatal(err)
	}
	s.settings["KUBECONFIG"] = s.kubeconfig(t, nobody)
	s.settings["CRASHLOOP_CHANNEL"] = "#nowhere"
	s.settings["CRASHLOOP_ACCESS_FILE"] = tempFile(t, "access.yaml", "users: everybody\n")
	for _, scope := range []string{"files:write", "users:read"} {
		if err := s.slack.RemoveScope(s.slack.BotToken(), scope); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.slack.BreakToken(s.slack.AppToken(), "token_revoked"); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status = runProgram(t, s.settings, "check")
	if status != 1 {
		t.Errorf("with everything wrong the exit status is %d", status)
	}
	contains(t, "the bad check", stdout, "BAD   permissions", "may not list pods", "may not watch pods", "kubectl apply -f deploy/rbac.yaml",
		"scope files:write", "scope users:read", "BAD   channel #nowhere", "BAD   app token", "token_revoked", "BAD   access file", "access.yaml:1")
	absent(t, "the bad check", stdout+stderr, s.slack.BotToken(), s.slack.AppToken(), "The bot can run")
}
