package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// A response_url works five times and for 30 minutes.
const (
	replyUses = 5
	replyLife = 29 * time.Minute
)

// replier answers one command or click.
type replier struct {
	c             *Client
	url           string
	channel, user string
	thread        string
	born          time.Time

	mu   sync.Mutex
	used int
}

// Reply shows a message to the one person who asked, where they asked. What is too long, or has a file, goes to their direct messages,
// since Slack has no ephemeral files, and a short reply says so.
func (r *replier) Reply(ctx context.Context, m notify.Message) error {
	if m.File == nil && !tooLong(m) {
		return r.here(ctx, m)
	}
	if err := r.c.Direct(ctx, r.user, m); err != nil {
		r.c.log.Warn("a long answer could not be sent directly; it is shown cut", "user", r.user, "error", err)
		m.File = nil
		m.Blocks = append([]notify.Block{{Text: []notify.Span{notify.T("This answer is too long for a message, and a direct message could not be sent to you; this is the part that fits.")}}}, m.Blocks...)
		return r.here(ctx, m)
	}
	text := "The answer is too long for here: I sent it to you in a direct message."
	if m.File != nil {
		text = "I sent you the file " + notify.Cut(notify.Clean(m.File.Name), 200) + " in a direct message."
	}
	return r.here(ctx, notify.Message{Text: text})
}

// here shows a message where the question was asked.
func (r *replier) here(ctx context.Context, m notify.Message) error {
	// In a thread a response_url would answer in the channel, out of sight.
	if r.thread == "" && r.usable() {
		err := r.respond(ctx, m)
		if err == nil {
			return nil
		}
		r.c.log.Debug("a response_url did not work; trying a direct way", "error", err)
	}
	err := r.c.Ephemeral(ctx, r.channel, r.thread, r.user, m)
	if err == nil {
		return nil
	}
	r.c.log.Debug("an ephemeral reply did not work; sending it directly", "channel", r.channel, "error", err)
	if direct := r.c.Direct(ctx, r.user, m); direct != nil { // as in a channel that the bot is not in
		return fmt.Errorf("replying to %s: %w", r.user, err)
	}
	return nil
}

// usable says whether the response_url may be used once more, and counts that use.
func (r *replier) usable() bool {
	u, err := url.Parse(r.url)
	api, apiErr := url.Parse(r.c.o.APIURL)
	if r.url == "" || err != nil || apiErr != nil || u.Host != api.Host && (u.Scheme != "https" || !strings.HasSuffix(u.Hostname(), ".slack.com") && !strings.HasSuffix(u.Hostname(), ".slack-gov.com")) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used >= replyUses || time.Since(r.born) > replyLife {
		return false
	}
	r.used++
	return true
}

// respond posts to the response_url.
func (r *replier) respond(ctx context.Context, m notify.Message) error {
	text, blocks := Draw(m)
	body, err := json.Marshal(map[string]any{
		"response_type": "ephemeral", "replace_original": false, "delete_original": false, "text": text, "blocks": blocks,
		"unfurl_links": false, "unfurl_media": false,
	})
	if err != nil {
		return fmt.Errorf("writing a reply: %w", err)
	}
	ctx, cancel := r.c.call(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return r.c.sendError("reply", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := r.c.http.Do(req)
	if err != nil {
		return r.c.sendError("reply", err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return r.c.sendError("reply", fmt.Errorf("%s: %w", notify.Cut(notify.Clean(string(answer)), 200), slackgo.StatusCodeError{Code: resp.StatusCode, Status: resp.Status}))
	}
	var refused struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &refused) == nil && refused.OK != nil && !*refused.OK {
		return &notify.SendError{Op: "reply", Reason: refused.Error}
	}
	return nil
}
