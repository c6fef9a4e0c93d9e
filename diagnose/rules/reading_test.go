package rules

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// TestPick tells which lines are read.
func TestPick(t *testing.T) {
	w := newWording()
	for _, tc := range []struct {
		name, log string
		want      []string // the one that matters most first
		calm      bool
	}{
		{"the last error and what stands with it", "INFO up\nERROR boot\nERROR the schema is behind\nINFO stopped", []string{"the schema is behind", "boot"}, false},
		{"where more can be read", "ERROR the table is gone\nERROR For more details run the command with the option --trace", []string{"the table is gone"}, false},
		{"how a program is used, after any error", "error: gone\nUsage:\n  tool [flags]\n\nFlags:\n  --config string   the configuration file", []string{"error: gone"}, false},
		{"without the logger's own fields", `time="2026-03-01T09:59:27Z" level=fatal caller=main.go:12 msg="no quorum, cannot go on"`, []string{`msg="no quorum, cannot go on"`}, false},

		{"no refusal", "settings are up to date\nloaded configuration from /etc/app/app.yaml", []string{"loaded configuration from /etc/app/app.yaml", "settings are up to date"}, true},
		{"where more can be read, behind what it is about", "2026/03/01 09:59:27 no default credentials. See https://docs.example/setup for more information", []string{"no default credentials. See for more information"}, false},
		{"an end that says why", "Unable to find template invoice, stopping", []string{"Unable to find template invoice, stopping"}, false},
		{"what it does not try again", "login rejected, not retrying", []string{"login rejected, not retrying"}, false},
		{"what it does without", "the setting cache.size is not valid, using the default of 64\nbye", nil, false},
		{"an error that it got over", "ERROR unknown field x\nINFO one\nINFO two\nINFO three\nINFO four", nil, false},
		{"no words", "1 2 3", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := w.pick(diagnose.NewLog("log", []byte(tc.log)))
			var got []string
			for _, l := range lines {
				got = append(got, l.text)
			}
			for i := range max(len(got), len(tc.want)) {
				if i >= len(got) || i >= len(tc.want) || got[i] != tc.want[i] {
					t.Fatalf("got %q, want %q", got, tc.want)
				}
			}
			if len(lines) > 0 && lines[0].calm != tc.calm {
				t.Errorf("calm is %v", lines[0].calm)
			}
		})
	}
}

// TestTokens tells how a line is taken apart.
func TestTokens(t *testing.T) {
	w := newWording()
	c := &diagnose.Case{Spec: &corev1.PodSpec{}, Container: &corev1.Container{
		Args: []string{"--cloud=abs"},
		Env:  []corev1.EnvVar{{Name: "REGION_NAME", Value: "nowhere"}},
	}}
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"names of classes", "BadConfigSection: HTTPServer", []string{"bad", "config", "section", "http", "server"}},
		{"denials", "can't, won't, doesn't, cannot", []string{"can", "not", "will", "not", "does", "not", "can", "not"}},
		{"a variable that is set", "REGION_NAME is odd", []string{"{set}", "is", "odd"}},
		{"a variable that is not", "no LEDGER_SALT found", []string{"no", "{variable}", "found"}},
		{"a file of settings", "open /etc/pit/pit.conf", []string{"open", "{path}", "{settings}"}},
		{"a flag and an address", "--bind on shop:8080", []string{"{flag}", "on", "{address}"}},
		{"an argument", "unknown kind of cloud: abs", []string{"unknown", "kind", "of", "cloud", "abs", "{argument}"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _ := w.tokens(c, tc.line)
			if len(got) != len(tc.want) {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Fatalf("got %q, want %q", got, tc.want)
				}
			}
		})
	}
}

// TestReadings says of words that no rule knows what they are about.
func TestReadings(t *testing.T) {
	r := newReadings()
	for _, tc := range []struct{ name, log, want string }{
		{"a setting", `level=fatal msg="invalid configuration: the field quorum of section raft should be odd"`, onConfig},
		{"a variable", "ERROR: the required environment variable LEDGER_SALT is not set, refusing to start", onVariable},
		{"data", "ERROR: the journal on this volume is of an incompatible older version, upgrade the database first", onData},
		{"an identity", "fatal: login to the vault failed: it rejected our password and the token", onCredentials},
		{"a right on a path", "error: wrong ownership of /srv/pit/store, permission denied, it must be owned by the user that runs this", onPermission},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &diagnose.Case{Spec: &corev1.PodSpec{}, Container: &corev1.Container{}}
			words := r.words.weigh(c, r.words.pick(diagnose.NewLog("log", []byte(tc.log))))
			if got, p := r.model.Read(words); got != tc.want || p < enough {
				t.Errorf("got %q with %.2f, want %q", got, p, tc.want)
			}
		})
	}
}
