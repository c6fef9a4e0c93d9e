package evidence

import (
	"cmp"
	"slices"
	"time"

	"crashloop/diagnose"
)

const (
	// settle is the time after the first recording in which a better one takes the last one's place: evidence comes late.
	settle = 2 * time.Minute
	// renew is how often the newest recording of an unchanged cause is made anew.
	renew = 30 * time.Minute
	// calm is the least time between two recordings once an incident has several: a cause that comes and goes is no news.
	calm = 5 * time.Minute
	// most is how many recordings an incident keeps.
	most = 4
)

// change is what a new recording does to those of its incident.
type change struct {
	take    bool
	replace int // the index of the one whose place it takes, -1 for none
}

// judge says whether a recording is worth keeping beside those that an incident has, oldest first.
func judge(have []Recording, r Recording) change {
	no, add := change{replace: -1}, change{take: true, replace: -1}
	if len(have) == 0 {
		return add
	}
	last := have[len(have)-1]
	inPlace := change{take: true, replace: len(have) - 1}
	switch {
	case r.At.Sub(have[0].At) <= settle && len(have) == 1:
		switch {
		case r.Log != last.Log:
			if r.Log {
				return inPlace
			}
			return no
		case rank(r.Confidence) != rank(last.Confidence):
			if rank(r.Confidence) > rank(last.Confidence) {
				return inPlace
			}
			return no
		case r.Cause == last.Cause:
			return no
		}
		return inPlace
	case r.Cause != last.Cause:
		if len(have) >= 3 && r.At.Sub(last.At) < calm {
			return no
		}
		return add
	case last.Log && !r.Log, r.At.Sub(last.At) < renew:
		return no
	case len(have) > 1 && have[len(have)-2].Cause == r.Cause:
		return inPlace
	}
	return add
}

func rank(c diagnose.Confidence) int {
	switch c {
	case diagnose.Certain:
		return 3
	case diagnose.Likely:
		return 2
	case diagnose.Possible:
		return 1
	}
	return 0
}

// surplus picks what has to go of an incident's recordings, oldest first, so that there are no more than most, of no more than limit bytes:
// the oldest but the first.
func surplus(have []Recording, limit int) []Recording {
	var gone []Recording
	size := 0
	for _, r := range have {
		size += r.Size
	}
	have = slices.Clone(have)
	for len(have) > most || size > limit && len(have) > 1 {
		gone, size = append(gone, have[1]), size-have[1].Size
		have = slices.Delete(have, 1, 2)
	}
	return gone
}

// excess picks what has to go of all recordings, so that they take no more than limit bytes.
func excess(all map[string][]Recording, limit int) []Recording {
	size := 0
	for _, have := range all {
		for _, r := range have {
			size += r.Size
		}
	}
	if size <= limit {
		return nil
	}
	var between, ends []Recording // an incident's first and last go after all that is between
	for _, have := range all {
		for i, r := range have {
			if i > 0 && i < len(have)-1 {
				between = append(between, r)
			} else {
				ends = append(ends, r)
			}
		}
	}
	slices.SortFunc(between, byAge)
	slices.SortFunc(ends, byAge)
	ordered := append(between, ends...)
	for i, r := range ordered {
		if size <= limit {
			return ordered[:i]
		}
		size -= r.Size
	}
	return ordered
}

func byAge(a, b Recording) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Incident, b.Incident), cmp.Compare(a.Number, b.Number))
}
