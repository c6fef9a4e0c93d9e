package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"crashloop/notify/slack"
)

var update = flag.Bool("update", false, "rewrite the files that are generated from code")

// golden compares a generated file with the one in the repository.
func golden(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s differs from what the code declares; run go test ./cmd/crashloop -update, and look at the difference", file)
	}
}

func rulesYAML(t *testing.T, rules []rbacv1.PolicyRule) string {
	t.Helper()
	raw, err := yaml.Marshal(map[string]any{"rules": rules})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// deploy/rbac.yaml grants what the code declares, nothing less and nothing more.
func TestRBACManifest(t *testing.T) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Generated from the code by: go test ./cmd/crashloop -update
# The least rights that work: it reads what diagnoses need, never Secrets; it changes only what people may ask it to change.
apiVersion: v1
kind: Namespace
metadata:
  name: crashloop
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: crashloop
  namespace: crashloop
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: crashloop
%s---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: crashloop
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: crashloop}
subjects:
- {kind: ServiceAccount, name: crashloop, namespace: crashloop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: crashloop
  namespace: crashloop
%s---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: crashloop
  namespace: crashloop
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: crashloop}
subjects:
- {kind: ServiceAccount, name: crashloop, namespace: crashloop}
`, rulesYAML(t, clusterRules()), rulesYAML(t, ownRules()))
	golden(t, "../../deploy/rbac.yaml", b.Bytes())
}

func TestTheBotReadsNoSecretsAndActsAsNobodyElse(t *testing.T) {
	for _, r := range append(clusterRules(), ownRules()...) {
		if slices.Contains(r.Resources, "secrets") || slices.Contains(r.Verbs, "impersonate") || slices.Contains(r.Verbs, "*") || slices.Contains(r.Resources, "*") {
			t.Errorf("the rule %v is more than the bot may have", r)
		}
	}
}

// The Slack app asks for the scopes that the code needs.
func TestSlackManifestScopes(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/slack-app.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		OAuth struct {
			Scopes struct{ Bot []string }
		} `json:"oauth_config"`
		Features struct {
			Commands []struct{ Command string } `json:"slash_commands"`
		}
		Settings struct {
			Interactivity struct {
				Enabled bool `json:"is_enabled"`
			}
			SocketMode bool `json:"socket_mode_enabled"`
		}
	}
	if err := yaml.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range slack.Scopes() {
		want = append(want, s.Name)
	}
	have := slices.Clone(manifest.OAuth.Scopes.Bot)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("deploy/slack-app.yaml asks for\n  %s\nthe code needs\n  %s", strings.Join(have, " "), strings.Join(want, " "))
	}
	if len(manifest.Features.Commands) != 1 || manifest.Features.Commands[0].Command != "/crashloop" || !manifest.Settings.Interactivity.Enabled || !manifest.Settings.SocketMode {
		t.Errorf("the manifest lacks the slash command, interactivity or Socket Mode: %+v", manifest)
	}
}

// Every setting that deploy/deployment.yaml gives exists, and the pod gets no service links, which would look like settings.
func TestDeploymentManifest(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for doc := range strings.SplitSeq(string(raw), "\n---\n") {
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(doc), &d); err != nil {
			t.Fatal(err)
		}
		if d.Kind != "Deployment" {
			continue
		}
		found = true
		spec := d.Spec.Template.Spec
		if spec.ServiceAccountName != "crashloop" || spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
			t.Error("the pod must run as the ServiceAccount crashloop, with enableServiceLinks: false")
		}
		var known []string
		for _, v := range variables() {
			known = append(known, v.name)
		}
		for _, e := range spec.Containers[0].Env {
			if !slices.Contains(known, e.Name) {
				t.Errorf("deploy/deployment.yaml sets %s, which the program does not know", e.Name)
			}
		}
	}
	if !found {
		t.Error("there is no Deployment in deploy/deployment.yaml")
	}
}
