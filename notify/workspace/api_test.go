package workspace_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"crashloop/notify/workspace"

	"github.com/slack-go/slack"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func formRequest(path string, form url.Values) (*http.Request, *httptest.ResponseRecorder) {
	req := httptest.NewRequest("POST", "http://127.0.0.1:1"+path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, httptest.NewRecorder()
}

// TestRefusals makes the mistakes that Slack has a name for.
func TestRefusals(t *testing.T) {
	const (
		archived = "C0ARCHIVED"
		foreign  = "C0FOREIGN"
		secret   = "C0SECRET"
	)
	w := start(t, func(o *workspace.Options) {
		o.Channels = append(o.Channels,
			workspace.Channel{ID: archived, Name: "old", Archived: true, Members: []string{workspace.UserAlice, workspace.BotUserID}},
			workspace.Channel{ID: foreign, Name: "elsewhere", Members: []string{workspace.UserAlice}},
			workspace.Channel{ID: secret, Name: "secret", Private: true, Members: []string{workspace.UserAlice}})
		o.Apps[0].BotScopes = append(o.Apps[0].BotScopes, "channels:join", "files:read")
	})
	human, err := w.As(workspace.UserAlice).Post(workspace.ChannelIncidents, "a person's")
	if err != nil {
		t.Fatal(err)
	}
	own := call(t, w, "chat.postMessage", map[string]string{"channel": workspace.ChannelIncidents, "text": "own"})["ts"].(string)
	reply := call(t, w, "chat.postMessage", map[string]string{"channel": workspace.ChannelIncidents, "text": "reply", "thread_ts": own})["ts"].(string)
	type args = map[string]string
	in := workspace.ChannelIncidents
	for _, c := range []struct {
		name, method string
		args         args
		err          string
	}{
		{"unknown method", "chat.shout", args{}, "unknown_method"},
		{"views come later", "views.open", args{}, "unknown_method"},
		{"no token", "auth.test", args{"token": ""}, "not_authed"},
		{"wrong token", "auth.test", args{"token": "xoxb-nope"}, "invalid_auth"},
		{"app token for a bot's method", "chat.postMessage", args{"token": w.AppToken(), "channel": in, "text": "x"}, "not_allowed_token_type"},
		{"bot token for a socket", "apps.connections.open", args{}, "not_allowed_token_type"},

		{"no channel", "chat.postMessage", args{"text": "x"}, "invalid_arguments"},
		{"unknown channel", "chat.postMessage", args{"channel": "C0NOPE", "text": "x"}, "channel_not_found"},
		{"private channel", "chat.postMessage", args{"channel": secret, "text": "x"}, "channel_not_found"},
		{"channel without the bot", "chat.postMessage", args{"channel": foreign, "text": "x"}, "not_in_channel"},
		{"archived channel", "chat.postMessage", args{"channel": archived, "text": "x"}, "is_archived"},
		{"nothing to say", "chat.postMessage", args{"channel": in}, "no_text"},
		{"blank text", "chat.postMessage", args{"channel": in, "text": " \n"}, "no_text"},
		{"null blocks", "chat.postMessage", args{"channel": in, "text": "x", "blocks": "null"}, ""},
		{"too long a text is cut", "chat.postMessage", args{"channel": in, "text": x(40_001)}, ""},
		{"thread of nothing", "chat.postMessage", args{"channel": in, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"},
		{"thread of a reply", "chat.postMessage", args{"channel": in, "text": "x", "thread_ts": reply}, "cannot_reply_to_message"},
		{"metadata without a payload", "chat.postMessage", args{"channel": in, "text": "x", "metadata": `{"event_type":"x","event_payload":null}`}, "invalid_metadata_format"},
		{"metadata without a type", "chat.postMessage", args{"channel": in, "text": "x", "metadata": `{"event_type":"","event_payload":{}}`}, "invalid_metadata_format"},
		{"metadata too large", "chat.postMessage", args{"channel": in, "text": "x", "metadata": `{"event_type":"x","event_payload":{"a":"` + x(9000) + `"}}`}, "metadata_too_large"},

		{"update what is not there", "chat.update", args{"channel": in, "ts": "1.000001", "text": "x"}, "message_not_found"},
		{"update another's", "chat.update", args{"channel": in, "ts": human, "text": "x"}, "cant_update_message"},
		{"update too long", "chat.update", args{"channel": in, "ts": own, "text": x(4001)}, "msg_too_long"},
		{"delete another's", "chat.delete", args{"channel": in, "ts": human}, "cant_delete_message"},
		{"ephemeral to nobody", "chat.postEphemeral", args{"channel": in, "user": "U0NOPE", "text": "x"}, "user_not_found"},
		{"ephemeral to someone elsewhere", "chat.postEphemeral", args{"channel": archived, "user": workspace.UserVic, "text": "x"}, "is_archived"},
		{"permalink of nothing", "chat.getPermalink", args{"channel": in, "message_ts": "1.000001"}, "message_not_found"},

		{"history without the scope", "conversations.history", args{"channel": call(t, w, "conversations.open", args{"users": workspace.UserVic})["channel"].(map[string]any)["id"].(string)}, "missing_scope"},
		{"direct messages without the scope", "conversations.list", args{"types": "public_channel,im"}, "missing_scope"},
		{"bad cursor", "conversations.list", args{"cursor": "zzz"}, "invalid_cursor"},
		{"bad limit", "conversations.history", args{"channel": in, "limit": "-1"}, "invalid_arguments"},
		{"replies of nothing", "conversations.replies", args{"channel": in, "ts": "1.000001"}, "thread_not_found"},
		{"info of a private channel", "conversations.info", args{"channel": secret}, "channel_not_found"},
		{"join", "conversations.join", args{"channel": foreign}, ""},
		{"join an archived channel", "conversations.join", args{"channel": archived}, "is_archived"},
		{"open with nobody", "conversations.open", args{}, "users_list_not_supplied"},
		{"open with a bot", "conversations.open", args{"users": workspace.BotUserID}, "cannot_dm_bot"},
		{"open with the deactivated", "conversations.open", args{"users": workspace.UserGone}, "user_disabled"},

		{"unknown user", "users.info", args{"user": "U0NOPE"}, "user_not_found"},
		{"unknown e-mail", "users.lookupByEmail", args{"email": "nobody@example.com"}, "users_not_found"},
		{"unknown group", "usergroups.users.list", args{"usergroup": "S0NOPE"}, "no_such_subteam"},
		{"unknown file", "files.info", args{"file": "F0"}, "file_not_found"},
		{"upload without a size", "files.getUploadURLExternal", args{"filename": "a"}, "invalid_arguments"},
		{"complete what was not uploaded", "files.completeUploadExternal", args{"files": `[{"id":"F0"}]`, "channel_id": in}, "file_not_found"},
		{"react", "reactions.add", args{"channel": in, "timestamp": own, "name": "eyes"}, ""},
		{"react again", "reactions.add", args{"channel": in, "timestamp": own, "name": "eyes"}, "already_reacted"},
		{"take it back", "reactions.remove", args{"channel": in, "timestamp": own, "name": "eyes"}, ""},
		{"take back nothing", "reactions.remove", args{"channel": in, "timestamp": own, "name": "eyes"}, "no_reaction"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := call(t, w, c.method, c.args)
			if err, _ := got["error"].(string); err != c.err || got["ok"] != (c.err == "") {
				t.Errorf("answer is %v, want error %q", got, c.err)
			}
		})
	}
	if m := w.Snapshot().Message(in, own); m.Text != "own" || m.Edited != nil || len(m.Reactions) != 0 {
		t.Errorf("a refused call changed the message: %+v", m)
	}
}

func TestTokenInHeaderAndJSONBody(t *testing.T) {
	w := start(t)
	req, err := http.NewRequest("POST", w.APIURL()+"chat.postMessage", strings.NewReader(`{"channel":"incidents","text":"json","blocks":[{"type":"divider"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.BotToken())
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		OK bool `json:"ok"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || !out.OK {
		t.Fatalf("answer is %+v, %v", out, err)
	}
	if got := res.Header.Get("X-OAuth-Scopes"); !strings.Contains(got, "chat:write") {
		t.Errorf("X-OAuth-Scopes is %q", got)
	}
	if m := w.Messages(workspace.ChannelIncidents); len(m) != 1 || len(m[0].Blocks) != 1 || m[0].Blocks[0]["block_id"] == "" {
		t.Errorf("stored %+v", m)
	}
}

func TestBodyIsBounded(t *testing.T) {
	w := start(t)
	res, err := http.PostForm(w.APIURL()+"chat.postMessage", url.Values{"token": {w.BotToken()}, "text": {x(2 << 20)}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 2 MiB is answered with %s", res.Status)
	}
}

// TestPeople checks what an app needs to tell members from guests, strangers,
// bots and the deactivated.
func TestPeople(t *testing.T) {
	w := start(t)
	api := client(w)
	for _, c := range []struct {
		id    string
		check func(*slack.User) bool
	}{
		{workspace.UserAlice, func(u *slack.User) bool { return u.IsAdmin && u.Profile.Email == "alice@example.com" }},
		{workspace.UserGuest, func(u *slack.User) bool { return u.IsRestricted && !u.IsUltraRestricted }},
		{workspace.UserGone, func(u *slack.User) bool { return u.Deleted }},
		{workspace.UserStranger, func(u *slack.User) bool { return u.IsStranger && u.TeamID != "T0CRASHLOOP" }},
		{workspace.BotUserID, func(u *slack.User) bool { return u.IsBot && u.Profile.Email == "" }},
	} {
		u, err := api.GetUserInfo(c.id)
		if err != nil || !c.check(u) {
			t.Errorf("users.info of %s: %+v, %v", c.id, u, err)
		}
	}
	u, err := api.GetUserByEmail("alice@example.com")
	if err != nil || u.ID != workspace.UserAlice {
		t.Errorf("alice's e-mail leads to %+v, %v", u, err)
	}
	if err := w.RemoveScope(w.BotToken(), "users:read.email"); err != nil {
		t.Fatal(err)
	}
	if u, err := api.GetUserInfo(workspace.UserAlice); err != nil || u.Profile.Email != "" {
		t.Errorf("without users:read.email: %+v, %v", u, err)
	}
	all, err := api.GetUsers()
	if err != nil || slices.ContainsFunc(all, func(u slack.User) bool { return u.ID == workspace.UserStranger }) {
		t.Errorf("users.list: %+v, %v", all, err)
	}
	groups, err := api.GetUserGroupMembers("S0SRE")
	if err != nil || !slices.Equal(groups, []string{workspace.UserAlice}) {
		t.Errorf("group members: %v, %v", groups, err)
	}
}

func TestHistoryPages(t *testing.T) {
	w := start(t)
	api := client(w)
	var all []string
	for range 5 {
		_, ts, err := api.PostMessage(workspace.ChannelIncidents, slack.MsgOptionText("x", false))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ts)
	}
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 5 {
		t.Errorf("timestamps are not unique and rising: %v", all)
	}
	var got []string
	p := &slack.GetConversationHistoryParameters{ChannelID: workspace.ChannelIncidents, Limit: 2}
	for {
		h, err := api.GetConversationHistory(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range h.Messages {
			got = append(got, m.Timestamp)
		}
		if !h.HasMore {
			break
		}
		p.Cursor = h.ResponseMetaData.NextCursor
	}
	slices.Reverse(got)
	if !slices.Equal(got, all) {
		t.Errorf("pages hold %v, want %v", got, all)
	}
	h, err := api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: workspace.ChannelIncidents, Oldest: all[1], Latest: all[3]})
	if err != nil || len(h.Messages) != 1 || h.Messages[0].Timestamp != all[2] {
		t.Errorf("between two messages: %+v, %v", h, err)
	}
}

func TestDeletedRootLeavesATombstone(t *testing.T) {
	w := start(t)
	api := client(w)
	ch, ts, _ := api.PostMessage(workspace.ChannelIncidents, slack.MsgOptionText("root", false))
	_, reply, _ := api.PostMessage(ch, slack.MsgOptionText("reply", false), slack.MsgOptionTS(ts))
	if _, _, err := api.DeleteMessage(ch, ts); err != nil {
		t.Fatal(err)
	}
	if m := w.Snapshot().Message(ch, ts); m == nil || m.Subtype != "tombstone" || m.ReplyCount != 1 {
		t.Errorf("root is now %+v", m)
	}
	if _, _, err := api.DeleteMessage(ch, reply); err != nil {
		t.Fatal(err)
	}
	if m := w.Snapshot().Message(ch, reply); m != nil {
		t.Errorf("the reply is still there: %+v", m)
	}
}
