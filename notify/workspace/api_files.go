package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// maxUpload bounds one uploaded file, in bytes.
const maxUpload = 16 << 20

// storedFile is a file with its bytes, from the moment its upload URL was given out.
type storedFile struct {
	File
	ticket   string
	appID    string
	content  []byte
	uploaded bool
	shared   []string // conversation ids
}

// filesGetUploadURL is files.getUploadURLExternal: the first of three steps.
func (w *Workspace) filesGetUploadURL(q *request) (answer, *apiError) {
	name := q.arg("filename")
	if name == "" {
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: filename")
	}
	size, e := q.number("length", 0, 1, maxUpload+1)
	if e != nil {
		return nil, e
	}
	switch {
	case size == 0:
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: length")
	case size > maxUpload:
		return nil, refuse("file_upload_size_restricted", fmt.Sprintf("[ERROR] this workspace takes files of up to %d bytes", maxUpload))
	}
	f := &storedFile{appID: q.app.ID, ticket: randomHex(16), File: File{
		ID: "F" + strings.ToUpper(randomHex(5)), Created: w.opts.Now().Unix(), Name: path.Base(name), Title: name, User: q.app.BotUserID, Size: size, AltText: q.arg("alt_txt"),
	}}
	if len(w.uploads) >= 100 { // begun and never completed
		clear(w.uploads)
	}
	w.uploads[f.ticket] = f
	return answer{"upload_url": q.base + "/upload/v1/" + f.ticket, "file_id": f.ID}, nil
}

// serveUpload takes the bytes: raw, or as the one file of a multipart form.
func (w *Workspace) serveUpload(rw http.ResponseWriter, r *http.Request) {
	call := Call{At: w.opts.Now(), Method: "upload", Args: map[string]string{"content_type": r.Header.Get("Content-Type")}}
	fault := w.takeFault("upload", nil)
	if fault != nil {
		call.Fault = fault.String()
		if w.failBefore(rw, fault, &call) {
			return
		}
	}
	status, says := w.upload(rw, r)
	call.Status = status
	if status != http.StatusOK {
		call.Error = says
	}
	w.record(call)
	if fault != nil && fault.Kind == CutAfter {
		panic(http.ErrAbortHandler)
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, says)
}

func (w *Workspace) upload(rw http.ResponseWriter, r *http.Request) (int, string) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return http.StatusMethodNotAllowed, "POST the file's bytes here"
	}
	w.mu.Lock()
	f := w.uploads[r.PathValue("ticket")]
	w.mu.Unlock()
	if f == nil {
		return http.StatusNotFound, "no such upload"
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxUpload+64<<10)
	var body io.Reader = r.Body
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		mr, err := r.MultipartReader()
		if err != nil {
			return http.StatusBadRequest, "malformed form"
		}
		part, err := mr.NextPart()
		if err != nil {
			return http.StatusBadRequest, "no file in the form"
		}
		body = part
	}
	content, err := io.ReadAll(io.LimitReader(body, maxUpload+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || len(content) > maxUpload:
		return http.StatusRequestEntityTooLarge, "file too large"
	case err != nil:
		return http.StatusBadRequest, "the upload broke off"
	case len(content) != f.Size:
		return http.StatusBadRequest, fmt.Sprintf("got %d bytes, %d were announced", len(content), f.Size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f.content, f.uploaded = content, true
	f.Mimetype = sniff(content)
	f.Filetype = strings.TrimPrefix(path.Ext(f.Name), ".")
	if f.Filetype == "" && strings.HasPrefix(f.Mimetype, "text/") {
		f.Filetype = "text"
	}
	return http.StatusOK, fmt.Sprintf("OK - %d", len(content))
}

// sniff tells a file's type from its bytes; its name proves nothing.
func sniff(content []byte) string {
	kind, _, _ := mime.ParseMediaType(http.DetectContentType(content))
	if strings.HasPrefix(kind, "image/") {
		return kind
	}
	if utf8.Valid(content) && !strings.ContainsRune(string(content[:min(len(content), 4096)]), 0) {
		return "text/plain"
	}
	return "application/octet-stream"
}

// filesComplete is files.completeUploadExternal: it shares what was uploaded.
func (w *Workspace) filesComplete(q *request) (answer, *apiError) {
	var wanted []struct{ ID, Title string }
	if json.Unmarshal([]byte(q.arg("files")), &wanted) != nil || len(wanted) == 0 {
		return nil, refuse("invalid_arguments", "[ERROR] files must be an array of objects with an id")
	}
	var stored []*storedFile
	for _, x := range wanted {
		var f *storedFile
		for _, u := range w.uploads {
			if u.ID == x.ID && u.appID == q.app.ID {
				f = u
			}
		}
		if f == nil || !f.uploaded {
			return nil, refuse("file_not_found")
		}
		stored = append(stored, f)
	}
	var targets []*conversation
	names := strings.Split(q.arg("channels"), ",")
	if id := q.arg("channel_id"); id != "" {
		names = []string{id}
	}
	for _, id := range names {
		if id == "" {
			continue
		}
		c := w.visible(q, id)
		switch {
		case c == nil:
			return nil, refuse("channel_not_found")
		case c.Archived:
			return nil, refuse("is_archived")
		case !c.has(q.app.BotUserID):
			return nil, refuse("not_in_channel")
		}
		targets = append(targets, c)
	}
	m := &Message{User: q.app.BotUserID, BotID: q.app.BotID, AppID: q.app.ID, Text: q.arg("initial_comment"), Subtype: "file_share"}
	if raw := q.arg("blocks"); raw != "" {
		blocks, e := w.readBlocks(raw, "/blocks")
		if e != nil {
			return nil, e
		}
		m.Blocks = blocks
	}
	for _, c := range targets {
		if e := w.thread(c, &Message{}, q.arg("thread_ts")); e != nil {
			return nil, e
		}
	}
	var out []File
	for i, f := range stored {
		if wanted[i].Title != "" {
			f.Title = wanted[i].Title
		}
		for _, c := range targets {
			f.shared = append(f.shared, c.ID)
		}
		delete(w.uploads, f.ticket)
		w.keepFile(f)
		m.Files = append(m.Files, f.File)
		out = append(out, w.fileOnWire(f.File, q.base))
	}
	for _, c := range targets {
		n := *m
		n.ThreadTS = q.arg("thread_ts")
		w.add(c, &n)
	}
	return answer{"files": out}, nil
}

// maxFileBytes bounds the content of all files together. The oldest go first; their
// messages stay.
const maxFileBytes = 256 << 20

// keepFile stores a completed upload. The lock is held.
func (w *Workspace) keepFile(f *storedFile) {
	w.files[f.ID] = f
	w.fileOrder = append(w.fileOrder, f.ID)
	w.fileBytes += len(f.content)
	for w.fileBytes > maxFileBytes && len(w.fileOrder) > 1 {
		w.fileBytes -= len(w.files[w.fileOrder[0]].content)
		delete(w.files, w.fileOrder[0])
		w.fileOrder = w.fileOrder[1:]
	}
}

func (w *Workspace) filesInfo(q *request) (answer, *apiError) {
	f := w.files[q.arg("file")]
	if f == nil {
		return nil, refuse("file_not_found")
	}
	return answer{"file": w.fileOnWire(f.File, q.base), "comments": []any{}, "response_metadata": answer{"next_cursor": ""}}, nil
}

func (w *Workspace) fileOnWire(f File, base string) File {
	f.URLPrivate = base + "/files-pri/" + w.opts.TeamID + "-" + f.ID + "/" + url.PathEscape(f.Name)
	f.Download = f.URLPrivate + "?download=1"
	return f
}

// serveFile gives an app the content of a file, against its token.
func (w *Workspace) serveFile(rw http.ResponseWriter, r *http.Request) {
	secret := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, id, _ := strings.Cut(r.PathValue("id"), "-")
	w.mu.Lock()
	allowed := false
	for _, a := range w.apps {
		if t := a.tokens[secret]; t != nil && t.kind == "bot" && t.broken == "" {
			allowed = (&request{token: t}).need("files:read") == nil
		}
	}
	f := w.files[id]
	w.mu.Unlock()
	switch {
	case !allowed:
		http.Error(rw, "a bot token with files:read is needed", http.StatusForbidden)
	case f == nil:
		http.NotFound(rw, r)
	default:
		sendFile(rw, f, true)
	}
}

// sendFile writes a file so that a browser cannot take it for a page of ours.
func sendFile(rw http.ResponseWriter, f *storedFile, download bool) {
	h := rw.Header()
	kind := "application/octet-stream"
	switch f.Mimetype {
	case "text/plain":
		kind = "text/plain; charset=utf-8"
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		kind = f.Mimetype
	default:
		download = true
	}
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-store")
	if download {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	}
	_, _ = rw.Write(f.content)
}

// FileContent returns the bytes of an uploaded file.
func (w *Workspace) FileContent(id string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.files[id]; f != nil {
		return append([]byte(nil), f.content...), nil
	}
	return nil, fmt.Errorf("reading file %q: no such file was shared", id)
}
