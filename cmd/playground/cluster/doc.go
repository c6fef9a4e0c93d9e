// Package cluster runs a real Kubernetes cluster on one machine: etcd, kube-apiserver, kube-controller-manager and kube-scheduler of
// Kubernetes 1.36, metrics-server, and nodes, either simulated (package simulated) or one with the real kubelet, containerd, kube-proxy and CoreDNS. RBAC,
// admission, certificates, the scheduler and the controllers are the real thing; only etcd's fsync is off.
//
// Everything is built into one binary. The components keep process-wide state (flags, feature gates, metrics), so each runs in a process of
// its own: the binary starts itself again as a hidden subcommand, which [Main] answers. A program or a test that calls [Start] must call
// [Main] first:
//
//	func TestMain(m *testing.M) {
//		cluster.Main()
//		os.Exit(m.Run())
//	}
//
// A child holds one end of a pipe and exits when the other end closes, so that no child outlives the parent, however that ends, on any
// operating system.
//
// Start reading at [Start].
package cluster
