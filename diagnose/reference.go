package diagnose

import (
	corev1 "k8s.io/api/core/v1"
)

// ConfigReference is a place of a pod's spec that takes from a ConfigMap or Secret.
type ConfigReference struct {
	Kind      Kind
	Name, Key string // Key is empty when it takes whatever there is
	Where     string // the field, for evidence
	Container string // whose environment it is; empty for a volume
	Volume    string
}

// ConfigReferences lists what the environments of the pod's containers and its volumes take from ConfigMaps and Secrets.
func (c *Case) ConfigReferences() []ConfigReference {
	var out []ConfigReference
	add := func(kind Kind, name, key, where, container, volume string) {
		if name != "" {
			out = append(out, ConfigReference{kind, name, key, where, container, volume})
		}
	}
	environment := func(list string, containers []corev1.Container) {
		for _, ct := range containers {
			where := "spec." + list + "[" + ct.Name + "]."
			for _, e := range ct.EnvFrom {
				if e.ConfigMapRef != nil {
					add(ConfigMaps, e.ConfigMapRef.Name, "", where+"envFrom", ct.Name, "")
				}
				if e.SecretRef != nil {
					add(Secrets, e.SecretRef.Name, "", where+"envFrom", ct.Name, "")
				}
			}
			for _, e := range ct.Env {
				if e.ValueFrom == nil {
					continue
				}
				if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
					add(ConfigMaps, r.Name, r.Key, where+"env["+e.Name+"]", ct.Name, "")
				}
				if r := e.ValueFrom.SecretKeyRef; r != nil {
					add(Secrets, r.Name, r.Key, where+"env["+e.Name+"]", ct.Name, "")
				}
			}
		}
	}
	environment("initContainers", c.Spec.InitContainers)
	environment("containers", c.Spec.Containers)
	for _, v := range c.Spec.Volumes {
		items := func(kind Kind, name string, list []corev1.KeyToPath) {
			where := "spec.volumes[" + v.Name + "]"
			if len(list) == 0 {
				add(kind, name, "", where, "", v.Name)
			}
			for _, item := range list {
				add(kind, name, item.Key, where, "", v.Name)
			}
		}
		if v.ConfigMap != nil {
			items(ConfigMaps, v.ConfigMap.Name, v.ConfigMap.Items)
		}
		if v.Secret != nil {
			items(Secrets, v.Secret.SecretName, v.Secret.Items)
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.ConfigMap != nil {
					items(ConfigMaps, s.ConfigMap.Name, s.ConfigMap.Items)
				}
				if s.Secret != nil {
					items(Secrets, s.Secret.Name, s.Secret.Items)
				}
			}
		}
	}
	return out
}
