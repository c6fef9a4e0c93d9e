// Package scenarios holds the playground's stories: in each folder the manifests of one thing that goes wrong, and scenario.yaml, which says
// what is wrong and what a good diagnosis finds. The same manifests work on simulated nodes, where an annotation says how a container ends
// (see package simulated), and on a containerd node, where the container's command does it.
//
// Start reading at [All].
package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed */*.yaml
var files embed.FS

// Scenario is one story.
type Scenario struct {
	// Name is the folder's name, and what -scenario takes.
	Name string `json:"-"`
	// Title says in a line what there is to see.
	Title string `json:"title"`
	// Wrong says in a sentence what is wrong.
	Wrong string `json:"wrong"`
	// Category is one of causes.yaml's.
	Category string `json:"category"`
	// Needs is "containerd" when it takes a real process, disk or network: then simulated nodes cannot show it. Empty: all nodes can.
	Needs string `json:"needs,omitempty"`
	// Printed says that on a containerd node, too, the container only prints what the real program would, because the image does not have
	// that program. Absent: what is wrong really happens there.
	Printed bool `json:"printed,omitempty"`
	// Default says that the playground shows it when nobody asks for another.
	Default bool `json:"default,omitempty"`
	// StepFiles are the manifests' file names, in the order in which they are applied; between two steps the workloads become ready.
	StepFiles []string `json:"steps"`
	// Expect is what a good diagnosis finds, one for each incident.
	Expect []Expectation `json:"expect"`

	// Steps are the contents of StepFiles.
	Steps [][]byte `json:"-"`
}

// Expectation is what one incident's diagnosis must say.
type Expectation struct {
	// Workload is Kind/namespace/name.
	Workload string `json:"workload"`
	// Container is empty when no pod could be created.
	Container string `json:"container"`
	// Type is app, init or sidecar; empty means app.
	Type string `json:"type,omitempty"`
	// Cause is the id of the cause: that of the deepest link which is proven (see package diagnose).
	Cause string `json:"cause"`
	// Confidence is the least that the diagnosis must have: certain, likely or possible; empty means likely.
	Confidence string `json:"confidence,omitempty"`
	// Root is the last object of the chain as Kind/namespace/name, empty when that is the workload itself.
	Root string `json:"root,omitempty"`
	// Quotes is text that the evidence must quote: the decisive line, or a part of it.
	Quotes string `json:"quotes,omitempty"`
	// Change is text that the change which set it off must hold.
	Change string `json:"change,omitempty"`
}

// All gives every scenario, by name.
func All() ([]Scenario, error) {
	folders, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the scenarios: %w", err)
	}
	var all []Scenario
	for _, folder := range folders {
		s, err := load(folder.Name())
		if err != nil {
			return nil, fmt.Errorf("reading scenario %q: %w", folder.Name(), err)
		}
		all = append(all, s)
	}
	return all, nil
}

func load(name string) (Scenario, error) {
	data, err := files.ReadFile(path.Join(name, "scenario.yaml"))
	if err != nil {
		return Scenario{}, err
	}
	s := Scenario{Name: name}
	if err := yaml.UnmarshalStrict(data, &s); err != nil {
		return Scenario{}, err
	}
	if s.Title == "" || s.Wrong == "" || s.Category == "" || len(s.StepFiles) == 0 || len(s.Expect) == 0 {
		return Scenario{}, errors.New("title, wrong, category, steps and expect are needed")
	}
	if s.Needs != "" && s.Needs != containerd {
		return Scenario{}, fmt.Errorf("needs %q: there is only %q", s.Needs, containerd)
	}
	for _, file := range s.StepFiles {
		data, err := files.ReadFile(path.Join(name, file))
		if err != nil {
			return Scenario{}, err
		}
		s.Steps = append(s.Steps, data)
	}
	return s, nil
}

// containerd is the kind of nodes that some scenarios need.
const containerd = "containerd"

// On gives every scenario that nodes of a kind can show, by name.
func On(nodes string) ([]Scenario, error) {
	all, err := All()
	return slices.DeleteFunc(all, func(s Scenario) bool { return s.Needs != "" && s.Needs != nodes }), err
}

// Select gives the scenarios that a choice names and nodes of a kind can show: "default", "all", "none", or names separated by commas.
func Select(choice, nodes string) ([]Scenario, error) {
	all, err := On(nodes)
	if err != nil {
		return nil, err
	}
	switch choice {
	case "all":
		return all, nil
	case "none", "":
		return nil, nil
	case "default":
		return slices.DeleteFunc(all, func(s Scenario) bool { return !s.Default }), nil
	}
	var chosen []Scenario
	for name := range strings.SplitSeq(choice, ",") {
		i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == strings.TrimSpace(name) })
		if i < 0 {
			if _, err := load(strings.TrimSpace(name)); err == nil {
				return nil, fmt.Errorf("the scenario %q happens on a real node only: add -nodes containerd (Linux and root)", strings.TrimSpace(name))
			}
			var names []string
			for _, s := range all {
				names = append(names, s.Name)
			}
			return nil, fmt.Errorf("there is no scenario %q; there are: default, all, none, %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

var imageLine = regexp.MustCompile(`(?m)^\s*(?:- )?image:\s*(\S+)`)

// Images lists the images that the scenarios' containers use, but for those that are meant not to be there. The containerd node has no
// registry to pull from: it is given them in advance.
func Images() ([]string, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		for _, step := range s.Steps {
			for _, m := range imageLine.FindAllSubmatch(step, -1) {
				if name := string(m[1]); !strings.HasPrefix(name, "registry.invalid/") {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
