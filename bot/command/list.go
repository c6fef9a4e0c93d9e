package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"crashloop/diagnose"
	"crashloop/notify"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxRows bounds the table: Slack takes 100 rows, and a person reads fewer.
const maxRows = 40

func list() command {
	return command{
		name: "list", args: "[NAMESPACE]", short: "shows what keeps failing now", most: 1,
		long:     "Shows the open incidents in the namespaces where you may list pods.",
		examples: []string{"list", "list shop"},
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			var only string
			if len(c.args) == 1 {
				if only = c.args[0]; len(validation.IsDNS1123Label(only)) > 0 {
					return notify.Message{}, misuse("%q cannot be the name of a namespace.", cut(only, 60))
				}
			}
			var open []Standing
			var namespaces []string
			for _, s := range c.o.Incidents() {
				if ns := s.Incident.Subject.Namespace; s.Incident.State == diagnose.Open && (only == "" || only == ns) {
					open = append(open, s)
					namespaces = append(namespaces, ns)
				}
			}
			slices.Sort(namespaces)
			if only != "" {
				namespaces = []string{only}
			}
			may, err := c.o.Access.Namespaces(ctx, c.person, slices.Compact(namespaces))
			if err != nil {
				return notify.Message{}, c.deny(ctx, only, err)
			}
			if only != "" && len(may) == 0 {
				return notify.Message{}, c.mayNotLook(ctx, only)
			}
			open = slices.DeleteFunc(open, func(s Standing) bool { return !slices.Contains(may, s.Incident.Subject.Namespace) })
			if open, err = c.withoutLogs(ctx, open); err != nil {
				return notify.Message{}, err
			}
			return incidents(open, c.o.Cluster, only), nil
		},
	}
}

// withoutLogs leaves those diagnoses only that tell of no namespace but ones whose logs the person may read: a summary quotes them. Of the
// others it leaves the cause's id.
func (c *call) withoutLogs(ctx context.Context, open []Standing) ([]Standing, error) {
	may := map[string]bool{}
	for i, s := range open {
		if s.Diagnosis == nil {
			continue
		}
		for _, namespace := range append(s.Diagnosis.Elsewhere(), s.Incident.Subject.Namespace) {
			if _, asked := may[namespace]; !asked {
				allowed, err := c.o.Access.May(ctx, c.person, podLogs(namespace, ""))
				if err != nil {
					return nil, c.deny(ctx, namespace, err)
				}
				may[namespace] = allowed
			}
			if !may[namespace] {
				open[i].Diagnosis = &diagnose.Diagnosis{Summary: s.Diagnosis.Cause}
				break
			}
		}
	}
	return open, nil
}

// incidents draws a table, the newest trouble first.
func incidents(open []Standing, cluster, only string) notify.Message {
	where := "where you may list pods"
	if only != "" {
		where = "in namespace " + only
	}
	if len(open) == 0 {
		return say(fmt.Sprintf("Nothing keeps failing %s in cluster %s.", where, cluster))
	}
	slices.SortFunc(open, func(a, b Standing) int {
		return cmp.Or(b.Incident.Since.Compare(a.Incident.Since), cmp.Compare(a.Incident.Subject.Key(), b.Incident.Subject.Key()))
	})
	table := &notify.Table{Header: []string{"Workload", "Container", "Cause", "Restarts", "For"}}
	now := time.Now()
	for _, s := range open[:min(len(open), maxRows)] {
		cause := string(s.Incident.Condition)
		if s.Diagnosis != nil && s.Diagnosis.Summary != "" {
			cause = s.Diagnosis.Summary
		}
		since := ""
		if !s.Incident.Since.IsZero() {
			since = ago(now.Sub(s.Incident.Since))
		}
		table.Rows = append(table.Rows, []string{
			strings.Replace(full(s.Incident.Subject), "/deployment/", "/", 1), s.Incident.Subject.Container, cut(cause, 100), strconv.Itoa(int(s.Incident.Restarts)), since,
		})
	}
	noun := "incidents"
	if len(open) == 1 {
		noun = "incident"
	}
	m := notify.Message{Text: fmt.Sprintf("%d open %s %s in cluster %s.", len(open), noun, where, cluster)}
	m.Blocks = []notify.Block{{Text: []notify.Span{notify.T(m.Text)}}, {Table: table}}
	if more := len(open) - maxRows; more > 0 {
		m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(fmt.Sprintf("%d older ones are not shown. list NAMESPACE shows those of one namespace.", more))}})
	}
	return m
}

// full is how a subject's workload can be typed: shop/deployment/web.
func full(s diagnose.Subject) string {
	return s.Namespace + "/" + strings.ToLower(s.Kind()) + "/" + s.Name()
}
