package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Post is a message that should stand in a channel. The key names it for ever: what is ensured under a key that was sent before edits
// that message, and never makes a second one.
type Post struct {
	Key     string // "incident/3fa9c2/root"; it also stands in the message's metadata
	Channel string // an id, "C024BE7LH"
	// ThreadKey is the key of the root that this is a reply to; empty for a message in the channel itself. A reply waits for its root.
	ThreadKey string
	Message   Message
	// Repost says that the message is to be sent anew, once, when a person deleted it in the chat. Without it, a deleted message stays
	// deleted, and so does what would have followed in its thread.
	Repost bool
}

// record is what the ledger holds about a post.
type record struct {
	Channel   string    `json:"channel"`
	ThreadKey string    `json:"thread,omitempty"`
	Intent    time.Time `json:"intent"`       // when it was first meant to be sent
	TS        string    `json:"ts,omitempty"` // set once it was sent
	Hash      string    `json:"hash,omitempty"`
	// Pending is what is meant to stand there and may not do so yet.
	Pending *Message  `json:"pending,omitempty"`
	Deleted int       `json:"deleted,omitempty"` // how often a person deleted it
	Gone    bool      `json:"gone,omitempty"`    // deleted, and to stay so
	Changed time.Time `json:"changed"`
}

// ledgerPrefix is what the queue's keys in the ledger begin with.
const ledgerPrefix = "message/"

// hash tells messages apart.
func hash(m Message) string {
	raw, err := json.Marshal(m)
	if err != nil { // a Message has nothing that cannot be marshalled
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}
