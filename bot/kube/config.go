package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // kubeconfigs with auth-provider oidc; exec plugins need no import
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
)

// A bot reads in bursts, when something breaks, and hardly at all otherwise. client-go's own 5 and 10 would make a diagnosis wait.
const (
	defaultQPS   = 50
	defaultBurst = 100
)

// Source says where a client configuration came from.
type Source struct {
	// InCluster says that it is the pod's own service account.
	InCluster bool
	// Path is the kubeconfig, or several in the form of KUBECONFIG; empty in a cluster.
	Path string
	// Context and Cluster are the names that the kubeconfig gives them; empty in a cluster.
	Context, Cluster string
	// Namespace is the context's, or the pod's own; "default" where neither names one.
	Namespace string
}

// String says it in words.
func (s Source) String() string {
	if s.InCluster {
		return "the pod's service account"
	}
	return fmt.Sprintf("context %q of %s", s.Context, s.Path)
}

// serviceAccount is where a kubelet puts a pod's identity.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// Config finds the cluster, in this order: path when it is not empty, the files that KUBECONFIG names, the pod's service account,
// ~/.kube/config. context chooses a context of the kubeconfig, its current one when empty. Its errors say what was tried.
func Config(path, context, version string) (*rest.Config, Source, error) {
	var tried []string
	switch env := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); {
	case path != "":
		return fromFile(path, context, version, "")
	case env != "":
		return fromFile("", context, version, env)
	}
	if context == "" { // a context can only be meant for a kubeconfig
		config, err := rest.InClusterConfig()
		if err == nil {
			return shape(config, version), Source{InCluster: true, Namespace: ownNamespace()}, nil
		}
		if !errors.Is(err, rest.ErrNotInCluster) {
			return nil, Source{}, fmt.Errorf("using the pod's service account: %w; set automountServiceAccountToken: true, or name a kubeconfig", err)
		}
		tried = append(tried, "the pod's service account (KUBERNETES_SERVICE_HOST is not set)")
	}
	home := clientcmd.RecommendedHomeFile
	if _, err := os.Stat(home); err != nil {
		tried = append([]string{"KUBECONFIG (not set)"}, append(tried, home+" (not there)")...)
		return nil, Source{}, fmt.Errorf("no cluster found: tried %s; name a kubeconfig file", strings.Join(tried, ", "))
	}
	return fromFile(home, context, version, "")
}

func fromFile(path, context, version, env string) (*rest.Config, Source, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}
	shown := path
	if path == "" {
		shown = env
		rules.Precedence = filepath.SplitList(env)
		there := 0
		for _, f := range rules.Precedence {
			if _, err := os.Stat(f); err == nil {
				there++
			}
		}
		if there == 0 {
			return nil, Source{}, fmt.Errorf("reading the kubeconfig: KUBECONFIG names %s, which is not there", env)
		}
	}
	deferred := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	raw, err := deferred.RawConfig()
	if err != nil {
		return nil, Source{}, fmt.Errorf("reading the kubeconfig %s: %w", shown, err)
	}
	name := context
	if name == "" {
		name = raw.CurrentContext
	}
	chosen := raw.Contexts[name]
	if chosen == nil {
		var names []string
		for n := range raw.Contexts {
			names = append(names, n)
		}
		what := fmt.Sprintf("has no context %q", name)
		if name == "" {
			what = "has no current context"
		}
		return nil, Source{}, fmt.Errorf("the kubeconfig %s %s; it has: %s", shown, what, listed(names))
	}
	if raw.Clusters[chosen.Cluster] == nil { // client-go would only say that there is no configuration
		return nil, Source{}, fmt.Errorf("context %q of the kubeconfig %s names cluster %q, which does not stand there", name, shown, chosen.Cluster)
	}
	config, err := deferred.ClientConfig()
	if err != nil {
		return nil, Source{}, fmt.Errorf("using context %q of the kubeconfig %s: %w", name, shown, err)
	}
	namespace := chosen.Namespace
	if namespace == "" {
		namespace = "default"
	}
	return shape(config, version), Source{Path: shown, Context: name, Cluster: chosen.Cluster, Namespace: namespace}, nil
}

// shape sets what every client of the bot has in common: built-in kinds travel as protobuf, which costs a fraction of JSON's work.
func shape(config *rest.Config, version string) *rest.Config {
	config.UserAgent = "crashloop"
	if version != "" {
		config.UserAgent += "/" + version
	}
	config.QPS, config.Burst = defaultQPS, defaultBurst
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

// jsonOnly is config for custom resources, which have no protobuf form.
func jsonOnly(config *rest.Config) *rest.Config {
	c := rest.CopyConfig(config)
	c.ContentType, c.AcceptContentTypes = "", ""
	return c
}

func limiter(config *rest.Config) flowcontrol.RateLimiter {
	if config.QPS < 0 {
		return nil
	}
	return flowcontrol.NewTokenBucketRateLimiter(config.QPS, max(config.Burst, 1))
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func ownNamespace() string {
	if raw, err := os.ReadFile(filepath.Join(serviceAccount, "namespace")); err == nil {
		if ns := strings.TrimSpace(string(raw)); ns != "" {
			return ns
		}
	}
	return "default"
}
