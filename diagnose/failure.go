package diagnose

import (
	"regexp"
	"strings"
)

// The ways in which a connection fails. Which one it is says what is wrong on the other side: a refusal means that nothing listens, a
// timeout that packets are dropped, a name that does not resolve that there is no such Service.
const (
	failedRefused = "refused"
	failedTimeout = "timeout"
	failedRoute   = "no-route"
	failedName    = "name"
	// failedSomehow is a connection of which the program only says that there is none.
	failedSomehow = "somehow"
	// failedAwait is a wait for an object of the cluster that was in vain.
	failedAwait = "awaited"
)

// connectionRule is the engine's own pattern set: lines that tell of a connection that failed.
func connectionRule() Rule {
	return Rule{ID: "connection", Log: []Pattern{
		{Name: failedRefused, Words: []string{
			"connection refused", "econnrefused", "connectionrefused", "actively refused", "os error 111", "[errno 111]", "refused. check that", "unabletoconnect", "could not be established. broker",
			"econnaborted", "' (111)", "connect: refused",
		}},
		{Name: failedSomehow, Words: []string{
			"server selection timed out", "serverselectionerror", "node may not be available", "no brokers available", "nobrokersavailable", "unable to obtain connection from database", "none of the configured nodes", "no living connections", "client has run out of available brokers", "communications link failure",
			"could not connect to the endpoint", "can't reach database server", "could not open a connection to sql server", "network-related or instance-specific", "failed to obtain jdbc connection", "unable to acquire jdbc connection",
			"the connection attempt failed", "connection attempt failed", "amqpconnectionerror", "brokernotavailable", "no servers available for connection", "unable to bootstrap from", "no resolvable bootstrap", "broker transport failure",
			"brokers are down", "performing the request to http", "error sending request for url", "no reachable ", "could not connect to", "couldn't connect to", "could not create connection to", "cannot connect to", "can't connect to", "unable to connect to", "failed to connect to", "not possible to connect", "failed to open tcp connection", "error connecting to", "connection error",
			"unable to gossip with any", "unable to register with the controller quorum", "unable to contact any seeds", "cannot achieve consistency level", "no usable database connection", "no live kafka brokers", "keepererrorcode = connectionloss", "name node is in safe mode",
			"no healthy upstream", "did not become available", "failed to establish a new connection", "max retries exceeded with url", "pool initialization incomplete", "could not obtain connection", "unable to reach", "cannot reach", "could not reach", "is not reachable", "unreachable",
			"sequelizeconnection", "redisconnectionexception", "jedisconnectionexception", "mongoserverselectionerror", "statuscode.unavailable", "code = unavailable", "error while dialing", "waiting on dependencies", " - no response", " - rejecting connections", "upstream connect error",
			"still connecting to unix", "lost connection to unix", "lost connection to csi", "connect to the csi driver", "connecting to csi driver", "connection to csi driver", "dial unix",
			"database system is starting up", "database system is in recovery", "database system is shutting down", "not yet accepting connections", "loading the dataset in memory", "is unavailable", "unavailable - ", "is not up yet",
			"waiting for postgres", "waiting for mysql", "waiting for mariadb", "waiting for the database", "waiting for database", "waiting for db", "waiting for redis", "waiting for kafka", "waiting for mongo", "waiting for rabbit",
		}},
		{Name: failedSomehow, Words: []string{"disconnected from "}, Regexp: `(?i)\bdisconnected from (?:etcd|zookeeper|the (?:cluster|broker|server|database))\b`},
		// What entrypoints say each time before they try again.
		{Name: failedSomehow, Words: []string{"available", "ready", "running", "responding", "reachable", "online", "not up"}, Regexp: `(?i)(?:\bnot|n't)(?: yet| currently)? (?:available|ready|up|running|responding|reachable|online)(?: yet)?\W{1,6}(?:will |going to )?(?:wait|retry|sleep|try)`},
		{Name: failedTimeout, Words: []string{
			"i/o timeout", "etimedout", "connection timed out", "connect timed out", "connect timeout", "connecttimeout", "connection timeout", "timeout occurred after waiting", "timeout expired",
			"context deadline exceeded", "operation timed out", "timed out after", "timed out connecting", "timed out while connecting", "os error 110", "[errno 110]", "' (110)", "connection attempt timed out", "connection timed-out",
			"timed out waiting for", "timeout waiting for", "timed out trying to create or validate schema topic", "request timeout after", "timeout connecting to", "connectiontimeout caused by", "client.timeout exceeded",
		}},
		{Name: failedAwait, Words: []string{"waiting for the condition on ", "waiting for job ", "waiting for the job ", "waiting for deployment ", "waiting for statefulset ", "waiting for pod ", "exceeded its progress deadline", "(notfound): "}},
		{Name: failedRoute, Words: []string{"no route to host", "ehostunreach", "network is unreachable", "enetunreach", "host is unreachable", "os error 113", "[errno 113]", "' (113)"}},
		{Name: failedName, Words: []string{
			"no such host", "eai_again", "name or service not known", "temporary failure in name resolution", "could not translate host name", "unknownhostexception", "unknown host",
			"could not resolve host", "couldn't resolve host", "bad address '", "host not found", "unknown mysql server host", "nxdomain", "name resolution", "nodename nor servname",
			"name does not resolve", "can't resolve", "couldn't resolve", "failed to resolve", "unable to resolve", "cannot resolve", "could not resolve", "unresolvedaddressexception", "socketexception: unresolved address", "exception while listening to address", "non-existing domain",
			"failed to lookup address", "getaddrinfo failed", "getaddrinfo for", "server misbehaving", "no address associated with hostname", "name not resolved", "dns resolution failed", "host unknown", "failure in name resolution", "resource temporarily unavailable (", "not found address of host",
			"couldn't lookup host", "could not lookup host", "failed to look up", "unknown server host",
		}},
		// .NET, of a name server that gives no answer.
		{Name: failedName, Words: []string{"resource temporarily unavailable"}, Regexp: `SocketException \([^)]*\): Resource temporarily unavailable`},
		// ModuleNotFoundError and FileNotFoundException hold the word, too.
		{Name: failedName, Words: []string{"enotfound"}, Regexp: `(?i)\bENOTFOUND\b`},
	}}
}

// namePatterns take the name that did not resolve out of such a line.
func namePatterns() []*regexp.Regexp {
	const host = `([a-zA-Z0-9_](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?)`
	var out []*regexp.Regexp
	for _, p := range []string{
		`host lookup: ['"]` + host, // Dart
		`lookup ` + host + `(?: on [^\s]+)?:`,
		`resolve host address [‘'"]?` + host, // wget
		`^\S*sh: (?:line \d+: )?` + host + `: (?:Name or service|Temporary failure)`,
		`(?:ENOTFOUND|EAI_AGAIN):? ` + host,
		`\((?:ENOTFOUND|EAI_AGAIN)[^)]*\)[^\n]*['" ]hostname['"]?: ?['"]` + host + `['"]`,
		`(?i)(?:translate host name|server host|host not found in (?:upstream|resolver)|bad address|resolve host:?|resolve address|resolve|resolve server|resolve hostname|unknown host:?|resolving|getaddrinfo for) ['"]?(?:[a-z][a-z0-9+.]*://(?:[^/@\s]*@)?)?` + host + `['"]?`,
		`UnknownHostException: (?:Failed to resolve ')?` + host,
		`(?i)\bfqdn[:=] ?['"]?` + host, // TDengine
		`(?i)can't find ` + host + `: NXDOMAIN`,
		`(?i)(?:not known|no such host is known\.?|in name resolution|name does not resolve) \(` + host + `(?::\d+)?\)`,
		`\(` + host + `:\d+\): non-existing domain`,
		`Resource temporarily unavailable \(` + host + `:\d+\)`,
		`connecting to ` + host + `:\d+\. (?:Name|Temporary)`,
		`destination host is: "` + host + `":\d`,  // Hadoop
		`to address ` + host + `/<unresolved>:\d`, // ZooKeeper, of a listener
		`(?i)look ?up host(?:name)?:? ['"]?` + host + `['"]?`,
		`host[=:] ?['"]` + host + `['"]`,
		`(?i)could not resolve:? ` + host,
		`address of host: ` + host, // ClickHouse
		`(?i)host name ['"]?` + host + `['"]?`,
		`address for ['"]` + host + `['"]:`, // pgBackRest
		`(?i)hostname ['"]?` + host + `['"]?`,
		`(?:^|[\s:"'(])` + host + `(?::\d{1,5})?: (?:Name or service not known|No address associated with hostname|Temporary failure in name resolution|Name does not resolve)`,
	} {
		out = append(out, regexp.MustCompile(p))
	}
	return out
}

// exceptionName is the class of an exception, which stands before the words as a host would.
var exceptionName = regexp.MustCompile(`(?:Exception|Error)$`)

// unresolved returns the name that a line says does not resolve, "" when it does not say.
func (e *Engine) unresolved(text string) string {
	text = strings.ReplaceAll(text, `\"`, `"`) // within a string that is quoted itself
	for _, re := range e.names {
		for _, m := range re.FindAllStringSubmatchIndex(text, 4) {
			if name := text[m[2]:m[3]]; !commonName(name) && !isDigits(name) && !exceptionName.MatchString(name) && !inSentence(text, name, m[2], m[3]) {
				return name
			}
		}
	}
	return ""
}

// inSentence says that what was taken for a host's name is a word within a sentence: "can't resolve dependencies of", "hostname resolution
// configured", or says what the next word is: "could not resolve placeholder ${X}". A name that stands bare in mid-sentence counts only when it
// looks like one.
func inSentence(text, name string, from, to int) bool {
	if strings.ContainsAny(name, ".-_0123456789") || from > 0 && strings.IndexByte("'\"`(=:", text[from-1]) >= 0 {
		return false
	}
	rest := text[to:]
	if len(rest) > 1 && rest[0] == ' ' && strings.IndexByte("'\"`$<{[", rest[1]) >= 0 {
		return true
	}
	if strings.HasPrefix(rest, " "+name+":") {
		return false // Node.js before 13: ENOTFOUND db db:5432
	}
	if len(rest) > 1 && rest[0] == ' ' && rest[1] >= 'A' && rest[1] <= 'Z' && !strings.HasPrefix(rest, " Name ") && !strings.HasPrefix(rest, " Temporary ") && !strings.HasPrefix(rest, " No ") {
		return true // "resolve plugin URL https://..."
	}
	return len(rest) > 1 && rest[0] == ' ' && rest[1] >= 'a' && rest[1] <= 'z' && !strings.HasPrefix(rest, " on ") && !strings.HasPrefix(rest, " at ") && !strings.HasPrefix(rest, " in ") && !strings.HasPrefix(rest, " port ") && !strings.HasPrefix(rest, " failed")
}

func commonName(w string) bool {
	switch w {
	case "failed", "fqdn", "FQDN", "specified", "given", "configured", "information", "lookup", "getaddrinfo", "resolution", "Error", "exception", "host", "hostname", "name", "address", "the", "error", "for", "in", "to", "service", "server", "addresses", "dns", "DNS", "symbol", "module", "on", "not", "or", "and", "was", "is":
		return true
	}
	return len(w) < 2
}

// unanswered says that a line tells of a name server that does not answer, rather than of its answer that there is no such name.
func unanswered(text string) bool {
	text = strings.ToLower(text)
	for _, w := range []string{"eai_again", "failure in name resolution", "server misbehaving", ":53: i/o timeout", ":53: read: connection refused", ":53: connect: connection refused", "dns request timed out", "servfail", "resource temporarily unavailable (", "communications error to"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return strings.Contains(text, "lookup ") && strings.HasSuffix(strings.TrimRight(text, "\"'}` "), "i/o timeout")
}

// answered says that a line tells of a connection that came to be and of what the other side then objected to.
func answered(text string) bool {
	text = strings.ToLower(text)
	for _, w := range []string{"password", "authenticat", "denied", "certificate", "x509", "ssl", "tls", "handshake", "does not exist", "unauthorized", "forbidden", "wrongpass", "noauth", "unknown database", "authorization", "credential", "too many connections", "too many clients", "permission", "remaining connection slots"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
