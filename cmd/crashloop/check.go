package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crashloop/bot/access"
	"crashloop/notify"
	"crashloop/notify/slack"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Test kubeconfig, permissions, tokens, scopes and channel",
		Long:  "Check tries everything that the bot needs, changes nothing, and says what is wrong and how to mend it. Its exit status is 1 when the bot could not work.",
		Args:  noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			return check(ctx, cmd.OutOrStdout())
		},
	}
}

// report prints findings as they come and counts what is wrong.
type report struct {
	w     io.Writer
	wrong int
}

func (r *report) say(mark, what, says, do string) {
	fmt.Fprintf(r.w, "%-4s  %-22s %s\n", mark, what, strings.ReplaceAll(says, "\n", "\n"+strings.Repeat(" ", 29)))
	if do != "" {
		fmt.Fprintf(r.w, "      %-22s -> %s\n", "", strings.ReplaceAll(do, "\n", "\n"+strings.Repeat(" ", 32)))
	}
}

func (r *report) ok(what, says string) { r.say("ok", what, says, "") }

func (r *report) warn(what, says, do string) { r.say("warn", what, says, do) }

func (r *report) bad(what, says, do string) {
	r.wrong++
	r.say("BAD", what, says, do)
}

func check(ctx context.Context, w io.Writer) error {
	r := &report{w: w}
	c, err := loadConfig(os.Environ())
	if err != nil {
		r.bad("settings", err.Error(), "config.example.env describes each setting")
		return r.end()
	}
	r.ok("settings", "all can be read")
	checkCluster(ctx, r, c)
	checkSlack(ctx, r, c)
	if c.EvidenceAge == 0 {
		r.warn("evidence", "none is kept: the log of a crash is gone when the next one ends", "set CRASHLOOP_EVIDENCE_AGE to how long it shall be kept")
	} else {
		r.ok("evidence", fmt.Sprintf("kept for %s, up to %s of one incident and %s in all", strings.TrimSuffix(c.EvidenceAge.String(), "0m0s"), c.EvidenceIncidentSize, c.EvidenceTotalSize))
	}
	switch {
	case c.AccessFile != "":
		if _, err := access.OpenFile(c.AccessFile, slog.New(slog.DiscardHandler)); err != nil {
			r.bad("access file", err.Error(), "mend "+c.AccessFile)
		} else {
			r.ok("access file", c.AccessFile)
		}
	case c.SlackBotToken != "":
		r.warn("access file", "there is none: nobody may read or change anything by Slack", "write one and set CRASHLOOP_ACCESS_FILE; README shows its form")
	}
	return r.end()
}

func (r *report) end() error {
	if r.wrong == 0 {
		fmt.Fprintln(r.w, "\nThe bot can run.")
		return nil
	}
	return fmt.Errorf("%d of the things that the bot needs are not as they should be", r.wrong)
}

func checkCluster(ctx context.Context, r *report, c Config) {
	cl, err := openCluster(c)
	if err != nil {
		r.bad("cluster", err.Error(), "")
		return
	}
	info, err := cl.clients.Objects.Discovery().ServerVersion()
	if err != nil {
		r.bad("cluster", fmt.Sprintf("%s does not answer: %v", cl.clients.Config.Host, err), "is the kubeconfig right, and the cluster up? (kubectl version)")
		return
	}
	r.ok("cluster", fmt.Sprintf("%s, Kubernetes %s, by %s", cl.name, info.GitVersion, cl.source))
	me, err := access.NewSelf(access.SelfOptions{Reviews: cl.clients.Objects.AuthorizationV1(), Who: cl.clients.Objects.AuthenticationV1(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.bad("permissions", err.Error(), "")
		return
	}
	where := c.Namespaces
	if len(where) == 0 {
		where = []string{""}
	}
	missing, err := missingPermissions(ctx, me, where, cl.inCluster)
	switch {
	case err != nil:
		r.bad("permissions", err.Error(), "")
	case len(missing.needed) > 0:
		r.bad("permissions", "may not "+strings.Join(missing.needed, "\nmay not "), "kubectl apply -f deploy/rbac.yaml, and run as its ServiceAccount")
	case len(missing.useful) > 0:
		r.warn("permissions", "may not "+strings.Join(missing.useful, "\nmay not "), "diagnoses will name these as gaps; deploy/rbac.yaml grants them")
	default:
		r.ok("permissions", "all that deploy/rbac.yaml grants")
	}
}

// lacking are permissions that the bot does not have: those that it cannot run without, and those that make it know or do more.
type lacking struct{ needed, useful []string }

func missingPermissions(ctx context.Context, me *access.Decider, namespaces []string, inCluster bool) (lacking, error) {
	var l lacking
	for _, rule := range clusterRules() {
		for _, resource := range rule.Resources {
			name, sub, _ := strings.Cut(resource, "/")
			for _, verb := range rule.Verbs {
				for _, ns := range namespaces {
					p := access.Permission{Verb: verb, Group: rule.APIGroups[0], Resource: name, Subresource: sub, Namespace: ns}
					d := me.Decide(ctx, notify.Person{ID: "check", Member: true}, p)
					switch {
					case d.Allowed:
					case len(d.Missing) == 0:
						return l, errors.New(d.Says)
					case resource == "pods" && verb != "get", resource == "subjectaccessreviews" && inCluster:
						l.needed = append(l.needed, p.String())
					case resource == "subjectaccessreviews": // the local workspace asks for the person itself
					default:
						l.useful = append(l.useful, p.String())
					}
				}
			}
		}
	}
	return l, nil
}

func checkSlack(ctx context.Context, r *report, c Config) {
	if c.SlackBotToken == "" {
		r.warn("slack", "there are no tokens; outside a cluster the bot opens a workspace of its own", "set CRASHLOOP_SLACK_BOT_TOKEN and CRASHLOOP_SLACK_APP_TOKEN to post to Slack")
		return
	}
	client, err := slack.New(slack.Options{BotToken: string(c.SlackBotToken), AppToken: string(c.SlackAppToken), APIURL: c.SlackAPIUrl, Command: c.SlackCommand, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.bad("slack", err.Error(), "")
		return
	}
	for _, f := range client.Check(ctx, c.Channel) {
		switch {
		case f.OK:
			r.ok(f.What, f.Says)
		case f.Warning:
			r.warn(f.What, f.Says, f.Do)
		default:
			r.bad(f.What, f.Says, f.Do)
		}
	}
}
