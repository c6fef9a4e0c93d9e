package rules

import (
	"fmt"
	"strings"

	"crashloop/diagnose"
)

// denied is the pattern of lines in which a program says that it may not touch a file.
func denied() []diagnose.Pattern {
	const file = `(?P<path>/[^\s'"` + "`" + `:,;()\[\]]+)`
	return []diagnose.Pattern{
		{Name: "after", Words: []string{"permission denied", "operation not permitted", "eacces", "eperm", "accessdenied", "access denied", "not writable", "unauthorizedaccess", "access to the path"}, Regexp: `(?:(?i:permission denied|operation not permitted|Access to the path|AccessDeniedException|not writable)|\bEACCES\b|\bEPERM\b)[^/]{0,60}['"]?` + file},
		{Name: "before", Words: []string{"permission denied", "operation not permitted", "is not writable", "not writable"}, Regexp: `(?i)` + file + `['"]?\)?:?[^/]{0,60}(?:permission denied|operation not permitted|not writable)`},
		{Name: "owner", Words: []string{"must be accessible by owner only", "permissions are too open", "are too open", "too open", "has group or world access", "too permissive"}, Regexp: file + `['"]? .{0,40}(?:must be accessible by owner only|permissions are too open|has group or world access|too permissive)|(?:permissions for|permissions on) ['"]?(?P<path2>/[^\s'"]+)`},
		{Name: "bare", Words: []string{"permission denied", "operation not permitted", "eacces", "permissionerror"}, Regexp: `(?i:permission denied|operation not permitted)|\bEACCES\b|PermissionError`},
	}
}

// deniedAt returns the last hit that names a path, and the path; a hit without one when no line names any.
func deniedAt(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, string, bool) {
	skip := func(h diagnose.Hit) bool {
		t := strings.ToLower(h.Text)
		return strings.Contains(t, "exec ") && strings.Contains(t, "exec:") || strings.Contains(t, "bind") || strings.Contains(t, "listen") || strings.Contains(t, "for user") || strings.Contains(t, "docker.sock") || strings.Contains(t, "publickey")
	}
	if f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
		return h.Pattern != "bare" && !skip(h) && len(h.Group("path")+h.Group("path2")) > 2
	}); ok {
		file := strings.TrimRight(firstOf(h.Group("path"), h.Group("path2")), ".")
		f.Keys = []string{file}
		return f, file, true
	}
	f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return !skip(h) })
	if !ok {
		return f, "", false
	}
	// A path from where the program stands says little; the program often names the whole of it next.
	if strings.Contains(strings.ToLower(h.Text), "director") {
		for n := h.Line + 1; n <= h.Line+16; n++ {
			if _, after, ok := strings.Cut(h.Log.Line(n), "create directory "); ok {
				if path := strings.Trim(strings.Fields(after + " .")[0], `'"`+"`:,."); strings.HasPrefix(path, "/") {
					f.Keys, f.Span = []string{path}, n
					f.Evidence = append(f.Evidence, h.Log.Cite(n))
					return f, path, true
				}
			}
		}
	}
	// An error's causes stand on lines of their own: the path may stand on the one before.
	if before := h.Log.Line(h.Line - 1); strings.HasPrefix(h.Log.Line(h.Line), " ") {
		if i := strings.IndexByte(before, '/'); i > 0 && !strings.Contains(before, "://") {
			path, _, _ := strings.Cut(before[i:], " ")
			if path = strings.Trim(path, `'":,.)`); len(path) > 2 {
				f.Keys = []string{path}
				f.Evidence = append(f.Evidence, h.Log.Cite(h.Line-1))
				return f, path, true
			}
		}
	}
	return f, "", true
}

// identity says as whom the container runs, and cites it.
func identity(c *diagnose.Case, f *diagnose.Finding) string {
	if uid, known := user(c); known {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: fmt.Sprint(uid)})
		return fmt.Sprintf(" as user %d", uid)
	}
	return ""
}
