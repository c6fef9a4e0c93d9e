package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// changeWindow is how long before the first crash a change can have been and still be named.
	changeWindow = 24 * time.Hour
	// nearWindow is the same for a change that only may have to do with the cause.
	nearWindow = time.Hour
)

// candidate is a change that may have set the crashes off.
type candidate struct {
	Change
	weight   int // how much it can have to do with the cause
	template bool
}

// changeFor returns the change that set the crashes off, nil when none is known that can have: it came before the first crash and not
// long before, what ran before it did not crash, and it touches what the cause turns on.
func (c *Case) changeFor(f *Finding) *Change {
	first := c.firstCrash()
	if first.IsZero() {
		return nil
	}
	var all []candidate
	if !f.Unchanged {
		all = append(all, c.templateChange(f, first)...)
		all = append(all, c.configEdits(f, first)...)
		all = append(all, c.movedTag(f, first)...)
	}
	all = append(all, c.objectChanges(f, first)...)
	all = append(all, c.nodeChanges(f, first)...)
	all = slices.DeleteFunc(all, func(k candidate) bool {
		return k.weight == bearsNot || k.At.After(first) || k.weight == bearsPerhaps && first.Sub(k.At) > nearWindow
	})
	if len(all) == 0 {
		return nil
	}
	best := 0
	for i, k := range all {
		if k.weight > all[best].weight || k.weight == all[best].weight && k.At.After(all[best].At) {
			best = i
		}
	}
	out := all[best].Change
	// What was changed along with it is part of the same story.
	for i, k := range all {
		if i != best && k.weight >= bearsWell && k.At.Sub(out.At).Abs() <= 10*time.Minute {
			out.Says += "; " + k.Says
			break
		}
	}
	c.undoes = all[best].template
	return &out
}

func howLong(at, first time.Time) string {
	return fmt.Sprintf(" (%s before the first crash)", Duration(max(first.Sub(at), time.Second)))
}

// templateChange is what differs between the last revision that ran and the one that crashes.
func (c *Case) templateChange(f *Finding, first time.Time) []candidate {
	r := c.rollout()
	if r == nil {
		return c.unknownEdit(f, first)
	}
	if r.at.After(first) || first.Sub(r.at) > changeWindow {
		return nil
	}
	if short := c.shortSince(); !short.IsZero() && short.Before(r.at.Add(-time.Minute)) && f.elsewhere == nil {
		return nil // it was short of pods before that already
	}
	weigh := func(d difference) int { return c.bearing(f, d) }
	weight := 0
	for _, d := range r.diff {
		weight = max(weight, weigh(d))
	}
	diff := slices.Clone(r.diff)
	slices.SortStableFunc(diff, func(a, b difference) int { return weigh(b) - weigh(a) })
	says := sayDiff(diff) + c.contentChanged(r)
	if r.between > 0 {
		says += fmt.Sprintf(", since %s, the last that is known to have run", r.good.title())
	}
	if r.by != "" {
		says += ", by " + r.by
	}
	if r.unproven {
		says += "; whether it ran before that is not known"
	}
	return []candidate{{Change: Change{Object: objectOf(c.Subject), At: r.at.UTC(), Says: says + howLong(r.at, first)}, weight: weight, template: true}}
}

func (v version) title() string {
	if v.number > 0 {
		return fmt.Sprintf("revision %d", v.number)
	}
	return v.name
}

func sayDiff(diff []difference) string {
	var out []string
	for _, d := range diff {
		if len(out) == maxDifferences {
			out = append(out, "and more")
			break
		}
		out = append(out, d.text)
	}
	return strings.Join(out, ", ")
}

// unknownEdit is an edit of the pod template whose earlier form the cluster has not kept: only that it was made, by whom and when.
func (c *Case) unknownEdit(f *Finding, first time.Time) []candidate {
	switch c.Subject.Kind() {
	case "Deployment", "StatefulSet", "DaemonSet", "CronJob":
	default:
		return nil
	}
	if versions, crashing := c.versions(); crashing >= 0 && crashing+1 < len(versions) {
		return nil // there is a history, and it shows no change
	}
	at, by := c.templateEdited()
	if at.IsZero() || first.Sub(at) > changeWindow || c.Pod != nil && c.Pod.CreationTimestamp.Time.Before(at.Add(-time.Second)) || f.elsewhere != nil || !strings.HasPrefix(f.Cause, "app.") && !strings.HasPrefix(f.Cause, "image.") && !strings.HasPrefix(f.Cause, "config.") {
		return nil
	}
	return []candidate{{Change: Change{Object: objectOf(c.Subject), At: at.UTC(), Says: "its pod template was edited" + byWhom(by) + "; what it was before is no longer kept" + howLong(at, first)}, weight: bearsPerhaps}}
}
