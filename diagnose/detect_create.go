package diagnose

import (
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// shortfall is a controller that wants more pods than it has, or says that it cannot make one.
type shortfall struct {
	kind, name string
	failure    string // of its ReplicaFailure condition
	since      time.Time
	short      bool
}

// workloads looks for controllers whose pods cannot be created at all: condition 5.
func (s *search) workloads() error {
	for _, kind := range []Kind{Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs} {
		objects, err := s.view.List(s.ctx, kind, s.scope.Namespace, Where{})
		if errors.Is(err, ErrForbidden) || errors.Is(err, ErrNotFound) {
			continue // pods alone tell of the other conditions
		}
		if err != nil {
			return fmt.Errorf("listing %s: %w", kind.Resource, err)
		}
		for _, o := range objects {
			s.workload(o)
		}
	}
	if s.scope.Name != "" && !s.matched { // a CronJob need not have a Job just now
		if objects, err := s.view.List(s.ctx, CronJobs, s.scope.Namespace, Where{}); err == nil {
			for _, o := range objects {
				s.matched = s.matched || s.scope.holds("CronJob/"+o.GetName(), "", "")
			}
		}
	}
	return s.ctx.Err()
}

func (s *search) workload(o Object) {
	f, ok := shortfallOf(o)
	if !ok {
		return
	}
	top := f.kind + "/" + f.name
	if kind, name, ok := controllerOf(o); ok {
		top = kind + "/" + name
	}
	if !s.scope.holds(top, "", f.kind+"/"+f.name) {
		return
	}
	s.matched = true
	if job, ok := o.(*batchv1.Job); ok {
		s.givenUp(job, top)
	}
	if f.failure == "" && !f.short {
		return
	}
	says := f.failure
	if says == "" {
		e, ok := s.failedCreate(o.GetNamespace(), f.kind, f.name)
		if !ok || s.now.Sub(e.First) < s.th.StuckAfter && e.Count < 3 {
			return
		}
		says = e.Message
	} else if !f.since.IsZero() && s.now.Sub(f.since) < s.th.StuckAfter {
		if e, ok := s.failedCreate(o.GetNamespace(), f.kind, f.name); !ok || e.Count < 3 {
			return
		}
	}
	s.add(Symptom{
		Subject:   Subject{Namespace: o.GetNamespace(), Workload: top, ContainerType: App},
		Condition: CannotCreate, Says: CreateSays(says),
	}, f.since, o.GetCreationTimestamp().Time)
}

// givenUp looks for a Job that has failed as often as it may and whose pods are gone, as those are that were restarted in place.
func (s *search) givenUp(job *batchv1.Job, top string) {
	key := job.Namespace + "|" + top
	if len(s.failed[key]) > 0 {
		return
	}
	for _, c := range job.Status.Conditions {
		at, ok := GivenUp(job, c)
		if !ok || s.now.Sub(at) > s.th.SlowWindow {
			continue
		}
		if good := s.jobSuccess(job.Namespace, top); good.After(at) || s.success[key].After(at) {
			continue
		}
		subject := Subject{Namespace: job.Namespace, Workload: top, ContainerType: App}
		if list := job.Spec.Template.Spec.Containers; len(list) == 1 {
			subject.Container = list[0].Name
		}
		s.add(Symptom{Subject: subject, Condition: PodsFail, Says: "Job " + job.Name + " was given up after failing again and again: " + brief(c.Message)}, at, job.CreationTimestamp.Time)
	}
}

// GivenUp says whether a Job's condition tells that it has failed as often as it may, more than once, and since when.
func GivenUp(job *batchv1.Job, c batchv1.JobCondition) (time.Time, bool) {
	once := job.Spec.BackoffLimit != nil && *job.Spec.BackoffLimit == 0
	return c.LastTransitionTime.Time, !once && c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue && c.Reason == batchv1.JobReasonBackoffLimitExceeded
}

// CreateSays puts into words why pods cannot be created.
func CreateSays(message string) string {
	return "its pods cannot be created: " + brief(message)
}

// brief is a message of the cluster as the words of a symptom quote it: redacted before it is cut, as half of a secret is hard to tell.
func brief(message string) string {
	return Shorten(standard.Redact(strings.TrimSpace(strings.ToValidUTF8(message, "�"))), 300)
}

// failedCreate finds the newest FailedCreate event about a controller, unless it could make a pod since.
func (s *search) failedCreate(namespace, kind, name string) (Event, bool) {
	objects, err := s.view.List(s.ctx, Events, namespace, Where{Involved: Reference{Kind: kind, Name: name}})
	if err != nil {
		return Event{}, false
	}
	return FailedCreate(objects, kind, name)
}

// FailedCreate reads the events about a controller and returns the newest that says that a pod could not be created, unless one was
// created since.
func FailedCreate(objects []Object, kind, name string) (Event, bool) {
	var found Event
	ok := false
	first, count := time.Time{}, int32(0)
	for _, e := range mergeEvents(eventsAbout(objects, kind, name)) {
		switch {
		case e.Warning && e.Reason == "FailedCreate":
			if !ok || e.First.Before(first) {
				first = e.First
			}
			count += e.Count
			found, ok = e, true
		case e.Reason == "SuccessfulCreate":
			found, ok, count = Event{}, false, 0
		}
	}
	if ok {
		found.First, found.Count = first, count
	}
	return found, ok
}

func shortfallOf(o Object) (shortfall, bool) {
	f := shortfall{name: o.GetName()}
	switch o := o.(type) {
	case *appsv1.Deployment:
		f.kind = "Deployment"
		for _, c := range o.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
				f.failure, f.since = c.Message, c.LastTransitionTime.Time
			}
		}
	case *appsv1.ReplicaSet:
		f.kind = "ReplicaSet"
		f.short = wanted(o.Spec.Replicas) > o.Status.Replicas
		for _, c := range o.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && wanted(o.Spec.Replicas) > 0 {
				f.failure, f.since = c.Message, c.LastTransitionTime.Time
			}
		}
	case *appsv1.StatefulSet:
		f.kind, f.short = "StatefulSet", wanted(o.Spec.Replicas) > o.Status.Replicas
	case *appsv1.DaemonSet:
		f.kind, f.short = "DaemonSet", o.Status.DesiredNumberScheduled > o.Status.CurrentNumberScheduled
	case *batchv1.Job:
		f.kind = "Job"
		f.short = o.Status.Active < wanted(o.Spec.Parallelism) && o.Status.CompletionTime == nil && (o.Spec.Suspend == nil || !*o.Spec.Suspend)
		for _, c := range o.Status.Conditions {
			if (c.Type == batchv1.JobFailed || c.Type == batchv1.JobComplete) && c.Status == corev1.ConditionTrue {
				f.short = false
			}
		}
	default:
		return shortfall{}, false
	}
	return f, true
}

// wanted reads a number of replicas or of a parallelism, which is 1 by default.
func wanted(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// jobSuccess is when a Job or CronJob last succeeded, as its status tells.
func (s *search) jobSuccess(namespace, workload string) time.Time {
	kind, name, _ := strings.Cut(workload, "/")
	k := Jobs
	if kind == "CronJob" {
		k = CronJobs
	}
	o, err := s.view.Get(s.ctx, k, namespace, name)
	if err != nil {
		return time.Time{}
	}
	switch o := o.(type) {
	case *batchv1.CronJob:
		if o.Status.LastSuccessfulTime != nil {
			return o.Status.LastSuccessfulTime.Time
		}
	case *batchv1.Job:
		for _, c := range o.Status.Conditions {
			if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
				return c.LastTransitionTime.Time
			}
		}
	}
	return time.Time{}
}
