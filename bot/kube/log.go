package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"crashloop/diagnose"
)

const (
	// overread is how many times the wanted bytes the first call may bring.
	overread = 4
	// longestLog is what the calls after it may bring. A kubelet rotates a log at 10 MiB unless told otherwise (containerLogMaxSize), and
	// shows only its newest file, so that this is nearly always all there is.
	longestLog = 16 << 20
)

// log reads the end of a log. The API's own limitBytes keeps the start of the lines that tailLines selects: when it cuts, the end is not
// among what came. So more is let through than is wanted, and only its end kept; when even that was cut, fewer lines are asked for.
func (r *reader) log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	if err := named(diagnose.Pods, which.Namespace, which.Pod); err != nil {
		return nil, err
	}
	lines, limit := which.TailLines, which.LimitBytes
	if lines <= 0 {
		lines = r.o.LogLines
	}
	if limit <= 0 {
		limit = r.o.LogBytes
	}
	room := limit * overread
	for {
		text, n, err := r.tail(ctx, which, lines, limit, room)
		if err != nil {
			return nil, r.goneOrNever(ctx, which, err)
		}
		if n <= room || lines == 1 {
			return text, nil
		}
		if room < longestLog {
			room = longestLog
		} else {
			lines = max(1, lines/8)
		}
	}
}

// errNoPrevious is the kubelet's answer when the pod's status names no run before this one.
var errNoPrevious = errors.New("no previous run")

// goneOrNever tells a container that never ran before from one whose earlier run the kubelet has forgotten, by its restart count.
func (r *reader) goneOrNever(ctx context.Context, which diagnose.LogRequest, err error) error {
	if !errors.Is(err, errNoPrevious) {
		return err
	}
	obj, readErr := r.get(ctx, diagnose.Pods, which.Namespace, which.Pod)
	pod, ok := obj.(*corev1.Pod)
	if readErr != nil || !ok {
		return fmt.Errorf("%w: %w", diagnose.ErrGone, err)
	}
	for _, s := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses) {
		if s.Name == which.Container && (s.RestartCount > 0 || s.LastTerminationState.Terminated != nil) {
			return fmt.Errorf("%w: %w", diagnose.ErrGone, err)
		}
	}
	return fmt.Errorf("%w: %w", diagnose.ErrNotFound, err)
}

// tail asks for the last lines of a log and returns the end of what came, at most limit bytes of at most room and one.
func (r *reader) tail(ctx context.Context, which diagnose.LogRequest, lines, limit, room int64) (text []byte, came int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	client, err := r.client(corev1.SchemeGroupVersion)
	if err != nil {
		return nil, 0, err
	}
	req := client.Get().Namespace(which.Namespace).Resource("pods").Name(which.Pod).SubResource("log").
		Param("container", which.Container).
		Param("tailLines", strconv.FormatInt(lines, 10)).
		Param("limitBytes", strconv.FormatInt(room+1, 10))
	if which.Previous {
		req = req.Param("previous", "true")
	}
	body, err := req.Stream(ctx)
	if err != nil {
		return nil, 0, explainLog(err)
	}
	defer body.Close()
	end := newRing(limit)
	n, err := io.Copy(end, io.LimitReader(body, room+1))
	if err != nil && n == 0 {
		return nil, 0, fmt.Errorf("the log broke off at once: %w", err)
	}
	text = end.bytes()
	if gone(text) {
		return nil, 0, fmt.Errorf("%w: the kubelet says: %s", diagnose.ErrGone, bytes.TrimSpace(text))
	}
	return text, n, nil
}

// gone says whether what came is not the log but what the kubelet writes, with status 200, when the runtime has dropped the file
// (pkg/kubelet/kuberuntime, GetContainerLogs and ReadLogs).
func gone(text []byte) bool {
	if len(text) > 1000 || bytes.Count(bytes.TrimSpace(text), []byte("\n")) > 0 {
		return false
	}
	return bytes.HasPrefix(text, []byte("unable to retrieve container logs for ")) ||
		bytes.HasPrefix(text, []byte("failed to try resolving symlinks in path ")) && bytes.Contains(text, []byte("no such file or directory"))
}

// explainLog maps the API server's and the kubelet's answers. The kubelet's come as 400 with a text (pkg/kubelet, validateContainerLogStatus).
func explainLog(err error) error {
	text := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && apierrors.IsBadRequest(err) {
		switch {
		case strings.Contains(text, "previous terminated container"):
			return fmt.Errorf("%w: %w", errNoPrevious, err)
		case strings.Contains(text, "is waiting to start"), strings.Contains(text, "is not valid for pod"), strings.Contains(text, "not available"),
			strings.Contains(text, "container name must be specified"), strings.Contains(text, "does not have a host assigned"):
			return fmt.Errorf("%w: %w", diagnose.ErrNotFound, err)
		}
	}
	if strings.Contains(text, "unable to retrieve container logs for ") {
		return fmt.Errorf("%w: %w", diagnose.ErrGone, err)
	}
	return explain(err)
}

// ring keeps the last bytes written to it. It grows with what is written, up to its size.
type ring struct {
	size int64
	buf  []byte
	at   int64 // where the oldest byte stands, once buf is full
}

func newRing(size int64) *ring { return &ring{size: size} }

// Write never fails.
func (r *ring) Write(p []byte) (int, error) {
	n := len(p)
	if int64(len(p)) >= r.size {
		r.buf, r.at = append(r.buf[:0], p[int64(len(p))-r.size:]...), 0
		return n, nil
	}
	if room := r.size - int64(len(r.buf)); room > 0 {
		k := min(room, int64(len(p)))
		r.buf = append(r.buf, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := copy(r.buf[r.at:], p)
		p = p[k:]
		r.at = (r.at + int64(k)) % r.size
	}
	return n, nil
}

func (r *ring) bytes() []byte {
	if r.at == 0 {
		return r.buf
	}
	return append(append(make([]byte, 0, len(r.buf)), r.buf[r.at:]...), r.buf[:r.at]...)
}
