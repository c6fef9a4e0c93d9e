package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

func appTLS() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.tls", Category: "app-error", Title: "A TLS certificate is not accepted",
		Doc: diagnose.Doc{
			Means:   "The program ends because a TLS connection or its own certificate fails: it has expired or is not valid yet, is signed by an authority that the program does not know, or names another host.",
			Confirm: "`kubectl logs POD --previous` says which. `openssl s_client -connect HOST:PORT -showcerts` shows the certificate; for one in a Secret: `kubectl get secret NAME -o jsonpath='{.data.tls\\.crt}' | base64 -d | openssl x509 -noout -dates -subject -issuer`.",
			Mend:    "Renew the certificate, mount the right authority and tell the program of it, or use the host that the certificate names. Do not turn verification off.",
			Source:  "RFC 5280; Go crypto/x509, OpenSSL verify(1), Java PKIX",
		},
		Log: []diagnose.Pattern{
			{Name: "expired", Words: []string{"certificate has expired", "certificate is not yet valid", "has expired or is not yet valid", "cert_has_expired", "certificateexpired", "certexpired", "nottimevalid", "certificate expired", "notafter", "certificate is expired or not yet valid"}},
			{Name: "unknown", Words: []string{"signed by unknown authority", "unable to find valid certification path", "pkix path building failed", "self-signed certificate", "self signed certificate", "unable to get local issuer certificate", "unable to verify the first certificate", "unknownissuer", "depth_zero_self_signed", "unable_to_verify_leaf", "partialchain", "untrustedroot", "unknown ca", "remotecertificatechainerrors", "remote certificate is invalid", "certificate_unknown", "certificate_verify_failed", "certificate verify failed"}},
			{Name: "name", Words: []string{"certificate is valid for", "doesn't match any of the subject alternative", "hostname mismatch", "doesn't match the certificate", "altname", "cannot validate certificate for", "remotecertificatenamemismatch", "certnotvalidforname", "no subject alternative", "legacy common name"}},
			{Name: "handshake", Words: []string{"tls handshake", "ssl handshake", "sslhandshakeexception", "tls: bad certificate", "tls: failed to", "wrong version number", "ssl routines", "tls: private key does not match", "key values mismatch", "keystore was tampered", "keystore password was incorrect", "bad decrypt", "failed to load x509 key pair", "certificate data cannot be read", "mac verify failure", "failed to find any pem data", "no start line", "unable to load certificate", "cannot load certificate", "no certificates found", "no pem data", "failed to parse pem", "failed to decode pem", "not a valid pem", "no valid pem", "could not load certificate", "failed to load certificate", "failed to load tls", "failed to load ssl", "http: server gave http response to https client", "first record does not look like a tls handshake", "remote error: tls", "does not support ssl", "server does not support tls", "server refused tls", "bio_new_file:no such file", "can not set up pem key file", "user-specified certificate file"}},
			{Name: "handshake", Words: []string{"certificate", "keystore", "key store"}, Regexp: `(?i)\bno (?:\w+ ){0,2}(?:certificate|key ?store)s? (?:was |is |were |has been )?(?:specified|provided|supplied|loaded)\b`},
			// The JDK, and keytool.
			{Name: "load", Words: []string{"not an x.509 certificate", "could not parse certificate: ", "invalid keystore format", "trustanchors parameter must be non-empty"}},
			serverCertificates()[0],
			libraryCertificates()[0],
			frameworkCertificates(),
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			rank := map[string]int{"expired": 3, "name": 2, "unknown": 1}
			best := diagnose.Hit{}
			lines := map[int]bool{}
			for _, h := range hits {
				lines[h.Line] = true
			}
			for _, h := range hits {
				if h.Level == diagnose.Info || h.Level == diagnose.Debug || h.Level == diagnose.Warn && len(lines) > 3 || strings.Contains(h.Text, "TLS handshake timeout") || strings.Contains(h.Text, "http: TLS handshake error from") || strings.Contains(h.Text, "No such file") || h.DoesWithout() && h.Level < diagnose.Error && !strings.Contains(strings.ToLower(h.Text), "retry") || strings.Contains(h.Text, "CipherError") {
					continue
				}
				if best.Log == nil || rank[h.Pattern] >= rank[best.Pattern] {
					best = h
				}
			}
			if best.Log == nil {
				return nil
			}
			f, h, ok := lastHit(c, []diagnose.Hit{best}, nil)
			if !ok {
				return nil
			}
			t := strings.ToLower(h.Text)
			f.Confidence, f.Weight = diagnose.Certain, 25
			f.Keys = []string{"certificate", "x509", "tls", "ssl"}
			switch h.Pattern {
			case "expired":
				f.Summary = fmt.Sprintf("%s ends because a TLS certificate has expired or is not valid yet", c.Who())
				f.Advice = "Renew the certificate"
			case "unknown":
				f.Summary = fmt.Sprintf("%s ends because it does not know the authority that signed a TLS certificate", c.Who())
				f.Advice = "Mount that authority's certificate and have the program trust it"
				if strings.Contains(t, "expired") {
					f.Summary = fmt.Sprintf("%s ends because a TLS certificate has expired", c.Who())
					f.Advice = "Renew the certificate"
				}
			case "load":
				f.Confidence = diagnose.Likely
				f.Summary = fmt.Sprintf("%s ends because it cannot load its TLS certificate or key", c.Who())
				f.Advice = "See that the files hold a certificate and its key in the form that the program reads"
			case "name":
				f.Summary = fmt.Sprintf("%s ends because a TLS certificate names another host than the one that it connects to", c.Who())
				f.Advice = "Use a host that the certificate names, or add this one to it"
			default:
				f.Confidence = diagnose.Likely
				f.Summary = fmt.Sprintf("%s ends because a TLS connection fails", c.Who())
				f.Advice = "See that both sides speak TLS with certificates that fit each other"
			}
			says := inSentence(h, 160)
			if i := strings.Index(h.Text, "x509: "); i >= 0 {
				says = diagnose.Shorten(strings.TrimRight(h.Text[i:], `"`), 160)
			}
			f.Summary += ": " + says
			var held []string
			for _, v := range c.Spec.Volumes {
				if v.Secret != nil {
					held = append(held, "Secret "+v.Secret.SecretName)
					f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See the dates of the certificate in Secret " + v.Secret.SecretName, Command: c.Kubectl("get", "secret", v.Secret.SecretName, "-o", `jsonpath={.data.tls\.crt}`) + " | base64 -d | openssl x509 -noout -dates -subject -issuer"})
				}
			}
			if len(held) > 0 {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.volumes", Text: "mounts " + list(held)})
			}
			return []diagnose.Finding{f}
		},
	}
}
