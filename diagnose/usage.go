package diagnose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Usage is what metrics-server measured of a container. Memory is its working set when it was last asked; CPU is the average over Window.
type Usage struct {
	CPU, Memory resource.Quantity
	At          time.Time // zero when not known
	Window      time.Duration
}

// usageStale is the age from which a sample says nothing of now: metrics-server asks every 15 s to a minute and forgets what is gone.
const usageStale = 10 * time.Minute

// Usage is the last measurement of the subject's container. False is the ordinary case: most clusters have one, but metrics-server forgets a
// container that does not run.
func (c *Case) Usage() (Usage, bool) {
	if c.Pod == nil {
		return Usage{}, false
	}
	return c.UsageOf(c.Pod.Namespace, c.Pod.Name, c.Subject.Container)
}

// UsageOf is the last measurement of a container.
func (c *Case) UsageOf(namespace, pod, container string) (Usage, bool) {
	o, err := c.Get(PodMetrics, namespace, pod)
	u, ok := o.(*unstructured.Unstructured)
	if err != nil || !ok {
		return Usage{}, false
	}
	containers, _, _ := unstructured.NestedSlice(u.Object, "containers")
	for _, x := range containers {
		if m, _ := x.(map[string]any); m["name"] == container {
			return c.readUsage(u.Object, m)
		}
	}
	return Usage{}, false
}

// NodeUsage is the last measurement of a whole node.
func (c *Case) NodeUsage(node string) (Usage, bool) {
	if node == "" {
		return Usage{}, false
	}
	o, err := c.Get(NodeMetrics, "", node)
	u, ok := o.(*unstructured.Unstructured)
	if err != nil || !ok {
		return Usage{}, false
	}
	return c.readUsage(u.Object, u.Object)
}

// readUsage takes the measurement out of the object that carries its time and the part of it that carries the usage.
func (c *Case) readUsage(object, of map[string]any) (Usage, bool) {
	var out Usage
	if text, _, _ := unstructured.NestedString(object, "timestamp"); text != "" {
		out.At, _ = time.Parse(time.RFC3339, text)
	}
	if text, _, _ := unstructured.NestedString(object, "window"); text != "" {
		out.Window, _ = time.ParseDuration(text)
	}
	for name, into := range map[string]*resource.Quantity{"cpu": &out.CPU, "memory": &out.Memory} {
		text, _, _ := unstructured.NestedString(of, "usage", name)
		if q, err := resource.ParseQuantity(text); err == nil && q.Sign() > 0 {
			*into = q
		}
	}
	if out.CPU.IsZero() && out.Memory.IsZero() || !out.At.IsZero() && c.Now.Sub(out.At).Abs() > usageStale {
		return Usage{}, false
	}
	return out, true
}

// When places a measurement in the container's life: "20s into this run", "3s before its end"; empty when it cannot be told.
func (c *Case) When(u Usage) string {
	if u.At.IsZero() || c.Status == nil {
		return ""
	}
	if r := c.Status.State.Running; r != nil {
		if s := began(r.StartedAt); !s.IsZero() && !u.At.Before(s) {
			return Duration(u.At.Sub(s)) + " into this run"
		}
	}
	for _, t := range []*corev1.ContainerStateTerminated{c.Status.State.Terminated, c.Status.LastTerminationState.Terminated} {
		if t != nil && !began(t.StartedAt).IsZero() && !u.At.Before(t.StartedAt.Time) && !u.At.After(t.FinishedAt.Time) {
			return Duration(t.FinishedAt.Sub(u.At)) + " before its end"
		}
	}
	return ""
}

// metricsSource begins the source of evidence that was measured.
const metricsSource = "metrics of "

// CiteUsage makes a measurement of the subject's container a piece of evidence: what it used of which limit, and when.
func (c *Case) CiteUsage(u Usage, name corev1.ResourceName, limit resource.Quantity) Evidence {
	text := "memory " + Bytes(u.Memory)
	share := int64(0)
	if limit.Value() > 0 {
		share = int64(float64(u.Memory.Value()) * 100 / float64(limit.Value()))
	}
	of := Bytes(limit)
	if name == corev1.ResourceCPU {
		text, of, share = "CPU "+Cores(u.CPU), Cores(limit), 0
		if limit.MilliValue() > 0 {
			share = int64(float64(u.CPU.MilliValue()) * 100 / float64(limit.MilliValue()))
		}
	}
	if !limit.IsZero() {
		text += fmt.Sprintf(" of %s (%d %%)", of, share)
	}
	if !u.At.IsZero() {
		text += " at " + u.At.UTC().Format("15:04:05 MST")
	}
	if when := c.When(u); when != "" {
		text += ", " + when
	}
	return Evidence{Source: metricsSource + "pod " + c.Subject.Pod, Text: text}
}

// Measured tells whether the evidence holds a measurement by metrics-server.
func Measured(evidence []Evidence) bool { return slices.ContainsFunc(evidence, measured) }

func measured(e Evidence) bool { return strings.HasPrefix(e.Source, metricsSource) }

// KeepMeasured adds to the evidence of a diagnosis what an earlier one of the same cause had measured and this one could not: metrics-server
// knows nothing of a container while it waits to be started again.
func KeepMeasured(earlier, now []Evidence) []Evidence {
	out := slices.Clone(now)
	if Measured(now) {
		return out
	}
	for _, e := range earlier {
		if measured(e) && len(out) < maxEvidence {
			out = append(out, e)
		}
	}
	return out
}

// Bytes writes an amount of memory as a person would: "61Mi", "1.5Gi".
func Bytes(q resource.Quantity) string {
	n := q.Value()
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 40, "Ti"}, {1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}} {
		if n < unit.size {
			continue
		}
		v := float64(n) / float64(unit.size)
		if v < 10 && unit.size > 1<<20 {
			return strconv.FormatFloat(float64(int64(v*10+0.5))/10, 'f', -1, 64) + unit.name
		}
		return strconv.FormatInt(int64(v+0.5), 10) + unit.name
	}
	return strconv.FormatInt(n, 10)
}

// Cores writes an amount of CPU as a person would: "49m", "1.5".
func Cores(q resource.Quantity) string {
	if m := q.MilliValue(); m < 1000 {
		return strconv.FormatInt(m, 10) + "m"
	}
	return strconv.FormatFloat(float64((q.MilliValue()+50)/100)/10, 'f', -1, 64)
}
