package cluster

import (
	"context"
	"flag"
	"time"
)

// janitorArgs tells the janitor what there is to clean.
func (c *Cluster) janitorArgs() []string {
	args := []string{"--dir=" + c.dir}
	if c.opts.Keep {
		args = append(args, "--keep")
	}
	if c.opts.Nodes == Containerd {
		args = append(args, "--containerd")
	}
	return args
}

// janitor waits for the parent to end without having stopped the cluster, as kill -9 does, and cleans up in its place. The other children
// end by themselves; what stays is the work folder and, of a containerd node, containers, mounts and the network bridge.
func janitor(ctx context.Context, ended <-chan struct{}, args []string) error {
	flags := flag.NewFlagSet("janitor", flag.ContinueOnError)
	dir := flags.String("dir", "", "work folder")
	keep := flags.Bool("keep", false, "leave the work folder")
	containerd := flags.Bool("containerd", false, "clean up after a containerd node")
	if err := flags.Parse(args); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
	}
	if *containerd {
		if err := cleanContainerd(*dir); err != nil {
			return err
		}
	}
	if *keep {
		return nil
	}
	// The other children need a moment to end, and would write into the folder again.
	time.Sleep(time.Second)
	return removeAll(*dir)
}
