package cluster_test

import (
	"os"
	"testing"

	"crashloop/cmd/playground/cluster"
)

func TestMain(m *testing.M) {
	cluster.Main()
	os.Exit(m.Run())
}
