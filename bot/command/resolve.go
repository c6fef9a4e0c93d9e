package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"crashloop/bot/access"
	"crashloop/bot/action"
	"crashloop/diagnose"
	"crashloop/notify"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// maxChoices bounds the choices that an ambiguous name is answered with.
	maxChoices = 10
	// fewNamespaces is up to how many namespaces are searched one by one for a person who may not see all.
	fewNamespaces = 10
)

// named is a name as it was typed, taken apart.
type named struct {
	namespace, kind, name string
}

// match is what a name stands for.
type match struct {
	target action.Target // the topmost workload
	pod    string        // when the name was a pod's
}

// spellings of the kinds, as kubectl takes them.
var spellings = map[string]string{
	"deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment", "deployments.apps": "Deployment", "deployment.apps": "Deployment",
	"statefulset": "StatefulSet", "statefulsets": "StatefulSet", "sts": "StatefulSet", "statefulset.apps": "StatefulSet", "statefulsets.apps": "StatefulSet",
	"daemonset": "DaemonSet", "daemonsets": "DaemonSet", "ds": "DaemonSet", "daemonset.apps": "DaemonSet", "daemonsets.apps": "DaemonSet",
	"replicaset": "ReplicaSet", "replicasets": "ReplicaSet", "rs": "ReplicaSet",
	"cronjob": "CronJob", "cronjobs": "CronJob", "cj": "CronJob", "job": "Job", "jobs": "Job",
	"pod": "Pod", "pods": "Pod", "po": "Pod",
	"service": "Service", "services": "Service", "svc": "Service",
	"persistentvolumeclaim": "PersistentVolumeClaim", "persistentvolumeclaims": "PersistentVolumeClaim", "pvc": "PersistentVolumeClaim",
}

// namespaceFlag is for those who are used to kubectl.
func namespaceFlag(fs *pflag.FlagSet) {
	fs.StringP("namespace", "n", "", "the namespace, as in NAMESPACE/NAME")
}

// parseName takes apart web, shop/web, deployment/web, shop/deployment/web and Deployment/shop/web.
func parseName(text, namespace string) (named, error) {
	n := named{namespace: namespace}
	parts := strings.Split(text, "/")
	kind := func(s string) bool {
		n.kind = spellings[strings.ToLower(s)]
		return n.kind != ""
	}
	given := ""
	switch {
	case len(parts) == 1:
		n.name = parts[0]
	case len(parts) == 2 && kind(parts[0]):
		n.name = parts[1]
	case len(parts) == 2:
		given, n.name = parts[0], parts[1]
	case len(parts) == 3 && kind(parts[1]):
		given, n.name = parts[0], parts[2]
	case len(parts) == 3 && kind(parts[0]):
		given, n.name = parts[1], parts[2]
	case len(parts) == 3:
		return n, misuse("%q is not a kind; write NAMESPACE/KIND/NAME, such as shop/deployment/web.", cut(parts[1], 60))
	default:
		return n, misuse("%q is not a name; write NAME, NAMESPACE/NAME, KIND/NAME or NAMESPACE/KIND/NAME.", cut(text, 60))
	}
	if given != "" && namespace != "" && given != namespace {
		return n, misuse("The name says namespace %s, and --namespace says %s.", cut(given, 60), cut(namespace, 60))
	}
	if given != "" {
		n.namespace = given
	}
	if n.namespace != "" || len(parts) == 2 && n.kind == "" || len(parts) == 3 {
		if len(validation.IsDNS1123Label(n.namespace)) > 0 {
			return n, misuse("%q cannot be the name of a namespace: those have small letters, digits and hyphens only, at most 63.", cut(n.namespace, 60))
		}
	}
	if len(validation.IsDNS1123Subdomain(n.name)) > 0 {
		return n, misuse("%q cannot be the name of an object: those have small letters, digits, hyphens and dots only, and begin and end with a letter or digit.", cut(n.name, 60))
	}
	return n, nil
}

// resolve finds the one thing that a name stands for, among what the person may list. A name that leaves nothing open is taken as it is:
// whether it exists is not said before the person's permission is known.
func (c *call) resolve(ctx context.Context, text string) (match, error) {
	namespace := ""
	if f := c.flags.Lookup("namespace"); f != nil {
		namespace = f.Value.String()
	}
	n, err := parseName(text, namespace)
	if err != nil {
		return match{}, err
	}
	if n.namespace != "" && n.kind != "" && n.kind != "Pod" {
		return match{target: action.Target{Kind: n.kind, Namespace: n.namespace, Name: n.name}}, nil
	}
	may, all, err := c.mayList(ctx, n)
	if err != nil {
		return match{}, err
	}
	if n.namespace != "" && len(may) == 0 {
		if n.kind == "Pod" {
			return match{target: action.Target{Kind: "Pod", Namespace: n.namespace, Name: n.name}}, nil
		}
		return match{}, c.mayNotLook(ctx, n.namespace)
	}
	found, err := c.search(ctx, n, may, all)
	if err != nil {
		return match{}, err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return match{}, c.miss(ctx, n, may, all)
	}
	return match{}, c.choices(n, found)
}

// mayList says in which of the namespaces in question the person may list pods, and whether that is all of them.
func (c *call) mayList(ctx context.Context, n named) (may []string, all bool, err error) {
	namespace := n.namespace
	candidates := []string{namespace}
	if namespace == "" {
		if candidates, err = c.o.Directory.Namespaces(ctx); err != nil {
			return nil, false, err
		}
	}
	may, err = c.o.Access.Namespaces(ctx, c.person, candidates)
	if err != nil {
		return nil, false, c.deny(ctx, n.String(), err)
	}
	if namespace == "" && len(may) == 0 {
		return nil, false, c.deny(ctx, n.String(), &answer{refused("You may list pods in no namespace of cluster "+c.o.Cluster+", so nothing can be looked up by a short name.", "")})
	}
	return may, namespace == "" && len(may) == len(candidates), nil
}

// search asks the directory and the open incidents.
func (c *call) search(ctx context.Context, n named, may []string, all bool) ([]match, error) {
	var found []match
	add := func(m match) {
		if slices.Contains(may, m.target.Namespace) && !slices.Contains(found, m) {
			found = append(found, m)
		}
	}
	for _, s := range c.o.Incidents() {
		about := s.Incident.Subject
		if s.Incident.State != diagnose.Open || n.namespace != "" && about.Namespace != n.namespace {
			continue
		}
		m := match{target: target(about)}
		switch {
		case about.Name() == n.name && (n.kind == "" || n.kind == about.Kind()):
			add(m)
		case about.Pod == n.name && (n.kind == "" || n.kind == "Pod"):
			m.pod = about.Pod
			add(m)
		}
	}
	in := []string{n.namespace}
	if n.namespace == "" && !all && len(may) <= fewNamespaces {
		in = may
	}
	for _, namespace := range in {
		objects, err := c.o.Directory.Named(ctx, namespace, n.kind, n.name)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			add(match{target: o.Target, pod: o.Pod})
		}
	}
	return found, nil
}

// choices answers a name that stands for several things.
func (c *call) choices(n named, found []match) *answer {
	says := fmt.Sprintf("%q could be any of these; say which:", n.name)
	var lines [][]notify.Span
	for _, m := range found[:min(len(found), maxChoices)] {
		line := c.o.Name + " " + c.command.name + " " + spell(m.target)
		if m.pod != "" {
			line = c.o.Name + " " + c.command.name + " " + m.target.Namespace + "/pod/" + m.pod
		}
		lines = append(lines, []notify.Span{notify.C(line)})
	}
	m := notify.Message{Text: says, Blocks: []notify.Block{{Text: []notify.Span{notify.T(says)}}, {List: lines}}}
	for _, l := range lines {
		m.Text += " " + l[0].Text + ";"
	}
	if more := len(found) - maxChoices; more > 0 {
		m.Blocks = append(m.Blocks, notify.Block{Context: []notify.Span{notify.T(fmt.Sprintf("and %d more", more))}})
	}
	return &answer{m}
}

// miss answers a name that stands for nothing that the person may see.
func (c *call) miss(ctx context.Context, n named, may []string, all bool) error {
	where := "where you may list pods"
	if n.namespace != "" {
		where = "in namespace " + n.namespace
	}
	what := "There is no workload or pod"
	if n.kind != "" {
		what = "There is no " + n.kind
	}
	says := fmt.Sprintf("%s %q %s.", what, n.name, where)
	in := []string{n.namespace}
	if n.namespace == "" && !all && len(may) <= fewNamespaces {
		in = may
	}
	byName := map[string][]string{}
	var names []string
	for _, namespace := range in {
		objects, err := c.o.Directory.Names(ctx, namespace)
		if err != nil {
			c.o.Log.Warn("names could not be listed for a suggestion", "error", err)
			return &answer{say(says)}
		}
		for _, o := range objects {
			if slices.Contains(may, o.Target.Namespace) && (n.kind == "" || n.kind == o.Target.Kind || n.kind == "Pod") {
				names = append(names, o.Target.Name)
				byName[o.Target.Name] = append(byName[o.Target.Name], spell(o.Target))
			}
		}
	}
	var near []string
	for _, name := range nearest(n.name, names, 3) {
		near = append(near, byName[name]...)
	}
	if len(near) > 0 {
		says += " Did you mean " + strings.Join(near[:min(len(near), 5)], ", ") + "?"
	}
	return &answer{say(says)}
}

// mayNotLook refuses a namespace in the same words whether or not it exists.
func (c *call) mayNotLook(ctx context.Context, namespace string) error {
	pass, err := c.o.Guard.Enter(ctx, action.Entering{Person: c.person, What: c.command.name, Target: "Namespace//" + namespace, Channel: c.channel},
		access.Permission{Verb: "list", Resource: "pods", Namespace: namespace})
	if err != nil {
		return err
	}
	if pass.Decision.Allowed { // it was granted within the last seconds
		pass.End(ctx, "nothing", "asked again")
		return &answer{say("Your permission was just granted; try again in ten seconds.")}
	}
	return &answer{refused(pass.Decision.Says, pass.Decision.Grant)}
}

// deny turns a refusal to look anywhere into an answer, and writes it down.
func (c *call) deny(ctx context.Context, about string, err error) error {
	var r *access.Refusal
	if errors.As(err, &r) {
		err = &answer{refused(r.Decision.Says, r.Decision.Grant)}
	}
	c.o.Guard.Refuse(ctx, action.Entering{Person: c.person, What: c.command.name, Target: about, Channel: c.channel}, err.Error())
	return err
}

// String is the name as it can be typed.
func (n named) String() string {
	s := n.name
	if n.kind != "" {
		s = strings.ToLower(n.kind) + "/" + s
	}
	if n.namespace != "" {
		s = n.namespace + "/" + s
	}
	return s
}

// target is the workload of a subject.
func target(s diagnose.Subject) action.Target {
	return action.Target{Kind: s.Kind(), Namespace: s.Namespace, Name: s.Name()}
}

// spell writes a target as it can be typed.
func spell(t action.Target) string {
	return t.Namespace + "/" + strings.ToLower(t.Kind) + "/" + t.Name
}

// incidentsOf returns the incidents of a workload, the open ones first.
func (d *Dispatcher) incidentsOf(t action.Target) []Standing {
	var open, ended []Standing
	for _, s := range d.o.Incidents() {
		if target(s.Incident.Subject) != t {
			continue
		}
		if s.Incident.State == diagnose.Open {
			open = append(open, s)
		} else {
			ended = append(ended, s)
		}
	}
	slices.SortFunc(ended, func(a, b Standing) int { return b.Incident.Ended.Compare(a.Incident.Ended) })
	return append(open, ended...)
}
