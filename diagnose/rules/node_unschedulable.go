package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

func nodeUnschedulable() diagnose.Rule {
	return diagnose.Rule{
		ID: "node.unschedulable", Category: "node", Title: "No node takes the pod",
		Doc: diagnose.Doc{
			Means:   "The scheduler finds no node for the pod: none has enough CPU or memory left, all have a taint that the pod does not tolerate, or a nodeSelector, affinity or topology rule leaves none over.",
			Confirm: "`kubectl describe pod POD`: FailedScheduling counts the nodes and says what each lacks. `kubectl describe nodes` shows what is allocated.",
			Mend:    "Ask for less, add a node, add a toleration, or correct the selector or affinity.",
			Source:  "kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler, .../taint-and-toleration, .../assign-pod-node",
		},
		Match: func(c *diagnose.Case, _ []diagnose.Hit) []diagnose.Finding {
			if c.Pod == nil || c.Spec.NodeName != "" || c.Pod.Status.Phase != "Pending" && c.Pod.Status.Phase != "" {
				return nil
			}
			s, _, ok := unscheduled(c, nil)
			if !ok {
				for _, st := range statements(c) {
					if st.reason == "FailedScheduling" {
						s, ok = st, true
						break
					}
				}
			}
			overlooked := ""
			if !ok {
				if overlooked = diagnose.Overlooked(c.Pod); overlooked == "" {
					return nil
				}
				s = statement{"spec.schedulerName", "", c.Spec.SchedulerName}
			}
			f := fromStatement(s)
			why, advice := scheduling(c, s.text)
			if overlooked != "" {
				why, advice = overlooked, "See that this scheduler is installed and runs, or take schedulerName out of the pod template"
			}
			f.Summary = fmt.Sprintf("%s has no node: %s", c.Who(), why)
			f.Advice = advice
			if _, _, ok := schedulerBlames(c, noVolumeFits+"|"+volumeOutOfReach); ok {
				f.Confidence = diagnose.Likely // the claim or its volume may be at fault
			}
			if strings.Contains(s.text, "persistentvolumeclaim") || strings.Contains(s.text, "PersistentVolumeClaim") {
				f.Weight = -30
			}
			if c.Container != nil {
				var asked []string
				for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
					if q, ok := c.Container.Resources.Requests[r]; ok {
						asked = append(asked, string(r)+" "+q.String())
					}
				}
				if len(asked) > 0 {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Source: c.SpecField("resources.requests"), Text: strings.Join(asked, ", ")})
				}
			}
			if len(c.Spec.NodeSelector) > 0 && strings.Contains(s.text, "selector") {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Source: "spec.nodeSelector", Text: fmt.Sprint(c.Spec.NodeSelector)})
			}
			f.Fixes = []diagnose.Fix{
				{Title: "See what each node has left", Command: "kubectl describe nodes"},
				{Title: "See what the pod asks for", Command: c.Kubectl("describe", "pod", c.Subject.Pod)},
			}
			return []diagnose.Finding{f}
		},
	}
}

// scheduling says in words what the scheduler says in numbers.
func scheduling(c *diagnose.Case, text string) (why, advice string) {
	short, _, _ := strings.Cut(text, " preemption:")
	short = strings.TrimRight(diagnose.Shorten(strings.TrimSpace(short), 220), ". ")
	t := strings.ToLower(most(short))
	advice = "See what the nodes lack"
	switch {
	case strings.Contains(t, "insufficient"):
		advice = "Lower its requests, or add a node"
		if c.Container != nil {
			if q, ok := c.Container.Resources.Requests[corev1.ResourceMemory]; ok && strings.Contains(t, "memory") {
				advice = "It asks for " + q.String() + " of memory: lower that, or add a node"
			} else if q, ok := c.Container.Resources.Requests[corev1.ResourceCPU]; ok && strings.Contains(t, "cpu") {
				advice = "It asks for " + q.String() + " CPU: lower that, or add a node"
			}
		}
	case strings.Contains(t, "taint"):
		advice = "Give the pod a toleration for the taint, or take the taint off"
	case strings.Contains(t, "volume node affinity") || strings.Contains(t, "persistentvolume's node affinity"):
		advice = "Its volume is bound to a zone or node that cannot take it: make room there, or move the volume"
	case strings.Contains(t, "affinity") || strings.Contains(t, "selector"):
		advice = "Correct its nodeSelector or affinity, or label a node"
	case strings.Contains(t, "too many pods"):
		advice = "Add a node, or move pods away"
	case strings.Contains(t, "free ports"):
		advice = "Its hostPort is taken on every node: leave the hostPort out, or free it"
	case strings.Contains(t, "topology"):
		advice = "Relax its topology spread constraints, or add nodes in the zones that lack"
	case strings.Contains(t, "unschedulable"):
		advice = "Uncordon a node, or add one"
	case strings.Contains(t, "no nodes available"):
		advice = "The cluster has no node that is ready: add one, or mend those that there are"
	}
	return short, advice
}

// most picks the scheduler's reason that keeps out the most nodes: "1 node(s) had untolerated taint {...}, 3 node(s) didn't match ...".
func most(text string) string {
	best, top := text, -1
	for _, r := range keptOut(text) {
		if r.nodes > top {
			best, top = r.why, r.nodes
		}
	}
	return best
}

// keptOutOf is a reason of the scheduler's, and how many nodes it keeps out.
type keptOutOf struct {
	nodes int
	why   string
}

// keptOut lists the reasons in what the scheduler says. The taint of the control plane keeps out none: nodes with it were never meant for the pod.
func keptOut(text string) []keptOutOf {
	var out []keptOutOf
	for _, m := range nodesCounted.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			continue
		}
		if strings.Contains(m[2], "node-role.kubernetes.io/") {
			n = 0
		}
		out = append(out, keptOutOf{n, m[2]})
	}
	return out
}

// nodesCounted is one of the scheduler's reasons, with the number of nodes before it.
var nodesCounted = regexp.MustCompile(`(?:^|[:,] )(\d+) ((?:[^,{]|\{[^}]*\})+)`)
