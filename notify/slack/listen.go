package slack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"crashloop/notify"
)

const (
	// ackLimit bounds the wait for an acknowledgement to be taken by the socket; Slack gives up after 3 s.
	ackLimit = 2 * time.Second
	// ackGrace is how long after an acknowledgement the socket stays open, so that it is written: slack-go does not say when that is done.
	ackGrace = 250 * time.Millisecond
	// handlerGrace is how long commands and clicks may go on after the end of Listen's context.
	handlerGrace = 3 * time.Second
	// waiting bounds how many commands and clicks wait for a worker.
	waiting = 100
	// steady is how long a connection must live for the next one to be made at once.
	steady = time.Minute
	// reconnectMost bounds the pause between two connections.
	reconnectMost = time.Minute
)

// Listen hears commands and clicks over Socket Mode and hands them to h, until ctx ends; then it lets those under way finish, for a
// moment, and returns nil. Each is acknowledged first and worked on then, at most Options.Workers at once. A lost connection is made anew,
// with pauses that grow while connections do not last. It fails when Slack refuses the token, which no retry would mend.
func (c *Client) Listen(ctx context.Context, h notify.Handler) error {
	if c.o.AppToken == "" {
		return errors.New("listening to Slack: there is no app token; set CRASHLOOP_SLACK_APP_TOKEN (xapp-…, scope connections:write)")
	}
	handling, stopHandling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHandling()
	w := &desk{c: c, h: h, jobs: make(chan job, waiting), busy: make(chan struct{}, 4)}
	var workers sync.WaitGroup
	for range c.o.Workers {
		workers.Go(func() {
			for j := range w.jobs {
				w.do(handling, j)
			}
		})
	}
	defer c.connected.Store(false)
	err := c.connections(ctx, handling, w)

	close(w.jobs)
	timer := time.AfterFunc(handlerGrace, stopHandling)
	defer timer.Stop()
	workers.Wait()
	w.polite.Wait()
	return err
}

// Connected says whether the socket is up: Slack has said hello on it and it has not ended since.
func (c *Client) Connected() bool { return c.connected.Load() }

// connections makes one connection after the other.
func (c *Client) connections(ctx, handling context.Context, w *desk) error {
	failures := 0
	for ctx.Err() == nil {
		start := time.Now()
		again, err := c.connection(ctx, handling, w)
		c.connected.Store(false)
		if ctx.Err() != nil {
			return nil
		}
		if fatal := c.fatal(err); fatal != nil {
			return fatal
		}
		if time.Since(start) >= steady {
			failures = 0
		}
		pause := time.Duration(0)
		if failures > 0 || err != nil {
			pause = time.Second << min(failures, 10)
			pause = min(pause, reconnectMost)
			pause += rand.N(pause/4 + 1) //nolint:gosec // it only keeps instances from calling in step
		}
		pause = max(pause, again)
		failures++
		if err != nil {
			c.log.Warn("no connection to Slack's socket; trying again", "again", pause, "error", c.redact(err.Error()))
		} else if failures > 2 {
			c.log.Warn("Slack's socket keeps ending; if this goes on, another instance of the bot may hold the app's ten connections", "again", pause)
		} else {
			c.log.Info("Slack's socket ended; connecting again", "again", pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// fatal is what no retry mends.
func (c *Client) fatal(err error) error {
	if err == nil {
		return nil
	}
	reason := err.Error()
	if r, ok := errors.AsType[slackgo.SlackErrorResponse](err); ok {
		reason = r.Err
	}
	do := ""
	switch reason {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired":
		do = "make a new app-level token (Basic Information, “App-Level Tokens”) and set CRASHLOOP_SLACK_APP_TOKEN to it"
	case "not_allowed_token_type":
		do = "CRASHLOOP_SLACK_APP_TOKEN needs an app-level token (xapp-…), not a bot token"
	case "missing_scope", "no_permission":
		do = "the app-level token needs the scope connections:write"
	case "app_not_installed", "team_access_not_granted", "org_login_required", "access_denied", "socket_mode_disabled":
		do = "install the app in the workspace and switch Socket Mode on (Settings, “Socket Mode”)"
	default:
		return nil
	}
	return fmt.Errorf("listening to Slack: Slack refuses the app token (%s): %s", reason, do)
}

// connection runs one connection from its beginning to its end. slack-go would make the next one at once, 4,000 in three seconds when
// Slack turns each away, so it is stopped as soon as it tries. again is how long Slack asks to wait.
func (c *Client) connection(ctx, handling context.Context, w *desk) (again time.Duration, err error) {
	api := slackgo.New(c.o.BotToken, slackgo.OptionAppLevelToken(c.o.AppToken), slackgo.OptionAPIURL(c.o.APIURL), slackgo.OptionHTTPClient(&once{http: c.http}))
	sm := socketmode.New(api, socketmode.OptionPingInterval(c.o.SocketSilence), socketmode.OptionLog(silent{}), socketmode.OptionDialer(&websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 10 * time.Second, WriteBufferSize: 32 << 10,
		NetDialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}))
	sm.Events = make(chan socketmode.Event) // not buffered: an event is seen before slack-go goes on
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- sm.RunContext(running) }()

	var failure error
	var lastAck time.Time
	shutdown := ctx.Done()
	var closing <-chan time.Time
	hello := time.NewTimer(c.o.SocketSilence)
	defer hello.Stop()
	for {
		select {
		case runErr := <-ended:
			if failure == nil && running.Err() == nil {
				failure = runErr
			}
			return again, failure
		case <-hello.C:
			failure = errors.New("Slack opened a socket and did not say hello on it")
			stop()
		case <-closing:
			stop()
			closing = nil
		case <-shutdown:
			// Nothing more is taken in; what was acknowledged a moment ago is still written.
			shutdown = nil
			c.connected.Store(false)
			grace := ackGrace - time.Since(lastAck)
			if lastAck.IsZero() || grace < 0 {
				stop()
				continue
			}
			timer := time.NewTimer(grace)
			defer timer.Stop()
			closing = timer.C
		case e := <-sm.Events: // always drained, or the socket would stall
			switch e.Type {
			case socketmode.EventTypeConnecting:
				if info, ok := e.Data.(*slackgo.ConnectingEvent); ok && info.ConnectionCount > 0 {
					c.connected.Store(false)
					stop()
				}
			case socketmode.EventTypeConnectionError:
				if info, ok := e.Data.(*slackgo.ConnectionErrorEvent); ok && running.Err() == nil {
					failure = info.ErrorObj
					if limited, ok := errors.AsType[*slackgo.RateLimitedError](failure); ok {
						again = limited.RetryAfter
					}
				}
				stop()
			case socketmode.EventTypeHello:
				hello.Stop()
				c.log.Info("connected to Slack's socket")
				c.connected.Store(true)
			case socketmode.EventTypeErrorBadMessage:
				c.log.Warn("Slack sent something that cannot be read; it is ignored", "error", c.redact(badMessage(e)))
			case socketmode.EventTypeErrorWriteFailed:
				c.log.Warn("an acknowledgement could not be written; the person may be told that the bot did not answer")
			case socketmode.EventTypeSlashCommand, socketmode.EventTypeInteractive, socketmode.EventTypeEventsAPI:
				if shutdown == nil || running.Err() != nil || e.Request == nil || e.Request.EnvelopeID == "" {
					continue
				}
				ackCtx, cancel := context.WithTimeout(running, ackLimit)
				ackErr := sm.AckCtx(ackCtx, e.Request.EnvelopeID, nil)
				cancel()
				lastAck = time.Now()
				if ackErr != nil {
					c.log.Warn("a command or click could not be acknowledged and is not acted on", "error", c.redact(ackErr.Error()))
					continue
				}
				w.take(handling, e)
			}
		}
	}
}

func badMessage(e socketmode.Event) string {
	if bad, ok := e.Data.(*socketmode.ErrorBadMessage); ok && bad.Cause != nil {
		return bad.Cause.Error()
	}
	return "no cause given"
}

// once lets one call through: the one that asks for a connection. By the time that we see slack-go go for the next, it may have called.
type once struct {
	http *http.Client
	used atomic.Bool
}

func (o *once) Do(r *http.Request) (*http.Response, error) {
	if o.used.Swap(true) {
		return nil, errors.New("this connection has ended")
	}
	return o.http.Do(r)
}

// silent keeps slack-go's own log away: it may print payloads.
type silent struct{}

func (silent) Output(int, string) error { return nil }
