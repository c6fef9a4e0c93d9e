package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxPolicy bounds an access file, in bytes: a ConfigMap holds no more.
const maxPolicy = 1 << 20

var (
	slackUser  = regexp.MustCompile(`^[UW][A-Z0-9]{2,30}$`)
	slackGroup = regexp.MustCompile(`^(S[A-Z0-9]{2,30}|[a-z0-9][a-z0-9._-]{0,79})$`)
	email      = regexp.MustCompile(`^[^@\s<>]+@[^@\s<>]+$`)
)

// ParsePolicy reads the text of an access file; name stands in the mistakes, which are reported all together, each with its line.
func ParsePolicy(name string, text []byte) (Policy, error) {
	r := &reader{name: name, policy: Policy{ids: map[string]mapping{}, emails: map[string]mapping{}}, seen: map[string]int{}}
	if len(text) > maxPolicy {
		return Policy{}, fmt.Errorf("%s: has %d bytes; an access file may have %d", name, len(text), maxPolicy)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return Policy{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return r.policy, nil // an empty file maps nobody
	}
	top := doc.Content[0]
	if top.Tag == "!!null" {
		return r.policy, nil
	}
	r.fields(top, "the file", map[string]func(*yaml.Node){
		"users":  func(n *yaml.Node) { r.entries(n, "users", r.user) },
		"groups": func(n *yaml.Node) { r.entries(n, "groups", r.group) },
	})
	if len(r.mistakes) > 0 {
		return Policy{}, errors.Join(r.mistakes...)
	}
	return r.policy, nil
}

// reader walks the nodes of one file and collects every mistake.
type reader struct {
	name     string
	policy   Policy
	seen     map[string]int // what is mapped, to the line that does it
	mistakes []error
}

func (r *reader) bad(n *yaml.Node, format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Errorf("%s:%d: %s", r.name, n.Line, fmt.Sprintf(format, args...)))
}

// fields hands each value of a mapping to its reader, and refuses keys that are unknown or repeated.
func (r *reader) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.bad(n, "%s must have %s, and is %s", what, keys(known), kind(n))
		return
	}
	had := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		switch {
		case !ok:
			r.bad(key, "unknown key %q; %s may have %s", key.Value, what, keys(known))
		case had[key.Value]:
			r.bad(key, "%q stands here twice", key.Value)
		default:
			had[key.Value] = true
			read(value)
		}
	}
}

func (r *reader) entries(n *yaml.Node, what string, read func(n *yaml.Node)) {
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.bad(n, "%s must be a list, and is %s", what, kind(n))
		return
	}
	for _, e := range n.Content {
		read(e)
	}
}

func (r *reader) user(n *yaml.Node) {
	slack, m, ok := r.entry(n, "a user")
	if !ok {
		return
	}
	switch {
	case slackUser.MatchString(slack):
		if r.once(n, slack) {
			r.policy.ids[slack] = m
		}
	case email.MatchString(slack):
		if slack = lower(slack); r.once(n, slack) {
			r.policy.emails[slack] = m
		}
	default:
		r.bad(n, "%q is neither a Slack user id such as U024BE7LH nor an e-mail address", slack)
	}
	if m.user == "" {
		r.bad(n, "the user %q needs kubernetes.user", slack)
	}
}

func (r *reader) group(n *yaml.Node) {
	slack, m, ok := r.entry(n, "a group")
	if !ok {
		return
	}
	slack = strings.TrimPrefix(slack, "@")
	if !slackGroup.MatchString(slack) {
		r.bad(n, "%q is neither the id of a Slack user group, such as S0615G0KT, nor its handle", slack)
	}
	if m.user == "" && len(m.groups) == 0 {
		r.bad(n, "the group %q needs kubernetes.groups or kubernetes.user", slack)
	}
	if r.once(n, "group "+slack) {
		r.policy.groups = append(r.policy.groups, groupMapping{slack, m})
	}
}

func (r *reader) once(n *yaml.Node, what string) bool {
	if line, ok := r.seen[what]; ok {
		r.bad(n, "%s is already mapped in line %d", what, line)
		return false
	}
	r.seen[what] = n.Line
	return true
}

func (r *reader) entry(n *yaml.Node, what string) (slack string, m mapping, ok bool) {
	before := len(r.mistakes)
	r.fields(n, what, map[string]func(*yaml.Node){
		"slack": func(n *yaml.Node) { slack = r.text(n, "slack") },
		"kubernetes": func(n *yaml.Node) {
			r.fields(n, "kubernetes", map[string]func(*yaml.Node){
				"user": func(n *yaml.Node) { m.user = r.subject(n, "user") },
				"groups": func(n *yaml.Node) {
					r.entries(n, "groups", func(n *yaml.Node) { m.groups = append(m.groups, r.subject(n, "a group")) })
				},
			})
		},
	})
	if slack == "" && len(r.mistakes) == before {
		r.bad(n, "%s needs slack: whom it maps", what)
	}
	return slack, m, len(r.mistakes) == before
}

// subject reads the name of a Kubernetes user or group. Names that begin with system: are the cluster's own; whoever may edit the access
// file could otherwise make anyone a node, a ServiceAccount or a member of system:masters.
func (r *reader) subject(n *yaml.Node, what string) string {
	s := r.text(n, what)
	if strings.HasPrefix(strings.ToLower(s), "system:") {
		r.bad(n, "%s %q: names that begin with system: belong to the cluster and cannot be mapped", what, s)
	}
	return s
}

func (r *reader) text(n *yaml.Node, what string) string {
	switch {
	case n.Kind == yaml.AliasNode:
		r.bad(n, "%s: write it out; aliases are not supported", what)
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		r.bad(n, "%s must be text, and is %s", what, kind(n))
	case strings.TrimSpace(n.Value) == "":
		r.bad(n, "%s is empty", what)
	case strings.TrimSpace(n.Value) != n.Value || strings.ContainsFunc(n.Value, func(c rune) bool { return c < ' ' || c == 0x7f }):
		r.bad(n, "%s %q has spaces around it or control characters in it", what, n.Value)
	case len(n.Value) > 512:
		r.bad(n, "%s has %d bytes; 512 are allowed", what, len(n.Value))
	default:
		return n.Value
	}
	return ""
}

func keys[V any](m map[string]V) string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return strings.Join(all, " and ")
}

func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias; write it out"
	case n.Tag == "!!null":
		return "empty"
	case n.Tag == "!!str":
		return "text"
	}
	return fmt.Sprintf("%s, which YAML does not read as text: put it in quotes", n.Value)
}
