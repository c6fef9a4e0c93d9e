package kube

import (
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crashloop/diagnose"
)

// workloadStore keeps the records of the watched controllers.
type workloadStore struct {
	mu  sync.Mutex
	all map[workloadKey]diagnose.WorkloadRecord
}

func (s *workloadStore) get(namespace, workload string) (diagnose.WorkloadRecord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.all[workloadKey{namespace, workload}]
	return r, ok
}

// put stores a record and says whether that changed anything.
func (s *workloadStore) put(r diagnose.WorkloadRecord) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := workloadKey{r.Namespace, r.Workload}
	old, had := s.all[k]
	s.all[k] = r
	return !had || old != r
}

func (s *workloadStore) remove(r diagnose.WorkloadRecord) (had bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := workloadKey{r.Namespace, r.Workload}
	_, had = s.all[k]
	delete(s.all, k)
	return had
}

// replace makes records the workloads of one kind in namespace, or in all when it is empty, and returns those that went and those that
// came or changed.
func (s *workloadStore) replace(kind, namespace string, records []diagnose.WorkloadRecord) (gone, changed []diagnose.WorkloadRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := make(map[workloadKey]bool, len(records))
	for _, r := range records {
		k := workloadKey{r.Namespace, r.Workload}
		fresh[k] = true
		old, had := s.all[k]
		if had && old.UID != r.UID {
			gone = append(gone, old)
		}
		if !had || old != r {
			s.all[k] = r
			changed = append(changed, r)
		}
	}
	for k, old := range s.all {
		if (namespace == "" || k.namespace == namespace) && strings.HasPrefix(k.workload, kind+"/") && !fresh[k] {
			delete(s.all, k)
			gone = append(gone, old)
		}
	}
	return gone, changed
}

// RecordWorkload reduces a Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job or CronJob to its record. ok is
// false for any other object.
func RecordWorkload(obj any) (r diagnose.WorkloadRecord, ok bool) {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		r = record("Deployment", o)
		r.Desired, r.Created = orOne(o.Spec.Replicas), o.Status.Replicas
		r.Observed = o.Status.ObservedGeneration >= o.Generation
		for _, c := range o.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
				r.ReplicaFailure = failure(c.Message)
			}
		}
	case *appsv1.ReplicaSet:
		r = record("ReplicaSet", o)
		r.Desired, r.Created = orOne(o.Spec.Replicas), o.Status.Replicas
		r.Observed = o.Status.ObservedGeneration >= o.Generation
		for _, c := range o.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
				r.ReplicaFailure = failure(c.Message)
			}
		}
	case *corev1.ReplicationController:
		r = record("ReplicationController", o)
		r.Desired, r.Created = orOne(o.Spec.Replicas), o.Status.Replicas
		r.Observed = o.Status.ObservedGeneration >= o.Generation
		for _, c := range o.Status.Conditions {
			if c.Type == corev1.ReplicationControllerReplicaFailure && c.Status == corev1.ConditionTrue {
				r.ReplicaFailure = failure(c.Message)
			}
		}
	case *appsv1.StatefulSet:
		r = record("StatefulSet", o)
		r.Desired, r.Created = orOne(o.Spec.Replicas), o.Status.Replicas
		r.Observed = o.Status.ObservedGeneration >= o.Generation
	case *appsv1.DaemonSet:
		r = record("DaemonSet", o)
		r.Desired, r.Created = o.Status.DesiredNumberScheduled, o.Status.CurrentNumberScheduled
		r.Observed = o.Status.ObservedGeneration >= o.Generation
	case *batchv1.Job:
		r = record("Job", o)
		r.Desired, r.Created, r.Observed = orOne(o.Spec.Parallelism), o.Status.Active, true
		if o.Spec.Suspend != nil && *o.Spec.Suspend {
			r.Desired = 0
		}
		for _, c := range o.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				r.Complete = r.Complete || c.Type == batchv1.JobComplete
				r.Failed = r.Failed || c.Type == batchv1.JobFailed
			}
			if at, ok := diagnose.GivenUp(o, c); ok && o.Spec.Template.Spec.RestartPolicy == corev1.RestartPolicyOnFailure {
				r.GivenUp = at
				if list := o.Spec.Template.Spec.Containers; len(list) == 1 {
					r.GivenUpContainer = shared(list[0].Name)
				}
			}
		}
	case *batchv1.CronJob:
		r = record("CronJob", o)
		r.Desired, r.Created, r.Observed = 1, int32(len(o.Status.Active)), true
		if at := o.Status.LastSuccessfulTime; at != nil {
			r.Succeeded = at.Time
		}
		r.SecondDue = diagnose.SecondDue(o)
		if o.Spec.Suspend != nil && *o.Spec.Suspend {
			r.Desired = 0
		}
	default:
		return r, false
	}
	return r, true
}

func record(kind string, o metav1.Object) diagnose.WorkloadRecord {
	return diagnose.WorkloadRecord{
		Namespace: shared(o.GetNamespace()), Workload: shared(kind + "/" + o.GetName()), UID: o.GetUID(),
		Owner: shared(builtInOwner(metav1.GetControllerOf(o))),
	}
}

// orOne is the API's default for replicas and parallelism.
func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func failure(message string) string {
	if message == "" {
		return "pods cannot be created"
	}
	return bounded(message)
}

// Workload returns the record of a watched controller. ReplicationControllers are not watched.
func (w *Watch) Workload(namespace, workload string) (diagnose.WorkloadRecord, bool) {
	return w.workloads.get(namespace, workload)
}
