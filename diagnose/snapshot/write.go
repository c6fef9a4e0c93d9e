package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"crashloop/diagnose"
)

// objectYAML writes one object. A string may hold characters that JSON takes as they are and YAML does not, as an event that quotes a
// program's binary output does: they are escaped before the one becomes the other.
func objectYAML(o diagnose.Object) ([]byte, error) {
	doc, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, r := range string(doc) {
		if r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfffe || r == 0xffff || r == 0xfeff {
			text = fmt.Appendf(text, `\u%04x`, r)
		} else {
			text = utf8.AppendRune(text, r)
		}
	}
	return yaml.JSONToYAML(text)
}

// Files gives the recording so far as the files of a snapshot, by their slash-separated names.
func (r *Recorder) Files() (map[string][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := map[string][]byte{}
	for gk, m := range r.kinds {
		if len(m.objects) == 0 {
			continue
		}
		var text bytes.Buffer
		for _, o := range slices.SortedFunc(maps.Values(m.objects), byName) {
			doc, err := objectYAML(o)
			if err != nil {
				return nil, fmt.Errorf("writing %s %q: %w", gk.Kind, joinName(o.GetNamespace(), o.GetName()), err)
			}
			text.WriteString("---\n")
			text.Write(doc)
		}
		files[resourceName(m.kind)+".yaml"] = text.Bytes()
	}
	for read, l := range r.logs {
		name, err := logFile(read)
		if err != nil {
			return nil, err
		}
		files[name] = l.text
	}
	head, err := newHeader(r.now, r.view.Cluster(), r.failed).file()
	if err != nil {
		return nil, err
	}
	files[headerFile] = head
	return files, nil
}

// logFile says where a log stands.
func logFile(read readKey) (string, error) {
	name := read.Container + ".log"
	if read.Previous {
		name = read.Container + ".previous.log"
	}
	if !validPart(read.Namespace) || !validPart(read.Name) || !validPart(read.Container) {
		return "", fmt.Errorf("writing log of container %q of pod %q: that is no name", read.Container, joinName(read.Namespace, read.Name))
	}
	return path.Join("logs", read.Namespace, read.Name, name), nil
}

// newHeader gives what snapshot.json says. Its failed reads are in order, so that equal recordings are equal files.
func newHeader(now time.Time, cluster string, failed map[readKey]*readError) *header {
	h := &header{Now: now.Format(time.RFC3339Nano), Cluster: cluster}
	for read, err := range failed {
		entry := failedEntry{readKey: read, Error: err.text}
		for _, s := range sentinels() {
			if errors.Is(err.is, s.err) {
				entry.Is = s.name
			}
		}
		h.Failed = append(h.Failed, entry)
	}
	slices.SortFunc(h.Failed, func(a, b failedEntry) int { return compareReads(a.readKey, b.readKey) })
	return h
}

// compareReads puts reads in an order of their own.
func compareReads(a, b readKey) int {
	return cmp.Or(cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Container, b.Container), cmp.Compare(a.Where, b.Where), boolCompare(a.Previous, b.Previous))
}

// file gives snapshot.json.
func (h *header) file() ([]byte, error) {
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", headerFile, err)
	}
	return append(text, '\n'), nil
}

// Write writes the recording so far into a directory, which is made, readable by its owner only. One that holds files already is left
// as it is, with an error. snapshot.json is written last: a directory without it is no whole recording.
func (r *Recorder) Write(dir string) error {
	files, err := r.Files()
	if err != nil {
		return err
	}
	if err := CheckRecordDir(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("recording to %q: %w", dir, err)
	}
	names := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(boolCompare(a == headerFile, b == headerFile), cmp.Compare(a, b))
	})
	for _, name := range names {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			return fmt.Errorf("recording to %q: %w", dir, err)
		}
		if err := os.WriteFile(full, files[name], 0o600); err != nil {
			return fmt.Errorf("recording to %q: %w", dir, err)
		}
	}
	return nil
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// CheckRecordDir says whether a recording could be written to dir: it must not exist, or be empty. A program asks before it spends
// time on a diagnosis.
func CheckRecordDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("recording to %q: %w", dir, err)
	case len(entries) > 0:
		return fmt.Errorf("recording to %q: the directory is not empty (it holds %q); name a new one, so that no other recording is mixed in", dir, entries[0].Name())
	}
	return nil
}
