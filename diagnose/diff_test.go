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

// TestDiffQuotesNoSecret holds that what a difference quotes is redacted before it is cut, and that a secret which changed is told without it.
func TestDiffQuotesNoSecret(t *testing.T) {
	const secret = "ghp_kR7vQ2mX9pL4wZ8nB3cD5fG6hJ1sT0uYaE7i"
	template := func(value string) *corev1.PodTemplateSpec {
		out := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{NodeSelector: map[string]string{"note": value}, Containers: []corev1.Container{{
			Name: "web", Command: []string{"serve", value}, Args: []string{"--password", value}, Env: []corev1.EnvVar{{Name: "NOTE", Value: value}, {Name: "DB_PASSWORD", Value: value}},
		}}}}
		out.Annotations = map[string]string{"sidecar.istio.io/note": value}
		return out
	}
	for _, pad := range []int{16, 24, 36, 50, 60, 90, 100} {
		var got []string
		for _, d := range diffTemplates(template(strings.Repeat("x", pad)+" "+secret), template(strings.Repeat("y", pad)+" "+secret)) {
			got = append(got, d.text)
		}
		if s := strings.Join(got, "; "); len(got) != 6 || strings.Contains(s, secret[:8]) {
			t.Errorf("got %q", s)
		}
	}
	var got []string
	for _, d := range diffTemplates(template("kittens4x"), template("puppies7y")) {
		got = append(got, d.text)
	}
	if s := strings.Join(got, "; "); !strings.Contains(s, "env DB_PASSWORD changed; ") || !strings.Contains(s, "; args changed; ") {
		t.Errorf("got %q", s)
	}
}
