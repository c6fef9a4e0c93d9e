package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes"
)

// Store keeps small values under keys. It is a notify.Ledger and an incident.Store. All methods may be called at once from several
// goroutines.
type Store interface {
	// Put stores a value under a key; it has been stored when Put returns nil. When it returns an error, it may or may not be.
	Put(ctx context.Context, key string, value []byte) error
	// Delete forgets a key; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// List returns everything stored under keys with that prefix. The values are the caller's own.
	List(ctx context.Context, prefix string) (map[string][]byte, error)
	// Close ends the use of the store. Everything that was put is stored already.
	Close() error
}

// Options are what Open needs besides the place.
type Options struct {
	Client    kubernetes.Interface // for ConfigMaps
	InCluster bool                 // whether the bot runs in a pod
	Namespace string               // the bot's own; found out inside a cluster when empty
	Cluster   string               // what the watched cluster is called; the default directory is one per cluster
	// Part opens a part of the state that is kept apart from the rest, under the same setting: what is large and seldom written would
	// otherwise be written again with everything small that shares its ConfigMap. Empty is the rest.
	Part string
	Log  *slog.Logger
}

// Open opens the store that a setting names: "dir:PATH", "configmap:NAMESPACE/NAME", "memory", or empty for the place that suits: ConfigMaps
// named crashloop-state in the bot's own namespace inside a cluster, and a directory under the user's state directory outside.
func Open(ctx context.Context, spec string, o Options) (Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	kind, place, _ := strings.Cut(spec, ":")
	switch {
	case spec == "memory":
		return NewMemory(), nil
	case kind == "dir" && place != "":
		return OpenDirectory(filepath.Join(place, o.Part), o.Log)
	case kind == "configmap" && place != "":
		namespace, name, ok := strings.Cut(place, "/")
		if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return nil, fmt.Errorf("state %q: it must be configmap:NAMESPACE/NAME", spec)
		}
		return openConfigMaps(ctx, namespace, name, o)
	case spec != "":
		return nil, fmt.Errorf("state %q: it must be dir:PATH, configmap:NAMESPACE/NAME, memory, or empty for the place that suits", spec)
	case o.InCluster:
		namespace := o.Namespace
		if namespace == "" {
			var err error
			if namespace, err = ownNamespace(); err != nil {
				return nil, err
			}
		}
		return openConfigMaps(ctx, namespace, "crashloop-state", o)
	}
	dir, err := userStateDir(o.Cluster)
	if err != nil {
		return nil, err
	}
	return OpenDirectory(filepath.Join(dir, o.Part), o.Log)
}

func openConfigMaps(ctx context.Context, namespace, name string, o Options) (Store, error) {
	if o.Client == nil {
		return nil, fmt.Errorf("state configmap:%s/%s: there is no connection to a cluster", namespace, name)
	}
	if o.Part != "" {
		name += "-" + o.Part
	}
	return OpenConfigMaps(ctx, ConfigMapOptions{Client: o.Client, Namespace: namespace, Name: name, Log: o.Log})
}

// namespaceFile is where the kubelet puts the namespace of a pod (pkg/kubelet, projected service account volume).
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func ownNamespace() (string, error) {
	raw, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("finding the bot's own namespace: %w; set CRASHLOOP_INSTANCE_NAMESPACE", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// userStateDir is the directory for the state of one cluster's bot, by the XDG base directory specification, or macOS' own custom.
func userStateDir(cluster string) (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding a directory for the state: %w; set CRASHLOOP_STATE=dir:PATH", err)
		}
		base = filepath.Join(home, ".local", "state")
		if runtime.GOOS == "darwin" {
			base = filepath.Join(home, "Library", "Application Support")
		}
	}
	if cluster == "" {
		cluster = "cluster"
	}
	return filepath.Join(base, "crashloop", fileName(cluster)), nil
}

// maxKey bounds a key, in bytes.
const maxKey = 512

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the key has %d bytes, and %d are the most", len(key), maxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("the key %q is not valid UTF-8", key)
	}
	return nil
}

// Rules are the rights that ConfigMaps and the Lease take, in the bot's own namespace.
func Rules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "create", "update"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}},
	}
}
