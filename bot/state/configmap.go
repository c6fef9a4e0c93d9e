package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

const (
	// shardLimit is how much one ConfigMap may hold, in bytes, keys included. The API server refuses more than 1 MiB of data
	// (validation.MaxSecretSize), and etcd requests of more than 1.5 MiB, which base64 in JSON comes near.
	shardLimit = 900 << 10
	// maxShards bounds the whole.
	maxShards = 64
	// stateLabel marks the ConfigMaps of one store with its name.
	stateLabel = "crashloop/state"
	callLimit  = 15 * time.Second
)

// ConfigMapOptions are what OpenConfigMaps needs. All are required.
type ConfigMapOptions struct {
	Client          kubernetes.Interface
	Namespace, Name string
	Log             *slog.Logger
}

// ConfigMaps is a Store in ConfigMaps called NAME-0, NAME-1 and so on. What is put while a write is under way goes into the next one
// together. It is read when it is first used, not when it is opened, so that an instance that waits to lead begins with what the leader
// before it left.
type ConfigMaps struct {
	o ConfigMapOptions

	mu     sync.Mutex
	loaded bool
	shards []*shard
	where  map[string]int // which shard has a key
	seq    uint64         // of the newest write
	queue  []*change
	closed bool
	wake   chan struct{}
	done   chan struct{}
	cancel context.CancelFunc
}

// shard is one ConfigMap as it was last read or written.
type shard struct {
	values map[string]entry
	size   int
	object *corev1.ConfigMap // nil before it is made
}

// change is a value to write, or a key to delete when value is nil.
type change struct {
	key   string
	value *entry
	done  chan error
}

// OpenConfigMaps returns the store, or an error that says what right is missing.
func OpenConfigMaps(ctx context.Context, o ConfigMapOptions) (*ConfigMaps, error) {
	own, cancel := context.WithCancel(context.Background())
	c := &ConfigMaps{o: o, where: map[string]int{}, wake: make(chan struct{}, 1), done: make(chan struct{}), cancel: cancel}
	if _, err := c.fetch(ctx); err != nil {
		cancel()
		return nil, err
	}
	go c.run(own)
	return c, nil
}

func (c *ConfigMaps) fetch(ctx context.Context) ([]corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	list, err := c.o.Client.CoreV1().ConfigMaps(c.o.Namespace).List(ctx, metav1.ListOptions{LabelSelector: stateLabel + "=" + c.o.Name})
	if err != nil {
		return nil, fmt.Errorf("reading the state from ConfigMaps %s-* in namespace %s: %w", c.o.Name, c.o.Namespace, hint(err, c.o.Namespace))
	}
	return list.Items, nil
}

// hint adds what to do about a missing right or namespace.
func hint(err error, namespace string) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; the bot's ServiceAccount needs get, list, create and update on configmaps in namespace %s", err, namespace)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w; does namespace %s exist?", err, namespace)
	}
	return err
}

// load reads everything. c.mu is held.
func (c *ConfigMaps) load(ctx context.Context) error {
	if c.closed {
		return ErrClosed
	}
	if c.loaded {
		return nil
	}
	items, err := c.fetch(ctx)
	if err != nil {
		return err
	}
	c.shards, c.where = nil, map[string]int{}
	for i := range items {
		if n, ok := shardNumber(c.o.Name, items[i].Name); ok {
			for len(c.shards) <= n {
				c.shards = append(c.shards, &shard{values: map[string]entry{}})
			}
			c.shards[n] = c.read(&items[i])
		}
	}
	for n, s := range c.shards {
		for key, e := range s.values {
			c.seq = max(c.seq, e.seq)
			// A key that was moved may stand in two shards after a crash; the newer one counts.
			if old, twice := c.where[key]; !twice || c.shards[old].values[key].seq < e.seq {
				c.where[key] = n
			}
		}
	}
	c.loaded = true
	return nil
}

// read decodes a ConfigMap. What is damaged is left out with a warning, and overwritten by the next change of the shard.
func (c *ConfigMaps) read(object *corev1.ConfigMap) *shard {
	s := &shard{values: map[string]entry{}, object: object}
	for name, raw := range object.BinaryData {
		key, e, err := decodeEntry(raw)
		if err == nil && dataKey(key) != name {
			err = errors.New("it holds another key than its name says")
		}
		if err != nil {
			c.o.Log.Warn("a value of the state is damaged and left out", "configmap", object.Name, "key", name, "error", err)
			continue
		}
		s.values[key] = e
	}
	s.measure()
	return s
}

func (s *shard) measure() {
	s.size = 0
	for key, e := range s.values {
		s.size += e.size(key)
	}
}

// Put stores a value; it returns when the API server has it.
func (c *ConfigMaps) Put(ctx context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	e, err := pack(value)
	if err == nil && e.size(key) > shardLimit {
		err = fmt.Errorf("it has %d bytes, and %d are the most", e.size(key), shardLimit)
	}
	if err == nil {
		err = c.submit(ctx, key, &e)
	}
	if err != nil {
		return fmt.Errorf("storing %q: %w", key, err)
	}
	return nil
}

// Delete forgets a key; it returns when the API server has forgotten it.
func (c *ConfigMaps) Delete(ctx context.Context, key string) error {
	if checkKey(key) != nil {
		return nil // nothing can be stored under it
	}
	if err := c.submit(ctx, key, nil); err != nil {
		return fmt.Errorf("deleting %q: %w", key, err)
	}
	return nil
}

func (c *ConfigMaps) submit(ctx context.Context, key string, value *entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ch := &change{key, value, make(chan error, 1)}
	c.mu.Lock()
	if err := c.load(ctx); err != nil {
		c.mu.Unlock()
		return err
	}
	c.queue = append(c.queue, ch)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-ch.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return ErrClosed
	}
}

// List returns what is stored under a prefix.
func (c *ConfigMaps) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for key, n := range c.where {
		if len(key) < len(prefix) || key[:len(prefix)] != prefix {
			continue
		}
		value, err := c.shards[n].values[key].unpack()
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", key, err)
		}
		out[key] = value
	}
	return out, nil
}

// Close waits for the write under way and ends the store.
func (c *ConfigMaps) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	<-c.done
	return nil
}

// run writes what is queued, batch by batch.
func (c *ConfigMaps) run(ctx context.Context) {
	defer close(c.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.mu.Lock()
		batch := c.queue
		c.queue = nil
		plan, failed := c.plan(batch)
		c.mu.Unlock()
		for _, f := range failed {
			f.change.done <- f.err
		}
		errs := map[*change]error{}
		for _, n := range plan.order {
			if err := c.commit(context.WithoutCancel(ctx), n, plan.edits[n]); err != nil {
				for _, e := range plan.edits[n] {
					errs[e.change] = err
				}
			}
		}
		for _, ch := range plan.changes {
			ch.done <- errs[ch]
		}
	}
}

// edit is what one change does to one shard.
type edit struct {
	change *change
	value  *entry // nil removes the key
}

type writes struct {
	changes []*change
	order   []int // where something is put, before where something is only removed
	edits   map[int][]edit
}

type refused struct {
	change *change
	err    error
}

// plan says which shards a batch changes. A key stays in its shard while it fits there; else it is put into another one first and then
// removed from wherever else it stands. c.mu is held.
func (c *ConfigMaps) plan(batch []*change) (writes, []refused) {
	p := writes{edits: map[int][]edit{}}
	var failed []refused
	grown := map[int]int{}            // what the batch adds to each shard so far
	holds := map[string]map[int]int{} // the sizes that a key has in the shards that hold it
	put, drop := map[int]bool{}, map[int]bool{}
	for _, ch := range batch {
		in := holds[ch.key]
		if in == nil {
			in = map[int]int{}
			for n, s := range c.shards {
				if e, ok := s.values[ch.key]; ok {
					in[n] = e.size(ch.key)
				}
			}
			holds[ch.key] = in
		}
		to := -1
		if ch.value != nil {
			c.seq++
			ch.value.seq = c.seq
			need := ch.value.size(ch.key)
			if to = c.room(need, in, grown); to < 0 {
				failed = append(failed, refused{ch, fmt.Errorf("the state is full: %d ConfigMaps of %d KiB", maxShards, shardLimit>>10)})
				continue
			}
			p.edits[to] = append(p.edits[to], edit{ch, ch.value})
			grown[to] += need - in[to]
			in[to] = need
			put[to] = true
		}
		for n, size := range in {
			if n != to {
				p.edits[n] = append(p.edits[n], edit{ch, nil})
				grown[n] -= size
				delete(in, n)
				drop[n] = true
			}
		}
		p.changes = append(p.changes, ch)
	}
	for n := range put {
		p.order = append(p.order, n)
	}
	for n := range drop {
		if !put[n] {
			p.order = append(p.order, n)
		}
	}
	return p, failed
}

// room finds the shard for a value: the one that has the key already, if it fits there, else the first with room, else a new one; -1 when
// there is none.
func (c *ConfigMaps) room(need int, in, grown map[int]int) int {
	for n, size := range in {
		if c.shards[n].size+grown[n]-size+need <= shardLimit {
			return n
		}
	}
	for n, s := range c.shards {
		if _, had := in[n]; !had && s.size+grown[n]+need <= shardLimit {
			return n
		}
	}
	if len(c.shards) >= maxShards {
		return -1
	}
	c.shards = append(c.shards, &shard{values: map[string]entry{}})
	return len(c.shards) - 1
}

// commit writes one shard with the edits made. When somebody else has written it since, theirs is read and the edits are made on that.
func (c *ConfigMaps) commit(ctx context.Context, n int, edits []edit) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	c.mu.Lock()
	base := c.shards[n]
	c.mu.Unlock()
	name := shardName(c.o.Name, n)
	var written *shard
	err := retry.OnError(retry.DefaultBackoff, mayPass, func() (err error) {
		written, err = c.attempt(ctx, name, base, edits)
		switch {
		case apierrors.IsNotFound(err) && base.object != nil: // somebody has deleted it: what is known of it is written again
			base = &shard{values: base.values}
			written, err = c.attempt(ctx, name, base, edits)
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
			object, getErr := c.o.Client.CoreV1().ConfigMaps(c.o.Namespace).Get(ctx, name, metav1.GetOptions{})
			if getErr != nil {
				return getErr
			}
			base = c.read(object)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s/%s: %w", c.o.Namespace, name, hint(err, c.o.Namespace))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shards[n] = written
	for key, in := range c.where {
		if _, there := written.values[key]; in == n && !there {
			delete(c.where, key)
		}
	}
	for key, e := range written.values {
		if in, there := c.where[key]; !there || c.shards[in].values[key].seq <= e.seq {
			c.where[key] = n
		}
	}
	return nil
}

// mayPass says that an error is worth another try.
func mayPass(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
}

// attempt writes a shard once.
func (c *ConfigMaps) attempt(ctx context.Context, name string, base *shard, edits []edit) (*shard, error) {
	next := &shard{values: maps.Clone(base.values)}
	for _, e := range edits {
		if e.value == nil {
			delete(next.values, e.change.key)
		} else {
			next.values[e.change.key] = *e.value
		}
	}
	next.measure()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.o.Namespace, Name: name}}
	if base.object != nil {
		object.ObjectMeta = *base.object.ObjectMeta.DeepCopy()
		object.ManagedFields = nil
	}
	if object.Labels == nil {
		object.Labels = map[string]string{}
	}
	object.Labels[stateLabel], object.Labels["app.kubernetes.io/managed-by"] = c.o.Name, "crashloop"
	object.BinaryData = make(map[string][]byte, len(next.values))
	for key, e := range next.values {
		object.BinaryData[dataKey(key)] = encodeEntry(key, e)
	}
	api := c.o.Client.CoreV1().ConfigMaps(c.o.Namespace)
	var err error
	if base.object == nil {
		next.object, err = api.Create(ctx, object, metav1.CreateOptions{})
	} else {
		next.object, err = api.Update(ctx, object, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, err
	}
	// The values are known; a second copy of them in the object would only take room.
	next.object.BinaryData, next.object.Data, next.object.ManagedFields = nil, nil, nil
	return next, nil
}
