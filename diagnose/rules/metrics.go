package rules

import (
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crashloop/diagnose"
)

// memoryUsage is what metrics-server says that the container uses now.
func memoryUsage(c *diagnose.Case) (resource.Quantity, bool) { return usage(c, "memory") }

// cpuUsage is what metrics-server says of the container's CPU.
func cpuUsage(c *diagnose.Case) (resource.Quantity, bool) { return usage(c, "cpu") }

func usage(c *diagnose.Case, name string) (resource.Quantity, bool) {
	if c.Pod == nil {
		return resource.Quantity{}, false
	}
	o, err := c.Get(diagnose.PodMetrics, c.Subject.Namespace, c.Subject.Pod)
	u, ok := o.(*unstructured.Unstructured)
	if err != nil || !ok {
		return resource.Quantity{}, false
	}
	containers, _, _ := unstructured.NestedSlice(u.Object, "containers")
	for _, x := range containers {
		m, _ := x.(map[string]any)
		if m["name"] != c.Subject.Container {
			continue
		}
		text, _, _ := unstructured.NestedString(m, "usage", name)
		if q, err := resource.ParseQuantity(text); err == nil {
			return q, true
		}
	}
	return resource.Quantity{}, false
}
