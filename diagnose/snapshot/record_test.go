package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
	"crashloop/diagnose/viewtest"
)

func TestRecorderConforms(t *testing.T) {
	viewtest.Run(t, func(t *testing.T, f viewtest.Fixture) diagnose.View {
		s, _ := open(t, fixtureFiles(t, f))
		return Record(s, diagnose.NewRedactor())
	})
}

// TestReplayConforms runs the suite twice: over a recorder, to have everything asked, and over what that wrote.
func TestReplayConforms(t *testing.T) {
	var r *Recorder
	t.Run("Recording", func(t *testing.T) {
		viewtest.Run(t, func(t *testing.T, f viewtest.Fixture) diagnose.View {
			s, _ := open(t, fixtureFiles(t, f))
			r = Record(s, diagnose.NewRedactor())
			return r
		})
	})
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	viewtest.Run(t, func(t *testing.T, f viewtest.Fixture) diagnose.View {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// restless is a View that changes with every read, fails now and then, and holds secrets.
type restless struct {
	reads  int
	broken bool
}

func (v *restless) Cluster() string { return "prod" }
func (v *restless) Now() time.Time {
	v.reads++
	return time.Date(2026, 3, 1, 12, 0, v.reads, 123, time.FixedZone("", 3600))
}

func (v *restless) pod(name string) *corev1.Pod {
	v.reads++
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Env: []corev1.EnvVar{{Name: "DB_PASSWORD", Value: "hunter2"}}}}},
		Status:     corev1.PodStatus{Message: strings.Repeat("x", v.reads)},
	}
}

func (v *restless) Get(_ context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	switch {
	case kind == diagnose.Secrets:
		return nil, diagnose.ErrForbidden
	case name == "gone":
		return nil, diagnose.ErrNotFound
	case v.broken:
		v.broken = false
		return nil, errors.New("dial postgres://app:hunter2@db: refused")
	}
	return v.pod(name), nil
}

func (v *restless) List(_ context.Context, _ diagnose.Kind, _ string, where diagnose.Where) ([]diagnose.Object, error) {
	out := []diagnose.Object{v.pod("a"), v.pod("gone"), v.pod("new-" + strings.Repeat("x", v.reads))}
	if where.Labels == nil {
		out = append(out, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}})
	}
	return out, nil
}

func (v *restless) Log(_ context.Context, which diagnose.LogRequest) ([]byte, error) {
	v.reads++
	if which.Previous {
		return nil, diagnose.ErrGone
	}
	if which.Container == "growing" {
		return diagnose.CutLog(fmt.Appendf(nil, "start\nline %d\n", v.reads), which), nil
	}
	return diagnose.CutLog([]byte("password=hunter2\none\ntwo\n"), which), nil
}

// ask reads a View in many ways and notes each answer.
func ask(t *testing.T, v diagnose.View) []string {
	t.Helper()
	ctx := context.Background()
	var answers []string
	note := func(answer any, err error) {
		raw := cmp.Diff(nil, answer)
		if err != nil {
			raw += err.Error()
			for _, s := range sentinels() {
				if errors.Is(err, s.err) {
					raw += " is " + s.name
				}
			}
		}
		answers = append(answers, raw)
	}
	list := func(where diagnose.Where) {
		objs, err := v.List(ctx, diagnose.Pods, "shop", where)
		note(objs, err)
	}
	get := func(kind diagnose.Kind, name string) { o, err := v.Get(ctx, kind, "shop", name); note(o, err) }
	log := func(which diagnose.LogRequest) {
		which.Namespace, which.Pod = "shop", "a"
		text, err := v.Log(ctx, which)
		note(string(text), err)
	}
	note(v.Now().Format(time.RFC3339Nano), nil)
	get(diagnose.Pods, "gone")
	get(diagnose.Pods, "broken")
	get(diagnose.Pods, "b")
	list(diagnose.Where{Labels: map[string]string{"app": "web"}})
	list(diagnose.Where{})
	get(diagnose.Pods, "a")
	get(diagnose.Pods, "late")
	get(diagnose.Pods, "broken")
	list(diagnose.Where{Labels: map[string]string{"app": "web"}})
	get(diagnose.Secrets, "db")
	log(diagnose.LogRequest{Container: "app", TailLines: 1})
	log(diagnose.LogRequest{Container: "app"})
	log(diagnose.LogRequest{Container: "app", TailLines: 3, LimitBytes: 6})
	log(diagnose.LogRequest{Container: "growing", TailLines: 2})
	log(diagnose.LogRequest{Container: "growing"})
	log(diagnose.LogRequest{Container: "app", Previous: true})
	note(v.Cluster(), nil)
	return answers
}

func TestReplayGivesTheSameAnswers(t *testing.T) {
	r := Record(&restless{broken: true}, diagnose.NewRedactor())
	first := ask(t, r)
	if again := ask(t, r); !cmp.Equal(first, again) {
		t.Errorf("asked twice:\n%s", cmp.Diff(first, again))
	}
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if replayed := ask(t, s); !cmp.Equal(first, replayed) {
		t.Errorf("replayed:\n%s", cmp.Diff(first, replayed))
	}
	for name, text := range filesBelow(t, dir) {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s holds the secret:\n%s", name, text)
		}
	}
	if err := r.Write(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("writing there again gave %v", err)
	}
	if !strings.Contains(strings.Join(first, "\n"), "shop/other") && !strings.Contains(strings.Join(first, "\n"), "other") {
		t.Error("the wider list lacks what only it holds")
	}
}

func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		raw, err := os.ReadFile(name)
		out[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordingIsDeterministic(t *testing.T) {
	make := func() map[string][]byte {
		r := Record(&restless{broken: true}, diagnose.NewRedactor())
		ask(t, r)
		files, err := r.Files()
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	if diff := cmp.Diff(make(), make()); diff != "" {
		t.Error(diff)
	}
}

func TestRecorderDoesNotKeepCancelledReads(t *testing.T) {
	s, _ := open(t, fstest.MapFS{"a.yaml": {Data: []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n")}})
	r := Record(s, diagnose.NewRedactor())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Get(ctx, diagnose.Pods, "shop", "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Get(context.Background(), diagnose.Pods, "shop", "a"); err != nil {
		t.Errorf("the next read gave %v", err)
	}
}

// TestRecordingKeepsWhatYAMLForbids holds that an event which quotes a program's binary output does not cost the recording.
func TestRecordingKeepsWhatYAMLForbids(t *testing.T) {
	const message = "it said \u007f\u0085\u009b\ufeff\uffff and ended"
	raw, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Event", "metadata": map[string]any{"name": "e", "namespace": "shop"}, "message": message})
	if err != nil {
		t.Fatal(err)
	}
	s, err := FromFS(files("a.json", string(raw)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := Record(s, diagnose.NewRedactor())
	if _, err := r.List(t.Context(), diagnose.Events, "shop", diagnose.Where{}); err != nil {
		t.Fatal(err)
	}
	written, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := FromFS(files("events.yaml", string(written["events.yaml"])), Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := replayed.List(t.Context(), diagnose.Events, "shop", diagnose.Where{})
	if err != nil || len(list) != 1 || list[0].(*corev1.Event).Message != message {
		t.Errorf("read back: %v, %q", err, written["events.yaml"])
	}
}

// cutLog is a View of a log alone, which it cuts as it is asked to.
type cutLog struct {
	restless
	text string
}

func (v *cutLog) Log(_ context.Context, which diagnose.LogRequest) ([]byte, error) {
	return diagnose.CutLog([]byte(v.text), which), nil
}

// TestHalfATokenIsNotRecorded holds that neither way of recording keeps the line in which a log was cut: it may begin amid a token.
func TestHalfATokenIsNotRecorded(t *testing.T) {
	const secret = "ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i"
	end := " is no key that is known\nfatal: cannot go on\n"
	ask := diagnose.LogRequest{Namespace: "shop", Pod: "a", Container: "app", LimitBytes: int64(len(end) + len(secret)/2)}
	view := &cutLog{text: "starting\n" + secret + end}
	r, tape := Record(view, diagnose.NewRedactor()), NewTape(view, diagnose.Symptom{Subject: diagnose.Subject{Namespace: "shop", Workload: "Pod/a"}})
	got, err := r.Log(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tape.Log(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	written, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := tape.Pack(diagnose.NewRedactor(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := ReadArchive(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	const name = "logs/shop/a/app.log"
	taped, err := fs.ReadFile(archive, name)
	if err != nil {
		t.Fatal(err)
	}
	for how, text := range map[string][]byte{"answered": got, "recorded": written[name], "taped": taped} {
		if string(text) != "fatal: cannot go on\n" {
			t.Errorf("%s: %q", how, text)
		}
	}
}
