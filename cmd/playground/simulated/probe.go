package simulated

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exitError is a command that ended with a code other than 0 (k8s.io/utils/exec.ExitError).
type exitError struct {
	error
	code int
}

func (e exitError) String() string  { return e.Error() }
func (e exitError) Exited() bool    { return true }
func (e exitError) ExitStatus() int { return e.code }

// answer gives what a command in a container prints and ends with: a probe that stands for another kind (execInstead), or any other.
func answer(ctx context.Context, b Behaviour, age time.Duration, address string, cmd []string) (string, int) {
	if len(cmd) != 6 || cmd[0] != probeCommand {
		return b.ProbeOutput, int(b.ProbeExitCode)
	}
	kind, host, port, path := cmd[1], cmd[2], cmd[3], cmd[4]
	seconds, err := strconv.Atoi(cmd[5])
	if err != nil {
		return err.Error(), 1
	}
	timeout := time.Duration(seconds) * time.Second
	if host == "" {
		host = address
	}
	hostPort := net.JoinHostPort(host, port)
	// The texts are those of the kubelet's own probers (pkg/probe in Kubernetes), which are Go's net and net/http.
	if refused(b, age, port) {
		text := fmt.Sprintf("dial tcp %s: connect: connection refused", hostPort)
		switch kind {
		case "tcp":
			return text, 1
		case "grpc":
			wait(ctx, timeout)
			return fmt.Sprintf("timeout: failed to connect service %q within %s: context deadline exceeded", hostPort, timeout), 1
		}
		return fmt.Sprintf("Get %q: %s", kind+"://"+hostPort+withSlash(path), text), 1
	}
	if kind == "tcp" {
		return "", 0
	}
	if b.HangsAfter != nil && age >= b.HangsAfter.Duration {
		wait(ctx, timeout)
		if kind == "grpc" {
			return fmt.Sprintf("timeout: health rpc did not complete within %s", timeout), 1
		}
		return fmt.Sprintf("Get %q: context deadline exceeded (Client.Timeout exceeded while awaiting headers)", kind+"://"+hostPort+withSlash(path)), 1
	}
	code := http.StatusOK
	if b.Status != 0 && age >= b.StatusAfter.Duration {
		code = int(b.Status)
	}
	if c, ok := b.Paths[withSlash(path)]; ok {
		code = int(c)
	}
	// The kubelet takes 200 to 399 for success.
	if code >= 200 && code < 400 {
		return "", 0
	}
	if kind == "grpc" {
		return "service unhealthy (responded with \"NOT_SERVING\")", 1
	}
	return fmt.Sprintf("HTTP probe failed with statuscode: %d", code), 1
}

// refused says whether nothing listens on a port.
func refused(b Behaviour, age time.Duration, port string) bool {
	if age < b.ListensAfter.Duration {
		return true
	}
	if len(b.ListensOn) == 0 {
		return false
	}
	n, err := strconv.ParseInt(port, 10, 32)
	return err != nil || !slices.Contains(b.ListensOn, int32(n))
}

func withSlash(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
