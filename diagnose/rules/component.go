package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func componentCoreDNSLoop() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.coredns-loop", Category: "component", Title: "CoreDNS forwards to itself and ends",
		Doc: diagnose.Doc{
			Means:   "CoreDNS found its own probe query coming back: it forwards to a name server that leads back to itself, most often because the node's resolv.conf names a local resolver (127.0.0.53).",
			Confirm: "`kubectl -n kube-system logs deploy/coredns`: \"plugin/loop: Loop ... detected\", or in older versions \"Seen HINFO IN ... more than twice\".",
			Mend:    "Forward to a real upstream: name its address in the Corefile (`forward . 1.1.1.1`), or point the kubelet's resolvConf at the real file (/run/systemd/resolve/resolv.conf).",
			Source:  "coredns.io/plugins/loop",
		},
		Log: []diagnose.Pattern{{Words: []string{"plugin/loop", "loop detected", "more than twice"}, Regexp: `plugin/loop: Loop \((?P<from>[^)]+)\) detected|Seen "?HINFO IN .* more than twice, loop detected|Forwarding loop detected`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, _, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 80
			f.Summary = fmt.Sprintf("%s (CoreDNS) forwards queries to itself and ends: the node's resolv.conf points back at it", c.Who())
			f.Advice = "Forward to a real upstream instead of /etc/resolv.conf"
			f.Fixes = []diagnose.Fix{
				{Title: "Name a real upstream in the Corefile", Command: c.Kubectl("edit", "configmap", "coredns")},
				{Title: "Or give the kubelet the real resolv.conf", Patch: "resolvConf: /run/systemd/resolve/resolv.conf\n"},
			}
			return []diagnose.Finding{f}
		},
	}
}

func componentDNSAPIUnreachable() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.dns-api-unreachable", Category: "component", Title: "The cluster's DNS cannot reach the API server",
		Doc: diagnose.Doc{
			Means:   "CoreDNS or NodeLocal DNSCache reads Services from the API server, and the connection fails. What is broken is below it: kube-proxy, the network plugin, or the API server's address.",
			Confirm: "`kubectl -n kube-system logs deploy/coredns`: \"dial tcp 10.96.0.1:443\" with a timeout or refusal; see kube-proxy's and the network plugin's pods on its node.",
			Mend:    "Mend kube-proxy or the network plugin on that node first; DNS follows by itself.",
			Source:  "coredns.io/plugins/kubernetes",
		},
		Log: []diagnose.Pattern{{Words: []string{"dial tcp", "kubernetes api", "plugin/kubernetes", "failed to list", "waiting for kubernetes"}, Regexp: `(?i)dial tcp \S+: (?:i/o timeout|connect: \w[\w ]+)|(?:failed to (?:list|watch)|waiting for kubernetes api|kubernetes api connection failure|unable to connect to .*api)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			id := strings.ToLower(c.Subject.Name() + " " + c.Subject.Container + " " + image(c))
			if !strings.Contains(id, "coredns") && !strings.Contains(id, "nodelocaldns") && !strings.Contains(id, "node-cache") && !strings.Contains(id, "kube-dns") && !strings.Contains(id, "dnscache") {
				return nil
			}
			if len(hits) == 0 {
				return nil
			}
			h := hits[len(hits)-1]
			f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
			f.Weight = 60
			if probeKilled(c).killed || probeKilled(c).likely {
				f.Proof = diagnose.Structural
			}
			f.Summary = fmt.Sprintf("%s, the cluster's DNS, cannot reach the API server: %s", c.Who(), shorten(strings.TrimSpace(h.Text), 160))
			f.Advice = "Look at kube-proxy and the network plugin on its node first"
			f.Evidence = append(f.Evidence, pluginPods(c)...)
			f.Fixes = []diagnose.Fix{{Title: "See kube-proxy and the network plugin", Command: "kubectl -n kube-system get pods -o wide"}}
			return []diagnose.Finding{f}
		},
	}
}

func componentCNIIPExhausted() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.cni-ip-exhausted", Category: "component", Title: "There are no IP addresses left for pods",
		Doc: diagnose.Doc{
			Means:   "The network plugin has no address to give to the pod: the subnet or the pool is used up, or the node may hold no more.",
			Confirm: "`kubectl describe pod POD`: FailedCreatePodSandBox with \"failed to assign an IP address\" or \"no available IP addresses\"; the plugin's log says the same.",
			Mend:    "Add a subnet or a larger pool, use prefix delegation where the plugin has it, or remove addresses that leaked. Fewer pods per node is a quick relief.",
			Source:  "github.com/aws/amazon-vpc-cni-k8s, docs.tigera.io (IP pools), learn.microsoft.com Azure CNI, host-local IPAM",
		},
		Log: []diagnose.Pattern{{Words: []string{"no available ip", "failed to assign an ip address", "no ip addresses available", "insufficientfreeaddresses", "no free ip", "no more ips", "ip address pool", "no addresses available", "unable to allocate ip", "ipam"}, Regexp: `(?i)no (?:available|free|more) ip|failed to assign an ip address|no ip addresses available|InsufficientFreeAddresses|no addresses available|(?:pool|subnet|range).{0,40}(?:exhausted|full|used up)|unable to allocate ip`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			for _, s := range statements(c) {
				if s.reason == "FailedCreatePodSandBox" && exhausted(s.text) {
					f := fromStatement(s)
					f.Weight = 30
					node := c.Spec.NodeName
					f.Summary = fmt.Sprintf("%s cannot start: the network plugin has no IP address left for it on node %s", c.Who(), node)
					f.Advice = "Give the plugin more addresses: another subnet, a larger pool, or prefixes"
					if node != "" {
						f.Root = "Node//" + node
						f.Chain = []diagnose.Link{{Object: f.Root, Says: "has no IP address left for pods"}}
					}
					f.Unchanged = true
					f.Evidence = append(f.Evidence, pluginPods(c)...)
					f.Fixes = []diagnose.Fix{{Title: "Count the pods on the node", Command: "kubectl get pods -A --field-selector spec.nodeName=" + node}}
					return []diagnose.Finding{f}
				}
			}
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Weight = 40
			f.Summary = fmt.Sprintf("%s has no IP addresses left to give: %s", c.Who(), shorten(strings.TrimSpace(h.Text), 160))
			f.Advice = "Add a subnet or a larger pool"
			f.Fixes = []diagnose.Fix{{Title: "See its log", Command: previousLog(c)}}
			return []diagnose.Finding{f}
		},
	}
}

func componentCloudIdentity() diagnose.Rule {
	action := regexp.MustCompile(`(?i)not authorized to perform:? (?P<action>[\w:*-]+)|(?:does not have|required) ['"]?(?P<gcp>[\w.]+)['"]? (?:permission|access)|perform action '(?P<azure>[^']+)'`)
	return diagnose.Rule{
		ID: "component.cloud-identity", Category: "component", Title: "The cloud does not let its identity do what it needs",
		Doc: diagnose.Doc{
			Means:   "The program calls the cloud's API and is refused, or finds no credentials: the ServiceAccount has no role annotation, the role does not trust the cluster, or it lacks the action.",
			Confirm: "`kubectl logs POD --previous` names the action or the missing credentials; `kubectl get serviceaccount NAME -o yaml` shows its annotation (eks.amazonaws.com/role-arn, iam.gke.io/gcp-service-account, azure.workload.identity/client-id).",
			Mend:    "Annotate the ServiceAccount with a role that has the action and trusts the cluster's OIDC issuer for this ServiceAccount, then restart the pods.",
			Source:  "AWS IRSA and EKS Pod Identity, GKE Workload Identity, Azure Workload Identity",
		},
		Log: []diagnose.Pattern{{Words: []string{
			"not authorized to perform", "accessdenied", "unauthorizedoperation", "webidentityerr", "nocredentialproviders", "no valid providers in chain", "failed to retrieve credentials", "unable to locate credentials", "could not load credentials", "invalididentitytoken", "assumerolewithwebidentity", "no ec2 imds role", "failed to refresh cached credentials",
			"could not find default credentials", "metadata server", "iam.serviceaccounts", "permission_denied", "does not have storage.", "error 403", "authorizationfailed", "defaultazurecredential", "manualidentitycredential", "adal:", "aadsts", "managed identity", "get credentials: ",
		}, Regexp: `(?i)not authorized to perform|AccessDenied(?:Exception)?\b|UnauthorizedOperation|WebIdentityErr|NoCredentialProviders|no valid providers in chain|failed to retrieve credentials|unable to locate credentials|could not load credentials|InvalidIdentityToken|AssumeRoleWithWebIdentity|no EC2 IMDS role|failed to refresh cached credentials|could not find default credentials|iam\.serviceAccounts|PERMISSION_DENIED|googleapi: Error 403|AuthorizationFailed|DefaultAzureCredential|AADSTS\d+|does not have \S+ (?:access|permission)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Level != diagnose.Info && h.Level != diagnose.Debug })
			if !ok {
				return nil
			}
			f.Weight = 40
			f.Keys = []string{"AccessDenied", "credentials", "authorized", "WebIdentity"}
			name := firstOf(c.Spec.ServiceAccountName, "default")
			f.Root = "ServiceAccount/" + c.Subject.Namespace + "/" + name
			says := "is not allowed it by the cloud"
			if g := groups(action, h.Text); g != nil {
				if a := firstOf(g["action"], g["gcp"], g["azure"]); a != "" {
					says = "may not " + a
					f.Confidence = diagnose.Certain
				}
			}
			f.Chain = []diagnose.Link{{Object: f.Root, Says: says}}
			f.Summary = fmt.Sprintf("%s ends because the cloud refuses its identity (ServiceAccount %s): %s", c.Who(), name, shorten(strings.TrimSpace(h.Text), 180))
			f.Advice = "Give the role of that ServiceAccount the action that was denied"
			if o, err := c.Get(diagnose.ServiceAccounts, c.Subject.Namespace, name); err == nil {
				annotation := ""
				for _, k := range []string{"eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id"} {
					if v := o.GetAnnotations()[k]; v != "" {
						annotation = k + ": " + v
					}
				}
				f.Proof = diagnose.Corroborated
				if annotation == "" {
					f.Advice = fmt.Sprintf("ServiceAccount %s names no cloud role: annotate it with one", name)
					annotation = "no role annotation"
				}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "ServiceAccount " + name + " metadata.annotations", Text: annotation})
			}
			f.Fixes = []diagnose.Fix{{Title: "Name the role (on AWS)", Command: c.Kubectl("annotate", "serviceaccount", name, "eks.amazonaws.com/role-arn=arn:aws:iam::ACCOUNT:role/ROLE", "--overwrite")}}
			return []diagnose.Finding{f}
		},
	}
}

func componentCalicoRBAC() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.calico-rbac", Category: "component", Title: "Calico may not read what it needs of the Kubernetes API",
		Doc: diagnose.Doc{
			Means:   "calico-node or calico-kube-controllers is forbidden something by the API server: its ClusterRole or binding is missing or from another version of Calico.",
			Confirm: "`kubectl -n kube-system logs ds/calico-node --previous`: \"forbidden\" or \"connection is unauthorized\"; `kubectl get clusterrole calico-node`.",
			Mend:    "Apply the RBAC part of the manifest of the very version of Calico that runs.",
			Source:  "docs.tigera.io/calico/latest/getting-started/kubernetes",
		},
		Log: []diagnose.Pattern{{Words: []string{"forbidden", "unauthorized"}, Regexp: `(?i)is forbidden: User "?[^" ]*calico[^" ]*"? cannot (?P<verb>\w+) (?:resource )?"?(?P<resource>[\w.]+)|connection is unauthorized: (?P<why>.+)|forbidden.*calico|calico.*forbidden`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if !strings.Contains(strings.ToLower(c.Subject.Name()+c.Subject.Container+image(c)), "calico") {
				return nil
			}
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 85
			role := "calico-node"
			if strings.Contains(c.Subject.Name(), "controllers") {
				role = "calico-kube-controllers"
			}
			f.Proof = diagnose.Corroborated
			f.Root = "ClusterRole//" + role
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not allow what Calico needs"}}
			f.Summary = fmt.Sprintf("%s ends because the API server forbids it something: %s", c.Who(), shorten(strings.TrimSpace(h.Text), 180))
			f.Advice = fmt.Sprintf("Apply ClusterRole %s of the version of Calico that runs", role)
			f.Fixes = []diagnose.Fix{{Title: "See the role that there is", Command: "kubectl get clusterrole " + role + " -o yaml"}}
			return []diagnose.Finding{f}
		},
	}
}

// isIngress says that the subject is an ingress controller.
func isIngress(c *diagnose.Case) bool {
	id := strings.ToLower(c.Subject.Namespace + " " + c.Subject.Name() + " " + image(c))
	return strings.Contains(id, "ingress") || strings.Contains(id, "traefik") || strings.Contains(id, "haproxy") || strings.Contains(id, "kong") || strings.Contains(id, "contour")
}

func componentIngressConfig() diagnose.Rule {
	from := regexp.MustCompile(`(?i)ingress(?:es)?[ :"'/=]+(?P<ns>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)|server (?P<host>[\w.-]+)`)
	return diagnose.Rule{
		ID: "component.ingress-config", Category: "component", Title: "An Ingress breaks the ingress controller's configuration",
		Doc: diagnose.Doc{
			Means:   "The ingress controller makes its configuration from all Ingress objects, and one of them - an annotation, a snippet, a path - makes one that the proxy refuses.",
			Confirm: "`kubectl logs` of the controller: \"nginx: [emerg]\" or \"Error: exit status 1\" with the line; the comment in the generated file names the Ingress.",
			Mend:    "Correct or remove that Ingress. The controller's validating webhook would have refused it: see that it is on.",
			Source:  "kubernetes.github.io/ingress-nginx/troubleshooting",
		},
		Log: []diagnose.Pattern{{Words: []string{"[emerg]", "invalid ingress", "error obtaining", "configuration file /etc/nginx", "ingress \"", "unexpected failure reloading", "error reloading", "no ingressclass", "ingressclass", "no configmap with name", "no service with name", "error generating", "unexpected error validating"}, Regexp: `(?i)\[emerg\].*|invalid ingress.*|unexpected failure reloading.*|error reloading.*|no (?:service|configmap) with name \S+ found.*|IngressClass.*(?:not found|forbidden|invalid|does not exist).*|error obtaining.*|ingress .*(?:invalid|malformed).*`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if !isIngress(c) {
				return nil
			}
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Weight = 70
			f.Proof = diagnose.Corroborated
			f.Summary = fmt.Sprintf("%s, the ingress controller, refuses its configuration: %s", c.Who(), shorten(strings.TrimSpace(h.Text), 180))
			f.Advice = "Correct the Ingress that it comes from"
			for n := h.Line - 30; n <= h.Line+5; n++ {
				if g := groups(from, h.Log.Line(n)); g != nil && g["name"] != "" {
					f.Root = "Ingress/" + g["ns"] + "/" + g["name"]
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "makes a configuration that the controller refuses"}}
					f.Advice = "Correct Ingress " + g["ns"] + "/" + g["name"]
				}
			}
			if f.Root == "" {
				// A host or word of the message that stands in one Ingress only.
				objects, _ := c.List(diagnose.Ingresses, "")
				for _, o := range objects {
					for k, v := range o.GetAnnotations() {
						if strings.Contains(k, "snippet") || len(v) > 3 && strings.Contains(h.Text, v) {
							f.Root = "Ingress/" + o.GetNamespace() + "/" + o.GetName()
							f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Ingress " + o.GetNamespace() + "/" + o.GetName() + " annotation " + k, Text: shorten(v, 160)})
						}
					}
				}
				if f.Root != "" {
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "most likely makes the configuration that the controller refuses"}}
				}
			}
			f.Fixes = []diagnose.Fix{{Title: "See the Ingresses, the newest last", Command: "kubectl get ingress -A --sort-by=.metadata.creationTimestamp"}}
			return []diagnose.Finding{f}
		},
	}
}

func componentTLSSecretMissing() diagnose.Rule {
	return diagnose.Rule{
		ID: "component.tls-secret-missing", Category: "component", Title: "The TLS Secret of a controller or webhook is missing",
		Doc: diagnose.Doc{
			Means:   "An ingress or webhook controller needs a Secret with a certificate that does not exist yet: its Certificate is not issued, the Job that makes it has not run, or the name differs.",
			Confirm: "The controller's log or its FailedMount event names the Secret; `kubectl get certificate -A` shows whether cert-manager has issued it.",
			Mend:    "Get the certificate issued (see the Certificate's conditions), run the Job that makes it, or create the Secret.",
			Source:  "cert-manager.io/docs/troubleshooting, kubernetes.github.io/ingress-nginx (certgen)",
		},
		Log: []diagnose.Pattern{{Words: []string{"secret"}, Regexp: `(?i)(?:secret|certificate)s? "?(?:(?P<ns>[\w-]+)/)?(?P<name>[\w.-]*(?:tls|cert|admission|webhook|ssl|ca)[\w.-]*)"? (?:was )?(?:not found|does not exist|no such)|no object matching key "(?P<key>[^"]+)"|(?:error|failed|unable|could not)[^"]{0,40}(?:get|getting|find|load|read|obtain)[^"]{0,40}(?:tls |default )?(?:secret|certificate)[^"]{0,20}"(?P<name2>[^"]+)"`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			id := strings.ToLower(c.Subject.Namespace + " " + c.Subject.Name())
			controller := isIngress(c) || strings.Contains(id, "webhook") || strings.Contains(id, "cert-manager") || strings.Contains(id, "admission") || strings.Contains(id, "operator") || strings.Contains(id, "controller") || strings.Contains(id, "gateway")
			if !controller {
				return nil
			}
			var f diagnose.Finding
			name := ""
			re := regexp.MustCompile(`(?i)secrets? "(?P<name>[^"]*(?:tls|cert|admission|webhook|ssl|ca)[^"]*)" not found`)
			if s, g, ok := said(c, re); ok {
				f, name = fromStatement(s), g["name"]
			} else {
				var h diagnose.Hit
				if f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool { return h.Level != diagnose.Info }); !ok {
					return nil
				}
				name = firstOf(h.Group("name"), h.Group("name2"), h.Group("key"))
				if _, after, ok := strings.Cut(name, "/"); ok {
					name = after
				}
				if _, err := c.Get(diagnose.Secrets, c.Subject.Namespace, name); err == nil {
					return nil
				}
				f.Proof = diagnose.Corroborated
			}
			f.Weight = 45
			f.Root = "Secret/" + c.Subject.Namespace + "/" + name
			f.Chain = []diagnose.Link{{Object: f.Root, Says: "does not exist"}}
			f.Summary = fmt.Sprintf("%s needs the TLS Secret %s, which does not exist", c.Who(), name)
			f.Advice = "Get the certificate issued, or create the Secret"
			for _, u := range makers(c, diagnose.Certificates, name) {
				message := failingCondition(u)
				f.Root = "Certificate/" + c.Subject.Namespace + "/" + u.GetName()
				f.Chain = append(f.Chain, diagnose.Link{Object: f.Root, Says: firstOf("is not issued: "+message, "is not issued")})
				f.Summary += fmt.Sprintf(": Certificate %s is not issued", u.GetName())
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "Certificate " + u.GetName() + " status.conditions", Text: shorten(message, 300)})
			}
			f.Fixes = []diagnose.Fix{{Title: "See whether a certificate should make it", Command: c.Kubectl("get", "certificate,job")}}
			return []diagnose.Finding{f}
		},
	}
}

func componentStateLocked() diagnose.Rule {
	field := regexp.MustCompile(`^\W*(?P<key>ID|Who|Created|Path|Operation):\s+(?P<value>.+)$`)
	return diagnose.Rule{
		ID: "component.state-locked", Category: "component", Title: "Another run holds the lock on the Terraform state",
		Doc: diagnose.Doc{
			Means:   "A Terraform, OpenTofu, Terragrunt or Atlantis runner cannot lock its state, because another run holds the lock or died without giving it back.",
			Confirm: "The log says \"Error acquiring the state lock\" and prints Lock Info: ID, Who, Created.",
			Mend:    "Wait for the other run if it lives. Only when it is dead: `terraform force-unlock ID` (or `terragrunt force-unlock ID`).",
			Source:  "developer.hashicorp.com/terraform/language/state/locking",
		},
		Log: []diagnose.Pattern{{Words: []string{"error acquiring the state lock", "error locking state", "state lock", "conditionalcheckfailedexception"}, Regexp: `(?i)error (?:acquiring the state lock|locking state)|state (?:is )?(?:already )?lock(?:ed)? by|ConditionalCheckFailedException`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, nil)
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Certain, 70
			info := map[string]string{}
			for n := h.Line; n < h.Line+20; n++ {
				if g := groups(field, h.Log.Line(n)); g != nil {
					info[g["key"]] = strings.TrimSpace(g["value"])
					f.Evidence = append(f.Evidence, h.Log.Cite(n))
					f.Span = n
				}
			}
			f.Summary = fmt.Sprintf("%s cannot lock the Terraform state: another run holds the lock", c.Who())
			if info["ID"] != "" {
				f.Summary += fmt.Sprintf(" %s, of %s, since %s", info["ID"], firstOf(info["Who"], "someone"), firstOf(info["Created"], "some time"))
			}
			f.Advice = "Wait for that run if it lives; unlock only when it is dead"
			tool := "terraform"
			if strings.Contains(strings.ToLower(image(c)+strings.Join(c.Container.Command, " ")+strings.Join(c.Container.Args, " ")), "terragrunt") {
				tool = "terragrunt"
			}
			f.Fixes = []diagnose.Fix{{Title: "Only when that run is dead: give the lock back", Command: tool + " force-unlock " + firstOf(info["ID"], "ID")}}
			f.Unchanged = true
			return []diagnose.Finding{f}
		},
	}
}
