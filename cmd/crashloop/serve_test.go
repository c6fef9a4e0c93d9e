package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReady(t *testing.T) {
	s := newServer()
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code, w.Body.String()
	}
	want := func(when string, status int, says string) {
		t.Helper()
		if code, body := ask(); code != status || !strings.Contains(body, says) {
			t.Errorf("%s: %d %q, not %d with %q", when, code, body, status, says)
		}
	}
	want("while another instance runs the bot", http.StatusOK, "ok")
	s.starting()
	want("before the watch is synced", http.StatusServiceUnavailable, "starting")
	var wrong error
	s.activate(func() int { return 0 }, []condition{{"slack", func() error { return wrong }}})
	want("with all conditions met", http.StatusOK, "ok")
	wrong = errors.New("the socket is down")
	want("with one that is not", http.StatusServiceUnavailable, "slack: the socket is down")
	wrong = nil
	s.draining.Store(true)
	want("while shutting down", http.StatusServiceUnavailable, "shutting down")
}
