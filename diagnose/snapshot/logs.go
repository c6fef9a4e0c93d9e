package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// maxLog is how much of the end of a log is read when the request sets no bound of its own.
const maxLog = 16 << 20

// Log implements [diagnose.View]. A current log that the files do not hold is ErrNotFound; a previous one is ErrGone when the pod's
// lastState still names the run that wrote it, and ErrNotFound otherwise.
func (s *Snapshot) Log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.failure(logRead(which)); err != nil {
		return nil, err
	}
	limit := boundLog(which.LimitBytes)
	for _, part := range []string{which.Namespace, which.Pod, which.Container} {
		if !validPart(part) {
			return nil, fmt.Errorf("log of container %q of pod %q: %w", which.Container, joinName(which.Namespace, which.Pod), diagnose.ErrNotFound)
		}
	}
	name := which.Container + ".log"
	if which.Previous {
		name = which.Container + ".previous.log"
	}
	text, err := readEnd(s.files, path.Join("logs", which.Namespace, which.Pod, name), limit)
	if errors.Is(err, fs.ErrNotExist) && !which.Previous {
		text, err = s.dumpedLog(which, limit)
	}
	if log, ok := s.logs[logRead(which)]; ok && errors.Is(err, fs.ErrNotExist) {
		text, err = log[max(0, int64(len(log))-limit):], requestError(log)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, s.missingLog(which)
	case err != nil:
		return nil, fmt.Errorf("reading log of container %q of pod %q: %w", which.Container, joinName(which.Namespace, which.Pod), err)
	}
	return diagnose.CutLog(text, diagnose.LogRequest{TailLines: which.TailLines, LimitBytes: limit}), nil
}

// validPart refuses what would lead to another file: names of Kubernetes objects hold no slash.
func validPart(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\\\x00")
}

// readEnd reads the last limit bytes of a regular file.
func readEnd(files fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if skip := info.Size() - limit; skip > 0 {
		if seeker, ok := f.(io.Seeker); ok {
			_, err = seeker.Seek(skip, io.SeekStart)
		} else {
			_, err = io.CopyN(io.Discard, f, skip)
		}
		if err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// dumpedLog takes one container's log out of <namespace>/<pod>/logs.txt, where `kubectl cluster-info dump` puts those of all
// containers of the pod between START and END lines (k8s.io/kubectl, pkg/cmd/clusterinfo). It never holds previous logs.
func (s *Snapshot) dumpedLog(which diagnose.LogRequest, limit int64) ([]byte, error) {
	// The file holds several logs: what is wanted may stand before limit bytes of another container's.
	text, err := readEnd(s.files, path.Join(which.Namespace, which.Pod, "logs.txt"), maxDump)
	if err != nil {
		return nil, err
	}
	for {
		log, ok := nextLog(text)
		if !ok {
			return nil, fs.ErrNotExist
		}
		if log.container == which.Container && log.namespace == which.Namespace && log.pod == which.Pod {
			text = log.text
			break
		}
		text = log.after
	}
	if err := requestError(text); err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		text = text[int64(len(text))-limit:]
	}
	return text, nil
}

// requestError is what kubectl writes in place of a log that it could not read.
func requestError(text []byte) error {
	for _, failed := range []string{"Create log request error: ", "Request log error: "} {
		if reason, ok := strings.CutPrefix(string(text[:min(len(text), 4096)]), failed); ok && bytes.Count(text, []byte("\n")) <= 1 {
			return fmt.Errorf("the dump could not read it: %s", strings.TrimSpace(reason))
		}
	}
	return nil
}

// maxDump bounds what is read of one logs.txt.
const maxDump = 256 << 20

// hadEarlierRun says whether the pod's status still names a run of the container before the current one.
func hadEarlierRun(obj diagnose.Object, container string) bool {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return false
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range statuses {
			if s := &statuses[i]; s.Name == container {
				return s.LastTerminationState.Terminated != nil
			}
		}
	}
	return false
}

// boundLog gives the bound that a log is read with: a snapshot's own where none is asked for.
func boundLog(limit int64) int64 {
	if limit <= 0 || limit > maxLog {
		return maxLog
	}
	return limit
}
