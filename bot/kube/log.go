package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"crashloop/diagnose"
)

const (
	// overread is how many times the wanted bytes one call may bring, so that lines longer than expected cost no second call.
	overread = 4
	// longestLine bounds what is read to get at the end of one endless line. A kubelet rotates a log at 10 MiB unless told otherwise
	// (containerLogMaxSize), and shows only its newest file.
	longestLine = 16 << 20
)

// log reads the end of a log. The API's own limitBytes keeps the start of the lines that tailLines selects, so what was cut off is asked
// for again with fewer lines, until their end is among what comes.
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
	for {
		room := limit * overread
		if lines == 1 {
			room = max(room, longestLine)
		}
		text, seen, err := r.tail(ctx, which, lines, limit, room)
		if err != nil {
			return nil, err
		}
		if seen.bytes <= room || lines == 1 {
			return keepEnd(text, limit), nil
		}
		// Cut. seen.lines of them took more room than there is: as many as fill the limit, at that length, and half as many again.
		fit := max(1, seen.lines) * limit / room
		lines = max(1, min(lines/2, fit+fit/2))
	}
}

// counted is what came over the wire.
type counted struct{ bytes, lines int64 }

// tail asks for the last lines of a log and returns the end of what comes: at most limit bytes and one, of at most room and one.
func (r *reader) tail(ctx context.Context, which diagnose.LogRequest, lines, limit, room int64) ([]byte, counted, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	client, err := r.client(corev1.SchemeGroupVersion)
	if err != nil {
		return nil, counted{}, err
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
		return nil, counted{}, explainLog(err)
	}
	defer body.Close()
	end := newRing(limit + 1)
	n, err := io.Copy(end, io.LimitReader(body, room+1))
	if err != nil && n == 0 {
		return nil, counted{}, fmt.Errorf("the log broke off at once: %w", err)
	}
	text := end.bytes()
	if gone(text) {
		return nil, counted{}, fmt.Errorf("%w: the kubelet says: %s", diagnose.ErrGone, bytes.TrimSpace(text))
	}
	return text, counted{n, end.lines}, nil
}

// keepEnd cuts text to its last limit bytes, at a line's start where there is one: half a line could hide from whoever looks for secrets
// in it.
func keepEnd(text []byte, limit int64) []byte {
	if int64(len(text)) <= limit {
		return text
	}
	text = text[int64(len(text))-limit-1:]
	if i := bytes.IndexByte(text, '\n'); i >= 0 && i < len(text)-1 {
		return text[i+1:]
	}
	return text[1:]
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
			return fmt.Errorf("%w: %w", diagnose.ErrGone, err)
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

// ring keeps the last bytes written to it and counts the lines. It grows with what is written, up to its size.
type ring struct {
	size  int64
	buf   []byte
	at    int64 // where the oldest byte stands, once buf is full
	lines int64
}

func newRing(size int64) *ring { return &ring{size: size} }

// Write never fails.
func (r *ring) Write(p []byte) (int, error) {
	n := len(p)
	r.lines += int64(bytes.Count(p, []byte("\n")))
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
