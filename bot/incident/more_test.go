package incident

import (
	"errors"
	"strings"
	"sync/atomic"
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

// Nothing makes another of a bare pod that its node evicted or would not take. What a controller of another kind owns, that one looks after,
// and so does whoever deletes the pod or makes it anew at once.
func TestBarePodsThatTheirNodesWouldNotHave(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.play(`
			0s synced
			0s new report Pod/report
			1s run report
			2m evict report
			3m new import Pod/import
			3m1s refuse import
			4m new again-soon Pod/again-soon
			4m1s refuse again-soon
			4m30s gone again-soon
			4m31s new again-soon Pod/again-soon
			4m32s run again-soon
			5m new task-1 Pod/task-1 custom
			5m1s refuse task-1
			6m new broken Pod/broken Never
			6m1s run broken
			6m2s fail broken 1
			7m new web-1 Deployment/web abc
			7m1s run web-1
			8m evict web-1
			8m new web-2 Deployment/web abc
			8m1s run web-2
			2h gone report
			26h again import
			27h
		`)
		want := lines(`
			3m0s opened Pod/report pods-fail
			4m1s opened Pod/import pods-fail
			2h0m0s closed Pod/report: the pod was deleted
		`)
		if diff := cmp.Diff(want, w.out); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	for since, want := range map[string][]string{
		"1h":  lines(`1h0m0s opened Pod/report pods-fail`),
		"72h": nil,
	} {
		lived(t, nil, nil, func(w *world) {
			w.play(`
				0s unseen new report Pod/report
				1s unseen run report
				2m unseen evict report
				` + since + ` again report
				` + since + ` synced
				73h
			`)
			if diff := cmp.Diff(want, w.out); diff != "" {
				t.Errorf("started %s later (-want +got)\n%s", since, diff)
			}
		})
	}
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

// A ReplicaSet of nobody's, or of a Rollout's, tells of its pods by itself.
func TestReplicaSetOfItsOwn(t *testing.T) {
	lived(t, nil, nil, func(w *world) {
		w.play(`
			0s synced
			0s workload ReplicaSet/lone 2 0 pods "lone-x" is forbidden: exceeded quota
			0s new canary-1 ReplicaSet/canary abc
			0s workload ReplicaSet/canary 1 1
			1s run canary-1
			2s crash canary-1 1
			13s crash canary-1 1
			6m workload ReplicaSet/canary 0 0
			30m
		`)
		want := lines(`
			13s opened ReplicaSet/canary crash-loop
			1m0s opened ReplicaSet/lone [] cannot-create
			6m0s closed ReplicaSet/canary: ReplicaSet canary was scaled to zero
		`)
		if diff := cmp.Diff(want, w.out); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A CronJob that keeps one failed Job shows one failure, however often it has failed.
func TestCronJobThatKeepsOneFailedJob(t *testing.T) {
	for name, test := range map[string]struct {
		due  time.Duration // for the second time since the last success, before the start
		want int
	}{
		"had no success for long":   {2 * time.Hour, 1},
		"succeeded the time before": {-20 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			lived(t, nil, nil, func(w *world) {
				w.loads["CronJob/backup"] = diagnose.WorkloadRecord{Namespace: "shop", Workload: "CronJob/backup", Desired: 1, Observed: true, SecondDue: w.start.Add(-test.due)}
				w.play(`
					0s unseen new backup-1-x CronJob/backup Never
					1s unseen run backup-1-x
					2s unseen fail backup-1-x 1
					1m again backup-1-x
					1m synced
					2m
				`)
				if got := len(w.tracker.Open()); got != test.want {
					t.Errorf("%d incidents are open, not %d: %q", got, test.want, w.out)
				}
			})
		})
	}
}

// A Job that gave up while nobody looked is news; one that has succeeded since, was given up long ago, or whose pods were seen to fail is not.
func TestJobGivenUpUnseen(t *testing.T) {
	for _, test := range []struct {
		name    string
		owner   string
		ago     time.Duration
		success time.Duration // of the CronJob, before the start
		before  string
		want    int
	}{
		{name: "a Job", ago: time.Hour, want: 1},
		{name: "a CronJob's Job", owner: "CronJob/backup", ago: time.Hour, success: 2 * time.Hour, want: 1},
		{name: "the next Job of its CronJob succeeded", owner: "CronJob/backup", ago: time.Hour, success: 10 * time.Minute},
		{name: "long ago", ago: 50 * time.Hour},
		{name: "its loop is open", ago: -time.Minute, before: `
			0s new backup-x Job/backup-1 OnFailure
			0s run backup-x
			1s crash backup-x 1
			12s crash backup-x 1
			33s crash backup-x 1
		`, want: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			lived(t, nil, nil, func(w *world) {
				job := diagnose.WorkloadRecord{
					Namespace: "shop", Workload: "Job/backup-1", Owner: test.owner, Desired: 1, Observed: true, Failed: true,
					GivenUp: w.start.Add(-test.ago), GivenUpContainer: "app",
				}
				if test.owner != "" {
					w.loads[test.owner] = diagnose.WorkloadRecord{Namespace: "shop", Workload: test.owner, Desired: 1, Observed: true, Succeeded: w.start.Add(-test.success)}
				}
				if test.before != "" {
					w.do("synced")
					w.play(test.before)
					w.at(time.Minute)
				}
				w.tracker.Workload(job)
				if test.before == "" {
					w.do("synced")
				}
				w.at(2 * time.Minute)
				w.tracker.Workload(job)
				w.at(3 * time.Minute)
				if got := len(w.tracker.Open()); got != test.want {
					t.Fatalf("%d incidents are open, not %d: %q", got, test.want, w.out)
				}
				if test.want > 0 && test.before == "" {
					inc := w.tracker.Open()[0]
					want := "Job/backup-1"
					if test.owner != "" {
						want = test.owner
					}
					if inc.Subject.Workload != want || inc.Subject.Container != "app" || inc.Condition != diagnose.PodsFail {
						t.Errorf("the incident is %+v", inc)
					}
				}
			})
		})
	}
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
			var away atomic.Bool
			contact := func() error {
				if away.Load() {
					return errors.New("no contact")
				}
				return nil
			}
			lived(t, nil, func(o *Options) { o.Contact = contact }, func(w *world) {
				w.do("synced")
				w.play(test.before)
				away.Store(true)
				w.play(test.meantime)
				when, rest, _ := strings.Cut(strings.TrimSpace(test.after), " ")
				d, _ := time.ParseDuration(when)
				w.at(d)
				away.Store(false)
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

// More of what is no incident, and of what is.
func TestMoreTimelines(t *testing.T) {
	for _, test := range []struct{ name, timeline, want string }{
		{"a job that retries in place and succeeds on its second try", `
			0s synced
			0s workload Job/migrate 1 1
			0s new m-1 Job/migrate OnFailure
			1s run m-1
			5s end m-1 1
			15s run m-1
			20s succeed m-1
			20s complete Job/migrate
			1h
			`, ``},
		{"deleted in the middle of its second crash", `
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s end web-1 1
			4s run web-1
			5s delete web-1
			6s end web-1 137
			7s gone web-1
			7s new web-2 Deployment/web abc
			8s run web-2
			1h
			`, ``},
		{"the old revision crashes while a good one rolls out", `
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s end web-1 1
			5s new web-2 Deployment/web def
			6s run web-2
			7s delete web-1
			8s gone web-1
			1h
			`, ``},
		{"an init container that needs a second try", `
			0s synced
			0s new web-1 Deployment/web init
			1s run web-1
			3s end web-1 1
			13s run web-1
			15s end web-1 0
			1h
			`, ``},
		{"two reboots with a long time between", `
			0s synced
			0s new web-1 Deployment/web abc
			1s run web-1
			5h end web-1 137
			5h1m run web-1
			9h end web-1 137
			9h1m run web-1
			20h
			`, ``},
		{"a new workload of a deleted one's name", `
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
			8s workload-gone Deployment/web
			8s gone web-1
			9s workload Deployment/web 1 1
			9s new web-2 Deployment/web abc
			10s run web-2
			12s crash web-2 1
			15s crash web-2 1
			`, `
			6s opened Deployment/web crash-loop
			8s closed Deployment/web: Deployment web was deleted
			15s opened Deployment/web crash-loop
			`},
		{"pods that outlive their workload and crash on", `
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
			8s workload-gone Deployment/web
			9s end web-1 1
			5m run web-1
			5m2s end web-1 1
			`, `
			6s opened Deployment/web crash-loop
			8s closed Deployment/web: Deployment web was deleted
			5m0s opened Deployment/web crash-loop
			`},
		{"scaled up again while it still crashes", `
			0s synced
			0s workload Deployment/web 1 1
			0s new web-1 Deployment/web abc
			1s run web-1
			3s crash web-1 1
			6s crash web-1 1
			10s workload Deployment/web 0 1
			11s delete web-1
			12s gone web-1
			60s workload Deployment/web 1 0
			61s new web-2 Deployment/web abc
			62s run web-2
			63s crash web-2 1
			66s crash web-2 1
			`, `
			6s opened Deployment/web crash-loop
			10s closed Deployment/web: Deployment web was scaled to zero
			1m6s opened Deployment/web crash-loop
			`},
	} {
		t.Run(test.name, func(t *testing.T) {
			lived(t, nil, nil, func(w *world) {
				w.play(test.timeline)
				if diff := cmp.Diff(lines(test.want), w.out); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
			})
		})
	}
}
