package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// failed notes what became of a call that the chat did not accept, and when to try again.
func (q *Queue) failed(ctx context.Context, l *lane, a attempt, op string, err error) {
	se, ok := errors.AsType[*SendError](err)
	if !ok {
		se = &SendError{Op: op, Reason: err.Error(), Retry: true, Unanswered: true, Err: err}
	}
	now := time.Now()
	e := a.e
	q.mu.Lock()
	defer q.mu.Unlock()
	if op == "post" && (se.Unanswered || ctx.Err() != nil) {
		e.unsure, e.looked, e.unsureAt = true, false, now
	}
	if ctx.Err() != nil { // shutting down
		return
	}
	switch {
	case se.After > 0:
		q.log.Info("the chat asks to wait", "op", op, "channel", a.channel, "for", se.After, "message", e.key)
		if op == "update" {
			q.updatesPaused = now.Add(se.After)
		} else {
			l.noPosts = now.Add(se.After)
		}
	case se.Retry || se.Unanswered:
		l.failures++
		if l.failing.IsZero() {
			l.failing = now
		}
		pause := backoff(l.failures, time.Second, time.Minute)
		l.paused = now.Add(pause)
		q.log.Warn("a message did not get through; trying again", "op", op, "channel", a.channel, "message", e.key, "again", pause, "error", se)
	case se.Reason == "message_not_found" && op == "update":
		q.deleted(e, now)
	case se.Reason == "cant_update_message" || se.Reason == "edit_window_closed":
		q.log.Warn("a message can no longer be edited and stays as it is", "message", e.key, "channel", a.channel, "error", se)
		e.rec.Hash, e.rec.Pending = e.wantHash, nil
	case se.Reason == "thread_not_found":
		e.refusals++
		e.notBefore = now.Add(backoff(e.refusals, 5*time.Second, time.Minute))
		if e.refusals > 4 {
			q.log.Info("a reply is not sent: its thread was deleted", "message", e.key)
			e.rec.Gone, e.rec.Pending, e.stored = true, nil, false
			q.late()
		}
	case aboutMessage(se.Reason):
		q.refused(e, a, se, now)
	default:
		l.failures++
		if l.failing.IsZero() {
			l.failing = now
		}
		pause := backoff(l.failures, 15*time.Second, 5*time.Minute)
		l.paused = now.Add(pause)
		trouble := fmt.Errorf("channel %s refuses messages (%s): %s", a.channel, se.Reason, Advice(se.Reason))
		if l.trouble == nil || l.trouble.Error() != trouble.Error() {
			q.log.Error("the chat refuses messages; they are kept and tried again", "op", op, "channel", a.channel, "reason", se.Reason, "do", Advice(se.Reason), "again", pause)
		}
		l.trouble = trouble
	}
}

// deleted notes that a person deleted a message. q.mu is held.
func (q *Queue) deleted(e *entry, now time.Time) {
	e.rec.Deleted++
	e.stored = false
	if e.repost && e.rec.Deleted == 1 && e.want != nil {
		q.log.Info("a message was deleted in the chat while it still matters; it is sent anew, once", "message", e.key)
		e.rec.TS, e.rec.Hash, e.rec.Intent, e.rec.Pending, e.unsure = "", "", now, e.want, false
		for _, r := range q.entries { // what is ensured again goes into the new thread
			if r.rec.ThreadKey == e.key && r.rec.TS != "" && !r.busy {
				r.rec.TS, r.rec.Hash, r.rec.Deleted, r.stored = "", "", r.rec.Deleted+1, false
			}
		}
		q.late()
		return
	}
	q.log.Info("a message was deleted in the chat and stays deleted", "message", e.key)
	e.rec.Gone, e.rec.Pending = true, nil
	q.late()
}

// refused notes that the chat takes this one message not as it is. q.mu is held.
func (q *Queue) refused(e *entry, a attempt, se *SendError, now time.Time) {
	e.refusals++
	if !e.textOnly {
		q.log.Error("the chat refuses a message as it is; only its text is sent", "message", e.key, "channel", a.channel, "error", se)
		e.textOnly = true
		return
	}
	pause := backoff(e.refusals, time.Minute, time.Hour)
	q.log.Error("the chat refuses a message", "message", e.key, "channel", a.channel, "again", pause, "error", se)
	e.notBefore = now.Add(pause)
}

// aboutMessage says whether an error name of Slack's is about this message, not about the channel or the token.
func aboutMessage(reason string) bool {
	switch reason {
	case "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "invalid_arguments", "invalid_attachments",
		"invalid_metadata_format", "metadata_too_large", "cannot_reply_to_message", "message_limit_exceeded", "request_too_large",
		"as_user_not_supported", "invalid_form_data", "message_not_found", "file_upload_size_restricted":
		return true
	}
	return false
}

// Advice says what to do about an error name of Slack's.
func Advice(reason string) string {
	switch reason {
	case "channel_not_found":
		return "there is no such channel, or it is private and the bot is not in it; check CRASHLOOP_CHANNEL, and invite the bot with /invite @crashloop"
	case "not_in_channel":
		return "invite the bot to the channel: /invite @crashloop"
	case "is_archived":
		return "the channel is archived; unarchive it or set CRASHLOOP_CHANNEL to another"
	case "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel":
		return "the channel's posting permissions keep the bot out; let it post, or set CRASHLOOP_CHANNEL to another channel"
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive":
		return "the bot token does not work; reinstall the app and set CRASHLOOP_SLACK_BOT_TOKEN to the new token (xoxb-…)"
	case "not_allowed_token_type":
		return "that is the wrong kind of token; CRASHLOOP_SLACK_BOT_TOKEN starts with xoxb- and CRASHLOOP_SLACK_APP_TOKEN with xapp-"
	case "missing_scope", "no_permission":
		return "the app lacks a scope; compare it with the manifest in deploy/, add the scope and reinstall the app"
	case "team_access_not_granted", "access_denied", "org_login_required", "ekm_access_denied", "enterprise_is_restricted":
		return "an administrator of the Slack workspace has to allow the app"
	}
	return "run crashloop check, and look the name up in Slack's documentation of chat.postMessage"
}
