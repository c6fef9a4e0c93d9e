package notify

import "context"

// Ledger is where the queue writes down what it means to send and what it sent, so that a restart neither loses nor repeats a message.
// bot/state stores it.
type Ledger interface {
	// Put stores a value under a key; it has been stored when Put returns nil.
	Put(ctx context.Context, key string, value []byte) error
	// Delete forgets a key; a key that is not there is no error.
	Delete(ctx context.Context, key string) error
	// List returns everything stored under keys with that prefix.
	List(ctx context.Context, prefix string) (map[string][]byte, error)
}
