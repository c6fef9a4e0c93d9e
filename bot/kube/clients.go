package kube

import (
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Clients are what the parts of a bot talk to one cluster with. They share one connection pool and one rate limit.
type Clients struct {
	Config   *rest.Config
	Objects  kubernetes.Interface
	Metadata metadata.Interface
}

// NewClients makes the clients of a configuration. It calls nothing yet.
func NewClients(config *rest.Config) (Clients, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return Clients{}, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	objects, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return Clients{}, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	meta, err := metadata.NewForConfigAndClient(metadata.ConfigFor(config), client)
	if err != nil {
		return Clients{}, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	return Clients{config, objects, meta}, nil
}
