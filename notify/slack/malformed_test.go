package slack_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"crashloop/notify/slack"
	"crashloop/notify/workspace"
)

// A server that sends what Slack never should. Whatever comes, the next good command is heard.
func TestMalformedEnvelopes(t *testing.T) {
	frames := []string{
		`not json`, `null`, `[]`, `"x"`, `{}`, `{"type":"hello"}`, `{"type":"unknown"}`, `{"type":"slash_commands"}`,
		`{"type":"slash_commands","envelope_id":"1"}`, `{"type":"slash_commands","envelope_id":"2","payload":null}`,
		`{"type":"slash_commands","envelope_id":"3","payload":"text"}`, `{"type":"interactive","envelope_id":"4","payload":{}}`,
		`{"type":"interactive","envelope_id":"5","payload":{"type":"block_actions","actions":null}}`,
		`{"type":"interactive","envelope_id":"6","payload":{"type":"block_actions","actions":[{}],"user":{},"state":null}}`,
		`{"type":"interactive","envelope_id":"7","payload":{"type":"block_actions","actions":[null]}}`,
		`{"type":"events_api","envelope_id":"8","payload":{}}`, `{"type":"interactive","envelope_id":9}`,
		`{"type":"slash_commands","envelope_id":"10","payload":{"command":"/other","text":"x","user_id":"U0ALICE"}}`,
	}
	mux := http.NewServeMux()
	acked := make(chan string, 100)
	mux.HandleFunc("/api/apps.connections.open", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"ok":true,"url":"ws://%s/link"}`, r.Host)
	})
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"ok":false,"error":"internal_error"}`) })
	sent := make(chan struct{}, 100)
	mux.HandleFunc("/link", func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		go func() {
			for {
				var ack struct {
					EnvelopeID string `json:"envelope_id"`
				}
				_, raw, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if json.Unmarshal(raw, &ack) == nil {
					acked <- ack.EnvelopeID
				}
			}
		}()
		good := `{"type":"slash_commands","envelope_id":"good","payload":{"command":"/crashloop","text":"list","user_id":"U0ALICE","channel_id":"C1"}}`
		for _, f := range append([]string{`{"type":"hello"}`}, append(frames, good)...) {
			if conn.WriteMessage(websocket.TextMessage, []byte(f)) != nil {
				return
			}
		}
		sent <- struct{}{}
		<-r.Context().Done()
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c, err := slack.New(slack.Options{BotToken: "xoxb-1", AppToken: "xapp-1", APIURL: srv.URL + "/api", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p, h := &place{client: c}, newHands()
	p.listen(t, h)
	deadline := time.After(30 * time.Second)
	for {
		select {
		case id := <-acked:
			if id == "good" {
				for len(h.texts()) == 0 || h.texts()[len(h.texts())-1] != "list" {
					select {
					case <-h.changed:
					case <-deadline:
						t.Fatalf("the good command was not worked on: %q", h.texts())
					}
				}
				return
			}
		case <-deadline:
			t.Fatal("the good command was not acknowledged")
		}
	}
}

func (h *hands) texts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, c := range h.commands {
		out = append(out, c.Text)
	}
	return out
}

func TestTooMuchToDo(t *testing.T) {
	p, h := start(t, func(_ *workspace.Options, s *slack.Options) { s.Workers = 1 }), newHands()
	release := make(chan struct{})
	h.do = hold(release)
	p.listen(t, h)
	for range 110 { // one is worked on and a hundred may wait
		if err := p.As(workspace.UserAlice).Slash(incidents, "/crashloop", "slow"); err != nil {
			t.Fatal(err)
		}
	}
	err := p.Wait(ctxOf(t), func(s *workspace.Snapshot) bool {
		for _, e := range s.Ephemerals(workspace.UserAlice) {
			if strings.Contains(e.Visible(), "try again") {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Error("nobody was told to come back: ", err)
	}
	close(release)
}
