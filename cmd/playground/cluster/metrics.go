package cluster

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strconv"
)

// metricsUser is whom metrics-server speaks to the API server and the kubelets as.
const metricsUser = "system:metrics-server"

// startMetrics starts metrics-server and tells the API server to pass the group metrics.k8s.io on to it. It does not wait: the first
// measurements come half a minute after the nodes, and nothing of the start needs them.
func (c *Cluster) startMetrics(ctx context.Context) error {
	kubeconfig := filepath.Join(c.pki, "metrics-server.kubeconfig")
	if err := c.kubeconfigFor(kubeconfig, metricsUser); err != nil {
		return err
	}
	cert, key, err := c.ca.files(c.pki, "metrics-server", identity{name: "metrics-server", hosts: []string{"metrics-server.kube-system.svc", c.address}})
	if err != nil {
		return err
	}
	ports, err := freePorts(c.address, 1)
	if err != nil {
		return err
	}
	p, err := startProcess(c.dir, "metrics-server",
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--bind-address="+c.address, "--secure-port="+strconv.Itoa(ports[0]), "--tls-cert-file="+cert, "--tls-private-key-file="+key,
		"--kubelet-use-node-status-port", "--kubelet-preferred-address-types=InternalIP",
		// As often as it can: a story is over within a minute.
		"--metric-resolution=10s", "--kubelet-request-timeout=5s")
	if err != nil {
		return err
	}
	c.own(p)
	return c.Apply(ctx, fmt.Appendf(nil, metricsManifests, c.address, ports[0], base64.StdEncoding.EncodeToString(c.ca.pem)))
}

// metricsManifests takes: address, port, authority. The rights are those of metrics-server's own manifests. It runs beside the cluster rather
// than in it, so its Service is a name for the address where it listens, as kube-aggregator allows: no Endpoints may hold a loopback address.
const metricsManifests = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:aggregated-metrics-reader
  labels: {rbac.authorization.k8s.io/aggregate-to-view: "true", rbac.authorization.k8s.io/aggregate-to-edit: "true", rbac.authorization.k8s.io/aggregate-to-admin: "true"}
rules:
- {apiGroups: [metrics.k8s.io], resources: [pods, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: system:metrics-server}
rules:
- {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
- {apiGroups: [""], resources: [pods, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: system:metrics-server}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:metrics-server}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:metrics-server}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: metrics-server:system:auth-delegator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:metrics-server}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: metrics-server-auth-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:metrics-server}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system, labels: {k8s-app: metrics-server}}
spec: {type: ExternalName, externalName: %s}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io, labels: {k8s-app: metrics-server}}
spec:
  service: {name: metrics-server, namespace: kube-system, port: %d}
  group: metrics.k8s.io
  version: v1beta1
  caBundle: %s
  groupPriorityMinimum: 100
  versionPriority: 100
`
