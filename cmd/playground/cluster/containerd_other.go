//go:build !linux

package cluster

import (
	"context"
	"errors"
)

// CheckContainerd says why this machine cannot have a containerd node.
func CheckContainerd() error {
	return errors.New("a containerd node needs Linux; use simulated nodes here")
}

func (c *Cluster) prepareContainerd(context.Context) error { return CheckContainerd() }

func (c *Cluster) startContainerd(context.Context) error { return CheckContainerd() }

func cleanContainerd(string) error { return nil }
