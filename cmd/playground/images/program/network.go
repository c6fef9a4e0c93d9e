//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", ":8080", "address")
	after := flags.Duration("after", 0, "time until it listens")
	status := flags.Int("status", http.StatusOK, "HTTP status of every answer")
	statusAfter := flags.Duration("status-after", 0, "time until it answers with that status; 200 before")
	path := flags.String("path", "", "the only path that there is; 404 for others")
	hang := flags.Duration("hang-after", 0, "time until it answers no more, 0 for never")
	expired := flags.Bool("expired", false, "speak TLS, with a certificate that has expired")
	say := flags.String("say", "", "what it logs when it begins to answer with that status")
	work := flags.Duration("work", 0, "CPU time that every answer takes")
	ignore := flags.Bool("ignore-stop", false, "ignore SIGTERM, until the kubelet kills it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := stopped()
	defer stop()
	if *ignore {
		stop()
		ctx = context.Background()
		signal.Ignore(syscall.SIGTERM)
	}
	if *after > 0 {
		log.Printf("loading the catalogue before listening on %s", *listen)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(*after):
		}
	}
	begin := time.Now()
	var said atomic.Bool
	server := &http.Server{Addr: *listen, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *hang > 0 && time.Since(begin) >= *hang {
			<-r.Context().Done()
			return
		}
		if *path != "" && r.URL.Path != *path {
			http.NotFound(w, r)
			return
		}
		compute(*work)
		if time.Since(begin) < *statusAfter {
			return
		}
		if *say != "" && said.CompareAndSwap(false, true) {
			log.Print(*say)
		}
		w.WriteHeader(*status)
	})}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	log.Printf("listening on %s", *listen)
	if *expired {
		if server.TLSConfig, err = expiredCertificate(); err != nil {
			return err
		}
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func dial(args []string) error {
	flags := flag.NewFlagSet("dial", flag.ExitOnError)
	address := flags.String("address", "", "HOST:PORT")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log.Print("starting")
	conn, err := net.DialTimeout("tcp", *address, 5*time.Second)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", *address, err)
	}
	defer conn.Close()
	log.Printf("connected to %s", *address)
	return pause(nil)
}

// expiredCertificate is a certificate that somebody forgot to renew.
func expiredCertificate() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, -3),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}

func fetch(args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ExitOnError)
	url := flags.String("url", "", "URL")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log.Print("starting")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, *url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", *url, answer.Status)
	}
	return pause(nil)
}

// serviceAccount is where the kubelet mounts the credentials of a pod.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// api does what client libraries do inside of a cluster, and prints the API server's own message.
func api(args []string) error {
	flags := flag.NewFlagSet("api", flag.ExitOnError)
	path := flags.String("path", "/api", "path")
	if err := flags.Parse(args); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(serviceAccount, "token"))
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	host := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+*path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var status struct{ Message string }
		if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
			return fmt.Errorf("GET %s: %s", *path, answer.Status)
		}
		return errors.New(status.Message)
	}
	return pause(nil)
}
