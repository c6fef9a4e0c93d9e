package workspace

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// scopeFor is the scope that reading a conversation of that kind takes, such as
// channels:history or groups:read.
func scopeFor(c *conversation, what string) string {
	switch {
	case c.im:
		return "im:" + what
	case c.Private:
		return "groups:" + what
	}
	return "channels:" + what
}

func (w *Workspace) conversationsList(q *request) (answer, *apiError) {
	types := q.arg("types")
	setDefault(&types, "public_channel")
	var out []answer
	for _, t := range strings.Split(types, ",") {
		scope := map[string]string{"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read", "mpim": "mpim:read"}[strings.TrimSpace(t)]
		if scope == "" {
			return nil, refuse("invalid_types")
		}
		if e := q.need(scope); e != nil {
			return nil, e
		}
		for _, id := range w.convOrder {
			c := w.visible(q, id)
			if c == nil || scopeFor(c, "read") != scope || c.Archived && q.flag("exclude_archived") {
				continue
			}
			out = append(out, w.channelOnWire(c, q.app))
		}
	}
	page, next, e := paginate(q, out, 100, 1000)
	if e != nil {
		return nil, e
	}
	return answer{"channels": page, "response_metadata": answer{"next_cursor": next}}, nil
}

func (w *Workspace) conversationsInfo(q *request) (answer, *apiError) {
	c, e := w.readable(q, "read")
	if e != nil {
		return nil, e
	}
	out := w.channelOnWire(c, q.app)
	if q.flag("include_num_members") {
		out["num_members"] = len(c.Members)
	}
	return answer{"channel": out}, nil
}

func (w *Workspace) conversationsMembers(q *request) (answer, *apiError) {
	c, e := w.readable(q, "read")
	if e != nil {
		return nil, e
	}
	page, next, e := paginate(q, c.Members, 100, 1000)
	if e != nil {
		return nil, e
	}
	return answer{"members": page, "response_metadata": answer{"next_cursor": next}}, nil
}

// conversationsHistory lists a channel's roots and broadcast replies, newest first.
func (w *Workspace) conversationsHistory(q *request) (answer, *apiError) {
	c, e := w.readable(q, "history")
	if e != nil {
		return nil, e
	}
	if !c.has(q.app.BotUserID) {
		return nil, refuse("not_in_channel")
	}
	var out []answer
	for _, m := range slices.Backward(c.messages) {
		if m.EphemeralTo != "" || m.IsReply() && m.Subtype != "thread_broadcast" || !q.inRange(m.TS) {
			continue
		}
		out = append(out, w.wire(m, q.base, q.flag("include_all_metadata")))
	}
	page, next, e := paginate(q, out, 100, 999)
	if e != nil {
		return nil, e
	}
	return answer{"messages": page, "has_more": next != "", "pin_count": 0, "response_metadata": answer{"next_cursor": next}}, nil
}

// conversationsReplies lists a thread, the root first, then its replies from the oldest.
func (w *Workspace) conversationsReplies(q *request) (answer, *apiError) {
	c, e := w.readable(q, "history")
	if e != nil {
		return nil, e
	}
	if !c.has(q.app.BotUserID) {
		return nil, refuse("not_in_channel")
	}
	named := c.get(q.arg("ts"))
	if named == nil || named.EphemeralTo != "" {
		return nil, refuse("thread_not_found")
	}
	root := named.TS
	if named.IsReply() { // Slack then answers with that one message
		return answer{"messages": []answer{w.wire(named, q.base, q.flag("include_all_metadata"))}, "has_more": false, "response_metadata": answer{"next_cursor": ""}}, nil
	}
	var out []answer
	for _, m := range c.messages {
		if m.EphemeralTo == "" && m.TS != root && m.ThreadTS == root && q.inRange(m.TS) {
			out = append(out, w.wire(m, q.base, q.flag("include_all_metadata")))
		}
	}
	page, next, e := paginate(q, out, 999, 999)
	if e != nil {
		return nil, e
	}
	page = append([]answer{w.wire(named, q.base, q.flag("include_all_metadata"))}, page...)
	return answer{"messages": page, "has_more": next != "", "response_metadata": answer{"next_cursor": next}}, nil
}

func (w *Workspace) conversationsOpen(q *request) (answer, *apiError) {
	if id := q.arg("channel"); id != "" {
		c := w.visible(q, id)
		if c == nil || !c.im {
			return nil, refuse("channel_not_found")
		}
		return answer{"channel": w.channelOnWire(c, q.app), "already_open": true, "no_op": true}, nil
	}
	names := strings.Split(q.arg("users"), ",")
	if q.arg("users") == "" {
		return nil, refuse("users_list_not_supplied")
	}
	if len(names) > 1 {
		return nil, refuse("method_not_supported_for_channel_type", "[ERROR] this workspace has no group direct messages")
	}
	u := w.users[strings.TrimSpace(names[0])]
	switch {
	case u == nil:
		return nil, refuse("user_not_found")
	case u.Deleted:
		return nil, refuse("user_disabled")
	case u.Bot:
		return nil, refuse("cannot_dm_bot")
	}
	c, opened := w.openIM(u.ID, q.app.BotUserID)
	ch := answer{"id": c.ID}
	if q.flag("return_im") {
		ch = w.channelOnWire(c, q.app)
	}
	return answer{"channel": ch, "already_open": !opened, "no_op": !opened}, nil
}

func (w *Workspace) conversationsJoin(q *request) (answer, *apiError) {
	c := w.visible(q, q.arg("channel"))
	switch {
	case c == nil:
		return nil, refuse("channel_not_found")
	case c.im || c.Private:
		return nil, refuse("method_not_supported_for_channel_type")
	case c.Archived:
		return nil, refuse("is_archived")
	}
	out := answer{}
	if c.has(q.app.BotUserID) {
		out["warning"] = "already_in_channel"
	} else {
		c.Members = append(slices.Clone(c.Members), q.app.BotUserID)
		w.publishConversation(c)
		w.touch()
	}
	out["channel"] = w.channelOnWire(c, q.app)
	return out, nil
}

// readable finds the conversation named by the channel argument and checks the
// scope for what ("read" or "history") on its kind.
func (w *Workspace) readable(q *request, what string) (*conversation, *apiError) {
	id := q.arg("channel")
	if id == "" {
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: channel")
	}
	c := w.visible(q, id)
	if c == nil {
		if e := q.need("channels:"+what, "groups:"+what, "im:"+what, "mpim:"+what); e != nil {
			return nil, e
		}
		return nil, refuse("channel_not_found")
	}
	if e := q.need(scopeFor(c, what)); e != nil {
		return nil, e
	}
	return c, nil
}

// inRange tells whether ts lies between the arguments oldest and latest.
func (q *request) inRange(ts string) bool {
	oldest, latest := q.arg("oldest"), q.arg("latest")
	if q.flag("inclusive") && (ts == oldest || ts == latest) {
		return true
	}
	if oldest != "" && oldest != "0" && cmpTS(ts, oldest) <= 0 {
		return false
	}
	return latest == "" || cmpTS(ts, latest) < 0
}

// cmpTS compares two timestamps, which may have been written without a fraction.
func cmpTS(a, b string) int {
	return strings.Compare(padTS(a), padTS(b))
}

func padTS(ts string) string {
	whole, frac, _ := strings.Cut(ts, ".")
	for len(whole) < 12 {
		whole = "0" + whole
	}
	for len(frac) < 6 {
		frac += "0"
	}
	return whole + "." + frac
}

// paginate cuts the page that limit and cursor ask for.
func paginate[T any](q *request, all []T, def, max int) (page []T, next string, e *apiError) {
	limit, e := q.number("limit", def, 1, max)
	if e != nil {
		return nil, "", e
	}
	start := 0
	if cur := q.arg("cursor"); cur != "" {
		raw, err := base64.StdEncoding.DecodeString(cur)
		n := 0
		for _, d := range strings.TrimPrefix(string(raw), "next:") {
			if d < '0' || d > '9' || n > 1e6 {
				err = base64.CorruptInputError(0)
				break
			}
			n = n*10 + int(d-'0')
		}
		if err != nil || !strings.HasPrefix(string(raw), "next:") || n > len(all) {
			return nil, "", refuse("invalid_cursor")
		}
		start = n
	}
	end := min(start+limit, len(all))
	if end < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("next:" + strconv.Itoa(end)))
	}
	page = all[start:end]
	if page == nil {
		page = []T{}
	}
	return page, next, nil
}

func (w *Workspace) channelOnWire(c *conversation, a *app) answer {
	out := answer{"id": c.ID, "created": c.created, "is_archived": c.Archived, "is_im": c.im, "is_private": c.Private || c.im,
		"is_channel": !c.im && !c.Private, "is_group": c.Private, "is_mpim": false, "is_shared": false, "is_ext_shared": false,
		"context_team_id": w.opts.TeamID}
	if c.im {
		out["is_open"] = true
		for _, m := range c.Members {
			if m != a.BotUserID {
				out["user"] = m
			}
		}
		return out
	}
	out["name"], out["name_normalized"] = c.Name, c.Name
	out["is_member"], out["is_general"] = c.has(a.BotUserID), c.Name == "general"
	out["topic"] = answer{"value": c.Topic, "creator": "", "last_set": 0}
	out["purpose"] = answer{"value": "", "creator": "", "last_set": 0}
	return out
}
