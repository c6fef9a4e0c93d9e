package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func configFileMissing() diagnose.Rule {
	const file = `(?P<path>(?:[A-Za-z]:)?(?:[~./]|[\w-]+[./])[^\s'"` + "`" + `:,;()\[\]]*)`
	const quote = `['"` + "`" + `]?`
	return diagnose.Rule{
		ID: "config.file-missing", Category: "missing-config", Title: "A file that the program needs is not there",
		Doc: diagnose.Doc{
			Means:   "The program ends because it cannot open a file that it needs, most often its configuration. Either no volume is mounted at that path, or the mounted ConfigMap or Secret has no such key.",
			Confirm: "`kubectl logs POD --previous` names the path; compare it with the volumeMounts in `kubectl get pod POD -o yaml`, and with the keys of the ConfigMap or Secret behind them.",
			Mend:    "Mount the file there, add the key, or tell the program the right path.",
			Source:  "open(2), ENOENT; kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap",
		},
		Log: []diagnose.Pattern{
			{Name: "open", Words: []string{"no such file or directory"}, Regexp: `(?i)(?:^|[^/\w.-])(?:open|stat|lstat|read|load|loading|reading|opening|access|find|readfile|file|config(?:uration)?(?: file)?|cannot open|can't open|can't read|cannot read|cannot load(?: certificate(?: key)?)?|BIO_new_file\(|open\(\)|failed to (?:open|load|read)|cat|from|python3?: can't open file) ?:?\(?` + quote + file + quote + `\)?[^/]{0,40}?(?i:no such file or directory)`},
			{Name: "errno", Words: []string{"no such file or directory"}, Regexp: `(?i)no such file or directory(?: \(os error 2\))?\)?:?,? ?(?:@ \w+ - |open |stat |lstat |scandir |access |cannot open )?` + quote + file + quote},
			{Name: "path", Words: []string{"no such file or directory"}, Regexp: `(?:^|[\s'"])(?P<path>/[^\s'":,;()]+)['"]? ?:? \(?(?:error:[0-9A-Fa-f]+:[^/]{0,60}?)?(?i:no such file or directory)`},
			// Rust's errors name the path in a field.
			{Name: "field", Words: []string{"no such file or directory"}, Regexp: `\b(?:path|file|filename): "(?P<path>[^"]+)".{0,120}[Nn]o such file or directory`},
			{Name: "after", Words: []string{"file does not exist", "file doesn't exist", "file not found"}, Regexp: `(?i)\bfile (?:does not exist|doesn't exist|not found): ` + quote + file},
			{Name: "named", Words: []string{"file "}, Regexp: `(?:^|[\s\]:])[Ff]ile ['"` + "`" + `]?(?P<path>[\w./@-]*[\w-]\.[a-z][a-z0-9.]{1,12})['"` + "`" + `]? (?:was |is |could )?(?:not (?:be )?found|does not exist|doesn't exist|is missing)\b`},
			{Name: "bare", Words: []string{"failed to open source, ", " directory does not exist"}, Regexp: `failed to open source, \\?"file://(?P<path>[^"\\]+)\\?": .*(?:no such file|file does not exist)|(?:^|[\s"'])(?P<path2>[\w./-]*migrations?[\w./-]*) directory does not exist\b`}, // golang-migrate, goose
			{Name: "after", Words: []string{"found on local disk"}, Regexp: `\\?"(?P<path>/[^"\\]+)\\?" couldn't be found on local disk`},                                                                                                                                                    // k6
			{Name: "after", Words: []string{"bad file: /"}, Regexp: `what\(\):\s+bad file: (?P<path>/\S+)`},                                                                                                                                                                                  // yaml-cpp
			{Name: "after", Words: []string{"path '"}, Regexp: `\bpath '(?P<path>/[^']+)' does not exist`},                                                                                                                                                                                   // kingpin
			{Name: "after", Words: []string{"/dub path "}, Regexp: `/dub path (?P<path>/\S+) exists\] FAILED`},                                                                                                                                                                               // Confluent's images
			{Name: "after", Words: []string{"unable to read the file "}, Regexp: `[Uu]nable to read the file (?P<path>/[^\s(]+?)(?: \(|\. ).{0,120}make sure this files? exists`},                                                                                                            // OpenSearch
			{Name: "bare", Words: []string{"path doesn't exist: ", "unable to resolve location filesystem:"}, Regexp: `\bPath doesn't exist: ['"]?(?P<path>[\w./-]*\w)|resolve location filesystem:(?P<path2>/[\w./-]*\w)`},                                                                  // Alembic, Flyway
			{Name: "glob", Words: []string{"matches no files"}, Regexp: `matches no files: [^\w./]*(?P<path>[\w./*@-]+)`},                                                                                                                                                                    // Go's html/template
			{Name: "nginx", Words: []string{"no such file or directory"}, Regexp: `(?i)(?:cannot load certificate(?: key)?|BIO_new_file\(|SSL_CTX_\w+\(|open\(\)|stat\(\)) "?(?P<path>/[^\s"']+)"?.*no such file or directory`},
			{Name: "java", Words: []string{"filenotfoundexception", "nosuchfileexception"}, Regexp: `(?:FileNotFoundException|NoSuchFileException): (?:Jar |(?:[Ff]ile )?file:|[\w ]+ does not exist: (?:file:)?|class path resource \[)?` + file},
			{Name: "dotnet", Words: []string{"could not find file", "could not find a part of the path", "physical path was"}, Regexp: `(?i)(?:could not find (?:file|a part of the path)|physical path was) '(?P<path>[^']+)'`},
			{Name: "words", Words: []string{"does not exist", "not found", "no such file", "missing", "cannot find", "can't find", "unable to find", "could not find", "failed to find", "could not be found"}, Regexp: `(?i)(?:^|[^/\w.-])(?:config(?:uration)?|settings|file|certificate|key|keystore|credentials?|kubeconfig|template|schema|policy|license)[^/"']{0,40}?['"(]?(?P<path>/[^\s'",;()]+\.[a-z0-9]{1,12})['")]?[^/\d]{0,20}?(?:does not exist|not found|no such file|is missing|could not be found|cannot be found)`},
			{Name: "find", Words: []string{"cannot find", "can't find", "unable to find", "could not find", "failed to find", "couldn't find", "missing"}, Regexp: `(?i)(?:cannot find|can't find|unable to find|could not find|failed to find|couldn't find|missing)(?: the)? (?:config(?:uration)?|settings|certificate|credentials?|key|license)?(?: ?file)?:? ?['"(]?(?P<path>/[^\s'",;()]+\.[a-z0-9]{1,12})`},
			// Go's own form of the error, with the number of ENOENT.
			{Name: "struct", Words: []string{"patherror{"}, Regexp: `&(?:os|fs)\.PathError\{Op:"\w+", Path:"(?P<path>[^"]+)", Err:(?:syscall\.Errno\()?0x2\b`},
			// GHC names the file first: "app: /etc/app.yml: openFile: does not exist (No such file or directory)".
			{Name: "ghc", Words: []string{"file: does not exist ("}, Regexp: `(?:^|[\s:])` + file + `: (?:open|with|read|get)\w*: does not exist \(`},
			{Name: "directory", Words: []string{"not found", "does not exist", "missing"}, Regexp: `(?i)\b(?:data|home|config(?:uration)?|template|static|plugin|migrations?) director(?:y|ies) (?:at |path )?['"]?(?P<path>/[^\s'",;()]+)['"]? (?:is |was )?(?:not found|does not exist|missing)\b`},
			{Name: "bare", Words: []string{"you must mount your "}, Regexp: `you must mount your .{1,120} to the (?P<path>/[\w./-]+) directory`}, // Bitnami's images
			{Name: "bare", Words: []string{" file is missing"}, Regexp: `(?:^|[\s:'"])(?P<path>[\w./-]*\w)['"]? file is missing\b`},
			{Name: "no", Words: []string{"no config", "no settings", "no certificate", "no license"}, Regexp: `(?i)\bno (?:config\w*|settings|certificate|license)(?: file)? (?:(?:is |was )?(?:available|found|present|exists) )?(?:at|in|under) ['"]?(?P<path>/[^\s'",;()]+\.[a-z0-9]{1,12})`},
			// The configuration as such, without its path.
			{Name: "unnamed", Words: []string{"configuration file", "config file", ": file does not exist"}, Regexp: `(?i)\bfirst \S{1,80}: file does not exist$|(?:could not|cannot|can't|couldn't|failed to|unable to) (?:open|find|locate|access|stat)(?: the| a| any)? config(?:uration)? file\b(?:[.,;!]|$)|\bno config(?:uration)? file (?:was )?(?:found|given|specified)\b`},
			{Name: "unnamed", Words: []string{"the expected ", "the required "}, Regexp: `(?i)(?:could not|couldn't|cannot|can't|unable to|failed to) find (?:any of )?the (?:expected|required) (?P<what>[\w ().-]{2,40}? files?)\b`},
			{Name: "viper", Words: []string{"not found in \"["}, Regexp: `Config File "(?P<path>[^"]+)" Not Found in "\[(?P<dirs>[^\]]*)\]"`},
			// Envoy of a path in its configuration that cannot be read.
			{Name: "envoy", Words: []string{"invalid path: /"}, Regexp: `[Ii]nvalid path: (?P<path>/[^\s'",;()]+)`},
			// OpenSSL says on lines of its own why the file that a line before names could not be loaded.
			{Name: "openssl", Words: []string{"fopen:no such file"}, Regexp: `(?P<path>fopen):No such file or directory`},
			{Name: "php", Words: []string{"failed to open stream", "failed opening required"}, Regexp: `(?i)(?:require(?:_once)?|include(?:_once)?|fopen|file_get_contents|parse_ini_file)\((?P<path>[^)]+)\):.*no such file|failed opening required '(?P<path2>[^']+)'`},
			frameworkFiles(),
		},
		Closing: fileShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			seen := map[string]bool{}
			for _, h := range slices.Backward(hits) {
				file := strings.TrimRight(h.Group("path"), `.,;:'"`)
				if dirs := strings.Fields(h.Group("dirs")); h.Pattern == "viper" && len(dirs) > 0 && !strings.Contains(file, "/") {
					file = path.Join(dirs[0], file) // it takes any of yaml, json, toml, ...
				}
				if strings.HasPrefix(file, "/") && strings.Contains(h.Text, "."+file) && !strings.Contains(h.Text, " "+file) {
					continue // the end of a path that begins where the program stands
				}
				if h.Pattern == "openssl" {
					file = namedAbove(h)
				}
				if file == "" || seen[file] || len(file) < 3 || !likelyFile(file) && h.Pattern != "bare" || isCommand(h.Text) || consequence(h) || storesPart(c, file) || strings.Contains(h.Text, `\r'`) || h.Pattern == "named" && !atEnd(h) || strings.Contains(h.Text, "opening storage failed") || strings.Contains(h.Text, "extension control file") || exit(c) == 127 && strings.Contains(h.Text, file+": No such file") || deniedBefore(h, file) || strings.Contains(h.Text, "ermission denied") || keptFile.MatchString(h.Text) || ofPackages.MatchString(file) {
					continue
				}
				seen[file] = true
				out = append(out, fileMissing(c, h, file))
				if len(out) == 3 {
					break
				}
			}
			if len(out) == 0 {
				return unnamedFile(c, named(hits, "unnamed"))
			}
			return out
		},
	}
}

// ofPackages is a file of what a language's package manager installs.
var ofPackages = regexp.MustCompile(`(?:^|/)(?:vendor/autoload\.php|vendor/composer/|node_modules/|site-packages/|dist-packages/)`)

// namedAbove is the file that the first of a few lines before a hit names in quotation marks, "" when none does.
func namedAbove(h diagnose.Hit) string {
	file := ""
	for n := h.Line - 1; n > 0 && n >= h.Line-4; n-- {
		if m := quotedFile.FindStringSubmatch(h.Log.Line(n)); m != nil {
			file = m[1]
		}
	}
	return file
}

var quotedFile = regexp.MustCompile(`["'](/[^"'\s]+)["']`)

// unnamedFile is the finding of a program that has no configuration file and does not say where it looked.
func unnamedFile(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
	f, h, ok := lastHit(c, hits, atEnd)
	if !ok || c.Container == nil {
		return nil
	}
	f.Weight = -30
	f.Summary = fmt.Sprintf("%s ends because it finds no configuration file: %s", c.Who(), inSentence(h, 160))
	f.Advice = "See where it looks for the file, and mount it there"
	if h.Group("what") != "" {
		f.Weight = 10
		f.Summary = fmt.Sprintf("%s ends because files that it needs are not there: %s", c.Who(), inSentence(h, 200))
		f.Advice = "See by what names it looks for the files, and mount them there"
	}
	for _, vm := range c.Container.VolumeMounts {
		if m, ok := mountAt(c, vm.MountPath); ok && m.isConfig() && h.Group("what") == "" {
			_, words := m.object(c.Subject.Namespace)
			f.Advice = fmt.Sprintf("See where it looks for the file, and whether %s, mounted at %s, has it", words, vm.MountPath)
			f.Evidence = append(f.Evidence, m.cite(c))
			break
		}
	}
	f.Fixes = []diagnose.Fix{{Title: "See what the container mounts", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.containers[*].volumeMounts}")}}
	return []diagnose.Finding{f}
}

// deniedBefore says that the program was refused the folder of a file just before it missed the file, or as it then tried to make it.
func deniedBefore(h diagnose.Hit, file string) bool {
	if h.Log == nil {
		return false
	}
	for n := min(h.Line+12, h.Log.Len()); n > 0 && n > h.Line-20; n-- {
		line := h.Log.Line(n)
		if !strings.Contains(line, "ermission denied") {
			continue
		}
		for dir := path.Dir(file); len(dir) > 4; dir = path.Dir(dir) {
			if strings.Contains(line, dir) {
				return true
			}
		}
	}
	return false
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// likelyFile tells a path from a word: it holds a slash or a dot.
func likelyFile(s string) bool {
	return strings.ContainsAny(s, "/.") && !strings.HasSuffix(s, ".sock") && !strings.HasPrefix(s, "/dev/") && !strings.HasPrefix(s, "/proc/") && !strings.HasPrefix(s, "/sys/") && !strings.HasPrefix(s, "/lib/modules") && !strings.HasPrefix(s, "/var/lib/dkms/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, ".so.") && !strings.HasSuffix(s, ".so")
}

// isCommand says that a line speaks of a program that cannot be run rather than of a file that cannot be read.
func isCommand(line string) bool {
	l := strings.ToLower(line)
	return strings.Contains(l, "exec ") && !strings.Contains(l, "open ") || strings.HasPrefix(l, "env: ") || strings.Contains(l, "bad interpreter") || strings.Contains(l, "shared librar") || strings.Contains(l, "fork/exec") || strings.Contains(l, ".s.pgsql") || strings.Contains(l, ".sock")
}

// consequence says that a file is missing because of what else the lines say: data that is corrupt, a directory that could not be made.
func consequence(h diagnose.Hit) bool {
	if ofStore(h.Text) || strings.Contains(strings.ToLower(h.Text), "corrupt") || strings.Contains(h.Text, "could not access file \"") {
		return true
	}
	for n := max(1, h.Line-40); n < h.Line; n++ {
		if l := strings.ToLower(h.Log.Line(n)); strings.Contains(l, "permission denied") && (strings.Contains(l, "mkdir") || strings.Contains(l, "create director")) {
			return true
		}
	}
	return false
}

// ofStore says that a file which is missing is one of a storage engine's own, which it writes by itself.
func ofStore(line string) bool {
	l := strings.ToLower(line)
	return strings.Contains(l, "file \"global/") || strings.Contains(l, "file \"base/") || strings.Contains(l, "file \"pg_") || strings.Contains(l, "rocksdb") || strings.Contains(l, "local shard") || strings.Contains(l, ".sst: no such file") || strings.Contains(l, ".ldb: no such file") || strings.Contains(l, "/wal/") || strings.Contains(l, "wiredtiger")
}

func fileMissing(c *diagnose.Case, h diagnose.Hit, file string) diagnose.Finding {
	f := diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
	f.Keys = []string{file, path.Base(file)}
	if strings.Contains(strings.ToLower(h.Text), "config file") {
		f.Keys = append(f.Keys, "config file")
	}
	f.Summary = fmt.Sprintf("%s ends because the file %s is not there", c.Who(), file)
	f.Advice = "Mount it there, or tell the program where it is"
	f.Fixes = []diagnose.Fix{{Title: "See what the container mounts", Command: c.Kubectl("get", "pod", c.Subject.Pod, "-o", "jsonpath={.spec.containers[*].volumeMounts}")}}
	m, ok := mountAt(c, file)
	switch {
	case ok && m.isConfig():
		object, words := m.object(c.Subject.Namespace)
		keys := filesOf(c, m)
		f.Proof = diagnose.Corroborated
		if len(m.items()) > 0 && m.lacks(c) {
			return notListed(c, f, m)
		}
		f.Root = object
		f.Summary += fmt.Sprintf(": %s, mounted at %s, has no %s", words, m.MountPath, m.key)
		if object != "" {
			f.Chain = []diagnose.Link{{Object: object, Says: "has no key " + m.key}}
		}
		f.Advice = "Add the key"
		if strings.Contains(m.key, "/") && m.SubPath == "" {
			f.Advice = "A key holds no folder: list it under items with that path, or mount it there with subPath"
		}
		if len(keys) > 0 && !slices.Contains(keys, m.key) {
			if !strings.Contains(m.key, "/") {
				f.Confidence = diagnose.Certain
			}
			f.Summary += "; it has " + list(keys)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Source: words + " keys", Text: list(keys)})
			if near := diagnose.Nearest(m.key, keys); near != "" && !strings.Contains(m.key, "/") {
				f.Advice = fmt.Sprintf("Add the key, or use %s if that is what is meant", near)
			}
		}
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath})
	case ok:
		_, words := m.object(c.Subject.Namespace)
		f.Summary += fmt.Sprintf(" (%s is mounted at %s)", words, m.MountPath)
		f.Advice = "Put the file into that volume, or mount it from a ConfigMap or Secret"
	case c.Container != nil && strings.HasPrefix(file, "/"):
		f.Proof = diagnose.Corroborated
		if before := c.Previous(); before != nil {
			for i := range before.Spec.Containers {
				ct := &before.Spec.Containers[i]
				if was, ok := mountIn(ct, &before.Spec, file); ok && ct.Name == c.Subject.Container {
					f.Confidence = diagnose.Certain
					f.Summary += fmt.Sprintf("; the revision before mounted %s", was.MountPath)
					f.Advice = "Mount it again, or go back to that revision"
				}
			}
		}
		var mounts []string
		for _, vm := range c.Container.VolumeMounts {
			if !strings.HasPrefix(vm.MountPath, "/var/run/secrets/") {
				mounts = append(mounts, vm.MountPath)
			}
		}
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("volumeMounts"), Text: "nothing is mounted at " + path.Dir(file) + "; mounted are: " + list(mounts)})
		f.Fixes = append(f.Fixes, diagnose.Fix{
			Title: "Mount it from a ConfigMap",
			Patch: bothPatch(c, fmt.Sprintf("volumeMounts:\n- name: config\n  mountPath: %s\n  subPath: %s", diagnose.Scalar(file), diagnose.Scalar(path.Base(file))),
				"volumes:\n- name: config\n  configMap:\n    name: "+diagnose.Scalar(c.Subject.Name())),
		})
	}
	if where := argued(c, file); where != "" {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: "names " + file})
	}
	return f
}

// notListed ends the finding of a file that its volume does not bring, because the volume lists which keys it takes, and by what names.
func notListed(c *diagnose.Case, f diagnose.Finding, m mount) diagnose.Finding {
	files := filesOf(c, m)
	_, words := m.object(c.Subject.Namespace)
	f.Confidence = diagnose.Certain
	f.Summary += fmt.Sprintf(": the volume %s, mounted at %s, brings %s of %s and no %s", m.Name, m.MountPath, list(files), words, m.key)
	f.Advice = fmt.Sprintf("Give the item in the volume %s the path %s, or tell the program the right file", m.Name, m.key)
	f.Evidence = append(f.Evidence, m.cite(c), diagnose.Evidence{Source: "spec.volumes[" + m.Name + "].items", Text: list(files)})
	return f
}
