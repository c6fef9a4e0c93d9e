// Crashloop watches a Kubernetes cluster for crash loops, finds their causes, and posts each as a thread in Slack.
//
// Each command is one file: run (the default), diagnose, causes with explain, and check. config.go reads the settings; serve.go answers
// health and metrics; local.go is the Slack workspace that stands in where there are no tokens.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when a release is built.
var version = "dev"

// The exit statuses are a contract: see README.
const (
	exitDone     = 0
	exitFailed   = 1 // it could not look, or the bot could not run
	exitBadUsage = 2
)

// usageError is a mistake in the command line or the settings.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func main() { os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr)) }

// Main runs the program with these arguments and returns its exit status. An interrupt or SIGTERM ends it cleanly, a second one at once.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "crashloop:", err)
	var usage *usageError
	if errors.As(err, &usage) {
		return exitBadUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	run := newRun()
	root := &cobra.Command{
		Use:   "crashloop",
		Short: "Says why something in Kubernetes keeps crashing, in Slack and in the terminal",
		Long: `Crashloop watches a Kubernetes cluster for crash loops, finds the cause from the cluster's own evidence, posts it as one thread in a Slack
channel, and lets people act from there as far as the cluster's own RBAC lets each of them.

Without a command it runs the bot. Without Slack tokens and outside a cluster, the bot shows a Slack workspace of its own in the browser:
one command and a kubeconfig show what Slack would.

Settings come from the environment, CRASHLOOP_...; config.example.env describes each.`,
		Example: `  crashloop                          # the bot; with no Slack tokens, with a local workspace
  crashloop diagnose                 # every crash loop in the cluster, now
  crashloop diagnose shop/web        # one workload
  crashloop diagnose --from dump/    # out of files: kubectl cluster-info dump --output-directory dump/ -A
  crashloop explain resources.oom-limit
  crashloop check                    # are kubeconfig, permissions, tokens and channel all right?`,
		Args:          noCommand,
		RunE:          run.RunE,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(run, newDiagnose(), newCauses(), newExplain(), newCheck())
	return root
}

// noCommand refuses words that are no command, and says which one was surely meant.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	if len(names) == 0 {
		return &usageError{fmt.Errorf("%s takes no arguments, and was given %q; see '%s --help'", cmd.CommandPath(), args[0], cmd.CommandPath())}
	}
	return &usageError{fmt.Errorf("there is no command %q; did you mean '%s %s'? See '%s --help'", args[0], cmd.CommandPath(), nearest(args[0], names), cmd.CommandPath())}
}

// arguments wraps a cobra check so that its error counts as bad usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
}
