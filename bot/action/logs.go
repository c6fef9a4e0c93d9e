package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// maxLogRead bounds what is read of a log, in bytes.
	maxLogRead = 16 << 20
	// maxLogKept bounds what is kept of it: its end.
	maxLogKept = 2 << 20
)

// LogQuery says which log, and how much of its end.
type LogQuery struct {
	Namespace, Pod, Container string
	Previous                  bool
	Tail                      int64         // lines
	Since                     time.Duration // zero: from the start
}

// LogText is the end of a log.
type LogText struct {
	Text []byte
	// Cut says that the beginning is missing because there was too much.
	Cut bool
}

// ErrNoLog means that there is no such log, or none any more; the error that wraps it says why.
var ErrNoLog = errors.New("no log")

// Reader reads for people what only text can hold. It uses the bot's own rights: whoever calls it has asked a Guard.
type Reader struct {
	client kubernetes.Interface
	config *rest.Config
}

// NewReader returns a Reader; config is for kubectl's describers, which make clients of their own.
func NewReader(client kubernetes.Interface, config *rest.Config) (*Reader, error) {
	if client == nil || config == nil {
		return nil, errors.New("reading needs a client and its configuration")
	}
	return &Reader{client, config}, nil
}

// ReaderRules are what the bot's ServiceAccount needs for reading, and for finding names.
func ReaderRules() []rbacv1.PolicyRule {
	read := []string{"get", "list"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods", "services", "persistentvolumeclaims"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"events", "namespaces"}, Verbs: []string{"list"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets", "replicasets"}, Verbs: read},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list"}},
	}
}

// Log reads the end of a log.
func (r *Reader) Log(ctx context.Context, q LogQuery) (LogText, error) {
	o := &corev1.PodLogOptions{Container: q.Container, Previous: q.Previous}
	if q.Tail > 0 {
		o.TailLines = &q.Tail
	}
	if q.Since > 0 {
		seconds := max(1, int64(q.Since.Round(time.Second)/time.Second))
		o.SinceSeconds = &seconds
	}
	stream, err := r.client.CoreV1().Pods(q.Namespace).GetLogs(q.Pod, o).Stream(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return LogText{}, fmt.Errorf("%w: there is no pod %s in namespace %s (any more)", ErrNoLog, q.Pod, q.Namespace)
	case apierrors.IsBadRequest(err) && q.Previous:
		return LogText{}, fmt.Errorf("%w: container %s of pod %s has no previous run, or its log is gone", ErrNoLog, q.Container, q.Pod)
	case apierrors.IsBadRequest(err):
		return LogText{}, fmt.Errorf("%w: container %s of pod %s has not started", ErrNoLog, q.Container, q.Pod)
	case err != nil:
		return LogText{}, fmt.Errorf("reading the log of container %s of pod %s: %w", q.Container, q.Pod, err)
	}
	defer stream.Close()
	text, err := end(stream)
	if err == nil && gone(text.Text) {
		return LogText{}, fmt.Errorf("%w: the node has no log of container %s of pod %s any more", ErrNoLog, q.Container, q.Pod)
	}
	return text, err
}

// gone says whether this is no log but what the kubelet writes in its place, with status 200, when the runtime has dropped the file
// (pkg/kubelet/kuberuntime, GetContainerLogs).
func gone(text []byte) bool {
	return bytes.HasPrefix(text, []byte("unable to retrieve container logs for ")) && bytes.Count(bytes.TrimSpace(text), []byte("\n")) == 0
}

// end keeps the last bytes of a stream, from the beginning of a line.
func end(stream io.Reader) (LogText, error) {
	var kept []byte
	var out LogText
	buf := make([]byte, 64<<10)
	for read := 0; ; {
		n, err := stream.Read(buf)
		kept = append(kept, buf[:n]...)
		if len(kept) > 2*maxLogKept {
			kept = append(kept[:0], kept[len(kept)-maxLogKept:]...)
			out.Cut = true
		}
		read += n
		if err == io.EOF || read >= maxLogRead {
			out.Cut = out.Cut || err != io.EOF
			break
		}
		if err != nil {
			return LogText{}, fmt.Errorf("reading a log: %w", err)
		}
	}
	if len(kept) > maxLogKept {
		kept, out.Cut = kept[len(kept)-maxLogKept:], true
	}
	if out.Cut {
		if i := bytes.IndexByte(kept, '\n'); i >= 0 && i+1 < len(kept) {
			kept = kept[i+1:]
		}
	}
	out.Text = kept
	return out, nil
}

// notFoundIsNil drops an error that came from a thing that is not there.
func notFoundIsNil(err, cause error) error {
	if apierrors.IsNotFound(cause) {
		return nil
	}
	return err
}
