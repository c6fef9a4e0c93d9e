package e2e

import (
	"fmt"
	"strings"
	"testing"

	"crashloop/notify/workspace"
)

// What people type to look at things, and how far each may look.
func TestCommandsThatRead(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	readingCommands(s)
}

func readingCommands(s *stage) {
	t := s.t
	s.crashed(s.ns, "web", "")
	s.crashed(s.other, "web", "")
	s.crashed(s.ns, "checkout", "")
	posted := len(s.slack.Snapshot().Messages(incidents))

	contains(t, "help", s.command(mallory, "help"), "/crashloop list", "/crashloop restart", "scale-back")
	contains(t, "help on one", s.command(alice, "help logs"), "--previous", "--grep", "--tail")

	all := s.command(alice, "list")
	contains(t, "alice's list", all, s.ns+"/web", s.other+"/web", s.ns+"/checkout")
	some := s.command(dev, "list")
	contains(t, "dev's list", some, s.ns+"/web", s.ns+"/checkout")
	absent(t, "dev's list", some, s.other)
	contains(t, "dev's list of another's namespace", s.command(dev, "list "+s.other), "dev@example.com may not list pods", "kubectl")
	contains(t, "mallory's list", s.command(mallory, "list"), "access file")

	contains(t, "a diagnosis", s.command(vic, "diagnose "+s.ns+"/web"), "panic: runtime error: invalid memory address")
	contains(t, "dev's diagnosis of another's", s.command(dev, "diagnose "+s.other+"/web"), "dev@example.com may not")

	log := s.command(vic, "logs "+s.ns+"/web --previous")
	contains(t, "the previous log", log, "invalid memory address", "goroutine 1 [running]")
	log = s.command(vic, "logs "+s.ns+"/web --previous --tail 1")
	contains(t, "one line of the log", log, "/src/checkout/main.go:128")
	absent(t, "one line of the log", log, "invalid memory address")
	log = s.command(vic, `logs `+s.ns+`/web --previous --grep "SIG[A-Z]+"`)
	contains(t, "the lines that match", log, "SIGSEGV")
	absent(t, "the lines that match", log, "goroutine 1")
	contains(t, "dev's log of another's", s.command(dev, "logs "+s.other+"/deployment/web"), "dev@example.com may not get pods/log")

	description := s.command(vic, "describe "+s.ns+"/web")
	if !strings.Contains(description, "Replicas:") { // it was long, and came as a file
		description = s.fileFor(vic)
	}
	contains(t, "the description", description, "Name:", "web", "Namespace:", s.ns, "Replicas:", "Pod Template:")

	contains(t, "whoami", s.command(dev, "whoami"), "dev@example.com", s.ns)
	absent(t, "dev's whoami", s.command(dev, "whoami"), s.other)
	contains(t, "mallory's whoami", s.command(mallory, "whoami"), "nobody")

	// Names as people type them.
	contains(t, "a name that is in two namespaces", s.command(alice, "diagnose web"), "could be any of these", s.ns+"/deployment/web", s.other+"/deployment/web")
	contains(t, "the same name for one who sees only one", s.command(dev, "diagnose web"), "panic")
	contains(t, "a misspelt name", s.command(alice, "diagnose "+s.ns+"/chekout"), "no workload or pod", s.ns+"/deployment/checkout")
	absent(t, "what dev is offered", s.command(dev, "diagnose wbe"), s.other)

	if now := s.slack.Snapshot().Messages(incidents); len(public(now)) != len(public(now[:posted])) {
		t.Errorf("an answer that needed somebody's permission was posted to the channel:\n%s", s.see())
	}
}

// public keeps what everybody in the channel sees.
func public(all []*workspace.Message) []*workspace.Message {
	var kept []*workspace.Message
	for _, m := range all {
		if m.EphemeralTo == "" {
			kept = append(kept, m)
		}
	}
	return kept
}

// fileFor gives the content of the newest file in somebody's direct messages.
func (s *stage) fileFor(who string) string {
	s.t.Helper()
	var id string
	s.waitFor("a file for "+who, func(snap *workspace.Snapshot) bool {
		for _, m := range snap.DM(who) {
			for _, f := range m.Files {
				id = f.ID
			}
		}
		return id != ""
	})
	content, err := s.slack.FileContent(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

// What is too long for an answer goes to the asker's own direct message, as a file, and nowhere else.
func TestLongAnswersGoToTheAsker(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.crashed(s.ns, "web", "logSize: 1Mi\n")
	s.command(vic, "logs "+s.ns+"/web --previous --tail 4000")
	content := s.fileFor(vic)
	contains(t, "the file", content, "invalid memory address", `msg="request served"`)
	if lines := strings.Count(content, "\n"); lines < 3900 {
		t.Errorf("the file has %d lines", lines)
	}
	for _, who := range []string{alice, dev, mallory} {
		if got := s.slack.Snapshot().DM(who); len(got) > 0 {
			t.Errorf("%s got %d direct messages", who, len(got))
		}
	}
	for _, channel := range []string{incidents, workspace.ChannelGeneral} {
		for _, m := range s.slack.Snapshot().Messages(channel) {
			if len(m.Files) > 0 {
				t.Errorf("there is a file in %s", channel)
			}
			absent(t, "the channel", m.Visible(), `msg="request served" n=1 `)
		}
	}
}

// The buttons that read answer like the commands.
func TestButtonsThatRead(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	th := s.crashed(s.ns, "web", "")
	contains(t, "Logs", s.press(vic, th, "logs"), "invalid memory address")
	var menu []string
	for _, e := range th.root.Elements() {
		for _, o := range e.Options {
			menu = append(menu, o.Value)
			answer := s.press(vic, th, e.ActionID, o.Value)
			absent(t, o.Label, answer, "may not", "no longer knows")
		}
	}
	if len(menu) < 3 {
		t.Errorf("the menu has only %q", menu)
	}
	contains(t, "Logs, by one who may not", s.press(mallory, th, "logs"), "access file")
	var lines []string
	for _, a := range readAudit(t, s.audit) {
		lines = append(lines, fmt.Sprintf("%s %s %s", a.Person, a.Action, a.Phase))
	}
	contains(t, "the audit file", strings.Join(lines, "\n"), vic+" logs begin", vic+" logs end", mallory+" logs refusal")
}
