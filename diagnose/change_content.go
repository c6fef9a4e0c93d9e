package diagnose

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// movedTag tells that the image's tag stands for another build than in a pod of the same workload that runs: it was pushed again between
// the starts of the two.
func (c *Case) movedTag(f *Finding, first time.Time) []candidate {
	if c.Pod == nil || c.Status == nil || c.Container == nil || strings.Contains(c.Container.Image, "@") {
		return nil
	}
	mine := digest(c.Status.ImageID)
	for _, p := range c.Siblings() {
		s := statusOf(p, c.Subject.Container)
		if s == nil || !s.Ready || !PodReady(p) || !p.CreationTimestamp.Before(&c.Pod.CreationTimestamp) || !sameImage(p, c.Container) {
			continue
		}
		if theirs := digest(s.ImageID); mine != "" && theirs != "" && mine != theirs {
			at := c.Pod.CreationTimestamp.Time
			d := difference{sort: diffImage, container: c.Subject.Container, text: fmt.Sprintf("image %s is another build (%s) than in pod %s, which runs (%s)", c.Container.Image, mine, p.Name, theirs)}
			return []candidate{{Change: Change{Object: objectOf(c.Subject), At: at.UTC(), Says: d.text + "; the pod was started" + howLong(at, first)}, weight: c.bearing(f, d)}}
		}
	}
	return nil
}

// sameImage says that the pod's container of that name has the same image reference.
func sameImage(p *corev1.Pod, container *corev1.Container) bool {
	for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for _, ct := range list {
			if ct.Name == container.Name {
				return ct.Image == container.Image
			}
		}
	}
	return false
}

// digest is the first part of an image's digest, enough to tell two apart.
func digest(imageID string) string {
	_, sum, ok := strings.Cut(imageID, "@sha256:")
	if !ok || len(sum) < 12 {
		return ""
	}
	return sum[:12]
}

// contentChanged says which keys differ where the template names another ConfigMap than before, as kustomize has it at each edit.
func (c *Case) contentChanged(r *rollout) string {
	before := map[string]string{}
	for _, v := range r.good.template.Spec.Volumes {
		if v.ConfigMap != nil {
			before["volume "+v.Name] = v.ConfigMap.Name
		}
	}
	for _, ct := range r.good.template.Spec.Containers {
		for i, e := range ct.EnvFrom {
			if e.ConfigMapRef != nil {
				before[fmt.Sprintf("%s %d", ct.Name, i)] = e.ConfigMapRef.Name
			}
		}
	}
	var says []string
	compare := func(where, now string) {
		was := before[where]
		if was == "" || was == now {
			return
		}
		if keys := c.differingKeys(was, now); len(keys) > 0 {
			says = append(says, fmt.Sprintf("; %s differs from %s in %s", now, was, strings.Join(keys[:min(len(keys), 5)], ", ")))
		}
		before[where] = now
	}
	for _, v := range r.now.template.Spec.Volumes {
		if v.ConfigMap != nil {
			compare("volume "+v.Name, v.ConfigMap.Name)
		}
	}
	for _, ct := range r.now.template.Spec.Containers {
		for i, e := range ct.EnvFrom {
			if e.ConfigMapRef != nil {
				compare(fmt.Sprintf("%s %d", ct.Name, i), e.ConfigMapRef.Name)
			}
		}
	}
	return strings.Join(says[:min(len(says), 2)], "")
}

// differingKeys lists the keys in which two ConfigMaps of the subject's namespace differ, nil when one of them cannot be read.
func (c *Case) differingKeys(a, b string) []string {
	read := func(name string) *corev1.ConfigMap {
		o, err := c.read.get(ConfigMaps, c.Subject.Namespace, name) // unredacted: only the names of keys are told
		if err != nil {
			return nil
		}
		m, _ := o.(*corev1.ConfigMap)
		return m
	}
	x, y := read(a), read(b)
	if x == nil || y == nil {
		return nil
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(union(x.Data, y.Data))) {
		if x.Data[k] != y.Data[k] {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(x.BinaryData)) {
		if other, ok := y.BinaryData[k]; ok && !bytes.Equal(x.BinaryData[k], other) {
			out = append(out, k)
		}
	}
	return out
}
