package cluster

import (
	"context"
	"fmt"

	authentication "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Admin gives the credentials of the cluster's administrator, a member of system:masters.
func (c *Cluster) Admin() *rest.Config {
	return rest.CopyConfig(c.admin)
}

// Client gives a client with the administrator's credentials.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// User gives the credentials of a person by client certificate: Kubernetes believes the name and the groups that stand in it. The person has
// the rights that RBAC grants to that name and those groups, so at first none.
func (c *Cluster) User(name string, groups ...string) (*rest.Config, error) {
	p, err := c.ca.issue(identity{name: name, groups: groups})
	if err != nil {
		return nil, err
	}
	cfg := c.anonymous()
	cfg.CertData, cfg.KeyData = p.cert, p.key
	return cfg, nil
}

// ServiceAccount gives the credentials of a ServiceAccount: a token of one day, from the TokenRequest API, as a pod's would be.
func (c *Cluster) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	day := int64(24 * 60 * 60)
	token, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authentication.TokenRequest{
		Spec: authentication.TokenRequestSpec{ExpirationSeconds: &day},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	cfg := c.anonymous()
	cfg.BearerToken = token.Status.Token
	return cfg, nil
}

// anonymous gives the cluster's address and authority, and no credentials.
func (c *Cluster) anonymous() *rest.Config {
	return &rest.Config{
		Host:            c.url,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem},
		// The API server's own fairness is enough; a client that waits would measure itself.
		QPS: -1,
	}
}

// WriteKubeconfig writes credentials of this cluster to a file that kubectl can read. The context is named "playground".
func (c *Cluster) WriteKubeconfig(path string, credentials *rest.Config) error {
	const name = "playground"
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[name] = &clientcmdapi.Cluster{Server: credentials.Host, CertificateAuthorityData: credentials.CAData}
	cfg.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: credentials.CertData, ClientKeyData: credentials.KeyData, Token: credentials.BearerToken,
	}
	cfg.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	cfg.CurrentContext = name
	if err := clientcmd.WriteToFile(*cfg, path); err != nil {
		return fmt.Errorf("writing kubeconfig %q: %w", path, err)
	}
	return nil
}

// kubeconfigFor writes the kubeconfig of one of the cluster's components.
func (c *Cluster) kubeconfigFor(path, name string, groups ...string) error {
	cfg, err := c.User(name, groups...)
	if err != nil {
		return err
	}
	return c.WriteKubeconfig(path, cfg)
}
