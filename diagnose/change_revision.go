package diagnose

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// livedLong is how long a revision must have stood before the next one to count as one that ran, when its pods are gone and nothing else
// tells: a rollout that fails is usually followed by the next attempt within minutes.
const livedLong = 10 * time.Minute

// standing is what is known of how a revision ran.
type standing int

const (
	standingUnknown standing = iota
	standingBad              // its pods crash, or it never made the workload whole
	standingLived            // it stood long, or someone went back to it
	standingRuns             // its pods are ready now, or the workload's status says that they all were
)

// version is one revision of a workload's template.
type version struct {
	name     string
	number   int64 // what kubectl rollout undo takes; 0 when it cannot go back to it
	created  time.Time
	reused   bool                    // someone went back to it, so its creation is not when it was rolled out
	template *corev1.PodTemplateSpec // unredacted
	standing standing
}

// rollout is the way from the last good revision to the one that crashes.
type rollout struct {
	now, good version
	at        time.Time // when the first revision after the good one was rolled out
	between   int       // how many revisions lie between them
	unproven  bool      // whether the good one ran is not known
	by        string
	diff      []difference
}

// rollout compares the revision that crashes with the newest older one that is known to have run; nil when there is none, or when the
// same template ran before.
func (c *Case) rollout() *rollout {
	if !c.rolloutRead {
		c.rolloutRead = true
		c.rolled = c.findRollout()
	}
	return c.rolled
}

func (c *Case) findRollout() *rollout {
	versions, at := c.versions()
	if at < 0 || versions[at].template == nil {
		return nil
	}
	now, older := versions[at], versions[at+1:]
	good := -1
	for i := range older {
		if older[i].standing == standingRuns {
			good = i
			break
		}
	}
	for i := 0; good < 0 && i < len(older); i++ {
		if older[i].standing == standingLived {
			good = i
		}
	}
	// Nothing is known of any: the one right before is what was changed, unless it is known to be bad. Nobody is sent back to it.
	unproven := good < 0
	if good < 0 && len(older) > 0 && older[0].standing != standingBad {
		good = 0
	}
	if good < 0 || older[good].template == nil {
		return nil
	}
	r := &rollout{now: now, good: older[good], between: good, unproven: unproven, diff: diffTemplates(older[good].template, now.template)}
	if len(r.diff) == 0 {
		return nil
	}
	first := now
	if good > 0 {
		first = older[good-1]
		// Restarts and the like in between change nothing: the first revision that differs is the change.
		for i := good - 1; i > 0 && len(diffTemplates(older[good].template, older[i].template)) == 0; i-- {
			first = older[i-1]
		}
		if len(diffTemplates(older[good].template, first.template)) == 0 {
			first = now
		}
	}
	r.at, r.by = first.created, c.editor(first.created, r.diff)
	if first.reused {
		r.at, r.by = c.wentBack(first), ""
		if r.at.IsZero() {
			return nil
		}
		r.by = c.editor(r.at, r.diff)
	}
	// A Job is made at the next time of the schedule, not at the edit.
	if at, _ := c.templateEdited(); c.Subject.Kind() == "CronJob" && at.After(r.good.created) && at.Before(r.at) {
		r.at, r.by = at, c.editor(at, r.diff)
	}
	return r
}

// wentBack is when a revision that had been made earlier was rolled out again: the last edit of the workload's template, or its oldest pod.
func (c *Case) wentBack(v version) time.Time {
	if at, _ := c.templateEdited(); at.After(v.created) {
		return at
	}
	if c.Pod != nil {
		oldest := c.Pod.CreationTimestamp.Time
		for _, p := range c.Siblings() {
			if p.CreationTimestamp.Time.Before(oldest) {
				oldest = p.CreationTimestamp.Time
			}
		}
		return oldest
	}
	return time.Time{}
}

// versions returns the revisions of the subject's template that the cluster still has, newest first, and which of them crashes; -1 when
// that is not known.
func (c *Case) versions() ([]version, int) {
	if c.versionsRead {
		return c.history, c.crashing
	}
	c.versionsRead = true
	c.crashing = -1
	switch c.Subject.Kind() {
	case "Deployment":
		c.history, c.crashing = c.deploymentVersions()
	case "StatefulSet", "DaemonSet":
		c.history, c.crashing = c.controllerVersions()
	case "CronJob":
		c.history, c.crashing = c.cronJobVersions()
	}
	if c.crashing < 0 {
		return c.history, -1
	}
	// How long one stood is known from when the next one came.
	short := c.shortSince()
	for i := range c.history {
		v := &c.history[i]
		if i <= c.crashing || v.standing != standingUnknown || v.created.IsZero() {
			continue
		}
		next := c.history[i-1]
		until := next.created
		if next.reused {
			if until = (time.Time{}); i-1 == c.crashing {
				until = c.wentBack(next)
			}
		}
		switch {
		case !short.IsZero() && !v.created.Before(short.Add(-time.Minute)):
			v.standing = standingBad
		case v.reused:
			v.standing = standingLived
		case until.Sub(v.created) >= livedLong:
			v.standing = standingLived
		case i == c.crashing+1 && c.Subject.Kind() == "Deployment":
			v.standing = c.standingByEvents(v.name)
		}
	}
	return c.history, c.crashing
}

// revision is the number that the Deployment controller gives a ReplicaSet.
func revision(o metav1.Object) int {
	n, _ := strconv.Atoi(o.GetAnnotations()["deployment.kubernetes.io/revision"])
	return n
}

func (c *Case) deploymentVersions() ([]version, int) {
	current := ""
	if c.Pod != nil {
		owner := metav1.GetControllerOf(c.Pod)
		if owner == nil {
			return nil, -1
		}
		current = owner.Name
	}
	var out []version
	at := -1
	for _, rs := range c.replicaSets() { // newest first
		v := version{name: rs.Name, number: int64(revision(rs)), created: rs.CreationTimestamp.Time, template: &rs.Spec.Template, reused: rs.Annotations["deployment.kubernetes.io/revision-history"] != ""}
		if rs.Status.ReadyReplicas > 0 {
			v.standing = standingRuns
		}
		v.standing = c.standingOf(c.ownedBy("ReplicaSet", rs.Name), v.standing)
		if rs.Name == current || current == "" && at < 0 {
			at = len(out)
		}
		out = append(out, v)
	}
	return out, at
}

// standingOf reads how a revision's pods are.
func (c *Case) standingOf(pods []*corev1.Pod, otherwise standing) standing {
	for _, p := range pods {
		if l, _, _ := loops(p); l {
			return standingBad
		}
	}
	for _, p := range pods {
		if PodReady(p) {
			return standingRuns
		}
	}
	return otherwise
}

// ranAWhile is how long a pod must have run until its rollout stopped it to count as one that ran.
const ranAWhile = 30 * time.Second

// standingByEvents reads how a ReplicaSet's pods were that are gone already: whether they ran until they were stopped, or were started anew.
func (c *Case) standingByEvents(replicaSet string) standing {
	out, asked := standingUnknown, 0
	for _, made := range c.EventsOf("ReplicaSet", c.Subject.Namespace, replicaSet) {
		pod, ok := strings.CutPrefix(made.Message, "Created pod: ")
		if made.Reason != "SuccessfulCreate" || !ok || asked == 3 {
			continue
		}
		asked++
		var started, stopped time.Time
		for _, e := range c.EventsOf("Pod", c.Subject.Namespace, pod) {
			switch {
			case e.Warning && (e.Reason == "BackOff" || e.Reason == "Failed"), e.Reason == "Started" && e.Count > 1:
				return standingBad
			case e.Reason == "Started":
				started = e.Last
			case e.Reason == "Killing" && strings.HasPrefix(e.Message, "Stopping container "):
				stopped = e.Last
			}
		}
		if !started.IsZero() && stopped.Sub(started) >= ranAWhile {
			out = standingLived
		}
	}
	return out
}

func (c *Case) controllerVersions() ([]version, int) {
	kind, name := c.Subject.Kind(), c.Subject.Name()
	var list []*appsv1.ControllerRevision
	for r := range unredacted[*appsv1.ControllerRevision](c, ControllerRevisions, c.Subject.Namespace) {
		if controlledBy(r, kind, name) {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b *appsv1.ControllerRevision) int { return int(b.Revision - a.Revision) })
	of := func(p *corev1.Pod, r *appsv1.ControllerRevision) bool {
		hash := p.Labels["controller-revision-hash"]
		return hash != "" && (r.Name == hash || strings.HasSuffix(r.Name, "-"+hash) || r.Labels["controller-revision-hash"] == hash)
	}
	finished := ""
	if s, ok := c.Workload().(*appsv1.StatefulSet); ok && s.Status.CurrentRevision != s.Status.UpdateRevision {
		finished = s.Status.CurrentRevision // the last that all its pods came to run
	}
	pods := c.ownedBy(kind, name)
	out := make([]version, 0, len(list))
	at := -1
	for i, r := range list {
		v := version{name: r.Name, number: r.Revision, created: r.CreationTimestamp.Time, template: revisionTemplate(r)}
		// A revision that is gone back to gets a new number and keeps its creation.
		v.reused = slices.ContainsFunc(list[i+1:], func(o *appsv1.ControllerRevision) bool { return o.CreationTimestamp.After(r.CreationTimestamp.Time) })
		if r.Name == finished {
			v.standing = standingRuns
		}
		v.standing = c.standingOf(slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !of(p, r) }), v.standing)
		if at < 0 && (c.Pod != nil && of(c.Pod, r) || c.Pod == nil) {
			at = i
		}
		out = append(out, v)
	}
	return out, at
}

func revisionTemplate(r *appsv1.ControllerRevision) *corev1.PodTemplateSpec {
	var patch struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if json.Unmarshal(r.Data.Raw, &patch) != nil {
		return nil
	}
	return patch.Spec.Template
}

// cronJobVersions takes a CronJob's history from the Jobs that it still keeps: each holds the template that it ran.
func (c *Case) cronJobVersions() ([]version, int) {
	var list []*batchv1.Job
	for j := range unredacted[*batchv1.Job](c, Jobs, c.Subject.Namespace) {
		if controlledBy(j, "CronJob", c.Subject.Name()) {
			list = append(list, j)
		}
	}
	slices.SortStableFunc(list, func(a, b *batchv1.Job) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	current := ""
	if c.Pod != nil {
		if owner := metav1.GetControllerOf(c.Pod); owner != nil {
			current = owner.Name
		}
	}
	var out []version
	at := -1
	for i, j := range list {
		v := version{name: j.Name, created: j.CreationTimestamp.Time, template: &j.Spec.Template}
		for _, cond := range j.Status.Conditions {
			if cond.Status != corev1.ConditionTrue {
				continue
			}
			switch cond.Type {
			case batchv1.JobComplete:
				v.standing = standingRuns
			case batchv1.JobFailed:
				v.standing = standingBad
			}
		}
		if v.standing == standingUnknown && j.Name != current {
			v.standing = standingBad // it has not succeeded
		}
		if j.Name == current {
			at = i
		}
		out = append(out, v)
	}
	return out, at
}

// templateEdited is when the workload's pod template was last written, by the field managers of its spec, and by whom.
func (c *Case) templateEdited() (time.Time, string) {
	at, by, _ := edited(c.Workload(), c.firstCrash(), func(f fieldSet) []string {
		if f.has("f:spec", "f:template") || f.has("f:spec", "f:jobTemplate") {
			return []string{"template"}
		}
		return nil
	})
	return at, by
}

// rollsOutWithin is how long after a write of the template its revision is made at the latest, for the write to be known by its time.
const rollsOutWithin = time.Minute

// editor is the field manager that wrote the workload's template right before a revision was made of it. Where several did, it is the one
// that owns what differs; empty where that does not tell, either.
func (c *Case) editor(made time.Time, diff []difference) string {
	w := c.Workload()
	if w == nil {
		return ""
	}
	template := []string{"f:spec", "f:template"}
	if c.Subject.Kind() == "CronJob" {
		template = []string{"f:spec", "f:jobTemplate", "f:spec", "f:template"}
	}
	var all, owners []string
	for _, m := range w.GetManagedFields() {
		f := readFields(m.FieldsV1)
		if m.Time == nil || m.Subresource != "" || m.Time.After(made.Add(timestampSlack)) || made.Sub(m.Time.Time) > rollsOutWithin || !f.has(template...) || m.Manager == "kube-controller-manager" {
			continue
		}
		if by := managerName(m.Manager); !slices.Contains(all, by) {
			all = append(all, by)
			if f = f.at(append(template, "f:spec")...); slices.ContainsFunc(diff, func(d difference) bool { return f.owns(d) }) {
				owners = append(owners, by)
			}
		}
	}
	switch {
	case len(all) == 1:
		return all[0]
	case len(owners) == 1:
		return owners[0]
	}
	return ""
}

// owns says that the fields of a pod's spec hold the one that differs.
func (f fieldSet) owns(d difference) bool {
	var fields []string
	switch d.sort {
	case diffImage:
		fields = []string{"f:image"}
	case diffCommand:
		fields = []string{"f:command", "f:args", "f:workingDir"}
	case diffEnv:
		fields = []string{"f:env", "f:envFrom"}
	case diffMemory, diffCPU, diffDisk:
		fields = []string{"f:resources"}
	case diffMount:
		fields = []string{"f:volumes", "f:volumeMounts"}
	case diffLiveness:
		fields = []string{"f:livenessProbe"}
	case diffStartup:
		fields = []string{"f:startupProbe"}
	case diffReadiness:
		fields = []string{"f:readinessProbe"}
	case diffSecurity:
		fields = []string{"f:securityContext"}
	case diffAccount:
		fields = []string{"f:serviceAccountName"}
	}
	return slices.ContainsFunc(fields, func(field string) bool {
		if d.container == "" {
			return f.has(field)
		}
		key := `k:{"name":"` + d.container + `"}`
		return f.has("f:containers", key, field) || f.has("f:initContainers", key, field)
	})
}

// Previous returns the pod template of the last revision that ran before the crashing one, nil when it is not known or the same.
func (c *Case) Previous() *corev1.PodTemplateSpec {
	r := c.rollout()
	if r == nil {
		return nil
	}
	o, err := c.read.clean(&corev1.PodTemplate{Template: *r.good.template})
	if err != nil {
		return nil
	}
	return &o.(*corev1.PodTemplate).Template
}
