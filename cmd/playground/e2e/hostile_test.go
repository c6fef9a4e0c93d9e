package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// Logs as they should not be: each still gets its thread, with the line that matters, quickly, and notifies nobody.
func TestHostileLogs(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	const fatal = "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/web/main.go:12 +0x1d\n"
	logs := map[string]string{
		"long-line":    "lineSize: 5Mi\nlog: |\n" + indent(fatal, 2),
		"binary":       "logBytes: " + base64.StdEncoding.EncodeToString(everyByte()) + "\nlog: |\n" + indent(fatal, 2),
		"invalid-utf8": "logBytes: " + base64.StdEncoding.EncodeToString([]byte("caf\xe9 \xff\xfe \xc3\x28 \xed\xa0\x80\n")) + "\nlog: |\n" + indent(fatal, 2),
		"colours":      "logBytes: " + base64.StdEncoding.EncodeToString([]byte("\x1b[31;1mpanic: runtime error: index out of range [3] with length 3\x1b[0m\n\x1b]0;owned\x07\x1b[2Jgoroutine 1 [running]:\nmain.main()\n\t/src/web/main.go:12 +0x1d\n")) + "\n",
		"mentions":     "log: |\n  <!channel> <!here> <!everyone> @channel <@U0ALICE> *bold* `code` ```\n  <https://evil.example|click me>\n" + indent(fatal, 2),
	}
	for name, does := range logs {
		s.apply(workload{namespace: s.ns, name: name, does: "exitCode: 2\n" + does}.manifest())
	}
	for name := range logs {
		th := s.waitDiagnosed(s.ns, name, "app.panic")
		contains(t, "the thread of "+name, th.text(), "index out of range [3] with length 3")
		for _, m := range append(th.replies, th.root) {
			text := m.Visible() + m.Text
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
				t.Errorf("the thread of %s holds control characters: %q", name, text)
			}
			absent(t, "the text of "+name+"'s notification", m.Text, "<!", "<@", "<https")
			// In blocks text from the cluster must be plain: a rich_text element of another type would be a mention.
			raw := fmt.Sprint(m.Blocks)
			absent(t, "the blocks of "+name, raw, "type:broadcast", "type:usergroup", "type:link")
			if name == "mentions" {
				absent(t, "the blocks of "+name, raw, "type:user")
			}
		}
	}
}

func everyByte() []byte {
	var b []byte
	for i := range 256 {
		b = append(b, byte(i))
	}
	return append(append(b, b...), '\n')
}

// Command lines as they should not be: each is answered, to the person alone, and nothing happens in the cluster.
func TestHostileCommands(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.crashing(s.ns, "web")
	before := s.deployment(s.ns, "web").Generation
	for _, tt := range []struct{ types, says string }{
		{`restart "` + s.ns + `/web`, "quote"},
		{`restart ` + s.ns + `/web; kubectl delete ns ` + s.ns, "one too many"},
		{`restart $(id)`, "cannot be the name"},
		{`restart ../../secrets/web`, "not a name"},
		{`restart ` + s.ns + `/web --force`, "Unknown flag: --force"},
		{`restart --namespace=kube-system ` + s.ns + `/web`, "kube-system"},
		{`logs ` + s.ns + `/web --grep "("`, "not a regular expression"},
		{`logs ` + s.ns + `/web --tail 99999999`, "it can be 1 to"},
		{`logs ` + s.ns + `/web --tail -1`, "1 to"},
		{`describe secret/` + s.ns + `/token`, "not a kind"},
		{`restart <!channel>`, "cannot be the name"},
		{"restart \x00\x1b[31mweb", ""},
		{strings.Repeat("a", 3000), "2000 are allowed"},
		{`restrat ` + s.ns + `/web`, "restart"},
		{`restart`, "missing"},
	} {
		answer := s.command(alice, tt.types)
		contains(t, "the answer to "+tt.types[:min(60, len(tt.types))], answer, tt.says)
		if len(answer) > 4000 || strings.ContainsFunc(answer, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
			t.Errorf("the answer to %q is too long or holds control characters: %q", tt.types, answer)
		}
		for _, m := range s.slack.Snapshot().Ephemerals(alice) {
			absent(t, "what an answer notifies", fmt.Sprint(m.Text), "<!channel>")
		}
	}
	if s.deployment(s.ns, "web").Generation != before {
		t.Error("one of them changed the cluster")
	}
	// Quotes that are right, and those that word processors make.
	contains(t, "a quoted name", s.command(alice, `diagnose "`+s.ns+`/web"`), "panic")
	contains(t, "curly quotes", s.command(alice, "diagnose “"+s.ns+"/web”"), "panic")
}
