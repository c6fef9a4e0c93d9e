package diagnose

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// View is the read-only window through which the engine sees a cluster. bot/kube reads a live one, diagnose/snapshot reads files; one
// conformance suite (diagnose/viewtest) holds both to the same behaviour.
//
// Secrets never come through a View with their values. Errors wrap [ErrNotFound], [ErrForbidden] or [ErrGone] where one of them
// applies; any other error means that the thing could not be read just now.
type View interface {
	// Cluster is the name that messages give the cluster.
	Cluster() string
	// Now is the moment that the View shows: the clock for a live one, the time of capture for files.
	Now() time.Time
	// Get reads one object. Built-in kinds come typed (*corev1.Pod, *appsv1.Deployment, ...), others as *unstructured.Unstructured.
	// namespace is empty for cluster-scoped kinds.
	Get(ctx context.Context, kind Kind, namespace, name string) (Object, error)
	// List reads the objects of one kind in a namespace, or in all that the View covers when namespace is empty, sorted by namespace
	// and name.
	List(ctx context.Context, kind Kind, namespace string, where Where) ([]Object, error)
	// Log reads a container's log as plain text, as `kubectl logs` prints it.
	Log(ctx context.Context, which LogRequest) ([]byte, error)
}

// Object is any Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Where narrows a List. The zero value takes everything.
type Where struct {
	// Labels takes only objects that carry all these labels.
	Labels map[string]string
	// Involved takes only events about that object. Empty fields match anything.
	Involved Reference
}

// Reference names an object that events speak of.
type Reference struct {
	Kind, Name string
	UID        types.UID
}

// LogRequest names a log and how much of its end is wanted.
type LogRequest struct {
	Namespace, Pod, Container string
	// Previous asks for the log of the instance before the current one.
	Previous bool
	// TailLines and LimitBytes bound what is read, 0 for the View's own bound. A log that is cut to LimitBytes keeps its end.
	TailLines, LimitBytes int64
}

var (
	// ErrNotFound means that the object or log does not exist, as far as the View may know.
	ErrNotFound = errors.New("not found")
	// ErrForbidden means that the View has no permission to read it, or had none when it was recorded. Files that hold nothing of a kind
	// cannot tell "none" from "not captured": they say none.
	ErrForbidden = errors.New("forbidden")
	// ErrGone means that it existed and was dropped since, as the kubelet does with the previous run's log while lastState still names it.
	ErrGone = errors.New("gone")
)

// Kind names a kind of object and how the API serves it.
type Kind struct {
	Group, Version, Kind string
	Resource             string // plural, lower case
	Namespaced           bool
}
