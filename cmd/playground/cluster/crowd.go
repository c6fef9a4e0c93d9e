package cluster

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Crowd is a great many healthy pods on nodes that exist only in the API: no kubelet looks after them, so they cost nobody anything but the
// API server. They are for measuring what watches a big cluster.
type Crowd struct {
	c      *Cluster
	cancel context.CancelFunc
	done   chan struct{}
}

// crowdNodePods is how many pods stand on each of a crowd's nodes; no more are recommended on a real one.
const crowdNodePods = 110

// StartCrowd makes n running, ready pods with two containers each in a namespace, which must exist, and the nodes for them. template, when not
// nil, changes each pod before it is created. The nodes stay Ready until Stop.
func (c *Cluster) StartCrowd(ctx context.Context, namespace string, n int, template func(*core.Pod)) (*Crowd, error) {
	beating, cancel := context.WithCancel(context.Background())
	crowd := &Crowd{c: c, cancel: cancel, done: make(chan struct{})}
	nodes := (n + crowdNodePods - 1) / crowdNodePods
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range nodes {
		g.Go(func() error { return c.crowdNode(gctx, crowdNodeName(i)) })
	}
	err := g.Wait()
	go crowd.beat(beating, nodes)
	if err == nil {
		g, gctx = errgroup.WithContext(ctx)
		g.SetLimit(16)
		for i := range n {
			g.Go(func() error { return c.crowdPod(gctx, namespace, i, template) })
		}
		err = g.Wait()
	}
	if err != nil {
		crowd.Stop()
		return nil, err
	}
	return crowd, nil
}

// Stop ends the heartbeats of the crowd's nodes; the pods stay until somebody deletes them or their nodes are found dead.
func (w *Crowd) Stop() {
	w.cancel()
	<-w.done
}

func crowdNodeName(i int) string { return fmt.Sprintf("crowd-%03d", i) }

// beat renews the nodes' leases; without it the controller manager would find them dead after 40 s.
func (w *Crowd) beat(ctx context.Context, nodes int) {
	defer close(w.done)
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		for i := range nodes {
			// A beat that fails is made up for by the next one.
			_ = w.c.crowdLease(ctx, crowdNodeName(i))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Cluster) crowdLease(ctx context.Context, name string) error {
	leases := c.client.CoordinationV1().Leases(core.NamespaceNodeLease)
	seconds, now := int32(40), metav1.NowMicro()
	lease := &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}}
	_, err := leases.Update(ctx, lease, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	}
	return err
}

func (c *Cluster) crowdNode(ctx context.Context, name string) error {
	// The taint keeps the scheduler from putting pods there that somebody waits for.
	node := &core.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{core.LabelHostname: name, core.LabelOSStable: "linux", core.LabelArchStable: "amd64"}},
		Spec: core.NodeSpec{Taints: []core.Taint{{Key: "playground.crashloop.dev/crowd", Effect: core.TaintEffectNoSchedule}}}}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	if err := c.crowdLease(ctx, name); err != nil {
		return fmt.Errorf("making the lease of node %s: %w", name, err)
	}
	room := core.ResourceList{core.ResourceCPU: resource.MustParse("64"), core.ResourceMemory: resource.MustParse("256Gi"), core.ResourcePods: resource.MustParse("110")}
	node, err := c.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading node %s: %w", name, err)
	}
	now := metav1.Now()
	node.Status.Capacity, node.Status.Allocatable = room, room
	node.Status.Conditions = []core.NodeCondition{{Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}}
	// The resource version is left out: the controller manager writes to the node at the same time.
	node.ResourceVersion = ""
	if _, err := c.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("making node %s Ready: %w", name, err)
	}
	return nil
}

func (c *Cluster) crowdPod(ctx context.Context, namespace string, i int, template func(*core.Pod)) error {
	name := fmt.Sprintf("crowd-%05d", i)
	pod := &core.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": "crowd", "team": fmt.Sprintf("team-%d", i%20)}},
		Spec: core.PodSpec{
			NodeName: crowdNodeName(i / crowdNodePods),
			Containers: []core.Container{
				{Name: "app", Image: "registry.example/shop/app:1.0.0", Env: []core.EnvVar{{Name: "LOG_LEVEL", Value: "info"}}},
				{Name: "proxy", Image: "registry.example/shop/proxy:1.0.0"},
			},
		},
	}
	if template != nil {
		template(pod)
	}
	pod, err := c.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making pod %s: %w", name, err)
	}
	started, now := true, metav1.Now()
	pod.Status = core.PodStatus{Phase: core.PodRunning, PodIP: fmt.Sprintf("10.%d.%d.%d", 128+i>>16, i>>8&0xff, i&0xff), StartTime: &now}
	for _, t := range []core.PodConditionType{core.PodScheduled, core.PodReadyToStartContainers, core.PodInitialized, core.ContainersReady, core.PodReady} {
		pod.Status.Conditions = append(pod.Status.Conditions, core.PodCondition{Type: t, Status: core.ConditionTrue, LastTransitionTime: now})
	}
	for j, container := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, core.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image, ContainerID: fmt.Sprintf("simulated://%064x", i*10+j), Ready: true, Started: &started,
			State: core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}},
		})
	}
	if _, err := c.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("making pod %s ready: %w", name, err)
	}
	return nil
}
