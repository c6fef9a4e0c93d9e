package diagnose

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Case is everything that can be known of one subject. What costs a read is read when a rule first asks for it.
type Case struct {
	Symptom Symptom
	Subject Subject
	Now     time.Time
	// Pod is nil when the workload has none.
	Pod *corev1.Pod
	// Spec is the pod's, or the workload's template when there is no pod; never nil.
	Spec *corev1.PodSpec
	// Meta is the pod's metadata, or the template's; never nil.
	Meta *metav1.ObjectMeta
	// Container and Status are those of the subject's container; nil when there is none, or when the kubelet has not reported it.
	Container *corev1.Container
	Status    *corev1.ContainerStatus

	engine  *Engine
	read    *reader
	depth   int
	visited map[string]bool // the workloads, as chains name them, whose diagnosis led here

	events       []Event
	eventsRead   bool
	others       map[string][]Event
	primary      *Log
	secondary    *Log
	logsRead     bool
	traces       []Trace
	tracesRead   bool
	dependencies []Dependency
	failures     []Hit // lines that tell of a connection that failed
	traced       bool
	rolled       *rollout
	rolloutRead  bool
	history      []version
	crashing     int // which of history crashes
	versionsRead bool
	undoes       bool // the change is one that going back to the last good revision takes back
	workload     Object
	workloadRead bool
}

// Get reads one object of the cluster, without its secrets: whatever is cut out of a text of it may be quoted. The error wraps
// [ErrNotFound] only when the object is known not to be there.
func (c *Case) Get(kind Kind, namespace, name string) (Object, error) {
	o, err := c.read.get(kind, namespace, name)
	if err != nil {
		return nil, err
	}
	return c.read.clean(o)
}

// List reads objects of one kind in a namespace, or of all namespaces when it is empty, without their secrets.
func (c *Case) List(kind Kind, namespace string) ([]Object, error) {
	return c.list(kind, namespace, Where{})
}

func (c *Case) list(kind Kind, namespace string, where Where) ([]Object, error) {
	objects, err := c.read.list(kind, namespace, where)
	if err != nil {
		return nil, err
	}
	return c.read.cleanAll(objects)
}

// pods are those of a namespace, or of all when it is empty, as far as they can be read.
func (c *Case) pods(namespace string) iter.Seq[*corev1.Pod] {
	return typed[*corev1.Pod](c, Pods, namespace)
}

// services are those of a namespace, or of all when it is empty, as far as they can be read.
func (c *Case) services(namespace string) iter.Seq[*corev1.Service] {
	return typed[*corev1.Service](c, Services, namespace)
}

// typed are the objects of a kind in a namespace, as far as they can be read, by the Go type that they have.
func typed[T Object](c *Case, kind Kind, namespace string) iter.Seq[T] {
	objects, _ := c.List(kind, namespace)
	return ofType[T](objects)
}

// unredacted are the objects of a kind as the cluster has them, for comparing: that a secret was changed shows in nothing else.
func unredacted[T Object](c *Case, kind Kind, namespace string) iter.Seq[T] {
	objects, _ := c.read.list(kind, namespace, Where{})
	return ofType[T](objects)
}

func ofType[T Object](objects []Object) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, o := range objects {
			if t, ok := o.(T); ok && !yield(t) {
				return
			}
		}
	}
}

// Missing says that an object is proven not to exist: it was asked for and the answer was that there is none.
func (c *Case) Missing(kind Kind, namespace, name string) bool {
	_, err := c.Get(kind, namespace, name)
	return errors.Is(err, ErrNotFound)
}

// Gap notes something that could not be known.
func (c *Case) Gap(format string, args ...any) { c.read.gaps[fmt.Sprintf(format, args...)] = true }

// Who names the subject in a sentence: "shop/web", and its container when the pod has several or it is not an app container.
func (c *Case) Who() string {
	who := c.Subject.Namespace + "/" + c.Subject.Name()
	if s := c.Subject; s.Container != "" && (s.ContainerType == Init || s.ContainerType == Sidecar || len(c.Spec.Containers) > 1) {
		who += " (" + s.containerWords() + ")"
	}
	return who
}

// Target names the workload for kubectl: "deploy/web".
func (c *Case) Target() string { return kubectlTarget(c.Subject.Workload) }

func kubectlTarget(workload string) string {
	kind, name, _ := strings.Cut(workload, "/")
	short := map[string]string{
		"Deployment": "deploy", "StatefulSet": "sts", "DaemonSet": "ds", "ReplicaSet": "rs", "Job": "job", "CronJob": "cronjob", "Pod": "pod",
		"ReplicationController": "rc",
	}[kind]
	if short == "" {
		short = strings.ToLower(kind)
	}
	return short + "/" + name
}

// Kubectl writes a kubectl command in the subject's namespace, each argument quoted for a shell where it has to be.
func (c *Case) Kubectl(args ...string) string { return Kubectl(c.Subject.Namespace, args...) }

// Kubectl writes a kubectl command in any namespace, or in none for what belongs to the whole cluster.
func Kubectl(namespace string, args ...string) string {
	if namespace != "" {
		args = append([]string{"-n", namespace}, args...)
	}
	return CommandLine("kubectl", args...)
}

// CommandLine writes a command, each argument quoted for a shell where it has to be.
func CommandLine(program string, args ...string) string {
	parts := []string{program}
	for _, a := range args {
		parts = append(parts, shellQuote(a))
	}
	return strings.Join(parts, " ")
}

// shellQuote quotes what a POSIX shell would not take as one plain word. Names of placeholders in <> are left to be seen.
func shellQuote(word string) string {
	plain := word != ""
	for _, r := range word {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+%", r)) {
			plain = false
		}
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Last is how the container last ended: its present state when it has ended and not been started again, else the state before; nil
// when it never ended.
func (c *Case) Last() *corev1.ContainerStateTerminated {
	if c.Status == nil {
		return nil
	}
	if t := c.Status.State.Terminated; t != nil {
		return t
	}
	return c.Status.LastTerminationState.Terminated
}

// Waiting returns the reason and message for which the container waits, empty when it does not.
func (c *Case) Waiting() (reason, message string) {
	if c.Status == nil || c.Status.State.Waiting == nil {
		return "", ""
	}
	return c.Status.State.Waiting.Reason, c.Status.State.Waiting.Message
}

// Running says that the container runs right now.
func (c *Case) Running() bool { return c.Status != nil && c.Status.State.Running != nil }

// StatusField names the field of the pod's status that holds the container's, for evidence: "status.containerStatuses[web].lastState".
func (c *Case) StatusField(field string) string {
	list := "containerStatuses"
	if c.Subject.ContainerType != App {
		list = "initContainerStatuses"
	}
	return fmt.Sprintf("status.%s[%s].%s", list, c.Subject.Container, field)
}

// SpecField names a field of the container's spec, for evidence.
func (c *Case) SpecField(field string) string {
	list := "containers"
	if c.Subject.ContainerType != App {
		list = "initContainers"
	}
	return fmt.Sprintf("spec.%s[%s].%s", list, c.Subject.Container, field)
}

// CiteLast makes the last termination a piece of evidence.
func (c *Case) CiteLast() []Evidence {
	t := c.Last()
	if t == nil {
		return nil
	}
	field := "lastState.terminated"
	if c.Status.State.Terminated != nil {
		field = "state.terminated"
	}
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" {
		text = t.Reason + ", " + text
	}
	if s := began(t.StartedAt); !s.IsZero() && t.FinishedAt.Time.After(s) {
		text += fmt.Sprintf(", after %s", Duration(t.FinishedAt.Sub(s)))
	}
	return []Evidence{{Source: c.StatusField(field), Text: text}}
}

// Ran is how long the container last ran, 0 when it never did or when that is not known.
func (c *Case) Ran() time.Duration {
	t := c.Last()
	if t == nil || began(t.StartedAt).IsZero() || t.FinishedAt.IsZero() {
		return 0
	}
	return max(t.FinishedAt.Sub(t.StartedAt.Time), 0)
}

// Events returns the events about the pod and about the objects that own it, merged and oldest first.
func (c *Case) Events() []Event {
	if c.eventsRead {
		return c.events
	}
	c.eventsRead = true
	var all []Event
	take := func(kind, name string, created time.Time, uid types.UID) {
		if name == "" {
			return
		}
		for _, e := range c.EventsOf(kind, c.Subject.Namespace, name) {
			if !e.before(created, uid) {
				all = append(all, e)
			}
		}
	}
	if c.Pod != nil {
		take("Pod", c.Pod.Name, c.Pod.CreationTimestamp.Time, c.Pod.UID)
		if owner := metav1.GetControllerOf(c.Pod); owner != nil {
			take(owner.Kind, owner.Name, time.Time{}, "")
			if owner.Kind+"/"+owner.Name == c.Subject.Workload {
				c.events = mergeEvents(all)
				return c.events
			}
		}
	} else if c.Subject.Kind() == "Deployment" {
		for _, rs := range c.replicaSets() {
			take("ReplicaSet", rs.Name, time.Time{}, "")
		}
	} else if c.Subject.Kind() == "CronJob" {
		for job := range typed[*batchv1.Job](c, Jobs, c.Subject.Namespace) {
			if controlledBy(job, "CronJob", c.Subject.Name()) {
				take("Job", job.Name, time.Time{}, "")
			}
		}
	}
	if c.Subject.Kind() != "Pod" {
		take(c.Subject.Kind(), c.Subject.Name(), time.Time{}, "")
	}
	c.events = mergeEvents(all)
	return c.events
}

// EventsOf returns the events about one object, merged and oldest first.
func (c *Case) EventsOf(kind, namespace, name string) []Event {
	key := kind + "|" + namespace + "|" + name
	if c.others == nil {
		c.others = map[string][]Event{}
	}
	if e, ok := c.others[key]; ok {
		return e
	}
	in := namespace
	if in == "" {
		in = "default" // where the events of cluster-scoped objects are kept
	}
	objects, _ := c.list(Events, in, Where{Involved: Reference{Kind: kind, Name: name}})
	out := mergeEvents(eventsAbout(objects, kind, name))
	c.others[key] = out
	return out
}

// ContainerEvents returns the events about the pod that are about this container, or about no container in particular.
func (c *Case) ContainerEvents() []Event {
	var out []Event
	for _, e := range c.Events() {
		if e.Kind == "Pod" && (e.Container == "" || e.Container == c.Subject.Container) {
			out = append(out, e)
		}
	}
	return out
}

// Log returns the log that tells most about the crash: that of the run which ended last; if it could not be read or is empty, the other
// one there is, or the termination message. It is never nil.
func (c *Case) Log() *Log {
	c.readLogs()
	return c.primary
}

const notNeeded = "not needed"

// readLogs reads the two logs that a container can have. Which of them belongs to the run that ended last depends on its state: the
// kubelet serves that run as the current log until the container is started again, and as the previous one from then on.
func (c *Case) readLogs() {
	if c.logsRead {
		return
	}
	c.logsRead = true
	if c.Pod == nil || c.Container == nil {
		c.primary = &Log{Source: "log", Missing: "there is no container that could have written one"}
		c.secondary = c.primary
		return
	}
	current, previous := func() *Log { return c.fetchLog(false) }, func() *Log { return c.fetchLog(true) }
	first, second := previous, current
	if c.endedUnrestarted() {
		first, second = current, previous
	}
	c.primary = first()
	if c.primary.Len() > 0 && !c.primary.Empty() {
		c.secondary = &Log{Missing: notNeeded}
		return
	}
	c.secondary = second()
	if c.secondary.Len() > 0 && !c.secondary.Empty() {
		c.primary, c.secondary = c.secondary, c.primary
		return
	}
	// terminationMessagePolicy FallbackToLogsOnError, or a program that writes /dev/termination-log.
	if t := c.Last(); t != nil && strings.TrimSpace(t.Message) != "" && ranAtAll(t) {
		l := NewLog(c.StatusField("lastState.terminated.message"), []byte(t.Message))
		l.Container, l.message = c.Subject.Container, true
		c.primary, c.secondary = l, c.primary
	}
}

// endedUnrestarted says that the run which ended last, or the only one there was, is still the one that the kubelet serves as the current.
func (c *Case) endedUnrestarted() bool {
	return c.Status != nil && (c.Status.State.Terminated != nil || c.Status.RestartCount == 0 && c.Last() == nil)
}

// otherLog makes the other of the two logs the one that is read; false when there is none that says anything.
func (c *Case) otherLog() bool {
	if c.Log().message || c.Log().Missing != "" {
		return false
	}
	if c.secondary.Missing == notNeeded {
		c.secondary = c.fetchLog(!c.primary.Previous)
	}
	if c.secondary.Missing != "" || c.secondary.Empty() || c.secondary.text == c.primary.text {
		return false
	}
	c.primary, c.secondary = c.secondary, c.primary
	c.tracesRead, c.traces, c.traced, c.dependencies = false, nil, false, nil
	return true
}

// ranAtAll tells a program's own termination message from the runtime's, which says why nothing ran.
func ranAtAll(t *corev1.ContainerStateTerminated) bool {
	switch t.Reason {
	case "StartError", "ContainerCannotRun", "ContainerStatusUnknown", "DeadlineExceeded":
		return false
	}
	return true
}

func (c *Case) logRequest(previous bool) LogRequest {
	return LogRequest{
		Namespace: c.Subject.Namespace, Pod: c.Pod.Name, Container: c.Subject.Container, Previous: previous,
		TailLines: c.engine.options.TailLines, LimitBytes: c.engine.options.LimitBytes,
	}
}

func (c *Case) fetchLog(previous bool) *Log {
	source := "log " + c.Subject.Container
	if previous {
		source += " (previous)"
	}
	raw, err := c.read.view.Log(c.read.ctx, c.logRequest(previous))
	which := "log"
	if previous {
		which = "previous log"
	}
	if err != nil {
		l := &Log{Source: source, Container: c.Subject.Container, Previous: previous}
		switch {
		case errors.Is(err, ErrGone):
			l.Missing = fmt.Sprintf("the %s of %s is gone: the kubelet has dropped it", which, c.Subject.Container)
		case errors.Is(err, ErrNotFound):
			l.Missing = fmt.Sprintf("there is no %s of %s", which, c.Subject.Container)
		case errors.Is(err, ErrForbidden):
			l.Missing = fmt.Sprintf("no permission to read the %s of %s", which, c.Subject.Container)
			c.Gap("no permission to read logs in %s", c.Subject.Namespace)
		default:
			l.Missing = fmt.Sprintf("the %s of %s could not be read: %v", which, c.Subject.Container, err)
		}
		return l
	}
	if int64(len(raw)) > c.engine.options.LimitBytes {
		raw = raw[int64(len(raw))-c.engine.options.LimitBytes:]
	}
	raw = WithoutCutLine(raw, c.engine.options.LimitBytes)
	// Redacted as a whole: a private key spans lines, and what is cut later is hard to tell.
	l := NewLog(source, []byte(c.engine.redact(string(raw))))
	l.Container, l.Previous = c.Subject.Container, previous
	return l
}

// Traces returns the stack traces, panics and uncaught exceptions of the log, in its order.
func (c *Case) Traces() []Trace {
	if !c.tracesRead {
		c.tracesRead = true
		c.traces = readTraces(c.Log())
	}
	return c.traces
}

// traceAround returns the trace that a line of the log stands in, nil when it stands in none.
func (c *Case) traceAround(line int) *Trace {
	traces := c.Traces()
	for i := range traces {
		if line >= traces[i].First && line <= traces[i].Last {
			return &traces[i]
		}
	}
	return nil
}

// Workload reads the object that the subject names as its workload, nil when it cannot be read.
func (c *Case) Workload() Object {
	if c.workloadRead {
		return c.workload
	}
	c.workloadRead = true
	if kind, ok := workloadKind(c.Subject.Kind()); ok {
		if o, err := c.Get(kind, c.Subject.Namespace, c.Subject.Name()); err == nil {
			c.workload = o
		}
	}
	return c.workload
}

func workloadKind(name string) (Kind, bool) {
	for _, k := range []Kind{Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs, Pods} {
		if k.Kind == name {
			return k, true
		}
	}
	return Kind{}, false
}

// templateOf returns the pod template of a workload.
func templateOf(o Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	case *appsv1.ReplicaSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}
	}
	return nil
}

// replicaSets returns the ReplicaSets of the subject's Deployment, unredacted, newest revision first.
func (c *Case) replicaSets() []*appsv1.ReplicaSet {
	var out []*appsv1.ReplicaSet
	for rs := range unredacted[*appsv1.ReplicaSet](c, ReplicaSets, c.Subject.Namespace) {
		if controlledBy(rs, "Deployment", c.Subject.Name()) {
			out = append(out, rs)
		}
	}
	slices.SortStableFunc(out, func(a, b *appsv1.ReplicaSet) int { return revision(b) - revision(a) })
	return out
}

// Node reads the pod's node, nil when there is none or it cannot be read.
func (c *Case) Node() *corev1.Node { return c.node(c.Spec.NodeName) }

func (c *Case) node(name string) *corev1.Node {
	if name == "" {
		return nil
	}
	o, err := c.Get(Nodes, "", name)
	if err != nil {
		return nil
	}
	n, _ := o.(*corev1.Node)
	return n
}

// Siblings returns the other pods of the same controller.
func (c *Case) Siblings() []*corev1.Pod {
	if c.Pod == nil {
		return nil
	}
	owner := metav1.GetControllerOf(c.Pod)
	if owner == nil {
		return nil
	}
	var out []*corev1.Pod
	for p := range c.pods(c.Subject.Namespace) {
		if p.Name != c.Pod.Name && controlledBy(p, owner.Kind, owner.Name) {
			out = append(out, p)
		}
	}
	return out
}

// Replicas returns the other pods that the same controller made from the same template.
func (c *Case) Replicas() []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range c.Siblings() {
		if sameTemplate(p, c.Pod) {
			out = append(out, p)
		}
	}
	return out
}

// Duration writes a duration as a person would: "45s", "2m10s", "3h5m", "2d".
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		d = d.Round(time.Second)
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
