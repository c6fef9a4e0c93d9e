package access

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// File is an access file that is read anew at each use, so that a change counts at once, and a right that was taken away is gone.
//
// When the file breaks or vanishes while the bot runs, nobody is mapped until it is mended. Keeping the last good file instead would keep
// rights that the broken edit was meant to remove, silently; this way the next person who clicks is told, and kubectl still works for all.
type File struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	text   []byte
	policy Policy
	err    error
}

// OpenFile reads an access file; the error holds all its mistakes.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	f := &File{path: path, log: log}
	if _, err := f.Policy(); err != nil {
		return nil, err
	}
	return f, nil
}

// Policy returns what the file says now, or all its mistakes.
func (f *File) Policy() (Policy, error) {
	text, err := read(f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		if f.err == nil {
			f.log.Error("the access file cannot be read; nobody may act until it can", "file", f.path, "error", err)
		}
		f.text, f.policy, f.err = nil, Policy{}, fmt.Errorf("reading the access file: %w", err)
	case f.text == nil || !bytes.Equal(text, f.text):
		again := f.text != nil || f.err != nil
		f.text = text
		f.policy, f.err = ParsePolicy(f.path, text)
		if f.err != nil {
			f.log.Error("the access file has mistakes; nobody may act until they are mended", "file", f.path, "error", f.err)
		} else if again {
			f.log.Info("the access file was read anew", "file", f.path)
		}
	}
	return f.policy, f.err
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	if text == nil {
		text = []byte{}
	}
	return text, nil
}
