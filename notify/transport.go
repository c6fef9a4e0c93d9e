package notify

import (
	"context"
	"fmt"
	"time"
)

// Transport sends messages to a chat. notify/slack is the one there is; tests use it too, against notify/workspace. Errors are
// [*SendError] wherever the chat answered or may have.
type Transport interface {
	// Post sends a message to a channel, as a reply when thread is not empty, with id in its metadata, and returns its timestamp.
	Post(ctx context.Context, channel, thread, id string, m Message) (ts string, err error)
	// Update replaces a message's text and blocks.
	Update(ctx context.Context, channel, ts string, m Message) error
	// Find looks for a message with that id in its metadata, in a thread when thread is not empty, among those sent after since.
	Find(ctx context.Context, channel, thread, id string, since time.Time) (ts string, found bool, err error)
	// Ephemeral shows a message to one person in a channel, in a thread when thread is not empty.
	Ephemeral(ctx context.Context, channel, thread, user string, m Message) error
	// Direct sends a message to one person; a File is uploaded there.
	Direct(ctx context.Context, user string, m Message) error
	// Permalink is the URL of a message.
	Permalink(ctx context.Context, channel, ts string) (string, error)
}

// SendError says what became of a message that was not accepted.
type SendError struct {
	Op     string // "post", "update", ...
	Reason string // Slack's error name, "channel_not_found", or the connection's error
	// Retry says that the same call may succeed later; After is how long the chat wants to be left alone.
	Retry bool
	After time.Duration
	// Unanswered says that the call may have taken effect: the answer was lost.
	Unanswered bool
	Err        error
}

func (e *SendError) Error() string {
	s := fmt.Sprintf("%s: %s", e.Op, e.Reason)
	if e.After > 0 {
		s += fmt.Sprintf(" (again in %s)", e.After)
	}
	return s
}

// Unwrap gives the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Person is who types or clicks, as the chat knows them.
type Person struct {
	ID    string // "U024BE7LH"
	Team  string // the workspace that they belong to
	Name  string
	Email string // empty when the bot may not see it
	// Member says that the person is an active, full member of the bot's own workspace: no guest, no bot, no stranger, not deactivated.
	Member bool
	// Groups are the ids and handles of the user groups that the person is in, where groups are mapped.
	Groups []string
}

// Command is a slash command that somebody typed.
type Command struct {
	Person  Person
	Channel string
	Text    string // what follows "/crashloop"
	Reply   Replier
}

// Click is a button or a menu entry that somebody chose.
type Click struct {
	Person  Person
	Channel string
	TS      string // of the message that the button stands in
	Thread  string // of the thread's root, empty in the channel itself
	Action  string
	Value   string
	Reply   Replier
}

// Replier answers one command or click, so that only the person who asked can read it: at once in the place where they asked, and what is
// too long for that, or has a file, in a direct message.
type Replier interface {
	Reply(ctx context.Context, m Message) error
}

// Handler is told what people do. Its methods are called after the chat has been acknowledged, at most a bounded number at once; ctx ends
// when the program shuts down.
type Handler interface {
	HandleCommand(ctx context.Context, c Command)
	HandleClick(ctx context.Context, c Click)
}
