package rules

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func appReadOnlyFilesystem() diagnose.Rule {
	return diagnose.Rule{
		ID: "app.read-only-filesystem", Category: "app-error", Title: "It writes where the file system is read-only",
		Doc: diagnose.Doc{
			Means:   "The program writes to a path that is mounted read-only: the root file system under readOnlyRootFilesystem, or a ConfigMap or Secret mount, which is always read-only.",
			Confirm: "`kubectl logs POD --previous` names the path (EROFS); `kubectl get pod POD -o yaml` shows readOnlyRootFilesystem and the mounts.",
			Mend:    "Mount an emptyDir at the directory that it writes to, or tell the program to write elsewhere.",
			Source:  "errno(3), EROFS; kubernetes.io/docs/tasks/configure-pod-container/security-context",
		},
		Log: []diagnose.Pattern{
			{Name: "path", Words: []string{"read-only file system", "erofs"}, Regexp: `(?P<path>/[^\s'"` + "`" + `:,;()]+)['"]?\)?:? [^/]{0,40}(?i:read-only file system)|(?i:read-only file system|EROFS)[^/]{0,60}['"]?(?P<path2>/[^\s'"` + "`" + `:,;()]+)`},
			{Name: "bare", Words: []string{"read-only file system", "erofs"}},
			// .NET, which does not come up where it cannot make the pipe and the socket of its diagnostics in the folder for temporary files. E_FAIL is all it says.
			{Name: "clr", Words: []string{"failed to create coreclr"}, Regexp: `^Failed to create CoreCLR, HRESULT: 0x80004005\b`},
			// A folder that would have to be made first, the one above it, too.
			{Name: "made", Words: []string{"mkdir "}, Regexp: `\bENOENT: no such file or directory, mkdir '(?P<path>/[^']+)'|\bmkdir (?P<path2>/[^\s:'"]+): no such file or directory`},
			// Frameworks that only say that they cannot write: Symfony, Twig, Laravel, Monolog.
			{Name: "unsaid", Words: []string{"unable to create the ", "unable to write in the ", "must be present and writable", "could not be opened in append mode", "unable to create directory ", "unable to write to directory"}, Regexp: `(?i:unable to (?:create|write in) the (?:"[\w -]+" |[\w -]+ )?directory \("?|unable to (?:create|write to) (?:the )?(?:[\w-]+ )?directory:? ["']?|the (?:stream or file |directory )?["']?)(?P<path>/[^\s"'()]+?)["')]*(?:[.,]|\s|$)`},
		},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			// Some only try, and go on where they may not: nginx's own start does.
			fails := func(h diagnose.Hit) bool {
				return h.Level != diagnose.Info && h.Level != diagnose.Debug && !strings.Contains(h.Text, "info: can not modify") && !(ownerOnly.MatchString(h.Text) && goesOn(h))
			}
			f, h, ok := lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "path" && fails(h) })
			if !ok {
				f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool { return h.Pattern == "bare" && fails(h) })
			}
			f.Confidence = diagnose.Certain
			if !ok {
				if f, h, ok = lastHit(c, hits, func(h diagnose.Hit) bool {
					_, mounted := mountAt(c, h.Group("path"))
					return (h.Pattern == "unsaid" && !reasoned.MatchString(h.Text) || h.Pattern == "made" && nearEnd(h)) && readOnlyRoot(c) && !mounted && fails(h)
				}); !ok {
					return noDiagnostics(c, named(hits, "clr"))
				}
				f.Confidence = diagnose.Likely // its user may lack the right, too
			}
			file := h.Group("path")
			f.Keys = []string{file}
			f.Summary = fmt.Sprintf("%s ends because it writes to a read-only file system", c.Who())
			dir := "/tmp"
			if file != "" {
				f.Summary = fmt.Sprintf("%s ends because it writes to %s, which is read-only", c.Who(), file)
				if dir = path.Dir(file); strings.Count(file, "/") == 1 || !strings.Contains(path.Base(file), ".") {
					dir = file
				}
			}
			m, mounted := mountAt(c, file)
			switch {
			case mounted && (m.isConfig() || m.ReadOnly):
				_, words := m.object(c.Subject.Namespace)
				f.Proof = diagnose.Corroborated
				f.Summary += fmt.Sprintf(": %s is mounted there", words)
				f.Evidence = append(f.Evidence, m.cite(c))
				f.Advice = "Copy it to an emptyDir in an init container and write there"
				dir = "/work"
			case readOnlyRoot(c):
				f.Proof = diagnose.Corroborated
				f.Summary += " (readOnlyRootFilesystem)"
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("securityContext.readOnlyRootFilesystem"), Text: "true"})
				f.Advice = "Mount an emptyDir at " + dir
			default:
				f.Advice = "Mount a volume that can be written to there"
			}
			f.Fixes = []diagnose.Fix{{Title: "Mount an emptyDir at " + dir, Patch: bothPatch(c, "volumeMounts:\n- name: scratch\n  mountPath: "+diagnose.Scalar(dir), "volumes:\n- name: scratch\n  emptyDir: {}")}}
			return []diagnose.Finding{f}
		},
	}
}

// noDiagnostics is for .NET, which does not start where its folder for temporary files cannot be written to.
func noDiagnostics(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, _, ok := lastHit(c, hits, nil)
	if !ok || !readOnlyRoot(c) {
		return nil
	}
	dir := "/tmp"
	for _, e := range c.Container.Env {
		if e.Name == "TMPDIR" && strings.HasPrefix(e.Value, "/") {
			dir = path.Clean(e.Value)
		}
	}
	if m, mounted := mountAt(c, dir); mounted && !m.isConfig() && !m.ReadOnly {
		return nil
	}
	f.Proof, f.Keys = diagnose.Corroborated, []string{dir}
	f.Summary = fmt.Sprintf("%s ends because .NET cannot start where it may not write to %s: the root file system is read-only (readOnlyRootFilesystem), and nothing that can be written to is mounted there", c.Who(), dir)
	f.Advice = "Mount an emptyDir at " + dir + ", or set DOTNET_EnableDiagnostics=0, without which .NET makes a pipe and a socket there"
	f.Settle = "Whether it starts with an emptyDir at " + dir + "."
	f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("securityContext.readOnlyRootFilesystem"), Text: "true"})
	f.Fixes = []diagnose.Fix{
		{Title: "Mount an emptyDir at " + dir, Patch: bothPatch(c, "volumeMounts:\n- name: scratch\n  mountPath: "+diagnose.Scalar(dir), "volumes:\n- name: scratch\n  emptyDir: {}")},
		{Title: "Or let .NET do without", Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, "DOTNET_EnableDiagnostics=0")},
	}
	return []diagnose.Finding{f}
}

// reasoned says why something cannot be written, if it is not for the file system.
var reasoned = regexp.MustCompile(`(?i)permission denied|no space|not a directory|file exists|quota|no such file`)

// ownerOnly is a start script's attempt to change the owner or mode of files that are mounted: it goes on where it may not, unless it ends there.
var ownerOnly = regexp.MustCompile(`^(?:chown|chmod|chgrp): `)

// goesOn says that what follows upon such attempts is no failure.
func goesOn(h diagnose.Hit) bool {
	for n := h.Line + 1; n <= h.Log.Len(); n++ {
		line := strings.TrimSpace(h.Log.Line(n))
		if line != "" && !ownerOnly.MatchString(line) {
			return !failsThen.MatchString(line)
		}
	}
	return false
}

var failsThen = regexp.MustCompile(`(?i)fail|error|\bexit|abort|kill|non-?zero`)
