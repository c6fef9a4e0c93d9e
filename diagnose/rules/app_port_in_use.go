package rules

import (
	"fmt"
	"regexp"

	"crashloop/diagnose"
)

func appPortInUse() diagnose.Rule {
	read := newReader()
	re := regexp.MustCompile(`(?i)port|address|bind|listen|EADDR|socket`)
	unix := regexp.MustCompile(`unix:(?://)?(?P<path>/[^\s'"]+)|(?:listen|bind) unix (?P<path2>/[^\s'":]+)`)
	// Docker, of a hostPort.
	allocated := regexp.MustCompile(`Bind for \S*:(?P<port>\d+) failed: port is already allocated|listen tcp\d? \S*:(?P<port2>\d+): bind: address already in use`)
	return diagnose.Rule{
		ID: "app.port-in-use", Category: "app-error", Title: "The port that it wants to listen on is taken",
		Doc: diagnose.Doc{
			Means:   "Something already listens on the port. Containers of one pod share their network, so that two of them cannot use the same port; with hostNetwork or hostPort the whole node is shared.",
			Confirm: "`kubectl logs POD --previous` says \"address already in use\" (EADDRINUSE); `kubectl get pod POD -o jsonpath='{.spec.containers[*].ports}'` shows who declares which port.",
			Mend:    "Give one of the containers another port. If the same program starts twice in its container, start it once.",
			Source:  "bind(2), EADDRINUSE",
		},
		Log: []diagnose.Pattern{{Words: []string{"address already in use", "eaddrinuse", "address in use", "only one usage of each socket", "port is already allocated", "already in use", "failed (98", "already being used", "address not available"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if s, g, ok := said(c, allocated); ok {
				f := fromStatement(s)
				f.Keys = []string{g["port"]}
				f.Summary = fmt.Sprintf("%s cannot start: port %s of node %s, which it wants as its hostPort, is already in use there", c.Who(), g["port"], firstOf(c.Spec.NodeName, "that it runs on"))
				f.Advice = "Use another hostPort, or a Service instead; the node itself or another pod on it holds the port"
				f.Fixes = []diagnose.Fix{{Title: "See which container declares which port", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.containers[*].ports}")}}
				return []diagnose.Finding{f}
			}
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return re.MatchString(h.Text) && (read.port(h.Text) != "" || unix.MatchString(h.Text))
			})
			if !ok {
				if f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool { return re.MatchString(h.Text) }); !ok {
					return nil
				}
			}
			f.Confidence = diagnose.Certain
			number := read.port(h.Text)
			f.Summary = fmt.Sprintf("%s cannot listen: its port is already in use", c.Who())
			if g := groups(unix, h.Text); g != nil {
				f.Confidence, f.Weight = diagnose.Likely, 60
				f.Summary = fmt.Sprintf("%s cannot listen on the socket file %s: it is there already", c.Who(), g["path"])
				f.Advice = "An earlier run that was killed most likely left it behind: delete the pod, whose successor gets an empty directory, and have the start remove the file"
				if c.Subject.Kind() != "Pod" {
					f.Fixes = []diagnose.Fix{{Title: "Replace the pod; its emptyDir goes with it", Command: c.Kubectl("delete", "pod", c.Subject.Pod)}}
				}
				f.Evidence = append(f.Evidence, c.CiteLast()...)
				return []diagnose.Finding{f}
			}
			if number != "" {
				f.Summary = fmt.Sprintf("%s cannot listen on port %s: it is already in use", c.Who(), number)
				f.Keys = []string{number}
			}
			f.Advice = "Give one of the two another port"
			for _, ct := range c.Spec.Containers {
				if ct.Name == c.Subject.Container {
					continue
				}
				for _, p := range ct.Ports {
					if number != "" && fmt.Sprint(p.ContainerPort) == number {
						f.Proof = diagnose.Corroborated
						f.Summary += fmt.Sprintf(", by container %s of the same pod", ct.Name)
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.containers[" + ct.Name + "].ports", Text: number})
					}
				}
			}
			if c.Spec.HostNetwork {
				f.Summary += "; it shares the node's network (hostNetwork)"
				f.Advice = "Use another port, or leave hostNetwork out: the node or another pod on it holds the port"
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.hostNetwork", Text: "true"})
			} else if len(c.Spec.Containers) > 1 && f.Proof == diagnose.Words {
				f.Advice = "Another container of the pod may hold it: they share one network. Give one of them another port"
			}
			f.Fixes = []diagnose.Fix{{Title: "See which container declares which port", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.containers[*].ports}")}}
			return []diagnose.Finding{f}
		},
	}
}
