package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func volumeSubpathShadow() diagnose.Rule {
	bareCommand := regexp.MustCompile(`exec:? \\?"(?P<cmd>[^"\\/]+)\\?": executable file not found in \$PATH`)
	quoted := regexp.MustCompile(`"(?P<path>/[^"\s]+)"|(?P<bare>/[\w.@+-]+(?:/[\w.@+-]+)+)`)
	// What the runtime prints when the file is there and what should run it is not (image.bad-interpreter): a file that is hidden is a StartError.
	there := regexp.MustCompile(`^exec /\S+: no such file or directory$`)
	// Where the runtime was to put a mount point, and could not; older ones name the container's root before it. Their quotation marks are escaped once for
	// every message that theirs stands in.
	placed := regexp.MustCompile(`mounting \\*"(?P<from>[^"\\]+)\\*" to rootfs (?:\\*"(?P<root>[^"\\]+)\\*" )?at \\*"(?P<at>[^"\\]+)\\*".*read-only file system`)
	missing := regexp.MustCompile(`(?i)not found|no such file|cannot find|can't open|unable to access|could not find|must be unique`)
	return diagnose.Rule{
		ID: "volume.subpath-shadow", Category: "volume", Title: "A mount hides the program's own files",
		Doc: diagnose.Doc{
			Means:   "A volume is mounted over a directory in which the image keeps its program or code. The volume's content takes its place, so that the program is not found although it is in the image. Or a volume that nobody can write to is mounted over a directory in which another mount is to stand: /etc, in which every container gets its own hosts and hostname, or /var/run, where its token goes.",
			Confirm: "Compare the path that is not found with the volumeMounts; without the mount the image starts.",
			Mend:    "Mount the volume elsewhere, or mount only the one file that is needed, with subPath.",
			Source:  "kubernetes.io/docs/concepts/storage/volumes#using-subpath",
		},
		Log: []diagnose.Pattern{{Words: []string{"not found", "no such file", "cannot find module", "can't open file", "unable to access jarfile", "could not find", "nonexistent", "nosuchfileexception"}}, {
			// What runtimes print when they are given a program that is not there; .NET takes its name for a command of the SDK.
			Name: "none", Words: []string{"sdk commands", "sdks were found", "access jarfile", "can't open file", "the application '", "to execute does not exist", "find a package.json", "no package.json"},
			Regexp: `(?i)\bdid you mean to run (?:\.NET(?: Core)?|dotnet) SDK commands|\bNo \.NET SDKs were found|Unable to access jarfile (?P<file>\S+)|can't open file '(?P<file2>[^']+)'|\bThe application '(?P<file3>[^']+)' does not exist|application to execute does not exist: '(?P<file4>[^']+)'|(?P<file5>(?-i:package\.json)) (?:file in|was found in)\b`,
		}},
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			check := func(text string) (string, mount, bool) {
				if !missing.MatchString(text) {
					return "", mount{}, false
				}
				for _, m := range quoted.FindAllStringSubmatch(text, 6) {
					p := firstOf(m[1], m[2])
					at, ok := mountAt(c, p)
					if !ok || at.brings(c) || at.SubPath != "" || strings.HasPrefix(at.MountPath, "/etc") && !strings.Contains(text, "exec") || strings.HasPrefix(at.MountPath, "/var/run") || at.volume == nil {
						continue
					}
					if isProgram(c, p, text) {
						return p, at, true
					}
				}
				return "", mount{}, false
			}
			var f diagnose.Finding
			file, m, found := "", mount{}, false
			for _, s := range statements(c) {
				if file, m, found = check(s.text); found {
					f = fromStatement(s)
					break
				}
			}
			if found, ok := closedPath(c, placed); ok && file == "" {
				return []diagnose.Finding{found}
			}
			if found, ok := hiddenPath(c, bareCommand); ok && file == "" {
				return []diagnose.Finding{found}
			}
			if !found {
				t := c.Last()
				if t == nil || t.ExitCode == 0 {
					return nil
				}
				if found, ok := hiddenDefault(c, hits); ok {
					return []diagnose.Finding{found}
				}
				if found, ok := hiddenSettings(c, hits); ok {
					return []diagnose.Finding{found}
				}
				if found, ok := hiddenFolder(c, hits); ok {
					return []diagnose.Finding{found}
				}
				for i := len(hits) - 1; i >= 0 && !found; i-- {
					if there.MatchString(strings.TrimSpace(hits[i].Text)) {
						continue
					}
					if file, m, found = check(hits[i].Text); found {
						f = diagnose.FromHit(hits[i], diagnose.Certain, diagnose.Corroborated)
					}
				}
			}
			if !found {
				if found, ok := hiddenProgram(c, hits); ok {
					return []diagnose.Finding{found}
				}
				return nil
			}
			f.Weight = 70
			_, words := m.object(c.Subject.Namespace)
			f.Keys = []string{file}
			f.Summary = fmt.Sprintf("%s cannot start: %s is mounted over %s and hides %s of the image", c.Who(), words, m.MountPath, file)
			f.Advice = "Mount it elsewhere, or only the one file that is needed, with subPath"
			f.Evidence = append(f.Evidence, m.cite(c))
			if f.Confidence == diagnose.Certain && (m.volume.PersistentVolumeClaim != nil || filled(c, m.Name)) {
				f.Confidence = diagnose.Likely
			}
			f.Fixes = []diagnose.Fix{m.singleFile(c)}
			return []diagnose.Finding{f}
		},
	}
}

// isProgram says that a path is of a program or its code rather than of its configuration.
func isProgram(c *diagnose.Case, file, text string) bool {
	if strings.Contains(text, "exec:") || strings.Contains(text, "exec ") || strings.Contains(text, "jarfile") || strings.Contains(text, "Cannot find module") || strings.Contains(text, "can't open file") {
		return true
	}
	if argued(c, file) != "" && !strings.Contains(argued(c, file), "config") {
		switch path.Ext(file) {
		case ".py", ".js", ".mjs", ".jar", ".rb", ".php", ".sh", ".dll", "":
			return true
		}
	}
	switch path.Base(file) {
	case "package.json", "manage.py", "Gemfile", "Rakefile", "config.ru", "artisan", "mix.exs", "deno.json", "composer.json", "autoload.php": // what lies beside a program's code
		return true
	}
	if opensScript.MatchString(text) {
		return true
	}
	return strings.Contains(text, ": not found") && (strings.HasPrefix(text, "/bin/sh") || strings.HasPrefix(text, "sh:") || strings.Contains(text, "exec:"))
}

// opensScript is a shell that does not find the script which it is to run.
var opensScript = regexp.MustCompile(`^(?:\S*/)?(?:ba|da|a|z)?sh: (?:\d+: )?(?:cannot open |can't open )?['"]?/\S+\.sh['"]?: (?:No such file|not found)`)

// hiddenPath is for a command by its bare name, of the image's own, that is not found while a volume is mounted over a directory in which
// images keep their commands.
func hiddenPath(c *diagnose.Case, bareCommand *regexp.Regexp) (diagnose.Finding, bool) {
	s, g, ok := said(c, bareCommand)
	if !ok || argued(c, g["cmd"]) != "" || c.Container == nil {
		return diagnose.Finding{}, false
	}
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local", "/usr"} {
		m, mounted := mountAt(c, dir)
		if !mounted || m.SubPath != "" || m.volume == nil {
			continue
		}
		f := fromStatement(s)
		_, words := m.object(c.Subject.Namespace)
		f.Confidence, f.Weight = diagnose.Likely, 60
		f.Keys = []string{g["cmd"]}
		f.Summary = fmt.Sprintf("%s cannot start: %s is mounted over %s, and hides the image's command %s there", c.Who(), words, m.MountPath, g["cmd"])
		f.Advice = "Mount it elsewhere, or only the one file that is needed, with subPath"
		f.Settle = "Whether the image starts without the mount."
		f.Evidence = append(f.Evidence, m.cite(c))
		f.Fixes = []diagnose.Fix{{Title: "Mount it elsewhere", Patch: containerPatch(c, fmt.Sprintf("volumeMounts:\n- mountPath: %s\n  $patch: delete\n- name: %s\n  mountPath: /opt/%s", diagnose.Scalar(m.MountPath), diagnose.Scalar(m.Name), diagnose.Scalar(m.Name)))}}
		return f, true
	}
	return diagnose.Finding{}, false
}

// hiddenFolder is for a file that the program would write, or reads out of a folder of the image's, below a directory over which a whole volume
// is mounted: what the image keeps there is not to be seen, and a key of a ConfigMap or Secret can hold no folder.
func hiddenFolder(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, bool) {
	for _, h := range slices.Backward(hits) {
		g := groups(writtenPath, h.Text)
		if h.Level == diagnose.Info || h.Level == diagnose.Debug || g == nil || exit(c) == 127 || exit(c) == 126 {
			continue
		}
		m, ok := mountAt(c, g["path"])
		if !ok || m.volume == nil || m.SubPath != "" || m.SubPathExpr != "" || !strings.Contains(m.key, "/") || m.foldersOf() {
			continue
		}
		f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
		if !m.isConfig() && m.volume.EmptyDir == nil {
			f.Confidence = diagnose.Possible // it may have been there once
		}
		folder := path.Dir(path.Join(m.MountPath, m.key))
		_, words := m.object(c.Subject.Namespace)
		f.Weight, f.Keys = 50, []string{g["path"]}
		f.Summary = fmt.Sprintf("%s finds no folder %s: %s is mounted over %s and hides what the image has there", c.Who(), folder, words, m.MountPath)
		f.Advice = "Mount it elsewhere, or only the files that are needed, each with subPath"
		f.Settle = "Whether the image has that folder."
		f.Evidence = append(f.Evidence, m.cite(c))
		f.Fixes = []diagnose.Fix{m.singleFile(c)}
		return f, true
	}
	return diagnose.Finding{}, false
}

// shipped are files that images keep beside their main configuration and that hardly anybody brings: what includes them misses them once a ConfigMap
// takes the whole folder.
var shipped = regexp.MustCompile(`^(?:mime\.types|magic|(?:fastcgi|uwsgi|scgi)_params|fastcgi\.conf|koi-(?:utf|win)|win-utf|jvm\.options|log4j2?\.(?:properties|xml)|logback(?:-[\w-]+)?\.xml|logging\.properties|catalina\.(?:properties|policy)|web\.xml|tomcat-users\.xml|cacerts|java\.security|cache-ispn\.xml|mod_\w+\.so|opensearch-security|\w+\.(?:load|mo))$`)

// hiddenDefault is for a file that the image keeps beside the one which a ConfigMap or Secret brings, below a directory over which that is mounted.
func hiddenDefault(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, bool) {
	for _, h := range slices.Backward(hits) {
		if h.Level == diagnose.Info || h.Level == diagnose.Debug {
			continue
		}
		for _, g := range anyPath.FindAllString(h.Text, 6) {
			m, ok := mountAt(c, g)
			if !ok || !shipped.MatchString(path.Base(g)) || !m.isConfig() || m.SubPath != "" || m.SubPathExpr != "" || m.brings(c) {
				continue
			}
			f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
			_, words := m.object(c.Subject.Namespace)
			f.Weight, f.Keys = 70, []string{g}
			f.Summary = fmt.Sprintf("%s ends because %s is not there: %s is mounted over %s and hides the files that the image has there", c.Who(), g, words, m.MountPath)
			f.Advice = "Mount only the files that it brings, each with subPath"
			f.Settle = "Whether the image has " + g + "."
			f.Evidence = append(f.Evidence, m.cite(c))
			f.Fixes = []diagnose.Fix{m.singleFile(c)}
			return f, true
		}
	}
	return diagnose.Finding{}, false
}

// hiddenSettings is for a file of a folder in which images keep their own settings, over which a volume is mounted that begins empty: the image's start
// script would change the file, and does not find it. Where an init container mounts the volume, too, that one is to fill it.
func hiddenSettings(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, bool) {
	for _, h := range slices.Backward(hits) {
		if !scripted.MatchString(h.Text) {
			continue
		}
		for _, g := range anyPath.FindAllString(h.Text, 6) {
			m, ok := mountAt(c, g)
			if !ok || m.volume == nil || m.volume.PersistentVolumeClaim == nil && m.volume.EmptyDir == nil || path.Clean(m.MountPath) == path.Clean(g) || !settingsFolder.MatchString(path.Clean(m.MountPath)) || path.Ext(g) == "" || filled(c, m.Name) {
				continue
			}
			f := diagnose.FromHit(h, diagnose.Likely, diagnose.Corroborated)
			_, words := m.object(c.Subject.Namespace)
			f.Weight, f.Keys = 70, []string{g}
			f.Summary = fmt.Sprintf("%s cannot start: %s is mounted over %s, and hides what the image has there: its start script does not find %s", c.Who(), words, m.MountPath, g)
			f.Advice = "Fill the volume with what the image has there before the first start, or mount it elsewhere"
			f.Settle = "Whether the image has " + g + "."
			f.Evidence = append(f.Evidence, m.cite(c))
			f.Fixes = []diagnose.Fix{
				{Title: "See what the image has there", Command: c.Kubectl("run", "look", "--rm", "-it", "--restart=Never", "--image="+image(c), "--command", "--", "ls", "-la", path.Clean(m.MountPath))},
				m.singleFile(c),
			}
			return f, true
		}
	}
	return diagnose.Finding{}, false
}

// filled says that an init container mounts a volume, too.
func filled(c *diagnose.Case, volume string) bool {
	return slices.ContainsFunc(c.Spec.InitContainers, func(i corev1.Container) bool {
		return slices.ContainsFunc(i.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume })
	})
}

var (
	// scripted is how the commands of a start script, or its shell, say that they do not find a file.
	scripted = regexp.MustCompile(`(?i)^(?:\+ )?(?:(?:\S*/)?(?:sed|cat|cp|mv|grep|e?grep|awk|envsubst|chmod|chown|cut|perl|ln|crudini|xmlstarlet|yq|jq|source|\.): |\S*(?:\.sh|entrypoint\S*|/(?:ba|da|a)?sh|^(?:ba|da|a)?sh): (?:line )?\d+: ).*(?:no such file|can't (?:read|open|stat)|cannot (?:stat|open|read|access|find))`)
	// settingsFolder is where images keep the settings that they come with: a folder of that name within the program's, or one in /etc.
	settingsFolder = regexp.MustCompile(`^(?:/[^/]+)+/(?:conf|configs?|configuration|etc|cfg|settings|conf\.d)$|^/etc/[\w.-]+(?:/[\w.-]+)?$`)
)

// anyPath is a path that a line names in full.
var anyPath = regexp.MustCompile(`/[\w.@+-]+(?:/[\w.@+-]+)+`)

// writtenPath is a file that could not be made, in the words of shells, coreutils and nginx, or whose name says that it is written.
var writtenPath = regexp.MustCompile(`^\S+: (?:line )?\d+: (?:cannot create |can't create )?(?P<path>/[^\s:]+): (?:No such file or directory|Directory nonexistent|nonexistent directory)$` +
	`|(?i:(?:cannot|can't|could not|couldn't|unable to|failed to) (?:create|touch|make)(?: (?:temporary|temp|regular|directory|file|folder))* )['"‘\x60]?(?P<path2>/[^\s'"’\x60:;,)]+)['"’\x60]?:? .{0,40}(?i:no such file or directory|nonexistent)` +
	`|\bmkdir\(\) "(?P<path3>/[^"]+)" failed \(2: |\bopen\(\) "(?P<path4>/[^"]+\.(?:log|pid))" failed \(2: `)

// singleFile is the fix that mounts one file of the volume in place of the whole.
func (m mount) singleFile(c *diagnose.Case) diagnose.Fix {
	return diagnose.Fix{Title: "Mount a single file", Patch: containerPatch(c, fmt.Sprintf("volumeMounts:\n- mountPath: %s\n  $patch: delete\n- name: %s\n  mountPath: %s\n  subPath: FILE", diagnose.Scalar(m.MountPath), diagnose.Scalar(m.Name), diagnose.Scalar(path.Join(m.MountPath, "FILE"))))}
}

// closedPath is for a mount point that the runtime cannot make, because a volume that nobody can write to is mounted over the directory in which
// it is to stand.
func closedPath(c *diagnose.Case, placed *regexp.Regexp) (diagnose.Finding, bool) {
	s, g, ok := said(c, placed)
	if !ok || c.Container == nil {
		return diagnose.Finding{}, false
	}
	at := path.Clean("/" + strings.TrimPrefix(g["at"], g["root"]))
	m, mounted := mountAt(c, path.Dir(at))
	if rest, ok := strings.CutPrefix(at, "/var/run/"); ok && !mounted {
		m, mounted = mountAt(c, path.Dir("/run/"+rest)) // where most images have a link to
	}
	if !mounted || m.volume == nil || !m.ReadOnly && !m.isConfig() {
		return diagnose.Finding{}, false
	}
	f := fromStatement(s)
	_, words := m.object(c.Subject.Namespace)
	f.Weight = 70
	f.Keys = []string{at}
	f.Summary = fmt.Sprintf("%s cannot start: %s is mounted over %s, where nothing can be written, and %s is to be mounted within it", c.Who(), words, m.MountPath, at)
	f.Advice = "Mount it elsewhere, or only the files that are needed, each with subPath"
	f.Evidence = append(f.Evidence, m.cite(c))
	f.Fixes = []diagnose.Fix{m.singleFile(c)}
	return f, true
}
