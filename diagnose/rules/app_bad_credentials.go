package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func appBadCredentials() diagnose.Rule {
	whom := regexp.MustCompile(`(?i)(?:\bfor (?:user|role|account|login) ['"\\` + "`" + `]*|(?:authentication failed|access denied|login failed) for ['"\\` + "`" + `]+)(?P<user>[\w.@-]+)|\bfor host \S+, user \\*"(?P<hba>[\w.@-]+)`)
	// A parser has tokens, too.
	syntax := regexp.MustCompile(`(?i)syntax|pars(?:e|ing)|json|yaml|unexpected`)
	apiErrors := regexp.MustCompile(`Code: 40[013]\. Errors:`)
	return diagnose.Rule{
		ID: "app.bad-credentials", Category: "app-error", Title: "What it depends on rejects its credentials",
		Doc: diagnose.Doc{
			Means:   "A database, queue or API that the program needs answers, but does not accept its user, password, key or token.",
			Confirm: "`kubectl logs POD --previous` names who rejects whom; the env entries with secretKeyRef tell which Secret the credentials come from.",
			Mend:    "Bring both sides together: correct the Secret, or change the password in the dependency. A database image sets its password only when its volume is first initialised; changing the Secret later does not change it.",
			Source:  "PostgreSQL error 28P01, MySQL error 1045, Redis WRONGPASS and NOAUTH, MongoDB error 18, AMQP 403, HTTP 401 and 403",
		},
		Log: slices.Concat(rejectionWords(), serverCredentials(), javaCredentials(), storageCredentials(), libraryCredentials(), frameworkCredentials(), []diagnose.Pattern{{Words: []string{
			"password authentication failed", "access denied for user", "wrongpass", "noauth authentication required", "authentication failed", "authenticationfailed", "invalid username or password", "invalid user or password",
			"access_refused", "login was refused", "login failed for user", "invalid password", "auth failed", "bad auth", "invalid credentials", "invalid api key", "invalid_api_key", "incorrect api key", "invalid token", "token is invalid", "token is not valid", "invalid_grant", "invalid_client",
			"401 unauthorized", "status code 401", "statuscode: 401", "status: 401", "http 401", "unauthorized (401)", "response code: 401", "sasl authentication failed", "saslauthenticationexception", "no pg_hba.conf entry", "authentication error", "invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken", "token has expired", "token is expired", "bad credentials", "err auth", "ora-01017", "unauthenticated", "pam authentication failed", "permission denied (publickey", "invalid_auth", "not_authed", "incorrect username", "incorrect user name", "wrong password", "role \"", "security_exception", "ldap: error code 49", "error code 49", "username or password not allowed", "smtpauthenticationerror", "error: authentication", "could not login", "is not allowed to connect to this", "invalid login", "mongoservererror: auth", "check registration token", "access denied", "handle_auth_bad_method", "invalidtoken", "not_allowed - ", "api error forbidden", "api error accessdenied", "statuscode: 403", "response code: 403", "status code: 403", "statuscode=403", "statuscode=401", "does not indicate success: 40", "status=401", "status=403", "status_code=401", "status_code=403", "was rejected by the server", "unauthorizedexception", "badtoken", "improper token", "provided for token", "provided for password", "provided for credential", "provided for api key",
		}, Regexp: `(?i)password authentication failed|access denied for user|WRONGPASS|NOAUTH|authentication ?failed|invalid (?:username|user) or password|ACCESS_REFUSED|login (?:was refused|failed for user)|invalid password|auth failed|bad auth|invalid credentials|(?:invalid|incorrect)[ _]api[ _]key|invalid token|token is (?:invalid|not valid)|invalid_(?:grant|client|auth)|\b401\b|sasl ?authentication|no pg_hba\.conf entry|authentication error|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|token (?:has|is) expired|bad credentials|is not allowed to connect to this \w+ server|ERR AUTH|ORA-01017|Unauthenticated|publickey|not_authed|incorrect user ?name|wrong password|FATAL:.*role "[^"]+" does not exist|security_exception|error code 49\b|username or password not allowed|SMTPAuthenticationError|invalid login|check registration token|(?:ListObjects|HeadBucket|GetObject|PutObject|\bbucket)\b.{0,120}Access Denied|handle_auth_bad_method|InvalidToken|NOT_ALLOWED - |api error (?:Forbidden|AccessDenied)|(?:status ?|response )code: 403|\bstatus[ _]?(?:code)?=40[13]\b|does not indicate success: 40[13]\b|(?:token|key|credentials?|password)\b.{0,60} was rejected|UnauthorizedException|BadToken|improper token|invalid \w+ provided for (?:token|password|credentials?|api key)\b`}}),
		Closing: credentialShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
				return h.Level != diagnose.Info && h.Level != diagnose.Debug && !strings.Contains(h.Text, `"GET `) && !strings.Contains(h.Text, `"POST `) && !strings.Contains(h.Text, "x509") && !ownForm(h) && !decrypts.MatchString(h.Text) && !(strings.EqualFold(h.Match(), "invalid token") && syntax.MatchString(h.Text))
			})
			if !ok {
				return nil
			}
			f.Confidence, f.Weight = diagnose.Likely, 20
			f.Keys = []string{"authentication", "password", "unauthorized", "denied", "login", "credentials"}
			who := groups(whom, h.Text)
			as := firstOf(who["user"], who["hba"])
			f.Summary = fmt.Sprintf("%s ends because what it depends on rejects its credentials", c.Who())
			if as != "" {
				f.Confidence = diagnose.Certain
				f.Summary = fmt.Sprintf("%s ends because its user %s is rejected", c.Who(), as)
				f.Keys = append(f.Keys, as)
			}
			says := inSentence(h, 160)
			if apiErrors.MatchString(h.Text) {
				// Vault's client writes an answer on several lines: the request before, what is wrong after.
				var answer string
				for n := h.Line - 1; n <= h.Line+3; n++ {
					if line := strings.Trim(h.Log.Line(n), " \t|"); strings.HasPrefix(line, "URL: ") || strings.HasPrefix(line, "* ") {
						answer = strings.TrimSpace(answer + " " + strings.TrimPrefix(line, "URL: "))
					}
				}
				says = firstOf(diagnose.Shorten(answer, 160), says)
			}
			// A colon behind the word credentials would make what follows look like one.
			f.Summary += "; its log says: " + says
			var secrets []string
			for _, e := range c.Container.Env {
				if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && credential(e.Name) {
					r := e.ValueFrom.SecretKeyRef
					secrets = append(secrets, r.Name)
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("env[" + e.Name + "]"), Text: "from Secret " + r.Name + " key " + r.Key})
				}
			}
			for _, from := range c.Container.EnvFrom {
				if from.SecretRef != nil {
					secrets = append(secrets, from.SecretRef.Name)
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("envFrom"), Text: "all keys of Secret " + from.SecretRef.Name})
				}
			}
			f.Advice = "Bring both sides together: the credentials that it is given, and those that the other side knows"
			if len(secrets) > 0 {
				f.Advice = fmt.Sprintf("Check the credentials in Secret %s against what the other side knows", secrets[0])
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See when the Secret was last changed, and by whom", Command: c.Kubectl("get", "secret", secrets[0], "--show-managed-fields", `-o=jsonpath={range .metadata.managedFields[*]}{.time} {.manager}{"\n"}{end}`)})
			}
			f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Restart it once they agree", Command: c.Kubectl("rollout", "restart", c.Target())})
			return []diagnose.Finding{f}
		},
	}
}

// decrypts is what ciphers say of data that another key closed: nobody was asked for credentials.
var decrypts = regexp.MustCompile(`(?i)decrypt|message authentication failed|fernet\.InvalidToken`)

// ownForm says that a program objects to the form of the credentials that it is to have itself: nobody rejected them.
func ownForm(h diagnose.Hit) bool {
	for n := h.Line; n <= h.Line+4; n++ {
		if l := strings.ToLower(h.Log.Line(n)); strings.Contains(l, "length should be at least") || strings.Contains(l, "length must be at least") || strings.Contains(l, "should be at least 8 characters") {
			return true
		}
	}
	return false
}

// rejectionWords are what servers say to an identity that is known but lacks a right, or that comes without a secret.
func rejectionWords() []diagnose.Pattern {
	return []diagnose.Pattern{{
		// What a URL answered, in the words of clients that say no more than the number.
		Words:  []string{"status 403", "status 401", "status(403)", "status(401)", "returned error: 403", "returned error: 401", ": 403 forbidden", ": 401 unauthorized", "restclient::forbidden", "restclient::unauthorized"},
		Regexp: `(?i)https?://.{1,160}(?:\bstatus[ (]40[13]\b|: 40[13] (?:Forbidden|Unauthorized)\b)|\bstatus[ (]40[13]\b.{1,80}https?://|requested URL returned error: 40[13]\b|\bRestClient::(?:Forbidden|Unauthorized)\b`,
	}, {Words: []string{"$unauthorized: ", "unauthorizedexception: ", "notauthorizedexception: "}}, {
		// An answer to a request, in the words of a client that names the address; what an exception is called.
		Words:  []string{"permission denied, on ", "code: accessdenied", "(permission denied", "permission denied: token", "authorizationexception", "authenticationexception", "autherror", "authenticationerror", "authorizationerror", "unauthorizederror", "forbiddenexception", "forbiddenerror", "exceptions.forbidden", "notauthorizedexception", "credentialserror", "credentialsexception", "authfailed"},
		Regexp: `(?i:permission denied, on (?:get|post|put|list|delete|patch) |\b403 \(permission denied|permission denied: token |operation failed; code: AccessDenied)|\b(?:[\w$]+[.:]+)*\w*(?:Auth(?:entication|orization)?(?:Failed|Failure|Rejected)?|Unauthorized|Forbidden|Credentials)(?:Exception|Error)\b|\bexceptions\.Forbidden\b|\bAuthFailed\b`,
	}, {
		// git without a terminal to ask at; Vault's client.
		Words:  []string{"could not read username", "could not read password", "code: 403. errors", "code: 401. errors", "code: 400. errors"},
		Regexp: `fatal: could not read (?:Username|Password) for|Code: 40[013]\. Errors:`,
	}, {Words: []string{"no password supplied", "role \"", "permission denied for", "permission denied to create", "must be owner of", "object storage", "gated repo", "you need (at least one of) the", "command denied to user", "not authorized on", "not authorized to perform", "authentication required", "requires authentication", "insufficient privileges", "must be superuser", "authorization violation", "authorization failed", "by token", "unauthorized: ", "invalid tunnel", "tunnel secret", "not valid", "failed to auth", "invalid key: ", " password", "token is ", "token has been", "key is ", "key has been", "invalid signature", "signature verification failed", "http 403", "403 forbidden", "403: forbidden", "status code 403", "status: 403", "403 client error", "401 client error"}, Regexp: `(?i)no password supplied|\brole \\?"[\w.@-]+\\?" does not exist|permission denied (?:for (?:schema|database|table|relation|sequence|view|function|language|tablespace|foreign)\b|to create (?:database|extension|role|schema))|must be owner of (?:table|database|schema|relation|extension|sequence|view)|must be superuser|object storage\b.{0,120}Access Denied|gated repo|need \(at least one of\) the \S+.{0,60}privilege|command denied to user|not authorized on \S+ to execute|authentication required\b|requires authentication|ORA-01031|\bUnauthorized: \w|invalid (?:\w+ ){0,2}(?:secret|credentials?)\b|failed to auth(?:enticate)?\b|(?:api|auth|access|license|agent|enrol\w*) ?key (?:\S+ )?(?:is )?(?:not valid|expired|revoked|rejected)|(?:invalid|incorrect|wrong|bad) (?:\w+ )?password\b|token (?:is |has been |was )(?:not valid|invalid|expired|revoked|rejected)|authorization (?:violation|failed)|not found by token|(?:invalid|unknown) (?:agent |runner |access |auth |bearer )token|insufficient privileges|Error: HTTP 403\b|(?:Error|Exception|failed)\b.{0,60}\b403:? Forbidden|status(?: code)?:? 403\b|\b40[13] Client Error`}}
}

// credential says that a variable's name is one of a password, key or token.
func credential(name string) bool {
	n := strings.ToUpper(name)
	for _, w := range []string{"PASS", "TOKEN", "KEY", "SECRET", "AUTH", "CREDENTIAL", "USER", "URL", "URI", "DSN"} {
		if strings.Contains(n, w) {
			return true
		}
	}
	return false
}
