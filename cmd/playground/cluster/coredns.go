package cluster

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/coredns/caddy"
	// The server type "dns", and the plugins that the Corefile names.
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

// runCoreDNS serves the cluster's names: CoreDNS with the plugins that a cluster without a network to the outside needs.
func runCoreDNS(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("coredns", flag.ContinueOnError)
	path := flags.String("corefile", "", "configuration")
	if err := flags.Parse(args); err != nil {
		return err
	}
	corefile, err := os.ReadFile(*path)
	if err != nil {
		return fmt.Errorf("reading the Corefile: %w", err)
	}
	caddy.AppName, caddy.Quiet = "CoreDNS", true
	server, err := caddy.Start(caddy.CaddyfileInput{Filepath: *path, Contents: corefile, ServerTypeName: "dns"})
	if err != nil {
		return fmt.Errorf("starting CoreDNS: %w", err)
	}
	<-ctx.Done()
	return server.Stop()
}
