package incident

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// FuzzTracker plays random histories of a few pods, with states that are missed, told twice and told late, and holds the tracker to what
// must be true of any: one open incident per container, a beginning before each end, no recovery of what does not run, and nothing left
// when everything is gone.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 2, 3, 2, 3, 9, 9, 9})
	f.Add([]byte("\x00\x11\x21\x31\x41\x51\x61\x71\x81\x91\xa1\xb1\xc1\xd1\xe1\xf1\x02\x12\x22\x32\x42"))
	f.Add([]byte("crash crash crash recover crash delete new crash crash"))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 400 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			open := map[string]string{} // key -> id
			over := map[string]bool{}
			var w *world
			w = newWorld(t, newStore(), func(o *Options) {
				o.Changed = func(c Change) {
					inc, key := c.Incident, c.Incident.Subject.Key()
					switch c.What {
					case Opened:
						if open[key] != "" || over[inc.ID] {
							t.Fatalf("%s opened as %s; open is %q, over before: %t", key, inc.ID, open[key], over[inc.ID])
						}
						open[key] = inc.ID
					default:
						if open[key] != inc.ID {
							t.Fatalf("%s: %s of %s, while %q is open", key, c.What, inc.ID, open[key])
						}
					}
					if (inc.State == diagnose.Open) == (c.What == Recovered || c.What == Closed) {
						t.Fatalf("%s with state %s", c.What, inc.State)
					}
					if inc.State != diagnose.Open {
						delete(open, key)
						over[inc.ID] = true
					}
					if c.What == Recovered {
						w.wellFor(t, inc, 10*time.Minute)
					}
				}
			})
			stop := w.run()
			w.play("0s workload Deployment/web 2 2")
			names := []string{"a", "b", "c"}
			made := map[string]bool{}
			synced := false
			for i, b := range script {
				pod := names[int(b)%3]
				unseen := ""
				if b&0x40 != 0 {
					unseen = "unseen "
				}
				if !made[pod] {
					w.do(unseen + fmt.Sprintf("new %s Deployment/web r%d", pod, b%2))
					made[pod] = true
				}
				if i == 3 && !synced {
					w.do("synced")
					synced = true
				}
				running := w.pods[pod].Containers[0].State == diagnose.Running
				switch (b >> 2) % 16 {
				case 0, 1, 2:
					if running {
						w.do(unseen + fmt.Sprintf("end %s %d", pod, b%3))
					} else {
						w.do(unseen + "run " + pod)
					}
				case 3, 4:
					if !running {
						w.do(unseen + "run " + pod)
					}
				case 5:
					if w.pods[pod].Containers[0].State == diagnose.Terminated {
						w.do(unseen + "backoff " + pod)
					}
				case 6:
					w.do("again " + pod)
				case 7:
					if !running {
						w.do(unseen + "wait " + pod + " ImagePullBackOff no such tag")
					}
				case 8:
					time.Sleep(time.Duration(b) * time.Second)
				case 9:
					time.Sleep(time.Duration(b) * time.Minute)
				case 10:
					if running {
						w.do(unseen + "unready " + pod)
					}
				case 11:
					if running {
						w.do(unseen + "ready " + pod)
					}
				case 12:
					w.do(unseen + "delete " + pod)
				case 13:
					w.do("gone " + pod)
					made[pod] = false
				case 14:
					w.do(fmt.Sprintf("workload Deployment/web %d 2", b%2*2))
				case 15:
					stale := copyPod(w.pods[pod])
					w.do(unseen + "run " + pod)
					w.tracker.Pod(stale) // a list from behind
				}
				synctest.Wait()
			}
			if !synced {
				w.do("synced")
			}
			for pod, there := range made {
				if there {
					w.do("gone " + pod)
				}
			}
			w.do("workload-gone Deployment/web")
			time.Sleep(time.Hour)
			stop()
			w.tracker.mu.Lock()
			defer w.tracker.mu.Unlock()
			if len(open) != 0 || len(w.tracker.byID) != 0 || len(w.tracker.units) != 0 || len(w.tracker.pods) != 0 || len(w.tracker.agenda) != 0 {
				t.Errorf("left over: %v, %d units, %d pods, %d planned", open, len(w.tracker.units), len(w.tracker.pods), len(w.tracker.agenda))
			}
		})
	})
}

// wellFor fails the test unless every instance has run, ready, for that long.
func (w *world) wellFor(t *testing.T, inc diagnose.Incident, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.pods {
		if !p.Deleted.IsZero() || p.Phase == corev1.PodFailed || p.Phase == corev1.PodSucceeded {
			continue
		}
		n++
		if c := p.Containers[0]; c.State != diagnose.Running || !c.Ready || time.Since(c.Started) < d {
			t.Fatalf("%s has recovered, but pod %s is %+v", inc.ID, p.Name, c)
		}
	}
	if n == 0 {
		t.Fatalf("%s has recovered without a pod", inc.ID)
	}
}
