#!/bin/sh
# Installs what the playground's containerd node needs, from Debian's (or Ubuntu's) packages. Run as root:
#
#   sh cmd/playground/install-containerd.sh
#
# containerd and runc run the containers, the CNI plugins give them a network, nftables is what kube-proxy writes its rules with (kubelet
# and the CNI bridge still use iptables), and busybox-static goes into the images, since no registry is asked for any.
set -eu

if [ "$(id -u)" -ne 0 ]; then
	echo "install-containerd.sh: must run as root, because it installs packages" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	echo "install-containerd.sh: this machine has no apt-get; install containerd, runc, the CNI plugins, iptables, nftables and a static busybox by hand" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# The packages start containerd as a service of the machine. The playground runs one of its own, in its own folder, and leaves that alone.
apt-get update -q
apt-get install -q -y --no-install-recommends containerd runc containernetworking-plugins iptables nftables busybox-static
