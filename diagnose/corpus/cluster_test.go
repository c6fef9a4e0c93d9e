package corpus

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestClusters diagnoses whole clusters. testdata/clusters/healthy.yaml is one in which nothing is wrong and much goes on: a node that
// was rebooted an hour ago, control plane pods that restarted days ago, a rollout, a drain and a scale-up in their middle, pods that were
// evicted or shut down with their node, restarts of long ago, Jobs that failed before they succeeded, pipelines that failed, events of
// earlier pods of the same name. Each case of the archives beside it adds objects to it, or stands alone where it has a file of that name,
// and says all that must be found: "namespace/Kind/name container cause root", the root as - where it is the subject itself. No
// snapshot.json: the moment comes out of the objects.
func TestClusters(t *testing.T) {
	base, err := os.ReadFile("testdata/clusters/healthy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]fstest.MapFS{"healthy": {}}
	wants := map[string][]string{}
	alone := map[string]bool{}
	never := map[string]string{} // what no summary of the case may say
	for _, a := range archives(t, "testdata/clusters/*.txtar") {
		for _, f := range a.files {
			name, file, _ := strings.Cut(f.Name, "/")
			if cases[name] == nil {
				cases[name] = fstest.MapFS{}
			}
			switch file {
			case "from":
			case "never":
				never[name] = strings.TrimSpace(string(f.Data))
			case "alone":
				alone[name] = true
			case "want":
				wants[name] = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
			default:
				cases[name][file] = &fstest.MapFile{Data: f.Data}
			}
		}
	}
	e := engine(t)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			files := cases[name]
			if !alone[name] {
				files["healthy.yaml"] = &fstest.MapFile{Data: base}
			}
			var got []string
			for _, d := range diagnoseAll(t, e, openFiles(t, files)) {
				root := d.Root
				if root == "" {
					root = "-"
				}
				got = append(got, fmt.Sprintf("%s/%s %s %s %s", d.Subject.Namespace, d.Subject.Workload, d.Subject.Container, d.Cause, root))
				t.Logf("%s (%s): %s", d.Cause, d.Confidence, d.Summary)
				if words := never[name]; words != "" && strings.Contains(d.Summary, words) {
					t.Errorf("%s: the summary says %q: %s", d.Subject.Workload, words, d.Summary)
				}
			}
			want := wants[name]
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("found:\n%s", diff)
			}
		})
	}
}
