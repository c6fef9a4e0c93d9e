package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crashloop/cmd/playground/scenarios"
	"crashloop/notify/workspace"
)

// Every scenario's thread names the right cause and the right root, and quotes the decisive line; so do `crashloop diagnose` and the replay
// of what it recorded.
func TestScenarios(t *testing.T) { playScenarios(t, onSimulated(t)) }

// diagnosis is what `crashloop diagnose -o json` prints of one incident.
type diagnosis struct {
	Subject    struct{ Namespace, Workload, Container, ContainerType string }
	Cause      string
	Confidence string
	Root       string
	Chain      []struct{ Object, Says string }
	Change     *struct{ Object, At, Says string }

	Evidence []struct{ Source, Text string }
}

// playScenarios plays every scenario that the nodes can show, some beside each other: each is applied, found by the running bot, diagnosed
// by the command, replayed, and removed again.
func playScenarios(t *testing.T, on *playground) {
	all, err := scenarios.On(string(on.nodes))
	if err != nil {
		t.Fatal(err)
	}
	namespaces := map[string]bool{}
	for _, s := range all {
		for _, e := range s.Expect {
			namespaces[strings.Split(e.Workload, "/")[1]] = true
		}
	}
	watched := slices.Sorted(maps.Keys(namespaces))
	s := newStage(t, staging{
		on:       on,
		settings: map[string]string{"CRASHLOOP_NAMESPACES": strings.Join(watched, ",")},
		// Many scenarios crash at once here; how a channel's pace is kept is another story.
		slack: func(o *workspace.Options) { o.Pace.Off = true },
	})
	t.Cleanup(func() {
		on.removeNamespaces(slices.DeleteFunc(watched, func(ns string) bool { return strings.HasPrefix(ns, "kube-") })...)
	})
	reached := &reachedCauses{}
	t.Run("scenarios", func(t *testing.T) {
		for _, sc := range all {
			t.Run(sc.Name, func(t *testing.T) {
				t.Parallel()
				s := s.of(t)
				s.play(sc)
				for _, want := range sc.Expect {
					s.wantInThread(want)
					reached.add(sc, s.wantDiagnosed(want))
				}
			})
		}
	})
	reached.report(t, on, len(all))
}

// of gives the same stage to a test of its own.
func (s *stage) of(t testing.TB) *stage {
	other := *s
	other.t = t
	return &other
}

// play applies the steps of a scenario; between two steps the workloads become ready. At the end of the test what it applied is removed.
func (s *stage) play(sc scenarios.Scenario) {
	s.t.Helper()
	var made []*unstructured.Unstructured
	s.t.Cleanup(func() { s.remove(made) })
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for i, step := range sc.Steps {
		var applied []*unstructured.Unstructured
		err := s.objects.apply(ctx, step, func(o *unstructured.Unstructured) { applied = append(applied, o.DeepCopy()) })
		made = append(made, applied...)
		if err != nil {
			s.t.Fatalf("scenario %s: %v", sc.Name, err)
		}
		if i == len(sc.Steps)-1 {
			return
		}
		for _, o := range applied {
			if o.GetKind() != "Deployment" {
				continue
			}
			eventually(s.t, "step "+sc.StepFiles[i]+" of "+sc.Name+" to be ready", func(ctx context.Context) error {
				d, err := s.client.AppsV1().Deployments(o.GetNamespace()).Get(ctx, o.GetName(), metav1.GetOptions{})
				if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.ReadyReplicas < *d.Spec.Replicas) {
					err = fmt.Errorf("%d of %d pods are ready", d.Status.ReadyReplicas, *d.Spec.Replicas)
				}
				return err
			})
		}
	}
}

// wantInThread waits until the workload's thread says what is expected. Late evidence revises a post, so it may say less at first.
func (s *stage) wantInThread(want scenarios.Expectation) {
	s.t.Helper()
	kind, namespace, name := cut3(want.Workload)
	var lacks string
	s.waitForOr(func(snap *workspace.Snapshot) bool {
		lacks = "there is no thread"
		var found thread
		for _, th := range threadsOf(snap, namespace, name) {
			if want.Container == "" || strings.Contains(th.root.Visible(), "`"+want.Container+"`") {
				found = th
			}
		}
		if found.root == nil {
			return false
		}
		root, text := found.root.Visible(), found.text()
		switch {
		case !strings.Contains(root, "`"+kind+"/"+name+"`"):
			lacks = "the root does not name " + kind + "/" + name
		case !strings.Contains(root, ": "+want.Cause+" ·"):
			lacks = "the root does not name the cause " + want.Cause
		case len(found.replies) == 0:
			lacks = "there is no diagnosis"
		case want.Quotes != "" && !strings.Contains(text, want.Quotes):
			lacks = fmt.Sprintf("it does not quote %q", want.Quotes)
		case want.Change != "" && !strings.Contains(text, want.Change):
			lacks = fmt.Sprintf("it does not say that %q changed", want.Change)
		case want.Root != "" && !namesRoot(text, want.Root):
			lacks = "it does not name the root " + want.Root
		case !slices.ContainsFunc(atLeast(want.Confidence), func(c string) bool { return strings.Contains(strings.ToLower(root), c+": ") }):
			lacks = "it is less sure than " + want.Confidence
		case want.Type == "init" && !strings.Contains(root, "(init)"), want.Type == "sidecar" && !strings.Contains(root, "(sidecar)"):
			lacks = "it does not say that the container is of type " + want.Type
		default:
			return true
		}
		lacks += ":\n" + text
		return false
	}, func() string { return fmt.Sprintf("in the thread of %s: %s", want.Workload, lacks) })
}

// atLeast gives the confidences that are no less than one; likely when it is empty.
func atLeast(confidence string) []string {
	all := []string{"certain", "likely", "possible"}
	return all[:slices.Index(all, cmp.Or(confidence, "likely"))+1]
}

// namesRoot says whether a thread names the root, as people write it: Kind/name.
func namesRoot(text, root string) bool {
	kind, namespace, name := cut3(root)
	return strings.Contains(text, kind+"/"+name) || strings.Contains(text, kind+"/"+namespace+"/"+name) || strings.Contains(text, kind+" "+namespace+"/"+name)
}

func cut3(object string) (kind, namespace, name string) {
	parts := strings.SplitN(object, "/", 3)
	return parts[0], parts[1], parts[2]
}

// wantDiagnosed holds the one-shot command to the same expectation, and a replay of its recording to the very same answer, which it gives.
func (s *stage) wantDiagnosed(want scenarios.Expectation) diagnosis {
	s.t.Helper()
	_, namespace, name := cut3(want.Workload)
	settings := map[string]string{"KUBECONFIG": s.serviceAccount, "CRASHLOOP_CLUSTER": "playground", "CRASHLOOP_STUCK_AFTER": "3s"}
	var record string
	var live []byte
	var found diagnosis
	try := 0
	// One shot sees one moment; at the wrong one, such as between two runs, there is less to see. The bot looks again, and so does this.
	eventually(s.t, "crashloop diagnose to say the same of "+want.Workload, func(context.Context) error {
		record = filepath.Join(s.t.TempDir(), fmt.Sprintf("record-%s-%d", name, try))
		try++
		stdout, stderr, status := runProgram(s.t, settings, "diagnose", namespace+"/"+name, "-o", "json", "--record", record)
		if status != 0 {
			return fmt.Errorf("exit status %d: %s", status, stderr)
		}
		live = []byte(stdout)
		var err error
		found, err = matches(live, want)
		return err
	})
	stdout, stderr, status := runProgram(s.t, settings, "diagnose", namespace+"/"+name, "-o", "json", "--from", record)
	if status != 0 {
		s.t.Fatalf("the replay ended with %d: %s", status, stderr)
	}
	if !bytes.Equal([]byte(stdout), live) {
		s.t.Errorf("the replay of %s says\n%s\nand live it was\n%s", want.Workload, stdout, live)
	}
	return found
}

// matches finds the diagnosis that is expected; the error says what the JSON lacks of it.
func matches(raw []byte, want scenarios.Expectation) (diagnosis, error) {
	var all []diagnosis
	if err := json.Unmarshal(raw, &all); err != nil {
		return diagnosis{}, fmt.Errorf("the output is no JSON: %w\n%s", err, raw)
	}
	kind, _, name := cut3(want.Workload)
	for _, d := range all {
		if d.Subject.Workload != kind+"/"+name || d.Subject.Container != want.Container {
			continue
		}
		var errs []error
		if d.Cause != want.Cause {
			errs = append(errs, fmt.Errorf("the cause is %q, not %q", d.Cause, want.Cause))
		}
		if d.Root != want.Root {
			errs = append(errs, fmt.Errorf("the root is %q, not %q", d.Root, want.Root))
		}
		typ := want.Type
		if typ == "" {
			typ = "app"
		}
		if d.Subject.ContainerType != typ && want.Container != "" {
			errs = append(errs, fmt.Errorf("the container is of type %q, not %q", d.Subject.ContainerType, typ))
		}
		quoted := want.Quotes == "" || slices.ContainsFunc(d.Evidence, func(e struct{ Source, Text string }) bool { return strings.Contains(e.Text, want.Quotes) })
		if !quoted {
			errs = append(errs, fmt.Errorf("no evidence quotes %q: %q", want.Quotes, d.Evidence))
		}
		if want.Change != "" && (d.Change == nil || !strings.Contains(d.Change.Says, want.Change)) {
			errs = append(errs, fmt.Errorf("the change %+v does not name %q", d.Change, want.Change))
		}
		if !slices.Contains(atLeast(want.Confidence), d.Confidence) {
			errs = append(errs, fmt.Errorf("it is %s, which is less than %q", d.Confidence, want.Confidence))
		}
		return d, errors.Join(errs...)
	}
	return diagnosis{}, fmt.Errorf("it does not find %s, container %q, only\n%s", want.Workload, want.Container, raw)
}
