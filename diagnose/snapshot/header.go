package snapshot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// headerFile is the name of the file that says what the objects and logs cannot.
const headerFile = "snapshot.json"

// header is snapshot.json.
type header struct {
	Now     string `json:"now"` // RFC 3339; empty derives it from the objects
	Cluster string `json:"cluster,omitempty"`
	// Failed lists the reads that failed while a recording was made, so that they fail again.
	Failed []failedEntry `json:"failed,omitempty"`
	// Symptoms are what was diagnosed when the recording was made. A watch knows more of the past than objects tell, so that a symptom
	// that it saw may not be found in them again.
	Symptoms []recordedSymptom `json:"symptoms,omitempty"`
	// LeftOut says, in words, what was read and is not here because there was too much of it.
	LeftOut []string `json:"leftOut,omitempty"`
	// Hidden are the parts that were taken out because whoever got this copy may not read them. Reading one is forbidden.
	Hidden []hiddenPart `json:"hidden,omitempty"`
}

// recordedSymptom is a [diagnose.Symptom] as it stands in the file.
type recordedSymptom struct {
	Subject   diagnose.Subject   `json:"subject"`
	Condition diagnose.Condition `json:"condition"`
	Says      string             `json:"says"`
}

// hiddenPart is one kind in one namespace, or its logs.
type hiddenPart struct {
	Kind      string `json:"kind"` // Kind.group, or "log"
	Namespace string `json:"namespace,omitempty"`
}

// logKind stands for logs where a kind is named.
const logKind = "log"

// failedEntry is one read that failed, as it stands in the file.
type failedEntry struct {
	readKey
	Is    string `json:"is"`    // one of the names in sentinels, or empty for any other error
	Error string `json:"error"` // the whole text
}

// readKey tells one read from another: its verb, get, list or log, and what it asked for.
type readKey struct {
	Verb      string `json:"verb"`
	Kind      string `json:"kind,omitempty"`  // Kind.group
	Where     string `json:"where,omitempty"` // canonical form of a diagnose.Where
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Container string `json:"container,omitempty"`
	Previous  bool   `json:"previous,omitempty"`
}

// kindName names the kind with its group: "Deployment.apps".
func kindName(k diagnose.Kind) string { return groupKind(k).String() }

// resourceName names the kind as the API serves it: "deployments.apps".
func resourceName(k diagnose.Kind) string {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}.String()
}

// groupKind tells a kind from others, whatever its version.
func groupKind(k diagnose.Kind) schema.GroupKind {
	return schema.GroupKind{Group: k.Group, Kind: k.Kind}
}

func getRead(kind diagnose.Kind, namespace, name string) readKey {
	return readKey{Verb: "get", Kind: kindName(kind), Namespace: namespace, Name: name}
}

func listRead(kind diagnose.Kind, namespace string, where diagnose.Where) readKey {
	return readKey{Verb: "list", Kind: kindName(kind), Namespace: namespace, Where: whereText(where)}
}

func logRead(which diagnose.LogRequest) readKey {
	return readKey{Verb: "log", Namespace: which.Namespace, Name: which.Pod, Container: which.Container, Previous: which.Previous}
}

// whereText gives the same text for equal conditions.
func whereText(w diagnose.Where) string {
	var parts []string
	for k, v := range w.Labels {
		parts = append(parts, "label "+k+"="+v)
	}
	slices.Sort(parts)
	if w.Involved != (diagnose.Reference{}) {
		parts = append(parts, fmt.Sprintf("involved %s/%s/%s", w.Involved.Kind, w.Involved.Name, w.Involved.UID))
	}
	return strings.Join(parts, ", ")
}

// sentinel pairs the errors that a View tells apart with the names that snapshot.json gives them.
type sentinel struct {
	name string
	err  error
}

func sentinels() []sentinel {
	return []sentinel{{"not found", diagnose.ErrNotFound}, {"forbidden", diagnose.ErrForbidden}, {"gone", diagnose.ErrGone}}
}

// readError is an error that keeps its text and its sentinel through a recording.
type readError struct {
	text string
	is   error
}

func (e *readError) Error() string { return e.text }
func (e *readError) Unwrap() error { return e.is }

func (h *header) failures() map[readKey]*readError {
	out := make(map[readKey]*readError, len(h.Failed))
	for _, f := range h.Failed {
		e := &readError{text: f.Error}
		for _, s := range sentinels() {
			if s.name == f.Is {
				e.is = s.err
			}
		}
		e.text = cmp.Or(e.text, f.Is, "could not be read")
		out[f.readKey] = e
	}
	return out
}

// readHeader reads snapshot.json; a missing file is an empty header.
func readHeader(files fs.FS) (header, time.Time, error) {
	var h header
	text, err := readWhole(files, headerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return h, time.Time{}, nil
	}
	if err != nil {
		return h, time.Time{}, fmt.Errorf("reading %s: %w", headerFile, err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, time.Time{}, fmt.Errorf("reading %s: %w", headerFile, jsonPlace(text, err))
	}
	if h.Now == "" {
		return h, time.Time{}, nil
	}
	now, err := time.Parse(time.RFC3339, h.Now)
	if err != nil {
		return h, time.Time{}, fmt.Errorf(`reading %s: "now" is %q, which is no RFC 3339 time such as "2026-01-31T12:00:00Z"`, headerFile, h.Now)
	}
	return h, now, nil
}

// jsonPlace adds the line to an error of encoding/json.
func jsonPlace(text []byte, err error) error {
	var offset int64 = -1
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &mismatch):
		offset = mismatch.Offset
	}
	if offset < 0 {
		return err
	}
	return fmt.Errorf("line %d: %w", lineAt(text, offset), err)
}

// lineAt is the number of the line that holds the byte at offset, counted from 1.
func lineAt(text []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(text)))
	return 1 + strings.Count(string(text[:offset]), "\n")
}
