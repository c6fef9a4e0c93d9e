package slack

import (
	"errors"
	"net"
	"regexp"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"crashloop/notify"
)

// sendError says what became of a call that failed.
func (c *Client) sendError(op string, err error) error {
	if err == nil {
		return nil
	}
	if se, ok := errors.AsType[*notify.SendError](err); ok {
		return se
	}
	out := &notify.SendError{Op: op, Reason: c.redact(err.Error()), Err: redacted{text: c.redact(err.Error()), err: err}}
	if limited, ok := errors.AsType[*slackgo.RateLimitedError](err); ok {
		out.Reason, out.Retry, out.After = "ratelimited", true, max(limited.RetryAfter, time.Second)
		return out
	}
	if refused, ok := errors.AsType[slackgo.SlackErrorResponse](err); ok {
		out.Reason = refused.Err
		switch refused.Err {
		case "ratelimited", "rate_limited", "message_limit_exceeded":
			out.Retry, out.After = true, 5*time.Second
		case "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org":
			// Slack says that parts of the call may have been done.
			out.Retry, out.Unanswered = true, true
		case "missing_scope":
			if refused.Needed != "" {
				out.Err = redacted{text: "missing_scope: needs " + refused.Needed, err: err}
			}
		default:
			if d := details(refused); d != "" {
				out.Err = redacted{text: refused.Err + ": " + c.redact(d), err: err}
			}
		}
		return out
	}
	if status, ok := errors.AsType[slackgo.StatusCodeError](err); ok {
		// A gateway's 5xx does not tell how far the call came.
		out.Reason, out.Retry, out.Unanswered = status.Error(), status.Code >= 500 || status.Code == 429, status.Code >= 500
		return out
	}
	out.Retry = true
	out.Unanswered = !neverSent(err)
	return out
}

func details(r slackgo.SlackErrorResponse) string {
	return notify.Cut(strings.Join(r.ResponseMetadata.Messages, "; "), 500)
}

// neverSent says whether an error shows that the request cannot have reached the server: there was no connection to send it on.
func neverSent(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns != nil {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return false
}

// redacted is an error whose text holds no token.
type redacted struct {
	text string
	err  error
}

func (r redacted) Error() string { return r.text }

// Is and As let callers tell errors apart without ever printing the one inside.
func (r redacted) Is(target error) bool { return errors.Is(r.err, target) }

var secrets = regexp.MustCompile(`xox[a-z]?[a-z.]*-[0-9A-Za-z%-]+|xapp-[0-9A-Za-z%-]+|(?:ticket|token)=[^&\s"]+|/(?:services|commands|actions|response|upload/v1)/[0-9A-Za-z/_-]{8,}`)

// redact takes tokens, tickets and response URLs out of a text.
func (c *Client) redact(s string) string {
	for _, t := range []string{c.o.BotToken, c.o.AppToken} {
		if t != "" {
			s = strings.ReplaceAll(s, t, "[redacted]")
		}
	}
	return secrets.ReplaceAllString(s, "[redacted]")
}
