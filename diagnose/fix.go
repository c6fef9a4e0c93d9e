package diagnose

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// plainScalar is a YAML scalar that needs no quotes, whatever it stands for: no number, no word that YAML 1.1 takes for a boolean or null.
var plainScalar = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

// Scalar writes a string as a YAML value, quoted where it would be read as something else. What it holds may be hostile.
func Scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan":
	default:
		if plainScalar.MatchString(s) {
			return s
		}
	}
	raw, _ := json.Marshal(s)
	return string(raw)
}

// fit makes the fixes ones that the subject's kind and whoever keeps the object as it is take: kubectl changes no template of a Job or a
// bare pod, only Deployments, StatefulSets and DaemonSets roll out, and a GitOps controller puts back what is changed by hand. The last
// ones, borrowed from another workload's diagnosis, have been made to fit there.
func (c *Case) fit(fixes []Fix, borrowed int) []Fix {
	own := len(fixes) - borrowed
	k, kept := c.keeper()
	said := false
	out := make([]Fix, 0, len(fixes))
	for i, f := range fixes {
		changes := false
		if i < own {
			f, changes = c.fits(f)
		}
		if changes && kept && !said {
			f.Title, said = f.Title+"; change it "+k.says(), true
		}
		if changes && f.Command != "" && f.Patch != "" && !strings.Contains(f.Command, "--patch-file=") { // they do the same
			if kept && k.kind != "Helm" {
				f.Command = "" // what it does would be put back
			} else {
				f.Patch = ""
			}
		}
		out = append(out, f)
	}
	return out
}

// fits makes one fix fit the subject's kind, and says whether it changes the workload's spec.
func (c *Case) fits(f Fix) (Fix, bool) {
	kind := c.Subject.Kind()
	words := strings.Fields(f.Command)
	at := slices.Index(words, shellQuote(c.Target()))
	verb := ""
	if at >= 0 {
		for _, w := range words {
			if w == "set" || w == "edit" || w == "rollout" {
				verb = w
				break
			}
		}
	}
	if verb == "rollout" {
		return c.fitsRollout(f), false
	}
	patches := f.Patch != "" && f.Command == "" && strings.HasPrefix(f.Patch, "spec:")
	if verb == "" && !patches {
		return f, false
	}
	switch kind {
	case "Job", "Pod":
		if kind == "Pod" && len(words) > at+1 && slices.Contains(words, "image") {
			return f, true // the one field of a container that can be changed
		}
		f.Title, f.Command = f.Title+" (in its manifest: delete the "+kind+" and create it anew)", ""
		return f, true
	case "ReplicaSet", "ReplicationController":
		f.Title += "; then delete its pods, as a " + kind + " does not replace those that it has"
	}
	if patches {
		f.Command = c.Kubectl("patch", c.Target(), "--patch-file=patch.yaml")
	}
	return f, true
}

// fitsRollout gives the kinds that do not roll out their own way to start anew.
func (c *Case) fitsRollout(f Fix) Fix {
	kind := c.Subject.Kind()
	restart := strings.Contains(f.Command, " rollout restart ")
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet":
		return f
	case "CronJob":
		if f.Command = ""; restart {
			f.Command = c.Kubectl("create", "job", "--from=cronjob/"+c.Subject.Name(), cutName(c.Subject.Name()+"-again"))
		}
		return f
	case "Job", "Pod":
		f.Title, f.Command = f.Title+" (delete the "+kind+" and create it anew)", ""
		return f
	}
	if f.Command = ""; restart && c.Subject.Pod != "" {
		f.Command = c.Kubectl("delete", "pod", c.Subject.Pod)
	}
	return f
}

// cutName bounds a name to what a Job's may have.
func cutName(s string) string { return strings.TrimRight(s[max(0, len(s)-63):], "-.") }
