package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func componentCloudIdentity() diagnose.Rule {
	action := regexp.MustCompile(`(?i)not authorized to perform:? (?P<action>[\w*-]+:[\w:*-]+)|(?:does not have|required) ['"]?(?P<gcp>[\w.]+)['"]? (?:permission|access)|permission ['"]?(?P<gcp2>[\w.]+)['"]? denied|perform action '(?P<azure>[^']+)'`)
	none := regexp.MustCompile(`(?i)no ?credential|unable to locate credentials|could not (?:load|find|automatically determine) |failed to retrieve (?:credentials|a token)|credential ?unavailable|no valid providers|DefaultAzureCredential`)
	metadata := regexp.MustCompile(`(?i)EC2Metadata|ec2imds|instance metadata`)
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
			"could not find default credentials", "metadata server", "iam.serviceaccounts", "permission_denied", "does not have storage.", "error 403", "authorizationfailed", "defaultazurecredential", "manualidentitycredential", "adal:", "aadsts", "managed identity", "get credentials: ", "ec2metadata", "ec2imds", "instance metadata",
		}, Regexp: `(?i)not authorized to perform|(?:^|[^.\w])AccessDenied(?:Exception)?\b|UnauthorizedOperation|WebIdentityErr|NoCredentialProviders|no valid providers in chain|failed to retrieve credentials|unable to locate credentials|could not load credentials|InvalidIdentityToken|AssumeRoleWithWebIdentity|no EC2 IMDS role|failed to refresh cached credentials|could not find default credentials|iam\.serviceAccounts|PERMISSION_DENIED.*(?:googleapis|google\.rpc|projects/)|googleapis.*PERMISSION_DENIED|googleapi: Error 403|AuthorizationFailed|DefaultAzureCredential|AADSTS\d+|does not have \S+ (?:access|permission)|(?:failed|error|unable)\b.{0,120}(?:EC2Metadata|ec2imds|instance metadata)`}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return h.Level != diagnose.Info && h.Level != diagnose.Debug && !strings.HasPrefix(strings.TrimSpace(h.Text), "at ") && !strings.Contains(h.Text, "minio.error")
			})
			if !ok {
				return nil
			}
			f.Weight = 40
			if strings.Contains(h.Text, "DefaultAzureCredential") {
				f.Weight = 90 // the variables that it goes on to list are each but one of many ways to sign in
			}
			f.Keys = []string{"AccessDenied", "credentials", "authorized", "WebIdentity"}
			name := firstOf(c.Spec.ServiceAccountName, "default")
			f.Root = "ServiceAccount/" + c.Subject.Namespace + "/" + name
			says, what := "is not allowed it by the cloud", inSentence(h, 180)
			if g := groups(action, h.Text); g != nil {
				if a := firstOf(g["action"], g["gcp"], g["azure"]); a != "" {
					says, what = "may not call "+a, "it may not call "+a
					f.Confidence = diagnose.Certain
				}
			}
			if metadata.MatchString(h.Text) && !strings.Contains(h.Text, "googleapi: Error") {
				f.Root = ""
				f.Summary = fmt.Sprintf("%s ends because the cloud's metadata service does not answer it: %s", c.Who(), what)
				f.Advice = "Tell it region and VPC by its arguments and its role by its ServiceAccount, or let pods reach the service: on AWS, a hop limit of 2 (httpPutResponseHopLimit)"
				f.Fixes = []diagnose.Fix{{Title: "See and correct what it is given", Command: c.Kubectl("edit", c.Target())}}
				return []diagnose.Finding{f}
			}
			f.Chain = []diagnose.Link{{Object: f.Root, Says: says}}
			f.Summary = fmt.Sprintf("%s ends because the cloud refuses its identity (ServiceAccount %s): %s", c.Who(), name, what)
			f.Advice = "Give the role of that ServiceAccount the action that was denied"
			if strings.Contains(h.Text, "AssumeRoleWithWebIdentity") {
				f.Advice = fmt.Sprintf("Let the trust policy of its role name system:serviceaccount:%s:%s and this cluster's OIDC provider", c.Subject.Namespace, name)
			}
			if none.MatchString(h.Text) && f.Confidence != diagnose.Certain {
				f.Chain[0].Says = "gives it no credentials for the cloud"
				f.Summary = fmt.Sprintf("%s ends because it finds no credentials for the cloud's API (ServiceAccount %s): %s", c.Who(), name, what)
				f.Advice = "Annotate that ServiceAccount with the cloud role that it is to act as, or give it credentials by its environment"
			}
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
			if strings.Contains(h.Text, "googleapi") || strings.Contains(h.Text, "iam.serviceAccounts") {
				f.Fixes = []diagnose.Fix{{Title: "Name the Google service account that it is to act as", Command: c.Kubectl("annotate", "serviceaccount", name, "iam.gke.io/gcp-service-account=NAME@PROJECT.iam.gserviceaccount.com", "--overwrite")}}
			}
			return []diagnose.Finding{f}
		},
	}
}
