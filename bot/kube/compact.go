package kube

import (
	"bytes"
	"encoding/hex"
	"hash/fnv"
	"strings"
	"time"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"crashloop/diagnose"
)

// pod is what the store keeps of one pod. A plainly healthy one is spread over the small fields; any other has its whole record in full,
// and of the small fields only uid.
type pod struct {
	uid     [16]byte
	rest    string // the name, without the owner's where it begins with that
	node    unique.Handle[string]
	make    unique.Handle[revision]
	cells   []cell
	full    *diagnose.PodRecord
	created uint32 // Unix seconds
	flags   uint8
}

const (
	ownersPrefix uint8 = 1 << iota // rest lacks the owner's name in front
	podReady
	succeeded // phase Succeeded, else Running
)

// cell is one container of a healthy pod: when it began to run or, when done, when it ended with exit code 0.
type cell struct {
	at    uint32 // Unix seconds, 0 when not known
	done  bool
	ready bool
}

// revision is what the pods of one template have in common. Its values are interned: ten thousand pods share one.
type revision struct {
	hash   string
	policy corev1.RestartPolicy
	shape  string // per container its type's first letter and its name, each ended by a zero byte
}

// owner names the controller of a pod; of a bare pod the pod itself, with an empty kind.
type owner struct {
	namespace, kind, name string
	hash                  string // label pod-template-hash, of a ReplicaSet's pods only
	builtIn               bool
}

// podItem is a pod on its way from the decoder to the store.
type podItem struct {
	owner owner
	pod   pod
}

// compact reduces a pod to what the store keeps.
func compact(p *corev1.Pod) podItem {
	rec := diagnose.RecordPod(p)
	it := podItem{owner: ownerOf(p)}
	id, known := packUID(rec.UID)
	it.pod.uid = id
	if !known || !plain(&rec) {
		trim(&rec)
		it.pod.full = &rec
		return it
	}
	it.pod.rest = rec.Name
	if rest, ok := strings.CutPrefix(rec.Name, rec.OwnerName); ok && rec.OwnerName != "" && it.owner.kind != "" {
		it.pod.rest, it.pod.flags = rest, ownersPrefix
	}
	it.pod.rest = strings.Clone(it.pod.rest)
	it.pod.node = unique.Make(rec.Node)
	it.pod.created = seconds(rec.Created)
	if rec.Ready {
		it.pod.flags |= podReady
	}
	if rec.Phase == corev1.PodSucceeded {
		it.pod.flags |= succeeded
	}
	var shape strings.Builder
	it.pod.cells = make([]cell, len(rec.Containers))
	for i := range rec.Containers {
		c := &rec.Containers[i]
		shape.WriteByte(c.Type[0])
		shape.WriteString(c.Name)
		shape.WriteByte(0)
		it.pod.cells[i] = cell{at: seconds(c.Started), ready: c.Ready}
		if c.State == diagnose.Terminated {
			it.pod.cells[i] = cell{at: seconds(c.Finished), done: true, ready: c.Ready}
		}
	}
	it.pod.make = unique.Make(revision{rec.TemplateHash, rec.RestartPolicy, shape.String()})
	return it
}

// expand makes the record of a stored pod. What a healthy pod's record lacks: container IDs, and when a finished container had started.
func (p *pod) expand(o owner, workload string) diagnose.PodRecord {
	if p.full != nil {
		rec := *p.full
		rec.Workload = workload
		return rec
	}
	m := p.make.Value()
	rec := diagnose.PodRecord{
		Namespace: o.namespace, Name: p.name(o), UID: unpackUID(p.uid), OwnerKind: o.kind, Workload: workload, TemplateHash: m.hash,
		Node: p.node.Value(), Phase: corev1.PodRunning, RestartPolicy: m.policy, Created: moment(p.created), Ready: p.flags&podReady != 0,
		Containers: make([]diagnose.ContainerRecord, 0, len(p.cells)),
	}
	if o.kind != "" {
		rec.OwnerName = o.name
	}
	if p.flags&succeeded != 0 {
		rec.Phase = corev1.PodSucceeded
	}
	shape := m.shape
	for _, c := range p.cells {
		word, tail, _ := strings.Cut(shape, "\x00")
		shape = tail
		r := diagnose.ContainerRecord{Name: word[1:], Type: typeOf(word[0]), Ready: c.ready}
		if c.done {
			r.State, r.Reason, r.Finished = diagnose.Terminated, "Completed", moment(c.at)
		} else {
			r.State, r.Started = diagnose.Running, moment(c.at)
		}
		rec.Containers = append(rec.Containers, r)
	}
	return rec
}

func (p *pod) name(o owner) string {
	switch {
	case p.full != nil:
		return p.full.Name
	case p.flags&ownersPrefix != 0:
		return o.name + p.rest
	}
	return p.rest
}

func typeOf(letter byte) diagnose.ContainerType {
	switch letter {
	case 'i':
		return diagnose.Init
	case 's':
		return diagnose.Sidecar
	}
	return diagnose.App
}

// plain says whether a pod is plainly healthy: bound, everything that should run runs and never had to be restarted, what is done ended
// well. A pod that still starts is not plain; whoever is told of it decides how long that may take.
func plain(r *diagnose.PodRecord) bool {
	if r.Phase != corev1.PodRunning && r.Phase != corev1.PodSucceeded || r.Reason != "" || r.Message != "" || r.Unscheduled != "" || !r.Deleted.IsZero() {
		return false
	}
	for i := range r.Containers {
		c := &r.Containers[i]
		if c.Restarts != 0 || c.Last != nil {
			return false
		}
		switch c.State {
		case diagnose.Running:
		case diagnose.Terminated:
			if c.ExitCode != 0 || c.Type == diagnose.App && r.RestartPolicy == corev1.RestartPolicyAlways {
				return false
			}
			if c.Reason != "Completed" || c.Message != "" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// trim lets a record that is kept share its frequent words with the others, and bounds its long ones.
func trim(r *diagnose.PodRecord) {
	r.Namespace, r.OwnerKind, r.OwnerName = shared(r.Namespace), shared(r.OwnerKind), shared(r.OwnerName)
	r.TemplateHash, r.Node = shared(r.TemplateHash), shared(r.Node)
	r.Reason, r.Message, r.Unscheduled = shared(r.Reason), bounded(r.Message), bounded(r.Unscheduled)
	for i := range r.Containers {
		c := &r.Containers[i]
		c.Name, c.Reason, c.Message = shared(c.Name), shared(c.Reason), bounded(c.Message)
		if c.Last != nil {
			c.Last.Reason, c.Last.Message = shared(c.Last.Reason), bounded(c.Last.Message)
		}
	}
}

func shared(s string) string {
	if s == "" {
		return ""
	}
	return unique.Make(s).Value()
}

// longest bounds a status message in the store: a termination message may hold 4096 bytes (the kubelet's limit), a pod's status any
// number. A diagnosis reads the pod itself.
const longest = 1024

func bounded(s string) string {
	if len(s) <= longest {
		return s
	}
	s = s[:longest]
	// Half of a token does not show what it is, and could not be redacted.
	if i := strings.LastIndexAny(s, " \t\n"); i > 0 {
		s = s[:i]
	}
	return strings.ToValidUTF8(s, "")
}

func ownerOf(p *corev1.Pod) owner {
	ref := metav1.GetControllerOf(p)
	if ref == nil {
		return owner{namespace: shared(p.Namespace), name: strings.Clone(p.Name)}
	}
	gv, _ := schema.ParseGroupVersion(ref.APIVersion)
	o := owner{namespace: shared(p.Namespace), kind: shared(ref.Kind), name: shared(ref.Name), builtIn: builtIn(gv.Group, ref.Kind)}
	if ref.Kind == "ReplicaSet" {
		o.hash = shared(p.Labels[appsv1.DefaultDeploymentUniqueLabelKey])
	}
	return o
}

// packUID makes 16 bytes of a UID. The API server's are UUIDs; of any other, known is false and the bytes are a hash.
func packUID(uid types.UID) (id [16]byte, known bool) {
	s := []byte(uid)
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && !bytes.ContainsAny(s, "ABCDEF") {
		s = append(append(append(append(s[0:8:8], s[9:13]...), s[14:18]...), s[19:23]...), s[24:]...)
		if _, err := hex.Decode(id[:], s); err == nil {
			return id, true
		}
	}
	h := fnv.New128a()
	h.Write([]byte(uid))
	h.Sum(id[:0])
	return id, false
}

func unpackUID(id [16]byte) types.UID {
	var out [36]byte
	hex.Encode(out[0:8], id[0:4])
	hex.Encode(out[9:13], id[4:6])
	hex.Encode(out[14:18], id[6:8])
	hex.Encode(out[19:23], id[8:10])
	hex.Encode(out[24:], id[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return types.UID(out[:])
}

// The API's times are whole seconds. 32 bits hold them until the year 2106.
func seconds(t time.Time) uint32 {
	if s := t.Unix(); s > 0 {
		return uint32(s)
	}
	return 0
}

func moment(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0)
}
