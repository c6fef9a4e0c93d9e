package cluster

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd serves an etcd with one member. It does not sync its files to disk: nothing here outlives the machine.
func runEtcd(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("dir", "", "data directory")
	client := flags.String("client", "", "URL for clients")
	peer := flags.String("peer", "", "URL for peers")
	cert := flags.String("cert", "", "serving certificate")
	key := flags.String("key", "", "serving key")
	ca := flags.String("ca", "", "authority of clients")
	if err := flags.Parse(args); err != nil {
		return err
	}
	clientURL, err := url.Parse(*client)
	if err != nil {
		return fmt.Errorf("reading the client URL: %w", err)
	}
	peerURL, err := url.Parse(*peer)
	if err != nil {
		return fmt.Errorf("reading the peer URL: %w", err)
	}
	cfg := embed.NewConfig()
	cfg.Name = "playground"
	cfg.Dir = *dir
	cfg.UnsafeNoFsync = true
	cfg.LogLevel = "warn"
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// Only the API server holds a certificate of this authority: without it every user of the machine could read and write the cluster.
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: *cert, KeyFile: *key, TrustedCAFile: *ca, ClientCertAuth: true}
	cfg.PeerTLSInfo = cfg.ClientTLSInfo
	cfg.QuotaBackendBytes = 8 << 30
	// One member elects itself; the default waits for a second.
	cfg.TickMs, cfg.ElectionMs = 50, 500
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return fmt.Errorf("running etcd: %w", err)
	case <-time.After(time.Minute):
		return fmt.Errorf("etcd was not ready within a minute")
	}
	select {
	case err := <-server.Err():
		return fmt.Errorf("running etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
}
