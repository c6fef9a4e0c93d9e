package workspace

import (
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pageCSP lets the page load nothing but its own files, and nobody frame it.
const pageCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

func (w *Workspace) pageRoutes() {
	static, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the embedded folder is always there
	}
	files := http.FileServerFS(static)
	w.mux.HandleFunc("GET /{$}", w.serveIndex)
	w.mux.HandleFunc("GET /page/static/{file}", func(rw http.ResponseWriter, r *http.Request) {
		pageHeaders(rw)
		http.StripPrefix("/page/static/", files).ServeHTTP(rw, r)
	})
	w.mux.HandleFunc("GET /archives/{channel}/{message}", w.guard(w.servePermalink))
	w.mux.HandleFunc("GET /page/people", w.guard(w.servePeople))
	w.mux.HandleFunc("GET /page/stream", w.guard(w.serveStream))
	w.mux.HandleFunc("GET /page/files/{id}/{name}", w.guard(w.servePageFile))
	w.mux.HandleFunc("POST /page/api/post", w.guard(w.pagePost))
	w.mux.HandleFunc("POST /page/api/click", w.guard(w.pageClick))
	w.mux.HandleFunc("POST /page/api/dm", w.guard(w.pageDM))
	w.mux.HandleFunc("POST /page/api/faults", w.guard(w.pageFaults))
}

func pageHeaders(rw http.ResponseWriter) {
	h := rw.Header()
	h.Set("Content-Security-Policy", pageCSP)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// session is the cookie: its name differs between workspaces, since cookies do not
// tell the ports of one host apart, and its value does not give the token away.
func (w *Workspace) session() (name, value string) {
	sum := sha256.Sum256([]byte("page " + w.opts.PageToken))
	return "workspace_" + hex.EncodeToString(sum[:4]), hex.EncodeToString(sum[4:])
}

// admitted tells whether the request carries the page's secret, in its cookie or
// as a Bearer token.
func (w *Workspace) admitted(r *http.Request) bool {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return same(bearer, w.opts.PageToken)
	}
	name, value := w.session()
	c, err := r.Cookie(name)
	return err == nil && same(c.Value, value)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// foreign tells whether another site's page sent the request.
func foreign(r *http.Request) bool {
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // another port of this host is the same site
		return r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate"
	}
	return false
}

// guard lets only the page itself, or someone with its token, through.
func (w *Workspace) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		pageHeaders(rw)
		switch {
		case foreign(r):
			http.Error(rw, "Requests from other sites are refused.", http.StatusForbidden)
		case !w.admitted(r):
			http.Error(rw, "Open the address that was printed at the start: it holds the page's secret.", http.StatusUnauthorized)
		case r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
			http.Error(rw, "Send application/json.", http.StatusUnsupportedMediaType)
		default:
			r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
			next(rw, r)
		}
	}
}

// serveIndex serves the page. The first visit brings the token in the address and
// leaves with a cookie; the page's script then takes the token out of the address.
func (w *Workspace) serveIndex(rw http.ResponseWriter, r *http.Request) {
	pageHeaders(rw)
	if foreign(r) {
		http.Error(rw, "Requests from other sites are refused.", http.StatusForbidden)
		return
	}
	if same(r.URL.Query().Get("token"), w.opts.PageToken) {
		name, value := w.session()
		http.SetCookie(rw, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	} else if !w.admitted(r) {
		http.Error(rw, "Open the address that was printed at the start: it holds the page's secret.", http.StatusUnauthorized)
		return
	}
	page, err := pageFiles.ReadFile("page/index.html")
	if err != nil {
		http.Error(rw, "the page is missing", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = rw.Write(page)
}

// servePeople lists whom one may act as, in the order of Options.Users.
func (w *Workspace) servePeople(rw http.ResponseWriter, _ *http.Request) {
	out := []string{}
	for _, u := range w.opts.Users {
		if !u.Bot && !u.Deleted {
			out = append(out, u.ID)
		}
	}
	writeJSON(rw, http.StatusOK, out)
}

// servePermalink leads a link from chat.getPermalink to the message on the page.
func (w *Workspace) servePermalink(rw http.ResponseWriter, r *http.Request) {
	p := strings.TrimPrefix(r.PathValue("message"), "p")
	if len(p) < 7 || strings.Trim(p, "0123456789") != "" {
		http.NotFound(rw, r)
		return
	}
	ts := p[:len(p)-6] + "." + p[len(p)-6:]
	w.mu.Lock()
	c := w.convs[r.PathValue("channel")]
	var m *Message
	if c != nil {
		m = c.get(ts)
	}
	w.mu.Unlock()
	if m == nil {
		http.NotFound(rw, r)
		return
	}
	at := "/#" + c.ID + "/" + ts
	if m.IsReply() {
		at = "/#" + c.ID + "/" + m.ThreadTS + "/" + ts
	}
	http.Redirect(rw, r, at, http.StatusSeeOther)
}

// servePageFile shows a file to a person who sees a message that holds it.
func (w *Workspace) servePageFile(rw http.ResponseWriter, r *http.Request) {
	as := r.URL.Query().Get("as")
	w.mu.Lock()
	f := w.files[r.PathValue("id")]
	ok := false
	if f != nil {
		for _, id := range f.shared {
			ok = ok || w.sees(as, w.convs[id])
		}
		// A file that is shown by an image block need not be shared.
		ok = ok || len(f.shared) == 0
	}
	w.mu.Unlock()
	if !ok {
		http.NotFound(rw, r)
		return
	}
	sendFile(rw, f, r.URL.Query().Get("download") != "")
}

// sees tells whether a user may look into a conversation. The lock is held.
func (w *Workspace) sees(user string, c *conversation) bool {
	return c != nil && c.has(user)
}

// read decodes a JSON request of the page.
func read(rw http.ResponseWriter, r *http.Request, into any) bool {
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		status := http.StatusBadRequest
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		writeJSON(rw, status, answer{"ok": false, "error": "the request is not the JSON that was expected"})
		return false
	}
	return true
}

// outcome answers the page: what went wrong, in words for the person, or ok.
func outcome(rw http.ResponseWriter, err error, more answer) {
	out := answer{"ok": err == nil}
	for k, v := range more {
		out[k] = v
	}
	if err != nil {
		out["error"] = err.Error()
		var ie *InteractionError
		if errors.As(err, &ie) { // the page shows it as a notice from the stream
			out["code"] = ie.Code
		}
	}
	writeJSON(rw, http.StatusOK, out)
}

// pagePost takes what a person typed: a message, a reply, or a slash command.
func (w *Workspace) pagePost(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		As       string `json:"as"`
		Channel  string `json:"channel"`
		ThreadTS string `json:"thread_ts"`
		Text     string `json:"text"`
	}
	if !read(rw, r, &in) {
		return
	}
	a := w.As(in.As)
	text := strings.TrimSpace(in.Text)
	if strings.HasPrefix(text, "/") {
		command, rest, _ := strings.Cut(text, " ")
		outcome(rw, a.slash(in.Channel, in.ThreadTS, command, strings.TrimSpace(rest)), nil)
		return
	}
	ts, err := a.Reply(in.Channel, in.ThreadTS, in.Text)
	outcome(rw, err, answer{"ts": ts})
}

// pageClick takes a click. An element with a confirm dialog needs confirmed: true.
func (w *Workspace) pageClick(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		As        string `json:"as"`
		Channel   string `json:"channel"`
		TS        string `json:"ts"`
		BlockID   string `json:"block_id"`
		ActionID  string `json:"action_id"`
		Choice    string `json:"choice"`
		Confirmed bool   `json:"confirmed"`
	}
	if !read(rw, r, &in) {
		return
	}
	var choice []string
	if in.Choice != "" {
		choice = []string{in.Choice}
	}
	ask, err := w.As(in.As).click(in.Channel, in.TS, in.BlockID, in.ActionID, choice...)
	switch {
	case err != nil:
	case ask != nil && in.Confirmed:
		err = ask.Yes()
	case ask != nil:
		err = errors.New("this needs a confirmation first")
	}
	outcome(rw, err, nil)
}

// pageDM opens a direct message.
func (w *Workspace) pageDM(rw http.ResponseWriter, r *http.Request) {
	var in struct{ As, User string }
	if !read(rw, r, &in) {
		return
	}
	id, err := w.As(in.As).OpenDM(in.User)
	outcome(rw, err, answer{"channel": id})
}

// pageFaults sets and clears faults from the developer's drawer.
func (w *Workspace) pageFaults(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Action  string  `json:"action"`
		Method  string  `json:"method"`
		Kind    string  `json:"kind"`
		Times   int     `json:"times"`
		Seconds float64 `json:"seconds"`
		Status  int     `json:"status"`
		Error   string  `json:"error"`
		On      bool    `json:"on"`
		Reason  string  `json:"reason"`
		Token   string  `json:"token"` // "bot" or "app", of the first app
		Scope   string  `json:"scope"`
	}
	if !read(rw, r, &in) {
		return
	}
	if in.Seconds < 0 || in.Seconds > 600 {
		outcome(rw, errors.New("seconds must be between 0 and 600"), nil)
		return
	}
	d := time.Duration(in.Seconds * float64(time.Second))
	secret := w.BotToken()
	if in.Token == "app" {
		secret = w.AppToken()
	}
	var err error
	switch in.Action {
	case "inject":
		_, err = w.Inject(Fault{Method: in.Method, Kind: FaultKind(in.Kind), Times: in.Times, RetryAfter: d, Delay: d, Status: in.Status, Error: in.Error})
	case "clear":
		w.ClearFaults()
	case "silence":
		w.SilenceSockets(in.On)
	case "refuse":
		w.RefuseSockets(in.On)
	case "drop":
		w.DropSockets()
	case "disconnect":
		w.DisconnectSockets(in.Reason)
	case "lose_acks":
		w.LoseAcks(in.Times)
	case "break_token":
		err = w.BreakToken(secret, in.Error)
	case "remove_scope":
		err = w.RemoveScope(secret, in.Scope)
	default:
		err = errors.New("unknown action " + in.Action)
	}
	outcome(rw, err, nil)
}
