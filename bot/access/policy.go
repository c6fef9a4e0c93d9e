package access

import (
	"slices"
	"strings"

	"crashloop/notify"
)

// Authenticated is the group that the API server puts every authenticated user in, and that the bot therefore always adds.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
const Authenticated = "system:authenticated"

// Identity is a Kubernetes user as the authorizer sees one. User can be empty where only user groups map a person.
type Identity struct {
	User   string
	Groups []string // sorted, with system:authenticated among them

	unnamed string // what to call an identity whose name the cluster does not tell
}

// String names the identity for people: the user, or the groups when there is no user.
func (i Identity) String() string {
	if i.User != "" {
		return i.User
	}
	if i.unnamed != "" {
		return i.unnamed
	}
	if own := i.own(); len(own) > 0 {
		return "group " + strings.Join(own, ", ")
	}
	return "nobody"
}

// own are the groups that the access file gave.
func (i Identity) own() []string {
	return slices.DeleteFunc(slices.Clone(i.Groups), func(g string) bool { return g == Authenticated })
}

// key tells one identity from another.
func (i Identity) key() string { return i.User + "\x00" + strings.Join(i.Groups, "\x00") }

// Policy is what an access file says: which Slack people and user groups are which Kubernetes users. The zero Policy maps nobody.
//
// Ids are the safest keys: an id is never given to another, while an e-mail or a user group's handle means whoever has it now, as far as
// the workspace's own rules let people change theirs.
type Policy struct {
	ids    map[string]mapping // by Slack user id
	emails map[string]mapping // by e-mail in lower case
	groups []groupMapping     // in the file's order
}

type mapping struct {
	user   string
	groups []string
}

type groupMapping struct {
	slack string // a user group's id or handle
	mapping
}

// Identity maps a person who is a full member. A user entry with the person's id wins over one with their e-mail; the groups of all user
// groups that the person is in are added; where no user entry names them, the first user group with a Kubernetes user gives it.
func (p Policy) Identity(who notify.Person) (Identity, bool) {
	if !who.Member || who.ID == "" {
		return Identity{}, false
	}
	m, found := p.ids[who.ID]
	if !found && who.Email != "" {
		m, found = p.emails[lower(who.Email)]
	}
	id := Identity{User: m.user, Groups: append([]string{Authenticated}, m.groups...)}
	for _, g := range p.groups {
		if !slices.ContainsFunc(who.Groups, func(in string) bool { return strings.TrimPrefix(in, "@") == g.slack }) {
			continue
		}
		found = true
		id.Groups = append(id.Groups, g.groups...)
		if id.User == "" {
			id.User = g.user
		}
	}
	if !found {
		return Identity{}, false
	}
	slices.Sort(id.Groups)
	id.Groups = slices.Compact(id.Groups)
	return id, true
}

// lower folds the letters of ASCII only: Unicode has others that fold to them, and an address with one is another address.
func lower(address string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, address)
}

// UserGroups lists the Slack user groups that the policy maps, by id or handle: only these need looking up.
func (p Policy) UserGroups() []string {
	var all []string
	for _, g := range p.groups {
		all = append(all, g.slack)
	}
	return all
}
