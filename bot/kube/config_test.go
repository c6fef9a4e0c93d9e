package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: red, cluster: {server: "https://red.example:6443"}}
- {name: blue, cluster: {server: "https://blue.example:6443"}}
users:
- {name: me, user: {token: sesame}}
contexts:
- {name: one, context: {cluster: red, user: me, namespace: shop}}
- {name: two, context: {cluster: blue, user: me}}
- {name: three, context: {cluster: green, user: me}}
`

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", kubeconfig)
	broken := write("broken", "clusters: [")
	empty := write("empty", "apiVersion: v1\nkind: Config\n")
	none := filepath.Join(dir, "none")
	for _, test := range []struct {
		name, path, env, context, host string
		inCluster                      bool
		want                           []string // of the source, or of the error
	}{
		{name: "a path", path: good, host: "https://red.example:6443", want: []string{`context "one"`, good}},
		{name: "a path before KUBECONFIG", path: good, env: broken, host: "https://red.example:6443", want: []string{`context "one"`}},
		{name: "KUBECONFIG", env: good, host: "https://red.example:6443", want: []string{`context "one"`, good}},
		{name: "KUBECONFIG before the cluster", env: good, inCluster: true, host: "https://red.example:6443", want: []string{`context "one"`}},
		{name: "KUBECONFIG with several files", env: none + string(filepath.ListSeparator) + good, host: "https://red.example:6443", want: []string{`context "one"`}},
		{name: "another context", env: good, context: "two", host: "https://blue.example:6443", want: []string{`context "two"`}},
		{name: "no such context", env: good, context: "four", want: []string{`no context "four"`, "one, three, two"}},
		{name: "a context without its cluster", env: good, context: "three", want: []string{`context "three"`, "green"}},
		{name: "a path that is not there", path: none, want: []string{none, "no such file"}},
		{name: "KUBECONFIG that is not there", env: none, want: []string{"KUBECONFIG names " + none, "not there"}},
		{name: "not YAML", path: broken, want: []string{broken}},
		{name: "no current context", path: empty, want: []string{"has no current context", "none"}},
		{name: "in a cluster without its token", inCluster: true, want: []string{"service account", "automountServiceAccountToken"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := os.Stat(serviceAccount); err == nil && test.inCluster && test.env == "" {
				t.Skip("runs outside of a cluster only: this machine is a pod with a service account")
			}
			t.Setenv("KUBECONFIG", test.env)
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			t.Setenv("KUBERNETES_SERVICE_PORT", "")
			if test.inCluster {
				t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
				t.Setenv("KUBERNETES_SERVICE_PORT", "443")
			}
			config, source, err := Config(test.path, test.context, "1.2.3")
			if (err == nil) != (test.host != "") {
				t.Fatalf("got %v, %v", config, err)
			}
			said := source.String()
			if err != nil {
				said = err.Error()
			} else if config.Host != test.host || config.UserAgent != "crashloop/1.2.3" || config.QPS != defaultQPS || !strings.Contains(config.ContentType, "protobuf") {
				t.Errorf("got host %q, user agent %q, QPS %v, content type %q", config.Host, config.UserAgent, config.QPS, config.ContentType)
			}
			for _, want := range test.want {
				if !strings.Contains(said, want) {
					t.Errorf("it says %q, which lacks %q", said, want)
				}
			}
			if strings.Contains(said, "sesame") {
				t.Errorf("it tells a token: %q", said)
			}
		})
	}
}
