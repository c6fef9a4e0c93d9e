//go:build !linux

package cluster

import (
	"context"
	"errors"
)

var errLinux = errors.New("a containerd node needs Linux; use simulated nodes here")

func (c *Cluster) prepareContainerd(context.Context) error { return errLinux }

func (c *Cluster) startContainerd(context.Context) error { return errLinux }

func cleanContainerd(string) error { return nil }
