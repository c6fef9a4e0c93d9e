package slack

import (
	"context"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// How long what Slack said about a person is believed. Whoever is deactivated or made a guest loses their rights within that time.
const (
	personLife = 2 * time.Minute
	groupsLife = 2 * time.Minute
	maxPeople  = 2000
)

// people remembers for a short while who somebody is.
type people struct {
	mu     sync.Mutex
	known  map[asker]knownPerson
	groups map[string][]string // user id -> ids and handles
	asked  time.Time
}

// asker is somebody and the workspace that they say they come from: what is known of one is not known of the other.
type asker struct{ id, team string }

type knownPerson struct {
	person notify.Person
	at     time.Time
}

func (p *people) init() { p.known = map[asker]knownPerson{} }

// person finds out who clicks or types. It fails closed: somebody about whom Slack cannot be asked is no member.
func (c *Client) person(ctx context.Context, id, team string) notify.Person {
	c.people.mu.Lock()
	k, ok := c.people.known[asker{id, team}]
	c.people.mu.Unlock()
	p := k.person
	if !ok || time.Since(k.at) > personLife {
		var err error
		if p, err = c.askPerson(ctx, id, team); err != nil {
			c.log.Warn("Slack did not say who somebody is, so they are treated as a stranger", "user", id, "error", err)
			return notify.Person{ID: id, Team: team, Name: id}
		}
		c.people.mu.Lock()
		if len(c.people.known) >= maxPeople {
			clear(c.people.known)
		}
		c.people.known[asker{id, team}] = knownPerson{p, time.Now()}
		c.people.mu.Unlock()
	}
	if c.o.Groups && p.Member {
		p.Groups = c.groupsOf(ctx, id)
	}
	return p
}

func (c *Client) askPerson(ctx context.Context, id, team string) (notify.Person, error) {
	self, err := c.Self(ctx)
	if err != nil {
		return notify.Person{}, err
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	u, err := c.api.GetUserInfoContext(ctx, id)
	if err != nil {
		return notify.Person{}, c.sendError("users.info", err)
	}
	p := notify.Person{ID: u.ID, Team: u.TeamID, Name: u.Name, Email: u.Profile.Email, Member: member(*u, self, id, team)}
	if u.Profile.DisplayName != "" {
		p.Name = u.Profile.DisplayName
	}
	p.Name = notify.Cut(notify.Clean(p.Name), 80)
	return p, nil
}

// member says whether a user is an active, full member of the bot's own workspace. Strangers of Slack Connect, guests, bots and
// deactivated accounts can carry any e-mail address, so none of them is anybody. team is where the click says it comes from.
func member(u slackgo.User, self Self, id, team string) bool {
	switch {
	case u.ID != id, self.TeamID == "", u.TeamID != self.TeamID:
		return false
	case team != "" && team != self.TeamID && team != self.EnterpriseID:
		return false
	}
	return !u.Deleted && !u.IsBot && !u.IsAppUser && !u.IsWorkflowBot && !u.IsConnectorBot && !u.IsRestricted && !u.IsUltraRestricted && !u.IsStranger && !u.IsInvitedUser && u.ID != "USLACKBOT"
}

// groupsOf lists the user groups somebody is in. When Slack does not answer they are in none.
func (c *Client) groupsOf(ctx context.Context, id string) []string {
	c.people.mu.Lock()
	defer c.people.mu.Unlock() // one asks, the others wait for the answer
	if c.people.groups == nil || time.Since(c.people.asked) > groupsLife {
		ctx, cancel := c.call(ctx)
		defer cancel()
		all, err := c.api.GetUserGroupsContext(ctx, slackgo.GetUserGroupsOptionIncludeUsers(true))
		if err != nil {
			c.people.groups, c.people.asked = map[string][]string{}, time.Now() // asked again only after a while
			c.log.Warn("the user groups cannot be read, so nobody has the rights that are mapped to one", "error", c.sendError("usergroups.list", err))
			return nil
		}
		groups := map[string][]string{}
		for _, g := range all {
			if g.DateDelete != 0 || g.IsExternal {
				continue
			}
			for _, u := range g.Users {
				groups[u] = append(groups[u], g.ID, g.Handle)
			}
		}
		c.people.groups, c.people.asked = groups, time.Now()
	}
	return c.people.groups[id]
}
