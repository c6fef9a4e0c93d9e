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
		{Name: "after", Words: []string{"permission denied", "operation not permitted", "eacces", "eperm", "accessdenied", "access denied", "not writable", "unauthorizedaccess", "access to the path"}, Regexp: `(?i)(?:permission denied|operation not permitted|EACCES|EPERM|Access to the path|AccessDeniedException|not writable)[^/]{0,60}['"]?` + file},
		{Name: "before", Words: []string{"permission denied", "operation not permitted", "is not writable", "not writable"}, Regexp: `(?i)` + file + `['"]?\)?:?[^/]{0,60}(?:permission denied|operation not permitted|not writable)`},
		{Name: "bare", Words: []string{"permission denied", "operation not permitted", "eacces", "permissionerror"}},
	}
}

// deniedAt returns the last hit that names a path, and the path; a hit without one when no line names any.
func deniedAt(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, string, bool) {
	skip := func(h diagnose.Hit) bool {
		t := strings.ToLower(h.Text)
		return strings.Contains(t, "exec ") && strings.Contains(t, "exec:") || strings.Contains(t, "bind") || strings.Contains(t, "listen") || strings.Contains(t, "for user") || strings.Contains(t, "docker.sock") || strings.Contains(t, "publickey")
	}
	if f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern != "bare" && !skip(h) && len(h.Group("path")) > 2 }); ok {
		file := strings.TrimRight(h.Group("path"), ".")
		f.Keys = []string{file}
		return f, file, true
	}
	f, _, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return !skip(h) })
	return f, "", ok
}

// identity says as whom the container runs, and cites it.
func identity(c *diagnose.Case, f *diagnose.Finding) string {
	if uid, known := user(c); known {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: fmt.Sprint(uid)})
		return fmt.Sprintf(" as user %d", uid)
	}
	return ""
}
