package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

// denied is the pattern of lines in which a program says that it may not touch a file.
func denied() []diagnose.Pattern {
	const file = `(?P<path>/[^\s'"‘’“”` + "`" + `:,;()\[\]]+)`
	const begin = `(?:^|[\s'"‘“(=:,\[` + "`" + `])` // a whole path, not the end of one that begins at the working directory
	return slices.Concat(serverFiles(file), storageFiles(file), []diagnose.Pattern{
		{Name: "after", Words: []string{"permission denied", "operation not permitted", "eacces", "eperm", "accessdenied", "access denied", "not writable", "unauthorizedaccess", "access to the path"}, Regexp: `(?:(?i:permission denied|operation not permitted|Access to the path|AccessDeniedException|not writable)|\bEACCES\b|\bEPERM\b)[^/]{0,60}?` + begin + file},
		{Name: "before", Words: []string{": eacces", "permission denied", "operation not permitted", "is not writable", "not writable", "not writeable", "not accessible for user"}, Regexp: `(?i)` + begin + file + `['"’]?\)?:?[^/]{0,60}(?:permission denied|operation not permitted|not write?able|not accessible for user|eacces\b)`},
		{Name: "owner", Words: []string{"must be accessible by owner only", "permissions are too open", "are too open", "too open", "has group or world access", "too permissive", "has invalid permissions", "has wrong ownership", "has wrong permissions", "has incorrect permissions", "must be owned by the user identifier", "can only be writable by the owner"}, Regexp: file + `['"]?\)? .{0,40}(?:must be accessible by owner only|must be owned by the user identifier|can only be writable by the owner|permissions are too open|has group or world access|too permissive|has (?:invalid|wrong|incorrect) (?:permissions|ownership))|(?i:permissions (?:\d+ )?(?:for|on)) ['"]?(?P<path2>/[^\s'"]+)`},
		{Name: "write", Words: []string{"cannot write to ", "can't write to ", "could not write to ", "unable to write to ", "not able to write to ", "on a read-only directory"}, Regexp: `(?i:(?:cannot|can't|could not|unable to|not able to) write to (?:the )?(?:data )?(?:directory |folder |file )?|on a read-only directory:? )['"]?` + file},
		{Name: "write", Words: []string{"/dub path "}, Regexp: `/dub path ` + file + ` (?:writable|readable|executable)\] FAILED`}, // Confluent's images
		// npm, of its cache and of the folder that it installs into.
		{Name: "npm", Words: []string{"npm err! path /", "npm error path /", "sudo chown -r"}, Regexp: `^npm (?:ERR!|error) (?:path|\s*sudo chown -R \S+) "?` + file},
		// A start that is to change from root to another user, and is not root.
		{Name: "switch", Words: []string{"must be suid", "operation not permitted", "must be run as root", "setgroups", "setgid", "setuid"}, Regexp: `(?:^|[\s/])(?:su|su-exec|gosu|setpriv|runuser|chpst|sudo|setuidgid|s6-\w+|start-stop-daemon)(?:\[\d+\])?: .{0,80}?(?:must be suid|[Oo]peration not permitted|set[ug]id|setgroups|must be run as root|effective user ID)`},
		{Name: "bare", Words: []string{"does not match the owner of the data"}},
		// A path that begins at the working directory: mkdir: cannot create directory 'data/x': Permission denied; EACCES: permission denied, mkdir './data'.
		{Name: "relative", Words: []string{"permission denied", "operation not permitted"}, Regexp: `(?i:permission denied|operation not permitted)[^/'"‘]{0,40}['"‘](?P<rel>(?:\./)?[\w.-]+(?:/[\w.-]*)*)['"’]|['"‘](?P<rel2>(?:\./)?[\w.-]+(?:/[\w.-]*)*)['"’]: (?i:permission denied|operation not permitted)|^(?:\S*/)?(?:tar|cp|mv|rm|ln|touch|install|rsync|unzip|chmod|chown): (?P<rel4>\./[\w.-]+(?:/[\w.-]*)*): .{0,40}?(?i:permission denied|operation not permitted)|\b(?:open|mkdir|create|unlink|stat|chmod|chown|mkdirat|dir|directory|file) (?P<rel3>(?:\./)?[\w.-]+(?:/[\w.-]*)*): (?i:permission denied|operation not permitted)`},
		{Name: "relative", Words: []string{"cannot write", "can't write", "could not write", "unable to write", "failed to write"}, Regexp: `(?i)(?:cannot|can't|could not|unable to|failed to) write (?:to|into|in) (?:the )?['"](?P<rel>[\w.-]+(?:/[\w.-]+)*)['"] (?:director|folder)`},
		{Name: "bare", Words: []string{"permission denied", "operation not permitted", "eacces", "permissionerror", "attempt to write a readonly database", "private key has world access", "is not writable", "permissions must be", "permissions should be"}, Regexp: `(?i:permission denied|operation not permitted|attempt to write a readonly database|private key has (?:group or )?world access|\b(?:directory|folder) is not writable|\bfile (?:\w+ )?permissions (?:must|should) be\b)|\bEACCES\b|PermissionError`},
	})
}

// unreasoned says that nothing tells why a directory could not be made, and that it lies on a claim which nothing gives to the user as whom the
// program runs.
func unreasoned(c *diagnose.Case, h diagnose.Hit, text string) bool {
	for _, w := range []string{"no space", "read-only", "quota", "i/o error", "exists", "not a directory", "stale", "no such file"} {
		if strings.Contains(text, w) {
			return false
		}
	}
	m, ok := mountAt(c, strings.TrimRight(h.Group("path"), "."))
	uid, known := user(c)
	_, has := fsGroup(c)
	return ok && m.volume != nil && m.volume.PersistentVolumeClaim != nil && (!known || uid != 0) && !has
}

// remote is a refusal that came from another machine, as the answer to a request.
var remote = regexp.MustCompile(`permission denied.{0,40}https?://|https?://\S+.{0,40}permission denied|\b403\b.{0,40}permission denied|permission denied: token|code = permissiondenied`)

// copiedTo is where a file is copied, moved or linked to: copyfile '/a' -> '/b'.
var copiedTo = regexp.MustCompile(`['"] -> ['"](/[^'"]+)['"]`)

// linked is a shell's trace of a symbolic link that it makes: + ln -s /tls/tls.crt /etc/ssl/certs/app.crt.
var linked = regexp.MustCompile(`^\++ ln (?:-\w+ )*-\w*s\w* (?:-\w+ )*['"]?(/[^\s'"]+)['"]? ['"]?(/[^\s'"]+)['"]?$`)

// linkedTo is the file that a path leads to by a link which the log shows being made before a hit, and the line that shows it.
func linkedTo(h diagnose.Hit, file string) (to string, line int) {
	for n := h.Line - 1; n > 0 && n > h.Line-200; n-- {
		m := linked.FindStringSubmatch(strings.TrimSpace(h.Log.Line(n)))
		if m != nil && (path.Clean(m[2]) == file || path.Join(m[2], path.Base(m[1])) == file) {
			return path.Clean(m[1]), n
		}
	}
	return "", 0
}

// npmDenied says that npm, whose error stands on several lines, names the path of a hit as one that it may not touch.
func npmDenied(h diagnose.Hit) bool {
	for n := h.Line - 1; n > 0 && n >= h.Line-12 && strings.HasPrefix(h.Log.Line(n), "npm "); n-- {
		if line := h.Log.Line(n); strings.HasSuffix(line, " code EACCES") || strings.HasSuffix(line, " code EPERM") {
			return true
		}
	}
	return false
}

var relativePath = regexp.MustCompile(`['"‘](\.{0,2}[\w-]*/[^'"’\s]+)['"’]`)

// deniedAt returns the last hit that names a path, and the path; a hit without one when no line names any.
func deniedAt(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, string, bool) {
	skip := func(h diagnose.Hit) bool {
		t := strings.ToLower(h.Text)
		if h.Pattern == "make" {
			return !unreasoned(c, h, t)
		}
		if h.Pattern == "npm" {
			return !npmDenied(h)
		}
		if h.Pattern == "write" {
			return strings.Contains(t, "no space") || strings.Contains(t, "read-only file") || strings.Contains(t, "quota") || strings.Contains(t, "i/o error") || !atEnd(h) && !strings.Contains(t, "terminating")
		}
		return strings.Contains(t, "exec ") && strings.Contains(t, "exec:") || (strings.Contains(t, "bind") || strings.Contains(t, "listen")) && !strings.Contains(t, "unix /") && !strings.Contains(t, "unix socket") || strings.Contains(t, "for user") || strings.Contains(t, ": fork: ") || strings.Contains(t, "docker.sock") || strings.Contains(t, "lock held by") || strings.Contains(t, "publickey") || remote.MatchString(t)
	}
	if f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool {
		path := h.Group("path")
		return h.Pattern != "bare" && !skip(h) && len(path) > 2 && !strings.HasPrefix(path, "//") && !strings.Contains(h.Text, "."+path) // ../x is no whole path
	}); ok {
		file := strings.TrimRight(h.Group("path"), ".")
		// Of two files the one that is written is the second.
		if to := copiedTo.FindStringSubmatch(h.Text); to != nil {
			if _, mounted := mountAt(c, file); !mounted {
				file = to[1]
			}
		}
		f.Keys = []string{file}
		if to, line := linkedTo(h, file); to != "" {
			f.Keys, file = append(f.Keys, to), to
			f.Evidence = append(f.Evidence, h.Log.Cite(line))
		}
		return f, file, true
	}
	if f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "relative" && !skip(h) }); ok {
		if file := fromWorkingDirectory(c, h.Group("rel")); file != "" {
			f.Keys = []string{file}
			return f, file, true
		}
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
	// What it then misses is named as it was named here, relative to where it runs.
	if m := relativePath.FindStringSubmatch(h.Text); m != nil {
		f.Keys = []string{m[1]}
	}
	// An error's causes stand on lines of their own: the path may stand on the one before.
	if before := h.Log.Line(h.Line - 1); strings.HasPrefix(h.Log.Line(h.Line), " ") {
		if i := strings.IndexByte(before, '/'); i > 0 && !strings.Contains(before, "://") {
			file, _, _ := strings.Cut(before[i:], " ")
			if file = strings.Trim(file, `'":,.)`); len(file) > 2 {
				f.Keys = []string{file}
				f.Evidence = append(f.Evidence, h.Log.Cite(h.Line-1))
				return f, file, true
			}
		}
	}
	return f, "", true
}

// fromWorkingDirectory makes a path that begins at the working directory a whole one: by the workingDir of the spec, by the one mount
// whose last folder it begins with, as data/upload does for a volume at /app/data, or by the one mount that the lines before speak of. It is
// empty when none tells.
func fromWorkingDirectory(c *diagnose.Case, file string) string {
	if c.Container == nil || file == "" {
		return ""
	}
	if dir := c.Container.WorkingDir; dir != "" {
		return path.Join(dir, file)
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(file), "./"), "/")
	found := ""
	for _, m := range c.Container.VolumeMounts {
		if path.Base(m.MountPath) != first {
			continue
		}
		if found != "" {
			return ""
		}
		found = path.Join(path.Dir(path.Clean(m.MountPath)), file)
	}
	return firstOf(found, underSpokenOf(c, file))
}

// underSpokenOf puts a path below the one mounted directory that the log names: "WordPress not found in /var/www/html - copying now...".
func underSpokenOf(c *diagnose.Case, file string) string {
	if !strings.HasPrefix(file, "./") {
		return ""
	}
	found, l := "", c.Log()
	for _, m := range c.Container.VolumeMounts {
		for n := max(l.Len()-40, 1); n <= l.Len(); n++ {
			if !strings.Contains(" "+l.Line(n)+" ", " "+strings.TrimSuffix(m.MountPath, "/")+" ") {
				continue
			}
			if found != "" && found != path.Join(m.MountPath, file) {
				return ""
			}
			found = path.Join(m.MountPath, file)
		}
	}
	return found
}

// identity says as whom the container runs, and cites it.
func identity(c *diagnose.Case, f *diagnose.Finding) string {
	if uid, known := user(c); known {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "securityContext.runAsUser", Text: fmt.Sprint(uid)})
		return fmt.Sprintf(" as user %d", uid)
	}
	return ""
}
