package kube

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// contact is how talking to the API about one kind goes.
type contact struct {
	mu      sync.Mutex
	asked   time.Time // when the call began that is still without an answer
	trouble time.Time // since when every call failed
	err     error
	lists   bool // something was listed
	watches bool // a watch stood
}

func (c *contact) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = time.Now()
}

func (c *contact) worked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.trouble, c.err = time.Time{}, time.Time{}, nil
}

func (c *contact) failed(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		if c.trouble.IsZero() {
			c.trouble = c.asked
		}
		c.err = err
	}
	c.asked = time.Time{}
}

func (c *contact) watching() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches = true
}

func (c *contact) synced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists = true
}

func (c *contact) listed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists
}

func (c *contact) stood() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists && c.watches
}

// healthy returns an error that says since when and why there is no contact, if that is longer than grace.
func (c *contact) healthy(now time.Time, grace time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, why := c.trouble, c.err
	if since.IsZero() {
		since = c.asked
	}
	if since.IsZero() || now.Sub(since) < grace {
		return nil
	}
	ago := now.Sub(since).Round(time.Second)
	if why == nil {
		return fmt.Errorf("no answer from the API server for %s, since %s", ago, since.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("no contact with the API server for %s, since %s: %w", ago, since.UTC().Format(time.RFC3339), why)
}
