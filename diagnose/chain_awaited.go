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
		f.Summary, f.Advice = said+", which has not completed", "Mend and run the Job first"
		f.Chain = []Link{{object, "has not completed"}}
		f.Fixes = []Fix{{Title: "See why the Job does not end", Command: c.Kubectl("logs", "job/"+name)}}
		return c.Below(f, Job(name)), true
	}
	var pods []*corev1.Pod
	if p, isPod := o.(*corev1.Pod); isPod {
		pods = []*corev1.Pod{p}
	} else {
		objects, _ := c.List(Pods, c.Subject.Namespace)
		for _, o := range objects {
			if p, ok := o.(*corev1.Pod); ok && c.workloadOf(p) == k+"/"+name && p.DeletionTimestamp == nil {
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

// Job names a Job as a workload.
func Job(name string) string { return "Job/" + name }

// Below goes on from a finding that ends at another workload of the subject's namespace to what is wrong with that: its diagnosis is added to
// the summary, the chain and the evidence, and its root becomes the finding's.
func (c *Case) Below(f Finding, workload string) Finding {
	subject := Subject{Namespace: c.Subject.Namespace, Workload: workload}
	if c.visited[objectOf(subject)] {
		return f
	}
	condition := PodsFail
	var worst *corev1.Pod
	objects, _ := c.List(Pods, c.Subject.Namespace)
	for _, o := range objects {
		if p, ok := o.(*corev1.Pod); ok && c.workloadOf(p) == workload && p.Status.Phase != corev1.PodSucceeded && (worst == nil || p.CreationTimestamp.After(worst.CreationTimestamp.Time)) {
			worst = p
		}
	}
	if worst == nil {
		return f
	}
	subject, looping := c.subjectOf(worst)
	switch {
	case worst.Status.Phase == corev1.PodFailed:
	case looping:
		condition = CrashLoop
	case worst.Status.Phase == corev1.PodPending:
		condition = CannotStart
	default:
		return f // it runs
	}
	sub, ok := c.diagnoseOther(subject, condition)
	if !ok || sub.Cause == "" || sub.Cause == "app.exit-code" {
		return f
	}
	f.Summary += ", because " + strings.TrimSuffix(sub.headline, ".")
	return c.extend(f, sub)
}

// memberOf returns the pod that a name means beside the headless Service that it belongs to, as in db-0.db.shop.svc; its name alone when
// there is no such pod.
func (c *Case) memberOf(a Address, s *corev1.Service) (string, *corev1.Pod) {
	first, _, dotted := strings.Cut(a.Host, ".")
	if !dotted || first == s.Name || s.Spec.ClusterIP != corev1.ClusterIPNone {
		return "", nil
	}
	o, err := c.Get(Pods, s.Namespace, first)
	if p, ok := o.(*corev1.Pod); ok && err == nil {
		return first, p
	}
	return first, nil
}

// noMember is the finding that a name means a pod of a StatefulSet which that does not have, as it has fewer replicas.
func (c *Case) noMember(a Address, h Hit, f Finding, s *corev1.Service, member string) (Finding, bool) {
	i := strings.LastIndexByte(member, '-')
	if i < 1 {
		return Finding{}, false
	}
	o, err := c.Get(StatefulSets, s.Namespace, member[:i])
	if err != nil {
		return Finding{}, false
	}
	var ordinal int32
	if _, err := fmt.Sscanf(member[i+1:], "%d", &ordinal); err != nil || ordinal < replicas(o) {
		return Finding{}, false
	}
	f.Cause, f.Proof, f.Confidence = "dependency.no-endpoints", Corroborated, Certain
	f.Root = "StatefulSet/" + s.Namespace + "/" + o.GetName()
	has := fmt.Sprintf("%d replicas", replicas(o))
	if replicas(o) == 1 {
		has = "1 replica"
	}
	f.Chain = append(f.Chain, Link{f.Root, fmt.Sprintf("has %s, and so no pod %s", has, member)})
	f.Summary = fmt.Sprintf("%s: StatefulSet %s/%s has %s, and so no pod %s", couldNot(c, a, h.Pattern), s.Namespace, o.GetName(), has, member)
	f.Advice = "Name a member that there is, or scale it up"
	f.Evidence = append(f.Evidence, Evidence{"StatefulSet/" + o.GetName() + " spec.replicas", fmt.Sprint(replicas(o))})
	f.Fixes = []Fix{{Title: "See the members that there are", Command: Kubectl(s.Namespace, "get", "pods", "-o", "wide")}}
	return f, true
}
