package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"crashloop/diagnose"
)

// store is a Store in memory that can be told to fail.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
	broken error
	puts   int
}

func newStore() *store { return &store{values: map[string][]byte{}} }

func (s *store) Put(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if s.broken != nil {
		return s.broken
	}
	s.values[key] = value
	return nil
}

func (s *store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	delete(s.values, key)
	return nil
}

func (s *store) List(_ context.Context, prefix string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for k, v := range s.values {
		if strings.HasPrefix(k, prefix) {
			out[k] = v
		}
	}
	return out, s.broken
}

// A loop in the kubelet's longest back-off, as it really looks: started, dead after some seconds, 5 minutes of waiting. Neither a
// recovery nor a second incident may come of it, for a day.
func TestSteadyBackOffNeverRecovers(t *testing.T) {
	for _, runs := range []time.Duration{0, 3 * time.Second, 4 * time.Minute, 9*time.Minute + 30*time.Second, 25 * time.Minute} {
		t.Run(runs.String(), func(t *testing.T) {
			lived(t, nil, nil, func(w *world) {
				w.play(`
					0s synced
					0s workload Deployment/web 1 1
					0s new web-1 Deployment/web abc
				`)
				for time.Since(w.start) < 24*time.Hour {
					w.do("run web-1")
					time.Sleep(runs)
					w.do("end web-1 1")
					time.Sleep(time.Minute)
					w.do("backoff web-1")
					time.Sleep(4 * time.Minute)
				}
				if len(w.out) != 1 || !strings.Contains(w.out[0], "opened") {
					t.Errorf("a steady loop brought %q", w.out)
				}
				if open := w.tracker.Open(); len(open) != 1 || open[0].Restarts < 40 {
					t.Errorf("open: %+v", open)
				}
			})
		})
	}
}

// The same loop after a restart of the bot is the same incident: with the state, and as far as possible without.
func TestRestart(t *testing.T) {
	for _, test := range []struct {
		name     string
		lose     bool
		meantime string // what happens while the bot is away
		want     []string
		same     bool
	}{
		{"the loop goes on", false, "5m unseen backoff web-1", []string{"6m0s restored Deployment/web crash-loop"}, true},
		{"the state is lost", true, "5m unseen backoff web-1", []string{"6m0s opened Deployment/web crash-loop"}, true},
		{"the workload is deleted", false, "5m unseen workload-gone Deployment/web\n5m vanish web-1",
			[]string{"6m0s restored Deployment/web crash-loop", "6m0s closed Deployment/web: Deployment/web no longer exists, or is no longer watched"}, true},
		{"it has recovered", false, "2m unseen run web-1",
			[]string{"6m0s restored Deployment/web crash-loop", "12m0s recovered Deployment/web: it has run, ready and without a restart, for 10m"}, true},
		{"it is scaled to zero", false, "5m unseen workload Deployment/web 0 0\n5m vanish web-1",
			[]string{"6m0s restored Deployment/web crash-loop", "6m0s closed Deployment/web: Deployment web was scaled to zero"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				w := newWorld(t, s, nil)
				stop := w.run()
				w.play(`
					0s synced
					0s workload Deployment/web 1 1
					0s new web-1 Deployment/web abc
					1s run web-1
					3s end web-1 1
					4s run web-1
					6s end web-1 1
				`)
				first := w.ids[0]
				stop()
				if test.lose {
					s.values = map[string][]byte{}
				}
				w.out = nil
				for line := range strings.Lines(test.meantime) {
					if strings.Contains(line, "vanish") {
						delete(w.pods, "web-1")
						continue
					}
					w.play(line)
				}
				w.at(6 * time.Minute)
				w.attach(s, nil)
				if err := w.tracker.Restore(t.Context()); err != nil {
					t.Fatal(err)
				}
				stop = w.run()
				for _, r := range w.loads {
					w.tracker.Workload(r)
				}
				for name := range w.pods {
					w.do("again " + name)
				}
				w.do("synced")
				for name := range w.pods {
					w.do("again " + name)
				}
				w.at(20 * time.Minute)
				stop()
				if diff := cmp.Diff(test.want, w.out); diff != "" {
					t.Errorf("changes after the restart (-want +got):\n%s", diff)
				}
				if w.last.ID != first {
					t.Errorf("the incident was %s and is %s", first, w.last.ID)
				}
				if left, _ := s.List(t.Context(), openPrefix); len(left) != len(w.tracker.Open()) {
					t.Errorf("%d are open, %d stored", len(w.tracker.Open()), len(left))
				}
			})
		})
	}
}

// An id that an incident had is not given to the next one, though the bot was restarted in between.
func TestEndedIDsAreNotGivenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := newWorld(t, s, nil)
		stop := w.run()
		w.play(`
			0s synced
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
			20m
		`)
		stop()
		w.attach(s, nil)
		if err := w.tracker.Restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop = w.run()
		w.play(`
			21m again web-1
			21m synced
			22m crash web-1 1
			23m crash web-1 1
		`)
		stop()
		if len(w.ids) != 2 || w.ids[0] == w.ids[1] {
			t.Errorf("ids: %q after %q", w.ids, w.out)
		}
	})
}

func TestReplicasShareAnIncident(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.play("0s synced\n0s workload Deployment/web 50 50")
		for i := range 50 {
			w.do(fmt.Sprintf("new web-%d Deployment/web abc", i))
			w.do(fmt.Sprintf("run web-%d", i))
		}
		for range 3 {
			time.Sleep(5 * time.Second)
			for i := range 50 {
				w.do(fmt.Sprintf("crash web-%d 1", i))
			}
		}
		if len(w.out) != 1 {
			t.Errorf("50 replicas brought %q", w.out)
		}
		inc := w.last
		if inc.Failing != 50 || inc.Instances != 50 || inc.Restarts != 3 || *inc.ExitCode != 1 || inc.Fingerprint != "Error/1" || inc.LastCrash.IsZero() {
			t.Errorf("the incident says %+v", inc)
		}
		w.do("gone " + inc.Subject.Pod)
		if w.last.Failing != 49 || w.last.Subject.Pod == inc.Subject.Pod {
			t.Errorf("after %s went: %+v", inc.Subject.Pod, w.last)
		}
	})
}

func TestContainersHaveIncidentsOfTheirOwn(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.do("synced")
		rec := diagnose.PodRecord{Namespace: "shop", Name: "web-1", UID: "u", Workload: "Deployment/web", Phase: "Running", RestartPolicy: "Always", Created: time.Now(), Node: "n"}
		for _, name := range []string{"app", "proxy", "well"} {
			c := diagnose.ContainerRecord{Name: name, Type: diagnose.App, State: diagnose.Running, Ready: true, Started: time.Now()}
			if name != "well" {
				c = diagnose.ContainerRecord{Name: name, Type: diagnose.App, State: diagnose.Waiting, Reason: "CrashLoopBackOff", Restarts: 3,
					Last: &diagnose.Termination{ExitCode: 1, Reason: "Error", Started: time.Now(), Finished: time.Now()}}
			}
			rec.Containers = append(rec.Containers, c)
		}
		w.tracker.Pod(rec)
		if len(w.ids) != 2 || w.ids[0] == w.ids[1] {
			t.Errorf("two containers that crash brought %q", w.out)
		}
	})
}

// A changed exit code must reach the thread: it is a change of the fingerprint.
func TestFingerprintChanges(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.play(`
			0s synced
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
		`)
		before := w.last
		w.play("9s crash web-1 78")
		if before.Fingerprint == w.last.Fingerprint || *w.last.ExitCode != 78 || before.ID != w.last.ID {
			t.Errorf("exit code 1, then 78: %+v, then %+v", before, w.last)
		}
	})
}

// The receiver may call the tracker, and while it is busy nothing is lost and little piles up.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		var got []Change
		hold := make(chan struct{})
		w = newWorld(t, nil, func(o *Options) {
			o.Changed = func(c Change) {
				w.tracker.Open() // must not deadlock
				got = append(got, c)
				if len(got) == 1 {
					<-hold
				}
			}
		})
		stop := w.run()
		w.play("0s synced\n0s workload Deployment/web 1 1\n0s new web-1 Deployment/web abc\n1s run web-1\n3s crash web-1 1")
		go w.do("end web-1 1")
		synctest.Wait()
		for range 100 {
			time.Sleep(time.Second)
			w.do("run web-1")
			w.do("end web-1 1")
		}
		w.tracker.mu.Lock()
		waiting := len(w.tracker.out)
		w.tracker.mu.Unlock()
		if waiting > 2 {
			t.Errorf("%d changes of one incident wait", waiting)
		}
		w.do("workload Deployment/web 0 0")
		close(hold)
		synctest.Wait()
		stop()
		var what []What
		for _, c := range got {
			what = append(what, c.What)
		}
		if diff := cmp.Diff([]What{Opened, CrashedAgain, Closed}, what); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if n := got[len(got)-1].Incident.Restarts; n != 101 {
			t.Errorf("the last change tells of %d restarts, want 101", n)
		}
	})
}

func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := newWorld(t, s, nil)
		stop := w.run()
		w.do("synced")
		s.mu.Lock()
		s.broken = errors.New("disk full")
		s.mu.Unlock()
		w.play("0s new web-1 Deployment/web abc\n1s run web-1\n3s crash web-1 1\n6s crash web-1 1\n60s")
		s.mu.Lock()
		s.broken = nil
		tries := s.puts
		s.mu.Unlock()
		if tries < 3 || tries > 30 {
			t.Errorf("the store was tried %d times in a minute", tries)
		}
		w.at(70 * time.Second)
		stop()
		all, _ := s.List(t.Context(), openPrefix)
		if len(all) != 1 {
			t.Fatalf("stored: %d", len(all))
		}
		for _, raw := range all {
			var inc diagnose.Incident
			if err := json.Unmarshal(raw, &inc); err != nil || inc.ID != w.ids[0] {
				t.Errorf("stored: %s, %v", raw, err)
			}
		}
	})
}

func TestRestoreLeavesOutDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.values[openPrefix+"x"] = []byte("{")
		s.values[openPrefix+"y"] = []byte(`{"id":"z","state":"open","subject":{"cluster":"test","namespace":"shop","workload":"Deployment/web"}}`)
		s.values[openPrefix+"o"] = []byte(`{"id":"o","state":"open","subject":{"cluster":"other","namespace":"shop","workload":"Deployment/web"}}`)
		s.values[endedPrefix+"e"] = []byte("yesterday")
		w := newWorld(t, s, nil)
		if err := w.tracker.Restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(w.out) != 0 || len(w.tracker.Open()) != 0 {
			t.Errorf("restored: %q", w.out)
		}
		s.broken = errors.New("no")
		if err := w.tracker.Restore(t.Context()); err == nil {
			t.Error("a store that cannot be read is no error")
		}
	})
}

// What is healthy is forgotten.
func TestMemoryIsGivenBack(t *testing.T) {
	lived(t, newStore(), nil, func(w *world) {
		w.do("synced")
		for i := range 200 {
			pod := fmt.Sprintf("p-%d", i)
			w.do(fmt.Sprintf("new %s Deployment/d%d abc", pod, i))
			w.do("run " + pod)
			if i%2 == 0 {
				w.do("crash " + pod + " 1")
			}
			if i%4 == 0 {
				w.do("crash " + pod + " 1")
			}
		}
		w.at(26 * time.Hour)
		w.tracker.mu.Lock()
		defer w.tracker.mu.Unlock()
		if n := len(w.tracker.units) + len(w.tracker.pods) + len(w.tracker.byID) + len(w.tracker.agenda) + len(w.tracker.followed); n != 0 {
			t.Errorf("a day after the last crash: %d units, %d pods, %d open, %d planned, %d followed", len(w.tracker.units), len(w.tracker.pods),
				len(w.tracker.byID), len(w.tracker.agenda), len(w.tracker.followed))
		}
		if len(w.follows) != 0 {
			t.Errorf("still followed: %v", w.follows)
		}
	})
}
