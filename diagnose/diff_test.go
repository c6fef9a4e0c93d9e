package diagnose

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestDiffOfSwitches holds what a pod template says by a switch: that it is off where it was on, or left out.
func TestDiffOfSwitches(t *testing.T) {
	no, on := false, true
	template := func(f func(*corev1.PodSpec)) *corev1.PodTemplateSpec {
		out := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", ImagePullPolicy: corev1.PullAlways}}}}
		f(&out.Spec)
		return out
	}
	for want, f := range map[string]func(*corev1.PodSpec){
		"": func(s *corev1.PodSpec) { s.AutomountServiceAccountToken, s.EnableServiceLinks = &on, &on },
		"account: automountServiceAccountToken true -> false": func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = &no },
		"env: enableServiceLinks true -> false":               func(s *corev1.PodSpec) { s.EnableServiceLinks = &no },
		"security: hostIPC false -> true":                     func(s *corev1.PodSpec) { s.HostIPC = true },
		"pull: imagePullPolicy Always -> Never":               func(s *corev1.PodSpec) { s.Containers[0].ImagePullPolicy = corev1.PullNever },
	} {
		var got []string
		for _, d := range diffTemplates(template(func(*corev1.PodSpec) {}), template(f)) {
			got = append(got, d.sort+": "+d.text)
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
}
