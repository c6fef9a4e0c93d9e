package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"crashloop/diagnose"
)

// Recording is what is known of one recording without opening it.
type Recording struct {
	// Incident is the incident's id, and Number tells its recordings apart; later ones have greater numbers.
	Incident string `json:"incident"`
	Number   int    `json:"number"`
	// Subject names the pod that was looked at, too.
	Subject diagnose.Subject `json:"subject"`
	At      time.Time        `json:"at"`
	// Cause, Confidence and Summary are those of the diagnosis that was made of it.
	Cause      string              `json:"cause"`
	Confidence diagnose.Confidence `json:"confidence"`
	Summary    string              `json:"summary"`
	// Elsewhere are the namespaces besides the subject's that the summary may tell of.
	Elsewhere []string `json:"elsewhere,omitempty"`
	Restarts  int32    `json:"restarts"`
	// Log says that there is a log in it.
	Log bool `json:"log"`
	// Size is how many bytes it takes, packed.
	Size int `json:"-"`
}

// key is where it is stored.
func (r Recording) key() string { return fmt.Sprintf("%s%s/%d", keyPrefix, r.Incident, r.Number) }

const (
	keyPrefix = "evidence/"
	// formatMark begins a stored entry; a later form would have another.
	formatMark = "crashloop-evidence-1 "
	// maxMeta bounds the line of a stored entry that says what it is.
	maxMeta = 64 << 10
	// maxSummary bounds a summary in it, in bytes, and metaRoom is what is left for the whole line: JSON may take six bytes for one.
	maxSummary = 1 << 10
	metaRoom   = 8 << 10
)

// encode gives what is stored: one line that says what it is, and the packed snapshot.
func encode(r Recording, packed []byte) ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("writing what is known of a recording: %w", err)
	}
	out := make([]byte, 0, len(formatMark)+len(line)+1+len(packed))
	out = append(append(append(out, formatMark...), line...), '\n')
	return append(out, packed...), nil
}

// decode reads what encode wrote. key is where it was found.
func decode(key string, raw []byte) (Recording, []byte, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(formatMark))
	if !ok {
		return Recording{}, nil, errors.New("it is in no form that this version knows")
	}
	line, packed, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || len(line) > maxMeta {
		return Recording{}, nil, errors.New("it is cut short")
	}
	var r Recording
	if err := json.Unmarshal(line, &r); err != nil {
		return Recording{}, nil, fmt.Errorf("what it says of itself cannot be read: %w", err)
	}
	switch {
	case r.Incident == "" || r.Number < 1 || r.key() != key:
		return Recording{}, nil, errors.New("it is another one than its key says")
	case r.Subject.Namespace == "" || r.At.IsZero():
		return Recording{}, nil, errors.New("it does not say of what and of when it is")
	case !bytes.HasPrefix(packed, []byte{0x1f, 0x8b}):
		return Recording{}, nil, errors.New("there is no archive in it")
	}
	r.Size = len(raw)
	return r, packed, nil
}
