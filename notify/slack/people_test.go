package slack

import (
	"log/slog"
	"testing"

	"crashloop/notify/workspace"
)

// Whoever was known a moment ago as a member of the bot's workspace is asked for anew when another workspace speaks for them.
func TestAMemberOfAnotherWorkspaceIsNobodyEvenRightAfter(t *testing.T) {
	w, err := workspace.New(workspace.DefaultOptions(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c, err := New(Options{BotToken: w.BotToken(), AppToken: w.AppToken(), APIURL: w.APIURL(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []struct {
		team   string
		member bool
	}{{"T0CRASHLOOP", true}, {"T0PARTNER", false}, {"T0CRASHLOOP", true}} {
		if p := c.person(t.Context(), workspace.UserAlice, ask.team); p.Member != ask.member {
			t.Errorf("from %s: member %v, want %v", ask.team, p.Member, ask.member)
		}
	}
}
