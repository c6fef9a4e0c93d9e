package workspace_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"crashloop/notify/workspace"
)

func typeName(v any) string { return fmt.Sprintf("%T", v) }

// pageToken is the secret in the page's address.
func pageToken(w *workspace.Workspace) string {
	_, token, _ := strings.Cut(w.PageURL(), "token=")
	return token
}

func TestPageIsGuarded(t *testing.T) {
	w := start(t)
	token := pageToken(w)
	host := strings.TrimPrefix(w.URL(), "http://")
	for _, c := range []struct {
		name, method, path string
		header             map[string]string
		status             int
	}{
		{"the page without its secret", "GET", "/", nil, 401},
		{"the page with a wrong secret", "GET", "/?token=nope", nil, 401},
		{"the page with its secret", "GET", "/?token=" + token, nil, 200},
		{"a script needs no secret", "GET", "/page/static/app.js", nil, 200},
		{"no way out of the folder", "GET", "/page/static/..%2fpage.go", nil, 404},
		{"the stream without the secret", "GET", "/page/stream?as=" + workspace.UserAlice, nil, 401},
		{"people with the secret", "GET", "/page/people", map[string]string{"Authorization": "Bearer " + token}, 200},
		{"people with the bot's token", "GET", "/page/people", map[string]string{"Authorization": "Bearer " + w.BotToken()}, 401},
		{"another host name", "GET", "/?token=" + token, map[string]string{"Host": "evil.example.com"}, 403},
		{"another host name on the Web API", "POST", "/api/auth.test", map[string]string{"Host": "evil.example.com"}, 403},
		{"localhost is fine", "GET", "/?token=" + token, map[string]string{"Host": "localhost:1"}, 200},
		{"another origin", "POST", "/page/api/post", map[string]string{"Authorization": "Bearer " + token, "Origin": "http://evil.example.com", "Content-Type": "application/json"}, 403},
		{"another port of this host", "POST", "/page/api/post", map[string]string{"Authorization": "Bearer " + token, "Origin": "http://127.0.0.1:1", "Content-Type": "application/json"}, 403},
		{"an image on another site", "GET", "/page/people", map[string]string{"Authorization": "Bearer " + token, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"a form that poses as text", "POST", "/page/api/post", map[string]string{"Authorization": "Bearer " + token, "Content-Type": "text/plain"}, 415},
		{"own origin", "POST", "/page/api/dm", map[string]string{"Authorization": "Bearer " + token, "Origin": "http://" + host, "Content-Type": "application/json"}, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequest(c.method, w.URL()+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range c.header {
				req.Header.Set(k, v)
			}
			req.Host = c.header["Host"]
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != c.status {
				body, _ := io.ReadAll(res.Body)
				t.Errorf("answer is %s (%s), want %d", res.Status, body, c.status)
			}
		})
	}
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	w := start(t)
	res, err := http.Get(w.PageURL())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP is %q", csp)
	}
	for _, bad := range []string{"https://", "http://", "<style", " onclick", " style="} {
		if strings.Contains(string(body), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if c := res.Cookies(); len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || strings.Contains(c[0].Value, pageToken(w)) {
		t.Errorf("cookies are %+v", c)
	}
}

// page is a client of the page's API.
type page struct {
	t     *testing.T
	w     *workspace.Workspace
	token string
}

func (p page) post(path string, body map[string]any) map[string]any {
	p.t.Helper()
	raw, _ := json.Marshal(body)
	req, err := http.NewRequest("POST", p.w.URL()+"/page/api/"+path, strings.NewReader(string(raw)))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		p.t.Fatalf("%s answered %s: %v", path, res.Status, err)
	}
	return out
}

// stream follows a user's page and returns its events.
func (p page) stream(user string) <-chan map[string]any {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", p.w.URL()+"/page/stream?as="+user, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		p.t.Fatalf("the stream answers %v, %v", res, err)
	}
	out := make(chan map[string]any, 100)
	go func() {
		defer close(out)
		defer res.Body.Close()
		sc := bufio.NewScanner(res.Body)
		sc.Buffer(nil, 8<<20)
		for sc.Scan() {
			if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
				var ev map[string]any
				if json.Unmarshal([]byte(data), &ev) == nil {
					out <- ev
				}
			}
		}
	}()
	return out
}

// next skips events until one of that kind.
func next(t *testing.T, events <-chan map[string]any, kind string) map[string]any {
	t.Helper()
	for ev := range events {
		if ev["kind"] == kind {
			return ev
		}
	}
	t.Fatalf("the stream ended before %q", kind)
	return nil
}

func TestPageFollowsAndActs(t *testing.T) {
	w := start(t)
	b := connect(t, w, nil)
	p := page{t, w, pageToken(w)}
	alice, vic := p.stream(workspace.UserAlice), p.stream(workspace.UserVic)
	next(t, alice, "state")
	next(t, vic, "state")

	if out := p.post("post", map[string]any{"as": workspace.UserAlice, "channel": workspace.ChannelIncidents, "text": "look @dev <script>"}); out["ok"] != true {
		t.Fatalf("posting: %v", out)
	}
	m := next(t, vic, "message")["message"].(map[string]any)
	if m["text"] != "look <@"+workspace.UserDev+"> &lt;script&gt;" || m["user"] != workspace.UserAlice {
		t.Errorf("vic sees %v", m)
	}

	// What only alice may see does not reach vic.
	call(t, w, "chat.postEphemeral", map[string]string{"channel": workspace.ChannelIncidents, "user": workspace.UserAlice, "text": "for alice"})
	call(t, w, "chat.postMessage", map[string]string{"channel": workspace.UserAlice, "text": "direct"})
	root := call(t, w, "chat.postMessage", map[string]string{"channel": workspace.ChannelIncidents, "text": "x", "blocks": actions(strings.Replace(confirm("Sure?", "x", "Yes", "No"), `"text":{"type":"plain_text","text":"Go"}`, `"action_id":"go","text":{"type":"plain_text","text":"Go"}`, 1))})
	if m := next(t, vic, "message")["message"].(map[string]any); m["text"] != "x" {
		t.Errorf("vic's next message is %v", m)
	}
	next(t, alice, "message")
	if m := next(t, alice, "message")["message"].(map[string]any); m["text"] != "for alice" || m["ephemeral"] != true {
		t.Errorf("alice's next message is %v", m)
	}

	click := map[string]any{"as": workspace.UserVic, "channel": workspace.ChannelIncidents, "ts": root["ts"], "action_id": "go"}
	if out := p.post("click", click); out["ok"] == true {
		t.Error("a click without its confirmation went through")
	}
	click["confirmed"] = true
	if out := p.post("click", click); out["ok"] != true {
		t.Errorf("a confirmed click: %v", out)
	}
	<-b.got
	b.mu.Lock()
	if len(b.clicks) != 1 || b.clicks[0].User.ID != workspace.UserVic {
		t.Errorf("clicks that arrived: %+v", b.clicks)
	}
	b.mu.Unlock()

	if out := p.post("post", map[string]any{"as": workspace.UserVic, "channel": workspace.ChannelIncidents, "thread_ts": root["ts"], "text": "/crashloop list"}); out["code"] != "not_supported_in_threads" {
		t.Errorf("a command in a thread: %v", out)
	}
	if n := next(t, vic, "notice")["notice"].(map[string]any); n["code"] != "not_supported_in_threads" {
		t.Errorf("vic is told %v", n)
	}
	if out := p.post("faults", map[string]any{"action": "inject", "method": "chat.update", "kind": "ratelimit", "seconds": 3}); out["ok"] != true || len(w.Faults()) != 1 {
		t.Errorf("setting a fault: %v, %v", out, w.Faults())
	}
	if out := p.post("faults", map[string]any{"action": "inject", "kind": "nonsense"}); out["ok"] == true {
		t.Error("a nonsense fault was set")
	}
}

func TestFilesOnThePage(t *testing.T) {
	w := start(t)
	dm := call(t, w, "conversations.open", map[string]string{"users": workspace.UserVic})["channel"].(map[string]any)["id"].(string)
	up := call(t, w, "files.getUploadURLExternal", map[string]string{"filename": "a.html", "length": "25"})
	res, err := http.Post(up["upload_url"].(string), "text/html", strings.NewReader("<script>alert(1)</script>"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if out := call(t, w, "files.completeUploadExternal", map[string]string{"files": `[{"id":"` + up["file_id"].(string) + `"}]`, "channel_id": dm}); out["ok"] != true {
		t.Fatalf("completing: %v", out)
	}
	get := func(as string) *http.Response {
		req, _ := http.NewRequest("GET", w.URL()+"/page/files/"+up["file_id"].(string)+"/a.html?as="+as, nil)
		req.Header.Set("Authorization", "Bearer "+pageToken(w))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	if res := get(workspace.UserVic); res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") || res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("vic gets %s as %q", res.Status, res.Header)
	}
	if res := get(workspace.UserMallory); res.StatusCode != 404 {
		t.Errorf("mallory gets %s of a file in vic's direct message", res.Status)
	}
}
