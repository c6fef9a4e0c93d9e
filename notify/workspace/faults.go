package workspace

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// FaultKind is a way for a call to go wrong.
type FaultKind string

// The faults that the Web API can be told to have.
const (
	// RateLimit answers 429 with Retry-After.
	RateLimit FaultKind = "ratelimit"
	// ServerError answers with an HTTP error status and no JSON.
	ServerError FaultKind = "server_error"
	// CutBefore closes the connection without handling the call.
	CutBefore FaultKind = "cut_before"
	// CutAfter handles the call and then closes the connection: a message is
	// stored, but its sender does not learn that.
	CutAfter FaultKind = "cut_after"
	// Slow waits before it handles the call. A caller that gives up meanwhile does
	// not undo it.
	Slow FaultKind = "slow"
	// Refuse answers with the error code in Fault.Error.
	Refuse FaultKind = "refuse"
)

// Fault makes the next calls of a method fail.
type Fault struct {
	ID int `json:"id"` // set by Inject
	// Method is a Web API method, "response_url", "upload", or "*" for all of them.
	Method string `json:"method"`
	// Channel narrows the fault to calls with that channel argument; empty means any.
	Channel string    `json:"channel,omitempty"`
	Kind    FaultKind `json:"kind"`
	// Times is how many calls fail: 0 means one, less than 0 means all until ClearFaults.
	Times int `json:"times"`
	// RetryAfter goes with RateLimit; 0 means one second.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Status goes with ServerError; 0 means 503.
	Status int `json:"status,omitempty"`
	// Delay goes with Slow; 0 means five seconds.
	Delay time.Duration `json:"delay,omitempty"`
	// Error goes with Refuse; empty means internal_error.
	Error string `json:"error,omitempty"`
}

func (f *Fault) String() string {
	switch f.Kind {
	case RateLimit:
		return fmt.Sprintf("429, retry after %s s", retryAfter(f.RetryAfter))
	case ServerError:
		return fmt.Sprintf("HTTP %d", f.Status)
	case Slow:
		return fmt.Sprintf("slow by %s", f.Delay)
	case Refuse:
		return f.Error
	}
	return string(f.Kind)
}

// Inject sets a fault and returns its id. Faults are tried in the order they were set.
func (w *Workspace) Inject(f Fault) (int, error) {
	switch f.Kind {
	case RateLimit:
		setDefault(&f.RetryAfter, time.Second)
	case ServerError:
		setDefault(&f.Status, http.StatusServiceUnavailable)
		if f.Status < 400 || f.Status > 599 {
			return 0, fmt.Errorf("injecting a fault: status %d is not an error; use 400 to 599", f.Status)
		}
	case Slow:
		setDefault(&f.Delay, 5*time.Second)
	case Refuse:
		setDefault(&f.Error, "internal_error")
	case CutBefore, CutAfter:
	default:
		return 0, fmt.Errorf("injecting a fault: unknown kind %q; use ratelimit, server_error, cut_before, cut_after, slow or refuse", f.Kind)
	}
	setDefault(&f.Method, "*")
	setDefault(&f.Times, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faultSeq++
	f.ID = w.faultSeq
	w.faults = append(w.faults, &f)
	w.publishFaults()
	return f.ID, nil
}

// ClearFaults removes all faults: those of Inject, those of the sockets, and those of the tokens.
func (w *Workspace) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
	w.sockets.silent, w.sockets.refuse, w.sockets.loseAcks = false, false, 0
	for _, a := range w.apps {
		for _, t := range a.tokens {
			t.broken = ""
			t.scopes = slices.Clone(a.BotScopes)
			if t.kind == "app" {
				t.scopes = slices.Clone(a.AppScopes)
			}
		}
	}
	w.publishFaults()
}

// Faults returns what is set by Inject and not used up.
func (w *Workspace) Faults() []Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.faultsLocked()
}

func (w *Workspace) faultsLocked() []Fault {
	out := make([]Fault, 0, len(w.faults))
	for _, f := range w.faults {
		out = append(out, *f)
	}
	return out
}

// takeFault finds the fault for a call and uses it up.
func (w *Workspace) takeFault(method string, args map[string]string) *Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, f := range w.faults {
		if f.Method != "*" && f.Method != method {
			continue
		}
		if f.Channel != "" && f.Channel != args["channel"] && f.Channel != args["channel_id"] {
			continue
		}
		used := *f
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				w.faults = slices.Delete(slices.Clone(w.faults), i, i+1)
			}
		}
		w.publishFaults()
		return &used
	}
	return nil
}

// failBefore acts out a fault that comes before the call is handled, and tells
// whether the call ends there. It panics with http.ErrAbortHandler to cut the
// connection.
func (w *Workspace) failBefore(rw http.ResponseWriter, f *Fault, call *Call) (stop bool) {
	switch f.Kind {
	case RateLimit:
		call.Status, call.Error = http.StatusTooManyRequests, "ratelimited"
		w.record(*call)
		rw.Header().Set("Retry-After", retryAfter(f.RetryAfter))
		writeJSON(rw, call.Status, answer{"ok": false, "error": "ratelimited"})
		return true
	case ServerError:
		call.Status = f.Status
		w.record(*call)
		http.Error(rw, "<html><body>Something went wrong.</body></html>", f.Status)
		return true
	case Refuse:
		call.Status, call.Error = http.StatusOK, f.Error
		w.record(*call)
		writeJSON(rw, call.Status, answer{"ok": false, "error": f.Error})
		return true
	case CutBefore:
		w.record(*call)
		panic(http.ErrAbortHandler)
	case Slow:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.stopCtx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	return false
}

// BreakToken makes every call with the token answer the error code, such as
// token_revoked, invalid_auth, account_inactive, token_expired or
// not_allowed_token_type, and an empty code mends it. It reports an unknown token.
// Sockets that are open stay open, as Slack's do for a while.
func (w *Workspace) BreakToken(secret, code string) error {
	return w.editToken(secret, func(t *token) { t.broken = code })
}

// SetScopes replaces what a token may do.
func (w *Workspace) SetScopes(secret string, scopes ...string) error {
	return w.editToken(secret, func(t *token) { t.scopes = slices.Clone(scopes) })
}

// RemoveScope takes one scope from a token.
func (w *Workspace) RemoveScope(secret, scope string) error {
	return w.editToken(secret, func(t *token) {
		t.scopes = slices.DeleteFunc(slices.Clone(t.scopes), func(s string) bool { return s == scope })
	})
}

func (w *Workspace) editToken(secret string, edit func(*token)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.apps {
		if t := a.tokens[secret]; t != nil {
			edit(t)
			w.publishFaults()
			return nil
		}
	}
	return fmt.Errorf("changing a token: no app of this workspace has it")
}
