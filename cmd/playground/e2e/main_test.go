package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"crashloop/cmd/playground/cluster"
)

var update = flag.Bool("update", false, "write the screenshots under docs/ anew")

// The stories wait much more than they compute, so more of them run beside each other than there are cores.
const storiesAtOnce = "4"

func TestMain(m *testing.M) {
	cluster.Main()
	flag.Parse()
	os.Exit(run(m))
}

// shared is what all tests of the package use: made when first asked for, removed at the end.
var shared struct {
	dir       string
	bot       func() (string, error)
	simulated func() (*playground, error)
}

func run(m *testing.M) int {
	atOnce := flag.Lookup("test.parallel")
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == atOnce.Name })
	if !given {
		if err := atOnce.Value.Set(storiesAtOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "crashloop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.dir = dir
	shared.bot = sync.OnceValues(buildBot)
	var simulated *playground
	shared.simulated = sync.OnceValues(func() (p *playground, err error) {
		simulated, err = startPlayground(cluster.Simulated)
		return simulated, err
	})
	defer func() {
		if simulated == nil {
			return
		}
		if err := simulated.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the cluster:", err)
		}
	}()
	return m.Run()
}

// buildBot builds the program as a release is built.
func buildBot() (string, error) {
	path := filepath.Join(shared.dir, "crashloop")
	cmd := exec.Command("go", "build", "-o", path, "crashloop/cmd/crashloop")
	cmd.Dir = filepath.Join("..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the bot: %w\n%s", err, out)
	}
	return path, nil
}

// playground is one running cluster with everything in it that the stories share.
type playground struct {
	cluster *cluster.Cluster
	nodes   cluster.Nodes
	client  kubernetes.Interface
	dynamic dynamic.Interface
	objects *applier
	// serviceAccount is a kubeconfig of the bot's ServiceAccount, bound as deploy/rbac.yaml binds it.
	serviceAccount string
	dir            string
}

func startPlayground(nodes cluster.Nodes) (*playground, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	// A back-off of a second: the stories are not about waiting. The one that is asks for a cluster of its own.
	c, err := cluster.Start(ctx, cluster.Options{Nodes: nodes, SimulatedNodes: 1, MaxRestartPeriod: time.Second, Dir: filepath.Join(shared.dir, string(nodes))})
	if err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	p := &playground{cluster: c, nodes: nodes, client: c.Client(), dir: filepath.Join(shared.dir, string(nodes)+"-files")}
	if err := p.connect(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return p, nil
}

// connect makes the clients, and deploys what the stories share.
func (p *playground) connect(ctx context.Context) (err error) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if p.dynamic, err = dynamic.NewForConfig(p.cluster.Admin()); err != nil {
		return err
	}
	if p.objects, err = newApplier(p.cluster.Admin(), p.dynamic); err != nil {
		return err
	}
	return p.deploy(ctx)
}

// deploy gives the bot exactly the rights that it ships with, and makes alice an administrator.
func (p *playground) deploy(ctx context.Context) error {
	manifest, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "rbac.yaml"))
	if err != nil {
		return err
	}
	if err := p.objects.apply(ctx, manifest, nil); err != nil {
		return err
	}
	if err := p.objects.apply(ctx, []byte(aliceIsAdmin), nil); err != nil {
		return err
	}
	bot, err := p.cluster.ServiceAccount(ctx, "crashloop", "crashloop")
	if err != nil {
		return err
	}
	p.serviceAccount = filepath.Join(p.dir, "crashloop.kubeconfig")
	return p.cluster.WriteKubeconfig(p.serviceAccount, bot)
}

const aliceIsAdmin = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: alice-is-admin}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: alice@example.com}
`
