package diagnose

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReadBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		message, container string
		want               time.Duration // 0 for none
	}{
		"waiting":                {"back-off 1m20s restarting failed container=web pod=web-6d_shop(5f0c)", "", 80 * time.Second},
		"longest":                {"back-off 5m0s restarting failed container=web pod=web-6d_shop(5f0c)", "web", 5 * time.Minute},
		"an old kubelet":         {"Back-off 40s restarting failed container=web pod=web-6d_shop(5f0c)", "web", 40 * time.Second},
		"shortened":              {"back-off 1s restarting failed container=web pod=web-6d_shop(5f0c)", "web", time.Second},
		"parts of a second":      {"back-off 1.5s restarting failed container=web pod=web-6d_shop(5f0c)", "web", 1500 * time.Millisecond},
		"within an event":        {`Error syncing pod, skipping: failed to "StartContainer" for "web" with CrashLoopBackOff: "back-off 20s restarting failed container=web pod=w_shop(1)"`, "web", 20 * time.Second},
		"the second of two":      {`[back-off 20s restarting failed container=log pod=w_shop(1), back-off 40s restarting failed container=web pod=w_shop(1)]`, "web", 40 * time.Second},
		"of another container":   {"back-off 20s restarting failed container=log pod=w_shop(1)", "web", 0},
		"the event without time": {"Back-off restarting failed container web in pod web-6d_shop(5f0c)", "web", 0},
		"of an image":            {`Back-off pulling image "web:1"`, "", 0},
		"no duration":            {"back-off soon restarting failed container=web", "web", 0},
		"nothing":                {"back-off 0s restarting failed container=web", "web", 0},
		"less than nothing":      {"back-off -20s restarting failed container=web", "web", 0},
		"longer than any":        {"back-off 6m0s restarting failed container=web", "web", 0},
		"cut off":                {"back-off 20s restarting failed", "", 0},
		"empty":                  {"", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := readBackoff(tc.message, tc.container)
			if got != tc.want || ok != (tc.want != 0) {
				t.Errorf("got %v, %v, want %v", got, ok, tc.want)
			}
		})
	}
}

func FuzzReadBackoff(f *testing.F) {
	f.Add("back-off 1m20s restarting failed container=web pod=web-6d_shop(5f0c)", "web")
	f.Add("Back-off 5m0s restarting failed container=web", "")
	f.Add("ack-off ack-off 1s restarting failed container=", "x")
	f.Fuzz(func(t *testing.T, message, container string) {
		if d, ok := readBackoff(message, container); ok != (d > 0) || d > 5*time.Minute {
			t.Errorf("got %v, %v", d, ok)
		}
	})
}

// TestSchedule holds what the kubelets of 1.32 to 1.36 do: by default, with ReduceDefaultCrashLoopBackOffDecay, and with
// maxContainerRestartPeriod.
func TestSchedule(t *testing.T) {
	said := func(n int32, d time.Duration) pause { return pause{n: n, said: d} }
	for name, tc := range map[string]struct {
		pauses []pause
		want   []time.Duration // after 1, 2, ... restarts; nil when it cannot be told
	}{
		"nothing seen":          {nil, []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 300 * time.Second, 300 * time.Second}},
		"default said":          {[]pause{said(4, 80*time.Second), said(2, 20*time.Second)}, []time.Duration{10 * time.Second}},
		"a late start":          {[]pause{{n: 2, seen: 34 * time.Second}}, []time.Duration{10 * time.Second}},
		"whole seconds":         {[]pause{{n: 2, seen: 19 * time.Second}}, []time.Duration{10 * time.Second}},
		"reduced":               {[]pause{said(3, 4*time.Second)}, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute}},
		"at most 30 s":          {[]pause{said(5, 30*time.Second), said(1, 10*time.Second)}, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second}},
		"always 1 s":            {[]pause{said(2, time.Second)}, []time.Duration{time.Second, time.Second}},
		"too early for default": {[]pause{{n: 4, seen: 3 * time.Second}}, nil},
		"contradicting words":   {[]pause{said(2, 20*time.Second), said(3, 20*time.Second), said(6, 40*time.Second)}, nil},
		"a kubelet that forgot": {[]pause{said(9, 20*time.Second), said(8, 40*time.Second)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := scheduleOf(tc.pauses)
			if ok != (tc.want != nil) {
				t.Fatalf("got %v, %v", s, ok)
			}
			for i, want := range tc.want {
				if got := s.wait(int32(i + 1)); got != want {
					t.Errorf("after %d restarts it waits %v, want %v", i+1, got, want)
				}
			}
		})
	}
	if got := defaultSchedule().wait(0); got != 0 {
		t.Errorf("the first restart waits %v", got)
	}
}

func TestPausesOf(t *testing.T) {
	at := func(s int) metav1.Time { return metav1.Unix(1772359200+int64(s), 0) }
	run := func(from, to int) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{StartedAt: at(from), FinishedAt: at(to)}
	}
	for name, tc := range map[string]struct {
		status corev1.ContainerStatus
		want   []pause
	}{
		"runs again": {corev1.ContainerStatus{RestartCount: 3, LastTerminationState: corev1.ContainerState{Terminated: run(0, 5)},
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(27)}}}, []pause{{n: 2, seen: 22 * time.Second}}},
		"ended again": {corev1.ContainerStatus{RestartCount: 1, LastTerminationState: corev1.ContainerState{Terminated: run(0, 5)},
			State: corev1.ContainerState{Terminated: run(6, 9)}}, []pause{{n: 0, seen: time.Second}}},
		"a run that was long enough to be forgiven": {corev1.ContainerStatus{RestartCount: 6, LastTerminationState: corev1.ContainerState{Terminated: run(0, 700)},
			State: corev1.ContainerState{Terminated: run(701, 702)}}, nil},
		"one that never began": {corev1.ContainerStatus{RestartCount: 6, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: at(5)}},
			State: corev1.ContainerState{Terminated: run(6, 7)}}, nil},
		"says": {corev1.ContainerStatus{RestartCount: 2, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff",
			Message: "back-off 2s restarting failed container=web"}}}, []pause{{n: 2, said: 2 * time.Second}}},
		"waits for its image": {corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff",
			Message: "Back-off pulling image"}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := pausesOf(&tc.status)
			if len(got) != len(tc.want) || len(got) == 1 && got[0] != tc.want[0] {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestMergeRuns(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	known := []Run{{Started: at(0), Ended: at(30)}, {Started: at(40), Ended: at(70)}, {Started: at(90)}}
	seen := []Run{{Started: at(40), Ended: at(70)}, {Started: at(90), Ended: at(121)}}
	got := MergeRuns(known, seen)
	if says := LivedSays(got, 5); len(got) != 3 || says != "30s, 30s, 31s" {
		t.Errorf("got %v, %q", got, says)
	}
	if got := LivedSays(got, 2); got != "30s, 31s" {
		t.Errorf("the last two are %q", got)
	}
	if got := LivedSays(got[:1], 5); got != "" {
		t.Errorf("one run says %q", got)
	}
	for i := range 40 {
		got = MergeRuns(got, []Run{{Started: at(1000 + 10*i), Ended: at(1005 + 10*i)}})
	}
	if len(got) != keptRuns || !got[keptRuns-1].Started.Equal(at(1390)) || !got[0].Started.Equal(at(1320)) {
		t.Errorf("%d runs are kept, from %v to %v", len(got), got[0], got[len(got)-1])
	}
}

func TestQuantities(t *testing.T) {
	for in, want := range map[string]string{
		"62464Ki": "61Mi", "512Mi": "512Mi", "1536Mi": "1.5Gi", "1Gi": "1Gi", "2147483648": "2Gi", "16384Mi": "16Gi", "900Ki": "900Ki", "100": "100", "128M": "122Mi", "3Ti": "3Ti",
	} {
		if got := Bytes(resource.MustParse(in)); got != want {
			t.Errorf("%s of memory is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"49871234n": "50m", "50m": "50m", "1": "1", "1500m": "1.5", "999m": "999m", "2250m": "2.3", "0": "0m"} {
		if got := Cores(resource.MustParse(in)); got != want {
			t.Errorf("%s of CPU is %q, want %q", in, got, want)
		}
	}
}

func TestKeepMeasured(t *testing.T) {
	end, log := Evidence{"status.containerStatuses[web].lastState", "OOMKilled"}, Evidence{"log web line 1", "loading"}
	first, second := Evidence{"metrics of pod web-1", "memory 52Mi of 64Mi (81 %)"}, Evidence{"metrics of pod web-1", "memory 60Mi of 64Mi (93 %)"}
	for name, tc := range map[string]struct{ earlier, now, want []Evidence }{
		"measured before":  {[]Evidence{end, first}, []Evidence{end}, []Evidence{end, first}},
		"measured again":   {[]Evidence{end, first}, []Evidence{second, end}, []Evidence{second, end}},
		"nothing measured": {[]Evidence{end, log}, []Evidence{end}, []Evidence{end}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := KeepMeasured(tc.earlier, tc.now); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
