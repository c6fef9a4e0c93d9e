#!/bin/sh
# Installs what the playground's containerd node needs, from Debian's (or Ubuntu's) packages. Run as root:
#
#   sh cmd/playground/install-containerd.sh
#
# containerd and runc run the containers, the CNI plugins give them a network, nftables is what kube-proxy writes its rules with (kubelet
# and the CNI bridge still use iptables), and busybox-static goes into the images, since no registry is asked for any.
#
# The packages start containerd as a service of the machine. The playground runs one of its own, in its own folder, and leaves that alone.
set -eu
exec sh "$(dirname "$0")/../../.ci/install" containerd runc containernetworking-plugins iptables nftables busybox-static
