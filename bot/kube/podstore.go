package kube

import (
	"bytes"
	"reflect"
	"slices"
	"sync"
	"time"
)

// podStore keeps the pods, by namespace and owner, and knows which workloads are followed.
type podStore struct {
	mu       sync.Mutex
	spaces   map[string]map[owner]*group
	followed map[workloadKey]bool
	count    int
}

// group is the pods of one owner.
type group struct {
	owner    owner
	workload string // the topmost built-in controller, a guess until verified; empty when each pod is its own
	verified bool
	retry    time.Time // when a failed verification may be tried again
	pods     []pod     // in the order of their uid
}

// of is the workload of one of the group's pods.
func (g *group) of(p *pod) string {
	if g.workload == "" {
		return "Pod/" + p.name(g.owner)
	}
	return g.workload
}

type workloadKey struct{ namespace, workload string }

// podChange is a pod that somebody should hear of.
type podChange struct {
	group *group
	pod   pod
	gone  bool
}

func newPodStore() *podStore {
	return &podStore{spaces: map[string]map[owner]*group{}, followed: map[workloadKey]bool{}}
}

// put stores a pod and says whether somebody should hear of it: it is or was in trouble or is followed, and something about it changed.
// known says that the store should have the pod already, so that one that moved to another owner is looked for.
func (s *podStore) put(it podItem, known bool) (g *group, tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g = s.group(it.owner)
	i, found := find(g.pods, it.pod.uid)
	if found {
		old := g.pods[i]
		g.pods[i] = it.pod
		return g, (s.interesting(g, &it.pod) || old.full != nil) && !same(&old, &it.pod)
	}
	if known {
		s.drop(it.owner.namespace, it.pod.uid, g)
	}
	if len(g.pods) == cap(g.pods) { // append would double it, and most groups never grow again
		g.pods = append(make([]pod, 0, len(g.pods)+1+len(g.pods)/8), g.pods...)
	}
	g.pods = slices.Insert(g.pods, i, it.pod)
	s.count++
	return g, s.interesting(g, &it.pod)
}

// remove forgets a pod and returns what was known of it.
func (s *podStore) remove(it podItem) (g *group, tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g = s.spaces[it.owner.namespace][it.owner]
	if g != nil {
		if i, found := find(g.pods, it.pod.uid); found {
			tell = s.interesting(g, &g.pods[i]) || it.pod.full != nil
			s.cut(g, i)
			return g, tell
		}
	}
	g, was := s.drop(it.owner.namespace, it.pod.uid, nil)
	return g, g != nil && s.interesting(g, &was)
}

// replace makes items the pods of namespace, or of all namespaces when it is empty, and returns what changed for those who should hear of
// it: what is gone first.
func (s *podStore) replace(namespace string, items []podItem) []podChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	var olds []*group
	for ns, groups := range s.spaces {
		if namespace == "" || ns == namespace {
			for _, g := range groups {
				olds = append(olds, g)
			}
		}
	}
	before := make(map[*group][]pod, len(olds))
	for _, g := range olds {
		before[g] = g.pods
		s.count -= len(g.pods)
		g.pods = nil
	}
	sizes := map[owner]int{}
	for i := range items {
		sizes[items[i].owner]++
	}
	for i := range items {
		g := s.group(items[i].owner)
		if g.pods == nil {
			g.pods = make([]pod, 0, sizes[items[i].owner])
		}
		g.pods = append(g.pods, items[i].pod)
	}
	s.count += len(items)
	var gone, changed []podChange
	for i := range items {
		g := s.group(items[i].owner)
		if n := sizes[items[i].owner]; n > 0 { // the first time that this group is met
			sizes[items[i].owner] = 0
			slices.SortFunc(g.pods, func(a, b pod) int { return bytes.Compare(a.uid[:], b.uid[:]) })
			for k := range g.pods {
				p := &g.pods[k]
				j, found := find(before[g], p.uid)
				wasTroubled := found && before[g][j].full != nil
				if (s.interesting(g, p) || wasTroubled) && (!found || !same(&before[g][j], p)) {
					changed = append(changed, podChange{group: g, pod: *p})
				}
			}
		}
	}
	var alive map[[16]byte]bool
	for g, pods := range before {
		for k := range pods {
			if _, still := find(g.pods, pods[k].uid); still || !s.interesting(g, &pods[k]) {
				continue
			}
			if alive == nil { // it may have moved to another owner
				alive = make(map[[16]byte]bool, len(items))
				for i := range items {
					alive[items[i].pod.uid] = true
				}
			}
			if !alive[pods[k].uid] {
				gone = append(gone, podChange{group: g, pod: pods[k], gone: true})
			}
		}
		if len(g.pods) == 0 {
			s.dropGroup(g)
		}
	}
	return append(gone, changed...)
}

// interesting says whether a pod's changes are told at all. s.mu is held.
func (s *podStore) interesting(g *group, p *pod) bool {
	return p.full != nil || len(s.followed) > 0 && s.followed[workloadKey{g.owner.namespace, g.of(p)}]
}

// group returns the group of an owner, made if need be. s.mu is held.
func (s *podStore) group(o owner) *group {
	groups := s.spaces[o.namespace]
	if groups == nil {
		groups = map[owner]*group{}
		s.spaces[o.namespace] = groups
	}
	g := groups[o]
	if g == nil {
		g = &group{owner: o}
		g.workload, g.verified = guess(o)
		groups[o] = g
	}
	return g
}

// drop removes a pod whose owner is not the one that it was stored under, looking through the namespace. s.mu is held.
func (s *podStore) drop(namespace string, uid [16]byte, except *group) (*group, pod) {
	for _, g := range s.spaces[namespace] {
		if g == except {
			continue
		}
		if i, found := find(g.pods, uid); found {
			was := g.pods[i]
			s.cut(g, i)
			return g, was
		}
	}
	return nil, pod{}
}

// cut removes the pod at i of a group, and the group with its last pod. s.mu is held.
func (s *podStore) cut(g *group, i int) {
	g.pods = slices.Delete(g.pods, i, i+1)
	s.count--
	if len(g.pods) == 0 {
		s.dropGroup(g)
	} else if cap(g.pods) > 2*len(g.pods)+8 {
		g.pods = append(make([]pod, 0, len(g.pods)), g.pods...)
	}
}

func (s *podStore) dropGroup(g *group) {
	groups := s.spaces[g.owner.namespace]
	delete(groups, g.owner)
	if len(groups) == 0 {
		delete(s.spaces, g.owner.namespace)
	}
}

func find(pods []pod, uid [16]byte) (int, bool) {
	return slices.BinarySearchFunc(pods, uid, func(p pod, uid [16]byte) int { return bytes.Compare(p.uid[:], uid[:]) })
}

// same says whether two states of one pod read the same in a record.
func same(a, b *pod) bool {
	if a.full != nil || b.full != nil {
		return a.full != nil && b.full != nil && reflect.DeepEqual(a.full, b.full)
	}
	return a.rest == b.rest && a.node == b.node && a.make == b.make && a.flags == b.flags && a.created == b.created && slices.Equal(a.cells, b.cells)
}
