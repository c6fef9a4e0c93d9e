package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// environment sets the variables for one test and returns them in os.Environ's form, nothing else of the real environment with them.
func environment(t *testing.T, kv ...string) []string {
	t.Helper()
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, prefix+"_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for _, e := range kv {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	return kv
}

func TestConfigDefaults(t *testing.T) {
	c, err := loadConfig(environment(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.EvidenceAge != 7*24*time.Hour || c.EvidenceIncidentSize != 256<<10 || c.EvidenceTotalSize != 8<<20 {
		t.Errorf("defaults for evidence are %v, %v, %v", c.EvidenceAge, c.EvidenceIncidentSize, c.EvidenceTotalSize)
	}
	if c.Crashes != 2 || c.Window != 10*time.Minute || c.StuckAfter != time.Minute || c.ResolveAfter != 10*time.Minute {
		t.Errorf("defaults are %+v", c)
	}
}

func TestConfigReadsEachName(t *testing.T) {
	c, err := loadConfig(environment(t, "CRASHLOOP_SLACK_API_URL=http://127.0.0.1:9/api", "CRASHLOOP_NAMESPACES=shop,payments", "CRASHLOOP_RESOLVE_AFTER=90s",
		"CRASHLOOP_SLACK_BOT_TOKEN=xoxb-1", "CRASHLOOP_SLACK_APP_TOKEN=xapp-1"))
	if err != nil {
		t.Fatal(err)
	}
	if c.SlackAPIUrl != "http://127.0.0.1:9/api/" || len(c.Namespaces) != 2 || c.ResolveAfter != 90*time.Second || c.SlackBotToken != "xoxb-1" {
		t.Errorf("read %+v", c)
	}
}

func TestConfigMistakes(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want []string // each must stand in the error
	}{
		{"all together", []string{"CRASHLOOP_CRASHES=two", "CRASHLOOP_WINDOW=soon", "CRASHLOOP_LOG_LEVEL=loud"}, []string{"3 settings are wrong", `CRASHLOOP_CRASHES: "two" is not a whole number`, `CRASHLOOP_WINDOW: "soon" is not a duration`, "CRASHLOOP_LOG_LEVEL"}},
		{"unknown names its neighbour", []string{"CRASHLOOP_CHANEL=#x"}, []string{"CRASHLOOP_CHANEL: there is no such setting; did you mean CRASHLOOP_CHANNEL?"}},
		{"one token", []string{"CRASHLOOP_SLACK_BOT_TOKEN=xoxb-1"}, []string{"CRASHLOOP_SLACK_APP_TOKEN: is missing"}},
		{"tokens swapped", []string{"CRASHLOOP_SLACK_BOT_TOKEN=xapp-sekret", "CRASHLOOP_SLACK_APP_TOKEN=xoxb-sekret"}, []string{"begins with xoxb-", "begins with xapp-"}},
		{"one crash", []string{"CRASHLOOP_CRASHES=1"}, []string{"one crash is not a loop"}},
		{"page for everyone", []string{"CRASHLOOP_PAGE_LISTEN=0.0.0.0:8000"}, []string{"not a loopback address"}},
		{"no access file", []string{"CRASHLOOP_ACCESS_FILE=/nowhere/access.yaml"}, []string{"CRASHLOOP_ACCESS_FILE", "/nowhere/access.yaml"}},
		{"digest", []string{"CRASHLOOP_DIGEST=every morning"}, []string{"CRASHLOOP_DIGEST"}},
		{"evidence", []string{"CRASHLOOP_EVIDENCE_AGE=-1h", "CRASHLOOP_EVIDENCE_INCIDENT_SIZE=9Ki", "CRASHLOOP_EVIDENCE_TOTAL_SIZE=much"},
			[]string{"CRASHLOOP_EVIDENCE_AGE: -1h0m0s is no age", "CRASHLOOP_EVIDENCE_INCIDENT_SIZE: 9Ki is not between 32Ki and 1Mi", `CRASHLOOP_EVIDENCE_TOTAL_SIZE: "much" is not a size such as "256Ki" or "8Mi"`}},
		{"less evidence than of one", []string{"CRASHLOOP_EVIDENCE_TOTAL_SIZE=128Ki"}, []string{"CRASHLOOP_EVIDENCE_TOTAL_SIZE: 128Ki is less than the 256Ki that one incident may take"}},
		{"too much evidence", []string{"CRASHLOOP_EVIDENCE_TOTAL_SIZE=1Gi"}, []string{"CRASHLOOP_EVIDENCE_TOTAL_SIZE: 1Gi is more than 48Mi"}},
		{"namespace", []string{"CRASHLOOP_NAMESPACES=Shop"}, []string{`"Shop" is not a namespace's name`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(environment(t, tt.env...))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error lacks %q:\n%v", w, err)
				}
			}
			if strings.Contains(err.Error(), "sekret") {
				t.Errorf("error shows a secret:\n%v", err)
			}
		})
	}
}

func TestServiceLinksAreIgnored(t *testing.T) {
	env := environment(t, "CRASHLOOP_SERVICE_HOST=10.0.0.1", "CRASHLOOP_SERVICE_PORT=80", "CRASHLOOP_SERVICE_PORT_HTTP=80", "CRASHLOOP_PORT=tcp://10.0.0.1:80",
		"CRASHLOOP_PORT_80_TCP=tcp://10.0.0.1:80", "CRASHLOOP_PORT_80_TCP_PROTO=tcp", "CRASHLOOP_METRICS_PORT_8080_TCP_ADDR=10.0.0.1", "CRASHLOOP_METRICS_SERVICE_HOST=10.0.0.1")
	if _, err := loadConfig(env); err != nil {
		t.Error(err)
	}
}

func TestSecretsNeverShow(t *testing.T) {
	c := Config{SlackBotToken: "xoxb-sekret", SlackSigningSecret: "sekret"}
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "config", c, "token", c.SlackBotToken)
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c.SlackBotToken), b.String()} {
		if strings.Contains(s, "sekret") {
			t.Errorf("shows a secret: %s", s)
		}
	}
}

// config.example.env and the struct name the same settings with the same defaults.
func TestExampleMatchesConfig(t *testing.T) {
	f, err := os.Open("../../config.example.env")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	assignment := regexp.MustCompile(`^#?(CRASHLOOP_[A-Z_]+)=(.*)$`)
	example, described := map[string]string{}, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if m := assignment.FindStringSubmatch(line); m != nil {
			if !described {
				t.Errorf("%s has no description above it", m[1])
			}
			example[m[1]] = m[2]
		} else {
			described = strings.HasPrefix(line, "# ")
		}
	}
	for _, v := range variables() {
		value, ok := example[v.name]
		if !ok {
			t.Errorf("config.example.env lacks %s", v.name)
			continue
		}
		if def := v.field.Tag.Get("default"); def != "" && value != def {
			t.Errorf("config.example.env says %s=%s, the default is %s", v.name, value, def)
		}
		delete(example, v.name)
	}
	for name := range example {
		t.Errorf("config.example.env has %s, which the program does not know", name)
	}
}
