package incident

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The timelines of issue "Watch and incidents": what opens, what does not, what ends it.
var timelines = []struct {
	name     string
	timeline string
	want     string
}{
	{"second crash opens at once", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		`, `
		6s opened Deployment/web crash-loop
		`},
	{"one restart is none", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		48h
		`, ``},
	{"the word CrashLoopBackOff after one restart", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s unseen end web-1 1
		4s unseen run web-1
		6s unseen end web-1 1
		7s backoff web-1
		`, `
		7s opened Deployment/web crash-loop
		`},
	{"missed states: seen only while it runs", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s unseen end web-1 1
		4s unseen run web-1
		6s unseen end web-1 1
		20s run web-1
		`, `
		20s opened Deployment/web crash-loop
		`},
	{"told twice is counted once", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		3s again web-1
		4s run web-1
		4s again web-1
		30m
		`, ``},
	{"crashes far apart are no quick loop", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		20m end web-1 1
		21m run web-1
		42m end web-1 1
		43m run web-1
		`, ``},
	{"five like restarts in a day are a slow loop", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		2h crash web-1 1
		4h crash web-1 1
		6h crash web-1 1
		8h crash web-1 1
		10h crash web-1 1
		`, `
		10h0m0s opened Deployment/web slow-loop
		`},
	{"killed for its memory every six hours", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		6h crash web-1 137 OOMKilled
		12h crash web-1 137 OOMKilled
		18h crash web-1 137 OOMKilled
		24h crash web-1 137 OOMKilled
		30h crash web-1 137 OOMKilled
		36h crash web-1 137 OOMKilled
		47h
		49h
		`, `
		30h0m0s opened Deployment/web slow-loop
		48h0m0s recovered Deployment/web: it has run, ready and without a restart, for 12h
		`},
	{"killed for its memory every six hours, and once ended otherwise", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		6h crash web-1 137 OOMKilled
		12h crash web-1 137 OOMKilled
		18h crash web-1 1
		24h crash web-1 137 OOMKilled
		30h crash web-1 137 OOMKilled
		`, ``},
	{"five unlike restarts are none", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		2h crash web-1 1
		4h crash web-1 2
		6h crash web-1 3
		8h crash web-1 4
		10h crash web-1 5
		`, ``},
	{"five restarts in a week are none", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		24h crash web-1 1
		48h crash web-1 1
		72h crash web-1 1
		96h crash web-1 1
		120h crash web-1 1
		`, ``},
	{"exit 0 counts from the third time", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 0
		4s run web-1
		6s end web-1 0
		7s run web-1
		9s end web-1 0
		`, `
		9s opened Deployment/web crash-loop
		`},
	{"a node's reboot", `
		0s synced
		0s new web-1 Deployment/web abc
		0s new web-2 Deployment/web abc
		1s run web-1
		1s run web-2
		5h end web-1 255 Unknown
		5h end web-2 255 Unknown
		5h run web-1
		5h run web-2
		5h5m end web-1 255 Unknown
		5h6m run web-1
		`, ``},
	{"an image that cannot be pulled", `
		0s synced
		0s new web-1 Deployment/web abc
		5s wait web-1 ErrImagePull no such tag
		20s wait web-1 ImagePullBackOff no such tag
		35s wait web-1 ErrImagePull no such tag
		2m
		`, `
		1m5s opened Deployment/web cannot-start
		`},
	{"a pull that works at the third try", `
		0s synced
		0s new web-1 Deployment/web abc
		5s wait web-1 ErrImagePull timeout
		20s wait web-1 ImagePullBackOff timeout
		50s run web-1
		10m
		`, ``},
	{"seconds before a claim binds", `
		0s synced
		0s new db-0 StatefulSet/db abc
		0s unscheduled db-0
		8s scheduled db-0
		20s run db-0
		10m
		`, ``},
	{"nowhere to run", `
		0s synced
		0s new web-1 Deployment/web abc
		0s unscheduled web-1
		10m
		`, `
		1m0s opened Deployment/web cannot-start
		`},
	{"a big image takes its time", `
		0s synced
		0s new web-1 Deployment/web abc
		1s event Pod web-1 Normal Pulling pulling image
		10m
		`, ``},
	{"a volume that is not there", `
		0s synced
		0s new web-1 Deployment/web abc
		2s event Pod web-1 Warning FailedMount configmap "x" not found
		10m
		`, `
		1m0s opened Deployment/web cannot-start
		`},
	{"a mount that failed at first", `
		0s synced
		0s new web-1 Deployment/web abc
		2s event Pod web-1 Warning FailedMount failed to sync configmap cache
		4s event Pod web-1 Normal Pulling pulling image
		10m
		`, ``},
	{"a job with pods that fail", `
		0s synced
		0s workload Job/migrate 1 1
		0s new m-1 Job/migrate Never
		1s run m-1
		5s fail m-1 1
		10s new m-2 Job/migrate Never
		11s run m-2
		15s fail m-2 1
		`, `
		15s opened Job/migrate pods-fail
		`},
	{"a job that succeeds on its second try", `
		0s synced
		0s workload Job/migrate 1 1
		0s new m-1 Job/migrate Never
		1s run m-1
		5s fail m-1 1
		10s new m-2 Job/migrate Never
		11s run m-2
		15s succeed m-2
		15s complete Job/migrate
		1h
		`, ``},
	{"pods of a job that fail side by side once", `
		0s synced
		0s workload Job/migrate 2 2
		0s new m-1 Job/migrate Never
		0s new m-2 Job/migrate Never
		1s run m-1
		1s run m-2
		5s fail m-1 1
		6s fail m-2 1
		10s new m-3 Job/migrate Never
		10s new m-4 Job/migrate Never
		11s run m-3
		11s run m-4
		15s succeed m-3
		15s succeed m-4
		16s complete Job/migrate
		1h
		`, ``},
	{"a cron job fails twice in a row and recovers with its next success", `
		0s synced
		0s workload CronJob/backup 1 0
		0s new b-1 CronJob/backup Never
		1s run b-1
		5s fail b-1 1
		24h new b-2 CronJob/backup Never
		24h0m1s run b-2
		24h0m5s fail b-2 1
		48h new b-3 CronJob/backup Never
		48h0m1s run b-3
		48h0m9s succeed b-3
		`, `
		24h0m5s opened CronJob/backup pods-fail
		48h0m9s recovered CronJob/backup: its newest run has succeeded
		`},
	{"a cron job that fails now and then", `
		0s synced
		0s workload CronJob/backup 1 0
		0s new b-1 CronJob/backup Never
		1s run b-1
		5s fail b-1 1
		24h new b-2 CronJob/backup Never
		24h0m1s run b-2
		24h0m5s succeed b-2
		48h new b-3 CronJob/backup Never
		48h0m1s run b-3
		48h0m9s fail b-3 1
		`, ``},
	{"an eviction loop", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3m evict web-1
		3m new web-2 Deployment/web abc
		3m1s run web-2
		6m evict web-2
		`, `
		6m0s opened Deployment/web pods-fail
		`},
	{"two replicas evicted at once", `
		0s synced
		0s new web-1 Deployment/web abc
		0s new web-2 Deployment/web abc
		1s run web-1
		1s run web-2
		3m evict web-1
		3m evict web-2
		3m new web-3 Deployment/web abc
		3m new web-4 Deployment/web abc
		3m1s run web-3
		3m1s run web-4
		1h
		`, ``},
	{"a rollout, a drain, a deletion: SIGTERM on the way out", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		5m delete web-1
		5m1s end web-1 143
		5m1s new web-2 Deployment/web def
		5m2s run web-2
		5m3s gone web-1
		9m delete web-2
		9m1s fail web-2 137
		9m2s gone web-2
		9m3s new web-3 Deployment/web ghi
		9m4s run web-3
		1h
		`, ``},
	{"pods that a quota forbids", `
		0s synced
		0s workload Deployment/web 3 0 pods "web-x" is forbidden: exceeded quota
		2m
		`, `
		1m0s opened Deployment/web [] cannot-create
		`},
	{"a quota in the way for a moment", `
		0s synced
		0s workload Deployment/web 3 2 pods "web-x" is forbidden: exceeded quota
		20s workload Deployment/web 3 3
		10m
		`, ``},
	{"a stateful set that a webhook blocks", `
		0s synced
		0s workload StatefulSet/db 3 0
		1s event StatefulSet db Warning FailedCreate failed calling webhook
		3m
		`, `
		1m0s opened StatefulSet/db [] cannot-create
		`},
	{"a stateful set that comes up pod by pod", `
		0s synced
		0s workload StatefulSet/db 3 1
		1s event StatefulSet db Normal SuccessfulCreate create pod
		10m
		`, ``},
	{"loops from before the start, once", `
		0s unseen new web-1 Deployment/web abc
		0s unseen run web-1
		1m unseen crash web-1
		2m unseen crash web-1
		3m unseen crash web-1
		3m unseen end web-1 1
		4m again web-1
		4m again web-1
		5m synced
		5m again web-1
		6m again web-1
		`, `
		5m0s opened Deployment/web crash-loop
		`},
	{"recovery after ten minutes", `
		0s synced
		0s workload Deployment/web 1 1
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		20s run web-1
		9m
		30m
		`, `
		6s opened Deployment/web crash-loop
		10m20s recovered Deployment/web: it has run, ready and without a restart, for 10m
		`},
	{"recovery waits for readiness", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		20s run web-1
		20s unready web-1
		5m ready web-1
		30m
		`, `
		6s opened Deployment/web crash-loop
		15m0s recovered Deployment/web: it has run, ready and without a restart, for 10m
		`},
	{"recovery waits for every instance", `
		0s synced
		0s new web-1 Deployment/web abc
		0s new web-2 Deployment/web abc
		1s run web-1
		1s run web-2
		3s end web-1 1
		3s end web-2 1
		4s run web-1
		4s run web-2
		6s end web-1 1
		6s end web-2 1
		20s run web-1
		5m run web-2
		30m
		`, `
		6s opened Deployment/web crash-loop
		15m0s recovered Deployment/web: all 2 instances have run, ready and without a restart, for 10m
		`},
	{"twice the longest interval", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		20s run web-1
		9m6s end web-1 1
		9m20s run web-1
		1h
		`, `
		6s opened Deployment/web crash-loop
		27m20s recovered Deployment/web: it has run, ready and without a restart, for 18m
		`},
	{"a fixed revision recovers, the broken one gone", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		7s backoff web-1
		1m new web-2 Deployment/web def
		1m5s run web-2
		1m6s delete web-1
		1m7s gone web-1
		30m
		`, `
		6s opened Deployment/web crash-loop
		11m5s recovered Deployment/web: it has run, ready and without a restart, for 10m
		`},
	{"a new revision that crashes, too, is the same incident", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		1m new web-2 Deployment/web def
		1m0s gone web-1
		1m5s run web-2
		1m6s end web-2 2
		1m7s run web-2
		1m8s end web-2 2
		9m
		`, `
		6s opened Deployment/web crash-loop
		`},
	{"a crash after recovery is one restart, two are a new incident", `
		0s synced
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		20s run web-1
		30m end web-1 1
		30m10s backoff web-1
		30m20s run web-1
		30m30s end web-1 1
		`, `
		6s opened Deployment/web crash-loop
		10m20s recovered Deployment/web: it has run, ready and without a restart, for 10m
		30m30s opened Deployment/web crash-loop
		`},
	{"an init container recovers when it succeeds", `
		0s synced
		0s new web-1 Deployment/web init
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		20s run web-1
		25s end web-1 0
		`, `
		6s opened Deployment/web crash-loop
		25s recovered Deployment/web: init container app has succeeded
		`},
	{"a job that retries in place recovers when it is complete", `
		0s synced
		0s workload Job/migrate 1 1
		0s new m-1 Job/migrate OnFailure
		1s run m-1
		3s end m-1 1
		4s run m-1
		6s end m-1 1
		20s run m-1
		30s succeed m-1
		31s complete Job/migrate
		`, `
		6s opened Job/migrate crash-loop
		31s recovered Job/migrate: Job migrate has succeeded
		`},
	{"scaled to zero", `
		0s synced
		0s workload Deployment/web 1 1
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		1m workload Deployment/web 0 1
		1m run web-1
		1m1s end web-1 1
		1m2s delete web-1
		1m9s gone web-1
		`, `
		6s opened Deployment/web crash-loop
		1m0s closed Deployment/web: Deployment web was scaled to zero
		`},
	{"deleted", `
		0s synced
		0s workload Deployment/web 1 1
		0s new web-1 Deployment/web abc
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		1m delete web-1
		1m workload-gone Deployment/web
		1m gone web-1
		`, `
		6s opened Deployment/web crash-loop
		1m0s closed Deployment/web: Deployment web was deleted
		`},
	{"a bare pod", `
		0s synced
		0s new web
		1s run web
		3s end web 1
		4s run web
		6s end web 1
		1m delete web
		1m5s gone web
		`, `
		6s opened Pod/web crash-loop
		1m5s closed Pod/web: the pod was deleted
		`},
	{"a workload that nobody watches goes", `
		0s synced
		0s new web-1 ReplicationController/web
		1s run web-1
		3s end web-1 1
		4s run web-1
		6s end web-1 1
		1m gone web-1
		1h
		`, `
		6s opened ReplicationController/web crash-loop
		3m0s closed ReplicationController/web: ReplicationController/web no longer exists
		`},
	{"quota lifted, pods run", `
		0s synced
		0s workload Deployment/web 1 0 exceeded quota
		5m workload Deployment/web 1 1
		5m new web-1 Deployment/web abc
		5m1s run web-1
		30m
		`, `
		1m0s opened Deployment/web [] cannot-create
		15m1s recovered Deployment/web []: it has run, ready and without a restart, for 10m
		`},
	{"a stuck container that starts at last", `
		0s synced
		0s new web-1 Deployment/web abc
		1s wait web-1 CreateContainerConfigError secret "x" not found
		3m run web-1
		30m
		`, `
		1m1s opened Deployment/web cannot-start
		13m0s recovered Deployment/web: it has run, ready and without a restart, for 10m
		`},
}

func TestTimelines(t *testing.T) {
	for _, tc := range timelines {
		t.Run(tc.name, func(t *testing.T) {
			lived(t, nil, nil, func(w *world) {
				w.play(tc.timeline)
				if diff := cmp.Diff(lines(tc.want), w.out); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
				seen := map[string]bool{}
				for _, id := range w.ids {
					if seen[id] {
						t.Errorf("two incidents have the id %s", id)
					}
					seen[id] = true
				}
			})
		})
	}
}

func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
