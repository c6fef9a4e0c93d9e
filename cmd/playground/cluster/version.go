package cluster

import (
	"fmt"
	_ "unsafe" // for go:linkname

	"k8s.io/component-base/version"
)

// kubernetesVersion is the version of the module k8s.io/kubernetes; a test holds it to go.mod.
const kubernetesVersion = "v1.36.3"

// The components learn their version from the linker's -X flag, which `go run` and `go test` would have to be given by hand each time.
// Without it nodes and /version say v0.0.0-master.
//
//go:linkname gitVersion k8s.io/component-base/version.gitVersion
var gitVersion string

// setVersion makes the components of this process know their version.
func setVersion() error {
	gitVersion = kubernetesVersion
	if err := version.SetDynamicVersion(kubernetesVersion); err != nil {
		return fmt.Errorf("setting the version: %w", err)
	}
	return nil
}
