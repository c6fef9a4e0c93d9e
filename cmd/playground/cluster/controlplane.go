package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// serviceRange is where ClusterIPs come from; its first address is the Service kubernetes.
const (
	serviceRange     = "10.96.0.0/16"
	kubernetesIP     = "10.96.0.1"
	dnsIP            = "10.96.0.10"
	clusterDomain    = "cluster.local"
	apiserverKubelet = "apiserver-kubelet-client"
)

// startAPI starts etcd and the API server, and waits until the API server is ready.
func (c *Cluster) startAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var err error
	if c.ca, err = newAuthority("crashloop-playground"); err != nil {
		return err
	}
	if c.etcdCA, err = newAuthority("crashloop-playground-etcd"); err != nil {
		return err
	}
	ports, err := freePorts("127.0.0.1", 2)
	if err != nil {
		return err
	}
	etcd, etcdURL, err := c.startEtcd(ports[0], ports[1])
	if err != nil {
		return err
	}
	if err := c.buildAPIServerArgs(etcdURL); err != nil {
		return err
	}
	if c.admin, err = c.User("playground-admin", "system:masters"); err != nil {
		return err
	}
	if c.client, err = kubernetes.NewForConfig(c.admin); err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	err = etcd.waitFor(ctx, "etcd", func(context.Context) error {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.StartAPIServer(ctx)
}

func (c *Cluster) startEtcd(port, peerPort int) (*process, string, error) {
	url := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	caFile := filepath.Join(c.pki, "etcd-ca.crt")
	if err := os.WriteFile(caFile, c.etcdCA.pem, 0o600); err != nil {
		return nil, "", fmt.Errorf("writing etcd's authority: %w", err)
	}
	cert, key, err := c.etcdCA.files(c.pki, "etcd", identity{name: "etcd", hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		return nil, "", err
	}
	etcd, err := startProcess(c.dir, "etcd",
		"--dir="+filepath.Join(c.dir, "etcd"), "--client="+url, "--peer=https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(peerPort)),
		"--cert="+cert, "--key="+key, "--ca="+caFile)
	if err != nil {
		return nil, "", err
	}
	c.own(etcd)
	return etcd, url, nil
}

// own remembers a process, to be stopped with the cluster.
func (c *Cluster) own(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
}

// buildAPIServerArgs writes the API server's certificates and keys, and decides its address and flags.
func (c *Cluster) buildAPIServerArgs(etcdURL string) error {
	port := c.opts.APIPort
	if port == 0 {
		ports, err := freePorts(c.address, 1)
		if err != nil {
			return err
		}
		port = ports[0]
	}
	c.url = "https://" + net.JoinHostPort(c.address, strconv.Itoa(port))
	caFile := filepath.Join(c.pki, "ca.crt")
	caKey, err := encodeKey(c.ca.key)
	if err != nil {
		return err
	}
	serviceAccountKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the key that signs ServiceAccount tokens: %w", err)
	}
	saKey, err := encodeKey(serviceAccountKey)
	if err != nil {
		return err
	}
	for path, data := range map[string][]byte{caFile: c.ca.pem, filepath.Join(c.pki, "ca.key"): caKey, filepath.Join(c.pki, "sa.key"): saKey} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("writing the cluster's keys: %w", err)
		}
	}
	hosts := []string{"127.0.0.1", "localhost", c.address, kubernetesIP, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + clusterDomain}
	cert, key, err := c.ca.files(c.pki, "apiserver", identity{name: "kube-apiserver", hosts: hosts})
	if err != nil {
		return err
	}
	kubeletCert, kubeletKey, err := c.ca.files(c.pki, apiserverKubelet, identity{name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}})
	if err != nil {
		return err
	}
	etcdCert, etcdKey, err := c.etcdCA.files(c.pki, "apiserver-etcd-client", identity{name: "kube-apiserver"})
	if err != nil {
		return err
	}
	frontCert, frontKey, err := c.ca.files(c.pki, "front-proxy", identity{name: "front-proxy-client"})
	if err != nil {
		return err
	}
	c.apiserverArgs = []string{
		"--bind-address=" + c.address, "--advertise-address=" + c.advertised(), "--secure-port=" + strconv.Itoa(port),
		"--etcd-servers=" + etcdURL, "--etcd-cafile=" + filepath.Join(c.pki, "etcd-ca.crt"), "--etcd-certfile=" + etcdCert, "--etcd-keyfile=" + etcdKey,
		"--service-cluster-ip-range=" + serviceRange,
		"--service-account-issuer=https://kubernetes.default.svc." + clusterDomain,
		"--service-account-key-file=" + filepath.Join(c.pki, "sa.key"), "--service-account-signing-key-file=" + filepath.Join(c.pki, "sa.key"),
		"--client-ca-file=" + caFile, "--tls-cert-file=" + cert, "--tls-private-key-file=" + key,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--kubelet-client-certificate=" + kubeletCert, "--kubelet-client-key=" + kubeletKey, "--kubelet-certificate-authority=" + caFile,
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + caFile, "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + frontCert, "--proxy-client-key-file=" + frontKey,
		// The default, an hour, keeps the events of the story that a person looks at; profiling would only cost.
		"--event-ttl=1h", "--profiling=false",
	}
	return nil
}

// advertised is the address that the Service kubernetes points at. The API server refuses to advertise the loopback address; nothing
// follows the address on simulated nodes, so there it is one that is reserved for documentation (RFC 5737).
func (c *Cluster) advertised() string {
	if c.address == "127.0.0.1" {
		return "192.0.2.1"
	}
	return c.address
}

// StartAPIServer starts the API server, after [Cluster.StopAPIServer], and waits until it is ready. It keeps its address and its data.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiserver != nil {
		return errors.New("starting the API server: it is running")
	}
	p, err := startProcess(c.dir, "kube-apiserver", c.apiserverArgs...)
	if err != nil {
		return err
	}
	c.apiserver = p
	return p.waitFor(ctx, "the API server", func(ctx context.Context) error {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(2 * time.Second).DoRaw(ctx)
		return err
	})
}

// StopAPIServer kills the API server, as a crash of its machine would; everything else keeps running.
func (c *Cluster) StopAPIServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiserver != nil {
		c.apiserver.stop(0)
		c.apiserver = nil
	}
}

// startControllers starts the controller manager and the scheduler, and waits until pods can be created in the namespace default.
func (c *Cluster) startControllers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	path := func(name string) string { return filepath.Join(c.pki, name) }
	if err := c.kubeconfigFor(path("controller-manager.kubeconfig"), "system:kube-controller-manager"); err != nil {
		return err
	}
	if err := c.kubeconfigFor(path("scheduler.kubeconfig"), "system:kube-scheduler"); err != nil {
		return err
	}
	manager, err := startProcess(c.dir, "kube-controller-manager",
		"--kubeconfig="+path("controller-manager.kubeconfig"), "--secure-port=0", "--leader-elect=false", "--use-service-account-credentials",
		"--service-account-private-key-file="+path("sa.key"), "--root-ca-file="+path("ca.crt"),
		"--cluster-signing-cert-file="+path("ca.crt"), "--cluster-signing-key-file="+path("ca.key"),
		"--kube-api-qps=200", "--kube-api-burst=400", "--profiling=false")
	if err != nil {
		return err
	}
	c.own(manager)
	scheduler, err := startProcess(c.dir, "kube-scheduler",
		"--kubeconfig="+path("scheduler.kubeconfig"), "--secure-port=0", "--leader-elect=false",
		"--kube-api-qps=200", "--kube-api-burst=400", "--profiling=false")
	if err != nil {
		return err
	}
	c.own(scheduler)
	// Pods are refused until the namespace has its default ServiceAccount.
	return manager.waitFor(ctx, "the ServiceAccount default/default", func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}
