package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func dependencyExternal() diagnose.Rule {
	r := chained("dependency.external", "A host outside the cluster does not answer", diagnose.Doc{
		Means:   "The program needs a host that is no Service of the cluster, or one that a Service of type ExternalName stands for, and cannot reach it, or gets nothing but its excuse: a server's error, a limit on requests. The cluster's own objects end here.",
		Confirm: "From a pod in the same namespace: `nc -vz HOST PORT`, `nslookup HOST`.",
		Mend:    "Check the host itself, its name in the configuration, and what stands between: egress policies, proxies, firewalls, security groups.",
		Source:  "kubernetes.io/docs/concepts/services-networking/service (ExternalName)",
	})
	// The engine follows the addresses that cannot be reached. Here is what a program says that reached its provider, and got an excuse.
	r.Log = []diagnose.Pattern{{Words: []string{"internal server error", "bad gateway", "service unavailable", "gateway timeout", "rate exceeded", "too many requests", "ratelimit", "rate limit", "throttlingexception", "throttling:", "toomanyrequests", "pull rate", "requested url returned error: ", "does not indicate success: "},
		Regexp: `(?i)\b(?:HTTP|status|code|statuscode|response|error|returned|got|received|failed|request|api)\b.{0,60}(?:\b50[0234]\b|\b429\b|internal server error|bad gateway|service unavailable|gateway time-?out|too many requests)|(?:throttling(?:exception)?: ?rate exceeded|rate ?limit(?:ed)? (?:exceeded|reached)|RequestLimitExceeded|TooManyRequestsException|ThrottlingException)|The requested URL returned error: (?:404|410|5\d\d)|does not indicate success: (?:404|410|429|5\d\d)\b`}}
	// What speaks of the cluster's own API server, of its webhooks or of a Service has causes of its own.
	inside := regexp.MustCompile(`(?i)\.svc\b|localhost|127\.0\.0\.1|https?://(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|[\w-]+(?::\d+)?(?:[/"'\s]|$))|webhook|apiserver|api server|etcd|the server (?:is currently unable|could not)|client-side throttling|Internal error occurred`)
	limit := regexp.MustCompile(`(?i)throttl|rate|429|too many|limit`)
	answered := regexp.MustCompile(`does not indicate success|requested URL returned error`)
	gone := regexp.MustCompile(`(?:requested URL returned error|does not indicate success): 4(?:04|10)`)
	r.Match = func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
		f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
			return !inside.MatchString(h.Text) && (h.Level == diagnose.Fatal || h.Level != diagnose.Info && h.Level != diagnose.Debug && h.Level != diagnose.Warn && (lastWords(h.Log) == h.Line || answered.MatchString(h.Text) && atEnd(h)))
		})
		if !ok {
			return nil
		}
		f.Weight = -90
		if h.Level != diagnose.Fatal {
			f.Confidence = diagnose.Possible
		}
		f.Summary = fmt.Sprintf("%s ends because what it asks outside answers with an error of its own: %s", c.Who(), inSentence(h, 180))
		f.Advice = "See the provider's status page; the next start may succeed. A program that ends for this should try again instead"
		if gone.MatchString(h.Text) {
			f.Summary = fmt.Sprintf("%s ends because what it asks for outside is not there (any more): %s", c.Who(), inSentence(h, 180))
			f.Advice = "Correct the address, name or version that it asks for, which stands in the lines before"
		} else if limit.MatchString(strings.ToLower(h.Text)) {
			f.Summary = fmt.Sprintf("%s ends because what it asks outside limits its requests: %s", c.Who(), inSentence(h, 180))
			f.Advice = "Have it ask less often, or raise the provider's limit; each restart asks again and adds to it"
		}
		f.Settle = "Whether the same request succeeds from elsewhere."
		f.Fixes = []diagnose.Fix{{Title: "Read the log of the run that ended", Command: previousLog(c)}}
		return []diagnose.Finding{f}
	}
	return r
}
