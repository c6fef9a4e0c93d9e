package diagnose

import "strings"

// ContainerType says which of a pod's container lists a container stands in.
type ContainerType string

// The container types. A sidecar is an init container with restartPolicy Always ("native sidecar", Kubernetes 1.29 and later).
const (
	App     ContainerType = "app"
	Init    ContainerType = "init"
	Sidecar ContainerType = "sidecar"
)

// Subject is what an incident or a diagnosis is about: one container of one workload in one cluster. Container is empty when no
// container can be named, as when a pod cannot be created at all.
type Subject struct {
	Cluster       string        `json:"cluster"`
	Namespace     string        `json:"namespace"`
	Workload      string        `json:"workload"` // the topmost built-in controller, "Deployment/web"; a bare pod is its own, "Pod/web"
	Pod           string        `json:"pod"`      // the instance that was looked at; empty when there is none
	Container     string        `json:"container"`
	ContainerType ContainerType `json:"containerType"`
}

// Key identifies the incident that a subject belongs to: cluster, namespace, workload and container, but not the pod, since the pods of
// one workload share one incident.
func (s Subject) Key() string {
	return strings.Join([]string{s.Cluster, s.Namespace, s.Workload, s.Container}, "|")
}

// Kind is the workload's kind, "Deployment" of "Deployment/web".
func (s Subject) Kind() string {
	kind, _, _ := strings.Cut(s.Workload, "/")
	return kind
}

// Name is the workload's name, "web" of "Deployment/web".
func (s Subject) Name() string {
	_, name, _ := strings.Cut(s.Workload, "/")
	return name
}

// containerWords names the container in a sentence: "container web", "init container migrate", "sidecar proxy".
func (s Subject) containerWords() string {
	switch s.ContainerType {
	case Init:
		return "init container " + s.Container
	case Sidecar:
		return "sidecar " + s.Container
	}
	return "container " + s.Container
}
