package state

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func leadOptions(client *fake.Clientset, identity string) LeadOptions {
	return LeadOptions{Client: client, Namespace: "bots", Identity: identity, Log: slog.New(slog.DiscardHandler), Lease: 3 * time.Second, Renew: 2 * time.Second, Retry: 50 * time.Millisecond}
}

func TestLeadOneAtATime(t *testing.T) {
	client := fake.NewClientset()
	first, stopFirst := context.WithCancel(t.Context())
	defer stopFirst()
	second, stopSecond := context.WithCancel(t.Context())
	defer stopSecond()
	var leading atomic.Int64
	began, drained := make(chan string, 2), make(chan struct{})
	work := func(name string, drain func()) func(context.Context) error {
		return func(ctx context.Context) error {
			if n := leading.Add(1); n != 1 {
				t.Errorf("%d lead at once", n)
			}
			began <- name
			<-ctx.Done()
			drain()
			leading.Add(-1)
			return nil
		}
	}
	results := make(chan error, 2)
	go func() {
		results <- Lead(first, leadOptions(client, "one"), work("one", func() { <-drained }))
	}()
	if name := <-began; name != "one" {
		t.Fatalf("%s leads first", name)
	}
	go func() { results <- Lead(second, leadOptions(client, "two"), work("two", func() {})) }()
	stopFirst()
	// The first one still drains; the second must wait for it although the Lease is not long.
	select {
	case name := <-began:
		t.Errorf("%s leads while the other one drains", name)
	case <-time.After(300 * time.Millisecond):
	}
	close(drained)
	if name := <-began; name != "two" {
		t.Errorf("%s leads after the first", name)
	}
	stopSecond()
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("Lead: %v", err)
		}
	}
}

func TestLeadReturnsWhatWorkReturns(t *testing.T) {
	broken := errors.New("broken")
	err := Lead(t.Context(), leadOptions(fake.NewClientset(), "one"), func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("Lead: %v", err)
	}
}

func TestLeadEndsWhileItWaits(t *testing.T) {
	client := fake.NewClientset()
	holder, stopHolder := context.WithCancel(t.Context())
	held := make(chan struct{})
	done := make(chan error, 2)
	go func() {
		done <- Lead(holder, leadOptions(client, "one"), func(ctx context.Context) error { close(held); <-ctx.Done(); return nil })
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- Lead(ctx, leadOptions(client, "two"), func(context.Context) error { return errors.New("it must not lead") })
	}()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Lead that waits: %v", err)
	}
	stopHolder()
	if err := <-done; err != nil {
		t.Errorf("Lead that leads: %v", err)
	}
}

func TestLeadLost(t *testing.T) {
	client := fake.NewClientset()
	var cut atomic.Bool
	client.PrependReactor("*", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		if cut.Load() {
			return true, nil, errors.New("the API server is gone")
		}
		return false, nil, nil
	})
	err := Lead(t.Context(), leadOptions(client, "one"), func(ctx context.Context) error {
		cut.Store(true)
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, ErrLeadershipLost) {
		t.Errorf("Lead: %v", err)
	}
}

func TestLeadSaysWhatIsForbidden(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}, "crashloop", errors.New("no"))
	})
	err := Lead(t.Context(), leadOptions(client, "one"), func(context.Context) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "needs get, create and update on leases in namespace bots") {
		t.Errorf("Lead: %v", err)
	}
}
