package incident

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"crashloop/diagnose"
)

// Evicted and failed pods stay in the cluster for weeks. A start of the bot must not take them for news.
func TestFailedPodsOfLongAgoAreNoIncident(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.play(`
			0s unseen new web-1 Deployment/web abc
			1s unseen run web-1
			3m unseen fail web-1 137 Evicted
			3m unseen new web-2 Deployment/web abc
			3m1s unseen run web-2
			6m unseen fail web-2 137 Evicted
			6m unseen new web-3 Deployment/web abc
			6m1s unseen run web-3
			72h again web-1
			72h again web-2
			72h synced
			73h
		`)
		if len(w.out) != 0 {
			t.Errorf("evictions of three days ago brought %q", w.out)
		}
	})
}

// Between the deletion of a workload and that of its pods these go on crashing.
func TestPodsOfADeletedWorkloadCrashOnAWhile(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.play(`
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
			8s workload-gone Deployment/web
			9s end web-1 1
			10s backoff web-1
			11s delete web-1
			12s gone web-1
			10m
		`)
		want := lines(`
			6s opened Deployment/web crash-loop
			8s closed Deployment/web: Deployment web was deleted
		`)
		if diff := cmp.Diff(want, w.out); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

// A CronJob's Job that lacks its pods and is deleted leaves nothing behind.
func TestJobThatLackedPodsGoes(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.do("synced")
		w.do("workload CronJob/backup 1 0")
		job := diagnose.WorkloadRecord{Namespace: "shop", Workload: "Job/backup-1", Owner: "CronJob/backup", Desired: 1, Observed: true}
		w.do("event Job backup-1 Warning FailedCreate exceeded quota")
		w.tracker.Workload(job)
		other := job
		other.Workload, other.Created = "Job/backup-0", 1
		w.at(30 * time.Second)
		w.tracker.Workload(other) // one that has its pods says nothing about the one that has not
		w.at(2 * time.Minute)
		if got := strings.Join(w.out, "\n"); !strings.Contains(got, "cannot-create") {
			t.Fatalf("a Job without pods brought %q", got)
		}
		w.tracker.WorkloadGone(job)
		w.play(`
			60m new b-2 CronJob/backup Never
			60m1s run b-2
			60m9s succeed b-2
			61m
		`)
		if len(w.tracker.Open()) != 0 {
			t.Errorf("still open after the Job went and the next one succeeded: %q", w.out)
		}
	})
}

// While the API server is away, nothing that only time has brought is believed: neither that a pod is still stuck nor that one is well.
func TestNothingIsJudgedBlindly(t *testing.T) {
	for _, test := range []struct {
		name, before, meantime, after string
		want                          string
	}{
		{"a pod that started unseen", `
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			5s wait web-1 ErrImagePull timeout
		`, "30s unseen run web-1", `
			2m again web-1
			30m
		`, ``},
		{"a loop that went on unseen", `
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
		`, "15s", `
			15m end web-1 1
			16m
		`, `6s opened Deployment/web crash-loop`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var away error
			lived(t, nil, func(o *Options) { o.Contact = func() error { return away } }, func(w *world) {
				w.do("synced")
				w.play(test.before)
				w.tracker.mu.Lock()
				away = errors.New("no contact")
				w.tracker.mu.Unlock()
				w.play(test.meantime)
				when, rest, _ := strings.Cut(strings.TrimSpace(test.after), " ")
				d, _ := time.ParseDuration(when)
				w.at(d)
				w.tracker.mu.Lock()
				away = nil
				w.tracker.mu.Unlock()
				w.play(when + " " + rest)
				if diff := cmp.Diff(lines(test.want), w.out); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The process may be killed after the end of an incident was stored and before anybody was told of it. The next one tells.
func TestEndIsToldAgainAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := newWorld(t, s, nil)
		stop := w.run()
		w.play(`
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
			1m workload Deployment/web 0 0
			2m
		`)
		stop()
		first := w.last
		for _, test := range []struct {
			after time.Duration
			told  int
		}{{time.Hour, 1}, {30 * time.Hour, 1}, {31 * time.Hour, 0}} {
			w.at(test.after)
			w.out = nil
			w.attach(s, nil)
			if err := w.tracker.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.run()()
			if len(w.out) != test.told || !first.Ended.Equal(w.last.Ended) || first.ID != w.last.ID || w.last.State != diagnose.Closed {
				t.Errorf("%s later: told %q of %+v", test.after, w.out, w.last)
			}
			if len(w.tracker.Open()) != 0 {
				t.Error("what is over is open again")
			}
		}
	})
}
