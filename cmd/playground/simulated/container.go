package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// container is one run of a container.
type container struct {
	id        string
	sandbox   string
	config    *cri.ContainerConfig
	logPath   string
	behaviour Behaviour
	created   time.Time
	started   time.Time // zero before it is started
	finished  time.Time // zero while it runs
	exitCode  int32
	reason    string
	message   string
	// end makes it end by itself; nil for one that does not.
	timer *time.Timer
	// done is closed when it has ended.
	done chan struct{}
}

// newID makes 64 hexadecimal digits that do not repeat on this machine.
func newID(serial uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixNano()))
	binary.BigEndian.PutUint64(b[8:], serial)
	sum := sha256.Sum256(b[:])
	return hex.EncodeToString(sum[:])
}

// CreateContainer remembers a container.
func (r *runtime) CreateContainer(_ context.Context, sandboxID string, config *cri.ContainerConfig, sandboxConfig *cri.PodSandboxConfig) (string, error) {
	behaviour, err := r.pods.behaviour(podUID(sandboxConfig.Labels), config.Metadata.Name)
	if err != nil {
		return "", status.Error(codes.InvalidArgument, err.Error())
	}
	if behaviour.CreateError != "" {
		return "", status.Error(codes.Unknown, "failed to create containerd container: "+behaviour.CreateError)
	}
	c := &container{id: r.id(), sandbox: sandboxID, config: config, behaviour: behaviour, created: time.Now(), done: make(chan struct{})}
	if config.LogPath != "" {
		c.logPath = filepath.Join(sandboxConfig.LogDirectory, config.LogPath)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sandboxes[sandboxID] == nil {
		return "", notFound("sandbox", sandboxID)
	}
	r.containers[c.id] = c
	return c.id, nil
}

// StartContainer lets a container begin: it prints its log, and ends later if its behaviour says so.
func (r *runtime) StartContainer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return notFound("container", id)
	}
	if err := appendLog(c.logPath, ""); err != nil {
		return err
	}
	if text := c.behaviour.StartError; text != "" {
		// The status that containerd gives to a container that could not be started; it has no start time.
		text = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: " + text + ": unknown"
		c.finished, c.exitCode, c.reason, c.message = time.Now(), 128, "StartError", text
		close(c.done)
		return status.Error(codes.Unknown, text)
	}
	if err := appendFiller(c.logPath, c.behaviour.LogSize); err != nil {
		return err
	}
	if err := appendLongLine(c.logPath, c.behaviour.LineSize); err != nil {
		return err
	}
	if err := appendLog(c.logPath, string(c.behaviour.LogBytes)); err != nil {
		return err
	}
	if err := appendLog(c.logPath, c.behaviour.Log); err != nil {
		return err
	}
	c.started = time.Now()
	if c.behaviour.ends(c.config.Metadata.Attempt) {
		c.timer = time.AfterFunc(c.behaviour.lifetime(), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if c.finished.IsZero() {
				c.writeTerminationMessage()
			}
			r.end(c, *c.behaviour.ExitCode, c.behaviour.Reason)
		})
	}
	return nil
}

// end ends a container that runs. The caller holds the lock.
func (r *runtime) end(c *container, code int32, given string) {
	if c.started.IsZero() || !c.finished.IsZero() {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if err := appendLog(c.logPath, c.behaviour.LastWords); err != nil {
		c.message = err.Error()
	}
	c.finished, c.exitCode, c.reason = time.Now(), code, reason(code, given)
	if given != "" || c.behaviour.ExitCode != nil && code == *c.behaviour.ExitCode {
		c.message = c.behaviour.Message
	}
	close(c.done)
}

// writeTerminationMessage writes to the file that the kubelet mounts as the container's terminationMessagePath.
func (c *container) writeTerminationMessage() {
	path := c.config.Annotations["io.kubernetes.container.terminationMessagePath"]
	for _, m := range c.config.Mounts {
		if m.ContainerPath == path && c.behaviour.TerminationMessage != "" {
			if err := os.WriteFile(m.HostPath, []byte(c.behaviour.TerminationMessage), 0o600); err != nil {
				c.message = err.Error()
			}
		}
	}
}

// StopContainer asks a container to end, and kills it when it has not after timeout seconds.
func (r *runtime) StopContainer(ctx context.Context, id string, timeout int64) error {
	r.mu.Lock()
	c := r.containers[id]
	if c == nil {
		r.mu.Unlock()
		return notFound("container", id)
	}
	if c.started.IsZero() || !c.finished.IsZero() {
		r.mu.Unlock()
		return nil
	}
	if !c.behaviour.IgnoresStop {
		r.end(c, c.behaviour.OnStop, "")
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(timeout) * time.Second):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(c, 137, "")
	return nil
}

// RemoveContainer forgets a container.
func (r *runtime) RemoveContainer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[id]; c != nil {
		r.end(c, 137, "")
		r.forget(c)
	}
	return nil
}

func (c *container) state() cri.ContainerState {
	switch {
	case !c.finished.IsZero():
		return cri.ContainerState_CONTAINER_EXITED
	case !c.started.IsZero():
		return cri.ContainerState_CONTAINER_RUNNING
	}
	return cri.ContainerState_CONTAINER_CREATED
}

// ListContainers lists the containers that a filter lets through.
func (r *runtime) ListContainers(_ context.Context, filter *cri.ContainerFilter) ([]*cri.Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*cri.Container
	for _, c := range r.containers {
		if filter.GetId() != "" && filter.GetId() != c.id || filter.GetPodSandboxId() != "" && filter.GetPodSandboxId() != c.sandbox ||
			filter.GetState() != nil && filter.GetState().State != c.state() || !labelled(c.config.Labels, filter.GetLabelSelector()) {
			continue
		}
		all = append(all, &cri.Container{Id: c.id, PodSandboxId: c.sandbox, Metadata: c.config.Metadata, Image: c.config.Image,
			ImageRef: imageRef(c.config.Image.GetImage()), State: c.state(), CreatedAt: c.created.UnixNano(), Labels: c.config.Labels, Annotations: c.config.Annotations})
	}
	return all, nil
}

// ContainerStatus describes a container.
func (r *runtime) ContainerStatus(_ context.Context, id string, _ bool) (*cri.ContainerStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return nil, notFound("container", id)
	}
	image := c.config.Image.GetUserSpecifiedImage()
	if image == "" {
		image = c.config.Image.GetImage()
	}
	return &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{
		Id: c.id, Metadata: c.config.Metadata, State: c.state(), CreatedAt: c.created.UnixNano(), StartedAt: nanos(c.started), FinishedAt: nanos(c.finished),
		ExitCode: c.exitCode, Reason: c.reason, Message: c.message, Image: &cri.ImageSpec{Image: image}, ImageRef: imageRef(c.config.Image.GetImage()), ImageId: imageRef(c.config.Image.GetImage()),
		Labels: c.config.Labels, Annotations: c.config.Annotations, Mounts: c.config.Mounts, LogPath: c.logPath,
	}}, nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// UpdateContainerResources accepts any resources: nothing is limited.
func (r *runtime) UpdateContainerResources(context.Context, string, *cri.ContainerResources) error {
	return nil
}

// ReopenContainerLog makes the file that is missing after the kubelet has rotated a log.
func (r *runtime) ReopenContainerLog(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return notFound("container", id)
	}
	return appendLog(c.logPath, "")
}

// ExecSync answers exec probes and hooks.
func (r *runtime) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) (stdout, stderr []byte, err error) {
	r.mu.Lock()
	c := r.containers[id]
	if c == nil {
		r.mu.Unlock()
		return nil, nil, notFound("container", id)
	}
	if c.state() != cri.ContainerState_CONTAINER_RUNNING {
		state := c.state()
		r.mu.Unlock()
		return nil, nil, status.Errorf(codes.Unknown, "container %s is in %s state", id, state)
	}
	b, age, address := c.behaviour, time.Since(c.started), ""
	if s := r.sandboxes[c.sandbox]; s != nil {
		address = s.address
	}
	r.mu.Unlock()
	out, code := answer(ctx, b, age, address, cmd)
	if code != 0 {
		return []byte(out), nil, exitError{fmt.Errorf("command %q exited with %d", cmd, code), code}
	}
	return []byte(out), nil, nil
}
