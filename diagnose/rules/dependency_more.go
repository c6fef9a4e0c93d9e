package rules

import (
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// refusals returns what is said about pods that cannot be created: FailedCreate events of the workload and its ReplicaSets, and the
// Deployment's condition ReplicaFailure.
func refusals(c *diagnose.Case) []statement {
	var out []statement
	if c.Pod != nil && c.Symptom.Condition != diagnose.CannotCreate {
		return nil
	}
	events := c.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if e := events[i]; e.Reason == "FailedCreate" && e.Kind != "Pod" {
			ev := e.Cite()
			out = append(out, statement{ev.Source, e.Reason, e.Message})
		}
	}
	var conditions []statement
	switch w := c.Workload().(type) {
	case *appsv1.Deployment:
		for _, cond := range w.Status.Conditions {
			if cond.Type == appsv1.DeploymentReplicaFailure && cond.Status == corev1.ConditionTrue {
				conditions = append(conditions, statement{"Deployment " + w.Name + " status.conditions[ReplicaFailure]", cond.Reason, cond.Message})
			}
		}
	case *appsv1.ReplicaSet:
		for _, cond := range w.Status.Conditions {
			if cond.Type == appsv1.ReplicaSetReplicaFailure && cond.Status == corev1.ConditionTrue {
				conditions = append(conditions, statement{"ReplicaSet " + w.Name + " status.conditions[ReplicaFailure]", cond.Reason, cond.Message})
			}
		}
	}
	return append(conditions, out...)
}

func dependencyAdmissionRejected() diagnose.Rule {
	quota := regexp.MustCompile(`exceeded quota: (?P<name>[\w.-]+), requested: (?P<asked>[^;]+?), used: (?P<used>[^;]+?), limited: (?P<limit>[^;\n]+)`)
	must := regexp.MustCompile(`failed quota: (?P<name>[\w.-]+): must specify (?P<what>[^;\n]+)`)
	security := regexp.MustCompile(`violates PodSecurity "(?P<level>[^"]+)": (?P<why>.+)`)
	account := regexp.MustCompile(`(?i)error looking up service account (?P<ns>[\w.-]+)/(?P<name>[\w.-]+)|serviceaccount "(?P<name2>[\w.-]+)" not found`)
	limits := regexp.MustCompile(`(?P<why>(?:maximum|minimum) (?:cpu|memory|\S+) usage per \w+ is [^,]+(?:, but (?:limit|request) is [^,.]+)?)`)
	priority := regexp.MustCompile(`no PriorityClass with name (?P<name>\S+) was found`)
	hook := regexp.MustCompile(`(?i)failed calling webhook|admission webhook`)
	return diagnose.Rule{
		ID: "dependency.admission-rejected", Category: "dependency", Title: "The cluster refuses to create its pods",
		Doc: diagnose.Doc{
			Means:   "No pod of the workload exists because the API server refuses them: a ResourceQuota is used up, a LimitRange or the Pod Security level of the namespace forbids them, or their ServiceAccount or PriorityClass does not exist.",
			Confirm: "`kubectl describe replicaset` (or statefulset, daemonset, job): FailedCreate says which rule refused. `kubectl describe quota` shows used and allowed.",
			Mend:    "Ask for less or raise the quota; change the field that the rule names; create the ServiceAccount.",
			Source:  "kubernetes.io/docs/concepts/policy/resource-quotas, .../limit-range, .../security/pod-security-standards",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			out := dependencies(c, "dependency.admission-rejected")
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
				f.Summary = fmt.Sprintf("%s has no pods: namespace %s enforces Pod Security %s, which they violate: %s", c.Who(), ns, g["level"], shorten(g["why"], 200))
				f.Advice = "Change these fields in the pod template"
				f.Fixes = []diagnose.Fix{{Title: "Fit the restricted level", Patch: podPatch(c, "securityContext:\n  runAsNonRoot: true\n  seccompProfile:\n    type: RuntimeDefault\ncontainers:\n- name: CONTAINER\n  securityContext:\n    allowPrivilegeEscalation: false\n    capabilities:\n      drop: [ALL]")}}
			case groups(account, s.text) != nil:
				g := groups(account, s.text)
				name := firstOf(g["name"], g["name2"])
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
				f.Summary = fmt.Sprintf("%s has no pods: the cluster refuses to create them: %s", c.Who(), shorten(lastColon(s.text), 220))
				f.Advice = "Change the field that the message names"
				f.Fixes = []diagnose.Fix{{Title: "Read all of the message", Command: c.Kubectl("get", "events", "--field-selector=reason=FailedCreate")}}
			}
			return append(out, f)
		},
	}
}

func dependencyWebhook() diagnose.Rule {
	re := regexp.MustCompile(`(?s)failed calling webhook "?(?P<name>[\w.-]+)"?: (?P<why>.*)`)
	denies := regexp.MustCompile(`(?s)admission webhook "(?P<name>[^"]+)" denied the request: ?(?P<why>.*)`)
	service := regexp.MustCompile(`https?://(?P<svc>[\w-]+)\.(?P<ns>[\w-]+)\.svc|service "(?P<svc2>[\w-]+)" not found|no endpoints available for service "(?P<svc3>[\w-]+)"`)
	return diagnose.Rule{
		ID: "dependency.webhook", Category: "dependency", Title: "An admission webhook keeps it from working",
		Doc: diagnose.Doc{
			Means:   "The API server asks a webhook before it creates an object, and the webhook does not answer or says no. While its Service has no ready pod, nothing that it watches over can be created.",
			Confirm: "`kubectl get events --field-selector=reason=FailedCreate`: \"failed calling webhook\" or \"denied the request\"; `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`.",
			Mend:    "Bring the webhook's own workload up. If it was removed, delete its configuration. failurePolicy Ignore lets objects pass when it is down.",
			Source:  "kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers",
		},
		Log: []diagnose.Pattern{{Words: []string{"failed calling webhook", "denied the request"}}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var f diagnose.Finding
			var g map[string]string
			text := ""
			for _, s := range refusals(c) {
				if g = groups(re, s.text); g == nil {
					g = groups(denies, s.text)
				}
				if g != nil {
					f, text = fromStatement(s), s.text
					break
				}
			}
			if g == nil {
				var h diagnose.Hit
				var ok bool
				if f, h, ok = lastHit(c, hits, nil); !ok {
					return nil
				}
				text = h.Text
				if g = groups(re, text); g == nil {
					if g = groups(denies, text); g == nil {
						return nil
					}
				}
				f.Weight, f.Keys = 30, []string{"webhook"}
			}
			f.Weight += 30
			what := "has no pods"
			if c.Pod != nil {
				what = "ends"
			}
			if groups(denies, text) != nil {
				f.Summary = fmt.Sprintf("%s %s: webhook %s refuses: %s", c.Who(), what, g["name"], shorten(strings.TrimSpace(g["why"]), 200))
				f.Advice = "Change what the webhook objects to"
				f.Fixes = []diagnose.Fix{{Title: "See the webhooks", Command: "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"}}
				return []diagnose.Finding{f}
			}
			f.Summary = fmt.Sprintf("%s %s: webhook %s cannot be called: %s", c.Who(), what, g["name"], shorten(lastColon(strings.TrimSpace(g["why"])), 160))
			f.Advice = "Bring the webhook's own workload up, or delete its configuration if it is gone"
			if s := groups(service, text); s != nil {
				name, ns := firstOf(s["svc"], s["svc2"], s["svc3"]), s["ns"]
				if ns == "" {
					for _, n := range elsewhere(c, diagnose.Services, name) {
						ns = n
					}
				}
				if ns != "" {
					f.Root = "Service/" + ns + "/" + name
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "is the webhook's, and does not answer"}}
					f.Fixes = []diagnose.Fix{{Title: "See the webhook's own pods", Command: "kubectl -n " + ns + " get pods"}}
				}
			}
			for _, kind := range []diagnose.Kind{diagnose.ValidatingWebhooks, diagnose.MutatingWebhooks} {
				objects, _ := c.List(kind, "")
				for _, o := range objects {
					if strings.Contains(fmt.Sprint(o), g["name"]) {
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: kind.Kind, Text: o.GetName()})
					}
				}
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See the webhooks", Command: "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"})
			f.Unchanged = true
			return []diagnose.Finding{f}
		},
	}
}

func dependencyJobIncomplete() diagnose.Rule {
	object := regexp.MustCompile(`(?i)(?P<kind>configmap|secret)s? "(?P<name>[^"]+)" not found`)
	return diagnose.Rule{
		ID: "dependency.job-incomplete", Category: "dependency", Title: "A Job that should have prepared it has not finished",
		Doc: diagnose.Doc{
			Means:   "What the program misses - a table, a ConfigMap, a Secret, a file - should have been made by a Job (a migration, an init hook), and that Job failed or never ended.",
			Confirm: "`kubectl get jobs`: COMPLETIONS 0/1; `kubectl logs job/NAME` says why.",
			Mend:    "Mend and run the Job first: delete it and apply it again, or roll the release forward.",
			Source:  "kubernetes.io/docs/concepts/workloads/controllers/job",
		},
		Log: []diagnose.Pattern{{Words: []string{"does not exist", "doesn't exist", "no such table", "unknown column", "no such column", "migration", "undefinedtable", "relation \"", "not initialized", "schema"}, Regexp: `(?i)(?:relation|table|column|database|schema) ["'` + "`" + `]?(?P<name>[\w.-]+)["'` + "`" + `]? (?:does not|doesn't) exist|no such table: (?P<name2>\S+)|unknown column|no such column|(?:pending|unapplied|missing|run)\b.{0,20}migrations?|migrations? (?:are |is )?(?:pending|missing|not (?:applied|run))|not (?:been )?initialized`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if c.Subject.Kind() == "Job" || c.Subject.Kind() == "CronJob" {
				return nil
			}
			var f diagnose.Finding
			missing := ""
			if s, g, ok := said(c, object); ok {
				f, missing = fromStatement(s), g["kind"]+" "+g["name"]
				f.Weight = 30
				if !jobNames(c, g["name"]) {
					return nil
				}
			} else if h, hit, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Level != diagnose.Info && h.Level != diagnose.Debug }); ok {
				f = h
				f.Weight = 40
				f.Proof = diagnose.Corroborated
				f.Keys = []string{"exist", "migration", "table"}
				missing = firstOf(hit.Group("name"), hit.Group("name2"), "what it misses")
			} else {
				return nil
			}
			job, why := failedJob(c)
			if job == nil {
				return nil
			}
			f.Confidence = diagnose.Likely
			f.Root = "Job/" + c.Subject.Namespace + "/" + job.Name
			f.Chain = []diagnose.Link{{Object: f.Root, Says: why}}
			f.Summary = fmt.Sprintf("%s misses %s, which Job %s should have made: the Job %s", c.Who(), missing, job.Name, why)
			f.Advice = "Mend and run the Job first"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Job " + c.Subject.Namespace + "/" + job.Name + " status", Text: why})
			f.Fixes = []diagnose.Fix{{Title: "See why the Job failed", Command: c.Kubectl("logs", "job/"+job.Name)}}
			return []diagnose.Finding{f}
		},
	}
}

// jobNames says whether a Job's name or spec speaks of the object that is missing.
func jobNames(c *diagnose.Case, name string) bool {
	objects, _ := c.List(diagnose.Jobs, c.Subject.Namespace)
	for _, o := range objects {
		if j, ok := o.(*batchv1.Job); ok {
			for _, ct := range j.Spec.Template.Spec.Containers {
				if strings.Contains(strings.Join(ct.Command, " ")+" "+strings.Join(ct.Args, " "), name) {
					return true
				}
			}
			if strings.Contains(j.Name, name) {
				return true
			}
		}
	}
	return false
}

// failedJob returns a Job of the namespace that failed or has not completed, one that looks like a preparation first.
func failedJob(c *diagnose.Case) (*batchv1.Job, string) {
	objects, _ := c.List(diagnose.Jobs, c.Subject.Namespace)
	var best *batchv1.Job
	bestWhy, bestRank := "", 0
	for _, o := range objects {
		j, ok := o.(*batchv1.Job)
		if !ok || j.Status.Succeeded > 0 {
			continue
		}
		owned := false
		for _, r := range j.OwnerReferences {
			owned = owned || r.Kind == "CronJob"
		}
		why, rank := "", 0
		for _, cond := range j.Status.Conditions {
			if cond.Type == batchv1.JobFailed && cond.Status == corev1.ConditionTrue {
				why, rank = "failed", 3
				if cond.Message != "" {
					why += ": " + cond.Message
				}
			}
			if cond.Type == batchv1.JobComplete && cond.Status == corev1.ConditionTrue {
				rank = -10
			}
			if cond.Type == batchv1.JobSuspended && cond.Status == corev1.ConditionTrue {
				why, rank = "is suspended", 2
			}
		}
		if why == "" && rank == 0 {
			why, rank = "has not completed", 1
			if j.Status.Failed > 0 {
				why, rank = fmt.Sprintf("has failed %d times", j.Status.Failed), 3
			}
		}
		for _, w := range []string{"migrat", "init", "setup", "seed", "schema", "bootstrap", "prepare", "db", "create", "hook"} {
			if strings.Contains(j.Name, w) {
				rank += 2
				break
			}
		}
		if owned || rank <= 2 {
			continue
		}
		if rank > bestRank {
			best, bestWhy, bestRank = j, why, rank
		}
	}
	return best, bestWhy
}
