package rules

import (
	"fmt"
	"regexp"
	"strings"

	"crashloop/diagnose"
)

func configKeyMissing() diagnose.Rule {
	env := regexp.MustCompile(`(?i)couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?:(?P<ns>[^/\s]+)/)?(?P<name>[^\s:,]+)`)
	mounted := regexp.MustCompile(`(?i)(?:configmap|secret|config|volume "(?P<volume>[^"]+)").*references non-existent (?:config|secret) key: (?P<key>\S+)|references non-existent (?:config|secret) key: (?P<key2>\S+)`)
	volumeName := regexp.MustCompile(`volume "(?P<volume>[^"]+)"`)
	return diagnose.Rule{
		ID: "config.key-missing", Category: "missing-config", Title: "A ConfigMap or Secret lacks a key that the pod needs",
		Doc: diagnose.Doc{
			Means:   "The ConfigMap or Secret is there, but not the key that the pod names, as an environment variable or as a file of a volume.",
			Confirm: "`kubectl describe pod POD` shows \"couldn't find key\" or \"references non-existent config key\"; `kubectl describe configmap NAME` (or secret) lists the keys.",
			Mend:    "Add the key, correct its name in the pod template, or mark it `optional: true` if the program runs without it.",
			Source:  "kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			kind, name, key := diagnose.ConfigMaps, "", ""
			s, g, ok := said(c, env)
			if ok {
				name, key = g["name"], g["key"]
				if strings.EqualFold(g["kind"], "secret") {
					kind = diagnose.Secrets
				}
			} else if s, g, ok = said(c, mounted); ok {
				key = strings.TrimRight(g["key"], ".,;:")
				volume := groups(volumeName, s.text)["volume"]
				for _, r := range references(c) {
					if r.Key == key && r.Volume != "" && (volume == "" || r.Volume == volume) {
						kind, name = r.Kind, r.Name
					}
				}
			}
			if !ok {
				return nil
			}
			key = strings.TrimRight(key, ".,;:")
			f := fromStatement(s)
			if name != "" {
				f.Root = kind.Kind + "/" + c.Subject.Namespace + "/" + name
				f.Chain = []diagnose.Link{{Object: f.Root, Says: "has no key " + key}}
			}
			f.Summary = fmt.Sprintf("%s cannot start: %s %s has no key %s", c.Who(), kind.Kind, firstOf(name, "that it mounts"), key)
			keys := keysOfObject(c, kind, name)
			if len(keys) > 0 {
				f.Summary += "; it has " + list(keys)
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: fmt.Sprintf("%s %s/%s keys", kind.Kind, c.Subject.Namespace, name), Text: list(keys)})
			}
			if near := diagnose.Nearest(key, keys); near != "" {
				f.Advice = fmt.Sprintf("Add the key, or use %s if that is what is meant", near)
			} else {
				f.Advice = "Add the key, or correct its name in the pod template"
			}
			patch := `{"data":{` + jsonString(key) + `:"VALUE"}}`
			if kind == diagnose.Secrets {
				patch = `{"stringData":{` + jsonString(key) + `:"VALUE"}}`
			}
			if name == "" {
				f.Fixes = []diagnose.Fix{{Title: "See what it mounts", Command: c.Kubectl("describe", "pod", c.Subject.Pod)}}
				return []diagnose.Finding{f}
			}
			f.Fixes = []diagnose.Fix{{Title: "Add the key", Command: c.Kubectl("patch", strings.ToLower(kind.Kind), name, "--type=merge", "-p", patch)}}
			return []diagnose.Finding{f}
		},
	}
}
