package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxText bounds each text of a line, in bytes.
const maxText = 512

// Entry is what a line says of one action or reading.
type Entry struct {
	Person      string   // the Slack user id
	Name        string   // what Slack calls the person
	User        string   // the Kubernetes user that the person is; empty when unmapped
	Groups      []string // and their groups
	Action      string   // "restart", "logs"
	Target      string   // Kind/namespace/name
	Permissions []string // what the cluster was asked for
	Incident    string
	Channel     string
}

// Outcome is how it went.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // the person may not
	Failed  Outcome = "failed"  // it was tried, and an error came back
	Nothing Outcome = "nothing" // there was nothing to do, or it is not done to this kind of object
)

// Log writes audit lines. It is safe for concurrent use; create it with New.
type Log struct {
	mu sync.Mutex
	h  slog.Handler
}

// New returns a Log that writes to w, one JSON object a line, each with "audit":true.
func New(w io.Writer) *Log {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo})
	return &Log{h: h.WithAttrs([]slog.Attr{slog.Bool("audit", true)})}
}

// Record is an action that began and has not ended.
type Record struct {
	log   *Log
	id    string
	entry Entry
	begun time.Time
}

// ID joins the lines of one action.
func (r *Record) ID() string { return r.id }

// Begin writes that something is about to be done. When it returns an error, it must not be done.
func (l *Log) Begin(ctx context.Context, e Entry) (*Record, error) {
	r := &Record{log: l, id: rand.Text()[:16], entry: e, begun: time.Now()}
	if err := l.write(ctx, r, "begin"); err != nil {
		return nil, fmt.Errorf("writing the audit line of %s on %s: %w", e.Action, e.Target, err)
	}
	return r, nil
}

// Refuse writes that something was not allowed: a begin and an end in one line.
func (l *Log) Refuse(ctx context.Context, e Entry, why string) error {
	r := &Record{log: l, id: rand.Text()[:16], entry: e, begun: time.Now()}
	err := l.write(ctx, r, "refusal", slog.String("outcome", string(Refused)), slog.String("detail", tidy(why)))
	if err != nil {
		return fmt.Errorf("writing the audit line of the refused %s on %s: %w", e.Action, e.Target, err)
	}
	return nil
}

// End writes how it went, also when ctx has ended meanwhile. detail must not hold what a log or an object contains.
func (r *Record) End(ctx context.Context, o Outcome, detail string) error {
	err := r.log.write(context.WithoutCancel(ctx), r, "end",
		slog.String("outcome", string(o)), slog.String("detail", tidy(detail)), slog.Int64("tookMilliseconds", time.Since(r.begun).Milliseconds()))
	if err != nil {
		return fmt.Errorf("writing how %s on %s ended to the audit log: %w", r.entry.Action, r.entry.Target, err)
	}
	return nil
}

func (l *Log) write(ctx context.Context, r *Record, phase string, more ...slog.Attr) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := r.entry
	line := slog.NewRecord(time.Now(), slog.LevelInfo, e.Action, 0)
	line.AddAttrs(
		slog.String("phase", phase), slog.String("id", r.id),
		slog.String("person", tidy(e.Person)), slog.String("name", tidy(e.Name)),
		slog.String("user", tidy(e.User)), slog.Any("groups", tidyAll(e.Groups)),
		slog.String("action", tidy(e.Action)), slog.String("target", tidy(e.Target)),
		slog.Any("permissions", tidyAll(e.Permissions)),
		slog.String("incident", tidy(e.Incident)), slog.String("channel", tidy(e.Channel)),
	)
	line.AddAttrs(more...)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.Handle(ctx, line)
}

// tidy bounds a text and drops control characters, so that a line stays one line on any terminal.
func tidy(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' {
			return ' '
		}
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "�"))
	if len(s) > maxText {
		cut := maxText
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

func tidyAll(all []string) []string {
	if len(all) > 64 {
		all = all[:64]
	}
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = tidy(s)
	}
	return out
}
