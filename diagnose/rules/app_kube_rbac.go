package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func appKubeRBAC() diagnose.Rule {
	// Of a kind that no API but Kubernetes' has. Its words are not the status, which every access log is full of.
	apiWords := []string{"/apis/"}
	for _, plural := range []string{"pods", "nodes", "endpoints", "services", "secrets", "configmaps", "events", "namespaces", "persistentvolumes"} {
		apiWords = append(apiWords, "/api/v1/"+plural)
	}
	// Other servers have paths like these, too: the host is one that an API server has, or the group one that it always serves.
	const apiHost = `https?://(?:kubernetes(?:\.default(?:\.svc(?:\.[\w.-]+)?)?)?|\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]|[\w.-]+:6443|[\w.-]+\.(?:eks\.amazonaws\.com|azmk8s\.io))(?::\d+)?/`
	const apiPath = `(?:https?://[^\s/'"]+/apis/(?:apps|batch|autoscaling|policy|[\w.-]+\.k8s\.io)/v\d|` + apiHost + `(?:api/v1/(?:namespaces/[\w.-]+/(?:pods|endpoints|services|secrets|configmaps|events|serviceaccounts|persistentvolumeclaims)|(?:pods|nodes|endpoints|services|secrets|configmaps|events|namespaces|persistentvolumes)\b)|apis/[a-z0-9][a-z0-9.-]*/v\d\w*/))`
	return diagnose.Rule{
		ID: "app.kube-rbac", Category: "app-error", Title: "Its ServiceAccount may not do what it asks of the Kubernetes API",
		Doc: diagnose.Doc{
			Means:   "The program talks to the Kubernetes API as its ServiceAccount, and no Role or ClusterRole allows what it asks for.",
			Confirm: "`kubectl logs POD --previous` says \"is forbidden: User system:serviceaccount:NAMESPACE:NAME cannot VERB resource\"; `kubectl auth can-i VERB RESOURCE --as=system:serviceaccount:NAMESPACE:NAME` asks the API.",
			Mend:    "Bind a Role with that verb and resource to the ServiceAccount, or give the pod the ServiceAccount that has it.",
			Source:  "kubernetes.io/docs/reference/access-authn-authz/rbac",
		},
		Log: []diagnose.Pattern{{Words: []string{"is forbidden: user", "cannot list resource", "cannot get resource", "cannot watch resource", "cannot create resource"}, Regexp: `(?:\\*"(?P<object>[\w.:-]+)\\*" is forbidden: )?User \\*"system:serviceaccount:(?P<ns>[\w.-]+):(?P<sa>[\w.-]+)\\*" cannot (?P<verb>\w+) (?:resource )?\\*"?(?P<resource>[\w./-]+)\\*"?(?: in API group \\*"(?P<group>[^"\\]*)\\*")?(?: (?:in the namespace \\*"(?P<in>[^"\\]+)|at the (?P<cluster>cluster scope)))?`}, {Name: "user", Words: []string{"is forbidden: user"}, Regexp: `is forbidden: User \\*"(?P<user>[\w.:@/-]+)\\*" cannot (?P<verb>\w+) resource \\*"(?P<resource>[\w./-]+)`},
			// What admission holds against the account that asks: OpenShift's security context constraints, and rights that it would hand on.
			{Name: "beyond", Words: []string{"exceeds your permissions", "attempting to grant rbac permissions"}, Regexp: `is forbidden: (?P<what>\w+) operation is not allowed because the pod's security context exceeds your permissions|is forbidden: user \\*"(?P<user>[^"\\]+)\\*".{0,300}is attempting to grant RBAC permissions not currently held`},
			// Clients that only say what the API answered, such as RabbitMQ's peer discovery.
			{Name: "answer", Words: []string{"kubernetes api", "from k8s", "from kubernetes", "by kubernetes"}, Regexp: `(?i)(?:kubernetes api|(?:from|by) (?:the )?(?:k8s|kubernetes))(?: server| api)*\b[^.\n]{0,60}\b(?:403|forbidden)\b`},
			{Name: "answer", Words: apiWords, Regexp: `(?:\b403\b|\b[Ff]orbidden\b)[^\n]{0,120}` + apiPath + `|` + apiPath + `[^\n]{0,200}(?:\b403\b|\b[Ff]orbidden\b)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			// What a line says in Kubernetes' own words tells more than that a client got an answer.
			exact := slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool {
				return strings.HasPrefix(h.Group("user"), "system:serviceaccount:") || h.Pattern == "answer" || h.Pattern == "beyond"
			})
			f, h, ok := lastHit(c, exact, nil)
			if !ok {
				f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "answer" || h.Pattern == "beyond" })
			}
			if !ok {
				return nil
			}
			if h.Pattern == "answer" || h.Pattern == "beyond" {
				f.Keys = []string{"403", "forbidden"}
				f.Root = "ServiceAccount/" + c.Subject.Namespace + "/" + firstOf(c.Spec.ServiceAccountName, "default")
				f.Weight = 20
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is forbidden what the program asks of the Kubernetes API"}}
				f.Summary = fmt.Sprintf("%s ends because the Kubernetes API forbids its ServiceAccount %s what it asks for: %s", c.Who(), firstOf(c.Spec.ServiceAccountName, "default"), inSentence(h, 160))
				f.Advice = "Grant it what the program's documentation asks for, by a Role and a RoleBinding"
				f.Fixes = []diagnose.Fix{{Title: "See what it may do", Command: diagnose.Kubectl("", "auth", "can-i", "--list", "--as=system:serviceaccount:"+c.Subject.Namespace+":"+firstOf(c.Spec.ServiceAccountName, "default"))}}
				return []diagnose.Finding{f}
			}
			ns, sa, verb, resource, group := h.Group("ns"), h.Group("sa"), h.Group("verb"), h.Group("resource"), h.Group("group")
			f.Confidence, f.Weight = diagnose.Certain, 30
			f.Keys = []string{resource, "forbidden", "caches to sync", "cache to be synced", "cache to sync"} // it waits in vain for what it may not list
			if user := h.Group("user"); user != "" {
				f.Proof = diagnose.Corroborated
				f.Summary = fmt.Sprintf("%s ends because the user %s, as whom its kubeconfig signs it in, may not %s %s", c.Who(), user, verb, resource)
				f.Advice = "Bind a role with that right to the user, or give it a kubeconfig of a user who has it"
				f.Fixes = []diagnose.Fix{{Title: "Ask the API what that user may", Command: diagnose.Kubectl("", "auth", "can-i", "--list", "--as="+user)}}
				return []diagnose.Finding{f}
			}
			f.Root = "ServiceAccount/" + ns + "/" + sa
			f.Chain = []diagnose.Link{{Object: f.Root, Says: fmt.Sprintf("may not %s %s", verb, resource)}}
			where := "in namespace " + h.Group("in")
			if h.Group("in") == "" {
				where = "in the whole cluster"
			}
			if group != "" {
				resource += "." + group
			}
			what := resource
			if o := h.Group("object"); o != "" {
				what += " " + o
			}
			f.Summary = fmt.Sprintf("%s ends because its ServiceAccount %s/%s may not %s %s %s", c.Who(), ns, sa, verb, what, where)
			f.Advice = "Grant it that by a Role and a RoleBinding"
			if sa == "default" {
				f.Advice = "Give the pod a ServiceAccount of its own with a Role for that; it runs as default"
			}
			if ns != c.Subject.Namespace || c.Spec.ServiceAccountName != "" && sa != c.Spec.ServiceAccountName {
				// Whoever writes a log could have rights granted to any account, if its word were enough.
				f.Confidence = diagnose.Likely
				f.Summary = fmt.Sprintf("%s ends because ServiceAccount %s/%s, as which it says that it signs in, may not %s %s %s; its own is %s", c.Who(), ns, sa, verb, what, where, firstOf(c.Spec.ServiceAccountName, "another"))
				f.Advice = "Find out why it is not its own ServiceAccount before you grant anything"
				f.Fixes = []diagnose.Fix{{Title: "Ask the API what that account may", Command: diagnose.Kubectl("", "auth", "can-i", "--list", "--as=system:serviceaccount:"+ns+":"+sa)}}
				return []diagnose.Finding{f}
			}
			if (resource == "configmaps" || resource == "secrets") && readsSettings(h) {
				// What it then misses to the end stands there.
				f.Confidence, f.Proof, f.Weight, f.Span = diagnose.Likely, diagnose.Corroborated, 80, h.Log.Len()
				f.Summary = fmt.Sprintf("%s ends without settings that it cannot read: its ServiceAccount %s/%s may not %s %s %s", c.Who(), ns, sa, verb, what, where)
			}
			name := sa + "-" + verb + "-" + strings.Split(resource, ".")[0]
			if h.Group("in") != "" {
				f.Fixes = []diagnose.Fix{
					{Title: "Make a Role with that right", Command: diagnose.Kubectl(h.Group("in"), "create", "role", name, "--verb="+verb, "--resource="+resource)},
					{Title: "Bind it", Command: diagnose.Kubectl(h.Group("in"), "create", "rolebinding", name, "--role="+name, "--serviceaccount="+ns+":"+sa)},
				}
			} else {
				f.Fixes = []diagnose.Fix{
					{Title: "Make a ClusterRole with that right", Command: diagnose.Kubectl("", "create", "clusterrole", name, "--verb="+verb, "--resource="+resource)},
					{Title: "Bind it", Command: diagnose.Kubectl("", "create", "clusterrolebinding", name, "--clusterrole="+name, "--serviceaccount="+ns+":"+sa)},
				}
			}
			return []diagnose.Finding{f}
		},
	}
}

// readsSettings says that a hit stands where a program tells that it could not read its settings from the API.
func readsSettings(h diagnose.Hit) bool {
	for n := max(h.Line-3, 1); n <= h.Line; n++ {
		if settingsSource.MatchString(h.Log.Line(n)) {
			return true
		}
	}
	return false
}

// settingsSource is how libraries that take settings from ConfigMaps and Secrets call them: Spring Cloud Kubernetes, Quarkus, viper's and .NET's providers.
var settingsSource = regexp.MustCompile(`(?i)property ?source|config(?:uration)? ?(?:source|provider|loader)|(?:can(?:no|')t|could not|unable to|failed to) (?:read|load) (?:the )?(?:config|secret)`)
