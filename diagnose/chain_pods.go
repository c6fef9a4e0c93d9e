package diagnose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// replicas is how many pods a workload wants; 1 of a kind that has no such number.
func replicas(o Object) int32 {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return wanted(o.Spec.Replicas)
	case *appsv1.StatefulSet:
		return wanted(o.Spec.Replicas)
	case *appsv1.ReplicaSet:
		return wanted(o.Spec.Replicas)
	}
	return 1
}

// subjectOf names the container of a pod that fails, or may, as a subject, and says whether it crash-loops.
func (c *Case) subjectOf(p *corev1.Pod) (s Subject, looping bool) {
	looping, container, kind := loops(p)
	return Subject{Namespace: p.Namespace, Workload: c.workloadOf(p), Pod: p.Name, Container: container, ContainerType: kind}, looping
}

// followPods goes on from a Service to its pods, none of which is ready. s is nil when the address was a pod's own.
func (c *Case) followPods(a Address, h Hit, f Finding, s *corev1.Service, pods []*corev1.Pod) (Finding, bool) {
	pod := worst(pods)
	subject, looping := c.subjectOf(pod)
	root := objectOf(subject)
	said := couldNot(c, a, h.Pattern)
	f.Proof, f.Confidence, f.Root = Corroborated, Certain, root
	if root == objectOf(c.Subject) {
		// It waits for itself: the address leads to the very pods that crash.
		f.Cause, f.Confidence = "dependency.no-endpoints", Likely
		f.Summary = said + ": that leads to its own pods, none of which is ready as long as it does not start"
		if s != nil {
			f.Root = "Service/" + s.Namespace + "/" + s.Name
			f.Summary = said + ": that is its own Service, which has no ready pod as long as it does not start"
		}
		f.Advice = "Do not make its start depend on itself; publishNotReadyAddresses helps members that must find each other"
		return f, true
	}
	if PodReady(pod) {
		return Finding{}, false
	}
	if found, ok := c.onLostNode(a, h, f, pod); ok {
		return found, true
	}
	behind := fmt.Sprintf("%s/%s has no ready pod", subject.Namespace, subject.Name())
	if s != nil {
		behind = fmt.Sprintf("Service %s/%s has no ready pod", s.Namespace, s.Name)
	}
	switch {
	case looping:
		return c.followLooping(f, subject, pod, said, behind), true
	case c.visited[root] || c.depth >= c.engine.options.Depth:
		return Finding{}, false
	case pod.Status.Phase == corev1.PodPending:
		return c.followPending(f, subject, pod, said, behind), true
	}
	return c.followUnready(f, subject, pod, said), true
}

// followLooping goes on to a workload that crash-loops: its own diagnosis is told, or that the two wait for each other.
func (c *Case) followLooping(f Finding, subject Subject, pod *corev1.Pod, said, behind string) Finding {
	root, where := objectOf(subject), subject.Namespace+"/"+subject.Name()
	f.Cause = "dependency.crash-looping"
	if c.visited[root] {
		f.Summary = fmt.Sprintf("%s: %s, because %s crash-loops too; the two wait for each other", said, behind, where)
		f.Advice = "Start with whichever of them needs the other least"
		f.Chain = append(f.Chain, Link{root, "crash-loops too"})
		f.Confidence = Likely
		return f
	}
	f.Summary = fmt.Sprintf("%s: %s crash-loops", said, where)
	f.Advice = "Mend " + where + " first"
	f.Evidence = append(f.Evidence, Evidence{"status of pod " + pod.Namespace + "/" + pod.Name, podState(pod)})
	link := Link{root, "crash-loops"}
	sub, ok := c.diagnoseOther(subject, CrashLoop)
	if !ok {
		f.Chain = append(f.Chain, link)
		return f
	}
	link.Says = "crash-loops (" + sub.Cause + ")"
	if f.origin = sub.origin; f.origin == nil {
		f.origin = &origin{where, strings.TrimSuffix(sub.headline, "."), sub.advice}
		f.Summary = fmt.Sprintf("%s because %s crash-loops: %s", said, where, f.origin.headline)
		link.Says += ": " + f.origin.headline
	} else {
		f.Summary = fmt.Sprintf("%s because %s crash-loops; it begins with %s: %s", said, where, f.origin.who, f.origin.headline)
	}
	f.Chain = append(f.Chain, link)
	f.Advice = "Mend " + f.origin.who + " first, and this one recovers"
	if f.origin.advice != "" {
		f.Advice += ". There: " + lowerFirst(f.origin.advice)
	}
	return c.extend(f, sub)
}

// followPending goes on to a pod that is not started: what keeps it back is the cause, where that is known.
func (c *Case) followPending(f Finding, subject Subject, pod *corev1.Pod, said, behind string) Finding {
	root, says := objectOf(subject), "its pod is "+podState(pod)
	f.Cause = "dependency.pod-pending"
	f.Evidence = append(f.Evidence, Evidence{"status of pod " + pod.Namespace + "/" + pod.Name, podState(pod)})
	sub, ok := c.diagnoseOther(subject, CannotStart)
	if !ok || sub.Cause == "app.exit-code" {
		f.Summary = fmt.Sprintf("%s: %s, because %s is still %s", said, behind, pod.Name, podState(pod))
		f.Advice = "See what it waits for"
		f.Chain = append(f.Chain, Link{root, says})
		f.Fixes = []Fix{{Title: "See what the pod waits for", Command: Kubectl(pod.Namespace, "describe", "pod", pod.Name)}}
		return f
	}
	f = c.adopt(f, said, root, says, sub)
	// What keeps a pod from a node is the scheduler's business and has its own id for a dependency; anything deeper is the cause itself.
	if sub.Cause == "node.unschedulable" {
		f.Cause = "dependency.pod-pending"
	}
	return f
}

// followUnready ends at a pod that runs and is not ready.
func (c *Case) followUnready(f Finding, subject Subject, pod *corev1.Pod, said string) Finding {
	f.Cause = "dependency.not-ready"
	state := notReady(c, pod)
	f.Chain = append(f.Chain, Link{objectOf(subject), state})
	f.Summary = fmt.Sprintf("%s: %s/%s runs but is not ready (%s)", said, subject.Namespace, subject.Name(), state)
	f.Advice = "See why it does not become ready: its readiness probe, or its own log"
	for _, e := range c.EventsOf("Pod", pod.Namespace, pod.Name) {
		if e.Reason == "Unhealthy" && e.Has("readiness probe") {
			f.Evidence = append(f.Evidence, e.Cite())
		}
	}
	f.Fixes = []Fix{
		{Title: "See its probe and what it answers", Command: Kubectl(pod.Namespace, "describe", "pod", pod.Name)},
		{Title: "Read its log", Command: Kubectl(pod.Namespace, "logs", pod.Name, "--all-containers", "--tail=50")},
	}
	return f
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
	if ordinal, err := strconv.ParseUint(member[i+1:], 10, 31); err != nil || int64(ordinal) < int64(replicas(o)) {
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

// worst picks the pod that tells most: one that crashes, then one that is pending, then any.
func worst(pods []*corev1.Pod) *corev1.Pod {
	rank := func(p *corev1.Pod) int {
		if l, _, _ := loops(p); l {
			return 2
		}
		if p.Status.Phase == corev1.PodPending {
			return 1
		}
		return 0
	}
	best := pods[0]
	for _, p := range pods[1:] {
		if rank(p) > rank(best) {
			best = p
		}
	}
	return best
}

// loops says whether a container of the pod crash-loops or has just ended, and which.
func loops(p *corev1.Pod) (bool, string, ContainerType) {
	for _, c := range RecordPod(p).Containers {
		if c.Type == Init && c.State == Terminated && c.ExitCode == 0 {
			continue
		}
		if c.crashes() || c.State == Terminated && (c.ExitCode != 0 || c.Restarts > 0) && c.Type != Init || c.State == Terminated && c.ExitCode != 0 {
			return true, c.Name, c.Type
		}
	}
	for _, c := range RecordPod(p).Containers {
		if c.State == Waiting && c.Reason != "PodInitializing" {
			return false, c.Name, c.Type
		}
	}
	if len(p.Spec.Containers) > 0 {
		return false, p.Spec.Containers[0].Name, App
	}
	return false, "", App
}

// betweenCrashes returns the container that makes a ready pod no more than one that has not crashed again yet: it did so time and again, and
// has not run much longer than the last time; nil when there is none.
func betweenCrashes(p *corev1.Pod, now time.Time) *ContainerRecord {
	containers := RecordPod(p).Containers
	for i := range containers {
		c := &containers[i]
		if c.State != Running || c.Restarts < 2 || c.Last == nil || c.Last.Kind() != Abnormal || c.ran() > longestStart {
			continue
		}
		if now.Sub(c.Started) <= 2*c.ran()+10*time.Second {
			return c
		}
	}
	return nil
}

// podState is a pod's state in words: "Pending (ImagePullBackOff)".
func podState(p *corev1.Pod) string {
	state := string(p.Status.Phase)
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			return state + " (" + w.Reason + ")"
		}
	}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			return state + " (not scheduled)"
		}
	}
	return state
}

func notReady(c *Case, p *corev1.Pod) string {
	for _, e := range slices.Backward(c.EventsOf("Pod", p.Namespace, p.Name)) {
		if e.Reason == "Unhealthy" && e.Has("readiness probe") {
			return Shorten(strings.TrimSpace(e.Message), 160)
		}
	}
	return "its pods are not ready"
}
