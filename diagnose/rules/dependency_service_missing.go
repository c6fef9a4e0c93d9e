package rules

import (
	"fmt"

	"crashloop/diagnose"
)

func dependencyServiceMissing() diagnose.Rule {
	r := chained("dependency.service-missing", "A Service that it needs does not exist", diagnose.Doc{
		Means:   "The program looks for a host whose name does not resolve, and there is no Service of that name in its namespace. Short names only find Services of the pod's own namespace.",
		Confirm: "`kubectl get services` in the pod's namespace, and `kubectl get services -A | grep NAME` for others.",
		Mend:    "Create the Service, correct the host in the program's configuration, or use NAME.NAMESPACE for a Service of another namespace.",
		Source:  "kubernetes.io/docs/concepts/services-networking/dns-pod-service",
	})
	// Controllers ask the API server for a Service by its name.
	r.Log = []diagnose.Pattern{{Words: []string{"services \"", "services \\\""}, Regexp: `\bservices \\?"(?P<name>[\w.-]+)\\?" not found(?:.*\bservice="?(?P<ns>[\w-]+)/)?`}}
	r.Match = func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
		f, h, ok := lastHit(c, hits, nil)
		if !ok {
			return nil
		}
		name, ns := h.Group("name"), firstOf(h.Group("ns"), c.Subject.Namespace)
		if _, err := c.Get(diagnose.Services, ns, name); err == nil {
			return nil
		}
		if c.Missing(diagnose.Services, ns, name) {
			f.Proof = diagnose.Corroborated
		}
		f.Root, f.Keys = "Service/"+ns+"/"+name, []string{name}
		f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
		f.Summary = fmt.Sprintf("%s ends because there is no Service %s/%s", c.Who(), ns, name)
		f.Advice = "Create it, or correct the name that the program is given"
		if near := diagnose.Nearest(name, names(c, diagnose.Services)); near != "" {
			f.Advice = fmt.Sprintf("Create it, or name Service %s, if that is what is meant", near)
		}
		f.Fixes = []diagnose.Fix{{Title: "See which Services there are", Command: diagnose.Kubectl(ns, "get", "services")}}
		return []diagnose.Finding{f}
	}
	return r
}
