package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"crashloop/bot/kube"
	"crashloop/diagnose"
	"crashloop/diagnose/rules"
	"crashloop/diagnose/snapshot"
)

func newDiagnose() *cobra.Command {
	var from, record, output, kubecontext string
	cmd := &cobra.Command{
		Use:   "diagnose [NAMESPACE | NAMESPACE/NAME]",
		Short: "Find out why things crash-loop, once, in the terminal",
		Long: `Diagnose looks at the whole cluster, one namespace, or one workload or pod, and says why each crash loop in it happens, with the evidence.

It reads what the bot reads, with your own permissions, and changes nothing. With --from it reads files instead: Kubernetes objects as YAML or JSON
with logs beside them, the output of 'kubectl cluster-info dump --output-directory DIR -A', or a recording made with --record. It takes a directory, or a
.tar.gz of one, such as the evidence that the bot keeps of an incident.

Exit status: 0 it could look, whatever it found; 1 it could not; 2 bad usage.`,
		Example: `  crashloop diagnose
  crashloop diagnose shop
  crashloop diagnose shop/web -o json
  crashloop diagnose shop/web --record evidence/     # redacted; attach it to a bug report
  crashloop diagnose --from evidence/
  crashloop diagnose --from evidence-shop-web-20260301-0310.tar.gz`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return &usageError{fmt.Errorf("-o %q: it is text or json", output)}
			}
			scope, err := readScope(args)
			if err != nil {
				return err
			}
			config, err := loadConfig(os.Environ())
			if err != nil {
				return &usageError{err}
			}
			notes := func(note string) { fmt.Fprintln(cmd.ErrOrStderr(), "note:", note) }
			var view diagnose.View
			if from != "" {
				view, err = snapshot.Open(from, snapshot.Options{Cluster: config.Cluster, Notes: notes})
			} else {
				if kubecontext != "" {
					config.Context = kubecontext
				}
				view, err = liveView(config)
			}
			if err != nil {
				return err
			}
			return diagnoseOnce(cmd.Context(), view, scope, config.thresholds(), record, output, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "read the files in this `DIR`, or .tar.gz file, instead of a cluster")
	cmd.Flags().StringVar(&record, "record", "", "write what was read, redacted, to this new `DIR`")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.Flags().StringVar(&kubecontext, "context", "", "the kubeconfig context to use")
	return cmd
}

// readScope reads NAMESPACE, NAMESPACE/NAME or NAMESPACE/KIND/NAME.
func readScope(args []string) (diagnose.Scope, error) {
	if len(args) == 0 {
		return diagnose.Scope{}, nil
	}
	ns, name, named := strings.Cut(args[0], "/")
	if !namespace.MatchString(ns) {
		return diagnose.Scope{}, &usageError{fmt.Errorf("%q: %q is not a namespace's name; give NAMESPACE or NAMESPACE/NAME", args[0], ns)}
	}
	if named && name == "" {
		return diagnose.Scope{}, &usageError{fmt.Errorf("%q: nothing follows the slash; give NAMESPACE or NAMESPACE/NAME", args[0])}
	}
	return diagnose.Scope{Namespace: ns, Name: name}, nil
}

func (c *Config) thresholds() diagnose.Thresholds {
	t := diagnose.DefaultThresholds()
	t.Crashes, t.Window, t.StuckAfter = c.Crashes, c.Window, c.StuckAfter
	t.SlowRestarts, t.SlowWindow = c.SlowRestarts, c.SlowWindow
	return t
}

// liveView opens the cluster of the kubeconfig.
func liveView(c Config) (diagnose.View, error) {
	rest, source, err := kube.Config("", c.Context, version)
	if err != nil {
		return nil, err
	}
	view, err := kube.NewView(kube.ViewOptions{Config: rest, Cluster: c.clusterName(source), Namespaces: c.Namespaces, IgnoreNamespaces: c.IgnoreNamespaces})
	if err != nil {
		return nil, err
	}
	return view.Fresh(), nil
}

// clusterName is what messages call the cluster.
func (c *Config) clusterName(source kube.Source) string {
	switch {
	case c.Cluster != "":
		return c.Cluster
	case source.Context != "":
		return source.Context
	}
	return "cluster"
}

// newEngine builds the engine with the whole catalogue.
func newEngine(log *slog.Logger) (*diagnose.Engine, error) {
	return diagnose.New(rules.All(), diagnose.Options{Redact: diagnose.NewRedactor(), Logger: log})
}

// recordedSymptoms are those that a recording of the bot says it diagnosed, as far as they are asked for; what its watch saw may not show in
// the recorded objects any more.
func recordedSymptoms(view diagnose.View, scope diagnose.Scope) []diagnose.Symptom {
	s, ok := view.(*snapshot.Snapshot)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(s.Symptoms(), func(s diagnose.Symptom) bool {
		about := s.Subject
		named := scope.Name == "" || slices.Contains([]string{about.Name(), about.Pod, strings.ToLower(about.Workload), "pod/" + about.Pod}, strings.ToLower(scope.Name))
		return scope.Namespace != "" && scope.Namespace != about.Namespace || !named
	})
}

// diagnoseOnce finds what crash-loops in a view and prints why.
func diagnoseOnce(ctx context.Context, view diagnose.View, scope diagnose.Scope, thresholds diagnose.Thresholds, record, output string, stdout, stderr io.Writer) error {
	engine, err := newEngine(slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	recorded := recordedSymptoms(view, scope)
	var recorder *snapshot.Recorder
	if record != "" {
		if err := snapshot.CheckRecordDir(record); err != nil {
			return err // before any work is done
		}
		recorder = snapshot.Record(view, diagnose.NewRedactor())
		view = recorder
	}
	symptoms := recorded
	if len(symptoms) == 0 {
		var err error
		if symptoms, err = diagnose.Find(ctx, view, scope, thresholds); err != nil {
			return fmt.Errorf("looking for crash loops: %w", err)
		}
	}
	all := make([]diagnose.Diagnosis, 0, len(symptoms))
	var failed []error
	for _, s := range symptoms {
		d, err := engine.Diagnose(ctx, view, s)
		if err != nil {
			failed = append(failed, fmt.Errorf("diagnosing %s/%s: %w", s.Subject.Namespace, s.Subject.Workload, err))
			continue
		}
		all = append(all, d)
	}
	if recorder != nil {
		if err := recorder.Write(record); err != nil {
			failed = append(failed, err)
		} else {
			fmt.Fprintf(stderr, "recorded what was read in %s; look through it before you pass it on\n", record)
		}
	}
	if output == "json" {
		err = diagnose.WriteJSON(stdout, all)
	} else {
		err = writeText(stdout, all, scope)
	}
	return errors.Join(append(failed, err)...)
}

// writeText prints diagnoses for a person.
func writeText(w io.Writer, all []diagnose.Diagnosis, scope diagnose.Scope) error {
	if len(all) == 0 {
		where := "in the cluster"
		switch {
		case scope.Name != "":
			where = "in " + scope.Namespace + "/" + scope.Name
		case scope.Namespace != "":
			where = "in namespace " + scope.Namespace
		}
		_, err := fmt.Fprintf(w, "Nothing crash-loops %s.\n", where)
		return err
	}
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := io.WriteString(w, diagnose.Text(d)); err != nil {
			return err
		}
	}
	return nil
}
