package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// prefix begins the name of every setting.
const prefix = "CRASHLOOP"

// Secret is a setting that must never be shown: every way of printing it gives a placeholder.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[hidden]"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil } //nolint:unparam // encoding.TextMarshaler

// Size is a number of bytes, written as Kubernetes writes quantities: 256Ki, 8Mi.
type Size int64

// Decode implements [envconfig.Decoder].
func (s *Size) Decode(text string) error {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return err
	}
	n, exact := q.AsInt64()
	if !exact {
		return errors.New("it is no whole number of bytes")
	}
	*s = Size(n)
	return nil
}

// String writes it as it is set.
func (s Size) String() string { return resource.NewQuantity(int64(s), resource.BinarySI).String() }

// Config is every setting of the program, read from the environment: the field ResolveAfter from CRASHLOOP_RESOLVE_AFTER. Each has its
// description in config.example.env.
type Config struct {
	SlackBotToken      Secret `split_words:"true"`
	SlackAppToken      Secret `split_words:"true"`
	SlackSigningSecret Secret `split_words:"true"`
	SlackAPIUrl        string `split_words:"true"`
	SlackCommand       string `split_words:"true" default:"/crashloop"`

	Channel       string `default:"#incidents"`
	LogsInChannel bool   `split_words:"true" default:"true"`
	Digest        string // cron expression

	Cluster          string
	Context          string
	Namespaces       []string
	IgnoreNamespaces []string `split_words:"true"`

	Crashes      int           `default:"2"`
	Window       time.Duration `default:"10m"`
	StuckAfter   time.Duration `split_words:"true" default:"1m"`
	SlowRestarts int           `split_words:"true" default:"5"`
	SlowWindow   time.Duration `split_words:"true" default:"24h"`
	ResolveAfter time.Duration `split_words:"true" default:"10m"`

	EvidenceAge          time.Duration `split_words:"true" default:"168h"`
	EvidenceIncidentSize Size          `split_words:"true" default:"256Ki"`
	EvidenceTotalSize    Size          `split_words:"true" default:"8Mi"`

	AccessFile string `split_words:"true"`
	ReadOnly   bool   `split_words:"true"`
	AuditFile  string `split_words:"true"`
	State      string
	Listen     string `default:":8080"`
	PageListen string `split_words:"true" default:"127.0.0.1:0"`
	LogLevel   string `split_words:"true" default:"info"`
	LogFormat  string `split_words:"true" default:"text"`

	LeaderElection bool `split_words:"true" default:"true"`
	// InstanceNamespace and InstanceName come from the Downward API: where the bot itself runs.
	InstanceNamespace string `split_words:"true"`
	InstanceName      string `split_words:"true"`
}

// variable is one setting: its field and its name in the environment.
type variable struct {
	field reflect.StructField
	name  string
	index int
}

// variables lists the settings in the order of the struct. It finds the names in the way that envconfig does, by asking it.
func variables() []variable {
	t := reflect.TypeFor[Config]()
	var all []variable
	for i := range t.NumField() {
		all = append(all, variable{t.Field(i), environmentName(t.Field(i)), i})
	}
	return all
}

// environmentName gives a field's variable: ResolveAfter is CRASHLOOP_RESOLVE_AFTER, SlackAPIUrl is CRASHLOOP_SLACK_API_URL.
func environmentName(f reflect.StructField) string {
	if f.Tag.Get("split_words") != "true" {
		return prefix + "_" + strings.ToUpper(f.Name)
	}
	var b strings.Builder
	b.WriteString(prefix)
	for i, r := range f.Name {
		upper := r >= 'A' && r <= 'Z'
		before := i > 0 && f.Name[i-1] >= 'a' && f.Name[i-1] <= 'z'
		after := i > 0 && i+1 < len(f.Name) && f.Name[i+1] >= 'a' && f.Name[i+1] <= 'z'
		if i == 0 || upper && (before || after) {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// serviceLink matches what Kubernetes puts into every container of a namespace that has a Service named crashloop or crashloop-something:
// CRASHLOOP_SERVICE_HOST, CRASHLOOP_METRICS_PORT_8080_TCP_ADDR and so on (pkg/kubelet/envvars in Kubernetes).
var serviceLink = regexp.MustCompile(`^CRASHLOOP(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// loadConfig reads the settings out of an environment in the form of os.Environ. It reports every mistake at once.
func loadConfig(environ []string) (Config, error) {
	var c Config
	var mistakes []error
	known := variables()
	names := make([]string, 0, len(known))
	for _, v := range known {
		names = append(names, v.name)
	}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix+"_") || slices.Contains(names, name) || serviceLink.MatchString(name) {
			continue
		}
		mistakes = append(mistakes, fmt.Errorf("%s: there is no such setting; did you mean %s?", name, nearest(name, names)))
	}
	// envconfig stops at the first value that it cannot read, so each field is read by itself.
	for _, v := range known {
		one := reflect.New(reflect.StructOf([]reflect.StructField{v.field}))
		if err := envconfig.Process(prefix, one.Interface()); err != nil {
			mistakes = append(mistakes, unreadable(v, err))
			continue
		}
		reflect.ValueOf(&c).Elem().Field(v.index).Set(one.Elem().Field(0))
	}
	unread := mistakes
	for _, m := range c.validate() {
		name, _, _ := strings.Cut(m.Error(), ":")
		if !slices.ContainsFunc(unread, func(u error) bool { return strings.HasPrefix(u.Error(), name+":") }) {
			mistakes = append(mistakes, m)
		}
	}
	if len(mistakes) > 0 {
		return Config{}, &ConfigError{mistakes}
	}
	return c, nil
}

// unreadable says what a variable should hold, and what it holds unless that is secret.
func unreadable(v variable, err error) error {
	var parse *envconfig.ParseError
	wants := map[reflect.Kind]string{reflect.Bool: "true or false", reflect.Int: "a whole number"}[v.field.Type.Kind()]
	switch v.field.Type {
	case reflect.TypeFor[time.Duration]():
		wants = `a duration such as "90s" or "10m"`
	case reflect.TypeFor[Size]():
		wants = `a size such as "256Ki" or "8Mi"`
	}
	if errors.As(err, &parse) {
		return fmt.Errorf("%s: %q is not %s", v.name, parse.Value, cmp.Or(wants, "of type "+parse.TypeName))
	}
	return fmt.Errorf("%s: cannot be read; it should hold %s", v.name, cmp.Or(wants, "text"))
}

// ConfigError holds every mistake in the settings.
type ConfigError struct{ Mistakes []error }

func (e *ConfigError) Error() string {
	var b strings.Builder
	if len(e.Mistakes) == 1 {
		b.WriteString("one setting is wrong:")
	} else {
		fmt.Fprintf(&b, "%d settings are wrong:", len(e.Mistakes))
	}
	for _, m := range e.Mistakes {
		b.WriteString("\n  " + m.Error())
	}
	b.WriteString("\nconfig.example.env describes each setting.")
	return b.String()
}

func (c *Config) validate() []error {
	var m []error
	bad := func(name, format string, args ...any) {
		m = append(m, fmt.Errorf(prefix+"_"+name+": "+format, args...))
	}
	if (c.SlackBotToken == "") != (c.SlackAppToken == "") {
		missing, other := "SLACK_APP_TOKEN", "SLACK_BOT_TOKEN"
		if c.SlackBotToken == "" {
			missing, other = other, missing
		}
		bad(missing, "is missing, while %s_%s is set; Socket Mode needs both", prefix, other)
	}
	if c.SlackBotToken != "" && !strings.HasPrefix(string(c.SlackBotToken), "xoxb-") {
		bad("SLACK_BOT_TOKEN", "a bot token begins with xoxb-; this one does not (Slack app page, OAuth & Permissions)")
	}
	if c.SlackAppToken != "" && !strings.HasPrefix(string(c.SlackAppToken), "xapp-") {
		bad("SLACK_APP_TOKEN", "an app-level token begins with xapp-; this one does not (Slack app page, Basic Information)")
	}
	if c.SlackAPIUrl != "" {
		if u, err := url.Parse(c.SlackAPIUrl); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			bad("SLACK_API_URL", "%q is not an http or https URL", c.SlackAPIUrl)
		} else if !strings.HasSuffix(c.SlackAPIUrl, "/") {
			c.SlackAPIUrl += "/"
		}
	}
	if !strings.HasPrefix(c.SlackCommand, "/") {
		bad("SLACK_COMMAND", "%q does not begin with a slash", c.SlackCommand)
	}
	if c.Channel == "" {
		bad("CHANNEL", "is empty; name the channel for incidents, such as #incidents or its id")
	}
	if c.Digest != "" {
		if _, err := cron.ParseStandard(c.Digest); err != nil {
			bad("DIGEST", `%q is not a cron expression such as "0 9 * * 1-5" (%v)`, c.Digest, err)
		}
	}
	for _, ns := range c.Namespaces {
		if slices.Contains(c.IgnoreNamespaces, ns) {
			bad("IGNORE_NAMESPACES", "%q stands in %s_NAMESPACES, too", ns, prefix)
		}
	}
	for name, list := range map[string][]string{"NAMESPACES": c.Namespaces, "IGNORE_NAMESPACES": c.IgnoreNamespaces} {
		for _, ns := range list {
			if !namespace.MatchString(ns) {
				bad(name, "%q is not a namespace's name", ns)
			}
		}
	}
	if c.Crashes < 2 {
		bad("CRASHES", "%d is too few: one crash is not a loop; use 2 or more", c.Crashes)
	}
	if c.SlowRestarts < 2 {
		bad("SLOW_RESTARTS", "%d is too few; use 2 or more", c.SlowRestarts)
	}
	for name, d := range map[string]time.Duration{"WINDOW": c.Window, "STUCK_AFTER": c.StuckAfter, "SLOW_WINDOW": c.SlowWindow, "RESOLVE_AFTER": c.ResolveAfter} {
		if d <= 0 {
			bad(name, "%s is not a time to wait; use more than zero", d)
		}
	}
	m = append(m, c.validateEvidence()...)
	if c.AccessFile != "" {
		if info, err := os.Stat(c.AccessFile); err != nil {
			bad("ACCESS_FILE", "cannot be read: %v", err)
		} else if info.IsDir() {
			bad("ACCESS_FILE", "%s is a directory", c.AccessFile)
		}
	}
	for name, addr := range map[string]string{"LISTEN": c.Listen, "PAGE_LISTEN": c.PageListen} {
		if addr == "" {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		switch {
		case err != nil:
			bad(name, "%q is not an address such as :8080 or 127.0.0.1:0", addr)
		case name == "PAGE_LISTEN" && !loopback(host):
			bad(name, "%q is not a loopback address; the page shows the cluster to whoever reaches it", addr)
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		bad("LOG_LEVEL", "%q is none of debug, info, warn, error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		bad("LOG_FORMAT", "%q is neither text nor json", c.LogFormat)
	}
	slices.SortFunc(m, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return m
}

// The least that makes sense of a recording's room, and the most: a store of ConfigMaps holds 64 of 900 KiB, one value in one of them.
const (
	minIncidentSize Size = 32 << 10
	maxIncidentSize Size = 1 << 20
	maxTotalSize    Size = 48 << 20
)

func (c *Config) validateEvidence() []error {
	var m []error
	bad := func(name, format string, args ...any) {
		m = append(m, fmt.Errorf(prefix+"_"+name+": "+format, args...))
	}
	if c.EvidenceAge < 0 {
		bad("EVIDENCE_AGE", "%s is no age; use more than zero, or 0 to keep nothing", c.EvidenceAge)
	}
	if c.EvidenceIncidentSize < minIncidentSize || c.EvidenceIncidentSize > maxIncidentSize {
		bad("EVIDENCE_INCIDENT_SIZE", "%s is not between %s and %s", c.EvidenceIncidentSize, minIncidentSize, maxIncidentSize)
	}
	switch {
	case c.EvidenceTotalSize > maxTotalSize:
		bad("EVIDENCE_TOTAL_SIZE", "%s is more than %s, which is what the state has room for", c.EvidenceTotalSize, maxTotalSize)
	case c.EvidenceTotalSize < c.EvidenceIncidentSize:
		bad("EVIDENCE_TOTAL_SIZE", "%s is less than the %s that one incident may take (%s_EVIDENCE_INCIDENT_SIZE)", c.EvidenceTotalSize, c.EvidenceIncidentSize, prefix)
	}
	return m
}

// namespace is a DNS-1123 label, as the API server wants it.
var namespace = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// nearest finds the name that takes the fewest edits.
func nearest(name string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is Levenshtein's: insertions, deletions and replacements of one byte.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
