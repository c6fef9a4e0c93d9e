package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Thresholds say when failing becomes an incident. Times are durations of the cluster's clock.
type Thresholds struct {
	// Crashes is how often a container must end abnormally within Window.
	Crashes int
	Window  time.Duration
	// StuckAfter is how long a container may fail to start, or a pod to be created.
	StuckAfter time.Duration
	// SlowRestarts is how many restarts with like causes within SlowWindow make a slow loop.
	SlowRestarts int
	SlowWindow   time.Duration
}

// DefaultThresholds are those that the settings name: 2 crashes in 10 minutes, 1 minute without a start, 5 restarts in 24 hours.
func DefaultThresholds() Thresholds {
	return Thresholds{Crashes: 2, Window: 10 * time.Minute, StuckAfter: time.Minute, SlowRestarts: 5, SlowWindow: 24 * time.Hour}
}

// thirdTime is from which time on an end counts that need not be a fault: exit 0 under restartPolicy Always, or a run that the node
// lost, as a reboot does.
const thirdTime = 3

// longestStart is how long a program may take to come up: longer runs were more than attempts to.
const longestStart = 30 * time.Minute

// justNow is how long ago an end may lie at the most for a loop of runs that last hours to be under way.
const justNow = time.Hour

// EndKind says what an end of a container counts as.
type EndKind int

// The kinds of ends.
const (
	// Abnormal is a crash: a non-zero exit code, a kill, a run that never began.
	Abnormal EndKind = iota
	// Finished is exit 0.
	Finished
	// Lost is a run whose end the kubelet did not see, as after a reboot of the node.
	Lost
)

// Kind classifies an end. The reasons are those that the kubelet and the container runtimes write (pkg/kubelet/kuberuntime,
// containerd's CRI).
func (t Termination) Kind() EndKind {
	switch {
	case t.Reason == "ContainerStatusUnknown" || t.Reason == "Unknown" && t.ExitCode == 255:
		return Lost
	case t.ExitCode == 0 && (t.Reason == "Completed" || t.Reason == ""):
		return Finished
	}
	return Abnormal
}

// Words says how a run ended: "exit code 1 (Error)".
func (t Termination) Words() string {
	if t.Reason == "" {
		return fmt.Sprintf("exit code %d", t.ExitCode)
	}
	return fmt.Sprintf("exit code %d (%s)", t.ExitCode, t.Reason)
}

// Fingerprint is what like ends share: "OOMKilled", "Error/1".
func (t Termination) Fingerprint() string {
	switch t.Reason {
	case "Error", "Completed", "":
		return fmt.Sprintf("Error/%d", t.ExitCode)
	}
	return t.Reason
}

// Ends counts how often the container has ended so far. restartCount is the number of the run that the status shows: while that one
// runs it has ended as often, and once more when it has ended, too, which is also so while the next start is waited for.
func (c *ContainerRecord) Ends() int {
	n := int(c.Restarts)
	switch {
	case c.State == Terminated:
		n++
	case c.State == Waiting && c.Last != nil:
		n++
	}
	return n
}

// crashes says that the container waits in CrashLoopBackOff, or ended badly and has not been ready since.
func (c *ContainerRecord) crashes() bool {
	return c.Reason == "CrashLoopBackOff" || c.Last != nil && c.Last.ExitCode != 0 && !c.Ready
}

// LastEnd is how the container last ended: its state if that is terminated, else the run before.
func (c *ContainerRecord) LastEnd() (Termination, bool) {
	if c.State == Terminated {
		return c.end(), true
	}
	if c.Last != nil {
		return *c.Last, true
	}
	return Termination{}, false
}

// end is the terminated state as a Termination.
func (c *ContainerRecord) end() Termination {
	return Termination{Reason: c.Reason, Message: c.Message, ExitCode: c.ExitCode, Started: c.Started, Finished: c.Finished, ID: c.ID}
}

// gap is the time between the two newest ends, as far as the record tells: exactly when it holds both, else the length of the last run,
// before which the container had ended.
func (c *ContainerRecord) gap() time.Duration {
	last, ok := c.LastEnd()
	if !ok {
		return 0
	}
	if c.State == Terminated && c.Last != nil && !c.Last.Finished.IsZero() && last.Finished.After(c.Last.Finished) {
		return last.Finished.Sub(c.Last.Finished)
	}
	return c.ran()
}

// ran is how long the run lasted that ended last.
func (c *ContainerRecord) ran() time.Duration {
	last, ok := c.LastEnd()
	if !ok || last.Started.IsZero() || last.Finished.IsZero() {
		return 0
	}
	return max(last.Finished.Sub(last.Started), 0)
}

// over says that the pod is at the end of its life or on the way there, so that how its containers end is no news.
func (p *PodRecord) over() bool {
	return !p.Deleted.IsZero() || p.Phase == corev1.PodSucceeded || p.Phase == corev1.PodFailed
}

// done says that the container has ended for good and well.
func (p *PodRecord) done(c *ContainerRecord) bool {
	return c.State == Terminated && c.end().Kind() == Finished && (c.Type == Init || p.RestartPolicy != corev1.RestartPolicyAlways && c.Type != Sidecar)
}

// Loop says whether one container's record shows a loop by itself, without any history: conditions 1 and 2. The watch asks at each
// change, the one-shot command once, so both agree.
func (th Thresholds) Loop(p *PodRecord, c *ContainerRecord, now time.Time) (Condition, string, bool) {
	last, ok := c.LastEnd()
	if !ok || c.Restarts < 1 || p.over() || p.done(c) {
		return "", "", false
	}
	ends, need := c.Ends(), th.needed(last)
	gap := c.gap()
	quick := ends >= need && gap*time.Duration(need-1) <= th.Window
	backingOff := c.State == Waiting && c.Reason == "CrashLoopBackOff"
	if backingOff && (quick || c.again() || c.Restarts >= 2 && !th.rare(p, c, now)) {
		return CrashLoop, fmt.Sprintf("ended %s, the last time with %s%s, and waits with CrashLoopBackOff", times(ends), last.Words(), after(c)), true
	}
	if c.State == Running && th.settled(c, gap, now) {
		return "", "", false
	}
	if quick {
		return CrashLoop, fmt.Sprintf("ended %s, the last time with %s%s", times(ends), last.Words(), after(c)), true
	}
	if th.slow(p, c, gap, now) || th.never(p, c, gap, now) || th.leaks(p, c, gap, now) {
		return SlowLoop, fmt.Sprintf("was restarted %s since %s, the last time after %s", times(int(c.Restarts)), p.Created.UTC().Format("2006-01-02 15:04 MST"), last.Words()), true
	}
	return "", "", false
}

// again says that the kubelet, by its own word, waits for longer than after the first end in a row: it forgets those that lie ten minutes and more
// apart, so the container has ended in quick succession, however long the run was that the record tells of.
func (c *ContainerRecord) again() bool {
	wait, ok := readBackoff(c.Message, c.Name)
	return ok && wait > defaultSchedule().first
}

// rare says that the newest end came after a run of several windows of a slow loop, or after a long one of a pod that ends less than once in that
// window: its first restarts, however many, have nothing to do with it. One that is killed every few hours, as by a leak, is not rare.
func (th Thresholds) rare(p *PodRecord, c *ContainerRecord, now time.Time) bool {
	return c.ran() > thirdTime*th.SlowWindow || c.ran() > th.Window && !p.Created.IsZero() && now.Sub(p.Created)/time.Duration(c.Restarts) > th.SlowWindow
}

// needed is how many ends make a loop of such ends.
func (th Thresholds) needed(t Termination) int {
	if t.Kind() != Abnormal {
		return max(thirdTime, th.Crashes)
	}
	return max(th.Crashes, 2)
}

// settled says that a running container has left its crashes behind: it has run for longer than a loop would let it.
func (th Thresholds) settled(c *ContainerRecord, gap time.Duration, now time.Time) bool {
	if c.Started.IsZero() {
		return false
	}
	ran := now.Sub(c.Started)
	if ran >= max(th.Window, 2*gap) {
		return c.Ready || ran >= 2*th.Window
	}
	// A few crashes while the program waited for something at its start, and then a run that has outlived them by far.
	return c.Ready && int(c.Restarts) < th.SlowRestarts && ran >= max(3*time.Minute, 3*c.ran())
}

// slow says that a container restarts at the pace of a slow loop. One record knows the last end only, so the pace is the mean over the
// life of the pod, or that of the last run when the pod is old and has restarted much more often than that.
func (th Thresholds) slow(p *PodRecord, c *ContainerRecord, gap time.Duration, now time.Time) bool {
	if int(c.Restarts) < th.SlowRestarts || p.Created.IsZero() {
		return false
	}
	if last, _ := c.LastEnd(); last.Kind() == Lost {
		return false
	}
	most := th.SlowWindow / time.Duration(th.SlowRestarts)
	mean := now.Sub(p.Created) / time.Duration(c.Restarts)
	return gap <= most && (mean <= most || int(c.Restarts) >= 2*th.SlowRestarts)
}

// never says that a container has spent the life of its pod on runs of about one length, none of which it outlived, and is not ready now either:
// a startup probe that allows it many minutes and then kills it each time. One that runs for hours had come up before it ended.
func (th Thresholds) never(p *PodRecord, c *ContainerRecord, gap time.Duration, now time.Time) bool {
	last, _ := c.LastEnd()
	if c.Ready || int(c.Restarts) < thirdTime || gap <= 0 || gap > longestStart || p.Created.IsZero() || last.Kind() != Abnormal {
		return false
	}
	life := now.Sub(p.Created)
	return now.Sub(last.Finished) <= gap+time.Minute && life <= th.SlowWindow && life <= gap*time.Duration(c.Ends()+1)*3/2
}

// leaks says that a container is killed for its memory at an even pace of hours, and was just now: its last run lasted about as long as they all do
// on the mean since its pod was made. Such runs are too long for a slow loop of other ends, each of which may have a reason of its own.
func (th Thresholds) leaks(p *PodRecord, c *ContainerRecord, gap time.Duration, now time.Time) bool {
	last, _ := c.LastEnd()
	if last.Reason != "OOMKilled" || int(c.Restarts) < th.SlowRestarts || gap <= 0 || gap > th.SlowWindow/2 || p.Created.IsZero() || now.Sub(last.Finished) > justNow {
		return false
	}
	mean := last.Finished.Sub(p.Created) / time.Duration(c.Restarts)
	return mean >= gap/2 && mean <= gap*2
}

// Stuck is a container that cannot start, as its pod's record shows it at one moment.
type Stuck struct {
	Container string
	Type      ContainerType
	Reason    string // "CreateContainerConfigError", "Unschedulable", "ContainerCreating"
	Message   string
	// NeedsWarning says that waiting so is usual, and only Warning events about the pod make it a failure.
	NeedsWarning bool
}

// Words says what it waits for.
func (s Stuck) Words() string {
	message := brief(s.Message)
	if message == "" {
		return s.Reason
	}
	return s.Reason + ": " + message
}

// cannotStart knows the waiting reasons with which the kubelet says that a container cannot be started (pkg/kubelet/images,
// pkg/kubelet/kuberuntime).
func cannotStart(reason string) bool {
	switch reason {
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError",
		"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
		"CreatePodSandboxError", "ConfigPodSandboxError", "KillPodSandboxError", "StartError", "ContainerCannotRun":
		return true
	}
	return false
}

// FindStuck returns the container of a pod that cannot start now, whatever the time that it has been so. What keeps the whole pod from
// starting is put down to its first app container.
func FindStuck(p *PodRecord) (Stuck, bool) {
	if p.over() {
		return Stuck{}, false
	}
	first := p.firstApp()
	if p.Unscheduled != "" && p.Node == "" {
		if strings.Contains(p.Unscheduled, "scheduling gates") {
			return Stuck{}, false // held back on purpose
		}
		return Stuck{Container: first, Type: App, Reason: "Unschedulable", Message: p.Unscheduled}, true
	}
	creating := false
	for i := range p.Containers {
		c := &p.Containers[i]
		switch {
		case c.State == Waiting && cannotStart(c.Reason):
			return Stuck{Container: c.Name, Type: c.Type, Reason: c.Reason, Message: c.Message}, true
		case c.State == Running && c.Type == Init:
			return Stuck{}, false // the others wait for it, as they should
		case c.State == "" || c.State == Waiting && (c.Reason == "ContainerCreating" || c.Reason == "PodInitializing" || c.Reason == ""):
			creating = creating || c.Last == nil
		case c.State == Running && c.Type == App:
			creating = false
		}
	}
	if creating && p.Phase != corev1.PodRunning && p.Node != "" {
		return Stuck{Container: first, Type: App, Reason: "ContainerCreating", NeedsWarning: true}, true
	}
	return Stuck{}, false
}

func (p *PodRecord) firstApp() string {
	for i := range p.Containers {
		if p.Containers[i].Type == App {
			return p.Containers[i].Name
		}
	}
	return ""
}

// Failure is a pod that ended as a whole: it failed or was evicted, and its controller makes another.
type Failure struct {
	Pod       string
	Container string
	Type      ContainerType
	Created   time.Time
	At        time.Time
	Reason    string // "Error", "Evicted", "OOMKilled", "DeadlineExceeded"
	ExitCode  *int32
	Expelled  bool // the node would not have it, or not any longer
	Bare      bool // nothing makes another: it has no controller, or its node is that
	GivenUp   bool // not one pod: a Job that failed as often as it may, and whose pods are gone
}

// Words says how the pod failed.
func (f Failure) Words() string {
	if f.ExitCode != nil && *f.ExitCode != 0 {
		return Termination{Reason: f.Reason, ExitCode: *f.ExitCode}.Words()
	}
	return f.Reason
}

// FailureOf returns how a pod failed as a whole, if it did. What is wanted of a node that goes down, or of a pod that is deleted, is no
// failure. seen is when that was seen, for records that do not tell.
func FailureOf(p *PodRecord, seen time.Time) (Failure, bool) {
	if p.Phase != corev1.PodFailed || !p.Deleted.IsZero() && p.Reason != "Evicted" {
		return Failure{}, false
	}
	switch p.Reason {
	case "NodeShutdown", "Shutdown", "Terminated", "Preempting", "NodeLost":
		return Failure{}, false
	case "DeletionByPodGC", "DeletionByTaintManager", "EvictionByEvictionAPI", corev1.PodReasonPreemptionByScheduler: // condition DisruptionTarget
		return Failure{}, false
	}
	f := Failure{Pod: p.Name, Created: p.Created, Reason: p.Reason, Expelled: p.Reason == "Evicted" || Rejected(p.Phase, p.Reason, p.Message)}
	f.Bare = p.OwnerKind == "" || p.OwnerKind == "Node"
	var culprit *ContainerRecord
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.State != Terminated {
			continue
		}
		if c.Finished.After(f.At) {
			f.At = c.Finished
		}
		if c.end().Kind() == Finished {
			continue
		}
		// A sidecar is stopped after the others; of those, the first to fail took the pod down.
		if culprit == nil || culprit.Type == Sidecar && c.Type != Sidecar || culprit.Type == c.Type && c.Finished.Before(culprit.Finished) {
			culprit = c
		}
	}
	if p.Reason == "Evicted" {
		for i := range p.Containers {
			if named(p.Message, p.Containers[i].Name) {
				culprit = &p.Containers[i]
				break
			}
		}
	}
	switch {
	case culprit != nil:
		f.Container, f.Type = culprit.Name, culprit.Type
		if culprit.State == Terminated {
			code := culprit.ExitCode
			f.ExitCode = &code
			if f.Reason == "" {
				f.Reason = culprit.Reason
			}
		}
	default:
		f.Container, f.Type = p.firstApp(), App
	}
	if f.Reason == "" {
		f.Reason = "Failed"
	}
	if f.At.IsZero() {
		f.At = p.Failed
	}
	if f.At.IsZero() {
		f.At = seen
	}
	return f, true
}

// Rejected says whether a pod failed because the kubelet did not admit it: the scheduler, or spec.nodeName, had given it to a node that
// cannot take it. Such a pod has no containers. The kubelet opens the message with "Pod was rejected: " since 1.27 and gave only the
// reason before (pkg/kubelet/lifecycle, pkg/kubelet/cm, pkg/kubelet/sysctl). A node that is shutting down, or short of something, is
// another matter.
func Rejected(phase corev1.PodPhase, reason, message string) bool {
	if phase != corev1.PodFailed {
		return false
	}
	switch reason {
	case "", "Evicted", "NodeShutdown", "Shutdown", "Terminated", "Preempting", "NodeLost", "DeadlineExceeded":
		return false
	case "UnexpectedAdmissionError", "NodeAffinity", "MatchNodeSelector", "NodePorts", "PodFitsHostPorts", "NodeName", "HostName", "TaintToleration", "TopologyAffinityError",
		"SMTAlignmentError", "AppArmor", "SysctlForbidden", "PodOSNotSupported", "PodOSSelectorNodeLabelDoesNotMatch", "VolumeAttachmentLimitExceeded":
		return true
	}
	return strings.HasPrefix(message, "Pod was rejected: ") || strings.HasPrefix(reason, "OutOf")
}

// named says whether an eviction's message names the container, as in "Container web exceeded its local ephemeral storage limit" or
// "Container web was using 2Gi" (pkg/kubelet/eviction).
func named(message, container string) bool {
	return container != "" && (strings.Contains(message, "Container "+container+" ") || strings.Contains(message, `container "`+container+`"`))
}

// rounds counts how many failures came one after the other: each of a pod made after the one before had failed. Pods that fail side by
// side are one round.
func rounds(failures []Failure) int {
	sorted := slices.Clone(failures)
	slices.SortFunc(sorted, func(a, b Failure) int { return a.At.Compare(b.At) })
	n := 0
	var last time.Time
	for _, f := range sorted {
		if n == 0 || !f.Created.Before(last.Truncate(time.Second)) {
			n++
			last = f.At
		}
	}
	return n
}

// Repeated says whether a workload's failed pods are an incident: condition 4. failures are those since its last success.
func (th Thresholds) Repeated(kind string, failures []Failure) (string, bool) {
	if kind == "Pod" || len(failures) == 0 {
		return "", false
	}
	newest := slices.MaxFunc(failures, func(a, b Failure) int { return a.At.Compare(b.At) })
	words := newest.Words()
	if kind == "Job" || kind == "CronJob" {
		if newest.GivenUp {
			return "its Job was given up after failing again and again", true
		}
		if n := rounds(failures); n >= max(th.Crashes, 2) {
			return fmt.Sprintf("%s failed one after the other without a success, the last one with %s", pods(n), words), true
		}
		return "", false
	}
	within := func(d time.Duration) []Failure {
		var out []Failure
		for _, f := range failures {
			if f.At.After(newest.At.Add(-d)) {
				out = append(out, f)
			}
		}
		return out
	}
	n := rounds(within(th.Window))
	if n < max(th.Crashes, 2) {
		if n = rounds(within(th.SlowWindow)); n <= max(th.Crashes, 2) {
			return "", false
		}
	}
	return fmt.Sprintf("%s failed one after the other, the last one with %s", pods(n), words), true
}

// Alone says whether the one pod that a node evicted or refused is an incident because nothing took its place, as nothing does for a
// bare pod; one of a controller that is not built in has been taken care of under another name, for all that can be told. alive is whether
// the workload has a pod that runs or is about to.
func (th Thresholds) Alone(kind string, failures []Failure, alive bool, now time.Time) (string, bool) {
	if alive || len(failures) == 0 || kind == "Job" || kind == "CronJob" {
		return "", false
	}
	newest := slices.MaxFunc(failures, func(a, b Failure) int { return a.At.Compare(b.At) })
	ago := now.Sub(newest.At)
	if !newest.Expelled || kind == "Pod" && !newest.Bare || ago < th.StuckAfter || ago > th.SlowWindow {
		return "", false
	}
	if newest.Reason == "Evicted" {
		return "its pod was evicted, and no other took its place", true
	}
	return "its pod was refused by its node (" + newest.Reason + "), and no other took its place", true
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

// after tells how long the last run lasted: " after 3s".
func after(c *ContainerRecord) string {
	last, _ := c.LastEnd()
	if last.Started.IsZero() || last.Finished.IsZero() {
		return ""
	}
	return " after " + Duration(max(c.ran(), 0))
}
