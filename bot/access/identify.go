package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"crashloop/notify"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

func identify(policies Policies, who notify.Person) (Identity, *Decision) {
	if !who.Member {
		return Identity{}, stranger()
	}
	if policies == nil {
		return Identity{}, &Decision{
			Says:  "No access file is set, so nobody may read or change anything from here.",
			Grant: "CRASHLOOP_ACCESS_FILE=/path/to/access.yaml\n\n# access.yaml\nusers:\n" + entry(who),
		}
	}
	policy, err := policies.Policy()
	if err != nil {
		return Identity{}, &Decision{
			Says: "The bot's access file cannot be used just now, so nobody may read or change anything from here; its log says what is wrong with it.",
		}
	}
	id, ok := policy.Identity(who)
	if !ok {
		return Identity{}, &Decision{
			Says:  fmt.Sprintf("%s is not in the access file, so you may not read or change anything from here.", name(who)),
			Grant: "# access file, under users:\n" + entry(who),
		}
	}
	return id, nil
}

func stranger() *Decision {
	return &Decision{Says: "Only active, full members of this Slack workspace may use Crashloop; guests, bots and people of other workspaces may not."}
}

func name(who notify.Person) string {
	if who.Name == "" {
		return who.ID
	}
	return fmt.Sprintf("%s (%s)", who.Name, who.ID)
}

// entry is the line of the access file that would map a person. The user's name is for the admin to choose.
func entry(who notify.Person) string {
	user := "NAME"
	if email.MatchString(who.Email) && !strings.ContainsAny(who.Email, "{}[],:#&*!|>'\"%`\\") {
		user = who.Email
	}
	return fmt.Sprintf("  - slack: %s\n    kubernetes: {user: %s}", who.ID, user)
}

func unanswered(p Permission, err error) string {
	why := "the cluster's API did not answer"
	switch {
	case apierrors.IsForbidden(err):
		why = "the bot itself may not create access reviews; see deploy/rbac.yaml"
	case errors.Is(err, context.DeadlineExceeded):
		why = "the cluster's API did not answer in time"
	case strings.Contains(err.Error(), "could not decide"):
		why = "the cluster's authorizer could not decide"
	}
	return fmt.Sprintf("Whether you may %s could not be found out, so it is refused: %s. Try again in a moment.", p, why)
}

// self learns once who the kubeconfig's user is.
type self struct {
	who authenticationclient.SelfSubjectReviewsGetter
	log *slog.Logger

	mu    sync.Mutex
	known *Identity
}

func (s *self) identity(ctx context.Context) Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known != nil {
		return *s.known
	}
	nobody := Identity{unnamed: "the kubeconfig's user"}
	if s.who == nil {
		return nobody
	}
	got, err := s.who.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		s.log.Debug("the API server does not say who the kubeconfig's user is", "error", err)
		return nobody
	}
	groups := slices.Clone(got.Status.UserInfo.Groups)
	slices.Sort(groups)
	s.known = &Identity{User: got.Status.UserInfo.Username, Groups: groups}
	return *s.known
}
