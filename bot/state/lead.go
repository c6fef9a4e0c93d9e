package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// LeadOptions are what Lead needs. Client and Log are required.
type LeadOptions struct {
	Client kubernetes.Interface
	// Namespace is the bot's own; found out inside a cluster when empty.
	Namespace string
	// Name is the Lease's; "crashloop" when empty.
	Name string
	// Identity tells the instances apart; the host's name and some chance when empty.
	Identity string
	Log      *slog.Logger
	// Lease is how long a leader that is not heard of any more keeps the others waiting, 15 s when zero; it gives up when it could not renew
	// for Renew, 10 s, and tries every Retry, 2 s.
	Lease, Renew, Retry time.Duration
	// Leading is told when leadership begins and ends; it may be nil.
	Leading func(bool)
}

// ErrLeadershipLost means that another instance may lead by now: this one could not renew its Lease in time. The program should end and be
// started again, so that nothing of its old knowledge is used.
var ErrLeadershipLost = errors.New("leadership was lost: the Lease could not be renewed in time")

// Lead waits until this instance holds the Lease, runs work, and gives the Lease up when work has returned. The context of work ends when
// ctx does or when the Lease is lost; in that case the error wraps [ErrLeadershipLost]. It returns nil when ctx ends while it waits.
func Lead(ctx context.Context, o LeadOptions, work func(context.Context) error) error {
	if o.Client == nil || o.Log == nil {
		return errors.New("leading needs a client and a logger")
	}
	if o.Namespace == "" {
		var err error
		if o.Namespace, err = ownNamespace(); err != nil {
			return err
		}
	}
	if o.Name == "" {
		o.Name = "crashloop"
	}
	if o.Identity == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "crashloop"
		}
		o.Identity = host + "-" + rand.Text()[:8]
	}
	orDefault := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	orDefault(&o.Lease, 15*time.Second)
	orDefault(&o.Renew, 10*time.Second)
	orDefault(&o.Retry, 2*time.Second)
	where := o.Namespace + "/" + o.Name
	// The elector would try for ever without a word of ours.
	if _, err := o.Client.CoordinationV1().Leases(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{}); apierrors.IsForbidden(err) {
		return fmt.Errorf("reading lease %s: %w; the bot's ServiceAccount needs get, create and update on leases in namespace %s", where, err, o.Namespace)
	}

	// The elector outlives ctx until work is done, so that no other instance begins before.
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var (
		mu       sync.Mutex
		started  bool
		over     bool
		result   error
		finished = make(chan struct{})
	)
	waiting := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !started {
			stop()
		}
	})
	defer waiting()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: o.Name, LeaseDuration: o.Lease, RenewDeadline: o.Renew, RetryPeriod: o.Retry, ReleaseOnCancel: true,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}, Client: o.Client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity},
		},
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				defer stop()
				mu.Lock()
				if ctx.Err() != nil || over {
					mu.Unlock()
					return
				}
				started = true
				mu.Unlock()
				defer close(finished)
				o.Log.Info("this instance leads", "lease", where, "identity", o.Identity)
				if o.Leading != nil {
					o.Leading(true)
					defer o.Leading(false)
				}
				working, end := context.WithCancel(ctx)
				defer end()
				defer context.AfterFunc(held, end)()
				result = work(working)
				if held.Err() != nil && ctx.Err() == nil {
					result = errors.Join(fmt.Errorf("holding lease %s: %w", where, ErrLeadershipLost), result)
				}
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				if identity != o.Identity {
					o.Log.Info("another instance leads; this one waits", "lease", where, "leader", identity)
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("preparing to lead by lease %s: %w", where, err)
	}
	elector.Run(electing)
	mu.Lock()
	over = true
	begun := started
	mu.Unlock()
	if begun {
		<-finished
		return result
	}
	if ctx.Err() == nil {
		return fmt.Errorf("holding lease %s: %w", where, ErrLeadershipLost)
	}
	return nil
}
