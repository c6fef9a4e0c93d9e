package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"crashloop/diagnose"
)

func configEnvMissing() diagnose.Rule {
	const name = `(?P<env>[A-Z][A-Z0-9_]{2,})`
	// One in lower or mixed case is told from other words by its underscore.
	const small = `(?P<env>[A-Za-z][A-Za-z0-9]*(?:_+[A-Za-z0-9]+)+)`
	// It tells of something that is not there.
	lacks := regexp.MustCompile(`(?i)\b(?:not|no|none|cannot|unset|undefined|missing|miss(?:es)?|required?s?|empty|blank|must|needs?|please|expect(?:s|ed)?|without|absent|null|nil|lacks?|provide|specify|unable|fail(?:ed|ure)|forgot|did you|set the|to be (?:set|given|provided|defined|specified))\b|n't\b`)
	// It is there, and contradicts something else.
	set := regexp.MustCompile(`(?i)\bis set,? but (?:there|no|not|the|it|this|that|[a-z]+ is)\b`)
	guessed := regexp.MustCompile(`(?i)most likely|probably because|this (?:may|might|can) (?:also )?(?:happen|be)`)
	// It says what is wrong with the value, which it calls by its kind: "environment variable: URL contains".
	contents := regexp.MustCompile(`: [A-Z]{2,} (?:contains?|has|does|points|starts|ends|cannot|must not)\b`)
	// It goes on without it, or only proposes it as a way out of something else.
	defaulted := regexp.MustCompile(`(?i)\bdefault(?:s|ed)?\b|fallback|using .{0,40}instead|does(?:n't| not) match|mismatch|deprecat|overrid|(?:consider|try|by) setting|to a (?:writable|different|valid)`)
	optional := regexp.MustCompile(`(?i)(?:you|this) (?:can|may|could|might) (?:be |also )?(?:set|us|control|change|disable|enable|suppress|configure)|to (?:suppress|disable|silence|change|override|avoid|enable|increase|turn)`)
	// An error's code and what it stands for: "WT_NOTFOUND: item not found"; and what a database lacks, in its capitals.
	code := regexp.MustCompile(`\b[A-Z][A-Z0-9]*_[A-Z0-9_]+: (?:item|entry|key|record|file|object|resource|page|block) not found\b|(?i:\b(?:table|view|column|relation|index|sequence|schema|function|constraint|keyspace|topic|queue|user|role) )["'` + "`" + `]?[A-Z][A-Z0-9_]*["'` + "`" + `]? not found\b`)
	// InnoDB's records: "Missing FILE_CHECKPOINT(46870) at 46870".
	record := regexp.MustCompile(`(?i:missing) [A-Z][A-Z0-9_]*\(\d`)
	// One of several ways in which a cloud's client looks for an identity.
	attempted := regexp.MustCompile(`\bEnvironment(?:al)?Credentials?(?:Provider)?\b`)
	demanded := regexp.MustCompile(`(?i)\bmust\b|required|missing|not set|unset|not found|not defined|undefined|empty`)
	// The kubelet of a subPathExpr.
	expression := regexp.MustCompile(`^(?:Error: )?missing value for (?P<env>[A-Za-z_][\w.-]*)(?:, [\w.-]+)*$`)
	return diagnose.Rule{
		ID: "config.env-missing", Category: "missing-config", Title: "An environment variable that the program needs is not set",
		Doc: diagnose.Doc{
			Means:   "The program ends because it does not find an environment variable, or finds it empty, and neither env nor envFrom of the container sets it.",
			Confirm: "`kubectl logs POD --previous` names the variable; `kubectl set env POD --list` shows those that are set.",
			Mend:    "Set it in the pod template, from a ConfigMap or Secret where it belongs there. The previous revision or another container of the pod may show the value.",
			Source:  "kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container",
		},
		Log: []diagnose.Pattern{
			// Python: KeyError: 'DATABASE_URL', and os.environ's own.
			{Name: "key", Words: []string{"keyerror"}, Regexp: `KeyError: ['"]` + name + `['"]`},
			// "environment variable X is not set", "env var X is required", "X environment variable must be set", ...
			{Name: "words", Words: []string{"environment variable", "env variable", "env var", "envvar", "environment key"}, Regexp: `(?i:environment variables?|env variables?|env vars?|envvars?|environment key)[^A-Z\n]{0,40}?\b` + name + `\b`},
			{Name: "before", Words: []string{"environment variable", "env variable", "env var", "envvar"}, Regexp: `\b` + name + `['"` + "`" + `]?(?:\s+\([^()\n]{0,40}\))?\s+(?i:environment variables?|env variables?|env vars?|envvars?)\b`},
			{Name: "words", Words: []string{"environment variable", "env variable", "env var", "envvar"}, Regexp: `(?i:environment variables?|env variables?|env vars?|envvars?):? ?(?:(?:named|called|for) )?['"` + "`" + `‘“$({\[]*` + small + `\b`},
			{Name: "before", Words: []string{"environment variable", "env variable", "env var", "envvar"}, Regexp: `(?:^|[\s'"` + "`" + `‘“$({:=\[])` + small + `['"` + "`" + `’”)}\]]*\s+(?i:environment variables?|env variables?|env vars?|envvars?)\b`},
			{Name: "unset", Words: []string{"not set", "is unset", "not defined", "undefined", "is required", "must be set", "is missing", "missing required", "not provided", "not found", "must be provided", "not specified", "must be specified", "is empty", "cannot be empty", "cannot be blank", "can't be blank", "must not be blank", "can't be empty", "should be set", "required but", "must not be empty", "not configured", "required variable", "missing env", "be defined", "required key", "unbound variable", "parameter not set", "parameter null or not set", "field required", "missing value", "no value", "please set", "you must set", "need to set", "you need to specify"}, Regexp: `(?:^|[\s'"` + "`" + `$({:=,\[])` + name + `\b['"` + "`" + `)}\]]?[\s:\['"]*(?:[a-z]+\s+){0,4}?(?i:(?:is |was |are )?(?:not set|unset|undefined|not defined|required|missing|not provided|not found|empty|not specified|not configured)|must (?:be (?:set|provided|specified|defined|given)|not be empty)|(?:cannot|can't|should not) be (?:empty|blank|null|undefined)|should be set|unbound variable|parameter (?:null or )?not set|required key missing value|field required|missing value|Input required)`},
			{Name: "words", Words: []string{"not available"}, Regexp: `\b(?P<env>[A-Z][A-Z0-9]*_[A-Z0-9_]+) (?:is |was )?not available\b`},
			{Name: "missing", Words: []string{"missing", "required", "please set", "must set", "need to set", "specify one of", "provide"}, Regexp: `(?i:missing(?: required)?(?: environment| config(?:uration)?| env)?(?: variables?| settings?| vars?| keys?| values?)?(?: for)?|required (?:key|variable|setting|env)|please (?:set|provide|define)|(?:must|need to|have to|should) (?:set|specify|provide|define)|specify one of)[:\s]+['"` + "`" + `$\[{]*` + name + `\b`},
			// kelseyhightower/envconfig, caarlos0/env, joho; Spring's placeholders.
			{Name: "envconfig", Words: []string{"required key"}, Regexp: `required key ` + name + ` missing value`},
			{Name: "smallrye", Words: []string{"the config property "}, Regexp: `config property (?P<env>[A-Za-z][\w.-]{2,}) is required but`},
			{Name: "placeholder", Words: []string{"could not resolve placeholder", "could not resolve substitution", "could not expand value"}, Regexp: `Could not (?:resolve placeholder|resolve substitution to a value:|expand value) ['"]?(?:\$\{)?(?P<env>[A-Za-z][A-Za-z0-9_.-]{2,})`},
			// pydantic-settings names the field on the line before.
			{Name: "pydantic", Words: []string{"field required"}},
			// Elixir: (System.EnvError) could not fetch environment variable "X" because it is not set; Ruby: key not found: "X".
			{Name: "fetch", Words: []string{"key not found", "could not fetch environment variable", "environment variable"}, Regexp: `(?:key not found: |environment variable )"` + name + `"`},
			// zod names the variable in a path near the line that says that it got nothing.
			{Name: "zod", Words: []string{"invalid_type"}},
			// and in a list of what is wrong with each, as t3-env and others print it.
			{Name: "listed", Words: []string{"required'", "required\"", "received undefined"}, Regexp: `\b` + name + `['"]?:\s*\[\s*['"](?:Required|Invalid input: expected \w+, received undefined)['"]`},
			// Rails: Missing `secret_key_base` for 'production' environment; ENV['RAILS_MASTER_KEY'] to read its credentials with.
			{Name: "rails", Words: []string{"missing `secret_key_base`", "missing encryption key to decrypt file"}, Regexp: "Missing (?:`(?P<secret>secret_key_base)`|encryption key to decrypt file)"},
			// bash: ${X:?words of one's own}.
			{Name: "shell", Words: []string{": line "}, Regexp: `^\S*?[^\s:]+: line \d+: ` + name + `: (?P<says>\S.*)$`},
			{Name: "datasource", Words: []string{"failed to configure a datasource: 'url' attribute is not specified"}},
			// Laravel, and .NET's connection strings.
			{Name: "laravel", Words: []string{"no application encryption key has been specified"}},
			{Name: "dotnet", Words: []string{"(parameter 'connectionstring')", "connection string '", "connectionstring property has not been initialized"}, Regexp: `Value cannot be null\. \(Parameter 'connectionString'\)|(?i:connection string) '(?P<conn>[A-Za-z]\w*)' (?:was )?(?i:not found|is missing|is not set|not configured)|ConnectionString property has not been initialized`},
			// Images of databases.
			{Name: "postgres", Words: []string{"superuser password is not specified"}, Regexp: `superuser password is not specified(?P<postgres>)`},
			{Name: "mysql", Words: []string{"password option is not specified"}, Regexp: `[Pp]assword option is not specified(?P<mysql>)`},
			// Rust: env::VarError, "NotPresent"; the variable stands in the expect message, if anywhere.
			// A licence that must be accepted by a variable, and the variable that the hint sets.
			{Name: "accept", Words: []string{"eula", "license not accepted", "license agreement", "licence agreement", "accept_"}, Regexp: `(?i:accept\b.{0,120}?(?:eula|licen[cs]e)|(?:eula|licen[cs]e)\b.{0,120}?accept|-e "?)(?:.{0,120}?[\s"'` + "`" + `](?P<env>[A-Z][A-Z0-9_]{3,60})(?:=|['"` + "`" + `]|\s(?i:to|is|environment|must)\b))?`},
			// Haskell's getEnv; zio-config and others.
			{Name: "getenv", Words: []string{": getenv: "}, Regexp: name + `: getEnv: does not exist`},
			{Name: "expected", Words: []string{" to be set"}, Regexp: `(?i:expected|expects|wants) ['"` + "`" + `]?` + name + `['"` + "`" + `]? (?:variable |environment variable )?to be set`},
			{Name: "envschema", Words: []string{"env must have required property"}, Regexp: `env must have required property '` + name + `'`},
			// The line of source that fails, as Python and Node.js show it, reads a variable and gets nothing.
			{Name: "source", Words: []string{"process.env", "os.environ", "os.getenv", "getenv("}, Regexp: `(?:process\.env(?:\.|\[['"])|os\.environ(?:\.get)?[\[(]['"]|\b[Gg]etenv\(['"])` + name},
			// The names stand in a list on the lines below.
			{Name: "no", Words: []string{" set", " provided", " configured", " specified", " defined"}, Regexp: `\b[Nn]o ` + name + ` (?:was |is |has been )?(?:set|provided|configured|specified|defined)\b`},
			{Name: "list", Words: []string{"variables"}, Regexp: `(?i)(?:(?:these|following|required|missing|necessary|mandatory) (?:required |mandatory )?(?:environment |env )?variables|variables? (?:are |is |were )?(?:missing|required|not set|must be set|need to be set|defined in \S+ but are not present))\b.{0,80}:\s*$`},
			{Name: "authentik", Words: []string{"secret key missing"}},
			{Name: "rust", Words: []string{"notpresent", "environment variable not found"}, Regexp: `\b` + name + `\b.*(?:NotPresent|environment variable not found)`},
		},
		Closing: variableShapes(),
		Match: func(c *diagnose.Case, hits []diagnose.Hit) []diagnose.Finding {
			var out []diagnose.Finding
			if s, g, ok := said(c, expression); ok {
				f := fromStatement(s)
				f.Keys = []string{g["env"]}
				f.Summary = fmt.Sprintf("%s cannot start: the subPathExpr of one of its mounts uses the environment variable %s, which the container does not set", c.Who(), g["env"])
				f.Advice = "Set it in the same container, before the mount can use it"
				f.Fixes = []diagnose.Fix{{Title: "Set it, for instance to the pod's name", Patch: containerPatch(c, fmt.Sprintf("env:\n- name: %s\n  valueFrom:\n    fieldRef:\n      fieldPath: metadata.name", diagnose.Scalar(g["env"])))}}
				return []diagnose.Finding{f}
			}
			for _, h := range slices.Backward(hits) {
				if h.Level == diagnose.Debug || attempted.MatchString(h.Text) || strings.Contains(h.Text, "No AWS Credentials provided by") || set.MatchString(h.Text) || code.MatchString(h.Log.Line(h.Line)) || record.MatchString(h.Text) || h.DoesWithout() && h.Level < diagnose.Error {
					continue
				}
				env := h.Group("env")
				switch h.Pattern {
				case "postgres":
					env = "POSTGRES_PASSWORD"
				case "pydantic":
					if field := strings.TrimSpace(h.Log.Line(h.Line - 1)); field != "" && !strings.ContainsAny(field, " :.>-") {
						env = strings.ToUpper(field)
					}
				case "zod":
					if env = zodPath(h); env == "" {
						continue
					}
				case "shell":
					if says := strings.ToLower(h.Group("says")); strings.HasPrefix(says, "command not found") || strings.HasPrefix(says, "readonly") || strings.Contains(says, "no such file") || strings.Contains(says, "permission denied") || strings.Contains(says, "not a valid identifier") || strings.Contains(says, "syntax error") || notAVariable(env) {
						continue
					}
				case "rails":
					env = "RAILS_MASTER_KEY"
					if h.Group("secret") != "" {
						env = "SECRET_KEY_BASE"
					}
				case "words", "before":
					if !strings.Contains(env, "_") && contents.MatchString(h.Text) {
						continue // what stands in a variable, not its name
					}
					// That a variable is spoken of does not say that it is not there.
					if !lacks.MatchString(h.Text) || defaulted.MatchString(h.Text) && !strings.Contains(h.Text, "must be set") || optional.MatchString(h.Text) && !demanded.MatchString(h.Text) {
						continue
					}
				case "source":
					if !readsNothing(c, h) {
						continue
					}
				case "datasource":
					env = "SPRING_DATASOURCE_URL"
				case "laravel":
					env = "APP_KEY"
				case "dotnet":
					env = "ConnectionStrings__" + firstOf(h.Group("conn"), "NAME")
					if h.Group("conn") == "" && slices.ContainsFunc(envNames(c), func(n string) bool { return strings.HasPrefix(strings.ToLower(n), "connectionstrings_") }) {
						continue // some are set, and it does not say which is not
					}
				case "list":
					env = listed(h)
				case "authentik":
					env = "AUTHENTIK_SECRET_KEY"
				case "accept":
					if env == "" {
						env = hinted(h)
					}
				case "mysql":
					env = "MYSQL_ROOT_PASSWORD"
					if c.Container != nil && strings.Contains(c.Container.Image, "mariadb") {
						env = "MARIADB_ROOT_PASSWORD"
					}
				}
				if h.Pattern != "accept" && h.Pattern != "shell" && suggested(h.Text, env) {
					continue
				}
				if env == "" || len(env) > 80 || h.Pattern == "unset" && notAVariable(env) || h.Pattern == "missing" && notAVariable(env) || bareWord(h, env) && !namesSetting.MatchString(env) {
					continue
				}
				if f, ok := envMissing(c, h, env); ok {
					if guessed.MatchString(h.Text) {
						f.Confidence, f.Proof, f.Weight = diagnose.Possible, diagnose.Words, -60
					} else if bareWord(h, env) && f.Confidence == diagnose.Certain {
						f.Confidence = diagnose.Likely
					}
					out = append(out, f)
				}
				if len(out) == 3 {
					break
				}
			}
			return out
		},
	}
}

// bareWord says that a line holds up a word in capitals that may be any, as an abbreviation is: no underscore, and nothing that speaks of variables.
func bareWord(h diagnose.Hit, env string) bool {
	switch h.Pattern {
	case "unset", "missing", "no", "expected":
		return !strings.Contains(env, "_") && !ofVariables.MatchString(h.Text)
	}
	return false
}

var (
	// ofVariables is what speaks of environment variables, or is only said of a shell's.
	ofVariables = regexp.MustCompile(`(?i)\benv(?:ironment)?\b|envvar|\bvariables?\b|parameter (?:null or )?not set|\$\{?[A-Z]|\bexport `)
	// namesSetting is how the names of settings end that people give without an underscore.
	namesSetting = regexp.MustCompile(`(?:PORT|HOST|HOSTNAME|ADDR(?:ESS)?|UR[LI]S?|DSN|TOKEN|KEY|SECRET|PASSW(?:OR)?D|PASS|USER(?:NAME)?|NAME|PATH|DIR|MODE|ENV|REGION|BUCKET|BROKERS?|DATABASE|DOMAIN|EMAIL|FROM|LEVEL|HOME|ROLE|ID|NAMESPACE|CLUSTER|STAGE|TIER|ZONE|TIMEOUT|INTERVAL|ENDPOINT|TOPIC|QUEUE|PROJECT|TENANT|CONFIG|LICEN[CS]E)$`)
)

// nothing is what the runtimes call a value that is not there.
var nothing = regexp.MustCompile(`\bundefined\b|\bnull\b|\bNone\b|\bNoneType\b|\bnil\b`)

// readsNothing says that a line of source belongs to the error that the program ended with, and that this is about a value that is not there.
func readsNothing(c *diagnose.Case, h diagnose.Hit) bool {
	for _, t := range c.Traces() {
		if !t.Handled && h.Line >= t.First-5 && h.Line <= t.Last && nothing.MatchString(t.Message+" "+t.CauseMessage) {
			return true
		}
	}
	return false
}

// listed is the first variable of a list on the lines below.
func listed(h diagnose.Hit) string {
	for n := h.Line + 1; n <= h.Line+3; n++ {
		first, _, _ := strings.Cut(strings.TrimLeft(h.Log.Line(n), " \t-*•"), ", ")
		if name := strings.TrimRight(first, " :,;"); name != "" {
			if variableRE.MatchString(name) && !notAVariable(name) {
				return name
			}
			return ""
		}
	}
	return ""
}

var variableRE = regexp.MustCompile(`^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$`)

// hinted is the variable that one of the next lines shows how to set, "-e EULA=TRUE".
func hinted(h diagnose.Hit) string {
	for n := h.Line + 1; n <= h.Line+6; n++ {
		if m := hintedRE.FindStringSubmatch(h.Log.Line(n)); m != nil {
			return firstOf(m[1], m[2])
		}
	}
	return ""
}

var hintedRE = regexp.MustCompile(`(?:-e|--env)[ =]["']?([A-Z][A-Z0-9_]{3,60})=|\b[Ss]et(?:ting)? (?:the )?["']?([A-Z][A-Z0-9]*_[A-Z0-9_]{2,60})\b`)

// zodPath reads the variable's name out of what zod prints around a line with its error code: path: [ 'X' ], in one line or several.
func zodPath(h diagnose.Hit) string {
	text := h.Text
	if h.Log != nil {
		var b strings.Builder
		for n := h.Line - 6; n <= h.Line+8; n++ {
			line := strings.TrimSpace(h.Log.Line(n))
			if strings.HasPrefix(line, "}") {
				if n >= h.Line {
					break
				}
				b.Reset()
				continue
			}
			b.WriteString(line + " ")
		}
		text = b.String()
	}
	if !strings.Contains(text, "undefined") && !strings.Contains(text, "Required") {
		return ""
	}
	if m := zodPathRE.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// suggested says that a line offers a variable as a way to change what the program does, "set X=debug to see more", instead of asking for it.
func suggested(text, env string) bool {
	_, after, ok := strings.Cut(text, env)
	return ok && env != "" && purposeRE.MatchString(after)
}

var purposeRE = regexp.MustCompile(`^['"` + "`" + `]?(?:=['"]?(?i:true|yes|on|1|debug|false|0|off)\b|['"` + "`" + `)]* (?:=|to [\w'"]+ )?(?:in order )?to (?:turn|help|debug|suppress|avoid|override|increase|disable|enable|force|proceed|silence|ignore|allow|skip|bypass|see|get more|change)\b)`)

var zodPathRE = regexp.MustCompile(`path['"]?\s*:\s*\[\s*['"]([A-Z][A-Z0-9_]{2,63})['"]\s*,?\s*\]`)

// notAVariable tells words in capitals that no one names a variable.
func notAVariable(w string) bool {
	switch w {
	case "ERROR", "FATAL", "WARN", "WARNING", "INFO", "DEBUG", "PANIC", "CRITICAL", "HTTP", "HTTPS", "URL", "URI", "TLS", "SSL", "API", "JSON", "YAML", "XML", "SQL", "DNS", "TCP", "UDP", "UTC", "GMT", "ENV", "FILE", "PATH", "NULL", "TRUE", "FALSE", "NOT", "SEVERE", "NOTICE", "EMERG", "LOG", "HINT", "DETAIL", "STATEMENT", "ENOENT", "EACCES", "ENOTFOUND", "GET", "POST", "PUT", "DELETE", "JWT", "CSRF", "UUID", "PVC", "CPU", "GPU", "RBAC", "CRD", "CSS", "HTML", "MODULE_NOT_FOUND", "OAUTH", "SMTP", "LDAP", "AWS", "GCP", "RSA", "NONE", "SELECT", "TABLE", "COLUMN", "ACCESS", "DENIED", "PRIMARY", "KEY", "INDEX", "REQUIRED", "MISSING":
		return true
	}
	return !strings.Contains(w, "_") && len(w) < 4 || w == "CUDA" || w == "LDAPS" || !strings.Contains(w, "_") && strings.ContainsAny(w, "0123456789")
}

func envMissing(c *diagnose.Case, h diagnose.Hit, env string) (diagnose.Finding, bool) {
	f := diagnose.FromHit(h, diagnose.Likely, diagnose.Words)
	f.Keys = []string{env}
	set, empty, where := envSet(c, env)
	if set && !empty {
		return f, false // the program has it, whatever it says: its value may be wrong, but it is not missing
	}
	if c.Container != nil && !set && unreadEnv(c) == "" {
		f.Confidence, f.Proof = diagnose.Certain, diagnose.Corroborated
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("env"), Text: env + " is not among the variables that env and envFrom set: " + list(envNames(c))})
	} else if !set && unreadEnv(c) != "" {
		f.Settle = "Whether " + unreadEnv(c) + " holds it."
		f.Proof = diagnose.Corroborated
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("envFrom"), Text: "also takes all keys of " + unreadEnv(c) + ", which is not readable here"})
	}
	f.Summary = fmt.Sprintf("%s ends because the environment variable %s is not set", c.Who(), env)
	if empty {
		f.Confidence, f.Proof = diagnose.Certain, diagnose.Corroborated
		f.Summary = fmt.Sprintf("%s ends because the environment variable %s is empty", c.Who(), env)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Source: where, Text: "sets it to nothing"})
	}
	f.Advice = "Set it in the pod template"
	value := "VALUE"
	// Where it was set, or is set beside it.
	if before := c.Previous(); before != nil {
		for _, ct := range slices.Concat(before.Spec.Containers, before.Spec.InitContainers) {
			for _, e := range ct.Env {
				if ct.Name == c.Subject.Container && e.Name == env {
					f.Summary += "; the revision before set it"
					f.Advice = "Set it again, or go back to that revision"
					if e.Value != "" {
						value = e.Value
					}
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "the pod template before", Text: env + " was set"})
				}
			}
		}
	}
	for _, ct := range slices.Concat(c.Spec.Containers, c.Spec.InitContainers) {
		for _, e := range ct.Env {
			if ct.Name != c.Subject.Container && e.Name == env {
				f.Summary += fmt.Sprintf("; container %s of the same pod has it", ct.Name)
				if e.Value != "" {
					value = e.Value
				}
			}
		}
	}
	if near := diagnose.Nearest(env, envNames(c)); near != "" && value == "VALUE" {
		f.Advice += fmt.Sprintf("; there is %s, which may be meant", near)
	}
	// Spring reads the property payment.api-key from PAYMENT_APIKEY.
	variable := env
	if strings.ContainsAny(env, ".-") {
		variable = strings.ToUpper(strings.NewReplacer(".", "_", "-", "").Replace(env))
	}
	f.Fixes = []diagnose.Fix{
		{Title: "Set " + variable, Command: c.Kubectl("set", "env", c.Target(), "-c", c.Subject.Container, variable+"="+value)},
		{Title: "Or take it from a Secret", Patch: containerPatch(c, fmt.Sprintf("env:\n- name: %s\n  valueFrom:\n    secretKeyRef:\n      name: %s\n      key: %s", diagnose.Scalar(variable), diagnose.Scalar(c.Subject.Name()), diagnose.Scalar(variable)))},
	}
	return f, true
}

// envSet says whether the container's spec sets a variable, and whether to nothing.
func envSet(c *diagnose.Case, env string) (set, empty bool, where string) {
	if c.Container == nil {
		return false, false, ""
	}
	for _, e := range c.Container.Env {
		if e.Name == env || strings.EqualFold(strings.NewReplacer("_", "", ".", "", "-", "").Replace(e.Name), strings.NewReplacer("_", "", ".", "", "-", "").Replace(env)) {
			return true, e.Value == "" && e.ValueFrom == nil, c.SpecField("env[" + e.Name + "]")
		}
	}
	for _, from := range c.Container.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		if v, ok := c.ConfigMapData(from.ConfigMapRef.Name)[strings.TrimPrefix(env, from.Prefix)]; ok && strings.HasPrefix(env, from.Prefix) {
			return true, v == "", "ConfigMap " + from.ConfigMapRef.Name
		}
	}
	return false, false, ""
}

// unreadEnv names an envFrom source whose keys cannot be read, "" when all are known.
func unreadEnv(c *diagnose.Case) string {
	for _, from := range c.Container.EnvFrom {
		if from.SecretRef != nil && keysOfObject(c, diagnose.Secrets, from.SecretRef.Name) == nil {
			return "Secret " + from.SecretRef.Name
		}
		if from.ConfigMapRef != nil && c.ConfigMapData(from.ConfigMapRef.Name) == nil && !c.Missing(diagnose.ConfigMaps, c.Subject.Namespace, from.ConfigMapRef.Name) {
			return "ConfigMap " + from.ConfigMapRef.Name
		}
	}
	return ""
}

func envNames(c *diagnose.Case) []string {
	var out []string
	if c.Container == nil {
		return out
	}
	for _, e := range c.Container.Env {
		out = append(out, e.Name)
	}
	for _, from := range c.Container.EnvFrom {
		if from.ConfigMapRef != nil {
			var keys []string
			for k := range c.ConfigMapData(from.ConfigMapRef.Name) {
				keys = append(keys, from.Prefix+k)
			}
			slices.Sort(keys)
			out = append(out, keys...)
		}
	}
	return out
}
