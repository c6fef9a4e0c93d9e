package workspace

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a message's text, in characters, as Slack documents them:
// chat.postMessage cuts at 40,000, chat.update refuses more than 4,000.
const (
	maxPostText   = 40_000
	maxUpdateText = 4_000
	maxMetadata   = 8 << 10 // bytes of event_payload
)

// chatPost is chat.postMessage.
func (w *Workspace) chatPost(q *request) (answer, *apiError) {
	c, e := w.target(q, q.arg("channel"))
	if e != nil {
		return nil, e
	}
	m, e := w.compose(q)
	if e != nil {
		return nil, e
	}
	if r := []rune(m.Text); len(r) > maxPostText {
		m.Text = string(r[:maxPostText])
	}
	if e := w.thread(c, m, q.arg("thread_ts")); e != nil {
		return nil, e
	}
	if m.ThreadTS != "" && q.flag("reply_broadcast") {
		m.Subtype = "thread_broadcast"
	}
	p := w.opts.Pace
	if e := w.paceLocked("post "+c.ID, p.PostPerSecond, float64(p.PostBurst)); e != nil {
		return nil, e
	}
	w.add(c, m)
	return answer{"channel": c.ID, "ts": m.TS, "message": w.wire(m, q.base, true)}, nil
}

// chatUpdate is chat.update. Without blocks it removes those the message had.
func (w *Workspace) chatUpdate(q *request) (answer, *apiError) {
	c, old, e := w.ownMessage(q, "cant_update_message")
	if e != nil {
		return nil, e
	}
	p := w.opts.Pace
	if e := w.paceLocked("update "+c.ID, p.UpdatePerMinute/60, float64(p.UpdateBurst)); e != nil {
		return nil, e
	}
	m, e := w.compose(q)
	if e != nil {
		return nil, e
	}
	if utf8.RuneCountInString(m.Text) > maxUpdateText {
		return nil, refuse("msg_too_long")
	}
	n := *old
	n.Text, n.Blocks, n.Attachments = m.Text, m.Blocks, m.Attachments
	if m.Metadata != nil {
		n.Metadata = m.Metadata
	}
	n.Edited = &Edited{User: q.app.BotUserID, TS: w.nextTS()}
	w.replace(c, &n)
	return answer{"channel": c.ID, "ts": n.TS, "text": n.Text, "message": w.wire(&n, q.base, true)}, nil
}

// chatDelete is chat.delete.
func (w *Workspace) chatDelete(q *request) (answer, *apiError) {
	c, m, e := w.ownMessage(q, "cant_delete_message")
	if e != nil {
		return nil, e
	}
	w.remove(c, m.TS)
	return answer{"channel": c.ID, "ts": m.TS}, nil
}

// chatEphemeral is chat.postEphemeral.
func (w *Workspace) chatEphemeral(q *request) (answer, *apiError) {
	c, e := w.target(q, q.arg("channel"))
	if e != nil {
		return nil, e
	}
	user := w.users[q.arg("user")]
	if user == nil || user.Deleted {
		return nil, refuse("user_not_found")
	}
	if !c.has(user.ID) {
		return nil, refuse("user_not_in_channel")
	}
	m, e := w.compose(q)
	if e != nil {
		return nil, e
	}
	if e := w.thread(c, m, q.arg("thread_ts")); e != nil {
		return nil, e
	}
	m.EphemeralTo, m.Metadata = user.ID, nil
	w.add(c, m)
	return answer{"message_ts": m.TS}, nil
}

// chatPermalink is chat.getPermalink. Its links open this workspace's own page.
func (w *Workspace) chatPermalink(q *request) (answer, *apiError) {
	c := w.visible(q, q.arg("channel"))
	if c == nil {
		return nil, refuse("channel_not_found")
	}
	m := c.get(q.arg("message_ts"))
	if m == nil || m.EphemeralTo != "" {
		return nil, refuse("message_not_found")
	}
	link := q.base + "/archives/" + c.ID + "/p" + strings.ReplaceAll(m.TS, ".", "")
	if m.IsReply() {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + c.ID
	}
	return answer{"channel": c.ID, "permalink": link}, nil
}

// target finds the conversation that an app wants to post to: a channel's id or
// name, a direct message, or a user, whose direct message is then opened.
func (w *Workspace) target(q *request, name string) (*conversation, *apiError) {
	if name == "" {
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: channel")
	}
	c := w.convs[name]
	if c == nil {
		for _, other := range w.convs {
			if !other.im && other.Name == strings.TrimPrefix(name, "#") {
				c = other
			}
		}
	}
	if c == nil {
		if u := w.users[name]; u != nil && u.ID != q.app.BotUserID && !u.Bot {
			if u.Deleted {
				return nil, refuse("channel_not_found")
			}
			c, _ = w.openIM(u.ID, q.app.BotUserID)
		}
	}
	switch {
	case c == nil, (c.Private || c.im) && !c.has(q.app.BotUserID):
		return nil, refuse("channel_not_found")
	case c.Archived:
		return nil, refuse("is_archived")
	case !c.has(q.app.BotUserID):
		if q.need("chat:write.public") != nil {
			return nil, refuse("not_in_channel")
		}
	}
	return c, nil
}

// visible finds a conversation by id as far as the app can see it.
func (w *Workspace) visible(q *request, id string) *conversation {
	c := w.convs[id]
	if c == nil || (c.Private || c.im) && !c.has(q.app.BotUserID) {
		return nil
	}
	return c
}

// ownMessage finds the app's own message named by channel and ts.
func (w *Workspace) ownMessage(q *request, notOwn string) (*conversation, *Message, *apiError) {
	c := w.visible(q, q.arg("channel"))
	if c == nil {
		return nil, nil, refuse("channel_not_found")
	}
	if !c.has(q.app.BotUserID) {
		return nil, nil, refuse("not_in_channel")
	}
	if c.Archived {
		return nil, nil, refuse("is_archived")
	}
	m := c.get(q.arg("ts"))
	if m == nil || m.EphemeralTo != "" || m.Subtype == "tombstone" {
		return nil, nil, refuse("message_not_found")
	}
	if m.User != q.app.BotUserID {
		return nil, nil, refuse(notOwn)
	}
	return c, m, nil
}

// thread puts a message under a root. Slack wants the root's ts, never a reply's.
func (w *Workspace) thread(c *conversation, m *Message, rootTS string) *apiError {
	if rootTS == "" {
		return nil
	}
	root := c.get(rootTS)
	switch {
	case root == nil:
		return refuse("thread_not_found")
	case root.IsReply() || root.EphemeralTo != "":
		return refuse("cannot_reply_to_message", "[ERROR] thread_ts is not the root of a thread")
	}
	m.ThreadTS = rootTS
	return nil
}

// compose reads text, blocks, attachments and metadata of a new message and
// checks them as Slack does.
func (w *Workspace) compose(q *request) (*Message, *apiError) {
	m := &Message{User: q.app.BotUserID, BotID: q.app.BotID, AppID: q.app.ID, Text: q.arg("text")}
	if err := w.composeInto(m, q.args); err != nil {
		return nil, err
	}
	return m, nil
}

func (w *Workspace) composeInto(m *Message, args map[string]string) *apiError {
	if raw := args["blocks"]; raw != "" && raw != "null" {
		blocks, e := w.readBlocks(raw, "/blocks")
		if e != nil {
			return e
		}
		m.Blocks = blocks
	}
	if raw := args["attachments"]; raw != "" && raw != "null" {
		var atts []Block
		if err := json.Unmarshal([]byte(raw), &atts); err != nil {
			return refuse("invalid_attachments", "[ERROR] attachments is not an array of objects")
		}
		if len(atts) > 100 {
			return refuse("too_many_attachments")
		}
		for i, a := range atts {
			if nested, ok := a["blocks"]; ok && nested != nil {
				text, _ := json.Marshal(nested)
				blocks, e := w.readBlocks(string(text), fmt.Sprintf("/attachments/%d/blocks", i))
				if e != nil {
					return e
				}
				a["blocks"] = blocks
			}
		}
		if len(atts) > 0 {
			m.Attachments, _ = json.Marshal(atts)
		}
	}
	if raw := args["metadata"]; raw != "" && raw != "null" {
		md, e := readMetadata(raw)
		if e != nil {
			return e
		}
		m.Metadata = md
	}
	if strings.TrimSpace(m.Text) == "" && len(m.Blocks) == 0 && len(m.Attachments) == 0 {
		return refuse("no_text")
	}
	return nil
}

var eventType = regexp.MustCompile(`^[A-Za-z0-9_.#/-]{1,255}$`)

func readMetadata(raw string) (*Metadata, *apiError) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &fields) != nil {
		return nil, refuse("invalid_metadata_format", "[ERROR] metadata is not an object")
	}
	var md Metadata
	if json.Unmarshal(fields["event_type"], &md.EventType) != nil || !eventType.MatchString(md.EventType) {
		return nil, refuse("invalid_metadata_format", "[ERROR] event_type must be a name [json-pointer:/metadata/event_type]")
	}
	if json.Unmarshal(fields["event_payload"], &md.EventPayload) != nil || md.EventPayload == nil {
		return nil, refuse("invalid_metadata_format", "[ERROR] event_payload must be an object, not null [json-pointer:/metadata/event_payload]")
	}
	if len(fields["event_payload"]) > maxMetadata {
		return nil, refuse("metadata_too_large")
	}
	return &md, nil
}

// wire is a message as the Web API and the Events API show it.
func (w *Workspace) wire(m *Message, base string, metadata bool) answer {
	raw, _ := json.Marshal(m)
	out := answer{}
	_ = json.Unmarshal(raw, &out)
	out["type"], out["team"] = "message", w.opts.TeamID
	if !metadata {
		delete(out, "metadata")
	}
	if m.ReplyCount > 0 {
		out["reply_users_count"] = len(m.ReplyUsers)
	}
	if m.IsReply() {
		if root := w.convs[m.Channel].get(m.ThreadTS); root != nil {
			out["parent_user_id"] = root.User
		}
	}
	for _, a := range w.apps {
		if a.BotID == m.BotID && m.BotID != "" {
			out["bot_profile"] = answer{"id": a.BotID, "app_id": a.ID, "name": a.Name, "team_id": w.opts.TeamID, "deleted": false}
		}
	}
	if len(m.Files) > 0 {
		files := make([]File, len(m.Files))
		for i, f := range m.Files {
			files[i] = w.fileOnWire(f, base)
		}
		out["files"] = files
	}
	return out
}

// reactionsAdd is reactions.add.
func (w *Workspace) reactionsAdd(q *request) (answer, *apiError) {
	return w.react(q, true)
}

// reactionsRemove is reactions.remove.
func (w *Workspace) reactionsRemove(q *request) (answer, *apiError) {
	return w.react(q, false)
}

var emojiName = regexp.MustCompile(`^[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?$`)

func (w *Workspace) react(q *request, add bool) (answer, *apiError) {
	c := w.visible(q, q.arg("channel"))
	if c == nil {
		return nil, refuse("channel_not_found")
	}
	old := c.get(q.arg("timestamp"))
	if old == nil || old.EphemeralTo != "" {
		return nil, refuse("message_not_found")
	}
	name := strings.Trim(q.arg("name"), ":")
	if !emojiName.MatchString(name) {
		return nil, refuse("invalid_name")
	}
	if !c.has(q.app.BotUserID) {
		return nil, refuse("not_in_channel")
	}
	n := *old
	n.Reactions = nil
	var users []string
	at := len(old.Reactions)
	for i, r := range old.Reactions {
		if r.Name == name {
			users, at = slices.Clone(r.Users), i
			continue
		}
		n.Reactions = append(n.Reactions, r)
	}
	mine := slices.Contains(users, q.app.BotUserID)
	switch {
	case add && mine:
		return nil, refuse("already_reacted")
	case !add && !mine:
		return nil, refuse("no_reaction")
	case add:
		users = append(users, q.app.BotUserID)
	default:
		users = slices.DeleteFunc(users, func(u string) bool { return u == q.app.BotUserID })
	}
	if len(users) > 0 {
		n.Reactions = slices.Insert(n.Reactions, min(at, len(n.Reactions)), Reaction{Name: name, Users: users, Count: len(users)})
	}
	w.replace(c, &n)
	return nil, nil
}
