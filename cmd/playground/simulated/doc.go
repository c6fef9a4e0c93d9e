// Package simulated is a node without containers: the kubelet's own code, of the Kubernetes version that the control plane has, over a
// container runtime that runs nothing.
//
// Why not kwok or Virtual Kubelet: both replace the kubelet, so everything that a crash loop shows - back-off, restart counts, the order of
// waiting and terminated states, events with their texts and field paths, probes, init containers and sidecars, FailedMount and
// CreateContainerConfigError, which logs are still there - would be an imitation, written by us and wrong in the ways that we do not know.
// Here only the layer below the kubelet is made up, the Container Runtime Interface, as Kubernetes' own scale tests do (kubemark). It needs
// no root, no container engine and no particular operating system. It costs one process of about 100 MB for each node.
//
// What a container does comes from an annotation of its pod, never from running its command: see [Behaviour]. Without an annotation a
// container is healthy: it runs, and answers its probes.
//
// What is not simulated: networking (no Service answers, nothing dials anything), exec, attach and port-forward, resource use, disks.
// HTTP, TCP and gRPC probes are answered from the annotation instead of being dialled.
//
// Start reading at [Run]; runtime.go is the container runtime.
package simulated
