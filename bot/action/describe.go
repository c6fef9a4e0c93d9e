package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/describe"
)

// describeLimit bounds each request of a describer, which knows no context.
const describeLimit = 10 * time.Second

// ErrNoObject means that there is no such object.
var ErrNoObject = errors.New("no such object")

// Describe says what kubectl describe says, with events when the person may read them. Secrets and ConfigMaps are no kinds of Target.
func (r *Reader) Describe(ctx context.Context, t Target, events bool) (string, error) {
	if err := t.Validate(); err != nil {
		return "", err
	}
	res, _ := t.resource()
	config := rest.CopyConfig(r.config)
	config.Timeout = describeLimit
	describer, ok := describe.DescriberFor(schema.GroupKind{Group: res.group, Kind: res.kind}, config)
	if !ok {
		return "", fmt.Errorf("describing %s: kubectl has no describer for the kind", t.Words())
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() { // ends by config.Timeout when ctx ends before it
		text, err := describer.Describe(t.Namespace, t.Name, describe.DescriberSettings{ShowEvents: events, ChunkSize: 500})
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got := <-done:
		if apierrors.IsNotFound(got.err) {
			return "", fmt.Errorf("%w: there is no %s", ErrNoObject, t.Words())
		}
		if got.err != nil {
			return "", fmt.Errorf("describing %s: %w", t.Words(), got.err)
		}
		return got.text, nil
	}
}
