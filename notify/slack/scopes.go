package slack

// Scope is a permission that the Slack app has to ask for.
type Scope struct {
	Name string
	Why  string
	// Optional says that the bot works without it, less well.
	Optional bool
}

// Scopes lists what the bot token needs. The manifest in deploy/ is held to it by a test. The app-level token needs connections:write.
func Scopes() []Scope {
	return []Scope{
		{Name: "chat:write", Why: "to post and edit messages"},
		{Name: "commands", Why: "to offer /crashloop"},
		{Name: "files:write", Why: "to send what is too long for a message"},
		{Name: "im:write", Why: "to answer one person in a direct message"},
		{Name: "users:read", Why: "to know who clicks, and to refuse guests, bots and strangers"},
		{Name: "users:read.email", Why: "to map people to Kubernetes users by e-mail", Optional: true},
		{Name: "usergroups:read", Why: "to map Slack user groups to Kubernetes groups", Optional: true},
		{Name: "channels:read", Why: "to find a public channel by its name instead of its id", Optional: true},
		{Name: "groups:read", Why: "to find a private channel by its name instead of its id", Optional: true},
		{Name: "channels:history", Why: "to look for a message whose sending was never confirmed, in public channels", Optional: true},
		{Name: "groups:history", Why: "to look for a message whose sending was never confirmed, in private channels", Optional: true},
	}
}
