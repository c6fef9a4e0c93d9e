package workspace

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// maxSockets is how many connections Slack lets one app hold.
const maxSockets = 10

// maxAck bounds what a client may send in one frame, in bytes.
const maxAck = 20 << 10

// sockets are the Socket Mode connections of all apps. Workspace.mu guards it.
type sockets struct {
	open     []*socket
	tickets  map[string]*app             // one-time tickets from apps.connections.open
	pending  map[string]chan<- socketAck // by envelope id
	next     int
	total    int  // opened so far
	silent   bool // no pings, nothing delivered, acks ignored
	refuse   bool // new connections get 503
	loseAcks int  // how many of the next acks are ignored; -1: all
}

type socketAck struct {
	EnvelopeID string          `json:"envelope_id"`
	Payload    json.RawMessage `json:"payload"`
}

type socket struct {
	app  *app
	conn *websocket.Conn
	out  chan frame    // to write
	gone chan struct{} // closed when the reader ended
}

// frame is one message to a client; the connection ends after the last.
type frame struct {
	data []byte
	last bool
}

func (s *sockets) init() {
	s.tickets = map[string]*app{}
	s.pending = map[string]chan<- socketAck{}
}

// connectionsOpen is apps.connections.open.
func (w *Workspace) connectionsOpen(q *request) (answer, *apiError) {
	ticket := randomHex(16)
	if len(w.sockets.tickets) > 1000 { // nobody used them
		clear(w.sockets.tickets)
	}
	w.sockets.tickets[ticket] = q.app
	return answer{"url": "ws" + strings.TrimPrefix(q.base, "http") + "/link/?ticket=" + ticket + "&app_id=" + q.app.ID}, nil
}

// serveSocket is the WebSocket end of Socket Mode. The ticket is the credential;
// the Origin header is not looked at, since clients send api.slack.com there.
func (w *Workspace) serveSocket(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	ticket := r.URL.Query().Get("ticket")
	a := w.sockets.tickets[ticket]
	delete(w.sockets.tickets, ticket)
	refused, closed := w.sockets.refuse, w.stopCtx.Err() != nil
	if a != nil && !refused && !closed {
		w.running.Add(1)
	}
	w.mu.Unlock()
	switch {
	case a == nil:
		http.Error(rw, "unknown or used ticket: call apps.connections.open for a new one", http.StatusForbidden)
		return
	case refused || closed:
		http.Error(rw, "no new connections now", http.StatusServiceUnavailable)
		return
	}
	defer w.running.Done()
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(rw, r, nil)
	if err != nil {
		w.log.Debug("socket upgrade failed", "error", err)
		return
	}
	s := &socket{app: a, conn: conn, out: make(chan frame, 256), gone: make(chan struct{})}
	w.mu.Lock()
	n := 0
	for _, other := range w.sockets.open {
		if other.app == a {
			n++
		}
	}
	if n >= maxSockets {
		w.mu.Unlock()
		w.log.Warn("refused a socket: the app has its 10", "app", a.ID)
		_ = conn.WriteMessage(websocket.TextMessage, disconnectFrame("too_many_websockets"))
		conn.Close()
		return
	}
	w.sockets.open = append(w.sockets.open, s)
	hello, _ := json.Marshal(answer{"type": "hello", "num_connections": n + 1, "connection_info": answer{"app_id": a.ID},
		"debug_info": answer{"host": "workspace", "build_number": 1, "approximate_connection_time": 3600}})
	s.out <- frame{data: hello}
	w.sockets.total++
	w.publishSockets()
	w.touch()
	w.mu.Unlock()
	w.log.Info("socket opened", "app", a.ID, "connections", n+1)

	w.running.Go(func() { w.writeSocket(s) })
	w.readSocket(s)
	close(s.gone)
	conn.Close()
	w.mu.Lock()
	w.sockets.open = slices.DeleteFunc(slices.Clone(w.sockets.open), func(o *socket) bool { return o == s })
	w.publishSockets()
	w.touch()
	w.mu.Unlock()
	w.log.Info("socket closed", "app", a.ID)
}

// readSocket takes acks until the connection ends. A client that answers no ping
// for six intervals is cut off.
func (w *Workspace) readSocket(s *socket) {
	patience := 6 * w.opts.PingInterval
	s.conn.SetReadLimit(maxAck)
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	s.conn.SetPongHandler(func(string) error { return s.conn.SetReadDeadline(time.Now().Add(patience)) })
	for {
		kind, frame, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		var ack socketAck
		if kind != websocket.TextMessage || json.Unmarshal(frame, &ack) != nil || ack.EnvelopeID == "" {
			w.log.Warn("ignored a frame that is no acknowledgement", "bytes", len(frame))
			continue
		}
		w.mu.Lock()
		lost := w.sockets.silent || w.sockets.loseAcks != 0
		if w.sockets.loseAcks > 0 {
			w.sockets.loseAcks--
			w.publishFaults()
		}
		waiter := w.sockets.pending[ack.EnvelopeID]
		if !lost {
			delete(w.sockets.pending, ack.EnvelopeID)
		}
		w.mu.Unlock()
		if waiter != nil && !lost {
			waiter <- ack // has room for one
		}
	}
}

// writeSocket writes frames and pings until the reader ends or the workspace closes.
func (w *Workspace) writeSocket(s *socket) {
	tick := time.NewTicker(w.opts.PingInterval)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-s.gone:
			return
		case <-w.stopCtx.Done():
			_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second))
			s.conn.Close()
			return
		case <-tick.C:
			if !w.silent() {
				err = s.conn.WriteControl(websocket.PingMessage, []byte("Ping from workspace"), time.Now().Add(time.Second))
			} else { // it cannot answer pings that it does not get
				_ = s.conn.SetReadDeadline(time.Now().Add(6 * w.opts.PingInterval))
			}
		case f := <-s.out:
			if w.silent() {
				continue
			}
			_ = s.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			err = s.conn.WriteMessage(websocket.TextMessage, f.data)
			if err == nil && f.last {
				err = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
				s.conn.Close()
			}
		}
		if err != nil {
			s.conn.Close()
			return
		}
	}
}

func (w *Workspace) silent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sockets.silent
}

func disconnectFrame(reason string) []byte {
	b, _ := json.Marshal(answer{"type": "disconnect", "reason": reason, "debug_info": answer{"host": "workspace"}})
	return b
}

// deliver sends an envelope to one of the app's sockets, in turn, and waits for its
// acknowledgement. It returns dispatch_failed when there is no socket and
// operation_timeout when no acknowledgement came in time.
func (w *Workspace) deliver(a *app, kind string, payload answer, accepts bool) (json.RawMessage, *InteractionError) {
	id := randomHex(4) + "-" + randomHex(2) + "-" + randomHex(2) + "-" + randomHex(2) + "-" + randomHex(6)
	data, _ := json.Marshal(answer{"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": accepts, "retry_attempt": 0, "retry_reason": ""})
	acked := make(chan socketAck, 1)
	w.mu.Lock()
	var mine []*socket
	for _, s := range w.sockets.open {
		if s.app == a {
			mine = append(mine, s)
		}
	}
	if len(mine) == 0 {
		w.mu.Unlock()
		return nil, &InteractionError{Code: "dispatch_failed"}
	}
	s := mine[w.sockets.next%len(mine)]
	w.sockets.next++
	w.sockets.pending[id] = acked
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.sockets.pending, id)
		w.mu.Unlock()
	}()
	timer := time.NewTimer(w.opts.AckTimeout)
	defer timer.Stop()
	select {
	case s.out <- frame{data: data}:
	case <-timer.C:
		return nil, &InteractionError{Code: "operation_timeout"}
	case <-w.stopCtx.Done():
		return nil, &InteractionError{Code: "dispatch_failed"}
	}
	select {
	case ack := <-acked:
		return ack.Payload, nil
	case <-timer.C:
		return nil, &InteractionError{Code: "operation_timeout"}
	case <-w.stopCtx.Done():
		return nil, &InteractionError{Code: "dispatch_failed"}
	}
}

// DisconnectSockets tells every connection to go, as Slack does: reason "warning"
// announces it and leaves the connection open; "refresh_requested", "link_disabled"
// and "too_many_websockets" close it after the message.
func (w *Workspace) DisconnectSockets(reason string) {
	w.mu.Lock()
	open := slices.Clone(w.sockets.open)
	w.mu.Unlock()
	for _, s := range open {
		select {
		case s.out <- frame{data: disconnectFrame(reason), last: reason != "warning"}:
		default:
		}
	}
}

// DropSockets cuts every connection without a word.
func (w *Workspace) DropSockets() { w.closeSockets() }

func (w *Workspace) closeSockets() {
	w.mu.Lock()
	open := slices.Clone(w.sockets.open)
	w.mu.Unlock()
	for _, s := range open {
		s.conn.Close()
	}
}

// SilenceSockets stops pings, deliveries and acknowledgements while the
// connections stay open, as a half-dead network does; false ends it.
func (w *Workspace) SilenceSockets(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets.silent = on
	w.publishFaults()
}

// RefuseSockets refuses new connections with 503; false ends it.
func (w *Workspace) RefuseSockets(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets.refuse = on
	w.publishFaults()
}

// LoseAcks ignores the next n acknowledgements, all for n < 0: the app did the
// work, and the person sees operation_timeout.
func (w *Workspace) LoseAcks(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets.loseAcks = n
	w.publishFaults()
}

// Sockets is how many Socket Mode connections are open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets.open)
}
