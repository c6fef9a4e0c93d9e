package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func configCRDMissing() diagnose.Rule {
	return diagnose.Rule{
		ID: "config.crd-missing", Category: "missing-config", Title: "The cluster does not serve a kind that the program needs",
		Doc: diagnose.Doc{
			Means:   "A controller or an installer works with a kind of object that the API server does not know: its CustomResourceDefinition was never applied, or serves other versions than the program asks for. For a kind of Kubernetes itself, the version was removed from this cluster's release.",
			Confirm: "`kubectl logs POD --previous`: \"no matches for kind\", \"could not find the requested resource\" or \"customresourcedefinitions ... not found\"; `kubectl api-resources --api-group=GROUP` lists what is served, `kubectl get crd NAME -o jsonpath='{.spec.versions[*].name}'` its versions.",
			Mend:    "Apply the CustomResourceDefinitions of the very release that runs. Helm installs those in a chart's crds folder once and never upgrades them. For a removed version of a built-in kind, take a release of the program that knows the new one.",
			Source:  "kubernetes.io/docs/tasks/extend-kubernetes/custom-resources, kubernetes.io/docs/reference/using-api/deprecation-guide, helm.sh/docs/chart_best_practices/custom_resource_definitions",
		},
		Log: []diagnose.Pattern{{Words: []string{"no matches for kind", "could not find the requested resource (", "customresourcedefinitions.apiextensions.k8s.io", "crds not installed", "ensure crds exist", "caches to sync", "cache to be synced", "failed to sync cache", "cache to sync", "could not find the requested resource", "custom resources not found", "custom resource ", "custom resource definitions", "missing crd", "missingcrdexception", "page not found", "/apis/"},
			Regexp: `MissingCRDException: '?(?P<crd>[a-z0-9.-]+)|/apis/(?P<of>[a-z0-9][a-z0-9.-]*)/(?P<in>v\d\w*)/(?:namespaces/[\w.-]+/)?(?P<plural>[a-z]+)(?:\?[^\s'"]*)?['")]*\.? (?:Message: |\(?)(?:Not Found|404|the server could not find the requested resource)|\b404\b[^\n]{0,100}/apis/(?P<of2>[a-z0-9][a-z0-9.-]*)/(?P<in2>v\d\w*)/(?:namespaces/[\w.-]+/)?(?P<plural2>[a-z]+)(?:\?[^\s'"]*)?(?:['"),]|$)|(?P<unserved>(?i:http response body|responsebody|body): '?404 page not found|"404 page not found\\n": Failed to parse error data|ErrorResponse \{ status: "404 Not Found", message: "\\"404 page not found|APINotFoundError: \('404 page not found)|no matches for kind \\*"(?P<kind>\w+)\\*" in (?:version|group) \\*"(?P<version>[\w./-]+)|could not find the requested resource \((?:\w+ )(?P<crd>[a-z]+\.[\w.-]+)\)|customresourcedefinitions\.apiextensions\.k8s\.io \\*"(?P<crd2>[\w.-]+)\\*" not found|(?:CRDs not installed|ensure CRDs exist|custom resources? (?:\w+ )?not found|[Cc]ustom [Rr]esource [Dd]efinitions? .{0,60}not (?:found|installed))(?:.*[Mm]issing: \[?(?P<crd3>[a-z]+\.[a-z][\w.-]+\.[a-z]+))?|(?P<asked>(?i:unable|failed|error|cannot|could not)\b.*the server could not find the requested resource(?:$|["\\]))|failed to wait for (?P<cache>[\w.-]+) caches? to sync|(?P<waited>timed out waiting for (?:the )?caches? to (?:be synced|sync)|failed to sync caches?: timed out)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return h.Level != diagnose.Info && h.Level != diagnose.Debug && (h.Group("unserved") == "" || byClient(h))
			})
			if !ok {
				return nil
			}
			kind, version, crd := h.Group("kind"), h.Group("version"), h.Group("crd")
			for i := len(hits) - 1; i >= 0 && kind == "" && crd == ""; i-- { // the last line may only say that it gives up
				kind, version, crd = hits[i].Group("kind"), hits[i].Group("version"), hits[i].Group("crd")
			}
			f.Weight = 20
			if level := h.Level; level < diagnose.Fatal && c.Ran().Minutes() > 10 {
				f.Weight, f.Confidence = -250, diagnose.Possible // it has lived with that
			}
			f.Advice = "Apply the CustomResourceDefinitions of the release that runs"
			// The path that a client asked for: one of a kind that is not served has no answer at all, one of an object that is not there has.
			if of, plural := h.Group("of"), h.Group("plural"); of != "" && builtin(of) {
				kind, version = plural, of+"/"+h.Group("in")
			} else if of != "" {
				crd = plural + "." + of
			}
			switch group, _, _ := strings.Cut(version, "/"); {
			case crd != "":
				f.Keys = []string{crd}
				f.Root = "CustomResourceDefinition//" + crd
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "is not served by the API server"}}
				f.Summary = fmt.Sprintf("%s ends because the cluster does not serve %s: its CustomResourceDefinition is missing or of another version", c.Who(), crd)
				f.Fixes = []diagnose.Fix{{Title: "See whether it is there, and which versions it serves", Command: diagnose.Kubectl("", "get", "crd", crd, "-o", "jsonpath={.spec.versions[*].name}")}}
			case kind != "" && (!strings.Contains(group, ".") || builtin(group)):
				f.Keys = []string{kind}
				f.Summary = fmt.Sprintf("%s ends because this cluster does not serve kind %s in version %s", c.Who(), kind, version)
				f.Advice = "That version is not of this Kubernetes release: take a release of the program that suits the cluster"
				f.Fixes = []diagnose.Fix{{Title: "See the versions that the cluster serves", Command: "kubectl api-versions"}}
			case kind != "":
				f.Keys = []string{kind, group}
				f.Summary = fmt.Sprintf("%s ends because the cluster does not serve kind %s in version %s: its CustomResourceDefinition is missing or of another version", c.Who(), kind, version)
				f.Fixes = []diagnose.Fix{{Title: "See what is served of that group", Command: diagnose.Kubectl("", "api-resources", "--api-group="+group)}}
			case h.Group("asked") != "" || h.Group("unserved") != "":
				f.Summary = fmt.Sprintf("%s ends because it asks for a kind that the API server does not serve, or not in that version: %s", c.Who(), inSentence(h, 160))
				f.Advice = "Take a release of the program that suits the cluster's version, and apply the CustomResourceDefinitions of that release"
				f.Fixes = []diagnose.Fix{{Title: "See the versions that the cluster serves", Command: "kubectl api-versions"}}
			case h.Group("cache") != "" || h.Group("waited") != "":
				f.Weight, f.Confidence = -60, diagnose.Possible
				what := "objects of a kind that it works with"
				if h.Group("cache") != "" {
					what = "the " + h.Group("cache") + " objects that it works with"
				}
				f.Summary = fmt.Sprintf("%s ends because it waits in vain for %s: most often their CustomResourceDefinition is not in the cluster", c.Who(), what)
				f.Advice = "See which kinds it watches, whether the cluster serves them, and whether its ServiceAccount may list them"
				f.Settle = "Its earlier lines, or a higher log level, name the kind that it cannot list and why."
				f.Fixes = []diagnose.Fix{{Title: "See which CustomResourceDefinitions there are", Command: "kubectl get crd"}}
			default:
				f.Summary = fmt.Sprintf("%s ends because CustomResourceDefinitions that it needs are not in the cluster: %s", c.Who(), inSentence(h, 160))
				f.Fixes = []diagnose.Fix{{Title: "See which there are", Command: "kubectl get crd"}}
			}
			return []diagnose.Finding{f}
		},
	}
}

// byClient says that what a line tells came through a client of the Kubernetes API, as the lines around it name one.
func byClient(h diagnose.Hit) bool {
	for n := h.Line; n > 0 && n > h.Line-60; n-- {
		if line := strings.ToLower(h.Log.Line(n)); strings.Contains(line, "kubernetes") || strings.Contains(line, "kube_") || strings.Contains(line, "kube::") || strings.Contains(line, "kopf") || strings.Contains(line, "k8s") {
			return true
		}
	}
	return false
}

// builtin says that an API group is one of Kubernetes itself.
func builtin(group string) bool {
	switch group {
	case "apps", "batch", "autoscaling", "policy", "extensions", "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io", "node.k8s.io", "scheduling.k8s.io", "resource.k8s.io", "internal.apiserver.k8s.io":
		return true
	}
	return false
}
