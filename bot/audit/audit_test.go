package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var entry = Entry{
	Person: "U024BE7LH", Name: "alice", User: "alice@example.com", Groups: []string{"sre"}, Action: "restart", Target: "Deployment/shop/web",
	Permissions: []string{`patch deployments.apps "web" in namespace shop`}, Incident: "i1", Channel: "C1",
}

func lines(t *testing.T, b *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m["time"] == nil {
			t.Errorf("no time in %q", line)
		}
		delete(m, "time")
		delete(m, "level")
		delete(m, "tookMilliseconds")
		all = append(all, m)
	}
	return all
}

func TestBeginAndEnd(t *testing.T) {
	var b bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	r, err := New(&b).Begin(ctx, entry)
	if err != nil {
		t.Fatal(err)
	}
	cancel() // what ended is written also when the program is stopping
	if err := r.End(ctx, Done, "fine"); err != nil {
		t.Fatal(err)
	}
	common := map[string]any{
		"audit": true, "msg": "restart", "id": r.ID(), "person": "U024BE7LH", "name": "alice", "user": "alice@example.com", "groups": []any{"sre"},
		"action": "restart", "target": "Deployment/shop/web", "permissions": []any{`patch deployments.apps "web" in namespace shop`},
		"incident": "i1", "channel": "C1",
	}
	with := func(more map[string]any) map[string]any {
		m := map[string]any{}
		for k, v := range common {
			m[k] = v
		}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	want := []map[string]any{with(map[string]any{"phase": "begin"}), with(map[string]any{"phase": "end", "outcome": "done", "detail": "fine"})}
	if diff := cmp.Diff(want, lines(t, &b)); diff != "" {
		t.Error(diff)
	}
}

func TestRefuse(t *testing.T) {
	var b bytes.Buffer
	if err := New(&b).Refuse(t.Context(), entry, "alice may not"); err != nil {
		t.Fatal(err)
	}
	got := lines(t, &b)
	if len(got) != 1 || got[0]["phase"] != "refusal" || got[0]["outcome"] != "refused" || got[0]["detail"] != "alice may not" {
		t.Errorf("got %v", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAWriteThatFailsIsAnError(t *testing.T) {
	if _, err := New(full{}).Begin(t.Context(), entry); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v", err)
	}
	if err := New(full{}).Refuse(t.Context(), entry, "no"); err == nil {
		t.Error("no error")
	}
}

func TestHostileTextStaysInItsLine(t *testing.T) {
	var b bytes.Buffer
	e := entry
	e.Name = "al\nice\x1b[31m\xff" + strings.Repeat("ü", 1000)
	if err := New(&b).Refuse(t.Context(), e, "x\ny"); err != nil {
		t.Fatal(err)
	}
	got := lines(t, &b)
	name := got[0]["name"].(string)
	if len(got) != 1 || strings.ContainsAny(name, "\n\x1b") || len(name) > maxText+10 || !strings.HasPrefix(name, "al ice[31m�ü") {
		t.Errorf("got %q", name)
	}
}

func TestConcurrentLinesAreWhole(t *testing.T) {
	var b bytes.Buffer
	l := New(&b)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if err := l.Refuse(t.Context(), entry, "no"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := lines(t, &b); len(got) != 50 {
		t.Errorf("%d lines", len(got))
	}
}
