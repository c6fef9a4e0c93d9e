package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	valueSuffix   = ".value"
	partialSuffix = ".partial"
	damagedSuffix = ".damaged"
	lockFile      = "lock"
)

// Directory is a Store of one file per key. A file is written whole under another name and then renamed, so that a crash or a full disk
// leaves the old value or the new one. One process at a time may use a directory.
type Directory struct {
	path string
	log  *slog.Logger
	lock *os.File

	mu     sync.Mutex
	values map[string][]byte
	closed bool
	stripe [16]sync.Mutex // writes of one key go one after the other
}

// header is the first line of a value's file.
type header struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"` // of what follows the line
}

// OpenDirectory opens a directory, made if need be, readable by its owner only. A file that is damaged is set aside under another name,
// with a warning, and what it held is lost.
func OpenDirectory(path string, log *slog.Logger) (*Directory, error) {
	fail := func(err error) (*Directory, error) {
		return nil, fmt.Errorf("opening state directory %q: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fail(err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fail(err)
	}
	if err := lockWhole(lock); err != nil {
		holder, _ := os.ReadFile(lock.Name())
		lock.Close()
		return fail(fmt.Errorf("another crashloop (process %s) uses it: %w; stop that one, or set CRASHLOOP_STATE to another directory",
			strings.TrimSpace(string(bytes.ToValidUTF8(holder[:min(len(holder), 20)], nil))), err))
	}
	if err := errors.Join(lock.Truncate(0), writeAt(lock, fmt.Sprintln(os.Getpid()))); err != nil {
		lock.Close()
		return fail(err)
	}
	d := &Directory{path: path, log: log, lock: lock, values: map[string][]byte{}}
	if err := d.load(); err != nil {
		lock.Close()
		return fail(err)
	}
	return d, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func (d *Directory) load() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(d.path, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), partialSuffix):
			if err := os.Remove(name); err != nil { // a write that a crash cut short
				return err
			}
		case strings.HasSuffix(e.Name(), valueSuffix):
			raw, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			key, value, err := decodeFile(raw)
			if err == nil && fileName(key)+valueSuffix != e.Name() {
				err = errors.New("it holds another key than its name says")
			}
			if err != nil {
				aside := name + "." + time.Now().UTC().Format("20060102T150405") + damagedSuffix
				d.log.Warn("a file of the state is damaged; it is set aside and what it held is lost", "file", name, "aside", aside, "error", err)
				if err := os.Rename(name, aside); err != nil {
					return err
				}
				continue
			}
			d.values[key] = value
		}
	}
	return nil
}

func encodeFile(key string, value []byte) ([]byte, error) {
	sum := sha256.Sum256(value)
	head, err := json.Marshal(header{key, hex.EncodeToString(sum[:])})
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), value...), nil
}

func decodeFile(raw []byte) (key string, value []byte, err error) {
	head, value, ok := bytes.Cut(raw, []byte("\n"))
	if !ok {
		return "", nil, errors.New("it has no header line")
	}
	var h header
	if err := json.Unmarshal(head, &h); err != nil {
		return "", nil, fmt.Errorf("its header line is damaged: %w", err)
	}
	if sum := sha256.Sum256(value); hex.EncodeToString(sum[:]) != h.SHA256 {
		return "", nil, errors.New("its checksum does not fit")
	}
	return h.Key, value, checkKey(h.Key)
}

// fileName makes a key into a file's name that a person can read and no two keys share: its letters and digits, and a part of its hash
// where more than those is in it.
func fileName(key string) string {
	var b strings.Builder
	plain := len(key) <= 80 && key[0] != '.'
	for _, r := range key {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.':
			b.WriteRune(r)
		default: // capitals, too: some file systems take them for small letters
			plain = false
			b.WriteByte('_')
		}
		if b.Len() >= 80 {
			break
		}
	}
	if plain {
		return b.String()
	}
	sum := sha256.Sum256([]byte(key))
	return strings.TrimLeft(b.String(), ".") + "_" + hex.EncodeToString(sum[:8])
}

func (d *Directory) stripeOf(key string) *sync.Mutex {
	sum := sha256.Sum256([]byte(key))
	return &d.stripe[int(sum[0])%len(d.stripe)]
}

// Put writes a value to the disk.
func (d *Directory) Put(ctx context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	s := d.stripeOf(key)
	s.Lock()
	defer s.Unlock()
	if err := d.usable(ctx); err != nil {
		return fmt.Errorf("storing %q: %w", key, err)
	}
	raw, err := encodeFile(key, value)
	if err == nil {
		err = d.write(fileName(key)+valueSuffix, raw)
	}
	if err != nil {
		return fmt.Errorf("storing %q: %w", key, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values[key] = bytes.Clone(value)
	return nil
}

// write replaces a file at once and sees to it that the disk has it.
func (d *Directory) write(name string, raw []byte) (err error) {
	target := filepath.Join(d.path, name)
	f, err := os.OpenFile(target+partialSuffix, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return d.syncNames()
}

// syncNames makes renames and removals last.
func (d *Directory) syncNames() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Delete removes a key's file.
func (d *Directory) Delete(ctx context.Context, key string) error {
	if checkKey(key) != nil {
		return nil // nothing can be stored under it
	}
	s := d.stripeOf(key)
	s.Lock()
	defer s.Unlock()
	if err := d.usable(ctx); err != nil {
		return fmt.Errorf("deleting %q: %w", key, err)
	}
	d.mu.Lock()
	_, there := d.values[key]
	d.mu.Unlock()
	if !there {
		return nil
	}
	if err := os.Remove(filepath.Join(d.path, fileName(key)+valueSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting %q: %w", key, err)
	}
	d.mu.Lock()
	delete(d.values, key)
	d.mu.Unlock()
	if err := d.syncNames(); err != nil {
		return fmt.Errorf("deleting %q: %w", key, err)
	}
	return nil
}

// List returns what is stored under a prefix.
func (d *Directory) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := d.usable(ctx); err != nil {
		return nil, fmt.Errorf("listing %q: %w", prefix, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return under(d.values, prefix), nil
}

// ErrClosed is the error of a Store that is used after its end.
var ErrClosed = errors.New("the store is closed")

func (d *Directory) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	return nil
}

// Close lets another process use the directory.
func (d *Directory) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.lock.Close() // which ends the lock
}
