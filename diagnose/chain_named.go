package diagnose

import (
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

var (
	// hostKey is how the name of a setting ends that holds where something is: ZOOKEEPER_CONNECT, bootstrap.servers, --db-host.
	hostKey = regexp.MustCompile(`(?i)(?:host(?:s|_?name|_?names)?|servers?|addr(?:ess(?:es)?)?|endpoints?|service|svc|connect(?:ion)?(?:[_.-]?string)?|brokers?|seeds?|nodes|(?:contact)?[_.-]?points|urls?|uris?|quorum|ensemble|upstreams?|peers|master|primary|leader|sentinels?|bootstrap)$`)
	// setting is a line of a file of settings, or an argument: zookeeper.connect=zk, "host": "zk", --zookeeper=zk.
	setting = regexp.MustCompile(`(?m)^[\s,{-]*(?:-D)?["']?([\w./-]{2,80})["']?\s*[=:]\s*["']?([a-z][a-z0-9.,-]{0,252})["']?\s*[,;}]?\s*$`)
)

// namedServices are the Services that the container's configuration names by nothing but their name, with no port that would make it an address:
// ZOOKEEPER_CONNECT=my-zookeeper. Those that lead to the subject's own pods are none of them.
func (c *Case) namedServices() []SourcedAddress {
	if c.Container == nil {
		return nil
	}
	names := map[string]bool{}
	for s := range c.services(c.Subject.Namespace) {
		if len(s.Spec.Ports) > 0 && !c.selectsSubject(s) {
			names[s.Name] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	var out []SourcedAddress
	add := func(source, key, value string) {
		if !hostKey.MatchString(key) && !slices.ContainsFunc(protocols, func(p protocol) bool { return slices.Contains(p.words, strings.ToLower(key)) }) {
			return
		}
		for name := range strings.SplitSeq(strings.ToLower(value), ",") {
			name = strings.TrimSuffix(strings.TrimSpace(name), ".")
			first, rest, _ := strings.Cut(name, ".")
			if rest != "" && !strings.HasPrefix(rest, c.Subject.Namespace) {
				// A pod by its headless Service, zk-0.zk.
				first, _, _ = strings.Cut(rest, ".")
			}
			a := Address{Host: name}
			if names[first] && len(out) < 40 && !slices.ContainsFunc(out, func(o SourcedAddress) bool { return o.Address == a }) {
				out = append(out, SourcedAddress{a, source})
			}
		}
	}
	c.settings(add)
	return out
}

// settings calls f with every setting of the container's configuration that has a name and a value of one word.
func (c *Case) settings(f func(source, key, value string)) {
	for _, from := range c.Container.EnvFrom {
		if from.ConfigMapRef != nil {
			for k, v := range sorted(c.ConfigMapData(from.ConfigMapRef.Name)) {
				f("ConfigMap "+c.Subject.Namespace+"/"+from.ConfigMapRef.Name+" key "+k, k, v)
			}
		}
	}
	for _, e := range c.Container.Env {
		value, source := e.Value, "env "+e.Name
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			ref := e.ValueFrom.ConfigMapKeyRef
			value, source = c.ConfigMapData(ref.Name)[ref.Key], "ConfigMap "+c.Subject.Namespace+"/"+ref.Name+" key "+ref.Key
		}
		f(source, e.Name, value)
		// Options within a variable: JAVA_OPTS="-Dzk.hosts=zk".
		for word := range strings.FieldsSeq(value) {
			if m := setting.FindStringSubmatch(word); m != nil {
				f(source, m[1], m[2])
			}
		}
	}
	words := slices.Concat(c.Container.Command, c.Container.Args)
	for i, w := range words {
		if m := setting.FindStringSubmatch(w); m != nil {
			f("args", m[1], m[2])
		} else if strings.HasPrefix(w, "--") && i+1 < len(words) {
			f("args", w, words[i+1])
		}
	}
	for _, v := range c.Spec.Volumes {
		if v.ConfigMap == nil || !slices.ContainsFunc(c.Container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name }) {
			continue
		}
		for k, text := range sorted(c.ConfigMapData(v.ConfigMap.Name)) {
			if len(text) > 64<<10 {
				text = text[:64<<10]
			}
			for _, m := range setting.FindAllStringSubmatch(text, 200) {
				f("ConfigMap "+c.Subject.Namespace+"/"+v.ConfigMap.Name+" key "+k, m[1], m[2])
			}
		}
	}
}

// sorted are the entries of a ConfigMap in the order of their keys.
func sorted(data map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(data)) {
			if !yield(k, data[k]) {
				return
			}
		}
	}
}

// selectsSubject says that a Service leads to the subject's own pods.
func (c *Case) selectsSubject(s *corev1.Service) bool {
	return len(s.Spec.Selector) > 0 && labels.SelectorFromValidatedSet(s.Spec.Selector).Matches(labels.Set(c.Meta.Labels))
}
