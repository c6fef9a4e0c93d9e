package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crashloop/bot"
	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/bot/audit"
	"crashloop/bot/command"
	"crashloop/bot/digest"
	"crashloop/bot/evidence"
	"crashloop/bot/incident"
	"crashloop/bot/kube"
	"crashloop/bot/state"
	"crashloop/diagnose"
	"crashloop/notify"
	"crashloop/notify/slack"
	"crashloop/notify/workspace"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the bot (this is what happens without a command)",
		Long: `Run watches the cluster and posts each crash loop as a thread, until it is interrupted.

With CRASHLOOP_SLACK_BOT_TOKEN and CRASHLOOP_SLACK_APP_TOKEN it posts to Slack. Without them, outside a cluster, it opens a workspace of its own on
this machine and prints the address of its page; what you may do there is what your kubeconfig may.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(os.Environ())
			if err != nil {
				return &usageError{err}
			}
			return runBot(cmd.Context(), config, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func newLogger(c Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // validated
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// cluster is the way to the Kubernetes API that the settings name.
type cluster struct {
	clients   kube.Clients
	view      *kube.View
	name      string
	inCluster bool
	source    kube.Source
}

func openCluster(c Config) (cluster, error) {
	config, source, err := kube.Config("", c.Context, version)
	if err != nil {
		return cluster{}, err
	}
	clients, err := kube.NewClients(config)
	if err != nil {
		return cluster{}, err
	}
	name := c.clusterName(source)
	view, err := kube.NewView(kube.ViewOptions{Config: config, Cluster: name, Namespaces: c.Namespaces, IgnoreNamespaces: c.IgnoreNamespaces})
	if err != nil {
		return cluster{}, err
	}
	return cluster{clients, view, name, source.InCluster, source}, nil
}

// runBot serves health and metrics, and runs the bot: at once, or in a cluster with several replicas as soon as it is this one's turn.
func runBot(ctx context.Context, c Config, stdout, stderr io.Writer) error {
	log := newLogger(c, stderr)
	cl, err := openCluster(c)
	if err != nil {
		return err
	}
	if c.SlackBotToken == "" && cl.inCluster {
		return &usageError{errors.New("CRASHLOOP_SLACK_BOT_TOKEN and CRASHLOOP_SLACK_APP_TOKEN are not set; inside a cluster there is nobody to show a local workspace to")}
	}
	listener, err := listen(ctx, c.Listen, cl.inCluster, log)
	if err != nil {
		return err
	}
	s := newServer()
	context.AfterFunc(ctx, func() { s.draining.Store(true) })
	work := part{"running", func(ctx context.Context) error {
		active := func(ctx context.Context) error { return runActive(ctx, c, cl, s, log, stdout, stderr) }
		if !cl.inCluster || !c.LeaderElection {
			return active(ctx)
		}
		return state.Lead(ctx, state.LeadOptions{Client: cl.clients.Objects, Namespace: c.InstanceNamespace, Identity: c.InstanceName, Log: log}, active)
	}}
	if !cl.inCluster || !c.LeaderElection {
		s.starting() // before anybody can ask: no other instance is the one that should be ready
	}
	stages := [][]part{{work}}
	if listener != nil {
		stages = append(stages, []part{{"serving health and metrics", func(ctx context.Context) error { return s.serve(ctx, listener) }}})
	}
	log.Info("starting", "version", version, "cluster", cl.name, "source", cl.source.String(), "channel", c.Channel)
	if err := runStages(ctx, log, 10*time.Second, stages...); err != nil {
		var nested *stageError
		if errors.As(err, &nested) {
			return nested.err
		}
		return err
	}
	log.Info("stopped")
	return nil
}

// runActive wires the bot and runs it until ctx ends. Nobody else does so for this cluster at the same time.
func runActive(ctx context.Context, c Config, cl cluster, s *server, log *slog.Logger, stdout, stderr io.Writer) error {
	s.starting()
	local := c.SlackBotToken == ""
	if local {
		w, err := startLocal(context.WithoutCancel(ctx), c, log)
		if err != nil {
			return err
		}
		defer w.Close()
		c.SlackBotToken, c.SlackAppToken, c.SlackAPIUrl = Secret(w.BotToken()), Secret(w.AppToken()), w.APIURL()
		c.Channel, c.State = workspace.ChannelIncidents, "memory"
		fmt.Fprintf(stdout, "There are no Slack tokens, so here is a workspace of your own. It shows what Slack would for %s (%s).\n\n    %s\n\nNothing leaves this machine. Ctrl-C ends it.\n", cl.name, cl.source, w.PageURL())
	}

	store, err := state.Open(ctx, c.State, state.Options{Client: cl.clients.Objects, InCluster: cl.inCluster, Namespace: c.InstanceNamespace, Cluster: cl.name, Log: log})
	if err != nil {
		return fmt.Errorf("opening the state (CRASHLOOP_STATE): %w", err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			log.Error("closing the state failed; what changed last may be known anew only after it happens again", "error", err)
		}
	}()

	client, err := slack.New(slack.Options{
		BotToken: string(c.SlackBotToken), AppToken: string(c.SlackAppToken), APIURL: c.SlackAPIUrl, Command: c.SlackCommand, Logger: log.With("part", "slack"), Groups: c.AccessFile != "" && !local,
	})
	if err != nil {
		return err
	}
	if err := greetSlack(ctx, client, log); err != nil {
		return err
	}
	channel, err := client.ResolveChannel(ctx, c.Channel)
	if err != nil {
		return fmt.Errorf("%w; give the channel's id in CRASHLOOP_CHANNEL (in Slack: the channel's name, About, at the bottom)", err)
	}

	people, err := newDecider(c, cl, local, log)
	if err != nil {
		return err
	}
	auditFile, err := openAudit(c, stderr)
	if err != nil {
		return err
	}
	defer auditFile.Close()
	guard := &action.Guard{Access: people, Audit: audit.New(auditFile), Log: log}

	engine, err := newEngine(log)
	if err != nil {
		return err
	}
	queue, err := notify.NewQueue(notify.QueueOptions{Transport: client, Ledger: store, Logger: log.With("part", "queue"), Drain: drain})
	if err != nil {
		return err
	}
	actions := action.All()
	render := notify.RenderOptions{HideLogs: !c.LogsInChannel, Title: func(cause string) string {
		rule, _ := engine.Rule(cause)
		return rule.Title
	}}
	if c.ReadOnly {
		for _, a := range actions {
			render.Without = append(render.Without, a.Name)
		}
		actions = nil
	}

	keeper, closeEvidence, err := openEvidence(ctx, c, cl, log)
	if err != nil {
		return err
	}
	defer closeEvidence()
	render.Evidence = keeper != nil

	desk, err := bot.New(bot.Options{
		Diagnoser: engine, View: func(ctx context.Context, s diagnose.Symptom) (diagnose.View, func()) {
			view := cl.view.Fresh()
			return view, view.Ahead(ctx, engine.Ahead(s))
		},
		Outbox: queue, Memory: store, Render: render, Observer: s.metrics,
		Channel: func(diagnose.Incident) string { return channel }, Log: log,
		Evidence: witness(keeper),
	})
	if err != nil {
		return err
	}

	seen := &watched{} // the tracker asks the watch, and the watch tells the tracker
	tracker, err := incident.New(incident.Options{
		Name: cl.name, Thresholds: c.thresholds(), ResolveAfter: c.ResolveAfter, Cluster: seen, Store: store, View: func() diagnose.View { return cl.view.Fresh() },
		Changed: func(change incident.Change) { desk.Incident(change.Incident) }, Log: log.With("part", "incidents"),
		// Sooner than the readiness probe: a minute without contact must not look like a minute of being stuck.
		Contact: func() error { return seen.Healthy(time.Now().Add(25 * time.Second)) },
	})
	if err != nil {
		return err
	}
	seen.Watch, err = kube.NewWatch(kube.WatchOptions{Client: cl.clients.Objects, Sink: tracker, Log: log.With("part", "watch"), Namespaces: c.Namespaces, IgnoreNamespaces: c.IgnoreNamespaces})
	if err != nil {
		return err
	}

	commands, err := newCommands(c, cl, people, guard, actions, engine, desk, keeper, log)
	if err != nil {
		return err
	}

	s.activate(func() int { return len(desk.Incidents()) }, []condition{
		{"watch", func() error {
			if !seen.Synced() {
				return errors.New("what there is in the cluster has not been read yet")
			}
			return seen.Healthy(time.Now())
		}},
		{"slack", func() error {
			if !client.Connected() {
				return errors.New("the socket to Slack is not connected; no click or command arrives")
			}
			return nil
		}},
		{"messages", queue.Healthy},
	})
	defer s.deactivate()
	stages := [][]part{
		{
			{"listening to Slack", func(ctx context.Context) error { return client.Listen(ctx, bot.Desk{Bot: desk, Commands: commands}) }},
			{"watching the cluster", seen.Run},
			{"keeping incidents", tracker.Run},
		},
		{{"diagnosing", desk.Run}},
		{{"delivering messages", queue.Run}},
	}
	if keeper != nil { // stops behind those that feed it
		stages[2] = append(stages[2], part{"keeping evidence", keeper.Run})
	}
	if c.Digest != "" {
		d, err := digest.New(digest.Options{
			Spec: c.Digest, Log: log,
			Open: func() []digest.Entry {
				var all []digest.Entry
				for _, i := range desk.Incidents() {
					if i.Diagnosis != nil {
						public := render.Public(*i.Diagnosis)
						i.Diagnosis = &public
					}
					all = append(all, digest.Entry(i))
				}
				return all
			},
			Post: func(ctx context.Context, key string, m notify.Message) error {
				return queue.Ensure(ctx, notify.Post{Key: key, Channel: channel, Message: m})
			},
		})
		if err != nil {
			return err
		}
		stages[0] = append(stages[0], part{"posting digests", d.Run})
	}
	if err := tracker.Restore(ctx); err != nil {
		return err
	}
	return runStages(ctx, log, stageGrace, stages...)
}

// greetSlack tries the bot token, so that one that Slack refuses is called that, and warns of missing scopes. That Slack does not answer is
// left to those who need it next.
func greetSlack(ctx context.Context, client *slack.Client, log *slog.Logger) error {
	if _, err := client.Self(ctx); err != nil {
		if refused, ok := errors.AsType[*notify.SendError](err); ok && !refused.Retry {
			return fmt.Errorf("Slack refuses the bot token (CRASHLOOP_SLACK_BOT_TOKEN): %w; %s", err, notify.Advice(refused.Reason))
		}
		log.Warn("Slack does not answer", "error", err)
		return nil
	}
	for _, f := range client.MissingScopes() {
		log.Warn("the Slack app lacks something", "what", f.What, "says", f.Says, "do", f.Do)
	}
	return nil
}

// watched is the watch, once it is made.
type watched struct{ *kube.Watch }

// newDecider says who may do what: by the access file, or on one's own machine by one's own kubeconfig.
func newDecider(c Config, cl cluster, local bool, log *slog.Logger) (*access.Decider, error) {
	if local {
		return access.NewSelf(access.SelfOptions{Reviews: cl.clients.Objects.AuthorizationV1(), Who: cl.clients.Objects.AuthenticationV1(), Log: log})
	}
	o := access.Options{Reviews: cl.clients.Objects.AuthorizationV1(), Log: log}
	if c.AccessFile == "" {
		log.Warn("there is no access file (CRASHLOOP_ACCESS_FILE): nobody may read or change anything by Slack")
	} else {
		file, err := access.OpenFile(c.AccessFile, log)
		if err != nil {
			return nil, &usageError{err}
		}
		o.Policies = file
	}
	return access.New(o)
}

func openAudit(c Config, stderr io.Writer) (io.WriteCloser, error) {
	if c.AuditFile == "" {
		return nopCloser{stderr}, nil
	}
	f, err := os.OpenFile(c.AuditFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, &usageError{fmt.Errorf("CRASHLOOP_AUDIT_FILE: %w", err)}
	}
	return f, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// newCommands wires what people type and click.
func newCommands(c Config, cl cluster, people *access.Decider, guard *action.Guard, actions []action.Action, engine *diagnose.Engine, desk *bot.Bot, keeper *evidence.Keeper, log *slog.Logger) (*command.Dispatcher, error) {
	runner, err := action.New(action.Options{Client: cl.clients.Objects, Guard: guard, Actions: actions, Log: log, Instance: c.InstanceName})
	if err != nil {
		return nil, err
	}
	directory, err := action.NewDirectory(cl.clients.Objects, cl.clients.Metadata, c.Namespaces)
	if err != nil {
		return nil, err
	}
	reader, err := action.NewReader(cl.clients.Objects, cl.clients.Config)
	if err != nil {
		return nil, err
	}
	var kept command.Evidence
	if keeper != nil {
		kept = keeper
	}
	return command.New(command.Options{
		Evidence: kept,
		Name:     c.SlackCommand, Cluster: cl.name, Access: people, Guard: guard, Runner: runner, Directory: directory, Logs: reader, Describer: reader, Actions: actions, Log: log,
		Incidents: func() []command.Standing {
			var all []command.Standing
			for _, i := range desk.Recent() {
				all = append(all, command.Standing(i))
			}
			return all
		},
		Diagnose: func(ctx context.Context, namespace, workload string, within func(diagnose.View) diagnose.View) ([]command.Standing, error) {
			return lookNow(ctx, within(cl.view.Fresh()), engine, c.thresholds(), desk, namespace, workload)
		},
		Render: func(inc diagnose.Incident, d diagnose.Diagnosis) notify.Message {
			return notify.Detail(inc, d, notify.RenderOptions{})
		},
		Redact: diagnose.NewRedactor().Redact,
		OnAction: func(ctx context.Context, id string, out action.Outcome) {
			if id == "" {
				return
			}
			done := notify.Action{User: out.Request.Person.ID, Name: out.Request.Person.Name, Did: out.Says, Notes: out.Notes}
			if standing, ok := desk.Find(id); ok && out.Undo == notify.ActionScaleBack {
				undo := notify.ScaleBackButton(standing.Incident)
				done.Undo = &undo
			}
			line := notify.ActionLine(done)
			if err := desk.Say(ctx, id, fmt.Sprintf("action/%d", time.Now().UnixNano()), line); err != nil {
				log.Error("an action could not be said in the thread", "incident", id, "action", out.Request.Action, "error", err)
			}
		},
	})
}

// lookNow diagnoses what fails in one workload at this moment. What the bot already calls an incident keeps its name.
func lookNow(ctx context.Context, view diagnose.View, engine *diagnose.Engine, thresholds diagnose.Thresholds, desk *bot.Bot, namespace, workload string) ([]command.Standing, error) {
	symptoms, err := diagnose.Find(ctx, view, diagnose.Scope{Namespace: namespace, Name: workload}, thresholds)
	if err != nil {
		return nil, err
	}
	var all []command.Standing
	for _, s := range symptoms {
		d, err := engine.Diagnose(ctx, view, s)
		if err != nil {
			return nil, err
		}
		inc := diagnose.Incident{Subject: d.Subject, Condition: s.Condition, Says: s.Says, State: diagnose.Open, Restarts: d.Restarts, ExitCode: d.ExitCode}
		for _, known := range desk.Incidents() {
			if known.Incident.Subject.Key() == s.Subject.Key() {
				inc = known.Incident
			}
		}
		all = append(all, command.Standing{Incident: inc, Diagnosis: &d})
	}
	return all, nil
}

// listen opens the address for health and metrics. On somebody's own machine it stays on loopback, and a port that is taken is no reason
// not to run: nobody's probes ask for it there.
func listen(ctx context.Context, addr string, inCluster bool, log *slog.Logger) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	if !inCluster && strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		if !inCluster {
			log.Warn("health and metrics are not served; set CRASHLOOP_LISTEN to another address", "error", err)
			return nil, nil
		}
		return nil, fmt.Errorf("listening for health and metrics (CRASHLOOP_LISTEN): %w", err)
	}
	return l, nil
}
