package workspace

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options says what the workspace holds when it starts and how strict it is.
// DefaultOptions returns a complete set; the zero value of a duration or of
// Pace means Slack's own number.
type Options struct {
	// TeamID, TeamName and TeamDomain name the workspace; auth.test reports them.
	TeamID, TeamName, TeamDomain string

	Users      []User
	Channels   []Channel
	Usergroups []Usergroup
	Apps       []App

	// Logger receives what a developer of an app wants to know: refused calls,
	// connections that come and go. Required; use slog.DiscardHandler for silence.
	Logger *slog.Logger

	// PageToken guards the page in the browser and its API. Empty means a new
	// random one; PageURL holds it.
	PageToken string

	// Pace is how fast the Web API lets a client go.
	Pace Pace

	// AckTimeout is how long an app may take to acknowledge an envelope (Slack: 3 s).
	AckTimeout time.Duration
	// PingInterval is the pause between two pings on a socket (5 s).
	PingInterval time.Duration
	// ResponseURLLife is how long a response_url works (Slack: 30 minutes).
	ResponseURLLife time.Duration

	// Now is the workspace's clock; nil means time.Now.
	Now func() time.Time
}

// User is a member of the workspace, a guest, a bot, or a stranger who came in
// through Slack Connect.
type User struct {
	ID       string
	Name     string // the handle, without @
	RealName string
	Email    string
	Title    string

	Admin           bool // is_admin
	Restricted      bool // is_restricted: a multi-channel guest
	UltraRestricted bool // is_ultra_restricted: a single-channel guest
	Deleted         bool // deactivated: may not act
	Bot             bool // is_bot
	Stranger        bool // is_stranger: belongs to another organization

	// TeamID is the workspace the person belongs to; empty means this one.
	TeamID string
}

// Channel is a public or private channel. Direct messages are opened when they
// are first used.
type Channel struct {
	ID       string
	Name     string // without #
	Topic    string
	Private  bool
	Archived bool
	Members  []string // user ids
}

// Usergroup is a mentionable group of users.
type Usergroup struct {
	ID      string   `json:"id"`
	Handle  string   `json:"handle"`
	Name    string   `json:"name"`
	Members []string `json:"members"` // user ids
}

// App is an installed Slack app: its bot user, its two tokens and what they may do.
type App struct {
	ID    string
	Name  string
	BotID string // bot_id in messages

	// BotUserID names the bot's User in Options.Users.
	BotUserID string

	// BotToken (xoxb-…) calls the Web API; AppToken (xapp-…) opens sockets.
	// Empty means a new random one; Workspace.App tells it.
	BotToken, AppToken string

	BotScopes, AppScopes []string

	// Commands are the slash commands the app has registered.
	Commands []Command

	// Events are the Events API subscriptions. The workspace knows "app_mention",
	// "message.channels" and "message.im". Unlike Slack it does not retry an event
	// that nobody acknowledged.
	Events []string
}

// Command is a slash command as it stands in an app's configuration.
type Command struct {
	Name        string `json:"name"`  // with the slash
	Usage       string `json:"usage"` // what may follow it
	Description string `json:"description"`
	// Hints are what the composer offers after the command, such as "list" or "logs ".
	Hints []Hint `json:"hints"`
}

// Hint is one completion that the page's composer offers after a slash command.
type Hint struct {
	Text string `json:"text"`
	Says string `json:"says"`
}

// Pace holds the Web API's rate limits.
type Pace struct {
	// Off lifts every limit.
	Off bool
	// PostPerSecond and PostBurst limit chat.postMessage in one channel. Slack
	// documents one message a second per channel and says that short bursts pass
	// without saying how short. The default burst is 3: an incident's root and its
	// first reply go out together, and one more may answer a person.
	PostPerSecond float64
	PostBurst     int
	// UpdatePerMinute and UpdateBurst limit chat.update in one channel (50 a
	// minute; the default burst is 10, so that nobody comes to rely on more).
	UpdatePerMinute float64
	UpdateBurst     int
}

// Identifiers of the default workspace.
const (
	UserAlice    = "U0ALICE"   // an administrator
	UserDev      = "U0DEV"     // a developer
	UserVic      = "U0VIC"     // a viewer
	UserMallory  = "U0MALLORY" // a full member whom no access policy knows
	UserGuest    = "U0GUEST"   // a guest (is_restricted)
	UserGone     = "U0GONE"    // deactivated; has the same e-mail as alice
	UserStranger = "U0STRANGER"

	ChannelIncidents = "C0INCIDENTS"
	ChannelGeneral   = "C0GENERAL"

	AppID     = "A0CRASHLOOP"
	BotUserID = "U0CRASHLOOP"
	BotID     = "B0CRASHLOOP"

	// slackbotID is the user behind Slack's own messages to a person.
	slackbotID = "USLACKBOT"
)

// DefaultOptions returns the workspace "crashloop" with #incidents and #general,
// an administrator, a developer, a viewer, a full member nobody mapped, a guest, a
// deactivated user, a Slack Connect stranger, and the crashloop app with the
// scopes that its manifest asks for.
func DefaultOptions(log *slog.Logger) Options {
	everyone := []string{UserAlice, UserDev, UserVic, UserMallory, UserGuest, UserGone, UserStranger, BotUserID}
	return Options{
		TeamID: "T0CRASHLOOP", TeamName: "crashloop", TeamDomain: "crashloop",
		Logger: log,
		Users: []User{
			{ID: UserAlice, Name: "alice", RealName: "Alice Adams", Email: "alice@example.com", Title: "Cluster admin", Admin: true},
			{ID: UserDev, Name: "dev", RealName: "Dev Okafor", Email: "dev@example.com", Title: "Developer"},
			{ID: UserVic, Name: "vic", RealName: "Vic Lindqvist", Email: "vic@example.com", Title: "Viewer"},
			{ID: UserMallory, Name: "mallory", RealName: "Mallory Kane", Email: "mallory@example.com", Title: "Not in the access policy"},
			{ID: UserGuest, Name: "guest", RealName: "Gwen Guest", Email: "guest@example.com", Title: "Guest", Restricted: true},
			{ID: UserGone, Name: "alice.old", RealName: "Alice Adams (old account)", Email: "alice@example.com", Title: "Deactivated", Deleted: true},
			{ID: UserStranger, Name: "sam.partner", RealName: "Sam Stranger", Email: "alice@example.com", Title: "Slack Connect", Stranger: true, TeamID: "T0PARTNER"},
			{ID: BotUserID, Name: "crashloop", RealName: "Crashloop", Bot: true},
		},
		Channels: []Channel{
			{ID: ChannelIncidents, Name: "incidents", Topic: "What crash-loops, why, and what to do", Members: everyone},
			{ID: ChannelGeneral, Name: "general", Topic: "Everything else", Members: everyone},
		},
		Usergroups: []Usergroup{
			{ID: "S0SRE", Handle: "sre", Name: "Site reliability", Members: []string{UserAlice}},
			{ID: "S0SHOPDEVS", Handle: "shop-devs", Name: "Shop developers", Members: []string{UserDev}},
		},
		Apps: []App{{
			ID: AppID, Name: "Crashloop", BotID: BotID, BotUserID: BotUserID,
			BotScopes: []string{"chat:write", "commands", "files:write", "im:write", "users:read", "users:read.email",
				"usergroups:read", "channels:read", "groups:read", "channels:history", "groups:history", "reactions:write"},
			AppScopes: []string{"connections:write"},
			Commands: []Command{{
				Name: "/crashloop", Usage: "help | list | diagnose | logs | describe | restart | scale-to-zero | scale-back | whoami",
				Description: "See what crash-loops, why, and act on it",
				Hints: []Hint{
					{Text: "help", Says: "what the commands do"},
					{Text: "list", Says: "what crash-loops now"},
					{Text: "diagnose ", Says: "why it crashes: diagnose shop/web"},
					{Text: "logs ", Says: "its last lines: logs shop/web --previous"},
					{Text: "describe ", Says: "what kubectl describe says"},
					{Text: "restart ", Says: "restart its rollout"},
					{Text: "scale-to-zero ", Says: "stop it, remembering its replicas"},
					{Text: "scale-back ", Says: "bring its replicas back"},
					{Text: "whoami", Says: "who you are to the cluster"},
				},
			}},
		}},
	}
}

// complete fills in what was left out and checks the rest, all mistakes together.
func (o *Options) complete() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Logger == nil {
		bad("workspace needs a Logger: pass slog.New(slog.DiscardHandler) for silence")
	}
	if o.TeamID == "" || o.TeamDomain == "" {
		bad("workspace needs a TeamID and a TeamDomain; start from DefaultOptions")
	}
	if o.TeamName == "" {
		o.TeamName = o.TeamDomain
	}
	users := map[string]bool{slackbotID: true}
	for _, u := range o.Users {
		if !strings.HasPrefix(u.ID, "U") && !strings.HasPrefix(u.ID, "W") {
			bad("user id %q does not start with U or W", u.ID)
		}
		if users[u.ID] {
			bad("user id %q is used twice", u.ID)
		}
		users[u.ID] = true
	}
	seen := map[string]bool{}
	for _, c := range o.Channels {
		if !strings.HasPrefix(c.ID, "C") && !strings.HasPrefix(c.ID, "G") {
			bad("channel id %q does not start with C or G", c.ID)
		}
		if seen[c.ID] || seen[c.Name] {
			bad("channel %q (%q) is there twice", c.ID, c.Name)
		}
		seen[c.ID], seen[c.Name] = true, true
		for _, m := range c.Members {
			if !users[m] {
				bad("channel %q has an unknown member %q", c.Name, m)
			}
		}
	}
	o.Apps = append([]App(nil), o.Apps...)
	for i := range o.Apps {
		a := &o.Apps[i]
		if a.ID == "" || a.BotID == "" || !users[a.BotUserID] {
			bad("app %q needs an ID, a BotID and a BotUserID that is among the users", a.Name)
		}
		if a.BotToken == "" {
			a.BotToken = "xoxb-" + randomHex(16)
		}
		if a.AppToken == "" {
			a.AppToken = "xapp-1-" + a.ID + "-" + randomHex(16)
		}
		if !strings.HasPrefix(a.BotToken, "xoxb-") || !strings.HasPrefix(a.AppToken, "xapp-") {
			bad("app %q: a bot token starts with xoxb- and an app token with xapp-", a.Name)
		}
		for _, c := range a.Commands {
			if !strings.HasPrefix(c.Name, "/") {
				bad("app %q: command %q does not start with a slash", a.Name, c.Name)
			}
		}
	}
	if o.PageToken == "" {
		o.PageToken = randomHex(24)
	}
	if len(o.PageToken) < 16 {
		bad("PageToken is too short: at least 16 characters, or leave it empty for a random one")
	}
	setDefault(&o.AckTimeout, 3*time.Second)
	setDefault(&o.PingInterval, 5*time.Second)
	setDefault(&o.ResponseURLLife, 30*time.Minute)
	setDefault(&o.Pace.PostPerSecond, 1)
	setDefault(&o.Pace.PostBurst, 3)
	setDefault(&o.Pace.UpdatePerMinute, 50)
	setDefault(&o.Pace.UpdateBurst, 10)
	if o.Now == nil {
		o.Now = time.Now
	}
	return errors.Join(errs...)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
