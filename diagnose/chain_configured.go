package diagnose

import (
	"net"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// nameNothing says that the program cannot reach what it needs when that is the last thing it tells, by the words of a client, and nothing
// that can be read names a host: it often stands in a Secret.
func (c *Case) nameNothing(h Hit) {
	if c.Subject.ContainerType == Init || !c.lastTells(h) {
		return
	}
	words, ports, what := c.speaksOf(h)
	if words == nil || slices.ContainsFunc(c.Addresses(), func(s SourcedAddress) bool { return s.isFor(words, ports) }) {
		return
	}
	for s := range c.services(c.Subject.Namespace) {
		if slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return slices.Contains(ports, int(p.Port)) }) {
			return // it may well be that one, or one of those
		}
	}
	f := FromHit(h, Possible, Words)
	f.Cause = "dependency.external"
	f.Summary = c.Who() + " cannot reach " + what + ": its log does not name the host, and nothing that can be read here does"
	f.Advice = "See which host its configuration or Secret names, and whether that answers"
	f.Settle = "The host and port that its configuration names, and whether they answer from a pod of the namespace."
	c.dependencies = append(c.dependencies, Dependency{Hit: h, How: h.Pattern, Finding: f})
}

// lastTells says that a failure is in the last thing that its log tells: its last line, or the stack trace that ends it but for a few fields.
func (c *Case) lastTells(h Hit) bool {
	last := h.Log.lastText()
	if h.Line >= last-1 {
		return true
	}
	t := c.traceAround(h.Line)
	return t != nil && t.Last >= last-8
}

// failureText is a line that tells of a failure, with the stack trace that it stands in, in lower case.
func (c *Case) failureText(h Hit) string {
	text := h.Text
	if t := c.traceAround(h.Line); t != nil {
		for n := t.First; n <= t.Last && n < t.First+60; n++ {
			text += " " + h.Log.Line(n)
		}
	}
	return strings.ToLower(text)
}

// databasePorts are where what Java's connection pools talk to listens: they do not say which of them it is.
var databasePorts = []int{5432, 3306, 1433, 1521}

// speaksOf gives the words and ports of the one protocol of which a failure tells, and what to call the other side.
func (c *Case) speaksOf(h Hit) (words []string, ports []int, what string) {
	// A class says more by its own name than by the packages before it: kafka.zookeeper.ZooKeeperClientTimeoutException.
	text := strings.ToLower(packages.ReplaceAllString(h.Text, ""))
	if protocolsIn(text) == nil {
		text = c.failureText(h)
	}
	switch found := protocolsIn(text); len(found) {
	case 0:
	case 1:
		words, ports, what = found[0].words, []int{found[0].port}, found[0].name
	default:
		return nil, nil, "" // it speaks of more than one
	}
	if words == nil && (strings.Contains(text, "hikari") || strings.Contains(text, "jdbc")) {
		return []string{"jdbc", "datasource", "database"}, databasePorts, "its database"
	}
	if words == nil && strings.Contains(text, "no usable database connection") {
		return []string{"postgres", "mysql", "sql", "seeds"}, databasePorts, "its database"
	}
	if words == nil && ofMembers.MatchString(text) {
		return []string{"seed", "cassandra", "scylla"}, []int{7000, 9042}, "the other nodes of its cluster"
	}
	return words, ports, what
}

// ofMembers is how a node of Cassandra's kind speaks of the others.
var ofMembers = regexp.MustCompile(`(?i)gossip with any|contact any seeds|achieve consistency level`)

// packages are those before the name of a class.
var packages = regexp.MustCompile(`\b(?:[a-z][\w$]*\.)+`)

// protocolsIn are those of whose words a text, in lower case, holds one.
func protocolsIn(text string) []protocol {
	var found []protocol
	for _, p := range protocols {
		if slices.ContainsFunc(p.words, func(w string) bool { return strings.Contains(text, w) }) {
			found = append(found, p)
		}
	}
	return found
}

// isForAny says that an address that the configuration names is for one of the protocols that are known.
func (s SourcedAddress) isForAny() bool {
	return slices.ContainsFunc(protocols, func(p protocol) bool { return s.isFor(p.words, []int{p.port}) })
}

// isAside says that an address is one of what programs run well without, such as a collector of their traces.
func (s SourcedAddress) isAside() bool {
	return auxiliary.MatchString(strings.ReplaceAll(s.Source, "_", " ") + " " + s.Address.Host)
}

// isFor says that an address that the configuration names is for one of these ports, or is called by one of these words.
func (s SourcedAddress) isFor(words []string, ports []int) bool {
	source := strings.ToLower(s.Source)
	return slices.Contains(ports, s.Address.Port) || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(source, w) || strings.Contains(s.Address.Host, w) })
}

// followOutside takes the one host outside the cluster that the configuration names for the protocol of which the failure tells, when the log
// names none and nothing in the cluster is proven to be broken: "timed out waiting for a node assignment", with one broker configured.
func (c *Case) followOutside(h Hit) {
	words, ports, _ := c.speaksOf(h)
	if words == nil {
		return
	}
	var only *Dependency
	for _, s := range c.Addresses() {
		if !s.isFor(words, ports) {
			continue
		}
		if only != nil {
			if only.Address == s.Address {
				continue
			}
			return // it could be any of them
		}
		f, ok := c.follow(s.Address, h)
		if !ok || f.Cause != "dependency.external" || f.Root != "" {
			if !ok || c.seesServices(c.Subject.Namespace) || f.Cause == "" {
				return
			}
			f.Confidence = Possible // whether there is such a Service could not be seen
		}
		f.Evidence = append(f.Evidence, Evidence{Source: s.Source, Text: "points at " + s.Address.String()})
		only = &Dependency{Address: s.Address, Hit: h, How: h.Pattern, Finding: f}
	}
	if only != nil {
		c.dependencies = append(c.dependencies, *only)
	}
}

// followMoved deals with a private address that nothing in the cluster has, such as the ClusterIP of a Service that was made anew since or the
// address of a pod that is gone: it goes on from the name that stands beside it in the log, or from the one Service that the configuration names
// with the same port, if that one is proven to be broken.
func (c *Case) followMoved(a Address, h Hit) (Finding, bool) {
	if ip := net.ParseIP(a.Host); ip == nil || !ip.IsPrivate() || a.Port == 0 {
		return Finding{}, false
	}
	to := c.namedBeside(a, h.Text)
	if to == "" {
		to = c.attemptedWith(a, h)
	}
	if to == "" {
		to = c.configuredWith(a)
	}
	if to == "" {
		return Finding{}, false
	}
	f, ok := c.follow(Address{Host: to, Port: a.Port}, h)
	if !ok || f.Proof < Corroborated {
		return Finding{}, false
	}
	if f.Confidence == Certain {
		f.Confidence = Likely
	}
	f.Keys = append(f.Keys, a.Host)
	return f, true
}

// namedBeside is the host that Java writes before an address, "db.shop/10.96.0.12:5432", when a Service has that name.
func (c *Case) namedBeside(a Address, text string) string {
	before, _, ok := strings.Cut(strings.ToLower(text), "/"+a.String())
	if !ok {
		return ""
	}
	host := before[strings.LastIndexAny(before, " \t'\"(=[:,")+1:]
	if !plausibleHost(host) || c.findService(Address{Host: host}).service == nil {
		return ""
	}
	return host
}

// configuredWith is the one host of a Service that the configuration names with an address's port, "" when it names several, or the address itself.
func (c *Case) configuredWith(a Address) string {
	to := ""
	for _, s := range c.Addresses() {
		if s.Address.Host == a.Host {
			return "" // it is meant as it stands
		}
		if s.Address.Host == to || net.ParseIP(s.Address.Host) != nil {
			continue
		}
		service := c.findService(s.Address).service
		if service == nil || s.Address.Port != a.Port && (s.Address.Port != 0 || !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == a.Port })) {
			continue
		}
		if to != "" {
			return "" // more than one may be meant
		}
		to = s.Address.Host
	}
	return to
}
