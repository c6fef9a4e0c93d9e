package diagnose

import (
	"slices"
	"strings"
)

// failureText is a line that tells of a failure, with the stack trace that it stands in, in lower case.
func (c *Case) failureText(h Hit) string {
	text := h.Text
	for _, t := range c.Traces() {
		if h.Line >= t.First && h.Line <= t.Last {
			for n := t.First; n <= t.Last && n < t.First+60; n++ {
				text += " " + h.Log.Line(n)
			}
		}
	}
	return strings.ToLower(text)
}

// databasePorts are where what Java's connection pools talk to listens: they do not say which of them it is.
var databasePorts = []int{5432, 3306, 1433, 1521}

// followOutside takes the one host outside the cluster that the configuration names for the protocol of which the failure tells, when the log
// names none and nothing in the cluster is proven to be broken: "timed out waiting for a node assignment", with one broker configured.
func (c *Case) followOutside(h Hit) {
	text := c.failureText(h)
	var words []string
	var ports []int
	for _, p := range protocols {
		if slices.ContainsFunc(p.words, func(w string) bool { return strings.Contains(text, w) }) {
			if words != nil {
				return // it speaks of more than one
			}
			words, ports = p.words, []int{p.port}
		}
	}
	if words == nil && (strings.Contains(text, "hikari") || strings.Contains(text, "jdbc")) {
		words, ports = []string{"jdbc", "datasource", "database"}, databasePorts
	}
	var only *Dependency
	for _, s := range c.Addresses() {
		source := strings.ToLower(s.Source)
		if !slices.Contains(ports, s.Address.Port) && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(source, w) || strings.Contains(s.Address.Host, w) }) {
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
			return
		}
		f.Evidence = append(f.Evidence, Evidence{Source: s.Source, Text: "points at " + s.Address.String()})
		only = &Dependency{Address: s.Address, Hit: h, How: h.Pattern, Finding: f}
	}
	if only != nil {
		c.dependencies = append(c.dependencies, *only)
	}
}
