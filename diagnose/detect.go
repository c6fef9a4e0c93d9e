package diagnose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Scope narrows [Find]. The zero value takes everything that the View covers.
type Scope struct {
	Namespace string
	// Name is a workload or a pod: "web", "deployment/web", "deploy/web", "pod/web-5d8c-x2x".
	Name string
}

// Find looks once, without any history, for what crash-loops or cannot start: a loop is known from restart counts, the last state and
// events. It returns one symptom per incident, sorted by namespace, workload and container, and none for what is healthy. The error wraps
// [ErrNotFound] when the scope names something that does not exist.
func Find(ctx context.Context, v View, scope Scope, th Thresholds) ([]Symptom, error) {
	s := &search{ctx: ctx, view: v, scope: scope, th: th, now: v.Now(), groups: map[string]*findings{}, failed: map[string][]sighting{}, alive: map[string]bool{}, success: map[string]time.Time{}}
	podsErr := s.pods()
	if podsErr != nil && !errors.Is(podsErr, ErrForbidden) && !errors.Is(podsErr, ErrNotFound) {
		return nil, fmt.Errorf("listing pods: %w", podsErr)
	}
	s.failures()
	if err := s.workloads(); err != nil {
		return nil, err
	}
	out := make([]Symptom, 0, len(s.groups))
	for _, g := range s.groups {
		out = append(out, g.best)
	}
	slices.SortFunc(out, func(a, b Symptom) int {
		return cmp.Or(strings.Compare(a.Subject.Namespace, b.Subject.Namespace), strings.Compare(a.Subject.Workload, b.Subject.Workload),
			strings.Compare(a.Subject.Container, b.Subject.Container))
	})
	switch {
	case len(out) > 0:
	case podsErr != nil && !s.matched:
		return nil, fmt.Errorf("listing pods: %w", podsErr)
	case scope.Name != "" && !s.matched:
		where := "namespace " + scope.Namespace
		if scope.Namespace == "" {
			where = "any namespace"
		}
		return nil, fmt.Errorf("looking for %q in %s: %w: no workload or pod has that name", scope.Name, where, ErrNotFound)
	}
	return out, nil
}

// search is the state of one Find.
type search struct {
	ctx     context.Context
	view    View
	scope   Scope
	th      Thresholds
	now     time.Time
	owners  ownerFinder
	groups  map[string]*findings
	failed  map[string][]sighting // failed pods by namespace|workload
	alive   map[string]bool       // whether other pods are there, by namespace|workload
	success map[string]time.Time  // the newest success by namespace|workload
	matched bool                  // something has the scope's name
}

// findings is the most telling symptom of one incident.
type findings struct {
	best Symptom
	rank [3]int64
}

type sighting struct {
	failure             Failure
	namespace, workload string
}

// conditionRank puts the conditions in the order in which they are tried.
func conditionRank(c Condition) int64 {
	return int64(slices.Index([]Condition{CannotCreate, PodsFail, CannotStart, SlowLoop, CrashLoop}, c))
}

// add notes a symptom. Of several for one incident the first condition counts, then the newest crash, then the newest pod.
func (s *search) add(sym Symptom, at, created time.Time) {
	sym.Subject.Cluster = s.view.Cluster()
	rank := [3]int64{conditionRank(sym.Condition), at.Unix(), created.Unix()}
	key := sym.Subject.Key()
	g := s.groups[key]
	if g == nil {
		s.groups[key] = &findings{best: sym, rank: rank}
		return
	}
	if slices.Compare(rank[:], g.rank[:]) > 0 {
		g.best, g.rank = sym, rank
	}
}

func (s *search) pods() error {
	objects, err := s.view.List(s.ctx, Pods, s.scope.Namespace, Where{})
	if err != nil {
		return err
	}
	s.owners = newOwnerFinder(func(kind Kind, namespace, name string) (Object, error) {
		return s.view.Get(s.ctx, kind, namespace, name)
	})
	for _, o := range objects {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			continue
		}
		rec := RecordPod(pod)
		rec.Workload = s.owners.workload(pod)
		if !s.scope.holds(rec.Workload, rec.Name, rec.OwnerKind+"/"+rec.OwnerName) {
			continue
		}
		s.matched = true
		s.pod(pod, &rec)
	}
	return s.ctx.Err()
}

func (s *search) pod(pod *corev1.Pod, rec *PodRecord) {
	key := rec.Namespace + "|" + rec.Workload
	if rec.Phase == corev1.PodSucceeded {
		if t := lastCondition(pod); t.After(s.success[key]) {
			s.success[key] = t
		}
		return
	}
	if f, ok := FailureOf(rec, lastCondition(pod)); ok {
		s.failed[key] = append(s.failed[key], sighting{f, rec.Namespace, rec.Workload})
		return
	}
	s.alive[key] = s.alive[key] || rec.Deleted.IsZero() && rec.Phase != corev1.PodFailed
	for i := range rec.Containers {
		c := &rec.Containers[i]
		if condition, says, ok := s.th.Loop(rec, c, s.now); ok {
			last, _ := c.LastEnd()
			s.add(Symptom{Subject: rec.subject(c.Name, c.Type), Condition: condition, Says: says}, last.Finished, rec.Created)
		}
	}
	stuck, ok := FindStuck(rec)
	if !ok {
		return
	}
	since := waitingSince(pod, rec)
	waited := s.now.Sub(since)
	switch {
	case stuck.NeedsWarning:
		e, bad := s.warning(rec)
		if !bad || waited < s.th.StuckAfter && e.Count < 3 && e.Last.Sub(e.First) < s.th.StuckAfter {
			return
		}
		stuck.Reason, stuck.Message = e.Reason, e.Message
	case stuck.Reason == "Unschedulable" && waited < s.th.StuckAfter:
		return // a claim may bind, a node may come
	}
	s.add(Symptom{Subject: rec.subject(stuck.Container, stuck.Type), Condition: CannotStart, Says: StuckSays(stuck, waited, since.IsZero())}, since, rec.Created)
}

// StuckSays puts into words what a container has waited for, and how long when that is known.
func StuckSays(s Stuck, waited time.Duration, unknown bool) string {
	if unknown || waited < time.Second {
		return "cannot start: " + s.Words()
	}
	return "cannot start since " + Duration(waited) + ": " + s.Words()
}

// subject names one of the pod's containers as the subject of an incident. The cluster's name is left to the caller.
func (p *PodRecord) subject(container string, kind ContainerType) Subject {
	return Subject{Namespace: p.Namespace, Workload: p.Workload, Pod: p.Name, Container: container, ContainerType: kind}
}

// warning finds the newest Warning event that keeps a scheduled pod from starting. There is none when the pod went on since: its image
// is pulled, its volume was attached after all.
func (s *search) warning(rec *PodRecord) (Event, bool) {
	objects, err := s.view.List(s.ctx, Events, rec.Namespace, Where{Involved: Reference{Kind: "Pod", Name: rec.Name}})
	if err != nil {
		return Event{}, false
	}
	return Holdup(objects, rec.Name, rec.Created)
}

// Holdup reads the events about a pod that was scheduled but has not started, and returns the newest Warning that says why, unless a
// later event shows that the pod went on. Events from before created belong to an older pod of the same name.
func Holdup(objects []Object, pod string, created time.Time) (Event, bool) {
	all := slices.DeleteFunc(eventsAbout(objects, "Pod", pod), func(e Event) bool { return e.before(created, "") })
	var found Event
	ok := false
	for _, e := range mergeEvents(all) {
		switch {
		case e.Warning && e.Reason != "FailedScheduling" && e.Reason != "Unhealthy" && e.Reason != "BackOff":
			found, ok = e, true
		case !e.Warning && (e.Reason == "Pulling" || e.Reason == "Pulled" || e.Reason == "Created" || e.Reason == "Started"):
			found, ok = Event{}, false
		}
	}
	return found, ok
}

// failures looks at the pods that failed as a whole, workload by workload.
func (s *search) failures() {
	for key, sightings := range s.failed {
		kind, _, _ := strings.Cut(sightings[0].workload, "/")
		since := s.success[key]
		if kind == "CronJob" || kind == "Job" {
			if t := s.jobSuccess(sightings[0].namespace, sightings[0].workload); t.After(since) {
				since = t
			}
		}
		var failures []Failure
		for _, g := range sightings {
			if g.failure.At.After(since) || since.IsZero() {
				failures = append(failures, g.failure)
			}
		}
		says, ok := s.th.Repeated(kind, failures)
		switch {
		case ok:
		case kind == "CronJob":
			says, ok = Overdue(failures, s.secondDue(sightings[0].namespace, sightings[0].workload))
		default:
			th := s.th
			if kind == "Pod" {
				th.StuckAfter = 0 // nothing will come in its place, and who asks once does not look again
			}
			says, ok = th.Alone(kind, failures, s.alive[key], s.now)
		}
		if !ok {
			continue
		}
		if s.unwanted(sightings[0].namespace, sightings[0].workload) {
			continue
		}
		newest := slices.MaxFunc(failures, func(a, b Failure) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Pod, b.Pod)) })
		limit := s.th.SlowWindow
		if kind != "Job" && kind != "CronJob" {
			limit = max(s.th.Window, 2*longestGap(failures))
		}
		if newest.Expelled && !s.alive[key] {
			limit = s.th.SlowWindow
		}
		if kind != "CronJob" && s.now.Sub(newest.At) > limit {
			continue // long over
		}
		s.add(Symptom{
			Subject:   Subject{Namespace: sightings[0].namespace, Workload: sightings[0].workload, Pod: newest.Pod, Container: newest.Container, ContainerType: newest.Type},
			Condition: PodsFail, Says: says,
		}, newest.At, newest.Created)
	}
}

func (s *search) secondDue(namespace, workload string) time.Time {
	_, name, _ := strings.Cut(workload, "/")
	if o, err := s.view.Get(s.ctx, CronJobs, namespace, name); err == nil {
		if c, ok := o.(*batchv1.CronJob); ok {
			return SecondDue(c)
		}
	}
	return time.Time{}
}

// unwanted says that a workload is scaled to zero or suspended: its failed pods only linger, and nothing need take their place.
func (s *search) unwanted(namespace, workload string) bool {
	kind, name, _ := strings.Cut(workload, "/")
	for _, k := range []Kind{Deployments, StatefulSets, ReplicaSets, Jobs, CronJobs} {
		if k.Kind != kind {
			continue
		}
		if o, err := s.view.Get(s.ctx, k, namespace, name); err == nil {
			switch o := o.(type) {
			case *batchv1.Job:
				return o.Spec.Suspend != nil && *o.Spec.Suspend
			case *batchv1.CronJob:
				return o.Spec.Suspend != nil && *o.Spec.Suspend
			}
			return replicas(o) == 0
		}
	}
	return false
}

func longestGap(failures []Failure) time.Duration {
	sorted := slices.Clone(failures)
	slices.SortFunc(sorted, func(a, b Failure) int { return a.At.Compare(b.At) })
	var most time.Duration
	for i := 1; i < len(sorted); i++ {
		most = max(most, sorted[i].At.Sub(sorted[i-1].At))
	}
	return most
}

// holds says whether a workload or pod is meant by the scope.
func (sc Scope) holds(workload, pod, owner string) bool {
	if sc.Name == "" {
		return true
	}
	kind, name, typed := strings.Cut(sc.Name, "/")
	if !typed {
		_, w, _ := strings.Cut(workload, "/")
		_, o, _ := strings.Cut(owner, "/")
		return sc.Name == w || sc.Name == pod || sc.Name == o
	}
	k, ok := KindNamed(kind)
	if !ok {
		return false
	}
	return workload == k+"/"+name || owner == k+"/"+name || k == "Pod" && pod == name
}

// KindNamed resolves what people write for a workload's kind, as kubectl does: "deploy", "deployments", "sts", "Pod".
func KindNamed(word string) (string, bool) {
	switch strings.ToLower(word) {
	case "deployment", "deployments", "deploy":
		return "Deployment", true
	case "statefulset", "statefulsets", "sts":
		return "StatefulSet", true
	case "daemonset", "daemonsets", "ds":
		return "DaemonSet", true
	case "replicaset", "replicasets", "rs":
		return "ReplicaSet", true
	case "replicationcontroller", "replicationcontrollers", "rc":
		return "ReplicationController", true
	case "job", "jobs":
		return "Job", true
	case "cronjob", "cronjobs", "cj":
		return "CronJob", true
	case "pod", "pods", "po":
		return "Pod", true
	}
	return "", false
}

// lastCondition is the newest time in a pod's status.
func lastCondition(pod *corev1.Pod) time.Time {
	t := pod.CreationTimestamp.Time
	for _, c := range pod.Status.Conditions {
		if c.LastTransitionTime.After(t) {
			t = c.LastTransitionTime.Time
		}
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if e := list[i].State.Terminated; e != nil && e.FinishedAt.After(t) {
				t = e.FinishedAt.Time
			}
		}
	}
	return t
}

// waitingSince is when the pod got to where it is stuck: since it was made, scheduled or initialized, whichever came last.
func waitingSince(pod *corev1.Pod, rec *PodRecord) time.Time {
	t := rec.Created
	for _, c := range pod.Status.Conditions {
		if (c.Type == corev1.PodScheduled || c.Type == corev1.PodInitialized) && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(t) {
			t = c.LastTransitionTime.Time
		}
	}
	return t
}
