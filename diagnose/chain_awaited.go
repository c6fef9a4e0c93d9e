package diagnose

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// awaited takes the object out of what kubectl and programs around it say when they waited for one in vain.
var awaited = []*regexp.Regexp{
	regexp.MustCompile(`condition on (pods?|jobs?|deployments?|statefulsets?|daemonsets?)(?:\.[a-z.]+)?/([a-z0-9][a-z0-9.-]*)`),
	regexp.MustCompile(`(?i)(?:time[ds]? ?out|gave up|giving up|failed)\b.{0,20}waiting for (?:the )?(pods?|jobs?|deployments?|statefulsets?) ['"]?([a-z0-9][a-z0-9.-]*[a-z0-9])`),
	regexp.MustCompile(`\(NotFound\): (pods|jobs|deployments|statefulsets|daemonsets)(?:\.[a-z.]+)? "([a-z0-9][a-z0-9.-]*)" not found`),
	regexp.MustCompile(`\b(deployment|statefulset|daemonset) "([a-z0-9][a-z0-9.-]*)" exceeded its progress deadline`),
}

// followAwaited goes on from an object for which the subject waited in vain. It returns false when nothing is wrong with that.
func (c *Case) followAwaited(h Hit) (Finding, bool) {
	var kind, name string
	for _, re := range awaited {
		if m := re.FindStringSubmatch(h.Text); m != nil {
			kind, name = m[1], m[2]
			break
		}
	}
	k, ok := KindNamed(kind)
	if !ok {
		return Finding{}, false
	}
	object := k + "/" + c.Subject.Namespace + "/" + name
	f := FromHit(h, Certain, Corroborated)
	f.Keys = []string{name}
	f.Root, f.Unchanged = object, true
	said := fmt.Sprintf("%s waits in vain for %s %s", c.Who(), strings.ToLower(k), name)
	target, ok := workloadKind(k)
	if !ok {
		return Finding{}, false
	}
	o, err := c.Get(target, c.Subject.Namespace, name)
	if errors.Is(err, ErrNotFound) && (strings.Contains(h.Text, "(NotFound)") || k == "Job") {
		f.Chain = []Link{{object, "does not exist"}}
		f.Evidence = append(f.Evidence, Evidence{target.Kind + "s in " + c.Subject.Namespace, "none is named " + name})
		f.Summary = said + ", which does not exist"
		if k == "Job" {
			f.Cause = "dependency.job-incomplete"
			f.Advice = "Make the Job again, or do not wait for it: a Job is removed some time after it ended when it has a ttlSecondsAfterFinished or is a hook that is deleted"
			f.Fixes = []Fix{{Title: "See which Jobs there are", Command: c.Kubectl("get", "jobs")}}
			return f, true
		}
		f.Cause = "dependency.not-ready"
		f.Advice = "Deploy it, or correct the name for which it waits"
		f.Fixes = []Fix{{Title: "See what there is", Command: c.Kubectl("get", "deploy,sts,ds,pods")}}
		return f, true
	}
	if err != nil {
		return Finding{}, false
	}
	if job, isJob := o.(*batchv1.Job); isJob {
		if job.Status.Succeeded > 0 && job.Status.CompletionTime != nil {
			return Finding{}, false
		}
		f.Cause, f.Confidence = "dependency.job-incomplete", Likely
		why := "has not completed"
		if n := job.Status.Failed; n > 0 {
			why = fmt.Sprintf("has failed %d times", n)
		}
		f.Summary, f.Advice = said+", which "+why, "Mend and run the Job first"
		f.Chain = []Link{{object, why}}
		f.Fixes = []Fix{{Title: "See why the Job does not end", Command: c.Kubectl("logs", "job/"+name)}}
		return c.BelowJob(f, name), true
	}
	var pods []*corev1.Pod
	if p, isPod := o.(*corev1.Pod); isPod {
		pods = []*corev1.Pod{p}
	} else {
		for p := range c.pods(c.Subject.Namespace) {
			if c.workloadOf(p) == k+"/"+name && p.DeletionTimestamp == nil {
				pods = append(pods, p)
			}
		}
	}
	if len(pods) > 0 {
		found, ok := c.followPods(Address{Host: name}, h, f, nil, pods)
		found.Summary = strings.Replace(found.Summary, couldNot(c, Address{Host: name}, h.Pattern), said, 1)
		return found, ok
	}
	if replicas(o) != 0 || k == "DaemonSet" {
		return Finding{}, false
	}
	f.Cause = "dependency.no-endpoints"
	f.Summary, f.Advice = said+", which is scaled to zero", "Scale it up"
	f.Chain = []Link{{object, "is scaled to 0 replicas"}}
	f.Fixes = []Fix{{Title: "Scale " + name + " up", Command: c.Kubectl("scale", kubectlTarget(k+"/"+name), "--replicas=1")}}
	return f, true
}
