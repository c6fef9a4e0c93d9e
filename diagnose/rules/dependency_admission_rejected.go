package rules

import (
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func dependencyAdmissionRejected() diagnose.Rule {
	quota := regexp.MustCompile(`exceeded quota: (?P<name>[\w.-]+), requested: (?P<asked>[^;]+?), used: (?P<used>[^;]+?), limited: (?P<limit>[^;\n]+)`)
	must := regexp.MustCompile(`failed quota: (?P<name>[\w.-]+): must specify (?P<what>[^\n]+)`)
	security := regexp.MustCompile(`violates PodSecurity "(?P<level>[^"]+)": (?P<why>.+)`)
	account := regexp.MustCompile(`(?i)error looking up service account (?P<ns>[\w.-]+)/(?P<name>[\w.-]+)|serviceaccount "(?P<name2>[\w.-]+)" not found`)
	limits := regexp.MustCompile(`(?P<why>(?:maximum|minimum) (?:cpu|memory|\S+) usage per \w+ is [^,]+(?:, but (?:limit|request) is [^,.]+)?)`)
	priority := regexp.MustCompile(`no PriorityClass with name (?P<name>\S+) was found`)
	hook := regexp.MustCompile(`(?i)failed calling (?:admission )?webhook|admission webhook`)
	return diagnose.Rule{
		ID: "dependency.admission-rejected", Category: "dependency", Title: "The cluster refuses to create its pods",
		Doc: diagnose.Doc{
			Means:   "No pod of the workload exists because the API server refuses them: a ResourceQuota is used up, a LimitRange or the Pod Security level of the namespace forbids them, or their ServiceAccount or PriorityClass does not exist.",
			Confirm: "`kubectl describe replicaset` (or statefulset, daemonset, job): FailedCreate says which rule refused. `kubectl describe quota` shows used and allowed.",
			Mend:    "Ask for less or raise the quota; change the field that the rule names; create the ServiceAccount.",
			Source:  "kubernetes.io/docs/concepts/policy/resource-quotas, .../limit-range, .../security/pod-security-standards",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			said := refusals(c)
			if len(said) == 0 {
				return out
			}
			s := said[0]
			if hook.MatchString(s.text) {
				return out
			}
			f := fromStatement(s)
			ns := c.Subject.Namespace
			switch {
			case groups(quota, s.text) != nil:
				g := groups(quota, s.text)
				f.Root = "ResourceQuota/" + ns + "/" + g["name"]
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is used up: " + g["used"] + " of " + g["limit"]}}
				f.Summary = fmt.Sprintf("%s has no pods: they ask for %s, and quota %s has %s used of %s", c.Who(), g["asked"], g["name"], g["used"], g["limit"])
				f.Advice = "Free some of the quota, ask for less, or raise it"
				f.Fixes = []diagnose.Fix{{Title: "See what uses the quota", Command: c.Kubectl("describe", "quota", g["name"])}}
			case groups(must, s.text) != nil:
				g := groups(must, s.text)
				f.Root = "ResourceQuota/" + ns + "/" + g["name"]
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "demands that pods specify " + g["what"]}}
				f.Summary = fmt.Sprintf("%s has no pods: quota %s demands that they specify %s", c.Who(), g["name"], g["what"])
				f.Advice = "Set these requests and limits in the pod template"
				f.Fixes = []diagnose.Fix{{Title: "Set them", Command: c.Kubectl("set", "resources", c.Target(), "--requests=cpu=100m,memory=128Mi", "--limits=cpu=500m,memory=256Mi")}}
			case groups(security, s.text) != nil:
				g := groups(security, s.text)
				f.Root = "Namespace//" + ns
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "enforces Pod Security " + g["level"]}}
				f.Summary = fmt.Sprintf("%s has no pods: namespace %s enforces Pod Security %s, which they violate: %s", c.Who(), ns, g["level"], diagnose.Shorten(g["why"], 200))
				f.Advice = "Change these fields in the pod template"
				f.Fixes = []diagnose.Fix{{Title: "Fit the restricted level", Patch: podPatch(c, restricted(c))}}
			case groups(account, s.text) != nil:
				g := groups(account, s.text)
				name := g["name"]
				f.Root = "ServiceAccount/" + ns + "/" + name
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
				f.Summary = fmt.Sprintf("%s has no pods: its ServiceAccount %s does not exist in namespace %s", c.Who(), name, ns)
				f.Advice = "Create it, or correct serviceAccountName"
				f.Fixes = []diagnose.Fix{{Title: "Create the ServiceAccount", Command: c.Kubectl("create", "serviceaccount", name)}}
			case groups(priority, s.text) != nil:
				name := groups(priority, s.text)["name"]
				f.Root = "PriorityClass//" + name
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
				f.Summary = fmt.Sprintf("%s has no pods: its PriorityClass %s does not exist", c.Who(), name)
				f.Advice = "Create it, or correct priorityClassName"
				f.Fixes = []diagnose.Fix{{Title: "See which there are", Command: "kubectl get priorityclass"}}
			case groups(limits, s.text) != nil:
				g := groups(limits, s.text)
				f.Summary = fmt.Sprintf("%s has no pods: a LimitRange of namespace %s refuses them: %s", c.Who(), ns, g["why"])
				f.Advice = "Set requests and limits within the range"
				if n := names(c, diagnose.LimitRanges); len(n) == 1 {
					f.Root = "LimitRange/" + ns + "/" + n[0]
					f.Chain = []diagnose.Link{{Object: f.Root, Says: g["why"]}}
				}
				f.Fixes = []diagnose.Fix{{Title: "See the range", Command: c.Kubectl("describe", "limitrange")}}
			default:
				f.Summary = fmt.Sprintf("%s has no pods: the cluster refuses to create them: %s", c.Who(), diagnose.Shorten(lastColon(s.text), 220))
				f.Advice = "Change the field that the message names"
				f.Fixes = []diagnose.Fix{{Title: "Read all of the message", Command: c.Kubectl("get", "events", "--field-selector=reason=FailedCreate")}}
			}
			return append(out, f)
		},
	}
}

// restricted sets what the Pod Security level of that name asks for, in every container.
func restricted(c *diagnose.Case) string {
	const container = "  securityContext:\n    allowPrivilegeEscalation: false\n    capabilities:\n      drop: [ALL]\n"
	out := "securityContext:\n  runAsNonRoot: true\n  seccompProfile:\n    type: RuntimeDefault\n"
	for _, l := range []struct {
		name string
		list []corev1.Container
	}{{"containers", c.Spec.Containers}, {"initContainers", c.Spec.InitContainers}} {
		if len(l.list) > 0 {
			out += l.name + ":\n"
		}
		for _, ct := range l.list {
			out += "- name: " + diagnose.Scalar(ct.Name) + "\n" + container
		}
	}
	return out
}
