package workspace

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// maxResponses is how often one response_url works.
const maxResponses = 5

// responseURL answers one command or click.
type responseURL struct {
	url      string
	app      *app
	conv     string
	user     string
	original string // the clicked message, if any
	uses     int
	expires  time.Time
}

// newResponseURL registers an address. The lock is held.
func (w *Workspace) newResponseURL(h *responseURL) *responseURL {
	now := w.opts.Now()
	for secret, old := range w.hooks { // an address that is long dead need not be known
		if now.Sub(old.expires) > time.Hour {
			delete(w.hooks, secret)
		}
	}
	secret := randomHex(16)
	h.url, h.expires = w.base+"/response/"+secret, now.Add(w.opts.ResponseURLLife)
	w.hooks[secret] = h
	return h
}

// serveResponseURL takes POSTs to a response_url.
func (w *Workspace) serveResponseURL(rw http.ResponseWriter, r *http.Request) {
	call := Call{At: w.opts.Now(), Method: "response_url"}
	r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
	raw, err := io.ReadAll(r.Body)
	var body map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	call.Args = redactArgs(stringArgs(body))
	fault := w.takeFault("response_url", nil)
	if fault != nil {
		call.Fault = fault.String()
		if w.failBefore(rw, fault, &call) {
			return
		}
	}
	status, out := http.StatusOK, answer{"ok": true}
	refuseWith := func(code int, e *apiError) {
		status, out = code, answer{"ok": false, "error": e.code}
		if len(e.messages) > 0 {
			out["response_metadata"] = answer{"messages": e.messages}
		}
		call.Error, call.Details = e.code, e.messages
	}
	w.mu.Lock()
	h := w.hooks[r.PathValue("secret")]
	switch {
	case h == nil:
		refuseWith(http.StatusNotFound, refuse("no_such_url"))
	case w.opts.Now().After(h.expires):
		refuseWith(http.StatusNotFound, refuse("expired_url"))
	case h.uses >= maxResponses:
		refuseWith(http.StatusNotFound, refuse("used_url"))
	case err != nil:
		refuseWith(http.StatusBadRequest, refuse("invalid_payload"))
	default:
		h.uses++
		if e := w.respond(h, body); e != nil {
			refuseWith(http.StatusBadRequest, e)
		}
	}
	w.mu.Unlock()
	call.Status = status
	w.record(call)
	if fault != nil && fault.Kind == CutAfter {
		panic(http.ErrAbortHandler)
	}
	writeJSON(rw, status, out)
}

// respond posts, replaces or deletes as the body says. The lock is held.
func (w *Workspace) respond(h *responseURL, body map[string]json.RawMessage) *apiError {
	args := stringArgs(body)
	c := w.convs[h.conv]
	old := c.get(h.original)
	if args["delete_original"] == "true" {
		if old == nil {
			return refuse("message_not_found")
		}
		w.remove(c, old.TS)
		return nil
	}
	var md Metadata
	if json.Unmarshal([]byte(args["metadata"]), &md) == nil && md.EventType == "" {
		delete(args, "metadata") // clients send an empty one along
	}
	m := &Message{User: h.app.BotUserID, BotID: h.app.BotID, AppID: h.app.ID, Text: args["text"]}
	if e := w.composeInto(m, args); e != nil {
		return e
	}
	if r := []rune(m.Text); len(r) > maxPostText {
		m.Text = string(r[:maxPostText])
	}
	if args["replace_original"] == "true" && old != nil {
		n := *old
		n.Text, n.Blocks, n.Attachments = m.Text, m.Blocks, m.Attachments
		n.Edited = &Edited{User: h.app.BotUserID, TS: w.nextTS()}
		w.replace(c, &n)
		return nil
	}
	switch args["response_type"] {
	case "in_channel":
	case "", "ephemeral":
		m.EphemeralTo, m.Metadata = h.user, nil
	default:
		return refuse("invalid_arguments", "[ERROR] response_type must be ephemeral or in_channel")
	}
	if e := w.thread(c, m, args["thread_ts"]); e != nil {
		return e
	}
	w.add(c, m)
	return nil
}

// stringArgs reads a JSON object the way Web API arguments are read.
func stringArgs(body map[string]json.RawMessage) map[string]string {
	out := map[string]string{}
	for k, v := range body {
		var s string
		switch {
		case string(v) == "null":
		case json.Unmarshal(v, &s) == nil:
			out[k] = s
		default:
			out[k] = string(v)
		}
	}
	return out
}
