package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds the body of a Web API call. The longest legal message is far below it.
const maxBody = 1 << 20

// answer is the JSON object a method answers with; "ok" is added.
type answer = map[string]any

// apiError is a refusal in Slack's words.
type apiError struct {
	code     string
	messages []string // response_metadata.messages
	needed   string   // missing_scope
	provided string
	retry    time.Duration // ratelimited
}

func (e *apiError) Error() string { return e.code }

func refuse(code string, messages ...string) *apiError {
	return &apiError{code: code, messages: messages}
}

// request is one Web API call on its way through a method.
type request struct {
	method string
	args   map[string]string // JSON values other than strings stay JSON
	app    *app
	token  *token
	base   string // http://host:port as the client names it
}

func (q *request) arg(name string) string { return q.args[name] }

func (q *request) flag(name string) bool {
	v := q.args[name]
	return v == "true" || v == "1"
}

// number reads a whole number, or def when it is absent.
func (q *request) number(name string, def, min, max int) (int, *apiError) {
	v := q.args[name]
	if v == "" || v == "0" && min > 0 {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < min {
		return 0, refuse("invalid_arguments", fmt.Sprintf("[ERROR] %s must be a whole number of at least %d", name, min))
	}
	if n > max {
		n = max
	}
	return n, nil
}

// need refuses the call unless the token holds one of the scopes.
func (q *request) need(anyOf ...string) *apiError {
	for _, s := range anyOf {
		for _, have := range q.token.scopes {
			if s == have {
				return nil
			}
		}
	}
	return &apiError{code: "missing_scope", needed: strings.Join(anyOf, ","), provided: strings.Join(q.token.scopes, ",")}
}

// method is one entry of the Web API.
type method struct {
	kind   string   // the token it takes: "bot", "app", or "" for either
	scopes []string // any one of them; none means that the method decides
	tier   float64  // calls a minute; 0 means that the method paces itself
	run    func(*Workspace, *request) (answer, *apiError)
}

// methodTable lists what the workspace implements. Rate tiers are Slack's: tier 2
// is 20 a minute, tier 3 is 50, tier 4 is 100; auth.test allows hundreds.
// apps.connections.open is tier 1 at Slack, which in practice lets a reconnecting
// client through; 30 a minute stops a reconnect storm.
func methodTable() map[string]method {
	return map[string]method{
		"auth.test":                    {tier: 600, run: (*Workspace).authTest},
		"apps.connections.open":        {kind: "app", scopes: []string{"connections:write"}, tier: 30, run: (*Workspace).connectionsOpen},
		"chat.postMessage":             {kind: "bot", scopes: []string{"chat:write"}, run: (*Workspace).chatPost},
		"chat.update":                  {kind: "bot", scopes: []string{"chat:write"}, run: (*Workspace).chatUpdate},
		"chat.delete":                  {kind: "bot", scopes: []string{"chat:write"}, tier: 50, run: (*Workspace).chatDelete},
		"chat.postEphemeral":           {kind: "bot", scopes: []string{"chat:write"}, tier: 100, run: (*Workspace).chatEphemeral},
		"chat.getPermalink":            {kind: "bot", tier: 600, run: (*Workspace).chatPermalink},
		"conversations.list":           {kind: "bot", tier: 20, run: (*Workspace).conversationsList},
		"conversations.info":           {kind: "bot", tier: 50, run: (*Workspace).conversationsInfo},
		"conversations.members":        {kind: "bot", tier: 100, run: (*Workspace).conversationsMembers},
		"conversations.history":        {kind: "bot", tier: 50, run: (*Workspace).conversationsHistory},
		"conversations.replies":        {kind: "bot", tier: 50, run: (*Workspace).conversationsReplies},
		"conversations.open":           {kind: "bot", scopes: []string{"im:write"}, tier: 50, run: (*Workspace).conversationsOpen},
		"conversations.join":           {kind: "bot", scopes: []string{"channels:join"}, tier: 50, run: (*Workspace).conversationsJoin},
		"users.info":                   {kind: "bot", scopes: []string{"users:read"}, tier: 100, run: (*Workspace).usersInfo},
		"users.list":                   {kind: "bot", scopes: []string{"users:read"}, tier: 20, run: (*Workspace).usersList},
		"users.lookupByEmail":          {kind: "bot", scopes: []string{"users:read.email"}, tier: 50, run: (*Workspace).usersLookupByEmail},
		"usergroups.list":              {kind: "bot", scopes: []string{"usergroups:read"}, tier: 20, run: (*Workspace).usergroupsList},
		"usergroups.users.list":        {kind: "bot", scopes: []string{"usergroups:read"}, tier: 20, run: (*Workspace).usergroupsUsersList},
		"files.getUploadURLExternal":   {kind: "bot", scopes: []string{"files:write"}, tier: 100, run: (*Workspace).filesGetUploadURL},
		"files.completeUploadExternal": {kind: "bot", scopes: []string{"files:write"}, tier: 100, run: (*Workspace).filesComplete},
		"files.info":                   {kind: "bot", scopes: []string{"files:read"}, tier: 100, run: (*Workspace).filesInfo},
		"reactions.add":                {kind: "bot", scopes: []string{"reactions:write"}, tier: 50, run: (*Workspace).reactionsAdd},
		"reactions.remove":             {kind: "bot", scopes: []string{"reactions:write"}, tier: 20, run: (*Workspace).reactionsRemove},
	}
}

// serveAPI answers POST and GET /api/METHOD the way slack.com/api does.
func (w *Workspace) serveAPI(rw http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	start := w.opts.Now()
	args, bearer, err := readArgs(rw, r)
	call := Call{At: start, Method: name, Args: redactArgs(args)}
	fault := w.takeFault(name, args)
	if fault != nil {
		call.Fault = fault.String()
		if stop := w.failBefore(rw, fault, &call); stop {
			return
		}
	}
	var out answer
	var refused *apiError
	status := http.StatusOK
	q := &request{method: name, args: args, base: "http://" + r.Host}
	switch {
	case err != nil && err.code == "request_too_large":
		status, refused = http.StatusRequestEntityTooLarge, err
	case err != nil:
		refused = err
	default:
		out, refused = w.dispatch(q, bearer)
	}
	if refused != nil {
		out = answer{"ok": false, "error": refused.code}
		meta := answer{}
		if len(refused.messages) > 0 {
			meta["messages"] = refused.messages
			errs := make([]string, len(refused.messages))
			for i, m := range refused.messages {
				errs[i] = strings.TrimPrefix(m, "[ERROR] ")
			}
			out["errors"] = errs
			out["response_metadata"] = meta
		}
		if refused.code == "missing_scope" {
			out["needed"], out["provided"] = refused.needed, refused.provided
		}
		if refused.code == "ratelimited" {
			status = http.StatusTooManyRequests
			rw.Header().Set("Retry-After", retryAfter(refused.retry))
		}
		w.log.Debug("refused an API call", "method", name, "error", refused.code, "details", refused.messages)
	} else {
		if out == nil {
			out = answer{}
		}
		out["ok"] = true
	}
	if q.token != nil {
		rw.Header().Set("X-OAuth-Scopes", strings.Join(q.token.scopes, ","))
		if m, ok := methodTable()[name]; ok && len(m.scopes) > 0 {
			rw.Header().Set("X-Accepted-OAuth-Scopes", strings.Join(m.scopes, ","))
		}
		call.Token = q.token.kind
	}
	call.Status, call.Error = status, str(out, "error")
	call.Took = w.opts.Now().Sub(start)
	if ts := str(out, "ts"); ts != "" {
		call.TS = ts
	}
	if refused != nil {
		call.Details = refused.messages
	}
	w.record(call)
	if fault != nil && fault.Kind == CutAfter {
		panic(http.ErrAbortHandler)
	}
	writeJSON(rw, status, out)
}

func (w *Workspace) dispatch(q *request, bearer string) (answer, *apiError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := methodTable()[q.method]
	if !ok {
		return nil, refuse("unknown_method", "[ERROR] this workspace does not implement "+q.method)
	}
	secret := q.args["token"]
	if bearer != "" {
		secret = bearer
	}
	if secret == "" {
		return nil, refuse("not_authed")
	}
	for _, a := range w.apps {
		if t := a.tokens[secret]; t != nil {
			q.app, q.token = a, t
		}
	}
	if q.token == nil {
		return nil, refuse("invalid_auth")
	}
	if q.token.broken != "" {
		return nil, refuse(q.token.broken)
	}
	if m.kind != "" && m.kind != q.token.kind {
		return nil, refuse("not_allowed_token_type")
	}
	if len(m.scopes) > 0 {
		if e := q.need(m.scopes...); e != nil {
			return nil, e
		}
	}
	if m.tier > 0 {
		if e := w.paceLocked(q.app.ID+" "+q.method, m.tier/60, m.tier); e != nil {
			return nil, e
		}
	}
	return m.run(w, q)
}

// readArgs reads a call's arguments from the query, a form or a JSON object, and
// its token from the Authorization header.
func readArgs(rw http.ResponseWriter, r *http.Request) (args map[string]string, bearer string, refused *apiError) {
	args = map[string]string{}
	if h := r.Header.Get("Authorization"); strings.HasPrefix(h, "Bearer ") {
		bearer = strings.TrimSpace(h[len("Bearer "):])
	}
	for k, v := range r.URL.Query() {
		args[k] = v[0]
	}
	if r.Method != http.MethodPost {
		return args, bearer, nil
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return args, bearer, bodyError(err)
		}
		var obj map[string]json.RawMessage
		if strings.TrimSpace(string(body)) == "null" || len(body) == 0 { // slack-go's apps.connections.open
			return args, bearer, nil
		}
		if err := json.Unmarshal(body, &obj); err != nil {
			return args, bearer, refuse("invalid_json", "[ERROR] "+err.Error())
		}
		for k, v := range obj {
			var s string
			if json.Unmarshal(v, &s) == nil {
				args[k] = s
			} else {
				args[k] = string(v)
			}
			if string(v) == "null" {
				delete(args, k)
			}
		}
	case "application/x-www-form-urlencoded":
		if err := r.ParseForm(); err != nil {
			if e := bodyError(err); e.code == "request_too_large" {
				return args, bearer, e
			}
			return args, bearer, refuse("invalid_form_data")
		}
		for k, v := range r.PostForm {
			args[k] = v[0]
		}
	case "multipart/form-data":
		if err := r.ParseMultipartForm(maxBody); err != nil {
			return args, bearer, refuse("invalid_form_data")
		}
		for k, v := range r.MultipartForm.Value {
			args[k] = v[0]
		}
		_ = r.MultipartForm.RemoveAll()
	case "":
	default:
		return args, bearer, refuse("invalid_post_type")
	}
	return args, bearer, nil
}

func bodyError(err error) *apiError {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse("request_too_large")
	}
	return refuse("invalid_form_data")
}

func retryAfter(d time.Duration) string {
	s := int((d + time.Second - 1) / time.Second)
	if s < 1 {
		s = 1
	}
	return strconv.Itoa(s)
}

func writeJSON(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(v)
}

// authTest says who the token belongs to.
func (w *Workspace) authTest(q *request) (answer, *apiError) {
	out := answer{"url": "https://" + w.opts.TeamDomain + ".slack.com/", "team": w.opts.TeamName, "team_id": w.opts.TeamID, "is_enterprise_install": false}
	if q.token.kind == "app" {
		out["app_id"], out["app_name"] = q.app.ID, q.app.Name
		return out, nil
	}
	out["user"], out["user_id"], out["bot_id"] = w.users[q.app.BotUserID].Name, q.app.BotUserID, q.app.BotID
	return out, nil
}

// Call is one Web API call (or one use of a response_url or an upload URL) in the log.
type Call struct {
	Seq    int       `json:"seq"`
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Token  string    `json:"token,omitempty"` // "bot" or "app": the kind, never the token
	// Args are the arguments as text; tokens are cut out, long ones shortened.
	Args    map[string]string `json:"args"`
	Status  int               `json:"status"` // 0 when the connection was cut before an answer
	Error   string            `json:"error,omitempty"`
	Details []string          `json:"details,omitempty"`
	TS      string            `json:"ts,omitempty"` // of the message that it made or changed
	Took    time.Duration     `json:"took"`         // nanoseconds
	Fault   string            `json:"fault,omitempty"`
}

// maxLoggedArg bounds an argument in the call log.
const maxLoggedArg = 20_000

func redactArgs(args map[string]string) map[string]string {
	out := make(map[string]string, len(args))
	for k, v := range args {
		if k == "token" {
			continue
		}
		if len(v) > maxLoggedArg {
			v = strings.ToValidUTF8(v[:maxLoggedArg], "") + "…"
		}
		out[k] = v
	}
	return out
}

func (w *Workspace) record(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.callSeq++
	c.Seq = w.callSeq
	w.calls = append(w.calls, c)
	if len(w.calls) > maxKept {
		w.calls = append([]Call(nil), w.calls[len(w.calls)-maxKept/2:]...)
	}
	w.publish(change{Kind: "call", Call: &c})
	w.touch()
}
