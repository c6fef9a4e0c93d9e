package diagnose_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"crashloop/diagnose"
	"crashloop/diagnose/snapshot"
)

// capture is the moment of every snapshot in this file.
const capture = "2026-03-01T12:00:00Z"

// pod writes a pod of Deployment web (ReplicaSet web-abc) or, where owner says so, of another controller.
func pod(name, owner, created, rest string) string {
	kind, of, _ := strings.Cut(owner, "/")
	group := map[string]string{"ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1", "Node": "v1", "Rollout": "argoproj.io/v1alpha1"}[kind]
	owners := ""
	if owner != "" {
		owners = fmt.Sprintf("\n  ownerReferences: [{apiVersion: %s, kind: %s, name: %s, uid: u-%s, controller: true}]", group, kind, of, of)
	}
	hash := ""
	if h, ok := strings.CutPrefix(of, "web-"); ok && kind == "ReplicaSet" {
		hash = "\n  labels: {pod-template-hash: " + h + "}"
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: shop\n  uid: u-%s\n  creationTimestamp: %q%s%s\nspec:\n  nodeName: n1\n  containers: [{name: app, image: x}]\n%s---\n",
		name, name, created, owners, hash, rest)
}

func statuses(phase, container string) string {
	return "status:\n  phase: " + phase + "\n  containerStatuses: [{name: app, " + container + "}]\n"
}

const (
	rsWeb     = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web-abc, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]}\nspec: {replicas: 1}\nstatus: {replicas: 1}\n---\n"
	lastError = "lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T11:58:00Z', finishedAt: '2026-03-01T11:58:05Z'}}"
	backOff   = "state: {waiting: {reason: CrashLoopBackOff}}, "
	running   = "state: {running: {startedAt: '2026-03-01T11:58:30Z'}}, "
)

func event(kind, name, typ, reason, message, first, last string, count int) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Event\nmetadata: {name: %s-%s, namespace: shop}\ninvolvedObject: {kind: %s, name: %s, namespace: shop}\ntype: %s\nreason: %s\nmessage: %q\nfirstTimestamp: %q\nlastTimestamp: %q\ncount: %d\n---\n",
		name, strings.ToLower(reason), kind, name, typ, reason, message, first, last, count)
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		name    string
		objects string
		scope   diagnose.Scope
		want    []string // workload container condition
	}{
		{"back-off after several restarts", rsWeb + pod("web-abc-1", "ReplicaSet/web-abc", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)), diagnose.Scope{}, []string{"Deployment/web app crash-loop web-abc-1"}},
		{"one incident for all replicas, the newest crash shown", rsWeb +
			pod("web-abc-1", "ReplicaSet/web-abc", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 9, "+backOff+strings.ReplaceAll(lastError, "11:58", "11:55"))) +
			pod("web-abc-2", "ReplicaSet/web-abc", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)), diagnose.Scope{}, []string{"Deployment/web app crash-loop web-abc-2"}},
		{"the ReplicaSet is not in the files", pod("web-abc-1", "ReplicaSet/web-abc", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)), diagnose.Scope{}, []string{"Deployment/web app crash-loop web-abc-1"}},
		{"a controller that is not built in", pod("r-1", "Rollout/r", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)), diagnose.Scope{}, []string{"Pod/r-1 app crash-loop r-1"}},
		{"a static pod", pod("etcd-n1", "Node/n1", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)), diagnose.Scope{}, []string{"Pod/etcd-n1 app crash-loop etcd-n1"}},
		{"terminated in the back-off's first minute", pod("x", "", "2026-03-01T11:50:00Z", statuses("Running", "restartCount: 1, state: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T11:59:50Z', finishedAt: '2026-03-01T11:59:55Z'}}, "+lastError)), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},
		{"running between two crashes", pod("x", "", "2026-03-01T11:50:00Z", statuses("Running", "restartCount: 4, ready: true, "+running+lastError)), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},
		{"OOM killed", pod("x", "", "2026-03-01T11:50:00Z", statuses("Running", "restartCount: 4, "+backOff+"lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T11:58:00Z', finishedAt: '2026-03-01T11:59:05Z'}}")), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},
		{"never started", pod("x", "", "2026-03-01T11:50:00Z", statuses("Running", "restartCount: 4, state: {waiting: {reason: RunContainerError}}, lastState: {terminated: {exitCode: 128, reason: StartError, startedAt: '1970-01-01T00:00:00Z', finishedAt: '2026-03-01T11:58:05Z'}}")), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},
		{"slow: out of memory every two hours", pod("x", "", "2026-03-01T00:00:00Z", statuses("Running", "restartCount: 6, ready: true, "+running+"lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T09:58:00Z', finishedAt: '2026-03-01T11:58:05Z'}}")), diagnose.Scope{}, []string{"Pod/x app slow-loop x"}},
		{"killed out of memory every six hours, and waiting", pod("x", "", "2026-02-28T06:00:00Z", statuses("Running", "restartCount: 5, "+backOff+"lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T05:50:00Z', finishedAt: '2026-03-01T11:59:55Z'}}")), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},
		{"killed out of memory every six hours or so, and running again", pod("x", "", "2026-02-26T20:00:00Z", statuses("Running", "restartCount: 10, ready: true, state: {running: {startedAt: '2026-03-01T11:40:02Z'}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T05:10:00Z', finishedAt: '2026-03-01T11:40:00Z'}}")), diagnose.Scope{}, []string{"Pod/x app slow-loop x"}},
		{"exit 0 three times", pod("x", "", "2026-03-01T11:50:00Z", statuses("Running", "restartCount: 2, "+backOff+"lastState: {terminated: {exitCode: 0, reason: Completed, startedAt: '2026-03-01T11:58:00Z', finishedAt: '2026-03-01T11:58:05Z'}}")), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},

		{"killed by a startup probe every eleven minutes since it was made", pod("x", "", "2026-03-01T11:20:00Z", statuses("Running", "restartCount: 3, ready: false, state: {running: {startedAt: '2026-03-01T11:55:00Z'}}, lastState: {terminated: {exitCode: 137, reason: Error, startedAt: '2026-03-01T11:44:00Z', finishedAt: '2026-03-01T11:55:00Z'}}")), diagnose.Scope{}, []string{"Pod/x app slow-loop x"}},
		{"three crashes in an old pod, and one that starts again", pod("x", "", "2026-03-01T04:20:00Z", statuses("Running", "restartCount: 3, ready: false, state: {running: {startedAt: '2026-03-01T11:59:00Z'}}, lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T11:44:00Z', finishedAt: '2026-03-01T11:59:00Z'}}")), diagnose.Scope{}, nil},

		{"three crashes two hours apart, and one that starts again", pod("x", "", "2026-03-01T05:59:00Z", statuses("Running", "restartCount: 3, ready: false, state: {running: {startedAt: '2026-03-01T11:59:30Z'}}, lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T09:59:00Z', finishedAt: '2026-03-01T11:59:00Z'}}")), diagnose.Scope{}, nil},
		{"killed out of memory twice, six hours apart", pod("x", "", "2026-02-28T23:30:00Z", statuses("Running", "restartCount: 2, ready: true, state: {running: {startedAt: '2026-03-01T11:40:02Z'}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T05:10:00Z', finishedAt: '2026-03-01T11:40:00Z'}}")), diagnose.Scope{}, nil},
		{"killed out of memory every six hours, the last time hours ago", pod("x", "", "2026-02-26T12:00:00Z", statuses("Running", "restartCount: 10, ready: true, state: {running: {startedAt: '2026-03-01T08:00:02Z'}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T01:40:00Z', finishedAt: '2026-03-01T08:00:00Z'}}")), diagnose.Scope{}, nil},
		{"killed out of memory once, after many restarts of another kind in its first hour", pod("x", "", "2026-03-01T05:00:00Z", statuses("Running", "restartCount: 9, ready: true, state: {running: {startedAt: '2026-03-01T11:40:02Z'}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T06:00:00Z', finishedAt: '2026-03-01T11:40:00Z'}}")), diagnose.Scope{}, nil},
		{"killed out of memory now and then over months", pod("x", "", "2025-12-01T06:00:00Z", statuses("Running", "restartCount: 9, ready: true, state: {running: {startedAt: '2026-03-01T11:40:02Z'}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, startedAt: '2026-03-01T05:10:00Z', finishedAt: '2026-03-01T11:40:00Z'}}")), diagnose.Scope{}, nil},
		{"other ends every six hours", pod("x", "", "2026-02-26T20:00:00Z", statuses("Running", "restartCount: 10, ready: true, state: {running: {startedAt: '2026-03-01T11:40:02Z'}}, lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T05:10:00Z', finishedAt: '2026-03-01T11:40:00Z'}}")), diagnose.Scope{}, nil},
		{"healthy", rsWeb + pod("web-abc-1", "ReplicaSet/web-abc", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 0, ready: true, "+running)), diagnose.Scope{Namespace: "shop", Name: "web"}, nil},
		{"one restart", pod("x", "", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 1, ready: true, "+running+lastError)), diagnose.Scope{}, nil},
		{"an end after months that begins with others", pod("x", "", "2025-12-01T06:00:00Z", statuses("Running", "restartCount: 3, "+backOff+"lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2025-12-01T06:10:00Z', finishedAt: '2026-03-01T11:59:55Z'}}")), diagnose.Scope{}, nil},
		{"an end after five days that begin with many others", pod("x", "", "2026-02-23T06:00:00Z", statuses("Running", "restartCount: 31, "+backOff+"lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-02-24T06:10:00Z', finishedAt: '2026-03-01T11:59:55Z'}}")), diagnose.Scope{}, nil},
		{"an end after months, and the kubelet waits as after several in a row", pod("x", "", "2025-12-01T06:00:00Z", statuses("Running", "restartCount: 6, state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m0s restarting failed container=app pod=x_shop(u-x)}}, lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T05:10:00Z', finishedAt: '2026-03-01T11:59:55Z'}}")), diagnose.Scope{}, []string{"Pod/x app crash-loop x"}},
		{"an end after months, and the kubelet waits as after the first", pod("x", "", "2025-12-01T06:00:00Z", statuses("Running", "restartCount: 6, state: {waiting: {reason: CrashLoopBackOff, message: back-off 10s restarting failed container=app pod=x_shop(u-x)}}, lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T05:10:00Z', finishedAt: '2026-03-01T11:59:55Z'}}")), diagnose.Scope{}, nil},
		{"exit 0 twice", pod("x", "", "2026-03-01T11:50:00Z", statuses("Running", "restartCount: 1, "+backOff+"lastState: {terminated: {exitCode: 0, reason: Completed, startedAt: '2026-03-01T11:58:00Z', finishedAt: '2026-03-01T11:58:05Z'}}")), diagnose.Scope{}, nil},
		{"a few crashes at its start, long ago", pod("x", "", "2026-02-01T11:00:00Z", statuses("Running", "restartCount: 3, ready: true, state: {running: {startedAt: '2026-02-01T11:02:00Z'}}, "+strings.ReplaceAll(lastError, "2026-03", "2026-02"))), diagnose.Scope{}, nil},
		{"reboots over the months", pod("x", "", "2025-03-01T11:00:00Z", statuses("Running", "restartCount: 9, ready: true, state: {running: {startedAt: '2026-03-01T11:59:00Z'}}, lastState: {terminated: {exitCode: 255, reason: Unknown, startedAt: '2026-02-01T11:58:00Z', finishedAt: '2026-03-01T11:58:05Z'}}")), diagnose.Scope{}, nil},
		{"being deleted", strings.Replace(pod("x", "", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)), "  uid:", "  deletionTimestamp: 2026-03-01T12:00:30Z\n  uid:", 1), diagnose.Scope{}, nil},
		{"an init container that succeeded in the end", strings.Replace(pod("x", "", "2026-03-01T11:00:00Z",
			"status:\n  phase: Running\n  initContainerStatuses: [{name: pre, restartCount: 5, state: {terminated: {exitCode: 0, reason: Completed, startedAt: '2026-03-01T11:58:00Z', finishedAt: '2026-03-01T11:58:05Z'}}, "+lastError+"}]\n  containerStatuses: [{name: app, restartCount: 0, ready: true, "+running+"}]\n"),
			"  containers:", "  initContainers: [{name: pre, image: x}]\n  containers:", 1), diagnose.Scope{}, nil},

		{"an image that cannot be pulled", pod("x", "", "2026-03-01T11:50:00Z", statuses("Pending", "restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: no such tag}}")), diagnose.Scope{}, []string{"Pod/x app cannot-start x"}},
		{"nowhere to run", strings.Replace(pod("x", "", "2026-03-01T11:50:00Z", "status:\n  phase: Pending\n  conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/3 nodes'}]\n"), "  nodeName: n1\n", "", 1), diagnose.Scope{}, []string{"Pod/x app cannot-start x"}},
		{"nowhere to run for some seconds", strings.Replace(pod("x", "", "2026-03-01T11:59:50Z", "status:\n  phase: Pending\n  conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/3 nodes'}]\n"), "  nodeName: n1\n", "", 1), diagnose.Scope{}, nil},
		{"held back by a scheduling gate", strings.Replace(pod("x", "", "2026-03-01T11:50:00Z", "status:\n  phase: Pending\n  conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated, message: 'Scheduling is blocked due to non-empty scheduling gates'}]\n"), "  nodeName: n1\n", "", 1), diagnose.Scope{}, nil},
		{"a volume that is not there", pod("x", "", "2026-03-01T11:50:00Z", statuses("Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}")) +
			event("Pod", "x", "Warning", "FailedMount", `configmap "c" not found`, "2026-03-01T11:50:01Z", "2026-03-01T11:59:00Z", 12), diagnose.Scope{}, []string{"Pod/x app cannot-start x"}},
		{"an image that takes long", pod("x", "", "2026-03-01T11:50:00Z", statuses("Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}")) +
			event("Pod", "x", "Warning", "FailedMount", `cache not synced`, "2026-03-01T11:50:01Z", "2026-03-01T11:50:02Z", 1) +
			event("Pod", "x", "Normal", "Pulling", `pulling`, "2026-03-01T11:50:05Z", "2026-03-01T11:50:05Z", 1), diagnose.Scope{}, nil},
		{"events of an older pod of that name", pod("x", "", "2026-03-01T11:50:00Z", statuses("Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}")) +
			event("Pod", "x", "Warning", "FailedMount", `gone`, "2026-03-01T11:40:01Z", "2026-03-01T11:41:00Z", 12), diagnose.Scope{}, nil},

		{"a job whose pods fail", job("m", "") + failedPod("m-1", "Job/m", "11:50:00", "11:50:05") + failedPod("m-2", "Job/m", "11:50:15", "11:50:20"), diagnose.Scope{}, []string{"Job/m app pods-fail m-2"}},
		{"a job that succeeds on its second try", job("m", "") + failedPod("m-1", "Job/m", "11:50:00", "11:50:05") +
			pod("m-2", "Job/m", "2026-03-01T11:50:15Z", statuses("Succeeded", "state: {terminated: {exitCode: 0, reason: Completed, finishedAt: '2026-03-01T11:50:20Z'}}")), diagnose.Scope{}, nil},
		{"a cron job that keeps one failed job", job("b-1", "b") + failedPod("b-1-x", "Job/b-1", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop, creationTimestamp: '2026-02-01T11:30:00Z'}\nspec: {schedule: '0 11 * * *'}\nstatus: {lastSuccessfulTime: '2026-02-27T11:00:30Z'}\n---\n", diagnose.Scope{}, []string{"CronJob/b app pods-fail b-1-x"}},
		{"a cron job that failed once", job("b-1", "b") + failedPod("b-1-x", "Job/b-1", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop, creationTimestamp: '2026-02-01T11:30:00Z'}\nspec: {schedule: '0 11 * * *'}\nstatus: {lastSuccessfulTime: '2026-02-28T11:00:30Z'}\n---\n", diagnose.Scope{}, nil},
		{"a cron job that failed once since it was resumed", job("b-1", "b") + failedPod("b-1-x", "Job/b-1", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop, creationTimestamp: '2026-02-01T11:30:00Z', managedFields: [{manager: kubectl-patch, operation: Update, time: '2026-03-01T08:00:00Z', fieldsV1: {'f:spec': {'f:suspend': {}}}}]}\nspec: {schedule: '0 11 * * *'}\nstatus: {lastSuccessfulTime: '2026-02-10T11:00:30Z'}\n---\n", diagnose.Scope{}, nil},
		{"a cron job whose schedule names a zone", job("b-1", "b") + failedPod("b-1-x", "Job/b-1", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop, creationTimestamp: '2026-02-01T11:30:00Z'}\nspec: {schedule: 'TZ=UTC'}\n---\n", diagnose.Scope{}, nil},
		{"a cron job whose schedule cannot be read", job("b-1", "b") + failedPod("b-1-x", "Job/b-1", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop, creationTimestamp: '2026-02-01T11:30:00Z'}\nspec: {schedule: now and then}\n---\n", diagnose.Scope{}, nil},
		{"a cron job that never succeeded, in its own time zone", job("b-1", "b") + failedPod("b-1-x", "Job/b-1", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop, creationTimestamp: '2026-02-27T12:30:00Z'}\nspec: {schedule: '0 20 * * *', timeZone: Asia/Tokyo}\n---\n", diagnose.Scope{}, []string{"CronJob/b app pods-fail b-1-x"}},
		{"a cron job that fails each time", job("b-1", "b") + job("b-2", "b") + failedPod("b-1-x", "Job/b-1", "10:00:00", "10:00:05") + failedPod("b-2-x", "Job/b-2", "11:00:00", "11:00:05"), diagnose.Scope{}, []string{"CronJob/b app pods-fail b-2-x"}},
		{"a cron job that has succeeded since", job("b-1", "b") + job("b-2", "b") + failedPod("b-1-x", "Job/b-1", "10:00:00", "10:00:05") + failedPod("b-2-x", "Job/b-2", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop}\nstatus: {lastSuccessfulTime: '2026-03-01T11:30:00Z'}\n---\n", diagnose.Scope{}, nil},
		{"a job given up, its pods gone", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m, namespace: shop}\nspec: {template: {spec: {containers: [{name: app, image: x}]}}}\nstatus: {failed: 1, conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: too often, lastTransitionTime: '2026-03-01T11:50:00Z'}]}\n---\n", diagnose.Scope{}, []string{"Job/m app pods-fail "}},
		{"a crash after weeks", pod("x", "", "2026-02-01T11:00:00Z", statuses("Running", "restartCount: 2, "+backOff+"lastState: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-02-01T11:01:00Z', finishedAt: '2026-03-01T11:59:05Z'}}")), diagnose.Scope{}, nil},
		{"pods shut down with their node", failedWith("web-abc-1", "11:50:00", "11:51:00", "NodeShutdown") + failedWith("web-abc-2", "11:52:00", "11:53:00", "NodeShutdown"), diagnose.Scope{}, nil},
		{"an eviction loop", failedWith("web-abc-1", "11:50:00", "11:53:00", "Evicted") + failedWith("web-abc-2", "11:53:01", "11:56:00", "Evicted"), diagnose.Scope{}, []string{"Deployment/web app pods-fail web-abc-2"}},
		{"evicted, and nothing took its place", rsWeb + failedWith("web-abc-1", "11:50:00", "11:53:00", "Evicted"), diagnose.Scope{}, []string{"Deployment/web app pods-fail web-abc-1"}},
		{"evicted, and another runs", rsWeb + failedWith("web-abc-1", "11:50:00", "11:53:00", "Evicted") + pod("web-abc-2", "ReplicaSet/web-abc", "2026-03-01T11:53:01Z", statuses("Running", "restartCount: 0, ready: true, "+running)), diagnose.Scope{}, nil},
		{"evicted a moment ago", rsWeb + failedWith("web-abc-1", "11:50:00", "11:59:30", "Evicted"), diagnose.Scope{}, nil},
		{"evicted, then scaled to zero", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {replicas: 0}\n---\n" + failedWith("web-abc-1", "11:50:00", "11:53:00", "Evicted"), diagnose.Scope{}, nil},
		{"a bare pod that its node refuses", pod("x", "", "2026-03-01T11:50:00Z", "status: {phase: Failed, reason: OutOfcpu, message: 'Pod was rejected: no room'}\n"), diagnose.Scope{}, []string{"Pod/x app pods-fail x"}},
		{"a bare pod that its node has just refused", pod("x", "", "2026-03-01T12:00:00Z", "status: {phase: Failed, reason: OutOfcpu, message: 'Pod was rejected: no room'}\n"), diagnose.Scope{}, []string{"Pod/x app pods-fail x"}},
		{"a bare pod that failed by itself", failedPod("x", "", "11:50:00", "11:53:00"), diagnose.Scope{}, nil},
		{"refused while its node shut down", pod("x", "", "2026-03-01T11:50:00Z", "status: {phase: Failed, reason: NodeShutdown, message: 'Pod was rejected as the node is shutting down.'}\n"), diagnose.Scope{}, nil},
		{"a cron job that is suspended since", strings.Replace(job("b-1", "b")+job("b-2", "b"), "active: 1", "failed: 1", 2) + failedPod("b-1-x", "Job/b-1", "10:00:00", "10:00:05") + failedPod("b-2-x", "Job/b-2", "11:00:00", "11:00:05") +
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b, namespace: shop}\nspec: {suspend: true}\n---\n", diagnose.Scope{}, nil},

		{"a quota forbids the pods", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop, creationTimestamp: '2026-03-01T11:00:00Z'}\nspec: {replicas: 2}\nstatus: {conditions: [{type: ReplicaFailure, status: 'True', lastTransitionTime: '2026-03-01T11:00:01Z', message: exceeded quota}]}\n---\n", diagnose.Scope{}, []string{"Deployment/web  cannot-create "}},
		{"a webhook blocks a stateful set", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop, creationTimestamp: '2026-03-01T11:00:00Z'}\nspec: {replicas: 2}\nstatus: {replicas: 0}\n---\n" +
			event("StatefulSet", "db", "Warning", "FailedCreate", "failed calling webhook", "2026-03-01T11:50:01Z", "2026-03-01T11:59:00Z", 12), diagnose.Scope{}, []string{"StatefulSet/db  cannot-create "}},
		{"a stateful set on its way", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop}\nspec: {replicas: 2}\nstatus: {replicas: 1}\n---\n" +
			event("StatefulSet", "db", "Normal", "SuccessfulCreate", "created", "2026-03-01T11:50:01Z", "2026-03-01T11:59:00Z", 1), diagnose.Scope{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := diagnose.Find(t.Context(), viewOf(t, test.objects), test.scope, diagnose.DefaultThresholds())
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, s := range got {
				have = append(have, fmt.Sprintf("%s %s %s %s", s.Subject.Workload, s.Subject.Container, s.Condition, s.Subject.Pod))
				if s.Says == "" || s.Subject.Cluster != "test" || s.Subject.Namespace != "shop" {
					t.Errorf("incomplete: %+v", s)
				}
			}
			if diff := cmp.Diff(test.want, have); diff != "" {
				t.Errorf("symptoms (-want +got):\n%s", diff)
			}
		})
	}
}

func job(name, cron string) string {
	owner := ""
	if cron != "" {
		owner = fmt.Sprintf(", ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: %s, uid: c, controller: true}]", cron)
	}
	return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, namespace: shop%s}\nstatus: {active: 1}\n---\n", name, owner)
}

func failedPod(name, owner, created, ended string) string {
	return pod(name, owner, "2026-03-01T"+created+"Z", statuses("Failed", "state: {terminated: {exitCode: 1, reason: Error, startedAt: '2026-03-01T"+created+"Z', finishedAt: '2026-03-01T"+ended+"Z'}}"))
}

func failedWith(name, created, ended, reason string) string {
	return strings.Replace(failedPod(name, "ReplicaSet/web-abc", created, ended), "  phase: Failed\n", "  phase: Failed\n  reason: "+reason+"\n", 1)
}

func viewOf(t *testing.T, objects string) diagnose.View {
	t.Helper()
	v, err := snapshot.FromFS(fstest.MapFS{
		"all.yaml":      {Data: []byte(objects)},
		"snapshot.json": {Data: []byte(`{"now": "` + capture + `"}`)},
	}, snapshot.Options{Cluster: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFindScope(t *testing.T) {
	all := rsWeb + pod("web-abc-1", "ReplicaSet/web-abc", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError)) +
		pod("other", "", "2026-03-01T11:00:00Z", statuses("Running", "restartCount: 7, "+backOff+lastError))
	v := viewOf(t, all)
	for scope, want := range map[diagnose.Scope]int{
		{}: 2, {Namespace: "shop"}: 2, {Namespace: "shop", Name: "web"}: 1, {Namespace: "shop", Name: "deploy/web"}: 1, {Namespace: "shop", Name: "Deployment/web"}: 1,
		{Namespace: "shop", Name: "rs/web-abc"}: 1, {Namespace: "shop", Name: "web-abc-1"}: 1, {Namespace: "shop", Name: "pod/web-abc-1"}: 1, {Namespace: "shop", Name: "pod/other"}: 1,
		{Namespace: "shop", Name: "sts/web"}: -1, {Namespace: "shop", Name: "we"}: -1, {Namespace: "shop", Name: "nonsense/web"}: -1, {Namespace: "empty", Name: "web"}: -1,
	} {
		got, err := diagnose.Find(t.Context(), v, scope, diagnose.DefaultThresholds())
		if want < 0 {
			if !errors.Is(err, diagnose.ErrNotFound) {
				t.Errorf("%+v: %d symptoms, error %v; want ErrNotFound", scope, len(got), err)
			}
			continue
		}
		if err != nil || len(got) != want {
			t.Errorf("%+v: %d symptoms, error %v; want %d", scope, len(got), err, want)
		}
	}
}
