package cluster

import "fmt"

// containerdConfig is the configuration of containerd 1.6 and 1.7.
//
// restrict_oom_score_adj: without CAP_SYS_RESOURCE, which containers that run CI lack, every sandbox would fail otherwise ("can't get final
// child's PID from pipe: EOF"). netns_mounts_under_state_dir keeps the network namespaces in the work folder, to be removed with it.
func containerdConfig(dir, socket, cniBin, cniConf, snapshotter string) string {
	return fmt.Sprintf(`version = 2
root = %q
state = %q
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = %q

[ttrpc]
  address = %q

[plugins."io.containerd.internal.v1.opt"]
  path = %q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %q
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = %q

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, dir+"/root", dir+"/state", socket, socket+".ttrpc", dir+"/opt", pauseImage, snapshotter, dir+"/runc", cniBin, cniConf)
}

// cniConfig gives each pod a point-to-point link and an address.
func cniConfig(addresses string) string {
	return fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": %q,
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": %q,
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    }
  ]
}
`, networkName, addresses, podRange)
}

// kubeletConfigFormat takes: address, port, containerd's socket, authority, certificate, key, folder of logs, DNS server, domain.
const kubeletConfigFormat = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
port: %d
readOnlyPort: 0
healthzPort: 0
containerRuntimeEndpoint: unix://%s
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %q}
authorization: {mode: Webhook}
tlsCertFile: %q
tlsPrivateKeyFile: %q
podLogsDir: %q
clusterDNS: [%q]
clusterDomain: %s
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
oomScoreAdj: 0
# The disks of a developer's machine are often full, and that is not a story of ours.
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, nodefs.inodesFree: 1%%, imagefs.available: 1%%}
imageGCHighThresholdPercent: 100
imageMaximumGCAge: 0s
nodeStatusUpdateFrequency: 5s
volumeStatsAggPeriod: 5s
shutdownGracePeriod: 0s
`

// proxyConfigFormat takes: kubeconfig, node, addresses of pods, port of /healthz, port of /metrics. The conntrack settings of 0 leave the kernel's own as they are.
const proxyConfigFormat = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: %q}
hostnameOverride: %s
clusterCIDR: %s
bindAddress: 127.0.0.1
healthzBindAddress: 127.0.0.1:%d
metricsBindAddress: 127.0.0.1:%d
nodePortAddresses: [primary]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {minSyncPeriod: 100ms, syncPeriod: 30s}
`

// corefileFormat takes: domain, address, kubeconfig, address. There is no network to the outside: other names do not exist. They have a block
// of their own, because CoreDNS asks template before kubernetes.
const corefileFormat = `%s:53 in-addr.arpa:53 ip6.arpa:53 {
	bind %s
	errors
	kubernetes {
		kubeconfig %s
		pods insecure
		ttl 5
	}
}
.:53 {
	bind %s
	errors
	template ANY ANY {
		rcode NXDOMAIN
	}
}
`
