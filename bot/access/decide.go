package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"crashloop/notify"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

const (
	// DefaultTimeout bounds one decision: a person waits for it.
	DefaultTimeout = 5 * time.Second
	// remember is how long an answer about reading counts again. Answers about changes are never remembered.
	remember = 10 * time.Second
	// maxRemembered bounds the answers that are remembered.
	maxRemembered = 4096
	// atOnce bounds the reviews that one question about namespaces has under way.
	atOnce = 8
)

// Policies gives the access policy as it is now. *File is one.
type Policies interface {
	Policy() (Policy, error)
}

// Decision is an answer that explains itself.
type Decision struct {
	Allowed  bool
	Identity Identity
	// Missing lists what the cluster refused.
	Missing []Permission
	// Says is one sentence on why not; empty when allowed.
	Says string
	// Grant is what an admin would run, or write into the access file, to allow it; empty when allowed or when nothing can be granted.
	Grant string
}

// Decider decides by the cluster's own RBAC. Create it with New or NewSelf.
type Decider struct {
	// identify maps a person, or gives the refusal.
	identify func(ctx context.Context, who notify.Person) (Identity, *Decision)
	// review asks the cluster.
	review  func(ctx context.Context, id Identity, p Permission) (bool, error)
	log     *slog.Logger
	timeout time.Duration

	mu      sync.Mutex
	answers map[question]answer
}

type question struct {
	identity   string
	permission Permission
}

type answer struct {
	allowed bool
	until   time.Time
}

// Options are what a Decider needs.
type Options struct {
	// Reviews makes SubjectAccessReviews, with the bot's own rights.
	Reviews authorizationclient.SubjectAccessReviewsGetter
	// Policies is the access file; nil maps nobody.
	Policies Policies
	Log      *slog.Logger
	Timeout  time.Duration // of one decision; DefaultTimeout when zero
}

// New returns a Decider that maps people by a policy and asks the cluster by SubjectAccessReview.
func New(o Options) (*Decider, error) {
	if o.Reviews == nil || o.Log == nil {
		return nil, errors.New("deciding on access needs a client for SubjectAccessReviews and a logger")
	}
	d := newDecider(o.Log, o.Timeout)
	d.identify = func(_ context.Context, who notify.Person) (Identity, *Decision) { return identify(o.Policies, who) }
	d.review = func(ctx context.Context, id Identity, p Permission) (bool, error) {
		sar := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: id.User, Groups: id.Groups, ResourceAttributes: attributes(p),
		}}
		got, err := o.Reviews.SubjectAccessReviews().Create(ctx, sar, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return verdict(got.Status)
	}
	return d, nil
}

// SelfOptions are what a Decider needs that knows one user only.
type SelfOptions struct {
	// Reviews makes SelfSubjectAccessReviews, which every authenticated user may.
	Reviews authorizationclient.SelfSubjectAccessReviewsGetter
	// Who asks the API server for the user's name; without it, or on a server older than 1.28, the user has none.
	Who     authenticationclient.SelfSubjectReviewsGetter
	Log     *slog.Logger
	Timeout time.Duration
}

// NewSelf returns a Decider for the bot on somebody's own machine: whoever acts has the rights of the kubeconfig, no more and no less.
func NewSelf(o SelfOptions) (*Decider, error) {
	if o.Reviews == nil || o.Log == nil {
		return nil, errors.New("deciding on access needs a client for SelfSubjectAccessReviews and a logger")
	}
	d := newDecider(o.Log, o.Timeout)
	s := &self{who: o.Who, log: o.Log}
	d.identify = func(ctx context.Context, who notify.Person) (Identity, *Decision) {
		if !who.Member {
			return Identity{}, stranger()
		}
		return s.identity(ctx), nil
	}
	d.review = func(ctx context.Context, _ Identity, p Permission) (bool, error) {
		sar := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes(p)}}
		got, err := o.Reviews.SelfSubjectAccessReviews().Create(ctx, sar, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return verdict(got.Status)
	}
	return d, nil
}

func newDecider(log *slog.Logger, timeout time.Duration) *Decider {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Decider{log: log, timeout: timeout, answers: map[question]answer{}}
}

// Rules are what the bot's own ServiceAccount needs for deciding.
func Rules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}}}
}

// Decide says whether a person has all of these permissions. Each is asked of the cluster anew. Asked for nothing, it refuses.
func (d *Decider) Decide(ctx context.Context, who notify.Person, permissions ...Permission) Decision {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	id, refusal := d.identify(ctx, who)
	if refusal != nil {
		return *refusal
	}
	if len(permissions) == 0 {
		return Decision{Identity: id, Says: "Nothing was asked for that could be allowed."}
	}
	dec := Decision{Identity: id}
	for _, p := range permissions {
		allowed, err := d.review(ctx, id, p)
		if err != nil {
			d.log.Error("asking the cluster for permission failed; refused", "user", id.String(), "permission", p.String(), "error", err)
			return Decision{Identity: id, Missing: []Permission{p}, Says: unanswered(p, err)}
		}
		if !allowed {
			dec.Missing = append(dec.Missing, p)
		}
	}
	if dec.Allowed = len(dec.Missing) == 0; !dec.Allowed {
		dec.Says = fmt.Sprintf("%s may not %s.", id, list(dec.Missing))
		dec.Grant = grant(id, dec.Missing)
	}
	return dec
}

// Identity says who a person is to the cluster, or refuses and says why.
func (d *Decider) Identity(ctx context.Context, who notify.Person) (Identity, Decision) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	id, refusal := d.identify(ctx, who)
	if refusal != nil {
		return Identity{}, *refusal
	}
	return id, Decision{Allowed: true, Identity: id}
}

// Namespaces returns those of the candidates in which a person may list pods. Answers are up to ten seconds old. The error is a sentence
// for the person: they are mapped to nobody, or the cluster did not answer.
func (d *Decider) Namespaces(ctx context.Context, who notify.Person, candidates []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	id, refusal := d.identify(ctx, who)
	if refusal != nil {
		return nil, &Refusal{*refusal}
	}
	everywhere, err := d.ask(ctx, id, listPods(""))
	if err != nil {
		return nil, &Refusal{Decision{Identity: id, Says: unanswered(listPods(""), err)}}
	}
	if everywhere {
		return append([]string(nil), candidates...), nil
	}
	allowed := make([]bool, len(candidates))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, namespace := range candidates {
		if namespace == "" {
			continue // that would ask for all namespaces
		}
		group.Go(func() (err error) {
			allowed[i], err = d.ask(ctx, id, listPods(namespace))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		d.log.Error("asking the cluster where a person may list pods failed; refused", "user", id.String(), "error", err)
		return nil, &Refusal{Decision{Identity: id, Says: unanswered(listPods(""), err)}}
	}
	var some []string
	for i, namespace := range candidates {
		if allowed[i] {
			some = append(some, namespace)
		}
	}
	return some, nil
}

// May says whether a person has one permission that only reads; its answer is up to ten seconds old.
func (d *Decider) May(ctx context.Context, who notify.Person, p Permission) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	id, refusal := d.identify(ctx, who)
	if refusal != nil {
		return false, &Refusal{*refusal}
	}
	allowed, err := d.ask(ctx, id, p)
	if err != nil {
		return false, &Refusal{Decision{Identity: id, Says: unanswered(p, err)}}
	}
	return allowed, nil
}

// Refusal is a Decision as an error.
type Refusal struct{ Decision Decision }

// Error is the sentence that the decision says.
func (r *Refusal) Error() string { return r.Decision.Says }

func listPods(namespace string) Permission {
	return Permission{Verb: "list", Resource: "pods", Namespace: namespace}
}

// ask is review with a short memory for what only reads.
func (d *Decider) ask(ctx context.Context, id Identity, p Permission) (bool, error) {
	q, now := question{id.key(), p}, time.Now()
	if !p.changes() {
		d.mu.Lock()
		a, ok := d.answers[q]
		d.mu.Unlock()
		if ok && now.Before(a.until) {
			return a.allowed, nil
		}
	}
	allowed, err := d.review(ctx, id, p)
	if err != nil || p.changes() {
		return allowed, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.answers) >= maxRemembered {
		for old, a := range d.answers {
			if !now.Before(a.until) {
				delete(d.answers, old)
			}
		}
	}
	if len(d.answers) < maxRemembered {
		d.answers[q] = answer{allowed, now.Add(remember)}
	}
	return allowed, nil
}

func attributes(p Permission) *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{
		Verb: p.Verb, Group: p.Group, Resource: p.Resource, Subresource: p.Subresource, Namespace: p.Namespace, Name: p.Name,
	}
}

// verdict reads a status. An authorizer that allows may still report an error of another one; one that does not allow and reports an
// error could not decide.
func verdict(s authorizationv1.SubjectAccessReviewStatus) (bool, error) {
	if s.Allowed && !s.Denied {
		return true, nil
	}
	if s.EvaluationError != "" && !s.Denied {
		return false, fmt.Errorf("the authorizer could not decide: %s", s.EvaluationError)
	}
	return false, nil
}
