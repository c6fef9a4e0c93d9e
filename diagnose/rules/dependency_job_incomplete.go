package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

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
		Log: []diagnose.Pattern{{Words: []string{"does not exist", "doesn't exist", "no such table", "unknown column", "no such column", "migration", "undefinedtable", "relation \"", "not initialized", "not been initialized", "schema", "nosuchbucket", "not found", "not_found_exception", "unknown_topic", "not host this topic", "could not find your database"}, Regexp: `(?i)could not find your database: (?P<name4>[\w./-]*\w)|\b(?:node|znode|key) (?:does not|doesn't) exist: (?P<name5>/[\w./-]*\w)|(?:relation|table|column|database|schema|key ?space|bucket|topic|index|collection|queue|vhost|namespace|tablespace|catalog):? ["'` + "`" + `]?(?P<name>[\w./-]+)["'` + "`" + `]? (?:does not|doesn't) exist|NoSuchBucket|specified bucket does not exist|(?:key ?space|bucket|topic|collection|queue|exchange|vhost|catalog) ["'` + "`" + `]?(?P<name3>[\w./-]+)["'` + "`" + `]? (?:is |was )?not found|(?:schema )?version (?:information|table)? ?(?:is |was )?not found in|schema (?:is |was )?not found|\bindex_not_found_exception|no such index|UNKNOWN_TOPIC_OR_PARTITION|does not host this topic|no such table: (?P<name2>\S+)|unknown column|no such column|(?:pending|unapplied|missing|run)\b.{0,20}migrations?|migrations? (?:are |is )?(?:pending|missing|not (?:applied|run))|not (?:been )?initialized`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if c.Subject.Kind() == "Job" || c.Subject.Kind() == "CronJob" {
				return nil
			}
			var f diagnose.Finding
			missing := ""
			var prepares func(*batchv1.Job) bool
			if s, g, ok := said(c, object); ok {
				f, missing = fromStatement(s), g["kind"]+" "+g["name"]
				f.Weight = 30
				prepares = func(j *batchv1.Job) bool { return speaksOf(j, g["name"]) }
			} else if h, hit, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return !told(h) || strings.Contains(h.Text, "not been initialized") || awaits.MatchString(h.Text) && h.Insists()
			}); ok {
				f = h
				f.Weight = 40
				f.Proof = diagnose.Corroborated
				f.Keys = []string{"exist", "migration", "table"}
				missing = hit.Group("name")
				prepares = func(j *batchv1.Job) bool { return tied(c, j, hit.Text) }
			} else {
				return nil
			}
			job, why := failedJob(c, prepares)
			if job == nil {
				return nil
			}
			f.Confidence = diagnose.Likely
			f.Root = "Job/" + c.Subject.Namespace + "/" + job.Name
			f.Chain = []diagnose.Link{{Object: f.Root, Says: why}}
			if missing == "" {
				f.Summary = fmt.Sprintf("%s waits for what Job %s should have done: the Job %s", c.Who(), job.Name, why)
			} else {
				f.Summary = fmt.Sprintf("%s misses %s, which Job %s should have made: the Job %s", c.Who(), missing, job.Name, why)
			}
			f.Advice = "Mend and run the Job first"
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Job " + c.Subject.Namespace + "/" + job.Name + " status", Text: why})
			f.Fixes = []diagnose.Fix{{Title: "See why the Job failed", Command: c.Kubectl("logs", "job/"+job.Name)}}
			return []diagnose.Finding{c.BelowJob(f, job.Name)}
		},
	}
}

// awaits is how a program says that it tries again until something is there.
var awaits = regexp.MustCompile(`(?i)\bwait(?:ing|s)?\b|\bretry(?:ing)?\b|\btry(?:ing)? again\b`)

// speaksOf says that a Job's name or command line names an object.
func speaksOf(j *batchv1.Job, name string) bool {
	for _, ct := range j.Spec.Template.Spec.Containers {
		if strings.Contains(strings.Join(ct.Command, " ")+" "+strings.Join(ct.Args, " "), name) {
			return true
		}
	}
	return strings.Contains(j.Name, name)
}

// tied says that a Job belongs to the subject, or to what a line of its log misses: by the labels of their release, by the image that they run, or by
// a name. A namespace may hold Jobs of many.
func tied(c *diagnose.Case, j *batchv1.Job, line string) bool {
	for _, key := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/name", "release", "app"} {
		for _, labels := range []map[string]string{j.Labels, j.Spec.Template.Labels} {
			if v := labels[key]; v != "" && v == c.Meta.Labels[key] {
				return true
			}
		}
	}
	if w := c.Workload(); w != nil && j.Annotations[helmRelease] != "" && j.Annotations[helmRelease] == w.GetAnnotations()[helmRelease] {
		return true
	}
	for _, ct := range j.Spec.Template.Spec.Containers {
		if c.Container != nil && repository(ct.Image) == repository(c.Container.Image) {
			return true
		}
	}
	line = strings.ToLower(line)
	own := strings.Split(c.Subject.Name(), "-")
	for word := range strings.SplitSeq(j.Name, "-") {
		if word = strings.TrimSuffix(word, "s"); len(word) < 3 || preparation.MatchString(word) {
			continue
		}
		if strings.Contains(line, word) || slices.ContainsFunc(own, func(o string) bool { return strings.TrimSuffix(o, "s") == word }) {
			return true
		}
	}
	return false
}

const helmRelease = "meta.helm.sh/release-name"

// preparation is what Jobs are called for what they do, whoever's they are.
var preparation = regexp.MustCompile(`^(?:migrat.*|init.*|setup|seed.*|schema|bootstrap|prepare|db|database|data|create|hook|job|run|post|pre|install|upgrade|\d+)$`)

// failedJob returns a Job of the namespace that prepares something for the subject and failed or has not completed, one that looks like a
// preparation first.
func failedJob(c *diagnose.Case, prepares func(*batchv1.Job) bool) (*batchv1.Job, string) {
	objects, _ := c.List(diagnose.Jobs, c.Subject.Namespace)
	var best *batchv1.Job
	bestWhy, bestRank := "", 0
	for _, o := range objects {
		j, ok := o.(*batchv1.Job)
		if !ok || j.Status.Succeeded > 0 || !prepares(j) {
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
