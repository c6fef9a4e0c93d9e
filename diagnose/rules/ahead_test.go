package rules_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"crashloop/diagnose"
)

// noted is a View that notes what it was asked for.
type noted struct {
	diagnose.View
	mu    sync.Mutex
	asked map[string]bool
}

func (v *noted) note(read string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked[read] = true
}

func (v *noted) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	v.note(fmt.Sprint("get ", kind.Kind, " ", namespace, "/", name))
	return v.View.Get(ctx, kind, namespace, name)
}

func (v *noted) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	v.note(fmt.Sprint("list ", kind.Kind, " ", namespace, " ", where))
	return v.View.List(ctx, kind, namespace, where)
}

func (v *noted) Log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	v.note(fmt.Sprint("log ", which))
	return v.View.Log(ctx, which)
}

// TestAhead holds that what is read ahead is just what a diagnosis asks for then: nothing else, and all but what depends on the cause.
func TestAhead(t *testing.T) {
	standard, err := os.ReadFile("testdata/standard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const log = "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/shop/main.go:21 +0x1d\nexit status 2\n"
	tc := testCase{files: fstest.MapFS{
		"pod.yaml":      {Data: []byte(strings.NewReplacer("EXIT", "2", "REASON", "Error").Replace(string(standard)))},
		"snapshot.json": {Data: []byte(`{"now": "2026-03-01T10:00:00Z"}`)},
		"logs/shop/web-7d4b9c5f6d-x2x7k/web.previous.log": {Data: []byte(log)},
	}}
	view, symptom := tc.open(t)
	engine := newEngine(t)
	ahead, then := &noted{View: view, asked: map[string]bool{}}, &noted{View: view, asked: map[string]bool{}}
	for _, read := range engine.Ahead(symptom) {
		read(t.Context(), ahead)
	}
	d, err := engine.Diagnose(t.Context(), then, symptom)
	if err != nil || d.Cause != "app.panic" {
		t.Fatalf("%v, %v", d.Cause, err)
	}
	for read := range ahead.asked {
		if !then.asked[read] {
			t.Errorf("read ahead for nothing: %s", read)
		}
	}
	for read := range then.asked {
		if !ahead.asked[read] {
			t.Errorf("not read ahead: %s", read)
		}
	}
}
