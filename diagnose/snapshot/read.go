package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// maxFile bounds one file of objects. 150,000 pods as JSON are more than this: such a snapshot is cut by namespace.
const maxFile = 1 << 30

// reader gathers the objects of a snapshot.
type reader struct {
	files  fs.FS
	scheme *runtime.Scheme
	notes  func(string)
	header header
	now    time.Time
	newest time.Time // of all objects that were seen
	found  map[objectKey]*document
	errs   []error
}

// readAll reads the files at the top and, for the layout of `kubectl cluster-info dump`, in the folders below it, one deep.
func (r *reader) readAll() error {
	var err error
	if r.header, r.now, err = readHeader(r.files); err != nil {
		return err
	}
	top, err := fs.ReadDir(r.files, ".")
	if err != nil {
		return err
	}
	for _, entry := range top {
		if entry.IsDir() {
			below, err := fs.ReadDir(r.files, entry.Name())
			if err != nil {
				r.errs = append(r.errs, err)
				continue
			}
			for _, e := range below {
				r.readFile(path.Join(entry.Name(), e.Name()), e)
			}
			continue
		}
		if entry.Name() != headerFile {
			r.readFile(entry.Name(), entry)
		}
	}
	if r.now.IsZero() {
		r.now = r.newest
	}
	return errors.Join(r.errs...)
}

// readFile reads one file, if its name says that it holds objects.
func (r *reader) readFile(name string, entry fs.DirEntry) {
	ext := strings.ToLower(path.Ext(name))
	if entry.IsDir() || ext != ".yaml" && ext != ".yml" && ext != ".json" {
		return
	}
	text, err := readWhole(r.files, name)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("reading %s: %w", name, err))
		return
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if ext == ".json" {
		r.readJSON(name, text)
	} else {
		r.readYAML(name, text)
	}
}

// readWhole reads a regular file of bounded size.
func readWhole(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("it has %d bytes, and %d are the most that is read; split it or leave out namespaces", info.Size(), maxFile)
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, 0, info.Size()+1)
	buf := bytes.NewBuffer(text)
	_, err = io.Copy(buf, io.LimitReader(f, maxFile))
	return buf.Bytes(), err
}

// readJSON reads one JSON document or several in a row.
func (r *reader) readJSON(name string, text []byte) {
	dec := json.NewDecoder(bytes.NewReader(text))
	for n := 1; ; n++ {
		start := dec.InputOffset()
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return
		}
		for start < int64(len(text)) && isSpace(text[start]) {
			start++
		}
		at := place{file: name, document: n, line: lineAt(text, start)}
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the file ends in the middle of a JSON value; it may have been cut off")
			}
			at.line = max(at.line, lineAt(text, errorOffset(err)))
			r.fail(at, err)
			return // what follows a syntax error cannot be told apart
		}
		r.add(at, raw)
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

func errorOffset(err error) int64 {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Offset
	}
	return 0
}

// readYAML reads the documents of a YAML file. A document begins at a line that begins with three dashes, whatever stands around it:
// YAML allows no text of a document to do so.
func (r *reader) readYAML(name string, text []byte) {
	n, line := 1, 1
	var doc []byte
	start := 1
	flush := func() {
		if len(bytes.TrimSpace(doc)) > 0 {
			at := place{file: name, document: n, line: start}
			raw, err := yaml.YAMLToJSON(doc)
			if err != nil {
				at.line, err = yamlLine(start, err)
				r.fail(at, err)
			} else {
				r.add(at, raw)
			}
			n++
		}
		doc = nil
	}
	begin := 0 // of the current document in text
	for pos := 0; pos < len(text); line++ {
		end := bytes.IndexByte(text[pos:], '\n')
		if end < 0 {
			end = len(text)
		} else {
			end += pos + 1
		}
		if isMark(text[pos:end], "---") || isMark(text[pos:end], "...") {
			doc = text[begin:pos]
			flush()
			// What stands behind the dashes belongs to the new document.
			begin, start = pos+3, line
		}
		pos = end
	}
	doc = text[begin:]
	flush()
}

func isMark(line []byte, mark string) bool {
	return bytes.HasPrefix(line, []byte(mark)) && (len(line) == 3 || isSpace(line[3]))
}

// yamlLine turns the line that a YAML error names, which counts from the start of its document, into one of the file.
func yamlLine(start int, err error) (int, error) {
	text := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	rest, ok := strings.CutPrefix(text, "yaml: line ")
	if !ok {
		return start, errors.New(strings.TrimPrefix(text, "yaml: "))
	}
	digits, message, ok := strings.Cut(rest, ": ")
	line, bad := strconv.Atoi(digits)
	if !ok || bad != nil {
		return start, errors.New(text)
	}
	return start + line - 1, errors.New(message)
}

// place is where a document stands.
type place struct {
	file     string
	document int // counted from 1
	line     int // counted from 1
	item     int // in a List, counted from 1; 0 otherwise
}

func (p place) String() string {
	s := fmt.Sprintf("%s, document %d (line %d)", p.file, p.document, p.line)
	if p.item > 0 {
		s += fmt.Sprintf(", item %d", p.item)
	}
	return s
}

func (r *reader) fail(at place, err error) {
	r.errs = append(r.errs, fmt.Errorf("%s: %w", at, err))
}
