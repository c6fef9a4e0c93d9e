package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// part is one of the bot's long-running pieces. Its run returns when its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// stageGrace bounds how long the bot waits for one of its three stages to stop. A stage that is all right needs less; the whole shutdown
// has 10 seconds.
const stageGrace = 3 * time.Second

// drain is how long messages still go out at the end. Half as long again is for storing what is left: together less than stageGrace, so
// that the store is not closed before.
const drain = 1800 * time.Millisecond

// runStages runs all parts until ctx ends or one of them fails. Then it stops the stages one after the other, each waited for before the
// next, at most for grace: what takes things in first, what sends them out last, so that nothing that was begun is lost.
func runStages(ctx context.Context, log *slog.Logger, grace time.Duration, stages ...[]part) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	type running struct {
		stop func()
		done chan struct{}
	}
	var all []running
	for _, stage := range stages {
		stageCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		var parts sync.WaitGroup
		for _, p := range stage {
			parts.Go(func() {
				err := p.run(stageCtx)
				switch {
				case err != nil && !errors.Is(err, context.Canceled):
					fail(&stageError{p.name, err})
				case stageCtx.Err() == nil:
					fail(fmt.Errorf("%s ended although nobody asked it to", p.name))
				}
			})
		}
		done := make(chan struct{})
		go func() { parts.Wait(); close(done) }()
		all = append(all, running{stop, done})
	}
	<-ctx.Done()
	for i, r := range all {
		r.stop()
		timer := time.NewTimer(grace)
		select {
		case <-r.done:
		case <-timer.C:
			log.Warn("a part of the program does not stop; going on without it", "stage", i+1)
		}
		timer.Stop()
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// stageError says which part of the program failed.
type stageError struct {
	part string
	err  error
}

func (e *stageError) Error() string { return e.part + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }
