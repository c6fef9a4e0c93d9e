package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crashloop/diagnose"
)

// Part is one kind of object in one namespace, or the logs of one namespace.
type Part struct {
	Kind      diagnose.Kind // the zero Kind for logs
	Namespace string        // empty for cluster-scoped kinds
}

// Logs says whether the part is the logs of a namespace.
func (p Part) Logs() bool { return p.Kind == diagnose.Kind{} }

func (p Part) hidden() hiddenPart {
	if p.Logs() {
		return hiddenPart{logKind, p.Namespace}
	}
	return hiddenPart{kindName(p.Kind), p.Namespace}
}

// Parts says what a snapshot holds, in order, so that it can be asked for each whether somebody may read it. What was looked for in vain in
// other namespaces than the subject's is part of it: that it is not there is an answer, too.
func (s *Snapshot) Parts() ([]Part, error) {
	var all []Part
	for gk, list := range s.objects {
		kind := kindOf(gk)
		for i, o := range list {
			if i == 0 || o.GetNamespace() != list[i-1].GetNamespace() {
				all = append(all, Part{kind, o.GetNamespace()})
			}
		}
	}
	for _, f := range s.header.Failed {
		if f.Namespace == "" || f.Verb == "log" || slices.ContainsFunc(s.header.Symptoms, func(r recordedSymptom) bool { return r.Subject.Namespace == f.Namespace }) {
			continue
		}
		all = append(all, Part{kindOf(schema.ParseGroupKind(f.Kind)), f.Namespace})
	}
	for _, f := range s.header.Failed {
		if f.Verb == "log" {
			all = append(all, Part{Namespace: f.Namespace})
		}
	}
	folders, err := fs.ReadDir(s.files, "logs")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the logs: %w", err)
	}
	for _, f := range folders {
		if f.IsDir() {
			all = append(all, Part{Namespace: f.Name()})
		}
	}
	slices.SortFunc(all, func(a, b Part) int {
		return strings.Compare(a.Namespace+"\x00"+kindName(a.Kind), b.Namespace+"\x00"+kindName(b.Kind))
	})
	return slices.Compact(all), nil
}

// LeftOut says, in words, what was read and is not in the snapshot because there was too much of it, without the logs that are to be hidden.
func (s *Snapshot) LeftOut(hide []Part) []string {
	return slices.DeleteFunc(slices.Clone(s.header.LeftOut), func(what string) bool {
		return slices.ContainsFunc(hide, func(p Part) bool { return p.Logs() && strings.Contains(what, " logs/"+p.Namespace+"/") })
	})
}

// kindOf gives the Kind of a group and kind; of one that diagnoses do not know, with a resource guessed as kubectl guesses it.
func kindOf(gk schema.GroupKind) diagnose.Kind {
	for _, k := range diagnose.Kinds() {
		if k.Group == gk.Group && k.Kind == gk.Kind {
			return k
		}
	}
	return diagnose.Kind{Group: gk.Group, Kind: gk.Kind, Resource: strings.ToLower(gk.Kind) + "s"}
}

// Without gives the files of the snapshot without some of its parts. Whoever replays it finds these forbidden, not absent, so that no
// diagnosis takes what was hidden for missing.
func (s *Snapshot) Without(hide []Part) (map[string][]byte, error) {
	head := s.header
	hidden := map[hiddenPart]bool{}
	for _, p := range hide {
		if h := p.hidden(); !hidden[h] && !s.hidden[h] {
			hidden[h] = true
			head.Hidden = append(head.Hidden, h)
		}
	}
	head.Failed = slices.DeleteFunc(slices.Clone(head.Failed), func(f failedEntry) bool {
		return hidden[hiddenPart{f.Kind, f.Namespace}] || f.Verb == "log" && hidden[hiddenPart{logKind, f.Namespace}]
	})
	head.LeftOut = s.LeftOut(hide)
	files := map[string][]byte{}
	for gk, list := range s.objects {
		kind := kindOf(gk)
		kept := slices.DeleteFunc(slices.Clone(list), func(o diagnose.Object) bool { return hidden[hiddenPart{kindName(kind), o.GetNamespace()}] })
		if len(kept) == 0 {
			continue
		}
		text, err := objectText(kept)
		if err != nil {
			return nil, err
		}
		files[objectFile(kind)] = text
	}
	err := fs.WalkDir(s.files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		namespace, _, ok := strings.Cut(strings.TrimPrefix(name, "logs/"), "/")
		if !strings.HasPrefix(name, "logs/") || !ok || hidden[hiddenPart{logKind, namespace}] {
			return nil
		}
		files[name], err = readWhole(s.files, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("copying the logs: %w", err)
	}
	if files[headerFile], err = head.file(); err != nil {
		return nil, err
	}
	return files, nil
}
