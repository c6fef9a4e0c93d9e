// The playground starts everything that Crashloop needs on one machine: a real Kubernetes control plane, nodes, a Slack workspace with a page
// in the browser, the bot, and a handful of workloads that crash. Nothing is installed, nothing leaves the machine, and Ctrl-C removes it all.
//
//	go run -C cmd/playground .                      # simulated nodes, a handful of crashing workloads
//	go run -C cmd/playground . -scenario chain,oom  # other stories; -scenario all for all of them
//	go run -C cmd/playground . -nodes containerd    # a real kubelet with real containers: Linux and root
//	go run -C cmd/playground . -help                # every story; some happen on a real kubelet only
//
// The first build takes some minutes, because it compiles Kubernetes; later starts take seconds.
//
// # Your own workloads
//
// `kubectl --kubeconfig PATH apply` works, with the path that is printed. On simulated nodes nothing runs, so an annotation of the pod says how
// a container ends:
//
//	metadata:
//	  annotations:
//	    playground.crashloop.dev/web: |     # web is the container's name
//	      exitCode: 1                       # it ends with 1 ...
//	      after: 3s                         # ... after three seconds
//	      log: |                            # having printed this
//	        open /etc/web/config.yaml: no such file or directory
//
// simulated.Behaviour documents every field. Without an annotation a container is healthy. What a kubelet sees in the spec needs no
// annotation: a missing ConfigMap, Secret, key or claim, an image of registry.invalid or with the tag missing or private, too large requests.
// On a containerd node a container simply runs; images are those of the scenarios and registry.example/playground/base:1.0.
//
// # Where to look in the code
//
// cluster starts the control plane and the nodes; simulated is the container runtime that runs nothing; stage adds people, workspace and bot;
// scenarios holds the stories.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"crashloop/cmd/playground/cluster"
	"crashloop/cmd/playground/scenarios"
	"crashloop/cmd/playground/stage"
)

func main() {
	cluster.Main()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// settings are the command line.
type settings struct {
	scenario   string
	nodes      string
	nodeCount  int
	keep       bool
	dir        string
	bot        bool
	port       int
	apiPort    int
	maxRestart time.Duration
}

const about = `The playground starts a real Kubernetes control plane, nodes, a Slack workspace in the browser, the bot, and workloads that crash.
Ctrl-C stops everything and removes it.

usage: go run -C cmd/playground . [flags]

flags:
`

const annotations = `
On simulated nodes an annotation of the pod says how a container ends; without one it is healthy:

    playground.crashloop.dev/CONTAINER: |
      exitCode: 1          # 0 to 255; reason: OOMKilled makes it an OOM kill
      after: 3s            # how long it runs first
      log: |               # what it prints
        panic: boom

Further fields: times, message, terminationMessage, logSize, lastWords, startError, createError, listensOn, listensAfter, status, statusAfter,
paths, hangsAfter, probeExitCode, probeOutput, cpu, memory, onStop, ignoresStop. go doc crashloop/cmd/playground/simulated.Behaviour explains them.

scenarios:
`

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("playground", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.scenario, "scenario", "default", "which `stories` to show: default, all, none, or names separated by commas")
	flags.StringVar(&s.nodes, "nodes", string(cluster.Simulated), "`kind` of nodes: simulated (no root, any system), containerd (a real kubelet; Linux and root), none")
	flags.IntVar(&s.nodeCount, "node-count", 2, "`number` of simulated nodes")
	flags.BoolVar(&s.keep, "keep", false, "leave the work folder, with all logs, when it stops")
	flags.StringVar(&s.dir, "dir", "", "work `folder`; a temporary one by default")
	flags.BoolVar(&s.bot, "bot", true, "run the bot; -bot=false leaves it out, to run your own")
	flags.IntVar(&s.port, "port", 0, "`port` of the Slack workspace; 0 picks a free one")
	flags.IntVar(&s.apiPort, "api-port", 0, "`port` of the Kubernetes API; 0 picks a free one")
	flags.DurationVar(&s.maxRestart, "max-restart-period", 0, "longest back-off between two restarts of a container, 1s to 300s; 0 is the kubelet's own five minutes")
	flags.Usage = func() {
		fmt.Fprint(stderr, about)
		flags.PrintDefaults()
		fmt.Fprint(stderr, annotations)
		if all, err := scenarios.All(); err == nil {
			for _, s := range all {
				needs := ""
				if s.Needs != "" {
					needs = " (-nodes " + s.Needs + ")"
				}
				fmt.Fprintf(stderr, "  %-24s %s%s\n", s.Name, s.Title, needs)
			}
		}
	}
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected %q: everything is a flag; -help lists them", flags.Arg(0))
	}
	return s, nil
}

func run(args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var chosen []scenarios.Scenario
	if err == nil {
		chosen, err = scenarios.Select(s.scenario, s.nodes)
	}
	if err != nil {
		fmt.Fprintln(stderr, "playground:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	begin := time.Now()
	on, err := stage.Start(ctx, stage.Options{
		Cluster: cluster.Options{
			Dir: s.dir, Keep: s.keep, Nodes: cluster.Nodes(s.nodes), SimulatedNodes: s.nodeCount, MaxRestartPeriod: s.maxRestart, APIPort: s.apiPort,
			FailIfBusy: true,
			Step:       steps(stdout),
		},
		NoBot: !s.bot, PagePort: s.port, Scenarios: chosen,
	})
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(stdout, "\nStopped before everything ran.")
			return 130
		}
		fmt.Fprintln(stderr, "playground:", err)
		return 1
	}
	admin := filepath.Join(on.Cluster.Dir(), "kubeconfig")
	if err := on.Cluster.WriteKubeconfig(admin, on.Cluster.Admin()); err != nil {
		fmt.Fprintln(stderr, "playground:", err)
	}
	printPlaces(stdout, on, admin, chosen, time.Since(begin), s.bot)
	<-ctx.Done()
	// A second Ctrl-C ends the program at once; the children end with it.
	stop()
	fmt.Fprintln(stdout, "\nStopping everything ...")
	if err := on.Stop(); err != nil {
		fmt.Fprintln(stderr, "playground:", err)
		return 1
	}
	if s.keep {
		fmt.Fprintf(stdout, "Stopped. The work folder is still there: %s\n", on.Cluster.Dir())
	} else {
		fmt.Fprintln(stdout, "Stopped; nothing is left.")
	}
	return 0
}

// steps prints each step as it begins, and how long it took.
func steps(w io.Writer) func(string) func(error) {
	return func(what string) func(error) {
		begin := time.Now()
		return func(err error) {
			state := "ok"
			if err != nil {
				state = "FAILED"
			}
			fmt.Fprintf(w, "%6.1fs  %-6s  %s\n", time.Since(begin).Seconds(), state, what)
		}
	}
}

func printPlaces(w io.Writer, on *stage.Stage, admin string, chosen []scenarios.Scenario, took time.Duration, bot bool) {
	fmt.Fprintf(w, "\nEverything runs, after %.1f s.\n\n", took.Seconds())
	fmt.Fprintf(w, "  Slack        %s\n", on.Workspace.PageURL())
	fmt.Fprintf(w, "  kubectl      kubectl --kubeconfig %s get pods -A\n", admin)
	fmt.Fprintf(w, "  people       %s\n", strings.Join([]string{on.Kubeconfig(stage.Admin), on.Kubeconfig(stage.Developer), on.Kubeconfig(stage.Viewer)}, "\n               "))
	fmt.Fprintf(w, "  logs         %s\n", filepath.Join(on.Cluster.Dir(), "logs"))
	if bot {
		fmt.Fprintf(w, "  bot          %s/metrics\n", on.BotURL())
	} else {
		fmt.Fprintf(w, "  your bot     CRASHLOOP_SLACK_API_URL=%s CRASHLOOP_SLACK_BOT_TOKEN=%s CRASHLOOP_SLACK_APP_TOKEN=%s\n", on.Workspace.APIURL(), on.Workspace.BotToken(), on.Workspace.AppToken())
	}
	if len(chosen) > 0 {
		fmt.Fprintln(w, "\nWhat is wrong (the first threads come within seconds, those that wait for a stuck start after a minute):")
		for _, s := range chosen {
			fmt.Fprintf(w, "  %-24s %s\n", s.Name, s.Wrong)
		}
	}
	fmt.Fprintln(w, "\nCtrl-C stops everything and removes it.")
}
