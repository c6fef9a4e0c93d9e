package cluster

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Program is a program that runs beside the cluster, such as the bot. It ends with the cluster, and with this process.
type Program struct {
	c *Cluster
	p *process
}

// StartProgram starts a program. name is the name of its log in Dir()/logs; env is its whole environment, or nil for this process's own.
func (c *Cluster) StartProgram(name string, env []string, program string, args ...string) (*Program, error) {
	p, err := startProgram(c.dir, name, env, program, args...)
	if err != nil {
		return nil, err
	}
	c.own(p)
	return &Program{c: c, p: p}, nil
}

// Stop asks the program to end, by SIGTERM, waits for it, and kills it when it has not ended within about ten seconds.
func (g *Program) Stop() {
	g.c.disown(g.p)
	g.p.stop(g.p.grace)
}

// Kill ends the program without a warning, as kill -9 does.
func (g *Program) Kill() error {
	pid, err := g.PID()
	if err != nil {
		return err
	}
	running, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("killing %s: %w", g.p.name, err)
	}
	if err := running.Kill(); err != nil {
		return fmt.Errorf("killing %s: %w", g.p.name, err)
	}
	g.c.disown(g.p)
	g.p.stop(time.Second)
	return nil
}

// PID is the program's process id.
func (g *Program) PID() (int, error) {
	var pid int
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := waitUntil(ctx, "the process id of "+g.p.name, func(context.Context) error {
		data, err := os.ReadFile(g.p.pidFile)
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		return err
	})
	return pid, err
}

// Log is the path of what the program printed.
func (g *Program) Log() string { return g.p.log }

// WaitFor calls check until it succeeds, the program ends, or ctx is done; the error quotes the end of the program's log.
func (g *Program) WaitFor(ctx context.Context, what string, check func(context.Context) error) error {
	return g.p.waitFor(ctx, what, check)
}

// disown forgets a process that is being stopped.
func (c *Cluster) disown(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, q := range c.processes {
		if q == p {
			c.processes = append(c.processes[:i:i], c.processes[i+1:]...)
			return
		}
	}
}
