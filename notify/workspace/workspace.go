package workspace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

// Workspace is a Slack workspace in this process. Make one with New, serve it
// with Start (or mount it as an http.Handler), and end it with Close. All methods
// are safe for concurrent use.
type Workspace struct {
	opts Options
	log  *slog.Logger
	mux  *http.ServeMux

	mu        sync.Mutex
	base      string // http://host:port, once known
	users     map[string]*User
	convs     map[string]*conversation
	convOrder []string
	apps      []*app
	files     map[string]*storedFile
	fileOrder []string               // ids in files, oldest first
	fileBytes int                    // of all files together
	uploads   map[string]*storedFile // by upload ticket, until completed
	notices   []Notice
	calls     []Call
	callSeq   int
	lastTS    int64 // microseconds
	buckets   map[string]*bucket
	faults    []*Fault
	faultSeq  int
	sockets   sockets
	hooks     map[string]*responseURL // by secret path
	viewers   map[*viewer]struct{}    // page streams
	version   uint64
	changed   chan struct{} // closed and replaced at each change

	stop    context.CancelFunc
	stopCtx context.Context
	running sync.WaitGroup // sockets, event deliveries and the server
	server  *http.Server
}

type app struct {
	App
	tokens map[string]*token
}

type token struct {
	kind   string // "bot" or "app"
	scopes []string
	broken string // the error every call with it gets; empty when it works
}

// New makes a workspace. Nothing listens yet.
func New(opts Options) (*Workspace, error) {
	if err := opts.complete(); err != nil {
		return nil, fmt.Errorf("making a workspace: %w", err)
	}
	w := &Workspace{
		opts: opts, log: opts.Logger, mux: http.NewServeMux(),
		users: map[string]*User{}, convs: map[string]*conversation{},
		files: map[string]*storedFile{}, uploads: map[string]*storedFile{},
		buckets: map[string]*bucket{}, hooks: map[string]*responseURL{}, viewers: map[*viewer]struct{}{},
		changed: make(chan struct{}),
	}
	w.stopCtx, w.stop = context.WithCancel(context.Background())
	for _, u := range opts.Users {
		if u.TeamID == "" {
			u.TeamID = opts.TeamID
		}
		w.users[u.ID] = &u
	}
	w.users[slackbotID] = &User{ID: slackbotID, Name: "slackbot", RealName: "Slackbot", Bot: true, TeamID: opts.TeamID}
	for _, c := range opts.Channels {
		c.Members = append([]string(nil), c.Members...)
		w.addConversation(&conversation{Channel: c})
	}
	for _, a := range opts.Apps {
		w.apps = append(w.apps, &app{App: a, tokens: map[string]*token{
			a.BotToken: {kind: "bot", scopes: append([]string(nil), a.BotScopes...)},
			a.AppToken: {kind: "app", scopes: append([]string(nil), a.AppScopes...)},
		}})
	}
	w.sockets.init()
	w.routes()
	return w, nil
}

func (w *Workspace) addConversation(c *conversation) {
	c.created = w.opts.Now().Unix()
	w.convs[c.ID] = c
	w.convOrder = append(w.convOrder, c.ID)
}

// Start listens on addr, which must be a loopback address such as "127.0.0.1:0",
// and serves until ctx ends or Close is called. It returns once it listens.
func (w *Workspace) Start(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("starting the workspace on %q: %w", addr, err)
	}
	if !isLoopbackHost(host) {
		return fmt.Errorf("starting the workspace on %q: not a loopback address; use 127.0.0.1, since whoever reaches the page acts as any user", addr)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("starting the workspace: %w", err)
	}
	srv := &http.Server{
		Handler:           w,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(w.log.Handler(), slog.LevelDebug),
	}
	w.mu.Lock()
	if w.server != nil {
		w.mu.Unlock()
		ln.Close()
		return errors.New("starting the workspace: it is already started")
	}
	w.server, w.base = srv, "http://"+ln.Addr().String()
	w.mu.Unlock()
	w.running.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			w.log.Error("workspace server ended", "error", err)
		}
	})
	release := context.AfterFunc(ctx, w.stop)
	w.running.Go(func() {
		<-w.stopCtx.Done()
		release()
		srv.Close()
	})
	return nil
}

// Close ends the server, its sockets and its streams, and waits for them.
func (w *Workspace) Close() error {
	w.mu.Lock() // whoever adds to running looks at stopCtx under the lock
	w.stop()
	w.mu.Unlock()
	w.closeSockets()
	w.running.Wait()
	return nil
}

// URL is where the workspace listens, such as http://127.0.0.1:34567, without a
// slash at the end; empty before Start.
func (w *Workspace) URL() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.base
}

// APIURL is the address to give to a Slack client in place of https://slack.com/api/.
func (w *Workspace) APIURL() string { return w.URL() + "/api/" }

// PageURL is the address to open in a browser. It holds the page's secret.
func (w *Workspace) PageURL() string { return w.URL() + "/?token=" + w.opts.PageToken }

// App returns the n-th app with its tokens, as it stands now.
func (w *Workspace) App(n int) App { return w.apps[n].App }

// BotToken is the first app's bot token.
func (w *Workspace) BotToken() string { return w.apps[0].BotToken }

// AppToken is the first app's app-level token.
func (w *Workspace) AppToken() string { return w.apps[0].AppToken }

// Snapshot is the workspace at one moment. It does not change any more.
type Snapshot struct {
	// Version grows with every change.
	Version  uint64
	channels map[string][]*Message
	dms      map[string]string // user id -> the first app's direct message with them
	// Calls are the latest API calls, oldest first.
	Calls []Call
	// Sockets is how many Socket Mode connections are open.
	Sockets int
	// SocketsOpened is how many were ever opened.
	SocketsOpened int
	// Notices are what Slack itself told people: timeouts and refusals.
	Notices []Notice
}

// Messages returns everything in a channel, replies and ephemeral messages
// included, oldest first.
func (s *Snapshot) Messages(channel string) []*Message { return s.channels[channel] }

// Roots returns what stands in the channel itself: no replies, nothing ephemeral.
func (s *Snapshot) Roots(channel string) []*Message {
	return s.filter(channel, func(m *Message) bool { return m.EphemeralTo == "" && (!m.IsReply() || m.Subtype == "thread_broadcast") })
}

// Thread returns the replies under the root with that ts, oldest first, without
// the root and without ephemeral messages.
func (s *Snapshot) Thread(channel, rootTS string) []*Message {
	return s.filter(channel, func(m *Message) bool { return m.EphemeralTo == "" && m.IsReply() && m.ThreadTS == rootTS })
}

// Ephemerals returns the messages that only that user sees, in all channels,
// oldest first.
func (s *Snapshot) Ephemerals(user string) []*Message {
	var out []*Message
	for id := range s.channels {
		out = append(out, s.filter(id, func(m *Message) bool { return m.EphemeralTo == user })...)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].TS < out[j].TS })
	return out
}

// DM returns the direct messages between the first app's bot and the user.
func (s *Snapshot) DM(user string) []*Message { return s.channels[s.dms[user]] }

// Message returns one message, or nil.
func (s *Snapshot) Message(channel, ts string) *Message {
	for _, m := range s.channels[channel] {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

func (s *Snapshot) filter(channel string, keep func(*Message) bool) []*Message {
	var out []*Message
	for _, m := range s.channels[channel] {
		if keep(m) {
			out = append(out, m)
		}
	}
	return out
}

// Snapshot returns the workspace as it is now.
func (w *Workspace) Snapshot() *Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snapshotLocked()
}

func (w *Workspace) snapshotLocked() *Snapshot {
	s := &Snapshot{Version: w.version, channels: map[string][]*Message{}, dms: map[string]string{}}
	for id, c := range w.convs {
		s.channels[id] = append([]*Message(nil), c.messages...)
		if c.im && len(w.apps) > 0 && c.has(w.apps[0].BotUserID) {
			for _, m := range c.Members {
				if m != w.apps[0].BotUserID {
					s.dms[m] = id
				}
			}
		}
	}
	s.Calls = append([]Call(nil), w.calls...)
	s.Notices = append([]Notice(nil), w.notices...)
	s.Sockets, s.SocketsOpened = len(w.sockets.open), w.sockets.total
	return s
}

// Messages is Snapshot().Messages(channel).
func (w *Workspace) Messages(channel string) []*Message { return w.Snapshot().Messages(channel) }

// Calls returns the latest API calls, oldest first.
func (w *Workspace) Calls() []Call { return w.Snapshot().Calls }

// Wait calls cond with a snapshot now and after each change until it is true, and
// returns ctx's error when it ends first. It never polls by time.
func (w *Workspace) Wait(ctx context.Context, cond func(*Snapshot) bool) error {
	for {
		w.mu.Lock()
		s, changed := w.snapshotLocked(), w.changed
		w.mu.Unlock()
		if cond(s) {
			return nil
		}
		select {
		case <-changed:
		case <-w.stopCtx.Done():
			return errors.New("waiting for the workspace: it was closed")
		case <-ctx.Done():
			return fmt.Errorf("waiting for the workspace: %w", ctx.Err())
		}
	}
}

// touch tells everyone who waits that something changed. The lock is held.
func (w *Workspace) touch() {
	w.version++
	close(w.changed)
	w.changed = make(chan struct{})
}

// nextTS returns a fresh message id in Slack's form, later than every earlier one.
// The lock is held.
func (w *Workspace) nextTS() string {
	now := w.opts.Now().UnixMicro()
	if now <= w.lastTS {
		now = w.lastTS + 1
	}
	w.lastTS = now
	return fmt.Sprintf("%d.%06d", now/1e6, now%1e6)
}

// openIM returns the direct message between two users, opening it when needed.
// The lock is held.
func (w *Workspace) openIM(a, b string) (c *conversation, opened bool) {
	for _, id := range w.convOrder {
		if c := w.convs[id]; c.im && c.has(a) && c.has(b) {
			return c, false
		}
	}
	c = &conversation{im: true, Channel: Channel{ID: "D0" + strings.TrimPrefix(a, "U0") + strings.TrimPrefix(b, "U0"), Members: []string{a, b}}}
	w.addConversation(c)
	w.publishConversation(c)
	return c, true
}

// add stores a new message, bumps its thread's root and tells the viewers. The
// lock is held.
func (w *Workspace) add(c *conversation, m *Message) {
	m.Channel = c.ID
	if m.TS == "" {
		m.TS = w.nextTS()
	}
	c.messages = append(c.messages, m)
	if len(c.messages) > maxMessages {
		c.messages = append([]*Message(nil), c.messages[maxMessages/4:]...)
	}
	if m.IsReply() && m.EphemeralTo == "" {
		w.recount(c, m.ThreadTS)
	}
	w.publishMessage(c, m)
	w.touch()
}

// replace swaps in a changed copy of the message with m's ts. The lock is held.
func (w *Workspace) replace(c *conversation, m *Message) {
	if i := c.find(m.TS); i >= 0 {
		c.messages[i] = m
		w.publishMessage(c, m)
		w.touch()
	}
}

// remove deletes a message. A root with replies leaves a tombstone. The lock is held.
func (w *Workspace) remove(c *conversation, ts string) {
	i := c.find(ts)
	if i < 0 {
		return
	}
	m := c.messages[i]
	if m.ReplyCount > 0 {
		w.replace(c, &Message{TS: ts, Channel: c.ID, ThreadTS: ts, Subtype: "tombstone", User: slackbotID,
			Text: "This message was deleted.", ReplyCount: m.ReplyCount, ReplyUsers: m.ReplyUsers, LatestReply: m.LatestReply})
		return
	}
	c.messages = append(c.messages[:i:i], c.messages[i+1:]...)
	if m.IsReply() && m.EphemeralTo == "" {
		w.recount(c, m.ThreadTS)
	}
	w.publishRemoval(c, ts)
	w.touch()
}

// recount brings the root's reply fields up to date. The lock is held.
func (w *Workspace) recount(c *conversation, rootTS string) {
	root := c.get(rootTS)
	if root == nil {
		return
	}
	n := *root
	n.ReplyCount, n.ReplyUsers, n.LatestReply, n.ThreadTS = 0, nil, "", rootTS
	seen := map[string]bool{}
	for _, m := range c.messages {
		if m.ThreadTS == rootTS && m.IsReply() && m.EphemeralTo == "" {
			n.ReplyCount++
			n.LatestReply = m.TS
			if !seen[m.User] {
				seen[m.User] = true
				n.ReplyUsers = append(n.ReplyUsers, m.User)
			}
		}
	}
	if n.ReplyCount == 0 {
		n.ThreadTS = ""
	}
	w.replace(c, &n)
}

// Notice is what Slack itself tells one person about something they did: that an
// app did not answer in time, or that a command does not work here.
type Notice struct {
	Seq     int    `json:"seq"`
	User    string `json:"user"`
	Channel string `json:"channel"`
	TS      string `json:"ts,omitempty"` // the message that was clicked, if one was
	// Code is Slack's word, such as operation_timeout.
	Code string `json:"code"`
	Text string `json:"text"`
}

// maxMessages bounds what one conversation keeps; the oldest quarter goes when it is full.
const maxMessages = 20_000

// maxKept bounds the notices and the calls that are kept.
const maxKept = 5000

// notice records what Slack tells a person. The lock is held.
func (w *Workspace) notice(n Notice) {
	n.Seq = 1
	if len(w.notices) > 0 {
		n.Seq = w.notices[len(w.notices)-1].Seq + 1
	}
	w.notices = append(w.notices, n)
	if len(w.notices) > maxKept {
		w.notices = append([]Notice(nil), w.notices[len(w.notices)-maxKept/2:]...)
	}
	w.publish(change{Kind: "notice", Notice: &n, to: n.User})
	w.touch()
}

// ServeHTTP serves everything: the Web API, sockets, uploads, response URLs and
// the page. Requests whose Host is not a loopback name are refused, so that no web
// page can reach the workspace through a name of its own (DNS rebinding).
func (w *Workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !isLoopbackHost(strings.Trim(host, "[]")) {
		http.Error(rw, "This workspace answers only under a loopback name such as 127.0.0.1 or localhost.", http.StatusForbidden)
		return
	}
	w.mu.Lock()
	if w.base == "" { // mounted by hand, in an httptest.Server
		w.base = "http://" + r.Host
	}
	w.mu.Unlock()
	w.mux.ServeHTTP(rw, r)
}

func (w *Workspace) routes() {
	w.mux.HandleFunc("/api/{method}", w.serveAPI)
	w.mux.HandleFunc("GET /link/", w.serveSocket)
	w.mux.HandleFunc("POST /response/{secret}", w.serveResponseURL)
	w.mux.HandleFunc("/upload/v1/{ticket}", w.serveUpload)
	w.mux.HandleFunc("GET /files-pri/{id}/{name}", w.serveFile)
	w.pageRoutes()
}

func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
