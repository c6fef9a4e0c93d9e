package state

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes/fake"
)

func TestDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "down")
	d, err := OpenDirectory(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	put(t, d, "a", "1")
	for _, name := range []string{"", "a.value", "lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v", name, info.Mode())
		}
	}
}

func TestDirectoryHasOneUser(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	d, err := OpenDirectory(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenDirectory(dir, log)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another crashloop (process %d) uses it", os.Getpid())) {
		t.Errorf("a second one opened it: %v", err)
	}
	put(t, d, "a", "1")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "b", nil); err == nil {
		t.Error("a closed store takes a value")
	}
	again, err := OpenDirectory(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	want(t, again, "", map[string]string{"a": "1"})
}

func TestDirectorySetsDamageAside(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(raw []byte) []byte
	}{
		{"cut short", func(raw []byte) []byte { return raw[:len(raw)-2] }},
		{"empty", func([]byte) []byte { return nil }},
		{"a flipped bit", func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }},
		{"another key", func(raw []byte) []byte { return bytes.Replace(raw, []byte(`"bad"`), []byte(`"bed"`), 1) }},
		{"no header", func([]byte) []byte { return []byte("hello\nworld") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := OpenDirectory(dir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			put(t, d, "good", "1")
			put(t, d, "bad", "12345")
			d.Close()
			name := filepath.Join(dir, "bad.value")
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, test.damage(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "good.value.partial"), []byte("half a"), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			d, err = OpenDirectory(dir, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			want(t, d, "", map[string]string{"good": "1"})
			if !strings.Contains(log.String(), "set aside") || !strings.Contains(log.String(), "bad.value") {
				t.Errorf("the log does not say what was lost: %s", log.String())
			}
			aside, _ := filepath.Glob(filepath.Join(dir, "bad.value.*.damaged"))
			partial, _ := filepath.Glob(filepath.Join(dir, "*.partial"))
			if len(aside) != 1 || len(partial) != 0 {
				t.Errorf("set aside: %q, left over: %q", aside, partial)
			}
			put(t, d, "bad", "new")
			want(t, d, "", map[string]string{"good": "1", "bad": "new"})
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	api := newAPI()
	for _, test := range []struct {
		name, spec string
		o          Options
		wants      string // the kind of the store, or a part of the error
	}{
		{"memory", "memory", Options{}, "*state.Memory"},
		{"directory", "dir:" + filepath.Join(dir, "x:y"), Options{}, "*state.Directory"},
		{"configmaps", "configmap:bots/state", Options{Client: api}, "*state.ConfigMaps"},
		{"nothing, outside a cluster", "", Options{Cluster: "prod/eu"}, "*state.Directory"},
		{"nothing, inside a cluster", "", Options{Client: api, InCluster: true, Namespace: "bots"}, "*state.ConfigMaps"},
		{"a part of a directory", "dir:" + filepath.Join(dir, "x:y"), Options{Part: "evidence"}, "*state.Directory"},
		{"a part of configmaps", "configmap:bots/state", Options{Client: api, Part: "evidence"}, "*state.ConfigMaps"},
		{"a part of memory", "memory", Options{Part: "evidence"}, "*state.Memory"},
		{"no client", "configmap:bots/state", Options{}, "there is no connection to a cluster"},
		{"no name", "configmap:bots", Options{Client: fake.NewClientset()}, "it must be configmap:NAMESPACE/NAME"},
		{"no path", "dir:", Options{}, "it must be dir:PATH"},
		{"something else", "redis://x", Options{}, "it must be dir:PATH, configmap:NAMESPACE/NAME, memory"},
		{"a file in the way", "dir:" + filepath.Join(dir, "file"), Options{}, "opening state directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), test.spec, test.o)
			if err != nil {
				if !strings.Contains(err.Error(), test.wants) {
					t.Errorf("Open(%q): %v", test.spec, err)
				}
				return
			}
			defer s.Close()
			if got := fmt.Sprintf("%T", s); got != test.wants {
				t.Errorf("Open(%q) is a %s, want %s", test.spec, got, test.wants)
			}
			put(t, s, "k", "v")
		})
	}
	if got, _ := filepath.Glob(filepath.Join(dir, "state", "crashloop", "*")); len(got) != 1 {
		t.Errorf("the default directory is not one per cluster: %q", got)
	}
}
