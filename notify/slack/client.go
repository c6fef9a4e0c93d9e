package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// Options are what a Client needs.
type Options struct {
	BotToken string       // xoxb-…, required
	AppToken string       // xapp-…, required by Listen
	Logger   *slog.Logger // required

	// APIURL is another server than Slack's; "https://slack.com/api/" when empty.
	APIURL string
	// Command is the slash command that is answered; "/crashloop" when empty.
	Command string
	// Groups says that user groups are mapped, so that a person's groups are looked up.
	Groups bool
	// CallTimeout bounds one call to the Web API; 10 s when 0.
	CallTimeout time.Duration
	// Workers bounds how many commands and clicks are worked on at once; 8 when 0.
	Workers int
	// SocketSilence is how long the socket may be silent before it is taken for dead; 30 s when 0. Slack pings every few seconds.
	SocketSilence time.Duration
}

// Client talks to one Slack workspace as one app. Make it with New. It is a notify.Transport, and hears people with Listen.
type Client struct {
	o    Options
	log  *slog.Logger
	api  *slackgo.Client
	http *http.Client

	people people

	connected atomic.Bool

	mu     sync.Mutex
	self   *Self  // once known
	scopes string // of the bot token, as Slack said last
	dms    map[string]string
}

// Self is who the bot is in the workspace.
type Self struct {
	Team, TeamID string
	User, UserID string
	BotID        string
	URL          string
	EnterpriseID string
}

const (
	slackURL = "https://slack.com/api/"
	// metadataEvent marks the messages that are ours.
	metadataEvent = "crashloop"
)

// New returns a Client, or an error that says what is wrong with the options. It does not call Slack.
func New(o Options) (*Client, error) {
	var errs []error
	if !strings.HasPrefix(o.BotToken, "xoxb-") {
		errs = append(errs, errors.New("the bot token must start with xoxb- (OAuth & Permissions, “Bot User OAuth Token”)"))
	}
	if o.AppToken != "" && !strings.HasPrefix(o.AppToken, "xapp-") {
		errs = append(errs, errors.New("the app token must start with xapp- (Basic Information, “App-Level Tokens”, scope connections:write)"))
	}
	if o.Logger == nil {
		errs = append(errs, errors.New("a logger is needed"))
	}
	if o.APIURL == "" {
		o.APIURL = slackURL
	}
	if u, err := url.Parse(o.APIURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, fmt.Errorf("the API URL %q is not an http or https URL such as %s", o.APIURL, slackURL))
	}
	if !strings.HasSuffix(o.APIURL, "/") {
		o.APIURL += "/"
	}
	if o.Command == "" {
		o.Command = "/crashloop"
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 10 * time.Second
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.SocketSilence == 0 {
		o.SocketSilence = 30 * time.Second
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("setting up Slack: %w", err)
	}
	c := &Client{o: o, log: o.Logger, dms: map[string]string{}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	transport.TLSHandshakeTimeout = 5 * time.Second
	transport.ResponseHeaderTimeout = o.CallTimeout
	c.http = &http.Client{
		Transport: transport,
		Timeout:   o.CallTimeout + 5*time.Second, // calls have their own limit; this one is for those that forget it
		// The token is in the body: it must not follow a redirect to anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.api = slackgo.New(o.BotToken, slackgo.OptionAppLevelToken(o.AppToken), slackgo.OptionAPIURL(o.APIURL), slackgo.OptionHTTPClient(c.http),
		slackgo.OptionOnResponseHeaders(func(path string, h http.Header) {
			if s := h.Get("X-OAuth-Scopes"); s != "" && path != "apps.connections.open" {
				c.mu.Lock()
				c.scopes = s
				c.mu.Unlock()
			}
		}))
	c.people.init()
	return c, nil
}

// call bounds one call to the Web API.
func (c *Client) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.o.CallTimeout)
}

// Self asks Slack who the bot is; the answer is remembered.
func (c *Client) Self(ctx context.Context) (Self, error) {
	c.mu.Lock()
	self := c.self
	c.mu.Unlock()
	if self != nil {
		return *self, nil
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	r, err := c.api.AuthTestContext(ctx)
	if err != nil {
		return Self{}, c.sendError("auth.test", err)
	}
	s := Self{Team: r.Team, TeamID: r.TeamID, User: r.User, UserID: r.UserID, BotID: r.BotID, URL: r.URL, EnterpriseID: r.EnterpriseID}
	c.mu.Lock()
	c.self = &s
	c.mu.Unlock()
	return s, nil
}

// Post sends a message, and its file after it.
func (c *Client) Post(ctx context.Context, channel, thread, id string, m notify.Message) (string, error) {
	upload, err := c.prepareFile(ctx, m.File) // before the message: when this fails, nothing has been said yet
	if err != nil {
		return "", c.sendError("post", err)
	}
	callCtx, cancel := c.call(ctx)
	defer cancel()
	opts := append(c.drawn(m), slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: metadataEvent, EventPayload: map[string]any{"id": id}}))
	if thread != "" {
		opts = append(opts, slackgo.MsgOptionTS(thread))
	}
	_, ts, err := c.api.PostMessageContext(callCtx, channel, opts...)
	if err != nil {
		return "", c.sendError("post", err)
	}
	if upload != nil {
		if thread == "" {
			thread = ts
		}
		if err := c.shareFile(ctx, upload, channel, thread); err != nil {
			c.log.Error("a message was sent but its file was not", "channel", channel, "message", id, "file", m.File.Name, "error", err)
		}
	}
	return ts, nil
}

// Update replaces a message's text and blocks.
func (c *Client) Update(ctx context.Context, channel, ts string, m notify.Message) error {
	ctx, cancel := c.call(ctx)
	defer cancel()
	_, _, _, err := c.api.UpdateMessageContext(ctx, channel, ts, c.drawn(m)...)
	return c.sendError("update", err)
}

// Find looks for our message with that id among those sent after since.
func (c *Client) Find(ctx context.Context, channel, thread, id string, since time.Time) (string, bool, error) {
	oldest := strconv.FormatInt(since.Unix(), 10) + ".000000"
	cursor := ""
	for page := 0; page < 20; page++ { // 4,000 messages since the intent: more than a channel holds in the minutes that this is about
		msgs, next, err := c.page(ctx, channel, thread, oldest, cursor)
		if err != nil {
			if se, ok := errors.AsType[*notify.SendError](err); ok && se.Reason == "thread_not_found" {
				return "", false, nil //nolint:nilerr // where there is no thread there is no reply in it
			}
			return "", false, err
		}
		for _, m := range msgs {
			if m.Metadata.EventType == metadataEvent && m.Metadata.EventPayload["id"] == id {
				return m.Timestamp, true, nil
			}
		}
		if next == "" {
			return "", false, nil
		}
		cursor = next
	}
	return "", false, nil
}

func (c *Client) page(ctx context.Context, channel, thread, oldest, cursor string) ([]slackgo.Message, string, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	if thread != "" {
		msgs, _, next, err := c.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: thread, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true})
		return msgs, next, c.sendError("find", err)
	}
	r, err := c.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
		ChannelID: channel, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true})
	if err != nil {
		return nil, "", c.sendError("find", err)
	}
	return r.Messages, r.ResponseMetaData.NextCursor, nil
}

// Ephemeral shows a message to one person in a channel.
func (c *Client) Ephemeral(ctx context.Context, channel, thread, user string, m notify.Message) error {
	opts := c.drawn(m)
	if thread != "" {
		opts = append(opts, slackgo.MsgOptionTS(thread))
	}
	return c.patiently(ctx, func() error {
		ctx, cancel := c.call(ctx)
		defer cancel()
		_, err := c.api.PostEphemeralContext(ctx, channel, user, opts...)
		return c.sendError("ephemeral", err)
	})
}

// patiently makes a call for somebody who waits for the answer: a few times when Slack asks for a short pause or cannot be reached.
// Messages of incidents are the queue's business, which does this better.
func (c *Client) patiently(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := call()
		se, ok := errors.AsType[*notify.SendError](err)
		if !ok || !se.Retry || se.Unanswered || se.After > 5*time.Second || try == 3 {
			return err
		}
		timer := time.NewTimer(max(se.After, 300*time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// Direct sends a message to one person. What does not fit into one message is sent as a file as well.
func (c *Client) Direct(ctx context.Context, user string, m notify.Message) error {
	if m.File == nil && tooLong(m) {
		m.File = asFile(m)
	}
	var upload *slackgo.FileSummary
	var channel, ts string
	for _, step := range []func() error{
		func() (err error) { upload, err = c.prepareFile(ctx, m.File); return err },
		func() (err error) { channel, err = c.openDirect(ctx, user); return err },
		func() (err error) {
			ctx, cancel := c.call(ctx)
			defer cancel()
			_, ts, err = c.api.PostMessageContext(ctx, channel, c.drawn(m)...)
			return err
		},
	} {
		if err := c.patiently(ctx, func() error { return c.sendError("direct", step()) }); err != nil {
			return err
		}
	}
	if upload == nil {
		return nil
	}
	return c.sendError("direct", c.shareFile(ctx, upload, channel, ts))
}

// maxDirect bounds how many people's direct messages are remembered.
const maxDirect = 1000

func (c *Client) openDirect(ctx context.Context, user string) (string, error) {
	c.mu.Lock()
	id := c.dms[user]
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	ch, _, _, err := c.api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{user}})
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.dms) >= maxDirect {
		clear(c.dms)
	}
	c.dms[user] = ch.ID
	return ch.ID, nil
}

// Permalink is the URL of a message.
func (c *Client) Permalink(ctx context.Context, channel, ts string) (string, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	link, err := c.api.GetPermalinkContext(ctx, &slackgo.PermalinkParameters{Channel: channel, Ts: ts})
	return link, c.sendError("permalink", err)
}

// drawn is a message as options of a slack-go call. Text and blocks always go together: an update without blocks would drop them.
func (c *Client) drawn(m notify.Message) []slackgo.MsgOption {
	text, blocks := Draw(m)
	return []slackgo.MsgOption{
		slackgo.MsgOptionText(text, false), // Draw has escaped it
		slackgo.MsgOptionBlocks(blocks...),
		slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl(),
	}
}
