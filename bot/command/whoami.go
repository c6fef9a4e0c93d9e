package command

import (
	"context"
	"fmt"
	"strings"

	"crashloop/notify"
)

func whoami() command {
	return command{
		name: "whoami", short: "says who you are to Slack and to the cluster, and where you may look",
		run: func(ctx context.Context, c *call) (notify.Message, error) {
			slack := []notify.Span{notify.T(c.person.Name + " "), notify.C(c.person.ID)}
			if c.person.Email != "" {
				slack = append(slack, notify.T(" "+c.person.Email))
			}
			id, dec := c.o.Access.Identity(ctx, c.person)
			if !dec.Allowed {
				m := refused(dec.Says, dec.Grant)
				m.Blocks = append([]notify.Block{{Fields: []notify.Field{{Name: "Slack", Value: slack}, {Name: "Kubernetes", Value: []notify.Span{notify.T("nobody")}}}}}, m.Blocks...)
				return m, nil
			}
			fields := []notify.Field{{Name: "Slack", Value: slack}, {Name: "Kubernetes user", Value: []notify.Span{notify.C(id.String())}}}
			if len(id.Groups) > 0 {
				fields = append(fields, notify.Field{Name: "Kubernetes groups", Value: []notify.Span{notify.C(cut(strings.Join(id.Groups, ", "), 1500))}})
			}
			says := "You may list pods in no namespace."
			if all, err := c.o.Directory.Namespaces(ctx); err != nil {
				c.o.Log.Warn("namespaces could not be listed", "error", err)
				says = "could not be found out just now"
			} else if some, err := c.o.Access.Namespaces(ctx, c.person, all); err != nil {
				says = err.Error()
			} else if len(some) == len(all) && len(all) > 0 {
				says = "all"
			} else if len(some) > 0 {
				says = cut(strings.Join(some, ", "), 1500)
			}
			fields = append(fields, notify.Field{Name: "Namespaces where you may list pods", Value: []notify.Span{notify.T(says)}})
			return notify.Message{
				Text:   fmt.Sprintf("You are %s in cluster %s.", id, c.o.Cluster),
				Blocks: []notify.Block{{Fields: fields}, {Context: []notify.Span{notify.T("What you may do is decided by the RBAC of cluster " + c.o.Cluster + ", each time anew.")}}},
			}, nil
		},
	}
}

// refused says no, and how it could become yes.
func refused(says, grant string) notify.Message {
	m := notify.Message{Text: says, Blocks: []notify.Block{{Text: []notify.Span{{Emoji: "no_entry"}, notify.T(" " + says)}}}}
	if grant != "" {
		m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T("An admin can allow it with:")}}, notify.Block{Code: grant})
	}
	return m
}
