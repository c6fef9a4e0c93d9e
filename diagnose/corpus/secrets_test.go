package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
)

// TestNoSecretComesThrough plants the secrets of redaction's own corpus wherever a cluster may hold them, and looks for them in whatever
// leaves the engine: text, JSON, excerpts and recordings.
func TestNoSecretComesThrough(t *testing.T) {
	raw, err := os.ReadFile("../testdata/redact/planted.txt")
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`⟦(?:\\n)?(.*?)(?:\\n)?⟧`)
	e := engine(t)
	checked := 0
	for i, marked := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		marked = strings.ReplaceAll(marked, "‖", "")
		if strings.HasPrefix(marked, "# ") || strings.Contains(marked, `\n`) {
			continue
		}
		if strings.HasPrefix(marked, "password: ⟦correct horse") {
			continue // plain words are a passphrase only on a line of their own; in a sentence they are the sentence
		}
		var secrets []string
		for _, m := range mark.FindAllStringSubmatch(marked, -1) {
			if len(m[1]) >= 7 {
				secrets = append(secrets, m[1])
			}
		}
		if len(secrets) == 0 {
			continue
		}
		line := strings.NewReplacer("⟦", "", "⟧", "").Replace(marked)
		for where, files := range plant(t, line) {
			checked++
			r := snapshot.Record(openFiles(t, files), diagnose.NewRedactor())
			for how, view := range map[string]diagnose.View{"directly": openFiles(t, files), "recorded": r} {
				found := diagnoseAll(t, e, view)
				if len(found) == 0 {
					t.Fatalf("line %d, %s: nothing was found", i+1, where)
				}
				var out bytes.Buffer
				if err := diagnose.WriteJSON(&out, found); err != nil {
					t.Fatal(err)
				}
				for _, d := range found {
					fmt.Fprintf(&out, "%s%+v", diagnose.Text(d), d)
				}
				look(t, out.String(), secrets, fmt.Sprintf("line %d, in the %s, read %s, comes through:", i+1, where, how))
			}
			written, err := r.Files()
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range written {
				look(t, string(text), secrets, fmt.Sprintf("line %d, in the %s, stands in the recording's %s:", i+1, where, name))
			}
			for name, text := range taped(t, e, openFiles(t, files)) {
				look(t, string(text), secrets, fmt.Sprintf("line %d, in the %s, stands in the tape's %s:", i+1, where, name))
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d cases", checked)
	}
}

func look(t *testing.T, text string, secrets []string, where string) {
	t.Helper()
	for _, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s %q in %q", where, secret, text[max(0, at-80):min(len(text), at+len(secret)+20)])
		}
	}
}

// plant makes snapshots that each hold the line in one place.
func plant(t *testing.T, line string) map[string]fstest.MapFS {
	t.Helper()
	quoted, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	base := "exit: 1\n"
	out := map[string]fstest.MapFS{}
	add := func(where, workload, log string, more ...string) {
		c := &crash{file: where, name: "planted", cause: "any", from: "redaction's corpus", files: fstest.MapFS{
			"snapshot.json": {Data: []byte(`{"now": "` + now + `"}`)}, "workload.yaml": {Data: []byte(workload)}, "previous.log": {Data: []byte(log)},
		}}
		for _, text := range more {
			c.files["more.yaml"] = &fstest.MapFile{Data: []byte(text)}
		}
		c.finish(t)
		out[where] = c.files
	}
	add("log", base, line+"\n"+line+"\nfatal: cannot go on: "+line+"\n")
	add("panic", base, "panic: "+line+"\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d\n")
	add("event, arguments and ConfigMap", base+"events: [{reason: Unhealthy, container: web, message: "+string(quoted)+"}]\n"+
		"container: {command: [sh, -c, "+string(quoted)+"], envFrom: [{configMapRef: {name: web}}]}\n", "sh: syntax error\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\ndata: {settings: "+string(quoted)+"}\n")
	add("termination message", base+"message: "+string(quoted)+"\n", "")
	return out
}
