package simulated

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// AnnotationPrefix begins the annotations that say what a container does: AnnotationPrefix + the container's name, on the pod. The value is
// a [Behaviour] as YAML.
const AnnotationPrefix = "playground.crashloop.dev/"

// Behaviour is what a simulated container does, in place of running its command. All fields may be left out: then it runs until it is
// stopped, and answers every probe.
//
//	playground.crashloop.dev/web: |
//	  exitCode: 2          # it ends with this code ...
//	  after: 3s            # ... after running this long (default 1s)
//	  log: |               # what it printed
//	    panic: runtime error: invalid memory address or nil pointer dereference
type Behaviour struct {
	// ExitCode is what the container ends with. Absent: it does not end by itself.
	ExitCode *int32 `json:"exitCode,omitempty"`
	// After is how long it runs before it ends; 1 s when absent.
	After *metav1.Duration `json:"after,omitempty"`
	// Times is how often it ends; from then on it stays healthy. 0: always.
	Times uint32 `json:"times,omitempty"`
	// Reason is what the runtime says of the end: OOMKilled, ContainerCannotRun. Absent: Completed for exit code 0, Error for others.
	Reason string `json:"reason,omitempty"`
	// Message is the runtime's own text on the end.
	Message string `json:"message,omitempty"`
	// TerminationMessage is what it wrote to its terminationMessagePath.
	TerminationMessage string `json:"terminationMessage,omitempty"`

	// Log is printed at the start.
	Log string `json:"log,omitempty"`
	// LogSize is how many bytes of numbered lines are printed before Log, as a quantity: 1Mi.
	LogSize *resource.Quantity `json:"logSize,omitempty"`
	// LineSize is how many bytes one line without a break has that is printed before Log, as a quantity: 5Mi.
	LineSize *resource.Quantity `json:"lineSize,omitempty"`
	// LogBytes are printed before Log, in base64: for logs that are no text.
	LogBytes []byte `json:"logBytes,omitempty"`
	// LastWords are printed just before the end, whether it ends by itself or is stopped.
	LastWords string `json:"lastWords,omitempty"`

	// StartError makes the runtime refuse to start it, as when its command is not there; for example
	// `exec: "wge": executable file not found in $PATH`.
	StartError string `json:"startError,omitempty"`
	// CreateError makes the runtime refuse to create it.
	CreateError string `json:"createError,omitempty"`

	// ListensOn are the ports that accept connections; other ports refuse. Absent: every port accepts.
	ListensOn []int32 `json:"listensOn,omitempty"`
	// ListensAfter is how long after its start it begins to accept connections.
	ListensAfter metav1.Duration `json:"listensAfter,omitzero"`
	// Status is the HTTP status that it answers with from StatusAfter on; 200 before, and when absent.
	Status int32 `json:"status,omitempty"`
	// StatusAfter is when Status begins, counted from the start.
	StatusAfter metav1.Duration `json:"statusAfter,omitzero"`
	// Paths are statuses for single paths: {"/healthz": 404}.
	Paths map[string]int32 `json:"paths,omitempty"`
	// HangsAfter makes it accept connections and never answer, from that time on.
	HangsAfter *metav1.Duration `json:"hangsAfter,omitempty"`
	// ProbeExitCode and ProbeOutput are what exec probes end with and print.
	ProbeExitCode int32  `json:"probeExitCode,omitempty"`
	ProbeOutput   string `json:"probeOutput,omitempty"`

	// CPU and Memory are what it uses, as quantities: 50m, 60Mi. The memory grows to that until it ends, and is that from the start when it does
	// not end by itself. Next to nothing when absent.
	CPU    *resource.Quantity `json:"cpu,omitempty"`
	Memory *resource.Quantity `json:"memory,omitempty"`

	// OnStop is the exit code when the kubelet asks it to stop. Absent: 0.
	OnStop int32 `json:"onStop,omitempty"`
	// IgnoresStop makes it live on until the grace period is over and it is killed: exit code 137.
	IgnoresStop bool `json:"ignoresStop,omitempty"`
}

// defaultAfter is how long a container runs when its annotation does not say.
const defaultAfter = time.Second

// ParseBehaviour reads an annotation's value. A field that does not exist is an error: a typing mistake would otherwise make the container
// healthy and nobody would know why.
func ParseBehaviour(text string) (Behaviour, error) {
	var b Behaviour
	if err := yaml.UnmarshalStrict([]byte(text), &b); err != nil {
		return Behaviour{}, fmt.Errorf("reading the behaviour: %w", err)
	}
	var errs []error
	if b.ExitCode != nil && (*b.ExitCode < 0 || *b.ExitCode > 255) {
		errs = append(errs, fmt.Errorf("exitCode %d: a process ends with 0 to 255", *b.ExitCode))
	}
	if b.ExitCode == nil && (b.Reason != "" || b.After != nil || b.Times != 0 || b.TerminationMessage != "" || b.Message != "") {
		errs = append(errs, errors.New("exitCode is missing: after, times, reason, message and terminationMessage describe an end"))
	}
	for name, size := range map[string]*resource.Quantity{"logSize": b.LogSize, "lineSize": b.LineSize} {
		if size != nil && (size.Sign() < 0 || size.Value() > maxLogSize) {
			errs = append(errs, fmt.Errorf("%s %s: at most %d bytes", name, size, maxLogSize))
		}
	}
	for port := range b.Paths {
		if !strings.HasPrefix(port, "/") {
			errs = append(errs, fmt.Errorf("paths: %q does not begin with /", port))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Behaviour{}, fmt.Errorf("reading the behaviour: %w", err)
	}
	return b, nil
}

// maxLogSize bounds what one annotation can make a node write to the disk.
const maxLogSize = 64 << 20

// ends says whether the container ends by itself in its nth run, counted from 0.
func (b Behaviour) ends(run uint32) bool {
	return b.ExitCode != nil && (b.Times == 0 || run < b.Times)
}

// lifetime is how long a run lasts that ends by itself.
func (b Behaviour) lifetime() time.Duration {
	if b.After == nil {
		return defaultAfter
	}
	return b.After.Duration
}

// reason is what the runtime says of an end with that code.
func reason(code int32, given string) string {
	switch {
	case given != "":
		return given
	case code == 0:
		return "Completed"
	}
	return "Error"
}
