package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// mount is a volume that a container mounts at or above a path.
type mount struct {
	corev1.VolumeMount
	volume *corev1.Volume
	key    string // of the ConfigMap or Secret, for the path; empty when it is not one of its files
}

// mountAt returns the mount that a path lies under, the deepest one.
func mountAt(c *diagnose.Case, file string) (mount, bool) {
	if c.Container == nil {
		return mount{}, false
	}
	return mountIn(c.Container, c.Spec, file)
}

// mountIn is mountAt in any container of any pod's spec.
func mountIn(ct *corev1.Container, spec *corev1.PodSpec, file string) (mount, bool) {
	if !strings.HasPrefix(file, "/") {
		return mount{}, false
	}
	file = path.Clean(file)
	best := mount{}
	found := false
	for _, m := range ct.VolumeMounts {
		at := path.Clean(m.MountPath)
		if file != at && !strings.HasPrefix(file, strings.TrimSuffix(at, "/")+"/") || found && len(at) <= len(path.Clean(best.MountPath)) {
			continue
		}
		best, found = mount{VolumeMount: m}, true
		for i := range spec.Volumes {
			if spec.Volumes[i].Name == m.Name {
				best.volume = &spec.Volumes[i]
			}
		}
		best.key = strings.TrimPrefix(strings.TrimPrefix(file, at), "/")
		if m.SubPath != "" {
			best.key = path.Join(m.SubPath, best.key)
		}
	}
	return best, found
}

// object names what the mounted volume is made of, as in chains, and in words.
func (m mount) object(namespace string) (object, words string) {
	if m.volume == nil {
		return "", "volume " + m.Name
	}
	switch v := m.volume; {
	case v.ConfigMap != nil:
		return "ConfigMap/" + namespace + "/" + v.ConfigMap.Name, "ConfigMap " + v.ConfigMap.Name
	case v.Secret != nil:
		return "Secret/" + namespace + "/" + v.Secret.SecretName, "Secret " + v.Secret.SecretName
	case v.PersistentVolumeClaim != nil:
		return "PersistentVolumeClaim/" + namespace + "/" + v.PersistentVolumeClaim.ClaimName, "claim " + v.PersistentVolumeClaim.ClaimName
	case v.EmptyDir != nil:
		return "", "emptyDir " + v.Name
	case v.HostPath != nil:
		return "", "hostPath " + v.HostPath.Path
	case v.Projected != nil:
		return "", "projected volume " + v.Name
	}
	return "", "volume " + m.Name
}

// cite says what is mounted where.
func (m mount) cite(c *diagnose.Case) diagnose.Evidence {
	_, words := m.object(c.Subject.Namespace)
	return diagnose.Evidence{Source: c.SpecField("volumeMounts[" + m.Name + "]"), Text: m.MountPath + " is " + words}
}

// edit is the fix that corrects the mounted ConfigMap, and none for other volumes: the values of a Secret are not for a terminal.
func (m mount) edit(c *diagnose.Case) []diagnose.Fix {
	if m.volume == nil || m.volume.ConfigMap == nil {
		return nil
	}
	return []diagnose.Fix{{Title: "Correct the ConfigMap", Command: c.Kubectl("edit", "configmap", m.volume.ConfigMap.Name)}}
}

// mode is the mode that a volume of configuration gives its files, and the field of the volume that holds it.
func (m mount) mode() (mode int32, field string) {
	var set *int32
	switch v := m.volume; {
	case v.ConfigMap != nil:
		set, field = v.ConfigMap.DefaultMode, "configMap"
	case v.Secret != nil:
		set, field = v.Secret.DefaultMode, "secret"
	case v.Projected != nil:
		set, field = v.Projected.DefaultMode, "projected"
	case v.DownwardAPI != nil:
		set, field = v.DownwardAPI.DefaultMode, "downwardAPI"
	}
	if set == nil {
		return 0o644, field
	}
	return *set, field
}

// setMode is the fix that gives the files of a volume of configuration another mode.
func (m mount) setMode(c *diagnose.Case, title, mode string) diagnose.Fix {
	_, field := m.mode()
	return diagnose.Fix{Title: title, Patch: podPatch(c, fmt.Sprintf("volumes:\n- name: %s\n  %s:\n    defaultMode: %s", diagnose.Scalar(m.Name), field, mode))}
}

// sourceKey is the key of the ConfigMap or Secret that the file comes from; items may give it another name.
func (m mount) sourceKey() string {
	for _, item := range m.items() {
		if item.Path == m.key {
			return item.Key
		}
	}
	return m.key
}

// items are the keys that the volume takes of its ConfigMap or Secret, and the files that it makes of them; none when it takes all as they are.
func (m mount) items() []corev1.KeyToPath {
	switch v := m.volume; {
	case v == nil:
	case v.ConfigMap != nil:
		return v.ConfigMap.Items
	case v.Secret != nil:
		return v.Secret.Items
	}
	return nil
}

// brings says that the mount is known to bring the file that it was looked up for: its ConfigMap or Secret has it.
func (m mount) brings(c *diagnose.Case) bool {
	return m.key != "" && slices.Contains(filesOf(c, m), m.key)
}

// lacks says that the mount is known not to bring the file or folder that it was looked up for.
func (m mount) lacks(c *diagnose.Case) bool {
	if m.key == "" || m.SubPathExpr != "" {
		return false
	}
	files := filesOf(c, m)
	return len(files) > 0 && !slices.ContainsFunc(files, func(f string) bool { return f == m.key || strings.HasPrefix(f, m.key+"/") })
}

// filesOf lists the files that a volume of a ConfigMap or Secret brings, as far as they are known.
func filesOf(c *diagnose.Case, m mount) []string {
	var files []string
	for _, item := range m.items() {
		files = append(files, item.Path)
	}
	if files == nil {
		return keysOf(c, m)
	}
	return files
}

// foldersOf says that a volume of configuration is known to bring folders: items of it name paths in them.
func (m mount) foldersOf() bool {
	var items []corev1.KeyToPath
	switch v := m.volume; {
	case v == nil:
	case v.ConfigMap != nil:
		items = v.ConfigMap.Items
	case v.Secret != nil:
		items = v.Secret.Items
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				items = append(items, s.ConfigMap.Items...)
			}
			if s.Secret != nil {
				items = append(items, s.Secret.Items...)
			}
		}
	}
	return slices.ContainsFunc(items, func(i corev1.KeyToPath) bool { return strings.Contains(i.Path, "/") })
}

// isConfig says that the volume holds configuration: a ConfigMap, a Secret or a projection of them.
func (m mount) isConfig() bool {
	return m.volume != nil && (m.volume.ConfigMap != nil || m.volume.Secret != nil || m.volume.Projected != nil || m.volume.DownwardAPI != nil)
}

// keysOf lists the keys of the ConfigMap or Secret behind a mount, as far as they may be read.
func keysOf(c *diagnose.Case, m mount) []string {
	if m.volume == nil {
		return nil
	}
	switch {
	case m.volume.ConfigMap != nil:
		return keysOfObject(c, diagnose.ConfigMaps, m.volume.ConfigMap.Name)
	case m.volume.Secret != nil:
		return keysOfObject(c, diagnose.Secrets, m.volume.Secret.SecretName)
	}
	return nil
}

func keysOfObject(c *diagnose.Case, kind diagnose.Kind, name string) []string {
	o, err := c.Get(kind, c.Subject.Namespace, name)
	if err != nil {
		return nil
	}
	var keys []string
	switch o := o.(type) {
	case *corev1.ConfigMap:
		for k := range o.Data {
			keys = append(keys, k)
		}
		for k := range o.BinaryData {
			keys = append(keys, k)
		}
	case *corev1.Secret:
		for k := range o.Data {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// names lists the objects of a kind in the subject's namespace.
func names(c *diagnose.Case, kind diagnose.Kind) []string {
	objects, _ := c.List(kind, c.Subject.Namespace)
	var out []string
	for _, o := range objects {
		out = append(out, o.GetName())
	}
	return out
}

// elsewhere lists the other namespaces that have an object of that kind and name.
func elsewhere(c *diagnose.Case, kind diagnose.Kind, name string) []string {
	objects, _ := c.List(kind, "")
	var out []string
	for _, o := range objects {
		if o.GetName() == name && o.GetNamespace() != c.Subject.Namespace {
			out = append(out, o.GetNamespace())
		}
	}
	return out
}

// list writes names as a sentence does, a few of them.
func list(names []string) string {
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > 6:
		return strings.Join(names[:6], ", ") + fmt.Sprintf(" and %d more", len(names)-6)
	}
	return strings.Join(names, ", ")
}

// argued says where the container's own command or arguments hold a word or a path, and not within a longer one: "spec.containers[web].args",
// or "".
func argued(c *diagnose.Case, word string) string {
	if c.Container == nil {
		return ""
	}
	holds := func(arg string) bool { return holdsWord(arg, word) }
	switch {
	case slices.ContainsFunc(c.Container.Command, holds):
		return c.SpecField("command")
	case slices.ContainsFunc(c.Container.Args, holds):
		return c.SpecField("args")
	}
	return ""
}

// holdsWord says that a text holds a word that no letter, digit or underscore goes on from at either end.
func holdsWord(text, word string) bool {
	goesOn := func(b byte) bool {
		return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
	}
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 || word == "" {
			return false
		}
		at += from
		end := at + len(word)
		if (at == 0 || !goesOn(word[0]) || !goesOn(text[at-1])) && (end == len(text) || !goesOn(word[len(word)-1]) || !goesOn(text[end])) {
			return true
		}
		from = at + 1
	}
}
