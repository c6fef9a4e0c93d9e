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
	"unicode/utf16"

	goyaml "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"
)

// maxFile bounds one file of objects. 150,000 pods as JSON are more than this: such a snapshot is cut by namespace.
const maxFile = 1 << 30

// reader gathers the objects of a snapshot.
type reader struct {
	files   fs.FS
	schemes schemes
	notes   func(string)
	header  header
	now     time.Time
	newest  time.Time // of all objects that were seen
	found   map[objectKey]*document
	logs    map[readKey][]byte
	errs    []error

	any     bool // an object or a list was read, be it an empty one
	foreign bool // the file that is read names no apiVersion: what cannot be parsed in it is none of ours
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
			left := 0
			for _, e := range below {
				if isDumped(e.Name()) {
					r.readFile(path.Join(entry.Name(), e.Name()), e)
				} else if !e.IsDir() && isObjects(e.Name()) {
					left++
				}
			}
			if left > 0 {
				r.notes(fmt.Sprintf("%s/: %d of its files are skipped; put them at the top of the directory to have them read", entry.Name(), left))
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

// isObjects says that a file's name is one of objects.
func isObjects(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".yaml" || ext == ".yml" || ext == ".json"
}

// holdsObjects says whether a file whose name does not tell begins like objects in YAML or JSON.
func holdsObjects(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := files.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return false
	}
	head = bytes.TrimSpace(plainText(head))
	for _, begin := range []string{"{", "[", "apiVersion:", "kind:", "items:", "---"} {
		if bytes.HasPrefix(head, []byte(begin)) {
			return bytes.Contains(head, []byte("apiVersion"))
		}
	}
	return false
}

// plainText gives a file's text as UTF-8 without byte order mark. PowerShell's redirection writes UTF-16.
func plainText(text []byte) []byte {
	var units []uint16
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		for i := 2; i+1 < len(text); i += 2 {
			units = append(units, uint16(text[i])|uint16(text[i+1])<<8)
		}
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		for i := 2; i+1 < len(text); i += 2 {
			units = append(units, uint16(text[i])<<8|uint16(text[i+1]))
		}
	default:
		return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	return []byte(string(utf16.Decode(units)))
}

// isDumped knows the files that `kubectl cluster-info dump` writes for a namespace (k8s.io/kubectl, pkg/cmd/clusterinfo). Whatever else
// lies in a folder is not taken for a part of the snapshot.
func isDumped(name string) bool {
	switch strings.TrimSuffix(name, path.Ext(name)) {
	case "events", "replication-controllers", "services", "daemonsets", "deployments", "replicasets", "pods":
		return true
	}
	return false
}

// readFile reads one file, if its name says that it holds objects.
func (r *reader) readFile(name string, entry fs.DirEntry) {
	if entry.IsDir() || strings.HasPrefix(path.Base(name), ".") {
		return
	}
	if !isObjects(name) && !holdsObjects(r.files, name) {
		r.notes(name + ": skipped, it does not begin like Kubernetes objects in YAML or JSON")
		return
	}
	text, err := readWhole(r.files, name)
	if err != nil && entry.Type()&fs.ModeSymlink != 0 {
		err = errors.New("it is a link that leads to nothing or out of the directory; put the file itself in its place")
	}
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("reading %s: %w", name, err))
		return
	}
	text = r.takeLogs(plainText(text))
	r.foreign = !bytes.Contains(text, []byte("apiVersion"))
	if strings.ToLower(path.Ext(name)) == ".json" {
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
	docs, at, err := splitJSON(place{file: name, document: 1, line: 1}, text)
	for _, d := range docs {
		r.add(d.at, d.raw)
	}
	if err != nil {
		r.fail(at, err) // what follows a syntax error cannot be told apart
	}
}

// jsonDocument is one of several JSON texts in a row.
type jsonDocument struct {
	at  place
	raw json.RawMessage
}

// splitJSON takes a text apart into its JSON values. at is the place of the first one; the one that it returns is that of the error.
func splitJSON(at place, text []byte) ([]jsonDocument, place, error) {
	var docs []jsonDocument
	dec := json.NewDecoder(bytes.NewReader(text))
	var seen int64 // the lines up to here are counted
	for {
		start := dec.InputOffset()
		for start < int64(len(text)) && isSpace(text[start]) {
			start++
		}
		at.line += bytes.Count(text[seen:start], []byte("\n"))
		seen = start
		var raw json.RawMessage
		err := dec.Decode(&raw)
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, io.EOF):
			return docs, at, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return docs, at, errors.New("the file ends in the middle of a JSON value; it may have been cut off")
		case errors.As(err, &syntax):
			at.line += bytes.Count(text[seen:min(max(syntax.Offset, seen), int64(len(text)))], []byte("\n"))
			return docs, at, err
		case err != nil:
			return docs, at, err
		}
		docs = append(docs, jsonDocument{at, raw})
		at.document++
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

// readYAML reads the documents of a YAML file. A document begins at a line that begins with three dashes, whatever stands around it:
// YAML allows no text of a document to do so.
func (r *reader) readYAML(name string, text []byte) {
	n, line := 1, 1
	var doc []byte
	start := 1
	flush := func() {
		if len(bytes.TrimSpace(doc)) > 0 {
			n += r.readDocument(place{file: name, document: n, line: start}, doc)
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

// readDocument reads one YAML document, or JSON texts in a row, and says how many it was.
func (r *reader) readDocument(at place, doc []byte) int {
	flow := false
	if first := bytes.TrimLeft(doc, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		flow = true
		// JSON is YAML, and much faster to read as what it is.
		if docs, _, err := splitJSON(at, doc); err == nil {
			for _, d := range docs {
				r.add(d.at, d.raw)
			}
			return len(docs)
		}
	}
	raw, err := yaml.YAMLToJSON(doc)
	if err == nil && flow {
		err = nothingBehind(doc)
	}
	if err != nil {
		at.line, err = yamlLine(at.line, err)
		r.fail(at, err)
	} else {
		r.add(at, raw)
	}
	return 1
}

// nothingBehind makes sure that a document in braces is the last thing in its text: the YAML library stops reading behind it.
func nothingBehind(doc []byte) error {
	dec := goyaml.NewDecoder(bytes.NewReader(doc))
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	switch err := dec.Decode(&v); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("two values in a row; put a line of three dashes between them")
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
	if r.foreign {
		r.notes(fmt.Sprintf("%s: skipped, it is neither JSON nor YAML of Kubernetes objects: %v", at, err))
		return
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %w", at, err))
}
