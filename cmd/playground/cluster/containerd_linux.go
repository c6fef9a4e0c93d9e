package cluster

import (
	"context"
	"errors"
)

func (c *Cluster) prepareContainerd(context.Context) error { return errors.New("not yet") }

func (c *Cluster) startContainerd(context.Context) error { return errors.New("not yet") }

func cleanContainerd(string) error { return nil }
