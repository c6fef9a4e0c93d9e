package command

import (
	"context"
	"fmt"

	"crashloop/diagnose"
)

// reach is a View for one person: beyond the namespace that they were let into, it shows only those whose logs they may read. The engine
// reads with the bot's rights and goes wherever a log points, so that whoever can write a log could otherwise have it look anywhere.
type reach struct {
	diagnose.View
	home string
	may  func(ctx context.Context, namespace string) (bool, error)
}

// enter refuses a namespace that is out of reach. What is in no namespace, such as a node, a diagnosis shows to whoever may have one.
func (r *reach) enter(ctx context.Context, namespace string) error {
	if namespace == "" || namespace == r.home {
		return nil
	}
	may, err := r.may(ctx, namespace)
	if err != nil {
		return fmt.Errorf("asking whether namespace %s may be read: %w: %w", namespace, diagnose.ErrForbidden, err)
	}
	if !may {
		return fmt.Errorf("you may not read logs in namespace %s: %w", namespace, diagnose.ErrForbidden)
	}
	return nil
}

// Get implements [diagnose.View].
func (r *reach) Get(ctx context.Context, kind diagnose.Kind, namespace, name string) (diagnose.Object, error) {
	if err := r.enter(ctx, namespace); err != nil {
		return nil, err
	}
	return r.View.Get(ctx, kind, namespace, name)
}

// List implements [diagnose.View].
func (r *reach) List(ctx context.Context, kind diagnose.Kind, namespace string, where diagnose.Where) ([]diagnose.Object, error) {
	if err := r.enter(ctx, namespace); err != nil {
		return nil, err
	}
	all, err := r.View.List(ctx, kind, namespace, where)
	if err != nil || namespace != "" {
		return all, err
	}
	if everywhere, err := r.may(ctx, ""); err == nil && everywhere {
		return all, nil
	}
	var some []diagnose.Object
	let := map[string]bool{}
	for _, o := range all {
		namespace := o.GetNamespace()
		if _, asked := let[namespace]; !asked {
			let[namespace] = r.enter(ctx, namespace) == nil
		}
		if let[namespace] {
			some = append(some, o)
		}
	}
	return some, nil
}

// Log implements [diagnose.View].
func (r *reach) Log(ctx context.Context, which diagnose.LogRequest) ([]byte, error) {
	if err := r.enter(ctx, which.Namespace); err != nil {
		return nil, err
	}
	return r.View.Log(ctx, which)
}
