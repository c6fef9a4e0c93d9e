package rules

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crashloop/diagnose"
)

func configSecretNotSynced() diagnose.Rule {
	re := regexp.MustCompile(`(?i)secrets? "(?P<name>[^"]+)" not found`)
	csi := regexp.MustCompile(`(?is)failed to mount secrets store objects for pod .*|secretproviderclass(?:es)?.{0,80}not found|rpc error: .*secrets-store.*`)
	return diagnose.Rule{
		ID: "config.secret-not-synced", Category: "missing-config", Title: "An operator should have made the Secret, and failed",
		Doc: diagnose.Doc{
			Means:   "The Secret that the pod needs is made by an operator from a SealedSecret, ExternalSecret, Certificate or SecretProviderClass of that name. That object is there, but its controller says that it cannot decrypt, fetch or issue it.",
			Confirm: "`kubectl describe sealedsecret NAME` (or externalsecret, certificate): the condition and its message. Where it waits for another object, so do that one's: the SecretStore; the Issuer, and `kubectl get certificaterequests,orders,challenges`.",
			Mend:    "Mend what the controller says: seal again with the present key and for the right namespace and name, give the external store's credentials, correct the issuer.",
			Source:  "github.com/bitnami-labs/sealed-secrets, external-secrets.io, cert-manager.io, secrets-store-csi-driver.sigs.k8s.io",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			if s, _, ok := said(c, csi); ok {
				f := fromStatement(s)
				f.Weight = 40
				f.Summary = fmt.Sprintf("%s cannot start: the secrets store driver cannot fetch its secrets: %s", c.Who(), diagnose.Shorten(lastColon(s.text), 160))
				f.Advice = "Mend what the driver says: the SecretProviderClass, or the credentials for the store"
				if class := secretClass(c, s.text); class != "" {
					f.Root = "SecretProviderClass/" + c.Subject.Namespace + "/" + class
					f.Chain = []diagnose.Link{{Object: f.Root, Says: "is what the driver reads"}}
					if strings.Contains(s.text, class) && strings.Contains(s.text, "not found") && strings.Contains(strings.ToLower(s.text), "secretproviderclass") {
						f.Chain[0].Says = "does not exist"
					}
				}
				f.Fixes = []diagnose.Fix{{Title: "See the classes that there are", Command: c.Kubectl("get", "secretproviderclass")}}
				return []diagnose.Finding{f}
			}
			s, g, ok := said(c, re)
			if !ok {
				return nil
			}
			for _, kind := range []diagnose.Kind{diagnose.SealedSecrets, diagnose.ExternalSecrets, diagnose.Certificates} {
				if all := makers(c, kind, g["name"]); len(all) > 0 {
					u := all[0]
					f := fromStatement(s)
					f.Weight = 40
					f.Root = kind.Kind + "/" + c.Subject.Namespace + "/" + u.GetName()
					message := failingCondition(u)
					says := "should make it and has not"
					if message != "" {
						says = "should make it and cannot: " + diagnose.Shorten(message, 200)
						f.Evidence = append(f.Evidence, diagnose.Evidence{Source: kind.Kind + " " + u.GetName() + " status.conditions", Text: message})
					} else {
						f.Confidence = diagnose.Likely
					}
					f.Chain = []diagnose.Link{{Object: "Secret/" + c.Subject.Namespace + "/" + g["name"], Says: "does not exist"}, {Object: f.Root, Says: says}}
					f.Summary = fmt.Sprintf("%s cannot start: Secret %s is not there, because %s %s %s", c.Who(), g["name"], kind.Kind, u.GetName(), says)
					f.Advice = "Mend what its controller says"
					f.Fixes = []diagnose.Fix{{Title: "Read its conditions and events", Command: c.Kubectl("describe", kind.Resource, u.GetName())}}
					if all := behind(c, kind, u); len(all) > 0 {
						last := all[len(all)-1]
						f.Chain[1].Says = "should make it and has not"
						for _, a := range all {
							f.Chain = append(f.Chain, a.link)
							f.Evidence = append(f.Evidence, diagnose.Evidence{Source: a.kind.Kind + " " + a.name + " status", Text: a.link.Says})
						}
						f.Root, f.Confidence = last.link.Object, diagnose.Certain
						if !last.failed {
							f.Confidence = diagnose.Likely
						}
						f.Summary = fmt.Sprintf("%s cannot start: Secret %s is not there: %s %s should make it, and %s %s %s", c.Who(), g["name"], kind.Kind, u.GetName(), last.kind.Kind, last.name, last.link.Says)
						f.Advice = "Mend what " + last.kind.Kind + " " + last.name + " says"
						f.Fixes = []diagnose.Fix{{Title: "Read its conditions and events", Command: last.describe(c)}}
						if last.link.Says == "does not exist" {
							f.Advice = "Create " + last.kind.Kind + " " + last.name + ", or refer to one that there is"
							f.Fixes = []diagnose.Fix{{Title: "See which there are", Command: last.list(c)}}
						}
					}
					return []diagnose.Finding{f}
				}
			}
			return nil
		},
	}
}

// makers returns the objects of an operator's kind that should make the Secret of that name.
func makers(c *diagnose.Case, kind diagnose.Kind, secret string) []*unstructured.Unstructured {
	objects, err := c.List(kind, c.Subject.Namespace)
	if err != nil {
		return nil
	}
	var out []*unstructured.Unstructured
	for _, o := range objects {
		u, ok := o.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		target, _, _ := unstructured.NestedString(u.Object, "spec", "target", "name") // ExternalSecret
		if target == "" {
			target, _, _ = unstructured.NestedString(u.Object, "spec", "secretName") // Certificate
		}
		if target == "" {
			target, _, _ = unstructured.NestedString(u.Object, "spec", "template", "metadata", "name") // SealedSecret
		}
		if target == secret || target == "" && u.GetName() == secret {
			out = append(out, u)
		}
	}
	return out
}

// failingCondition is the message of a condition that is not true, "" when there is none.
func failingCondition(u *unstructured.Unstructured) string {
	for _, cond := range conditionsOf(u) {
		if cond["status"] == "True" {
			continue
		}
		if message := firstOf(textOf(cond["message"]), textOf(cond["reason"])); message != "" {
			return message
		}
	}
	return ""
}

// secretClass is the SecretProviderClass behind the volume of which a message speaks, or the only one that the pod mounts.
func secretClass(c *diagnose.Case, text string) string {
	class := ""
	for _, v := range c.Spec.Volumes {
		if v.CSI == nil || v.CSI.Driver != "secrets-store.csi.k8s.io" {
			continue
		}
		name := v.CSI.VolumeAttributes["secretProviderClass"]
		if strings.Contains(text, `volume "`+v.Name+`"`) {
			return name
		}
		if class != "" && class != name {
			return ""
		}
		class = name
	}
	return class
}
