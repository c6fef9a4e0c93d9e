package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func resourcesEphemeralStorage() diagnose.Rule {
	re := regexp.MustCompile(`(?i)(?:exceeded its local ephemeral storage limit|ephemeral local storage usage exceeds|local ephemeral storage usage exceeds|ephemeral storage limit|usage of emptydir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<size>[^"]+)")`)
	limit := regexp.MustCompile(`(?i)limit\D{0,20}"?(?P<n>\d+\w*)"?`)
	return diagnose.Rule{
		ID: "resources.ephemeral-storage", Category: "resource-limits", Title: "It writes more to local disk than it may",
		Doc: diagnose.Doc{
			Means:   "The pod was evicted because a container's logs and writable layer exceed its ephemeral-storage limit, or an emptyDir its sizeLimit.",
			Confirm: "`kubectl describe pod POD`: Status Failed, Reason Evicted, and a message that names the limit.",
			Mend:    "Write less - rotate, clean up, stream - raise the limit, or use a PersistentVolumeClaim for what grows.",
			Source:  "kubernetes.io/docs/concepts/storage/ephemeral-storage",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			s, g, ok := evictedSays(c, re)
			if !ok {
				return nil
			}
			f := fromStatement(s)
			f.Weight = 60
			f.Summary = fmt.Sprintf("%s is evicted because it writes more to local disk than its limit allows", c.Who())
			if g["volume"] != "" {
				f.Summary = fmt.Sprintf("%s is evicted because its emptyDir %s grows over its limit of %s", c.Who(), g["volume"], g["size"])
			} else if l := groups(limit, s.text); l != nil {
				f.Summary += fmt.Sprintf(" (%s)", l["n"])
			}
			f.Advice = "Clean up what it writes, raise the limit, or use a claim for what grows"
			f.Fixes = []diagnose.Fix{{Title: "Raise the limit", Patch: containerPatch(c, "resources:\n  limits:\n    ephemeral-storage: 4Gi")}}
			return []diagnose.Finding{f}
		},
	}
}

// held says that the pod itself waits for something else than a node that is short of what another pod was evicted for.
func held(c *diagnose.Case) bool {
	if c.Pod == nil {
		return false
	}
	texts := []string{}
	for _, cond := range c.Pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			texts = append(texts, cond.Message)
		}
	}
	for _, s := range statements(c) {
		if s.text != "" {
			texts = append(texts, s.text)
		}
	}
	return len(texts) > 0 && !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), "pressure") })
}

// evictedSays matches why a pod was evicted: its status, or the event Evicted.
func evictedSays(c *diagnose.Case, re *regexp.Regexp) (statement, map[string]string, bool) {
	if c.Pod != nil && c.Pod.Status.Reason == "Evicted" {
		if g := groups(re, c.Pod.Status.Message); g != nil {
			return statement{"status.message", "Evicted", c.Pod.Status.Message}, g, true
		}
	}
	for _, e := range c.Events() {
		if e.Reason == "Evicted" {
			if g := groups(re, e.Message); g != nil {
				ev := e.Cite()
				return statement{ev.Source, "Evicted", e.Message}, g, true
			}
		}
	}
	if held(c) {
		return statement{}, nil, false
	}
	for _, p := range c.Siblings() {
		if p.Status.Reason == "Evicted" {
			if g := groups(re, p.Status.Message); g != nil && c.Last() == nil {
				return statement{"status.message of pod " + p.Name, "Evicted", p.Status.Message}, g, true
			}
		}
	}
	return statement{}, nil, false
}
