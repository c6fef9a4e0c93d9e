package fixtest

import (
	"fmt"
	"slices"
	"strings"
)

// command is what a kubectl subcommand takes: flags with a value, and flags without.
type command struct {
	values, switches string
	kinds            string // the kinds that it works on; any when empty
}

// everywhere are the flags that all subcommands share, of those that fixes use.
const everywhere = "n namespace context"

// commands are the subcommands and their flags as `kubectl options` and `kubectl COMMAND --help` of 1.36 list them, as far as fixes may use them.
var commands = map[string]command{
	"get":                           {"o output l selector field-selector sort-by", "A all-namespaces show-labels show-managed-fields w watch", ""},
	"describe":                      {"l selector", "A all-namespaces", ""},
	"logs":                          {"c container tail since l selector", "p previous all-containers f follow timestamps", "pod job deployment statefulset daemonset replicaset replicationcontroller cronjob"},
	"exec":                          {"c container", "it i t", "pod deployment statefulset daemonset"},
	"debug":                         {"copy-to container c image target profile", "it i t", "pod node"},
	"top pod":                       {"l selector sort-by", "A containers", ""},
	"top node":                      {"sort-by", "", ""},
	"run":                           {"image restart labels overrides", "rm it i t command", ""},
	"edit":                          {"o", "", "deployment statefulset daemonset cronjob configmap secret service networkpolicy ingress pvc"},
	"scale":                         {"replicas current-replicas", "", "deployment statefulset replicaset replicationcontroller"},
	"patch":                         {"p patch patch-file type subresource", "", ""},
	"annotate":                      {"", "overwrite", ""},
	"label":                         {"", "overwrite", ""},
	"delete":                        {"l grace-period", "now", ""},
	"cordon":                        {"", "", "node"},
	"drain":                         {"", "ignore-daemonsets delete-emptydir-data", "node"},
	"set env":                       {"c containers from prefix keys", "list overwrite", "deployment statefulset daemonset replicaset replicationcontroller cronjob"},
	"set image":                     {"", "", "deployment statefulset daemonset replicaset replicationcontroller cronjob pod"},
	"set resources":                 {"c containers limits requests", "", "deployment statefulset daemonset replicaset replicationcontroller cronjob"},
	"set serviceaccount":            {"", "", "deployment statefulset daemonset replicaset replicationcontroller cronjob"},
	"rollout undo":                  {"to-revision", "", "deployment statefulset daemonset"},
	"rollout restart":               {"", "", "deployment statefulset daemonset"},
	"rollout history":               {"revision", "", "deployment statefulset daemonset"},
	"rollout status":                {"timeout", "", "deployment statefulset daemonset"},
	"create configmap":              {"from-literal from-file", "", ""},
	"create secret generic":         {"from-literal from-file type", "", ""},
	"create secret docker-registry": {"docker-server docker-username docker-password docker-email", "", ""},
	"create secret tls":             {"cert key", "", ""},
	"create job":                    {"image from", "", ""},
	"create role":                   {"verb resource resource-name", "", ""},
	"create rolebinding":            {"role clusterrole serviceaccount user group", "", ""},
	"create clusterrole":            {"verb resource resource-name", "", ""},
	"create clusterrolebinding":     {"clusterrole serviceaccount user group", "", ""},
	"create serviceaccount":         {"", "", ""},
	"auth can-i":                    {"as as-group", "list A", ""},
	"api-resources":                 {"api-group verbs o", "namespaced", ""},
	"api-versions":                  {"", "", ""},
	"apply":                         {"f filename k", "server-side", ""},
	"wait":                          {"for timeout l", "", ""},
	"events":                        {"for types", "A", ""},
	"explain":                       {"api-version", "recursive", ""},
	"uncordon":                      {"", "", "node"},
	"taint":                         {"", "overwrite", "node"},
	"rollout resume":                {"", "", "deployment"},
	"rollout pause":                 {"", "", "deployment"},
	"create namespace":              {"", "", ""},
	"create priorityclass":          {"value", "", ""},
	"create quota":                  {"hard", "", ""},
	"certificate approve":           {"", "", ""},
	"cluster-info dump":             {"output-directory namespaces", "A", ""},
}

// kinds maps what kubectl takes for a kind to its singular name; those that begin with "*" are cluster-scoped.
var kinds = map[string]string{
	"po": "pod", "pods": "pod", "pod": "pod", "deploy": "deployment", "deployments": "deployment", "deployment": "deployment", "sts": "statefulset", "statefulset": "statefulset", "statefulsets": "statefulset",
	"ds": "daemonset", "daemonset": "daemonset", "daemonsets": "daemonset", "rs": "replicaset", "replicaset": "replicaset", "replicasets": "replicaset", "rc": "replicationcontroller",
	"job": "job", "jobs": "job", "cronjob": "cronjob", "cronjobs": "cronjob", "cj": "cronjob", "svc": "service", "service": "service", "services": "service", "endpointslice": "endpointslice", "endpointslices": "endpointslice",
	"cm": "configmap", "configmap": "configmap", "configmaps": "configmap", "secret": "secret", "secrets": "secret", "pvc": "pvc", "persistentvolumeclaim": "pvc", "persistentvolumeclaims": "pvc",
	"events": "event", "event": "event", "quota": "quota", "resourcequota": "quota", "resourcequotas": "quota", "limitrange": "limitrange", "limitranges": "limitrange", "limits": "limitrange",
	"serviceaccount": "serviceaccount", "serviceaccounts": "serviceaccount", "sa": "serviceaccount", "networkpolicy": "networkpolicy", "networkpolicies": "networkpolicy", "netpol": "networkpolicy",
	"ingress": "ingress", "ingresses": "ingress", "ing": "ingress", "lease": "lease", "leases": "lease", "role": "role", "roles": "role", "rolebinding": "rolebinding", "rolebindings": "rolebinding", "hpa": "hpa",
	"certificate": "certificate", "certificates": "certificate", "externalsecret": "externalsecret", "certificaterequests": "certificaterequest", "issuers": "issuer", "orders": "order", "challenges": "challenge", "secretstores": "secretstore", "clustersecretstores": "*clustersecretstore", "externalsecrets": "externalsecret", "sealedsecret": "sealedsecret", "sealedsecrets": "sealedsecret", "secretproviderclass": "secretproviderclass", "secretproviderclasses": "secretproviderclass",
	"node": "*node", "nodes": "*node", "no": "*node", "pv": "*pv", "persistentvolume": "*pv", "persistentvolumes": "*pv", "storageclass": "*storageclass", "storageclasses": "*storageclass", "sc": "*storageclass",
	"volumeattachment": "*volumeattachment", "volumeattachments": "*volumeattachment", "csidriver": "*csidriver", "csidrivers": "*csidriver", "csinode": "*csinode", "priorityclass": "*priorityclass", "priorityclasses": "*priorityclass",
	"namespace": "*namespace", "namespaces": "*namespace", "ns": "*namespace", "clusterrole": "*clusterrole", "clusterroles": "*clusterrole", "clusterrolebinding": "*clusterrolebinding", "clusterrolebindings": "*clusterrolebinding",
	"validatingwebhookconfigurations": "*webhook", "validatingwebhookconfiguration": "*webhook", "mutatingwebhookconfigurations": "*webhook", "mutatingwebhookconfiguration": "*webhook", "runtimeclass": "*runtimeclass", "runtimeclasses": "*runtimeclass",
	"ippools": "*ippool", "crd": "*crd", "crds": "*crd", "customresourcedefinition": "*crd", "apiservice": "*apiservice", "apiservices": "*apiservice", "csr": "*csr", "pdb": "pdb", "poddisruptionbudget": "pdb", "statefulsets.apps": "statefulset", "clusterissuers": "*clusterissuer", "clustersecretstore": "*clustersecretstore", "secretstore": "secretstore",
}

// parsed is a kubectl command taken apart.
type parsed struct {
	name      string // "set env"
	namespace string
	all       bool
	flags     map[string][]string
	args      []string // without the subcommand's own words
	after     []string // what stands after --
}

// parse takes the words of a kubectl command apart, and says what kubectl would refuse.
func parse(words []string) (parsed, []string) {
	p := parsed{flags: map[string][]string{}}
	var plain, wrong []string
	var flags [][2]string
	valued := func(name string, c *command) bool {
		return slices.Contains(strings.Fields(everywhere), name) || c != nil && slices.Contains(strings.Fields(c.values), name)
	}
	// The subcommand is known from the first words that are no flags.
	name := func() (string, *command) {
		for n := min(3, len(plain)); n > 0; n-- {
			key := strings.Join(plain[:n], " ")
			if n == 2 && plain[0] == "top" {
				key = strings.TrimSuffix(key, "s")
			}
			if c, ok := commands[key]; ok {
				return key, &c
			}
		}
		return "", nil
	}
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			p.after = words[i+1:]
			break
		}
		if !strings.HasPrefix(w, "-") {
			plain = append(plain, w)
			continue
		}
		flag, value, has := strings.Cut(strings.TrimLeft(w, "-"), "=")
		_, c := name()
		if !has && valued(flag, c) {
			if i++; i == len(words) {
				wrong = append(wrong, "-"+flag+" has no value")
				break
			}
			value = words[i]
		}
		flags = append(flags, [2]string{flag, value})
	}
	key, c := name()
	if c == nil {
		return p, append(wrong, fmt.Sprintf("kubectl has no command %q", strings.Join(plain[:min(2, len(plain))], " ")))
	}
	p.name, p.args = key, plain[len(strings.Fields(key)):]
	for _, f := range flags {
		switch {
		case f[0] == "n" || f[0] == "namespace":
			p.namespace = f[1]
		case f[0] == "A" || f[0] == "all-namespaces":
			p.all = true
		}
		if !valued(f[0], c) && !slices.Contains(strings.Fields(c.switches), f[0]) {
			wrong = append(wrong, fmt.Sprintf("kubectl %s has no flag %q", key, f[0]))
		}
		if valued(f[0], c) && f[1] == "" {
			wrong = append(wrong, fmt.Sprintf("flag %q of kubectl %s is empty", f[0], key))
		}
		p.flags[f[0]] = append(p.flags[f[0]], f[1])
	}
	return p, wrong
}

// target is the kind and name that a command works on; kind is empty when it is of none.
func (p parsed) target() (kind, name string, ok bool) {
	switch p.name {
	case "run", "create configmap", "create secret generic", "create secret docker-registry", "create secret tls", "create job", "create role", "create rolebinding", "create serviceaccount", "create quota":
		return "", "", true
	case "create clusterrole", "create clusterrolebinding", "auth can-i", "cluster-info dump", "api-resources", "api-versions", "explain", "create namespace", "create priorityclass", "certificate approve":
		return "*", "", true
	case "top pod":
		return "pod", "", true
	case "top node":
		return "*node", "", true
	case "apply", "events":
		return "", "", true
	case "cordon", "uncordon", "drain":
		return "*node", first(p.args), len(p.args) == 1
	}
	word := first(p.args)
	if kind, name, ok = strings.Cut(word, "/"); ok {
		return kinds[kind], name, kinds[kind] != "" && name != ""
	}
	if p.name == "logs" || p.name == "exec" || p.name == "debug" {
		return "pod", word, word != ""
	}
	for i, k := range strings.Split(word, ",") {
		if kinds[k] == "" {
			return "", "", false
		}
		if i == 0 {
			kind = kinds[k]
		}
	}
	if len(p.args) > 1 {
		name = p.args[1]
	}
	return kind, name, true
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
