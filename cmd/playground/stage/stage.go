package stage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"path/filepath"
	"strconv"
	"sync"

	"crashloop/cmd/playground/cluster"
	"crashloop/cmd/playground/scenarios"
	"crashloop/notify/workspace"
)

// Options are what Start needs. The zero value is a simulated cluster with a workspace and the bot, and nothing that crashes.
type Options struct {
	// Cluster says what cluster to start; its Step is told of the steps here too.
	Cluster cluster.Options
	// NoBot leaves the bot out.
	NoBot bool
	// BotEnv are further settings of the bot, as NAME=value; they win over the stage's own.
	BotEnv []string
	// PagePort is the port of the workspace; 0 picks a free one.
	PagePort int
	// Workspace changes the workspace's options before it is made; nil leaves them.
	Workspace func(*workspace.Options)
	// Scenarios are applied last.
	Scenarios []scenarios.Scenario
	// Log receives the workspace's log; nil drops it.
	Log *slog.Logger
}

// Stage is everything that runs.
type Stage struct {
	Cluster   *cluster.Cluster
	Workspace *workspace.Workspace

	opts   Options
	root   string // of the repository
	binary string // the bot
	// built gets the outcome of the bot's build, which builds waits for.
	built  chan error
	builds sync.WaitGroup

	mu     sync.Mutex
	bot    *cluster.Program
	listen string
}

// Start starts everything. When it fails, what it had started is stopped.
func Start(ctx context.Context, opts Options) (*Stage, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s := &Stage{opts: opts, built: make(chan error, 1)}
	building, cancel := context.WithCancel(ctx)
	defer cancel()
	if !opts.NoBot {
		// The bot is built while the cluster starts: both take seconds.
		opts.Cluster.Made = func(dir string) {
			s.builds.Go(func() { s.built <- s.buildBot(building, dir) })
		}
	}
	c, err := cluster.Start(ctx, opts.Cluster)
	if err != nil {
		cancel()
		s.builds.Wait()
		return nil, err
	}
	s.Cluster = c
	if err := s.start(ctx); err != nil {
		cancel()
		s.builds.Wait()
		if stopErr := s.Stop(); stopErr != nil {
			err = fmt.Errorf("%w\n(and stopping it again: %w)", err, stopErr)
		}
		return nil, err
	}
	return s, nil
}

func (s *Stage) start(ctx context.Context) error {
	if err := s.step("give the people their rights", func() error { return s.makePeople(ctx) }); err != nil {
		return err
	}
	if err := s.step("open the Slack workspace", func() error { return s.openWorkspace() }); err != nil {
		return err
	}
	if !s.opts.NoBot {
		if err := s.step("build the bot", func() error { return <-s.built }); err != nil {
			return err
		}
		if err := s.step("start the bot under the rights that deploy/ ships", func() error {
			if err := s.grantBot(ctx); err != nil {
				return err
			}
			return s.StartBot(ctx)
		}); err != nil {
			return err
		}
	}
	for _, scenario := range s.opts.Scenarios {
		if err := s.step("scenario "+scenario.Name+": "+scenario.Title, func() error { return s.Play(ctx, scenario) }); err != nil {
			return err
		}
	}
	return nil
}

// step tells Options.Cluster.Step of a step, as the cluster does of its own.
func (s *Stage) step(what string, run func() error) error {
	end := func(error) {}
	if s.opts.Cluster.Step != nil {
		end = s.opts.Cluster.Step(what)
	}
	err := run()
	end(err)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Play applies a scenario's steps. It returns when the last one is applied, not when something has crashed.
func (s *Stage) Play(ctx context.Context, scenario scenarios.Scenario) error {
	return waitThroughScenario(ctx, s.Cluster, scenario.Steps)
}

func (s *Stage) openWorkspace() error {
	opts := workspace.DefaultOptions(s.opts.Log)
	if s.opts.Workspace != nil {
		s.opts.Workspace(&opts)
	}
	w, err := workspace.New(opts)
	if err != nil {
		return fmt.Errorf("making the workspace: %w", err)
	}
	// It is closed by Stop, not by the context of the start.
	if err := w.Start(context.Background(), net.JoinHostPort("127.0.0.1", strconv.Itoa(s.opts.PagePort))); err != nil {
		return fmt.Errorf("opening the workspace: %w", err)
	}
	s.Workspace = w
	return nil
}

// Stop ends the bot, the workspace and the cluster, and removes the work folder unless the cluster's options say otherwise. It may be called
// more than once.
func (s *Stage) Stop() error {
	s.StopBot()
	var err error
	if s.Workspace != nil {
		err = s.Workspace.Close()
	}
	if stopErr := s.Cluster.Stop(); stopErr != nil {
		err = stopErr
	}
	return err
}

// stateDir is where the bot keeps what must survive its restart.
func (s *Stage) stateDir() string { return filepath.Join(s.Cluster.Dir(), "bot-state") }
