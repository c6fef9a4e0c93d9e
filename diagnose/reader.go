package diagnose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// reader asks a View at most once for each thing and keeps account of what could not be read.
type reader struct {
	ctx   context.Context
	view  View
	gets  map[string]got
	lists map[string]listed
	gaps  map[string]bool
	// namespaces are those of the objects that were read.
	namespaces map[string]bool
	// mute says that the metrics API did not answer: metrics-server is a program of the cluster like any other, and nothing waits for it twice.
	mute   bool
	owners ownerFinder

	redact  *Redactor // nil: nothing is
	cleaned map[Object]Object
}

type got struct {
	object Object
	err    error
}

type listed struct {
	objects []Object
	err     error
}

var errMute = errors.New("the metrics API does not answer")

func newReader(ctx context.Context, view View, redact *Redactor) *reader {
	r := &reader{ctx: ctx, view: view, redact: redact, cleaned: map[Object]Object{}, gets: map[string]got{}, lists: map[string]listed{}, gaps: map[string]bool{}, namespaces: map[string]bool{}}
	r.owners = newOwnerFinder(r.get)
	return r
}

// get reads one object. An error other than "not found" becomes a gap.
func (r *reader) get(kind Kind, namespace, name string) (Object, error) {
	key := kind.Group + "|" + kind.Kind + "|" + namespace + "|" + name
	g, ok := r.gets[key]
	if !ok {
		if r.mute && kind.Group == PodMetrics.Group {
			return nil, errMute
		}
		g.object, g.err = r.view.Get(r.ctx, kind, namespace, name)
		r.mute = r.mute || kind.Group == PodMetrics.Group && g.err != nil && !errors.Is(g.err, ErrNotFound) && !errors.Is(g.err, ErrForbidden)
		if g.err == nil && g.object == nil {
			g.err = ErrNotFound
		}
		r.gets[key] = g
		r.namespaces[namespace] = r.namespaces[namespace] || g.err == nil
		r.note(kind, namespace, g.err)
	}
	return g.object, g.err
}

// list reads objects. Any error but "not found" becomes a gap.
func (r *reader) list(kind Kind, namespace string, where Where) ([]Object, error) {
	key := fmt.Sprint(kind.Group, "|", kind.Kind, "|", namespace, "|", where)
	l, ok := r.lists[key]
	if !ok {
		l.objects, l.err = r.view.List(r.ctx, kind, namespace, where)
		r.lists[key] = l
		for _, o := range l.objects {
			r.namespaces[o.GetNamespace()] = true
		}
		r.note(kind, namespace, l.err)
	}
	return l.objects, l.err
}

// clean returns an object without its secrets, the same for the same.
func (r *reader) clean(o Object) (Object, error) {
	if r.redact == nil {
		return o, nil
	}
	if done, ok := r.cleaned[o]; ok {
		return done, nil
	}
	done, err := r.redact.RedactObject(o)
	if err != nil {
		return nil, err
	}
	r.cleaned[o] = done
	return done, nil
}

func (r *reader) cleanAll(objects []Object) ([]Object, error) {
	if r.redact == nil {
		return objects, nil
	}
	out := make([]Object, len(objects))
	for i, o := range objects {
		var err error
		if out[i], err = r.clean(o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *reader) note(kind Kind, namespace string, err error) {
	if err == nil || errors.Is(err, ErrNotFound) || kind.Group != "" && !strings.HasSuffix(kind.Group, ".k8s.io") && kind.Group != "apps" && kind.Group != "batch" && kind.Group != "autoscaling" {
		return // most clusters do not serve the kinds of add-ons at all
	}
	if kind == Secrets || kind == PodMetrics || kind == NodeMetrics || kind == SecretProviderClasses {
		return // not read by default, and absent from most clusters
	}
	where := "in " + namespace
	if !kind.Namespaced {
		where = "of the cluster"
	} else if namespace == "" {
		where = "in other namespaces"
	}
	what := plural(kind)
	switch {
	case errors.Is(err, ErrForbidden):
		r.gaps[fmt.Sprintf("no permission to read %s %s", what, where)] = true
	case r.ctx.Err() != nil:
		r.gaps["there was no time left to read everything"] = true
	default:
		r.gaps[fmt.Sprintf("%s %s could not be read: %v", what, where, err)] = true
	}
}

// plural is the kind's name as people say it: "ConfigMaps", "events".
func plural(kind Kind) string {
	switch kind {
	case Pods, Events, Services, Nodes, Namespaces:
		return kind.Resource
	case NetworkPolicies:
		return "NetworkPolicies"
	case StorageClasses:
		return "StorageClasses"
	case Ingresses:
		return "Ingresses"
	}
	return kind.Kind + "s"
}

// named returns the namespaces that a text names, of those that objects were read in.
func (r *reader) named(text string) []string {
	var out []string
	words := strings.FieldsFunc(text, func(c rune) bool { return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') })
	for _, w := range words {
		if r.namespaces[w] && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
