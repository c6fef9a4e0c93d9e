package diagnose

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Dependency is another object that the subject needs and that its log says it cannot reach, followed to the end of its chain.
type Dependency struct {
	Address Address
	Hit     Hit    // the line that says so
	How     string // "refused", "timeout", "no-route" or "name"
	// Finding is what following it led to; its Cause is the deepest link that is proven. An empty Cause means that nothing was found
	// to be wrong on the other side.
	Finding Finding
}

// SourcedAddress is an address and where the pod's configuration holds it.
type SourcedAddress struct {
	Address Address
	Source  string // "env DATABASE_URL", "args", "ConfigMap shop/web key app.yaml"
}

const (
	maxDependencies = 6
	// nearby is how far from a line that names no address one is looked for.
	nearby = 6
)

// Dependencies follows every address that the log says could not be reached, the one that was last tried first.
func (c *Case) Dependencies() []Dependency {
	if c.traced {
		return c.dependencies
	}
	c.traced = true
	seen := map[string]bool{}
	silent := -1 // the last failure that names no address anywhere
	for i := len(c.failures) - 1; i >= 0 && len(c.dependencies) < maxDependencies; i-- {
		h := c.failures[i]
		if h.Pattern == failedSomehow && c.toldBetter(h) || h.Pattern == failedTimeout && ownWait.MatchString(h.Text) || callsWebhook.MatchString(h.Text) {
			continue
		}
		if h.Pattern == failedTimeout && answeredBefore(h) {
			continue
		}
		if path := c.socket(h); path != "" {
			if f, ok := c.followSocket(path, h); ok && !seen[path] {
				seen[path] = true
				c.dependencies = append(c.dependencies, Dependency{Address: Address{Host: path}, Hit: h, How: h.Pattern, Finding: f})
			}
			continue
		}
		if h.Pattern == failedAwait {
			if f, ok := c.followAwaited(h); ok && !seen[f.Root] {
				seen[f.Root] = true
				c.dependencies = append(c.dependencies, Dependency{Address: Address{Host: f.Keys[0]}, Hit: h, How: h.Pattern, Finding: f})
			}
			continue
		}
		addresses := c.failedAddresses(h)
		// A word that names nothing in the cluster and has no port is no address: "connecting to temporal".
		addresses = slices.DeleteFunc(addresses, func(a Address) bool {
			if a.Port != 0 || strings.ContainsAny(a.Host, ".:") || a.IsLocal() || !c.findService(a).missing {
				return false
			}
			return h.Pattern != failedName || c.engine.unresolved(h.Text) == "" && !strings.ContainsAny(a.Host, "-_0123456789")
		})
		if len(addresses) == 0 && (h.Pattern != failedTimeout || c.Subject.ContainerType == Init || waitsForPeer(h.Text) || c.lastTells(h) && !ownBusiness.MatchString(h.Text)) {
			// Of lines near each other the one counts that says how it failed.
			if silent < 0 || c.failures[silent].Pattern == failedSomehow && h.Pattern != failedSomehow && c.failures[silent].Line-h.Line <= 12 {
				silent = i
			}
		}
		for _, a := range addresses {
			if c.Pod != nil && a.Host == c.Pod.Name && h.Pattern != failedName {
				continue // itself, as a member of what it is part of
			}
			key := a.String() + " " + h.Pattern
			if seen[key] || a.Port == 0 && slices.ContainsFunc(c.dependencies, func(d Dependency) bool { return d.Address.Host == a.Host }) {
				continue
			}
			seen[key] = true
			if f, ok := c.follow(a, h); ok {
				c.dependencies = append(c.dependencies, Dependency{Address: a, Hit: h, How: h.Pattern, Finding: f})
			}
			if len(c.dependencies) == maxDependencies {
				break
			}
		}
	}
	if len(c.dependencies) > 0 {
		return c.dependencies
	}
	if silent >= 0 {
		c.followSilent(c.failures[silent], c.followOutside, c.followNamed, c.nameNothing)
	} else if h, ok := c.lastFailure(); ok {
		c.followSilent(h, c.followNamed)
	} else if h, ok := c.waitsInLoop(); ok {
		c.followSilent(h)
	}
	return c.dependencies
}

// followSilent goes on from a failure whose words name no address: from what the log says was tried before, from what the configuration names, or
// from the protocol that it speaks of; last of all in the other ways.
func (c *Case) followSilent(h Hit, other ...func(Hit)) {
	for _, follow := range append([]func(Hit){c.followAttempted, c.followConfigured, c.followProtocol}, other...) {
		if follow(h); len(c.dependencies) > 0 {
			return
		}
	}
}

// Unreached follows a line that no pattern takes for a failed connection as though one did.
func (c *Case) Unreached(h Hit) []Finding {
	h.Pattern = failedSomehow
	before := c.failures
	c.failures = append(slices.Clone(before), h)
	c.traced, c.dependencies = false, nil
	var out []Finding
	for _, d := range c.Dependencies() {
		if d.Finding.Summary != "" {
			f := d.Finding
			f.connection = true
			out = append(out, f)
		}
	}
	return out
}

// ownWait is a controller that gives up waiting for its own cache: that is no connection, and what keeps it empty stands elsewhere.
var ownWait = regexp.MustCompile(`(?i)timed out waiting for (?:the )?caches? to (?:be synced|sync)|failed to sync caches?: timed out waiting for the condition`)

// callsWebhook is how the API server says that it could not call a webhook: that connection is not the program's, which did get its answer.
var callsWebhook = regexp.MustCompile(`failed calling (?:admission )?webhook|conversion webhook for \S+.{0,80} failed`)

// EndsWaiting says that the log ends with one failed connection after another, h among them: the program waits for something and does
// nothing else.
func (c *Case) EndsWaiting(h Hit) bool {
	last := h.Log.lastText()
	first := last - 7
	if h.Line < first {
		return false
	}
	failed := map[int]bool{}
	for _, f := range c.failures {
		if f.Log == h.Log && f.Line >= first {
			failed[f.Line] = true
		}
	}
	return len(failed) >= 3
}

// waitsForPeer says that what took too long was another program's answer.
func waitsForPeer(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "connect") || strings.Contains(text, "node assignment") || strings.Contains(text, "server selection") || strings.Contains(text, "request timeout after") || strings.Contains(text, "broker")
}

// toldBetter says that a line which only tells that there is no connection says why, or that the lines around it do.
func (c *Case) toldBetter(h Hit) bool {
	if answered(h.Text) || strings.Contains(strings.ToLower(h.Text), "unreachable code") {
		return true
	}
	first, last := h.Line, h.Line
	if t := c.traceAround(h.Line); t != nil {
		if answered(t.Message + " " + t.CauseMessage + " " + t.CauseClass) {
			return true
		}
		first, last = t.First, t.Last
	}
	return slices.ContainsFunc(c.failures, func(o Hit) bool { return o.Pattern != failedSomehow && o.Line >= first && o.Line <= last })
}

// answeredBefore says that a line which tells of nothing but that time ran out follows one that says what the other side answered all that time.
func answeredBefore(h Hit) bool {
	if !onlyLate.MatchString(h.Text) {
		return false
	}
	for n := h.Line - 1; n > 0 && n >= h.Line-3; n-- {
		line := h.Log.Line(n)
		if strings.TrimSpace(line) == "" {
			continue
		}
		return readEntry(line).level >= Warn && answered(strings.ReplaceAll(line, "TLS handshake timeout", ""))
	}
	return false
}

// onlyLate is a line that says no more than that time ran out.
var onlyLate = regexp.MustCompile(`(?i)^\W*(?:(?:error|fatal|panic|failed)\W+)*(?:context deadline exceeded|(?:operation |request )?timed? ?out)\W*$`)

// followConfigured tries the addresses of the pod's configuration when the log says that something could not be reached but not what.
// Only one that is proven to be broken counts.
func (c *Case) followConfigured(h Hit) {
	words, ports, _ := c.speaksOf(h)
	for _, s := range append(c.Addresses(), c.namedServices()...) {
		if len(c.dependencies) == maxDependencies {
			return
		}
		if words != nil && !s.isFor(words, ports) && s.isForAny() || s.isAside() && !auxiliary.MatchString(h.Text) {
			continue // it is for something else
		}
		if to := c.findService(s.Address).service; to != nil && c.selectsSubject(to) {
			continue // how it tells others where it is
		}
		f, ok := c.follow(s.Address, h)
		// That a host outside the cluster fails is nothing that objects prove, unless a Service stands for it.
		if !ok || f.Cause == "" || f.Proof < Corroborated && (f.Cause != "dependency.external" || f.Root == "") {
			continue
		}
		if f.Confidence == Certain {
			f.Confidence = Likely // the log does not name it
		}
		f.Evidence = append(f.Evidence, Evidence{Source: s.Source, Text: "points at " + s.Address.String()})
		c.dependencies = append(c.dependencies, Dependency{Address: s.Address, Hit: h, How: h.Pattern, Finding: f})
	}
}

// protocol is what programs talk to over one port.
type protocol struct {
	words []string // by which they call it
	port  int
	name  string // in a sentence
}

var protocols = []protocol{
	{[]string{"amqp", "rabbit", "pika."}, 5672, "its RabbitMQ broker"},
	{[]string{"mongo"}, 27017, "MongoDB"},
	{[]string{"redis", "jedis", "lettuce"}, 6379, "Redis"},
	{[]string{"mysql", "mariadb"}, 3306, "its MySQL server"},
	{[]string{"postgres", "psycopg", "npgsql", "pgsql", "asyncpg", "pgconn", "pghost", "pgx", "client_pg", "/pg/lib/", "pg::"}, 5432, "its PostgreSQL server"},
	{[]string{"kafka"}, 9092, "its Kafka brokers"},
	{[]string{"zookeeper", "keepererrorcode", "curator", "zk_", "zkclient", "zkhost"}, 2181, "ZooKeeper"},
	{[]string{"elasticsearch", "opensearch"}, 9200, "Elasticsearch"},
	{[]string{"cassandra", "datastax", "scylla"}, 9042, "its Cassandra cluster"},
	{[]string{"nats"}, 4222, "its NATS server"},
	{[]string{"memcache"}, 11211, "memcached"},
	{[]string{"sqlclient", "mssql", "sqlserver"}, 1433, "its SQL Server"},
	{[]string{"etcd"}, 2379, "etcd"},
	{[]string{"hdfs", "namenode", "name node"}, 8020, "HDFS"},
}

// followProtocol tries the one Service of the namespace that serves the protocol of which the failure tells, when neither the log nor the
// configuration names an address. Only one that is proven to be broken counts, and what it leads to is never certain.
func (c *Case) followProtocol(h Hit) {
	_, ports, _ := c.speaksOf(h)
	if len(ports) != 1 {
		return
	}
	port := ports[0]
	var only *corev1.Service
	for s := range c.services(c.Subject.Namespace) {
		if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == port }) {
			continue
		}
		if only != nil && !maps.Equal(only.Spec.Selector, s.Spec.Selector) {
			return
		}
		only = s
	}
	if only == nil {
		return
	}
	a := Address{Host: only.Name, Port: port}
	f, ok := c.follow(a, h)
	if !ok || f.Cause == "" || f.Proof < Corroborated {
		return
	}
	if f.Confidence == Certain {
		f.Confidence = Likely
	}
	f.Evidence = append(f.Evidence, Evidence{Source: "Service " + only.Namespace + "/" + only.Name + " spec.ports", Text: fmt.Sprintf("the only one in the namespace that serves port %d", port)})
	c.dependencies = append(c.dependencies, Dependency{Address: a, Hit: h, How: h.Pattern, Finding: f})
}

// configuredOnly looks at what the container's configuration points at when its log does not say why it ends: something there that is proven
// to be broken may well be it.
func (c *Case) configuredOnly() (Finding, bool) {
	l, t := c.Log(), c.Last()
	if t == nil || !ranAtAll(t) || t.ExitCode == 0 || t.ExitCode > 125 {
		return Finding{}, false
	}
	for _, s := range c.Addresses() {
		f, ok := c.follow(s.Address, Hit{Pattern: failedSomehow, Log: l})
		if s.isAside() || !ok || f.Cause == "" || f.Proof < Corroborated || f.Cause == "dependency.service-missing" || f.elsewhere == nil && f.Cause != "dependency.no-endpoints" && f.Cause != "dependency.not-ready" && f.Cause != "dependency.pod-pending" {
			continue
		}
		said := couldNot(c, s.Address, failedSomehow)
		instead := fmt.Sprintf("%s ends with exit code %d and its log does not say why; %s, which %s names, cannot be reached", c.Who(), t.ExitCode, s.Address, s.Source)
		if !strings.HasPrefix(f.Summary, said) {
			continue
		}
		f.Summary = instead + strings.TrimPrefix(f.Summary, said)
		f.Confidence, f.Proof, f.Log, f.At, f.Span, f.connection = Possible, Hint, nil, 0, 0, true
		f.Evidence = append(slices.DeleteFunc(f.Evidence, func(e Evidence) bool { return e.Text == "" }), Evidence{Source: s.Source, Text: "points at " + s.Address.String()})
		return f, true
	}
	return Finding{}, false
}

// failedAddresses returns what a line says could not be reached: addresses in the line itself, else in the stack trace around it, else
// in the lines nearby.
func (c *Case) failedAddresses(h Hit) []Address {
	text := h.Text
	if h.Pattern == failedName {
		if name := c.engine.unresolved(text); name != "" {
			a := Address{Host: strings.ToLower(strings.TrimSuffix(name, "."))}
			for _, other := range c.engine.address.find(text) {
				if other.Host == a.Host {
					a.Port = other.Port
				}
			}
			return c.reachable([]Address{a})
		}
	}
	if found := c.reachable(paired(c.engine.address.find(withoutSource(text)))); len(found) > 0 {
		return found
	}
	// A field of a JSON line, beside its message, may hold what was tried.
	if line := h.Log.Line(h.Line); strings.HasSuffix(strings.TrimSpace(line), "}") {
		if found := c.reachable(paired(c.engine.address.find(withoutSource(line)))); len(found) > 0 {
			return found
		}
	}
	if t := c.traceAround(h.Line); t != nil {
		for n := t.First; n <= t.Last && n < t.First+200; n++ {
			line := readEntry(h.Log.Line(n)).text
			if strings.HasPrefix(strings.TrimSpace(line), "at ") || strings.HasPrefix(strings.TrimSpace(line), "File ") {
				continue
			}
			if h.Pattern == failedName {
				if name := c.engine.unresolved(line); name != "" {
					return c.reachable([]Address{{Host: strings.ToLower(name)}})
				}
			}
			if found := c.reachable(c.engine.address.find(withoutSource(line))); len(found) > 0 {
				return found
			}
		}
	}
	for d := 1; d <= nearby; d++ {
		for _, n := range []int{h.Line + d, h.Line - d} {
			line := readEntry(h.Log.Line(n)).text
			if line == "" || strings.Contains(strings.ToLower(line), "listening") || gaveStatus.MatchString(line+"\n"+h.Log.Line(n+1)) {
				continue
			}
			if found := c.reachable(c.engine.address.find(withoutSource(line))); len(found) > 0 {
				return found
			}
		}
	}
	return nil
}

// gaveStatus finds the status of an HTTP answer: who gave it was reached.
var gaveStatus = regexp.MustCompile(`(?i)\b(?:code|status|status code|http)[:= ]+[1-5]\d\d\b`)

// arrow is the near end of a connection in Go's errors, "read tcp 10.1.2.3:40000->10.96.0.10:53", or the name server that was asked.
var arrow = regexp.MustCompile(`[0-9a-f.:\[\]]+->|\bon \[?[0-9a-f.:]+\]?:53\b`)

// withoutSource takes out of a line what is no address that was tried: the near end, and pages to read about the error.
func withoutSource(text string) string {
	text = arrow.ReplaceAllString(text, " ")
	if strings.Contains(text, "http") {
		text = readAbout.ReplaceAllString(text, " ")
	}
	return text
}

// readAbout is a page to read about an error: "(Background on this error at: https://sqlalche.me/e/20/e3q8)".
var readAbout = regexp.MustCompile(`(?i)\b(?:see|visit|refer to|read|docs|documentation|guide|help|details|info(?:rmation)?|background on this error|troubleshooting|learn more|report (?:this|it|a bug|an issue|issues?))\b[^\n]{0,40}?https?://[\w.-]+\.(?:com|org|net|io|dev|me|ai|app|co|gle|link)(?:[/?#]\S*|\b)`)

// paired puts a name and the one IP address with a port that stands in the same line together: "host=db ... (dial tcp 10.96.0.12:5432: ...".
func paired(in []Address) []Address {
	name, ip := -1, -1
	for i, a := range in {
		switch isIP := net.ParseIP(a.Host) != nil; {
		case isIP && a.Port > 0 && ip < 0:
			ip = i
		case !isIP && a.Port == 0 && name < 0:
			name = i
		default:
			return in
		}
	}
	if name < 0 || ip < 0 {
		return in
	}
	return []Address{{in[name].Host, in[ip].Port}}
}

// reachable drops addresses that lead nowhere else: every interface, the pod itself under its own IP.
func (c *Case) reachable(in []Address) []Address {
	var out []Address
	for _, a := range in {
		ip := net.ParseIP(a.Host)
		if ip != nil && ip.IsUnspecified() || c.Pod != nil && a.Host == c.Pod.Status.PodIP && a.Host != "" {
			continue
		}
		out = append(out, a)
	}
	return out
}

// netcat takes host and port out of a command: nc -z -w 2 db 5432.
var netcat = regexp.MustCompile(`\b(?:nc|ncat|netcat)\s+(?:-\w+\s+(?:\d{1,4}\s+)?)*([a-z0-9][a-z0-9.-]*)\s+(\d{2,5})\b`)

// Addresses returns the addresses that the container's own configuration holds: its environment, its arguments and the ConfigMaps that
// it takes its environment from or mounts.
func (c *Case) Addresses() []SourcedAddress {
	if c.Container == nil {
		return nil
	}
	var out []SourcedAddress
	add := func(source, text string) {
		for _, a := range c.reachable(c.engine.address.find(text)) {
			if !a.IsLocal() && len(out) < 40 {
				out = append(out, SourcedAddress{a, source})
			}
		}
	}
	env := map[string]string{}
	sources := map[string]string{}
	for _, from := range c.Container.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		for k, v := range c.ConfigMapData(from.ConfigMapRef.Name) {
			env[from.Prefix+k], sources[from.Prefix+k] = v, "ConfigMap "+c.Subject.Namespace+"/"+from.ConfigMapRef.Name+" key "+k
		}
	}
	for _, e := range c.Container.Env {
		env[e.Name], sources[e.Name] = e.Value, "env "+e.Name
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			ref := e.ValueFrom.ConfigMapKeyRef
			env[e.Name] = c.ConfigMapData(ref.Name)[ref.Key]
			sources[e.Name] = "ConfigMap " + c.Subject.Namespace + "/" + ref.Name + " key " + ref.Key
		}
	}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		v := env[k]
		before := len(out)
		add(sources[k], v)
		if len(out) > before || v == "" || strings.ContainsAny(v, " /:") {
			continue
		}
		// DB_HOST=postgres, with DB_PORT=5432 beside it; DBHOST and DBPORT.
		for _, suffix := range []string{"HOST", "HOSTNAME", "_SERVER", "_ADDR", "_ADDRESS", "_ENDPOINT", "_SERVICE", "_SEEDS"} {
			if stem, ok := strings.CutSuffix(strings.ToUpper(k), suffix); ok {
				port := env[strings.TrimSuffix(stem, "_")+"_PORT"]
				if port == "" {
					port = env[stem+"PORT"]
				}
				if port == "" {
					add(sources[k], "host="+v)
				} else {
					add(sources[k], "host="+v+" port="+port)
				}
			}
		}
	}
	for _, a := range slices.Concat(c.Container.Command, c.Container.Args) {
		add("args", a)
		for _, m := range netcat.FindAllStringSubmatch(a, 4) {
			add("args", m[1]+":"+m[2])
		}
	}
	for _, v := range c.Spec.Volumes {
		if v.ConfigMap == nil || !slices.ContainsFunc(c.Container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name }) {
			continue
		}
		data := c.ConfigMapData(v.ConfigMap.Name)
		for _, k := range slices.Sorted(maps.Keys(data)) {
			add("ConfigMap "+c.Subject.Namespace+"/"+v.ConfigMap.Name+" key "+k, data[k])
		}
	}
	return out
}

// ConfigMapData reads a ConfigMap of the subject's namespace, nil when it cannot be read.
func (c *Case) ConfigMapData(name string) map[string]string {
	o, err := c.Get(ConfigMaps, c.Subject.Namespace, name)
	if err != nil {
		return nil
	}
	if cm, ok := o.(*corev1.ConfigMap); ok {
		return cm.Data
	}
	return nil
}
