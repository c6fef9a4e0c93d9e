package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// place is somewhere that a store can be opened, closed and opened again.
type place struct {
	name     string
	open     func(t *testing.T) Store
	survives bool
}

func places(t *testing.T) []place {
	dir := t.TempDir()
	memory := NewMemory()
	api := newAPI()
	return []place{
		{"memory", func(*testing.T) Store { return memory }, false},
		{"directory", func(t *testing.T) Store {
			d, err := OpenDirectory(dir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}, true},
		{"configmaps", func(t *testing.T) Store { return api.open(t, t.Context()) }, true},
	}
}

// TestStores holds every kind of store to the same behaviour.
func TestStores(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, p place)
	}{
		{"what is put is listed", func(t *testing.T, p place) {
			s := p.open(t)
			defer s.Close()
			put(t, s, "a/1", "one")
			put(t, s, "a/2", "two")
			put(t, s, "b/1", "three")
			want(t, s, "a/", map[string]string{"a/1": "one", "a/2": "two"})
			want(t, s, "", map[string]string{"a/1": "one", "a/2": "two", "b/1": "three"})
			want(t, s, "c", map[string]string{})
			put(t, s, "a/1", "uno")
			remove(t, s, "a/2")
			remove(t, s, "a/2")
			remove(t, s, "never there")
			remove(t, s, "")
			want(t, s, "a/", map[string]string{"a/1": "uno"})
		}},
		{"it outlives a restart", func(t *testing.T, p place) {
			if !p.survives {
				return
			}
			s := p.open(t)
			put(t, s, "a", "one")
			put(t, s, "gone", "two")
			remove(t, s, "gone")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = p.open(t)
			defer s.Close()
			want(t, s, "", map[string]string{"a": "one"})
		}},
		{"any text is a key and any bytes a value", func(t *testing.T, p place) {
			s := p.open(t)
			all := map[string]string{}
			for i, key := range []string{"a/b", "a_b", "A/B", "..", ".", "../../etc/passwd", "CON", "a b", "ü", "a_2fb", "a\nb", strings.Repeat("k", 512), strings.Repeat("/", 500), strings.Repeat("/", 501), "incident/x/root"} {
				all[key] = fmt.Sprintf("%d \x00\xff\n", i)
				put(t, s, key, all[key])
			}
			put(t, s, "empty", "")
			all["empty"] = ""
			want(t, s, "", all)
			if p.survives {
				s.Close()
				s = p.open(t)
				want(t, s, "", all)
			}
			s.Close()
		}},
		{"bad keys are refused", func(t *testing.T, p place) {
			s := p.open(t)
			defer s.Close()
			for _, key := range []string{"", strings.Repeat("k", 513), "\xff"} {
				if err := s.Put(t.Context(), key, []byte("x")); err == nil {
					t.Errorf("Put under %q was accepted", key)
				}
			}
			want(t, s, "", map[string]string{})
		}},
		{"values are copies", func(t *testing.T, p place) {
			s := p.open(t)
			defer s.Close()
			v := []byte("one")
			if err := s.Put(t.Context(), "a", v); err != nil {
				t.Fatal(err)
			}
			v[0] = 'X'
			got, err := s.List(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			got["a"][1] = 'X'
			want(t, s, "", map[string]string{"a": "one"})
		}},
		{"a context that is over", func(t *testing.T, p place) {
			s := p.open(t)
			defer s.Close()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Put(ctx, "a", nil); !errors.Is(err, context.Canceled) {
				t.Errorf("Put: %v", err)
			}
			if _, err := s.List(ctx, ""); !errors.Is(err, context.Canceled) {
				t.Errorf("List: %v", err)
			}
		}},
		{"many at once", func(t *testing.T, p place) {
			s := p.open(t)
			var group sync.WaitGroup
			for w := range 8 {
				group.Go(func() {
					for i := range 25 {
						key := fmt.Sprintf("%d/%d", w, i%5)
						if err := s.Put(t.Context(), key, []byte(fmt.Sprint(i))); err != nil {
							t.Errorf("Put: %v", err)
						}
						if i%5 == 4 {
							if err := s.Delete(t.Context(), fmt.Sprintf("%d/0", w)); err != nil {
								t.Errorf("Delete: %v", err)
							}
						}
					}
				})
			}
			group.Wait()
			all := map[string]string{}
			for w := range 8 {
				for i := 1; i < 5; i++ {
					all[fmt.Sprintf("%d/%d", w, i)] = fmt.Sprint(20 + i)
				}
			}
			want(t, s, "", all)
			s.Close()
			if p.survives {
				s = p.open(t)
				defer s.Close()
				want(t, s, "", all)
			}
		}},
		{"values grow, shrink and go, and none is lost", func(t *testing.T, p place) {
			s := p.open(t)
			random := rand.New(rand.NewPCG(1, 2))
			all := map[string]string{}
			for range 120 {
				key := fmt.Sprintf("k/%d", random.IntN(20))
				if random.IntN(5) == 0 {
					remove(t, s, key)
					delete(all, key)
					continue
				}
				value := make([]byte, random.IntN(200<<10))
				for i := range value {
					value[i] = byte(random.Uint32())
				}
				all[key] = string(value)
				if err := s.Put(t.Context(), key, value); err != nil {
					t.Fatal(err)
				}
			}
			want(t, s, "", all)
			s.Close()
			if p.survives {
				s = p.open(t)
				defer s.Close()
				want(t, s, "", all)
			}
		}},
	} {
		for _, p := range places(t) {
			t.Run(test.name+"/"+p.name, func(t *testing.T) { test.run(t, p) })
		}
	}
}

func put(t *testing.T, s Store, key, value string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func remove(t *testing.T, s Store, key string) {
	t.Helper()
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatalf("Delete(%q): %v", key, err)
	}
}

func want(t *testing.T, s Store, prefix string, all map[string]string) {
	t.Helper()
	got, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatalf("List(%q): %v", prefix, err)
	}
	have := map[string][]byte{}
	for k, v := range all {
		have[k] = []byte(v)
	}
	if len(got) != len(have) {
		t.Errorf("List(%q) has %d keys, want %d", prefix, len(got), len(have))
	}
	for k, v := range have {
		if g, ok := got[k]; !ok || !bytes.Equal(g, v) {
			t.Errorf("List(%q)[%q]: stored %d bytes, got %d (there: %t): %s", prefix, k, len(v), len(g), ok, cmp.Diff(string(v[:min(20, len(v))]), string(g[:min(20, len(g))])))
		}
	}
}

// TestPartsAreApart opens a part beside the rest, under one setting: neither sees, locks or rewrites the other.
func TestPartsAreApart(t *testing.T) {
	api := newAPI()
	for _, spec := range []string{"memory", "dir:" + t.TempDir(), "configmap:bots/state"} {
		opened := func(part string) Store {
			s, err := Open(t.Context(), spec, Options{Client: api, Part: part})
			if err != nil {
				t.Fatalf("%s, part %q: %v", spec, part, err)
			}
			return s
		}
		rest, part := opened(""), opened("evidence")
		put(t, rest, "a", "rest")
		put(t, part, "a", "part")
		put(t, part, "b", strings.Repeat("x", 100))
		want(t, rest, "", map[string]string{"a": "rest"})
		want(t, part, "", map[string]string{"a": "part", "b": strings.Repeat("x", 100)})
		for _, s := range []Store{rest, part} {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if spec == "memory" {
			continue
		}
		rest, part = opened(""), opened("evidence")
		want(t, rest, "", map[string]string{"a": "rest"})
		want(t, part, "", map[string]string{"a": "part", "b": strings.Repeat("x", 100)})
		for _, s := range []Store{rest, part} {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
