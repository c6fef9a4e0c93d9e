package incident

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crashloop/diagnose"
)

// finding is why a unit is an incident.
type finding struct {
	condition diagnose.Condition
	says      string
	member    *member // the pod that shows it, nil where a whole workload does
}

// judge looks whether any pod of a unit, or the unit as a whole, is an incident now, and opens it.
func (t *Tracker) judge(u *unit, now time.Time) {
	if u.inc != nil {
		t.update(u, nil, 0, now)
		t.settle(u, nil, now)
		return
	}
	var best *finding
	for _, m := range u.members {
		f, ok := t.looks(m, now)
		if ok && (best == nil || before(f, *best)) {
			best = &f
		}
	}
	if best == nil {
		if f, ok := t.looksWhole(u, now); ok {
			best = &f
		}
	}
	if best != nil {
		t.open(u, *best, now)
	}
	t.settle(u, nil, now)
}

// before orders findings: by condition, then the newest end, then the pod's name, so that the choice does not hang on the order of a map.
func before(a, b finding) bool {
	order := []diagnose.Condition{diagnose.CrashLoop, diagnose.SlowLoop, diagnose.CannotStart, diagnose.PodsFail, diagnose.CannotCreate}
	if x, y := slices.Index(order, a.condition), slices.Index(order, b.condition); x != y {
		return x < y
	}
	if x, y := a.member.newest(), b.member.newest(); !x.Equal(y) {
		return x.After(y)
	}
	return a.member.pod.Name < b.member.pod.Name
}

// judgeMember is judge for the one pod that has news.
func (t *Tracker) judgeMember(u *unit, m *member, now time.Time) {
	if f, ok := t.looks(m, now); ok {
		t.open(u, f, now)
	}
}

// looks says whether one pod's container is an incident: conditions 1 to 3.
func (t *Tracker) looks(m *member, now time.Time) (finding, bool) {
	th := t.o.Thresholds
	need := max(th.Crashes, 2)
	if last, ok := m.c.LastEnd(); ok && last.Kind() != diagnose.Abnormal {
		need = max(3, th.Crashes)
	}
	if m.base == 0 || m.ends-m.base >= need {
		if condition, says, ok := th.Loop(m.pod, &m.c, now); ok && (condition != diagnose.SlowLoop || m.alike(th, now)) {
			return finding{condition, says, m}, true
		}
		if says, ok := m.quick(th, now); ok && !finished(m.pod, &m.c) {
			return finding{diagnose.CrashLoop, says, m}, true
		}
		if says, ok := m.slow(th, now); ok && !finished(m.pod, &m.c) {
			return finding{diagnose.SlowLoop, says, m}, true
		}
	}
	if !m.since.IsZero() && now.Sub(m.since) >= th.StuckAfter && (!m.stuck.NeedsWarning || m.holdup != "") {
		return finding{diagnose.CannotStart, diagnose.StuckSays(m.shown(), now.Sub(m.since), false), m}, true
	}
	return finding{}, false
}

// shown is what the member is stuck with, with the event that says why where the status does not.
func (m *member) shown() diagnose.Stuck {
	s := m.stuck
	if m.holdup != "" {
		s.Reason, s.Message = m.holdup, ""
	}
	return s
}

// quick finds condition 1 in the ends that were seen, when the newest record alone does not show it.
func (m *member) quick(th diagnose.Thresholds, now time.Time) (string, bool) {
	faults, all := 0, 0
	for _, s := range m.stamps {
		if now.Sub(s.at) > th.Window {
			continue
		}
		all++
		if s.fault {
			faults++
		}
	}
	if m.base > 0 {
		all, faults = min(all, m.ends-m.base), min(faults, m.ends-m.base)
	}
	if m.c.Restarts < 1 || faults < max(th.Crashes, 2) && all < max(3, th.Crashes) {
		return "", false
	}
	last, _ := m.c.LastEnd()
	return fmt.Sprintf("ended %d times within %s, the last time with %s", all, diagnose.Duration(th.Window), last.Words()), true
}

// slow finds condition 2 in the ends that were seen.
func (m *member) slow(th diagnose.Thresholds, now time.Time) (string, bool) {
	n := 0
	for _, s := range m.stamps {
		if now.Sub(s.at) <= th.SlowWindow && s.like == m.stamps[len(m.stamps)-1].like {
			n++
		}
	}
	if n < th.SlowRestarts || int(m.c.Restarts) < th.SlowRestarts || m.ends-m.base < th.SlowRestarts {
		return "", false
	}
	last, _ := m.c.LastEnd()
	return fmt.Sprintf("ended %d times within %s in the same way, the last time with %s", n, diagnose.Duration(th.SlowWindow), last.Words()), true
}

// alike says that the ends of a slow loop were like each other, as far as they were seen.
func (m *member) alike(th diagnose.Thresholds, now time.Time) bool {
	if len(m.stamps) < th.SlowRestarts {
		return true
	}
	_, ok := m.slow(th, now)
	return ok || m.leaks(th)
}

// leaks says that the newest ends, as many as make a slow loop, were kills for memory, however far apart.
func (m *member) leaks(th diagnose.Thresholds) bool {
	for _, s := range m.stamps[len(m.stamps)-th.SlowRestarts:] {
		if s.like != "OOMKilled" {
			return false
		}
	}
	return true
}

// looksWhole says whether a unit is an incident by what befell whole pods, or by there being none: conditions 4 and 5.
func (t *Tracker) looksWhole(u *unit, now time.Time) (finding, bool) {
	kind, _ := split(u.workload.workload)
	if len(u.failures) > 0 {
		t.seekSuccess(u)
		if says, ok := t.o.Thresholds.Repeated(kind, u.failures); ok && !t.longOver(kind, u, now) {
			return finding{condition: diagnose.PodsFail, says: says}, true
		}
		if w, ok := t.o.Cluster.Workload(u.workload.namespace, u.workload.workload); ok && kind == "CronJob" {
			if says, ok := diagnose.Overdue(u.failures, w.SecondDue); ok {
				return finding{condition: diagnose.PodsFail, says: says}, true
			}
		}
		if says, ok := t.o.Thresholds.Alone(kind, u.failures, t.alive(u), now); ok {
			return finding{condition: diagnose.PodsFail, says: says}, true
		}
	}
	if !u.short.IsZero() && u.shortSays != "" && now.Sub(u.short) >= t.o.Thresholds.StuckAfter {
		return finding{condition: diagnose.CannotCreate, says: diagnose.CreateSays(u.shortSays)}, true
	}
	return finding{}, false
}

// alive says whether the unit's workload has a pod that runs or is about to.
func (t *Tracker) alive(u *unit) bool {
	return slices.ContainsFunc(t.o.Cluster.PodsOf(u.workload.namespace, u.workload.workload), func(p diagnose.PodRecord) bool {
		return p.Deleted.IsZero() && p.Phase != corev1.PodFailed && p.Phase != corev1.PodSucceeded
	})
}

// longOver says that a unit's failed pods only linger: failed and evicted pods stay in the cluster for weeks. A CronJob's count until one
// succeeds, however rarely it runs.
func (t *Tracker) longOver(kind string, u *unit, now time.Time) bool {
	th := t.o.Thresholds
	limit := th.SlowWindow
	switch kind {
	case "CronJob":
		return false
	case "Job":
	default:
		limit = th.Window
		for i := 1; i < len(u.failures); i++ { // they are sorted
			limit = max(limit, 2*u.failures[i].At.Sub(u.failures[i-1].At))
		}
		limit = min(limit, th.SlowWindow)
	}
	return now.Sub(u.newestFailure().At) > limit
}

// open makes the finding an incident, unless its workload is wanted no more.
func (t *Tracker) open(u *unit, f finding, now time.Time) {
	if !t.synced {
		return // Synced looks at everything, with all pods at hand
	}
	if at, ok := t.gone[u.workload]; ok && now.Sub(at) < absence {
		return // its pods are deleted after it; those that are kept on purpose are looked at when they crash again
	}
	if w, ok := t.o.Cluster.Workload(u.workload.namespace, u.workload.workload); ok && (w.Desired == 0 && w.Observed || w.Complete) {
		return
	}
	inc := &diagnose.Incident{
		Subject:   diagnose.Subject{Cluster: t.o.Name, Namespace: u.workload.namespace, Workload: u.workload.workload, Container: u.container, ContainerType: u.kind},
		Condition: f.condition, Says: f.says, State: diagnose.Open, Opened: now, Since: now,
	}
	u.inc = inc
	u.longest = 0
	var begin string
	for _, m := range u.members {
		if g, ok := t.looks(m, now); ok || m == f.member {
			u.setFailing(m, true)
			if since := m.began(); since.Before(inc.Since) {
				inc.Since = since
			}
			u.longest = max(u.longest, m.interval(g.condition, t.o.Thresholds, now))
		}
	}
	switch {
	case f.member != nil:
		begin = revision(f.member.pod)
		if f.member.pod.OwnerKind == "" {
			u.uid = string(f.member.pod.UID)
		}
	case len(u.failures) > 0:
		newest := u.newestFailure()
		begin = "failures"
		inc.Since = u.failures[0].At
		inc.Subject.Pod = newest.Pod
	default:
		begin, inc.Since = "create", u.short
	}
	inc.ID = t.newID(inc.Subject.Key(), begin, inc.Since)
	t.byID[inc.ID] = u
	for _, m := range u.members {
		u.count(m)
	}
	t.fill(u, f.member)
	inc.LongestRun = u.longest
	t.follow(u.workload)
	t.push(u, Opened)
	t.keep.put(inc)
	t.o.Log.Info("incident opened", "incident", inc.ID, "namespace", u.workload.namespace, "workload", u.workload.workload, "container", u.container,
		"condition", f.condition, "says", f.says)
}

// began is when the member's trouble began, as far as that is known: when its pod was made, if it has failed at this pace ever since.
func (m *member) began() time.Time {
	if len(m.stamps) == 0 {
		return m.since
	}
	first, last := m.stamps[0].at, m.stamps[len(m.stamps)-1].at
	if m.base > 0 || m.pod.Created.IsZero() || len(m.stamps) >= m.ends {
		return first
	}
	pace := last.Sub(m.pod.Created) / time.Duration(max(m.ends, 1))
	if pace <= max(6*time.Minute, 2*last.Sub(first)) {
		return m.pod.Created
	}
	return first
}

// interval is the longest time between two ends of the loop that opens an incident.
func (m *member) interval(c diagnose.Condition, th diagnose.Thresholds, now time.Time) time.Duration {
	if c != diagnose.CrashLoop && c != diagnose.SlowLoop {
		return 0
	}
	window := th.Window
	if c == diagnose.SlowLoop {
		window = th.SlowWindow
	}
	var most time.Duration
	if last, ok := m.c.LastEnd(); ok && !last.Started.IsZero() {
		most = max(0, last.Finished.Sub(last.Started))
	}
	for i := 1; i < len(m.stamps); i++ {
		if now.Sub(m.stamps[i-1].at) <= window || i == len(m.stamps)-1 {
			most = max(most, m.stamps[i].at.Sub(m.stamps[i-1].at))
		}
	}
	return most
}

// revision names which edition of the workload fails, so that the same failure gets the same id after a restart of the bot.
func revision(rec *diagnose.PodRecord) string {
	switch {
	case rec.TemplateHash != "":
		return rec.TemplateHash
	case rec.OwnerName != "":
		return rec.OwnerKind + "/" + rec.OwnerName
	}
	return string(rec.UID)
}

// fill brings what an incident tells up to date. m is the pod to show, nil to keep the one shown while it fails.
func (t *Tracker) fill(u *unit, m *member) {
	inc := u.inc
	if shown := u.members[inc.Subject.Pod]; shown != nil && shown.failing {
		m = shown
	} else if m == nil {
		if best := u.telling(); best != nil && best.failing {
			m = best
		}
	}
	if m != nil {
		u.count(m)
		inc.Subject.Pod = m.pod.Name
		if last, ok := m.c.LastEnd(); ok {
			code := last.ExitCode
			inc.ExitCode, inc.Fingerprint = &code, last.Fingerprint()
		}
		if !m.since.IsZero() && class(m.stuck) != "" {
			inc.Fingerprint = likeStuck(m.shown().Reason)
			if _, ran := m.c.LastEnd(); !ran {
				inc.ExitCode = nil
			}
		}
	} else if n := len(u.failures); n > 0 && inc.Condition == diagnose.PodsFail {
		newest := u.newestFailure()
		inc.Subject.Pod, inc.LastCrash, inc.ExitCode, inc.Fingerprint = newest.Pod, newest.At, newest.ExitCode, newest.Words()
	} else if inc.Condition == diagnose.CannotCreate {
		inc.Fingerprint = "FailedCreate"
	}
	inc.Failing = u.failing
	if inc.Condition == diagnose.PodsFail {
		inc.Failing = max(inc.Failing, 1)
	}
	inc.Instances = max(inc.Failing, 1)
	if w, ok := t.o.Cluster.Workload(u.workload.namespace, u.workload.workload); ok {
		inc.Instances = max(inc.Failing, int(w.Created))
		if inc.Condition == diagnose.CannotCreate {
			inc.Failing = max(int(w.Desired-w.Created), 0)
			inc.Instances = max(int(w.Desired), inc.Failing)
		}
	}
	inc.LongestRun = u.longest
}

// count takes a failing member's restarts and newest end into the incident.
func (u *unit) count(m *member) {
	if m.failing {
		u.inc.Restarts = max(u.inc.Restarts, m.c.Restarts)
		if n := m.newestEnd(); n.After(u.inc.LastCrash) {
			u.inc.LastCrash = n
		}
	}
}

func (u *unit) newestFailure() diagnose.Failure {
	return slices.MaxFunc(u.failures, func(a, b diagnose.Failure) int { return a.At.Compare(b.At) })
}

func (m *member) newestEnd() time.Time {
	if len(m.stamps) == 0 {
		return time.Time{}
	}
	return m.stamps[len(m.stamps)-1].at
}

// likeStuck is what a cause looks like whichever of the kubelet's two words for it stands there just now.
func likeStuck(reason string) string {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff":
		return "ImagePull"
	case "RunContainerError":
		return "StartError"
	}
	return reason
}

// update takes news about an open incident. m is the pod that brings them, nil when one went away; fresh counts its new ends.
func (t *Tracker) update(u *unit, m *member, fresh int, now time.Time) {
	old := u.snapshot()
	if m != nil {
		// A crash of any instance belongs to the incident, though one restart alone would not have opened it.
		if fresh > 0 && !m.newestEnd().Before(u.inc.Since) || !m.since.IsZero() && now.Sub(m.since) >= t.o.Thresholds.StuckAfter && !m.stuck.NeedsWarning {
			u.setFailing(m, true)
		}
		if finished(m.pod, &m.c) {
			u.setFailing(m, false)
		}
		u.count(m)
	}
	t.fill(u, nil)
	inc := u.inc
	if shown := u.members[inc.Subject.Pod]; shown != nil && shown.failing && inc.Condition != diagnose.CrashLoop {
		if f, ok := t.looks(shown, now); ok && f.condition != inc.Condition && (fresh > 0 || f.condition == diagnose.CannotStart && inc.Condition != diagnose.SlowLoop) {
			inc.Condition, inc.Says = f.condition, f.says
		}
	}
	switch {
	case fresh > 0 && (inc.LastCrash.After(old.LastCrash) || inc.Restarts > old.Restarts):
		t.push(u, CrashedAgain)
	case differ(old, *inc):
		t.push(u, Updated)
	default:
		return
	}
	t.keep.put(inc)
}

// differ says whether a person would see the difference.
func differ(a, b diagnose.Incident) bool {
	if (a.ExitCode == nil) != (b.ExitCode == nil) || a.ExitCode != nil && *a.ExitCode != *b.ExitCode {
		return true
	}
	a.ExitCode, b.ExitCode = nil, nil
	a.LongestRun, b.LongestRun = 0, 0
	return a != b
}

// failed takes a pod that failed as a whole.
func (t *Tracker) failed(rec *diagnose.PodRecord, f diagnose.Failure, now time.Time) {
	pk := podKey{rec.Namespace, rec.Name}
	if s := t.pods[pk]; s != nil {
		t.dropPod(pk, s, now)
	}
	if kind, _ := split(rec.Workload); kind == "Pod" && !(f.Bare && f.Expelled) {
		return // it fails but once, and has had its say
	}
	u := t.unit(rec, f.Container, f.Type)
	for _, old := range u.failures {
		if old.Pod == f.Pod && old.Created.Equal(f.Created) {
			t.settle(u, nil, now)
			return
		}
	}
	u.failures = append(u.failures, f)
	slices.SortStableFunc(u.failures, func(a, b diagnose.Failure) int { return a.At.Compare(b.At) })
	if len(u.failures) > maxFailures {
		u.failures = slices.Delete(u.failures, 0, len(u.failures)-maxFailures)
	}
	t.follow(u.workload)
	if u.inc != nil {
		old := u.inc.LastCrash
		u.unready = now
		if u.inc.Condition != diagnose.PodsFail && u.failing == 0 {
			if says, ok := t.o.Thresholds.Repeated(u.inc.Subject.Kind(), u.failures); ok {
				u.inc.Condition, u.inc.Says = diagnose.PodsFail, says
			}
		}
		if u.inc.Condition == diagnose.PodsFail {
			if n := len(u.failures); n > 1 && !u.runsToEnd() {
				u.longest = max(u.longest, u.failures[n-1].At.Sub(u.failures[n-2].At))
			}
		}
		t.fill(u, nil)
		if u.inc.LastCrash.After(old) {
			t.push(u, CrashedAgain)
			t.keep.put(u.inc)
		}
	} else if found, ok := t.looksWhole(u, now); ok {
		t.open(u, found, now)
	}
	t.settle(u, nil, now)
}

// maxFailures bounds the failed pods that are remembered of one unit.
const maxFailures = 16

// workload takes the newest state of a controller.
func (t *Tracker) workload(rec diagnose.WorkloadRecord, now time.Time) {
	wk := workloadKey{rec.Namespace, rec.Workload}
	top := wk
	if rec.Owner != "" {
		top.workload = rec.Owner
	}
	delete(t.gone, wk)
	kind, name := split(rec.Workload)
	if rec.Owner == "" && rec.Desired == 0 && rec.Observed {
		why := fmt.Sprintf("%s %s was scaled to zero", kind, name)
		switch kind {
		case "Job", "CronJob":
			why = fmt.Sprintf("%s %s was suspended", kind, name)
		case "DaemonSet":
			why = fmt.Sprintf("%s %s is wanted on no node any more", kind, name)
		}
		t.closeAll(wk, why, now)
		return
	}
	if rec.Complete && rec.Owner == "" {
		for _, u := range t.units[wk] {
			if u.inc != nil {
				t.end(u, diagnose.Recovered, fmt.Sprintf("Job %s has succeeded", name), now)
			} else {
				t.forget(u)
			}
		}
		return
	}
	t.create(rec, top, now)
	t.givenUp(rec, top, now)
	for _, u := range t.units[wk] {
		if u.inc != nil {
			t.update(u, nil, 0, now)
			t.settle(u, nil, now)
		}
	}
}

// givenUp takes a Job that has failed as often as it may and whose pods are gone. That is news only when nobody saw them fail, as before a
// start of the bot.
func (t *Tracker) givenUp(rec diagnose.WorkloadRecord, top workloadKey, now time.Time) {
	if rec.GivenUp.IsZero() || now.Sub(rec.GivenUp) > t.o.Thresholds.SlowWindow {
		return
	}
	for _, u := range t.units[top] {
		if u.inc != nil || len(u.failures) > 0 {
			return
		}
	}
	u := t.unitOf(top, rec.GivenUpContainer, diagnose.App)
	if !rec.GivenUp.After(u.success) {
		return
	}
	u.failures = append(u.failures, diagnose.Failure{
		Container: rec.GivenUpContainer, Type: diagnose.App, Created: rec.GivenUp, At: rec.GivenUp, Reason: "BackoffLimitExceeded", GivenUp: true,
	})
	t.follow(top)
	t.judge(u, now)
}

// create looks whether a controller cannot make its pods.
func (t *Tracker) create(rec diagnose.WorkloadRecord, top workloadKey, now time.Time) {
	kind, _ := split(rec.Workload)
	lacking := false
	switch kind {
	case "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController":
		lacking = rec.Observed && rec.Created < rec.Desired
	case "Job":
		lacking = rec.Created < rec.Desired && !rec.Complete && !rec.Failed
	}
	u := t.units[top][""]
	if rec.ReplicaFailure == "" && !lacking {
		if u != nil && u.creator == rec.Workload { // not another Job of the same CronJob
			u.short, u.shortSays = time.Time{}, ""
			t.settle(u, nil, now)
		}
		return
	}
	if u == nil {
		u = t.unitOf(top, "", diagnose.App)
	}
	if u.short.IsZero() {
		u.short = now
		if !t.synced {
			u.short = now.Add(-t.o.Thresholds.StuckAfter) // it may have been so for long
		}
	}
	u.creator, u.shortSays = rec.Workload, rec.ReplicaFailure
	if u.inc == nil {
		t.judge(u, now)
	} else {
		t.settle(u, nil, now)
	}
}

// seekSuccess drops failures that a success of the workload came after, as its pods tell.
func (t *Tracker) seekSuccess(u *unit) {
	if !u.runsToEnd() {
		return
	}
	if w, ok := t.o.Cluster.Workload(u.workload.namespace, u.workload.workload); ok && w.Succeeded.After(u.success) {
		u.success = w.Succeeded
		u.failures = slices.DeleteFunc(u.failures, func(f diagnose.Failure) bool { return !f.At.After(u.success) })
	}
	for _, p := range t.o.Cluster.PodsOf(u.workload.namespace, u.workload.workload) {
		if p.Phase == corev1.PodSucceeded {
			u.succeed(&p)
		}
	}
}

// succeed notes a pod's success.
func (u *unit) succeed(p *diagnose.PodRecord) {
	at := p.Created
	for i := range p.Containers {
		if f := p.Containers[i].Finished; f.After(at) {
			at = f
		}
	}
	if at.After(u.success) {
		u.success = at
	}
	u.failures = slices.DeleteFunc(u.failures, func(f diagnose.Failure) bool { return !f.At.After(u.success) })
}
