package kube

import (
	"context"
	"errors"
	"sync"

	"crashloop/diagnose"
)

// cached remembers what was read, so that one diagnosis reads nothing twice.
type cached struct {
	mu  sync.Mutex
	all map[any]*answer
}

// answer is one read, done or under way.
type answer struct {
	done  chan struct{}
	value any
	err   error
}

// Ahead starts reads whose answers a View from Fresh is to remember, all at once. settle cuts off those that are still under way and
// returns when none is; it is to be called when the answers are no longer wanted.
func (v *View) Ahead(ctx context.Context, reads []func(context.Context, diagnose.View)) (settle func()) {
	ctx, cancel := context.WithCancel(ctx)
	var under sync.WaitGroup
	for _, read := range reads {
		under.Go(func() { read(ctx, v) })
	}
	return func() {
		cancel()
		under.Wait()
	}
}

// remember returns what read returned for key before, or calls it. Two that ask at once share one read. A read that was cut short by its
// caller's context is not remembered.
func remember[T any](ctx context.Context, c *cached, key any, read func() (T, error)) (T, error) {
	if c == nil {
		return read()
	}
	for {
		if err := ctx.Err(); err != nil {
			var none T
			return none, err
		}
		c.mu.Lock()
		a := c.all[key]
		if a == nil {
			a = &answer{done: make(chan struct{})}
			c.all[key] = a
			c.mu.Unlock()
			value, err := read()
			a.value, a.err = value, err
			if ctx.Err() != nil {
				a.err = errors.Join(errCut, err)
				c.mu.Lock()
				delete(c.all, key)
				c.mu.Unlock()
			}
			close(a.done)
			return value, err
		}
		c.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if errors.Is(a.err, errCut) {
			continue
		}
		value, _ := a.value.(T)
		return value, a.err
	}
}

var errCut = errors.New("the read was cut short")
