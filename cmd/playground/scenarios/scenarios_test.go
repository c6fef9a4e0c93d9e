package scenarios

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"crashloop/cmd/playground/simulated"
)

// categories are those of the catalogue of causes.
var categories = []string{"app-error", "bad-image", "missing-config", "resource-limits", "volume", "liveness-probe", "dependency", "node", "component"}

func TestEveryCategoryHasAScenario(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range categories {
		if !slices.ContainsFunc(all, func(s Scenario) bool { return s.Category == c }) {
			t.Errorf("no scenario shows %s", c)
		}
	}
	for _, s := range all {
		if !slices.Contains(categories, s.Category) {
			t.Errorf("%s: there is no category %q", s.Name, s.Category)
		}
	}
}

func TestManifests(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	madeBy := map[string]string{}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			var workloads []string
			for i, step := range s.Steps {
				if !bytes.HasPrefix(step, []byte("# ")) {
					t.Errorf("%s does not begin with a comment that says what is wrong", s.StepFiles[i])
				}
				decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(step), 4096)
				for {
					var u unstructured.Unstructured
					if err := decoder.Decode(&u.Object); err != nil {
						break
					}
					object := u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
					workloads = append(workloads, object)
					if other := madeBy[object]; other != "" && other != s.Name && u.GetKind() != "Namespace" {
						t.Errorf("%s makes %s too: all scenarios may be played at once", other, object)
					}
					madeBy[object] = s.Name
					checkBehaviours(t, u)
				}
			}
			for _, e := range s.Expect {
				if !slices.Contains(workloads, e.Workload) {
					t.Errorf("%s is expected to fail, and not among %v", e.Workload, workloads)
				}
				if !slices.Contains([]string{"", "possible", "likely", "certain"}, e.Confidence) {
					t.Errorf("%s: there is no confidence %q", e.Workload, e.Confidence)
				}
			}
		})
	}
}

// checkBehaviours holds the annotations to the containers of the template: a name without a container would do nothing.
func checkBehaviours(t *testing.T, u unstructured.Unstructured) {
	t.Helper()
	raw, found, err := unstructured.NestedMap(u.Object, "spec", "template")
	if err != nil || !found {
		return
	}
	var template core.PodTemplateSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &template); err != nil {
		t.Fatal(err)
	}
	containers := append(template.Spec.InitContainers, template.Spec.Containers...)
	for key, value := range template.Annotations {
		name, ours := strings.CutPrefix(key, simulated.AnnotationPrefix)
		if !ours {
			continue
		}
		if !slices.ContainsFunc(containers, func(c core.Container) bool { return c.Name == name }) {
			t.Errorf("%s/%s: annotation %s names no container", u.GetKind(), u.GetName(), key)
		}
		if _, err := simulated.ParseBehaviour(value); err != nil {
			t.Errorf("%s/%s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

func TestSelect(t *testing.T) {
	for _, tt := range []struct {
		choice string
		nodes  string
		want   int // at least
		err    string
	}{
		{choice: "none"},
		{choice: "all", want: 15},
		{choice: "all", nodes: containerd, want: 60},
		{choice: "segfault,oom", nodes: containerd, want: 2},
		{choice: "segfault,oom", nodes: "simulated", err: `the scenario "segfault" happens on a real node only: add -nodes containerd`},
		{choice: "default", want: 5},
		{choice: "oom,chain", want: 2},
		{choice: "ooom", err: `there is no scenario "ooom"; there are: default, all, none, `},
	} {
		t.Run(tt.choice+" on "+tt.nodes, func(t *testing.T) {
			got, err := Select(tt.choice, tt.nodes)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || len(got) < tt.want || tt.want == 0 && len(got) != 0 {
				t.Fatalf("got %d scenarios and error %v, want %d", len(got), err, tt.want)
			}
		})
	}
}

func TestImages(t *testing.T) {
	images, err := Images()
	if err != nil {
		t.Fatal(err)
	}
	whole := regexp.MustCompile(`^registry\.example/[a-z-]+/[a-z-]+:[0-9.]+$`)
	for _, image := range images {
		if !whole.MatchString(image) {
			t.Errorf("%q: a name with registry and tag is needed, so that no registry is asked for it", image)
		}
	}
	if len(images) < 10 {
		t.Errorf("found only %v", images)
	}
}
