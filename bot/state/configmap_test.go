package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// api is the part of an API server that client-go's fake lacks: it refuses an update of what somebody else has changed, and what is too
// large, as the real one does.
type api struct {
	*fake.Clientset
	writes atomic.Int64
	mu     sync.Mutex
	refuse func(verb string, object *corev1.ConfigMap) error
}

func newAPI() *api {
	a := &api{Clientset: fake.NewClientset()}
	var version atomic.Int64
	a.PrependReactor("*", "configmaps", func(action clienttesting.Action) (bool, runtime.Object, error) {
		w, ok := action.(clienttesting.CreateAction)
		if !ok {
			return false, nil, nil
		}
		object := w.GetObject().(*corev1.ConfigMap)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.writes.Add(1)
		if a.refuse != nil {
			if err := a.refuse(action.GetVerb(), object); err != nil {
				return true, nil, err
			}
		}
		size := 0
		for k, v := range object.BinaryData {
			size += len(k) + len(v)
		}
		if size > corev1.MaxSecretSize {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, object.Name, nil)
		}
		if action.GetVerb() == "update" {
			old, err := a.Tracker().Get(action.GetResource(), object.Namespace, object.Name)
			if err != nil {
				return true, nil, err
			}
			if old.(*corev1.ConfigMap).ResourceVersion != object.ResourceVersion {
				return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(), object.Name, errors.New("it was changed"))
			}
		}
		object = object.DeepCopy()
		object.ResourceVersion = fmt.Sprint(version.Add(1))
		var err error
		if action.GetVerb() == "update" {
			err = a.Tracker().Update(action.GetResource(), object, object.Namespace)
		} else {
			err = a.Tracker().Create(action.GetResource(), object, object.Namespace)
		}
		return true, object, err
	})
	return a
}

func (a *api) open(t *testing.T, ctx context.Context) *ConfigMaps {
	t.Helper()
	s, err := OpenConfigMaps(ctx, ConfigMapOptions{Client: a, Namespace: "bots", Name: "state", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (a *api) each(t *testing.T) []corev1.ConfigMap {
	t.Helper()
	list, err := a.CoreV1().ConfigMaps("bots").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestConfigMapsAreSharded(t *testing.T) {
	a := newAPI()
	s := a.open(t, t.Context())
	defer s.Close()
	noise := make([]byte, 100<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for i := range 40 {
		e := bytes.Clone(noise)
		for j := range e {
			e[j] ^= byte(i*j*2654435761) ^ byte(j*j*j>>7)
		}
		if err := s.Put(t.Context(), fmt.Sprint("k", i), e); err != nil {
			t.Fatal(err)
		}
	}
	all := a.each(t)
	if len(all) < 2 {
		t.Fatalf("%d ConfigMaps hold 4 MB", len(all))
	}
	for _, m := range all {
		size := 0
		for k, v := range m.BinaryData {
			size += len(k) + len(v)
		}
		if size > shardLimit {
			t.Errorf("ConfigMap %s holds %d bytes", m.Name, size)
		}
		if m.Labels[stateLabel] != "state" {
			t.Errorf("ConfigMap %s is not labelled: %v", m.Name, m.Labels)
		}
	}
	err := s.Put(t.Context(), "large", bytes.Repeat(noise, 1))
	if err != nil {
		t.Errorf("a value of 100 KiB was refused: %v", err)
	}
}

func TestConfigMapsRefuseWhatIsTooLarge(t *testing.T) {
	s := newAPI().open(t, t.Context())
	defer s.Close()
	noise := make([]byte, 1<<20)
	x := uint32(1)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	err := s.Put(t.Context(), "k", noise)
	if err == nil || !strings.Contains(err.Error(), "are the most") {
		t.Errorf("Put of 1 MiB: %v", err)
	}
	want(t, s, "", map[string]string{})
}

func TestConfigMapsMergeAnothersWrites(t *testing.T) {
	a := newAPI()
	one, two := a.open(t, t.Context()), a.open(t, t.Context())
	defer one.Close()
	defer two.Close()
	put(t, one, "first", "1")
	put(t, two, "second", "2")
	put(t, one, "third", "3") // conflicts with the second
	want(t, one, "", map[string]string{"first": "1", "second": "2", "third": "3"})
	remove(t, two, "first") // conflicts with the third
	want(t, two, "", map[string]string{"second": "2", "third": "3"})
}

func TestConfigMapsAreReadWhenFirstUsed(t *testing.T) {
	a := newAPI()
	leader, waiting := a.open(t, t.Context()), a.open(t, t.Context())
	defer waiting.Close()
	put(t, leader, "k", "left by the leader")
	leader.Close()
	want(t, waiting, "", map[string]string{"k": "left by the leader"})
}

func TestConfigMapsJoinWrites(t *testing.T) {
	a := newAPI()
	s := a.open(t, t.Context())
	defer s.Close()
	put(t, s, "warm", "up")
	hold := make(chan struct{})
	first := make(chan struct{})
	var once sync.Once
	a.mu.Lock()
	a.refuse = func(string, *corev1.ConfigMap) error {
		once.Do(func() { close(first); <-hold })
		return nil
	}
	a.mu.Unlock()
	before := a.writes.Load()
	var group sync.WaitGroup
	group.Go(func() { put(t, s, "slow", "x") })
	<-first
	for i := range 100 {
		group.Go(func() { put(t, s, fmt.Sprint("k", i), "x") })
	}
	for { // until all wait behind the slow one
		s.mu.Lock()
		n := len(s.queue)
		s.mu.Unlock()
		if n == 100 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(hold)
	group.Wait()
	if n := a.writes.Load() - before; n != 2 {
		t.Errorf("101 values took %d writes, want 2", n)
	}
}

func TestConfigMapsDeletedByHandAreWrittenAgain(t *testing.T) {
	a := newAPI()
	s := a.open(t, t.Context())
	defer s.Close()
	put(t, s, "a", "1")
	if err := a.CoreV1().ConfigMaps("bots").Delete(t.Context(), "state-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "b", "2")
	again := a.open(t, t.Context())
	defer again.Close()
	want(t, again, "", map[string]string{"a": "1", "b": "2"})
}

func TestConfigMapsLeaveOutWhatIsDamaged(t *testing.T) {
	a := newAPI()
	s := a.open(t, t.Context())
	put(t, s, "good", "1")
	put(t, s, "bad", "2")
	s.Close()
	m := a.each(t)[0]
	m.BinaryData["bad"] = []byte("what is this, and why is it here?")
	m.BinaryData["worse"] = nil
	m.BinaryData["other"] = m.BinaryData["good"]
	if _, err := a.CoreV1().ConfigMaps("bots").Update(t.Context(), &m, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s = a.open(t, t.Context())
	defer s.Close()
	want(t, s, "", map[string]string{"good": "1"})
}

func TestConfigMapsSayWhatIsForbidden(t *testing.T) {
	a := newAPI()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no"))
	s := a.open(t, t.Context())
	defer s.Close()
	a.refuse = func(string, *corev1.ConfigMap) error { return forbidden }
	err := s.Put(t.Context(), "k", nil)
	if err == nil || !strings.Contains(err.Error(), "needs get, list, create and update on configmaps in namespace bots") {
		t.Errorf("Put: %v", err)
	}
	a.refuse = nil
	put(t, s, "k", "now it may")

	a.PrependReactor("list", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
	if _, err := OpenConfigMaps(t.Context(), ConfigMapOptions{Client: a, Namespace: "bots", Name: "state", Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "needs get, list") {
		t.Errorf("Open: %v", err)
	}
}

// A key that a crash left in two shards is read from the newer and deleted from both.
func TestConfigMapsKeyInTwoShards(t *testing.T) {
	a := newAPI()
	for n, e := range []entry{{seq: 7, raw: []byte("old")}, {seq: 9, raw: []byte("new")}} {
		m := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "bots", Name: shardName("state", n), Labels: map[string]string{stateLabel: "state"}},
			BinaryData: map[string][]byte{"k": encodeEntry("k", e)},
		}
		if _, err := a.CoreV1().ConfigMaps("bots").Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s := a.open(t, t.Context())
	want(t, s, "", map[string]string{"k": "new"})
	remove(t, s, "k")
	s.Close()
	s = a.open(t, t.Context())
	defer s.Close()
	want(t, s, "", map[string]string{})
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(encodeEntry("k", entry{seq: 1, raw: []byte("value")}))
	packed, err := pack(bytes.Repeat([]byte("long "), 500))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeEntry("k", packed))
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, e, err := decodeEntry(raw)
		if err != nil {
			return
		}
		if again := encodeEntry(key, e); !bytes.Equal(again, raw) {
			t.Errorf("%x decodes and encodes to %x", raw, again)
		}
	})
}
