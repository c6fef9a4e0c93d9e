package rules

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func TestReading(t *testing.T) {
	r := newReading()
	c := &diagnose.Case{Spec: &corev1.PodSpec{}, Container: &corev1.Container{
		Args: []string{"--cloud=abs"},
		Env:  []corev1.EnvVar{{Name: "REGION_NAME", Value: "nowhere"}},
	}}
	for _, tc := range []struct{ name, log, want string }{
		{"a setting", `level=fatal msg="the quorum field of section raft should be odd"`, onConfig},
		{"a variable that is set", "ERROR: REGION_NAME is not one of ours, the value is invalid", onConfig},
		{"a variable that is not", "refusing to start, no LEDGER_SALT found", onVariable},
		{"an argument", "F0301 09:59:27.331112       1 cloud.go:71] Unknown kind of cloud: abs", onArguments},
		{"data", "ERROR: the journal on this volume is of an older version, upgrade it first", onData},
		{"an identity", "fatal: the vault did not like our password, login is not possible", onCredentials},
		{"the machine", "error: this kernel lacks the instructions that we need", onHost},
		{"a path of others", "error: wrong ownership of /srv/pit/store, it is not ours", onPermission},
		{"an object of the cluster by its name", `Error: configmaps "login-configuration" not found`, onKind},
		{"a file of settings that is not mounted", "FATAL: Bungled /opt/pit/pit.conf near line 3", onConfig},
		{"where more can be read", "ERROR the relation of the table is gone\nERROR For more details run the command with the option --trace", onData},
		{"several lines of one error", "ERROR boot\nERROR the schema of the database is behind\nERROR run the upgrade\nINFO stopped", onData},
		{"the words of an exception", "Fatal error: BadConfigSection(unknownField)", onConfig},

		{"nothing in particular", "FATAL: shard map is inconsistent, giving up", ""},
		{"no refusal", "settings are up to date\nloaded configuration from /etc/app/app.yaml", ""},
		{"what it does without", "the setting cache.size is not valid, using the default of 64\nbye", ""},
		{"an error that it got over", "ERROR unknown configuration field x\nINFO one\nINFO two\nINFO three\nINFO four", ""},
		{"two subjects alike", "ERROR the migration option is not allowed", ""},
		{"how a program is used, after any error", "error: gone\nUsage:\n  tool [flags]\n\nFlags:\n  --config string   the configuration file\n  --help            help", ""},
		{"no words", "exit status 1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := r.pick(diagnose.NewLog("log", []byte(tc.log)))
			got := ""
			if len(lines) > 0 {
				got, _, _ = r.subject(c, lines)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q, of %+v", got, tc.want, lines)
			}
		})
	}
}

// TestStems holds the table to what the reading makes of it: words in lower case, none twice for one subject.
func TestStems(t *testing.T) {
	seen := map[stem]bool{}
	for _, s := range stems() {
		key := stem{subject: s.subject, words: s.words}
		if s.words == "" || s.words != strings.ToLower(s.words) || s.weight <= 0 || seen[key] {
			t.Errorf("%+v: empty, not in lower case, without a weight, or twice", s)
		}
		seen[key] = true
	}
}
