package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStagesStopInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		slow := func(name string, takes time.Duration) part {
			return part{name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(takes)
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return nil
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		err := runStages(ctx, slog.New(slog.DiscardHandler), stageGrace, []part{slow("listen", 2*time.Second), slow("watch", time.Second)}, []part{slow("bot", 2*time.Second)}, []part{slow("queue", time.Second)})
		if err != nil {
			t.Errorf("a shutdown is no error, got %v", err)
		}
		if want := []string{"watch", "listen", "bot", "queue"}; !slices.Equal(stopped, want) {
			t.Errorf("stopped %v, want %v", stopped, want)
		}
	})
}

func TestStageThatFailsStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := part{"waits", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		fails := part{"watching pods", func(context.Context) error { return errors.New("forbidden") }}
		err := runStages(t.Context(), slog.New(slog.DiscardHandler), stageGrace, []part{fails}, []part{waits})
		if err == nil || !strings.Contains(err.Error(), "watching pods: forbidden") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestStageThatHangsIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hangs := part{"hangs", func(context.Context) error { <-release; return nil }}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if err := runStages(ctx, slog.New(slog.DiscardHandler), stageGrace, []part{hangs}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != stageGrace {
			t.Errorf("waited %s, want %s", took, stageGrace)
		}
		close(release)
	})
}

// Whatever hangs, the program has ended 10 seconds after SIGTERM.
func TestShutdownFitsInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hangs := func(name string) []part {
			return []part{{name, func(context.Context) error { <-release; return nil }}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		bot := part{"running", func(ctx context.Context) error {
			return runStages(ctx, slog.New(slog.DiscardHandler), stageGrace, hangs("watch"), hangs("diagnose"), hangs("deliver"))
		}}
		if err := runStages(ctx, slog.New(slog.DiscardHandler), 10*time.Second, []part{bot}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took >= 10*time.Second {
			t.Errorf("the shutdown took %s", took)
		}
		if drain+drain/2 >= stageGrace {
			t.Errorf("sending and storing what is left may take %s, and its stage is waited for only %s", drain+drain/2, stageGrace)
		}
		close(release)
	})
}
