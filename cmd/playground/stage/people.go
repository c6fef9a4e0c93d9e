package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"crashloop/cmd/playground/cluster"
)

// The people of the playground, as Kubernetes knows them. In Slack they are alice, dev and vic; mallory has no mapping.
const (
	// Admin may do everything (ClusterRole cluster-admin).
	Admin = "admin"
	// Developer may edit what is in the namespace shop (ClusterRole edit), and nothing elsewhere.
	Developer = "developer"
	// Viewer may look at everything but Secrets (ClusterRole view).
	Viewer = "viewer"
)

// accessPolicy maps the workspace's people to Kubernetes users, by e-mail address.
const accessPolicy = `# Which Slack person is which Kubernetes user. Whoever is not here may do nothing.
users:
  - slack: alice@example.com
    kubernetes: {user: ` + Admin + `}
  - slack: dev@example.com
    kubernetes: {user: ` + Developer + `}
  - slack: vic@example.com
    kubernetes: {user: ` + Viewer + `}
`

// rights are the real bindings behind the people.
const rights = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: playground-admin}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ` + Admin + `}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: playground-developer, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ` + Developer + `}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: playground-viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ` + Viewer + `}]
`

// makePeople gives the people their rights and writes their kubeconfigs, and the bot's access file.
func (s *Stage) makePeople(ctx context.Context) error {
	if err := s.Cluster.Apply(ctx, []byte(rights)); err != nil {
		return err
	}
	for _, name := range []string{Admin, Developer, Viewer} {
		credentials, err := s.Cluster.User(name)
		if err != nil {
			return err
		}
		if err := s.Cluster.WriteKubeconfig(s.Kubeconfig(name), credentials); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.accessFile(), []byte(accessPolicy), 0o600); err != nil {
		return fmt.Errorf("writing the access file: %w", err)
	}
	return nil
}

// Kubeconfig is the path of a person's kubeconfig.
func (s *Stage) Kubeconfig(person string) string {
	return filepath.Join(s.Cluster.Dir(), person+".kubeconfig")
}

func (s *Stage) accessFile() string { return filepath.Join(s.Cluster.Dir(), "access.yaml") }

// waitThroughScenario applies a scenario's steps. Between two steps the workloads become ready, so that the later one breaks what worked.
func waitThroughScenario(ctx context.Context, c *cluster.Cluster, steps [][]byte) error {
	for i, step := range steps {
		if i > 0 {
			if err := c.WaitReady(ctx, steps[i-1]); err != nil {
				return err
			}
		}
		if err := c.Apply(ctx, step); err != nil {
			return err
		}
	}
	return nil
}
