package fixtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/shlex"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"crashloop/diagnose"
)

// programs are those that a fix may call besides kubectl.
var programs = []string{"helm", "docker", "dos2unix", "sysctl", "terraform", "terragrunt", "tofu", "CGO_ENABLED=0", "openssl", "base64"}

// Problems says what is wrong with the fixes of a diagnosis. containers are the names that patches may speak of: see [Containers].
func Problems(d diagnose.Diagnosis, containers []string) []string {
	var out []string
	for i, f := range d.Fixes {
		for _, p := range fixProblems(d, f, containers) {
			out = append(out, fmt.Sprintf("fix %d of %s, %q: %s: %s", i+1, d.Cause, f.Title, p, f.Command+f.Patch))
		}
	}
	return out
}

func fixProblems(d diagnose.Diagnosis, f diagnose.Fix, containers []string) (wrong []string) {
	if f.Title == "" {
		wrong = append(wrong, "it has no title")
	}
	for _, s := range []string{f.Title, f.Command, f.Patch} {
		for _, bad := range []string{"%!", "<nil>", "…", diagnose.Redacted} {
			if strings.Contains(s, bad) && (bad != "…" || s != f.Title) {
				wrong = append(wrong, "it holds "+bad)
			}
		}
	}
	if strings.ContainsAny(f.Command, "\n\r\x00") {
		wrong = append(wrong, "the command has several lines")
	}
	if c := shellReads(f.Command); c != 0 {
		wrong = append(wrong, fmt.Sprintf("a shell reads %q in it, which stands outside of quotes", c))
	}
	kind := d.Subject.Kind()
	if f.Command != "" {
		words, err := shlex.Split(f.Command)
		if err != nil {
			return append(wrong, "no shell takes the command: "+err.Error())
		}
		if slices.Contains(words, "") {
			wrong = append(wrong, "an argument is empty")
		}
		if i := slices.Index(words, "|"); i > 0 {
			words = words[:i]
		}
		switch {
		case words[0] == "kubectl":
			p, refused := parse(words[1:])
			wrong = append(wrong, refused...)
			if len(refused) == 0 {
				k, more := commandProblems(p)
				wrong = append(wrong, more...)
				if p.flags["patch-file"] != nil {
					kind = k
					if f.Patch == "" {
						wrong = append(wrong, "there is no patch to apply")
					}
				} else if f.Patch != "" {
					wrong = append(wrong, "the patch says what the command does")
				}
			}
		case !slices.Contains(programs, words[0]):
			wrong = append(wrong, "it calls "+words[0])
		}
	}
	if f.Patch != "" {
		wrong = append(wrong, patchProblems(kind, f, containers)...)
	}
	return wrong
}

// shellReads is the first character outside of single quotes that a shell would take for more than itself, 0 when there is none. A pipe
// between two programs is meant.
func shellReads(command string) rune {
	quoted, escaped := false, false
	for i, c := range command {
		switch {
		case escaped:
			escaped = false
		case c == '\\' && !quoted:
			escaped = true
		case c == '\'':
			quoted = !quoted
		case quoted, c == '|' && strings.HasPrefix(command[i:], "| ") && strings.HasSuffix(command[:i], " "):
		case strings.ContainsRune(";&|$`<>(){}[]*?!~#\"", c):
			return c
		}
	}
	return 0
}

// commandProblems returns the kind that a command works on and what kubectl or the API server would refuse.
func commandProblems(p parsed) (kind string, wrong []string) {
	kind, name, ok := p.target()
	if !ok {
		return kind, []string{fmt.Sprintf("kubectl %s %q names no object", p.name, p.args)}
	}
	cluster := strings.HasPrefix(kind, "*")
	kind = strings.TrimPrefix(kind, "*")
	switch {
	case !cluster && !p.all && p.namespace == "":
		wrong = append(wrong, "it names no namespace")
	case cluster && p.namespace != "":
		wrong = append(wrong, "it names a namespace for what is in none")
	}
	if want := commands[p.name].kinds; want != "" && !slices.Contains(strings.Fields(want), kind) {
		wrong = append(wrong, fmt.Sprintf("kubectl %s does not work on a %s", p.name, kind))
	}
	switch p.name {
	case "edit", "scale", "patch", "set env", "set image", "set resources", "rollout undo", "rollout restart", "delete", "annotate", "label":
		if name == "" && p.flags["l"] == nil {
			wrong = append(wrong, "it names no object")
		}
	}
	switch p.name {
	case "set env", "set image":
		if len(p.args) < 2 && p.flags["list"] == nil && p.flags["from"] == nil {
			wrong = append(wrong, "it sets nothing")
		}
		for _, a := range p.args[min(1, len(p.args)):] {
			key, _, ok := strings.Cut(a, "=")
			if !ok || key == "" || p.name == "set env" && strings.ContainsFunc(key, func(r rune) bool {
				return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
			}) {
				wrong = append(wrong, fmt.Sprintf("%q is no NAME=VALUE", a))
			}
		}
	case "exec":
		if len(p.after) == 0 {
			wrong = append(wrong, "it runs nothing")
		}
	case "patch":
		for _, text := range append(p.flags["p"], p.flags["patch"]...) {
			if err := strict(kind, []byte(text)); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	case "run", "create configmap", "create secret generic", "create secret docker-registry", "create job", "create role", "create rolebinding", "create clusterrole", "create clusterrolebinding", "create serviceaccount":
		if len(p.args) != 1 || p.args[0] != strings.ToLower(p.args[0]) || len(p.args[0]) > 253 {
			wrong = append(wrong, fmt.Sprintf("%q cannot be the name of what it makes", p.args))
		}
	}
	return kind, wrong
}

// kubelet is the part of a KubeletConfiguration that fixes speak of.
type kubelet struct {
	ResolvConf string `json:"resolvConf"`
}

func object(kind string) any {
	switch strings.ToLower(kind) {
	case "deployment":
		return &appsv1.Deployment{}
	case "statefulset":
		return &appsv1.StatefulSet{}
	case "daemonset":
		return &appsv1.DaemonSet{}
	case "replicationcontroller":
		return &corev1.ReplicationController{}
	case "replicaset":
		return &appsv1.ReplicaSet{}
	case "job":
		return &batchv1.Job{}
	case "cronjob":
		return &batchv1.CronJob{}
	case "pod":
		return &corev1.Pod{}
	case "service":
		return &corev1.Service{}
	case "configmap":
		return &corev1.ConfigMap{}
	case "secret":
		return &corev1.Secret{}
	case "pvc", "persistentvolumeclaim":
		return &corev1.PersistentVolumeClaim{}
	case "kubelet":
		return &kubelet{}
	}
	return nil
}

// strict reads a patch as the kind that it is for, with nothing that the kind does not have.
func strict(kind string, text []byte) error {
	into := object(kind)
	if into == nil {
		return fmt.Errorf("a patch of a %q", kind)
	}
	var tree any
	if err := yaml.UnmarshalStrict(text, &tree); err != nil {
		return fmt.Errorf("the patch is no YAML: %w", err)
	}
	raw, err := json.Marshal(withoutDirectives(tree))
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(raw, into); err != nil {
		return fmt.Errorf("the patch does not fit a %s: %w", kind, err)
	}
	return nil
}

// withoutDirectives takes the strategic merge's own words out: $patch and its like.
func withoutDirectives(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if strings.HasPrefix(k, "$") {
				delete(v, k)
				continue
			}
			v[k] = withoutDirectives(e)
		}
	case []any:
		for i := range v {
			v[i] = withoutDirectives(v[i])
		}
	}
	return v
}

func patchProblems(kind string, f diagnose.Fix, containers []string) (wrong []string) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(f.Patch), &head); err != nil {
		return []string{"the patch is no YAML: " + err.Error()}
	}
	switch {
	case head.Kind != "":
		kind = head.Kind
	case strings.HasPrefix(f.Patch, "resolvConf:"):
		kind = "kubelet"
	}
	if err := strict(kind, []byte(f.Patch)); err != nil {
		return []string{err.Error()}
	}
	var named struct {
		Spec struct {
			pods
			Template struct {
				Spec pods `json:"spec"`
			} `json:"template"`
			JobTemplate struct {
				Spec struct {
					Template struct {
						Spec pods `json:"spec"`
					} `json:"template"`
				} `json:"spec"`
			} `json:"jobTemplate"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(f.Patch), &named); err != nil {
		return []string{err.Error()}
	}
	for _, p := range []pods{named.Spec.pods, named.Spec.Template.Spec, named.Spec.JobTemplate.Spec.Template.Spec} {
		for _, c := range slices.Concat(p.Containers, p.InitContainers) {
			if !slices.Contains(containers, c.Name) {
				wrong = append(wrong, fmt.Sprintf("there is no container %q", c.Name))
			}
		}
	}
	return wrong
}

type pods struct {
	Containers     []struct{ Name string } `json:"containers"`
	InitContainers []struct{ Name string } `json:"initContainers"`
}
