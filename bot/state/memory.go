package state

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
)

// Memory is a Store that forgets everything at the end of the program: for tests, and where nothing need survive.
type Memory struct {
	mu     sync.Mutex
	values map[string][]byte
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{values: map[string][]byte{}} }

// Put stores a value.
func (m *Memory) Put(ctx context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = bytes.Clone(value)
	return nil
}

// Delete forgets a key.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return nil
}

// List returns what is stored under a prefix.
func (m *Memory) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return under(m.values, prefix), nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// under copies what is stored under a prefix.
func under(values map[string][]byte, prefix string) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range values {
		if strings.HasPrefix(k, prefix) {
			out[k] = append([]byte{}, v...)
		}
	}
	return out
}
