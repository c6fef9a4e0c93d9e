package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crashloop/cmd/playground/cluster"
	"crashloop/cmd/playground/scenarios"
)

// causesForReal is how many causes must be made to happen on a real kubelet, with real processes, disks and networks.
const causesForReal = 30

// reachedCauses are the causes that a run has found, live and replayed. What a container only prints is counted apart.
type reachedCauses struct {
	mu      sync.Mutex
	real    map[string][]string
	printed map[string][]string
	played  map[string]bool
}

func (r *reachedCauses) add(sc scenarios.Scenario, d diagnosis) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.played == nil {
		r.real, r.printed, r.played = map[string][]string{}, map[string][]string{}, map[string]bool{}
	}
	r.played[sc.Name] = true
	by := r.real
	if sc.Printed {
		by = r.printed
	}
	root := d.Root
	if root == "" {
		root = "itself"
	}
	by[d.Cause] = append(by[d.Cause], fmt.Sprintf("%s\t%s\t%s\t%s", sc.Name, d.Subject.Namespace+"/"+d.Subject.Workload, root, d.Confidence))
}

// report prints what was reached, and holds a containerd node to causesForReal when every scenario was played.
func (r *reachedCauses) report(t *testing.T, on *playground, scenarios int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	happened, printed := "happened on the real kubelet", "only printed by the container"
	if on.nodes == cluster.Simulated {
		happened, printed = "shown by simulated nodes", "shown by simulated nodes, and only printed on others"
	}
	for _, part := range []struct {
		title string
		by    map[string][]string
	}{{happened, r.real}, {printed, r.printed}} {
		fmt.Fprintf(&b, "\n%d causes, %s, each right in the thread, from the command and from its recording:\n", len(part.by), part.title)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, id := range slices.Sorted(maps.Keys(part.by)) {
			for _, line := range part.by[id] {
				fmt.Fprintf(w, "  %s\t%s\n", id, line)
			}
		}
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
	}
	t.Log(b.String())
	if on.nodes == cluster.Containerd && len(r.played) == scenarios && len(r.real) < causesForReal {
		t.Errorf("%d causes were made to happen for real, and it should be %d", len(r.real), causesForReal)
	}
}

// remove deletes what a scenario applied, last things first, and leaves the namespaces, which others use. It does not wait.
func (s *stage) remove(objects []*unstructured.Unstructured) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, o := range slices.Backward(objects) {
		if o.GetKind() == "Namespace" {
			continue
		}
		if err := s.objects.delete(ctx, o); err != nil && !apierrors.IsNotFound(err) {
			s.t.Errorf("removing %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}
