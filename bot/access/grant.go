package access

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
)

// grant is the least that an admin would run to allow what is missing: one role and one binding for each verb, namespace and name.
func grant(id Identity, missing []Permission) string {
	var who string
	switch own := id.own(); {
	case id.User != "":
		who = "--user=" + quote(id.User)
	case len(own) > 0:
		who = "--group=" + quote(own[0])
	default:
		return ""
	}
	type scope struct{ verb, namespace, name string }
	var order []scope
	resources := map[scope][]string{}
	for _, p := range missing {
		s := scope{p.Verb, p.Namespace, p.Name}
		if _, ok := resources[s]; !ok {
			order = append(order, s)
		}
		if r := p.resource(); !slices.Contains(resources[s], r) {
			resources[s] = append(resources[s], r)
		}
	}
	var commands []string
	for _, s := range order {
		kind, in := "role", " -n "+quote(s.namespace)
		if s.namespace == "" {
			kind, in = "clusterrole", ""
		}
		what := strings.Join(resources[s], ",")
		role := roleName(id, s.verb, s.namespace, s.name, what)
		create := fmt.Sprintf("kubectl%s create %s %s --verb=%s --resource=%s", in, kind, role, quote(s.verb), quote(what))
		if s.name != "" {
			create += " --resource-name=" + quote(s.name)
		}
		commands = append(commands, create, fmt.Sprintf("kubectl%s create %sbinding %s --%s=%s %s", in, kind, role, kind, role, who))
	}
	return strings.Join(commands, " && \\\n")
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// roleName is readable, and differs for whatever is granted and to whom.
func roleName(id Identity, verb, namespace, name, resources string) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s", id.key(), verb, namespace, name, resources)
	if name == "" {
		name = resources
	}
	middle := strings.Trim(notInName.ReplaceAllString(strings.ToLower(verb+"-"+name), "-"), "-")
	if len(middle) > 40 {
		middle = strings.TrimRight(middle[:40], "-")
	}
	return fmt.Sprintf("crashloop-%s-%08x", middle, h.Sum32())
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote makes one word of s for a POSIX shell.
func quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
