package rules

import (
	"fmt"
	"regexp"
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
		Log: []diagnose.Pattern{{Words: []string{"does not exist", "doesn't exist", "no such table", "unknown column", "no such column", "migration", "undefinedtable", "relation \"", "not initialized", "not been initialized", "schema", "nosuchbucket", "not found", "not_found_exception", "unknown_topic", "not host this topic"}, Regexp: `(?i)(?:relation|table|column|database|schema|key ?space|bucket|topic|index|collection|queue|vhost|namespace|tablespace|catalog) ["'` + "`" + `]?(?P<name>[\w./-]+)["'` + "`" + `]? (?:does not|doesn't) exist|NoSuchBucket|specified bucket does not exist|(?:key ?space|bucket|topic|collection|queue|exchange|vhost|catalog) ["'` + "`" + `]?(?P<name3>[\w./-]+)["'` + "`" + `]? (?:is |was )?not found|(?:schema )?version (?:information|table)? ?(?:is |was )?not found in|schema (?:is |was )?not found|\bindex_not_found_exception|no such index|UNKNOWN_TOPIC_OR_PARTITION|does not host this topic|no such table: (?P<name2>\S+)|unknown column|no such column|(?:pending|unapplied|missing|run)\b.{0,20}migrations?|migrations? (?:are |is )?(?:pending|missing|not (?:applied|run))|not (?:been )?initialized`}},
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
			} else if h, hit, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return !told(h) || strings.Contains(h.Text, "not been initialized")
			}); ok {
				f = h
				f.Weight = 40
				f.Proof = diagnose.Corroborated
				f.Keys = []string{"exist", "migration", "table"}
				missing = hit.Group("name")
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
