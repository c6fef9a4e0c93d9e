package diagnose

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PodRecord is what the life of an incident needs to know of a pod. A watch makes one per event and keeps it only while something is
// wrong with the pod.
type PodRecord struct {
	Namespace, Name string
	UID             types.UID
	OwnerKind       string // the controller in metadata.ownerReferences, "ReplicaSet"; empty for a bare pod
	OwnerName       string
	Workload        string // the topmost built-in controller, "Deployment/web", filled in by the watch
	TemplateHash    string // label pod-template-hash or controller-revision-hash: which revision made the pod
	Node            string
	Phase           corev1.PodPhase
	Reason, Message string // of the pod's status, "Evicted"
	RestartPolicy   corev1.RestartPolicy
	Created         time.Time
	Deleted         time.Time // when deletion was asked for, zero otherwise
	Failed          time.Time // when a failed pod last changed, as far as its status tells: whoever evicts or refuses one writes no time
	Ready           bool
	Unscheduled     string // message of PodScheduled=False, empty once a node is bound
	Containers      []ContainerRecord
}

// ContainerRecord is the state of one container of a pod.
type ContainerRecord struct {
	Name     string
	Type     ContainerType
	State    ContainerState
	Reason   string // of the state, "CrashLoopBackOff"
	Message  string
	ExitCode int32 // of a terminated state
	Started  time.Time
	Finished time.Time
	ID       string // containerID, tells one run from the next
	Restarts int32
	Ready    bool
	Last     *Termination // the run before this one
}

// ContainerState is one of the three states that the API knows, or empty when the kubelet has not reported yet.
type ContainerState string

// The container states.
const (
	Waiting    ContainerState = "waiting"
	Running    ContainerState = "running"
	Terminated ContainerState = "terminated"
)

// Termination is how one run of a container ended. Started is zero where the kubelet writes 1970 for a run that never began.
type Termination struct {
	Reason, Message   string
	ExitCode          int32
	Started, Finished time.Time
	ID                string
}

// RecordPod reduces a pod to its record. Workload is left empty: finding it takes reads that a pod alone does not answer.
func RecordPod(pod *corev1.Pod) PodRecord {
	r := PodRecord{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Node: pod.Spec.NodeName,
		Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message,
		RestartPolicy: pod.Spec.RestartPolicy, Created: pod.CreationTimestamp.Time,
	}
	if pod.DeletionTimestamp != nil {
		r.Deleted = pod.DeletionTimestamp.Time
	}
	if r.Phase == corev1.PodFailed {
		r.Failed = lastCondition(pod)
	}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		r.OwnerKind, r.OwnerName = owner.Kind, owner.Name
	}
	if r.TemplateHash = pod.Labels["pod-template-hash"]; r.TemplateHash == "" {
		r.TemplateHash = pod.Labels["controller-revision-hash"]
	}
	r.Unscheduled = Overlooked(pod)
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady:
			r.Ready = c.Status == corev1.ConditionTrue
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			r.Unscheduled = c.Message
		case c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && r.Phase == corev1.PodFailed && r.Reason == "":
			r.Reason = c.Reason // who took it away
		}
	}
	r.Containers = make([]ContainerRecord, 0, len(pod.Spec.InitContainers)+len(pod.Spec.Containers))
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		kind := Init
		if isSidecar(c) {
			kind = Sidecar
		}
		r.Containers = append(r.Containers, recordContainer(c.Name, kind, pod.Status.InitContainerStatuses))
	}
	for i := range pod.Spec.Containers {
		r.Containers = append(r.Containers, recordContainer(pod.Spec.Containers[i].Name, App, pod.Status.ContainerStatuses))
	}
	return r
}

// isSidecar says that an init container is a native sidecar: it is started with the others and goes on beside the app containers.
func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func recordContainer(name string, kind ContainerType, statuses []corev1.ContainerStatus) ContainerRecord {
	r := ContainerRecord{Name: name, Type: kind}
	for i := range statuses {
		s := &statuses[i]
		if s.Name != name {
			continue
		}
		r.Restarts, r.Ready, r.ID = s.RestartCount, s.Ready, s.ContainerID
		switch {
		case s.State.Waiting != nil:
			r.State, r.Reason, r.Message = Waiting, s.State.Waiting.Reason, s.State.Waiting.Message
		case s.State.Running != nil:
			r.State, r.Started = Running, began(s.State.Running.StartedAt)
		case s.State.Terminated != nil:
			t := termination(s.State.Terminated)
			r.State, r.Reason, r.Message, r.ExitCode = Terminated, t.Reason, t.Message, t.ExitCode
			r.Started, r.Finished, r.ID = t.Started, t.Finished, t.ID
		}
		if s.LastTerminationState.Terminated != nil {
			t := termination(s.LastTerminationState.Terminated)
			r.Last = &t
		}
	}
	return r
}

func termination(t *corev1.ContainerStateTerminated) Termination {
	return Termination{
		Reason: t.Reason, Message: t.Message, ExitCode: t.ExitCode,
		Started: began(t.StartedAt), Finished: began(t.FinishedAt), ID: t.ContainerID,
	}
}

// began drops the kubelet's 1970 of a run that never started.
func began(t metav1.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.Time
}

// WorkloadRecord is what the life of an incident needs to know of a controller.
type WorkloadRecord struct {
	Namespace string
	Workload  string // "Deployment/web"
	UID       types.UID
	Owner     string // the built-in controller above it, "CronJob/backup" for a Job; empty when it is topmost
	Desired   int32  // replicas wanted; for a Job parallelism, for a CronJob 0 when suspended and 1 otherwise
	Created   int32  // pods that exist, as its status counts them
	// ReplicaFailure is the message of the condition of that name, or empty. StatefulSets and DaemonSets never set it.
	ReplicaFailure string
	// Complete and Failed are a Job's end.
	Complete, Failed bool
	// GivenUp is when a Job was given up that restarts its pods in place: they are gone then, and nothing else tells of their failures.
	// GivenUpContainer is the container that failed, where there is but one.
	GivenUp          time.Time
	GivenUpContainer string
	// Succeeded is when a CronJob's Job last succeeded.
	Succeeded time.Time
	// SecondDue is [SecondDue] of a CronJob.
	SecondDue time.Time
	// Observed says that the controller has acted on the newest spec (observedGeneration).
	Observed bool
}

// Overlooked says so of a pod that asks for a scheduler other than the default one, and that none has looked at; "" of any other.
func Overlooked(pod *corev1.Pod) string {
	name := pod.Spec.SchedulerName
	if name == "" || name == corev1.DefaultSchedulerName || pod.Spec.NodeName != "" || pod.Status.Phase != corev1.PodPending || len(pod.Spec.SchedulingGates) > 0 {
		return ""
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			return ""
		}
	}
	return "no scheduler named " + name + " has looked at it"
}
