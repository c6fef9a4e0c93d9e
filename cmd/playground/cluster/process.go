package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// subcommand is the first argument of the program when it runs as one of the cluster's components.
const subcommand = "playground-component"

// lifelineFD is the file descriptor of the pipe that closes when the parent ends: the first after stdin, stdout and stderr.
const lifelineFD = 3

// process is a child of this program.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	// grace is how long it has to end when it is asked to, before it is killed.
	grace time.Duration
	// pidFile is where the watcher of a program writes the program's process id; empty for our own components.
	pidFile string
	// lifeline is the parent's end of the pipe; nothing is ever written to it.
	lifeline io.Closer
	done     chan struct{}
	err      error
}

// startProcess starts a component of this binary: name is what [Main] knows it by, and also the name of its log file.
func startProcess(dir, name string, args ...string) (*process, error) {
	return startNamed(dir, name, name, nil, args...)
}

// startProgram starts a program that knows nothing of the lifeline, under a watcher of ours that ends it when the lifeline closes. env is the
// program's whole environment, or nil for this process's own.
func startProgram(dir, name string, env []string, program string, args ...string) (*process, error) {
	pidFile := filepath.Join(dir, name+".pid")
	os.Remove(pidFile)
	p, err := startNamed(dir, name, "watch", env, append([]string{pidFile, program}, args...)...)
	if err != nil {
		return nil, err
	}
	p.grace, p.pidFile = watchGrace+time.Second, pidFile
	return p, nil
}

func startNamed(dir, name, component string, env []string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program's own file: %w", err)
	}
	logs := filepath.Join(dir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for logs: %w", err)
	}
	path := filepath.Join(logs, name+".log")
	logFile, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer logFile.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making the pipe to %s: %w", name, err)
	}
	defer read.Close()
	cmd := exec.Command(self, append([]string{subcommand, component}, args...)...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.ExtraFiles = []*os.File{read}
	// Ctrl-C in a terminal reaches the whole foreground process group; the children are stopped by the parent instead, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: path, lifeline: write, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, and kills it when it has not within the grace period. It returns when the process is gone.
func (p *process) stop(grace time.Duration) {
	defer p.lifeline.Close()
	if grace > 0 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err == nil {
			select {
			case <-p.done:
			case <-time.After(grace):
			}
		}
	}
	p.cmd.Process.Kill()
	<-p.done
}

// failure describes a process that did not do what it should: the end of its log, and where the rest is.
func (p *process) failure(err error) error {
	select {
	case <-p.done:
		err = fmt.Errorf("%s ended by itself (%w): %w", p.name, p.err, err)
	default:
	}
	return fmt.Errorf("%w\nthe end of its log, %s:\n%s", err, p.log, tail(p.log, 15))
}

// tail gives the last lines of a file, indented.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "  (no log: " + err.Error() + ")"
	}
	all := strings.Split(strings.TrimRight(string(bytes.ToValidUTF8(data, []byte("?"))), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	for i, line := range all {
		if len(line) > 400 {
			line = line[:400] + "..."
		}
		all[i] = "  " + line
	}
	return strings.Join(all, "\n")
}

// waitFor calls check until it succeeds, the process ends, or ctx is done.
func (p *process) waitFor(ctx context.Context, what string, check func(context.Context) error) error {
	err := waitUntil(ctx, what, func(ctx context.Context) error {
		select {
		case <-p.done:
			return errStop
		default:
			return check(ctx)
		}
	})
	if err != nil {
		return p.failure(err)
	}
	return nil
}

// errStop makes waitUntil give up.
var errStop = errors.New("it is not running")

// waitUntil calls check five times a second until it succeeds or ctx is done.
func waitUntil(ctx context.Context, what string, check func(context.Context) error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errStop) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last: %v)", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
