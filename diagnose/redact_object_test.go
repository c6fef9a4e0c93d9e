package diagnose

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

func podOf(c corev1.Container) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "sk-7c9d8f6b5d-x7x2k-7c9d8f6b5d-aaaa"}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
}

func TestRedactObject(t *testing.T) {
	const word = "hunter2x"
	for _, test := range []struct {
		name string
		obj  Object
		keep []string
	}{
		{"env", podOf(corev1.Container{Env: []corev1.EnvVar{{Name: "DB_PASSWORD", Value: word}, {Name: "PORT", Value: "8080"}}}), []string{"DB_PASSWORD", "8080"}},
		{"env with a URL", podOf(corev1.Container{Env: []corev1.EnvVar{{Name: "DATABASE_URL", Value: "postgres://app:" + word + "@db:5432/shop"}}}), []string{"@db:5432/shop"}},
		{"args", podOf(corev1.Container{Args: []string{"--port", "8080", "--db-password", word}}), []string{"--db-password", "8080"}},
		{"args of redis-cli", podOf(corev1.Container{Command: []string{"redis-cli", "-a", word, "ping"}}), []string{"redis-cli", "-a", "ping"}},
		{"args of a command", podOf(corev1.Container{Command: []string{"redis-cli"}, Args: []string{"-a", word, "ping"}}), []string{"redis-cli", "-a", "ping"}},
		{"args of mysql", podOf(corev1.Container{LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"mysqladmin", "-uroot", "-p" + word, "ping"}}}}}), []string{"-uroot", "ping"}},
		{"args of curl", podOf(corev1.Container{Command: []string{"curl", "-u", "admin:" + word, "http://db"}}), []string{"admin:", "http://db"}},
		{"arg with a value", podOf(corev1.Container{Args: []string{"--db-password=" + word}}), nil},
		{"shell", podOf(corev1.Container{Command: []string{"sh", "-c", "PGPASSWORD=" + word + " psql -h db"}}), []string{"psql -h db"}},
		{"header of a probe", podOf(corev1.Container{LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "Bearer " + word}}}}}}), []string{"Authorization", "Bearer"}},
		{"ConfigMap", &corev1.ConfigMap{Data: map[string]string{"password": word, "color": "blue", "app.ini": "host=db\npassword=" + word + "\nport=1"}}, []string{"blue", "host=db", "port=1"}},
		{"ConfigMap, binary", &corev1.ConfigMap{BinaryData: map[string][]byte{"a": {0xff, 0xfe}, "b": []byte("password=" + word)}}, nil},
		{"Secret", &corev1.Secret{Data: map[string][]byte{"x": []byte(word)}, StringData: map[string]string{"y": word}}, []string{`"x"`, `"y"`}},
		{"annotation", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: `{"spec":{"env":[{"value":"` + word + `","name":"DB_PASSWORD"}]}}`}}}, []string{"DB_PASSWORD"}},
		{"annotation of a Secret", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: `{"kind":"Secret","stringData":{"a":"` + word + `"}}`}}}, nil},
		{"revision", &appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"TOKEN","value":"` + word + `1"}]}]}}}}`)}}, []string{"TOKEN"}},
		{"event", &corev1.Event{Message: "dial redis://:" + word + "@cache:6379"}, []string{"@cache:6379"}},
		{"unknown kind", &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Thing", "spec": map[string]any{"password": word, "secretName": "db"}}}, []string{`"db"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, _ := json.Marshal(test.obj)
			clean, err := NewRedactor().RedactObject(test.obj)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(clean)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), word) {
				t.Errorf("the secret stands in %s", raw)
			}
			for _, k := range append(test.keep, test.obj.GetName()) {
				if !strings.Contains(string(raw), k) {
					t.Errorf("%q is lost from %s", k, raw)
				}
			}
			if after, _ := json.Marshal(test.obj); string(after) != string(before) {
				t.Error("the original was changed")
			}
			again, err := NewRedactor().RedactObject(clean)
			if err != nil {
				t.Fatal(err)
			}
			if twice, _ := json.Marshal(again); string(twice) != string(raw) {
				t.Errorf("redacted twice:\n%s\n%s", raw, twice)
			}
		})
	}
}

func TestRedactObjectKeepsWhatHoldsNoSecret(t *testing.T) {
	pod := podOf(corev1.Container{Name: "web", Image: "registry.example/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Env: []corev1.EnvVar{
		{Name: "DB_PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Key: "password"}}},
	}})
	got, err := NewRedactor().RedactObject(pod)
	if err != nil || got != Object(pod) {
		t.Errorf("got another object, %v", err)
	}
}
