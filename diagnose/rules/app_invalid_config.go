package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func appInvalidConfig() diagnose.Rule {
	anyPath := regexp.MustCompile(`(?P<path>/[\w.@+-]+(?:/[\w.@+-]+)+)`)
	read := newReader()
	place := regexp.MustCompile(`(?i)\bline:? (?P<line>\d+)|[^\s\d]:(?P<line2>\d+)(?::\d+)?\b`)
	// A variable that is missing has a cause of its own.
	variable := regexp.MustCompile(`\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b.{0,60}(?:must be|is|are) (?:set|provided|specified|supplied|given|missing|required)\b`)
	// What a configuration error is only the messenger of.
	other := regexp.MustCompile(`(?i)host not found in|bind\(\) to|address already in use|no such file or directory|permission denied|cannot load certificate|no such host|connection refused|i/o timeout|no route to host|deadline exceeded|dial tcp|is forbidden: User|invalid path: /|EACCES|ENOENT|could not build .* hash|error parsing regexp|from flags: |Error loading [\w.]+ (?:or [\w.]+ )?module|JavaScript heap|rate limit|unknown host|UnknownHostException|could not resolve|No resolvable bootstrap|change ?sets? check ?sum|out of memory|storage engine: InnoDB|command not found|must be owned by the user identifier|\bfile (?:\w+ )?permissions (?:must|should) be\b|\bmust have (?:file )?permissions\b|can only be writable by the owner|unsupported (?:backend|storage|data|disk|database|snapshot|index|wal|volume) (?:format|layout)\b|\b40[13] (?:Forbidden|Unauthorized)\b|\bstatus(?: ?code)?(?:: ?|=| |\()40[13]\b`)
	return diagnose.Rule{
		ID: "app.invalid-config", Category: "app-error", Title: "Its configuration is there but wrong",
		Doc: diagnose.Doc{
			Means:   "The program reads its configuration and refuses it: it does not parse, or holds a setting or value that this version does not accept.",
			Confirm: "`kubectl logs POD --previous` names the file, the line or the setting; the volumeMounts tell which ConfigMap or Secret it comes from.",
			Mend:    "Correct the value in the ConfigMap or Secret and restart the workload. After an upgrade, compare with the new version's reference: settings get renamed and removed.",
			Source:  "The program's own messages; yaml.org, json.org, toml.io, nginx.org/en/docs",
		},
		Log: slices.Concat(frameworkSettings(), adviceWords(), settingsWords(), refusalWords(), serverSettings(), javaSettings(), storageSettings(), librarySettings(), []diagnose.Pattern{
			{Name: "nginx", Words: []string{"[emerg]"}, Regexp: `\[emerg\].*?(?P<what>(?:unknown|unexpected|invalid|directive|duplicate|no |"|host|conflicting|could not|unable|zero|the |too |location).*)`},
			{Name: "parse", Words: []string{"yaml: ", "toml: ", "did not find expected", "mapping values are not allowed", "cannot unmarshal", "scannererror", "scannerexception", "parserexception", "that cannot start any token", "parsererror", "jsondecodeerror", "invalid character", "error converting yaml", "unexpected token", "unexpected end of json", "error parsing", "failed to parse", "unable to parse", "could not parse", "cannot parse", "parse error", "parsing error", "syntax error in", "error while parsing", "failed parsing", "tomldecodeerror", "parsingerror", "missingsectionheader", "malformed", "failed to unmarshal", "failed to decode", "error decoding", "unmarshal errors", "jsonparseexception", "syntax error on line", "syntax error at line", "not valid json", "not valid yaml", "invalid json", "invalid yaml", "invalid toml", "can't parse", "config parse", "unparsable", "bad indentation", "found character that cannot start"}},
			{Name: "invalid", Words: []string{"invalid config", "invalid configuration", "config is invalid", "configuration is invalid", "config error", "configuration error", "configerror", "config validation", "validation failed", "failed validation", "bad configuration", "bad config", "error in config", "error loading config", "error loading the config", "failed to load config", "failed to load the config", "could not load config", "unable to load config", "cannot load config", "failed to read config", "configuration file failed", "config file failed", "error reading config", "improperlyconfigured", "failed to bind properties", "bad directive", "unknown directive", "unrecognized directive", "unknown configuration", "unrecognized configuration parameter", "invalid value for", "invalid setting", "unknown setting", "unsupported config", "unknown field", "unknown property", "unknown key", "unknown config", "configuration problem", "configuration file contains errors", "fatal config file error", "invalid option for", "misconfigur", "invalid command '", "bad value for", "illegal value", "field not found", "config check failed", "failed to initialize config", "wrong value for", "not a valid value", "errors in the configuration", "must be one of", "additional properties are not allowed", "error during config", "problem with configuration", "validationerror", "unknown variable '", "autodetect an ipv4 address", "config has invalid keys", "overlaps with existing route", "storage locations are invalid", "no nameservers found", "invalid loglevel", "invalid log level", "field validation for '", "error initializing configuration", "default discovery settings are unsuitable", "no hostname setting provided", "hostname is not configured", "key material not provided", "unable to validate credentials inherited", "please configure one with 'bind'", "common.config.configexception", "error loading configuration", "invalid value for parameter", "unknown variant `", "missing field `", "failed to configure a datasource", "unknown option \"", "refused to parse", "unknown output plugin", "unknown input plugin", "unknown filter plugin", "format of the initialization string does not conform", "has failed the following constraints"}},
			// Any program's own words for it: "unable to instantiate configuration", "the configuration contains values which are invalid".
			{Name: "sentence", Words: []string{"config", "settings"}, Regexp: `(?i)(?:unable|failed|fail|failure|could not|couldn't|cannot|can't|not able) (?:to )?(?:initiali[sz]e|instantiate|load|read|parse|process|decode|validate|unmarshal|apply|interpret|understand|get|set up|init)\w* (?:\w+ ){0,3}?['"]?(?:config|settings)|(?:error|failure|problem|exception) (?:while |when |in |with |during )?(?:initiali[sz]ing|instantiating|loading|reading|parsing|processing|decoding|validating|unmarshalling) (?:\w+ ){0,3}?['"]?(?:config|settings)|(?:config(?:uration)?|settings)\b(?: file)?.{0,40}? (?:is|are|was|contains?|has|have) (?:\w+ ){0,5}?(?:invalid|malformed|incorrect|broken|wrong|bad|unsupported|not valid|incomplete)\b|invalid .{0,30}?(?:config|setting)|please (?:set|configure|provide|specify|define|add) .{1,60}? in (?:the |your )?['"]?\S*(?:config|settings)|(?:check|correct|fix) (?:the |your )(?:config|settings)|missing (?:required )?(?:config(?:uration)?|settings?) (?:field|key|value|option|parameter|property|entry|section)`},
			// The variables that the cluster makes of Services, where the program expects a port of its own.
			{Name: "folder", Words: []string{"/..data", "/..20"}, Regexp: `(?P<path>/[\w./-]*/\.\.(?:data|20\d\d_)[\w.]*).{0,120}?(?i:is a directory|EISDIR|not a (?:regular )?file)`},
			{Name: "link", Words: []string{"tcp://", "udp://"}, Regexp: `(?:tcp|udp)://(?P<ip>\d+\.\d+\.\d+\.\d+):(?P<port>\d+)`},
			// A file of settings that is reported on as a whole, and keys that fit no data.
			{Name: "reported", Words: []string{" has an error:", " has the following errors", "unrecognized field at", "messageencryptor::invalidmessage", "messageverifier::invalidsignature"}},
			// A database that is looked for in the container itself, since no host is set.
			{Name: "local", Words: []string{"mysql server through socket", "mariadb server through socket", "connection to server on socket", "connections on unix domain socket"}},
			// What database servers say of a name that they were asked for and do not have.
			{Name: "name", Words: []string{"ora-12514", "ora-12505", "ora-12154"}},
			{Name: "cluster", Words: []string{"requested cluster '"}, Regexp: `(?i)\bRequested cluster '[^']*' not found`}, // ClickHouse, of ON CLUSTER and its remote_servers
			// What Go's libraries say of an address, a duration or a number that was set wrongly.
			{Name: "value", Words: []string{"missing port in address", "too many colons in address", "unknown port", "invalid port ", "missing protocol scheme", "unsupported protocol scheme", "first path segment in url", "invalid duration", "missing unit in duration", "unknown unit", "parsing \"", "invalid character \" \" in host name", "quantities must match"}, Regexp: `missing port in address|too many colons in address|unknown port|invalid port "?\S|missing protocol scheme|unsupported protocol scheme|first path segment in URL|time: (?:invalid duration|missing unit in duration|unknown unit)|strconv\.\w+: parsing "[^"]*": (?:invalid syntax|value out of range)|in host name|quantities must match`},
			{Name: "sentence", Words: []string{"does not include", "doesn't include", "does not contain", "doesn't contain", "does not have", "does not define"}, Regexp: `(?i)(?:\.ini|\bconfig\w*|\bsettings)\b(?: file)? (?:does not|doesn't) (?:include|contain|have|define) .{1,40}\b(?:section|key|entry|block|stanza)\b`},
			// A secret that two sides share, and that is too short for either.
			{Name: "end", Words: []string{"too short"}, Regexp: `(?i)\btoo short (?:cookie|secret|password|passphrase|token|(?:\w+ )?key)\b|\b(?:cookie|secret|passphrase|token|(?:encryption|signing|master|session|jwt) key)s?\b.{0,30}\b(?:is|are) too short\b`},
			{Name: "value", Words: []string{"env/"}, Regexp: `\benv/[A-Z][A-Z0-9_]+ must (?:be|match|NOT)\b`}, // env-schema
			// serde, of a value in whatever it reads.
			{Name: "value", Words: []string{"invalid type: ", "invalid value: "}, Regexp: `\binvalid (?:type|value): .{1,80}, expected \S`},
			{Name: "requirement", Words: []string{"requirement failed: "}, Regexp: `requirement failed: .*(?:process\.roles|listeners|broker\.id|node\.id|controller\.|inter\.broker|log\.|zookeeper)`},
			{Name: "place", Words: []string{".conf:", ".cfg:", ".yaml:", ".yml:", ".toml:", ".json:", ".ini:", ".hcl:", ".cnf:", "caddyfile:", "corefile:"}, Regexp: `(?P<path>/[\w./@-]+(?:\.(?:conf|cfg|ya?ml|toml|json|ini|hcl|cnf)|Caddyfile|Corefile)):\d+(?::\d+)?(?:[:\]] | - )`},
		}),
		Closing: settingShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			if f, ok := kubeletsLink(c, named(hits, "folder")); ok {
				return []diagnose.Finding{f}
			}
			t := c.Last()
			if t == nil {
				return nil
			}
			scripts := named(hits, "running")
			hits = slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool { return h.Pattern == "running" })
			if len(hits) == 0 {
				if found := initScript(c, scripts); len(found) > 0 {
					return found
				}
				if found := refusedSetting(c); len(found) > 0 {
					return found
				}
				return byExitCode(c, t.ExitCode)
			}
			var out []diagnose.Finding
			for _, h := range slices.Backward(hits) {
				if f, ok := serviceLink(c, h); ok {
					return append(out, f)
				}
			}
			hits = slices.DeleteFunc(slices.Clone(hits), func(h diagnose.Hit) bool {
				source := strings.TrimSpace(h.Text) // the program's own text, which its message repeats
				return h.Pattern == "local" && servesDatabase(c) || strings.HasPrefix(source, "raise ") || strings.HasPrefix(source, "throw new ")
			})
			if t.ExitCode == 0 && !probeKilled(c).killed {
				// A program that ends well ends of nothing, unless an error is the last that it says.
				hits = slices.DeleteFunc(hits, func(h diagnose.Hit) bool { return h.Level < diagnose.Error || h.Line < beforeStopping(h.Log)-3 })
			}
			for _, h := range slices.Backward(hits) {
				if h.Pattern == "end" && (!atEnd(h) || variable.MatchString(h.Text)) {
					continue
				}
				if keptState(c, h.Text) || exchanged.MatchString(h.Text) && !configText.MatchString(h.Text) {
					continue // what it wrote itself, or was sent
				}
				if h.Pattern == "script" && strings.Contains(h.Text, "migrat") {
					continue // a step of a schema's history, which the database is not ready for
				}
				if h.Pattern == "obsolete" && !lastWord(h) || sumsUp.MatchString(h.Text) || strings.Contains(h.Text, "igrations have failed validation") {
					continue
				}
				if strings.Contains(h.Text, "invalid character '<'") && !strings.Contains(strings.ToLower(h.Text), "config") {
					continue // a server answers with a page where JSON was expected
				}
				quiet := h.Level == diagnose.Info && !strings.Contains(h.Text, "LOG: ") || h.Level == diagnose.Debug || h.Level == diagnose.Warn && h.Pattern == "place"
				if strings.Contains(h.Text, "failed_to_prepare_configuration") && slices.ContainsFunc(hits, func(o diagnose.Hit) bool { return o.Line < h.Line && strings.Contains(o.Text, "unknown variable") }) {
					continue // RabbitMQ said before what is wrong with it
				}
				if h.Pattern == "sentence" && strings.Contains(strings.ToLower(h.Text), "config version") {
					continue // which configuration another process runs with
				}
				if other.MatchString(h.Text) && h.Pattern != "local" || quiet || h.Pattern == "link" || h.Pattern == "folder" || strings.Contains(h.Text, "SyntaxError: ") && !strings.Contains(h.Text, "JSON") && !strings.Contains(h.Text, "Psych::") && h.Pattern == "parse" || len(out) == 2 {
					continue
				}
				// Of lines that follow each other the first says most: the others only end the report.
				h = firstOfBlock(hits, h, other)
				if len(out) > 0 && out[len(out)-1].At == h.Line {
					continue
				}
				if t, ok := traceAt(c, h.Line); ok && (h.Pattern == "setting" || h.Pattern == "end" || h.Pattern == "thrown" && t.Language == "Python") && bug(t) {
					continue // a function's parameter, not a setting
				}
				f := diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
				if (h.Pattern == "setting" || h.Pattern == "end") && c.Ran().Minutes() > 5 {
					f.Confidence = diagnose.Possible
				}
				switch {
				case h.Pattern == "thrown":
					f.Weight, f.Confidence = -20, diagnose.Possible
				case h.Pattern == "made":
					if f.Weight = -20; c.Ran().Minutes() > 1 {
						continue // of what a request brought
					}
				case h.Pattern == "cluster":
					f.Confidence = diagnose.Certain // the server's own verdict on a name that it was given
				case h.Pattern == "value" || h.Pattern == "sentence":
					f.Weight = -15 // what says more is more
					if c.Ran().Minutes() > 5 {
						f.Confidence = diagnose.Possible
					}
				case h.Pattern == "nginx" || strings.Contains(strings.ToLower(h.Text), "config"):
					f.Weight = 10
				case h.Pattern == "parse":
					// Parsing is what programs do all day; it counts as configuration when a file or the start says so.
					f.Weight = -20
					if c.Ran().Minutes() > 2 {
						f.Confidence = diagnose.Possible
					}
				}
				what := read.whole(h)
				if what != quote(h.Text) && other.MatchString(what) && !strings.Contains(h.Text, "FATAL CONFIG FILE ERROR") {
					continue
				}
				if t, ok := traceAt(c, h.Line); ok && t.Language == "Rust" && strings.HasSuffix(t.Message, what) {
					what = t.Message // with what it was about
				}
				f.Summary = fmt.Sprintf("%s refuses its configuration: %s", c.Who(), diagnose.Shorten(what, 260))
				f.Advice = "Correct it and restart the workload"
				absent := false
				for _, g := range anyPath.FindAllStringSubmatch(h.Text, 6) {
					m, ok := mountAt(c, g[1])
					if !ok {
						continue
					}
					f.Keys = append(f.Keys, g[1])
					if !m.isConfig() {
						continue
					}
					object, words := m.object(c.Subject.Namespace)
					if m.lacks(c) {
						absent = true // nothing can be wrong with what is not there
						continue
					}
					f.Proof = diagnose.Corroborated
					switch h.Pattern {
					case "made", "thrown", "value": // a file may be named in such words for another reason
					case "place":
						if h.Level >= diagnose.Error {
							f.Confidence = diagnose.Certain // below that a place, too
						}
					default:
						f.Confidence = diagnose.Certain
					}
					f.Root = object
					says := "key " + m.key + " is not accepted"
					if l := groups(place, h.Text); l != nil && l["line"] != "" {
						says = "key " + m.key + " line " + l["line"] + " is not accepted"
					}
					if object != "" {
						f.Chain = []diagnose.Link{{Object: object, Says: says}}
					}
					f.Summary = fmt.Sprintf("%s refuses its configuration, key %s of %s: %s", c.Who(), m.key, words, diagnose.Shorten(what, 240))
					f.Evidence = append(f.Evidence, m.cite(c))
					f.Advice = "Correct that key and restart the workload"
					f.Fixes = append(f.Fixes, m.edit(c)...)
					break
				}
				if absent && f.Proof < diagnose.Corroborated {
					f.Confidence = diagnose.Possible
				}
				if f.Root == "" && !absent {
					fromArgument(c, &f)
				}
				if f.Root == "" {
					fromContent(c, h, &f)
				}
				if h.Pattern == "local" {
					f.Summary = fmt.Sprintf("%s looks for its database in its own container, where there is none: %s", c.Who(), diagnose.Shorten(what, 200))
					f.Advice = "Set the database's host, a Service's name, where the program takes it from"
				}
				if len(f.Fixes) == 0 {
					f.Fixes = append(f.Fixes, diagnose.Fix{Title: "See what configures it", Command: c.Kubectl("get", c.Target(), "-o", "yaml")})
				}
				f.Fixes = append(f.Fixes, diagnose.Fix{Title: "Restart it once the configuration is right", Command: c.Kubectl("rollout", "restart", c.Target())})
				out = append(out, f)
			}
			if len(out) == 0 {
				if found := initScript(c, scripts); len(found) > 0 {
					return found
				}
				return refusedSetting(c)
			}
			return out
		},
	}
}

// kubeletsLink is for a program that reads all there is in a folder of a ConfigMap or Secret, the kubelet's own link to the files' folder with it.
func kubeletsLink(c *diagnose.Case, hits []diagnose.Hit) (diagnose.Finding, bool) {
	f, h, ok := lastHit(c, hits, atEnd)
	if !ok {
		return f, false
	}
	m, mounted := mountAt(c, h.Group("path"))
	if !mounted || !m.isConfig() {
		return f, false
	}
	object, words := m.object(c.Subject.Namespace)
	f.Proof, f.Root, f.Keys = diagnose.Corroborated, object, []string{h.Group("path")}
	if object != "" {
		f.Chain = []diagnose.Link{{Object: object, Says: "is mounted as a folder, which begins with a link of the kubelet's"}}
	}
	f.Summary = fmt.Sprintf("%s ends because it takes ..data, a link that the kubelet makes where it mounts %s, for a file of its configuration: %s", c.Who(), words, inSentence(h, 160))
	f.Advice = "Give it the names of the files instead of the folder, or mount each file with subPath; newer versions of many programs pass over such links"
	f.Evidence = append(f.Evidence, m.cite(c))
	f.Fixes = []diagnose.Fix{{Title: "See what it is told to read, and what is mounted", Command: c.Kubectl("get", c.Target(), "-o", "yaml")}}
	return f, true
}

var (
	// exchanged is what programs send each other, which no setting is the cause of.
	exchanged = regexp.MustCompile(`(?i)\b(?:request|response|message|http|json|reply) (?:body|payload)\b|\b(?:in|from|of) (?:the |an? )?(?:request|response|payload|body|message|event|record|reply|webhook)\b|\bbody into the target type\b|\(message from |\breceived message\b`)
	// configText is what makes a setting of it after all.
	configText = regexp.MustCompile(`(?i)\bconfig|settings?\b|\.(?:ya?ml|toml|ini|conf|hcl)\b`)
)

// byExitCode deals with a program that ends with the exit code for a wrong configuration, 78 of sysexits(3), after an error in words of its own.
func byExitCode(c *diagnose.Case, code int32) []diagnose.Finding {
	l := c.Log()
	if code != 78 || l.Empty() {
		return nil
	}
	n := lastWords(l)
	if diagnose.LineLevel(l.Line(n)) < diagnose.Error {
		return nil
	}
	for n > 1 && diagnose.LineLevel(l.Line(n-1)) >= diagnose.Error {
		n-- // the first of the errors says what the others come of
	}
	return []diagnose.Finding{{
		Confidence: diagnose.Likely, Proof: diagnose.Words, Weight: -100, Log: l, At: n, Span: n, Evidence: []diagnose.Evidence{l.Cite(n)},
		Summary: fmt.Sprintf("%s ends with exit code 78, which stands for a wrong configuration: %s", c.Who(), diagnose.Shorten(quote(diagnose.Say(l.Line(n))), 200)),
		Advice:  "Correct what it names and restart the workload",
		Fixes:   []diagnose.Fix{{Title: "See what configures it", Command: c.Kubectl("get", c.Target(), "-o", "yaml")}},
	}}
}

// servesDatabase says that a container of the pod is a database itself, whose socket it may well look for.
func servesDatabase(c *diagnose.Case) bool {
	return slices.ContainsFunc(c.Spec.Containers, func(ct corev1.Container) bool {
		image := strings.ToLower(ct.Image)
		return strings.Contains(image, "mysql") || strings.Contains(image, "mariadb") || strings.Contains(image, "percona") || strings.Contains(image, "postgres") || strings.Contains(image, "pgsql")
	})
}

// fromArgument names the ConfigMap or Secret of the one configuration file that the command line names, for lines that name none.
func fromArgument(c *diagnose.Case, f *diagnose.Finding) {
	if c.Container == nil {
		return
	}
	var found *mount
	for _, arg := range slices.Concat(c.Container.Command, c.Container.Args) {
		i := strings.IndexByte(arg, '/')
		if i < 0 {
			continue
		}
		if m, ok := mountAt(c, arg[i:]); ok && m.isConfig() && !strings.HasSuffix(m.key, ".sh") {
			if found != nil && found.Name != m.Name {
				return
			}
			found = &m
		}
	}
	if found == nil {
		return
	}
	words := ""
	if f.Root, words = found.object(c.Subject.Namespace); f.Root != "" {
		says := "holds its configuration"
		if found.key != "" {
			says, words = says+", key "+found.key, "key "+found.key+" of "+words
		}
		f.Chain = []diagnose.Link{{Object: f.Root, Says: says}}
		f.Advice = "Correct " + words + " and restart the workload"
	}
	f.Evidence = append(f.Evidence, found.cite(c))
	f.Fixes = append(f.Fixes, found.edit(c)...)
}

// firstOfBlock is the first of the hits that stand on lines next to each other, down to the given one.
func firstOfBlock(hits []diagnose.Hit, h diagnose.Hit, other *regexp.Regexp) diagnose.Hit {
	for i := len(hits) - 1; i >= 0; i-- {
		if p := hits[i]; p.Line <= h.Line && p.Line >= h.Line-2 && !other.MatchString(p.Text) && !strings.Contains(p.Text, "deprecated") && p.Level != diagnose.Warn && (p.Level == h.Level || p.Level > diagnose.Info && p.Line == h.Line-1 || h.Level == diagnose.NoLevel && p.Line == h.Line-1) {
			h = p
		}
	}
	return h
}

// traceAt is the stack trace that a line belongs to.
func traceAt(c *diagnose.Case, line int) (diagnose.Trace, bool) {
	for _, t := range c.Traces() {
		if line >= t.First && line <= t.Last {
			return t, true
		}
	}
	return diagnose.Trace{}, false
}
