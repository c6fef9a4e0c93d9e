package access

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crashloop/notify"

	"github.com/google/go-cmp/cmp"
)

const sample = `users:
  - slack: U024BE7LH
    kubernetes: {user: alice@example.com, groups: [sre, dev]}
  - slack: Bob@Example.com
    kubernetes:
      user: bob
groups:
  - slack: "@oncall"
    kubernetes: {groups: [oncall, sre]}
  - slack: S0615G0KT
    kubernetes: {user: shared, groups: [shared]}
`

func TestIdentity(t *testing.T) {
	policy, err := ParsePolicy("access.yaml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		who  notify.Person
		want Identity
		ok   bool
	}{
		"by id":                       {notify.Person{ID: "U024BE7LH", Member: true}, Identity{User: "alice@example.com", Groups: []string{"dev", "sre", Authenticated}}, true},
		"by e-mail in any case":       {notify.Person{ID: "U1", Email: "BOB@example.COM", Member: true}, Identity{User: "bob", Groups: []string{Authenticated}}, true},
		"id wins over e-mail":         {notify.Person{ID: "U024BE7LH", Email: "bob@example.com", Member: true}, Identity{User: "alice@example.com", Groups: []string{"dev", "sre", Authenticated}}, true},
		"user group adds groups once": {notify.Person{ID: "U024BE7LH", Groups: []string{"oncall"}, Member: true}, Identity{User: "alice@example.com", Groups: []string{"dev", "oncall", "sre", Authenticated}}, true},
		"user group alone, no user":   {notify.Person{ID: "U9", Groups: []string{"oncall"}, Member: true}, Identity{Groups: []string{"oncall", "sre", Authenticated}}, true},
		"user group gives a user":     {notify.Person{ID: "U9", Groups: []string{"S0615G0KT"}, Member: true}, Identity{User: "shared", Groups: []string{"shared", Authenticated}}, true},
		"nobody":                      {notify.Person{ID: "U9", Email: "eve@example.com", Groups: []string{"S1"}, Member: true}, Identity{}, false},
		"no member":                   {notify.Person{ID: "U024BE7LH"}, Identity{}, false},
		"no member with the e-mail":   {notify.Person{ID: "U7", Email: "bob@example.com"}, Identity{}, false},
		"no id":                       {notify.Person{Email: "bob@example.com", Member: true}, Identity{}, false},
		"empty e-mail":                {notify.Person{ID: "U7", Member: true}, Identity{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := policy.Identity(c.who)
			if ok != c.ok || got.User != c.want.User || cmp.Diff(c.want.Groups, got.Groups) != "" {
				t.Errorf("got %+v, %v; want %+v, %v", got, ok, c.want, c.ok)
			}
		})
	}
	if diff := cmp.Diff([]string{"oncall", "S0615G0KT"}, policy.UserGroups()); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyPolicyMapsNobody(t *testing.T) {
	for _, text := range []string{"", "\n# nothing\n", "users: []\n", "users:\ngroups:\n", "{}", "null"} {
		policy, err := ParsePolicy("access.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if _, ok := policy.Identity(notify.Person{ID: "U1", Email: "a@b", Member: true}); ok {
			t.Errorf("%q maps somebody", text)
		}
	}
}

func TestMistakesAreReportedTogether(t *testing.T) {
	_, err := ParsePolicy("access.yaml", []byte(`users:
  - slack: alice
    kubernetes: {user: alice}
  - slack: U024BE7LH
    kubernetes: {user: system:admin, groups: [system:masters, ok]}
  - slack: U024BE7LH
    kubernetes: {user: again}
  - slack: bob@example.com
    kubernetes: {user: 123}
  - slack: eve@example.com
    kubernetes: {group: x}
  - slack: U3
    kubernetes: {groups: [a]}
  - kubernetes: {user: x}
groups: {}
roles: []
`))
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, want := range []string{
		`access.yaml:2: "alice" is neither a Slack user id`,
		`access.yaml:5: user "system:admin": names that begin with system: belong to the cluster`,
		`access.yaml:5: a group "system:masters"`,
		`access.yaml:9: user must be text, and is 123, which YAML does not read as text: put it in quotes`,
		`access.yaml:11: unknown key "group"; kubernetes may have groups and user`,
		`access.yaml:14: a user needs slack`,
		`access.yaml:15: groups must be a list`,
		`access.yaml:16: unknown key "roles"; the file may have groups and users`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestRefusedPolicies(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"twice by id":           {"users:\n  - {slack: U12, kubernetes: {user: a}}\n  - {slack: U12, kubernetes: {user: b}}\n", "access.yaml:3: U12 is already mapped in line 2"},
		"twice by e-mail":       {"users:\n  - {slack: a@b.c, kubernetes: {user: a}}\n  - {slack: A@B.c, kubernetes: {user: b}}\n", "already mapped in line 2"},
		"twice by group":        {"groups:\n  - {slack: oncall, kubernetes: {groups: [a]}}\n  - {slack: '@oncall', kubernetes: {groups: [b]}}\n", "already mapped in line 2"},
		"a user without a name": {"users:\n  - {slack: U12, kubernetes: {groups: [a]}}\n", `the user "U12" needs kubernetes.user`},
		"a group with nothing":  {"groups:\n  - {slack: oncall, kubernetes: {}}\n", "needs kubernetes.groups"},
		"system in capitals":    {"users:\n  - {slack: U12, kubernetes: {user: 'System:masters'}}\n", "belong to the cluster"},
		"system group":          {"groups:\n  - {slack: oncall, kubernetes: {groups: ['system:masters']}}\n", "belong to the cluster"},
		"alias":                 {"users:\n  - {slack: U12, kubernetes: &k {user: a}}\n  - {slack: U13, kubernetes: *k}\n", "alias"},
		"repeated key":          {"users: []\nusers: []\n", "twice"},
		"not YAML":              {"users: [\n", "access.yaml: "},
		"a list":                {"- a\n", "the file must have groups and users, and is a list"},
		"control characters":    {"users:\n  - {slack: U12, kubernetes: {user: \"a\\u0000b\"}}\n", "control characters"},
		"empty user":            {"users:\n  - {slack: U12, kubernetes: {user: ''}}\n", "user is empty"},
		"too long":              {"# " + strings.Repeat("x", maxPolicy), "an access file may have"},
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := ParsePolicy("access.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, ok := policy.Identity(notify.Person{ID: "U12", Member: true}); ok {
				t.Error("a policy with mistakes maps somebody")
			}
		})
	}
}

func TestFileIsReadAnewAndFailsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	if _, err := OpenFile(path, log); err == nil {
		t.Fatal("a missing file was opened")
	}
	write(sample)
	f, err := OpenFile(path, log)
	if err != nil {
		t.Fatal(err)
	}
	alice := notify.Person{ID: "U024BE7LH", Member: true}
	may := func() bool {
		p, err := f.Policy()
		_, ok := p.Identity(alice)
		return err == nil && ok
	}
	if !may() {
		t.Fatal("alice is not mapped")
	}
	write("users:\n  - slack: nonsense\n")
	if may() {
		t.Error("a broken file keeps the old rights")
	}
	write(sample)
	if !may() {
		t.Error("a mended file is not read")
	}
	write("users: []\n")
	if may() {
		t.Error("a removed entry still counts")
	}
	write(sample)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if may() {
		t.Error("a vanished file keeps the old rights")
	}
	write(sample)
	if !may() {
		t.Error("a file that came back is not read")
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("users: {<<: 1}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy("access.yaml", text)
		if err != nil {
			return
		}
		check := func(m mapping) {
			for _, s := range append(m.groups, m.user) {
				if strings.HasPrefix(strings.ToLower(s), "system:") {
					t.Errorf("%q maps to %q", text, s)
				}
			}
		}
		for _, m := range p.ids {
			check(m)
		}
		for _, m := range p.emails {
			check(m)
		}
		for _, m := range p.groups {
			check(m.mapping)
		}
	})
}

// Unicode has letters that become an ASCII letter in lower case: the Kelvin sign is a k, the long s an s in upper case. An address with
// one is another address.
func TestAnotherLetterIsAnotherAddress(t *testing.T) {
	policy, err := ParsePolicy("access.yaml", []byte("users:\n  - slack: kim@bank.example\n    kubernetes: {user: kim}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"\u212aim@bank.example", "kim@ban\u212a.example", "k\u0130m@bank.example"} {
		if id, ok := policy.Identity(notify.Person{ID: "U7", Email: email, Member: true}); ok {
			t.Errorf("%q is taken for %s", email, id)
		}
	}
	if _, ok := policy.Identity(notify.Person{ID: "U7", Email: "KIM@Bank.Example", Member: true}); !ok {
		t.Error("the address itself is nobody in another case")
	}
}
