package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lockFile is held while a containerd node runs: its addresses exist once on a machine. It names the node's work folder until the machine is
// clean again. The file stays: whoever removed it could take it from under one who has just opened it. It is in /run, which is empty again
// after a reboot.
const lockFile = "/run/crashloop-playground.lock"

// startSimulated starts the simulated nodes and waits until they are Ready.
func (c *Cluster) startSimulated(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ports, err := freePorts("127.0.0.1", c.opts.SimulatedNodes)
	if err != nil {
		return err
	}
	var last *process
	for i, port := range ports {
		name := fmt.Sprintf("node-%c", 'a'+i%26)
		if i >= 26 {
			name += strconv.Itoa(i / 26)
		}
		if last, err = c.startSimulatedNode(ctx, name, i, port); err != nil {
			return err
		}
	}
	return last.waitFor(ctx, "the nodes to be Ready", func(ctx context.Context) error { return c.nodesReady(ctx, len(ports)) })
}

// startSimulatedNode starts one simulated node.
func (c *Cluster) startSimulatedNode(ctx context.Context, name string, index, port int) (*process, error) {
	// A kubelet refuses to publish a loopback address as its node's. It leaves alone what a cloud provider published, so the launcher does
	// what a cloud provider does: it makes the Node, with its address.
	node := &core.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		core.LabelTopologyZone: fmt.Sprintf("zone-%c", 'a'+index%3), core.LabelTopologyRegion: "playground",
		core.LabelInstanceTypeStable: "simulated",
	}}}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("making node %s: %w", name, err)
	}
	addresses, err := json.Marshal(core.Node{Status: core.NodeStatus{
		Addresses: []core.NodeAddress{{Type: core.NodeInternalIP, Address: "127.0.0.1"}, {Type: core.NodeHostName, Address: name}},
	}})
	if err != nil {
		return nil, fmt.Errorf("encoding the address of node %s: %w", name, err)
	}
	if _, err := c.client.CoreV1().Nodes().PatchStatus(ctx, name, addresses); err != nil {
		return nil, fmt.Errorf("setting the address of node %s: %w", name, err)
	}
	kubeconfig := filepath.Join(c.pki, name+".kubeconfig")
	if err := c.kubeconfigFor(kubeconfig, "system:node:"+name, "system:nodes"); err != nil {
		return nil, err
	}
	cert, key, err := c.ca.files(c.pki, "kubelet-"+name, identity{name: "system:node:" + name, groups: []string{"system:nodes"}, hosts: []string{"127.0.0.1", name}})
	if err != nil {
		return nil, err
	}
	p, err := startNamed(c.dir, name, "simulated-node", nil,
		"--name="+name, "--index="+strconv.Itoa(index), "--dir="+filepath.Join(c.dir, "nodes", name), "--kubeconfig="+kubeconfig, "--port="+strconv.Itoa(port),
		"--cert="+cert, "--key="+key, "--client-ca="+filepath.Join(c.pki, "ca.crt"), "--max-restart-period="+c.opts.MaxRestartPeriod.String())
	if err != nil {
		return nil, err
	}
	c.own(p)
	return p, nil
}

// nodesReady checks that there are n nodes, all Ready and free of the taints of a node that has just started.
func (c *Cluster) nodesReady(ctx context.Context, n int) error {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	ready := 0
	for _, node := range nodes.Items {
		for _, cond := range node.Status.Conditions {
			if cond.Type == core.NodeReady && cond.Status == core.ConditionTrue && len(node.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	if ready < n {
		return fmt.Errorf("%d of %d nodes are Ready", ready, n)
	}
	return nil
}
