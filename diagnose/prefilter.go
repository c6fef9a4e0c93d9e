package diagnose

import (
	"slices"
	"strings"
)

// prefilter finds every literal of a set in a text in one pass (Aho and Corasick, as a dense automaton over classes of bytes). ASCII
// case does not matter. The library that the module has for this allocates for each match; this one costs one table look-up a byte,
// which is what keeps a megabyte of log at a few milliseconds for the whole catalogue.
//
// A literal stands in the automaton only as far as it differs from all others; the rest of it is compared where that beginning is met.
// The catalogue's literals are long sentences that differ early, so this saves two thirds of the table, which is most of an engine's
// memory and has to stay in the processor's cache.
type prefilter struct {
	class  [256]uint8
	stride int
	next   []int32 // next[state*stride+class]: the state to go to; negative when that state ends the beginning of a literal
	ends   [][]int32
	rest   []string // by literal: what follows its beginning
}

// shortestBeginning is how many bytes of a literal the automaton holds at least, so that common short words seldom lead to a comparison.
const shortestBeginning = 8

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// newPrefilter builds the automaton of words in lower case; the index of a word is what visit is told. No word may be empty.
func newPrefilter(words []string) *prefilter {
	p := &prefilter{rest: make([]string, len(words))}
	begins := beginnings(words)
	// Class 0 is every byte that stands in no word.
	classes := 1
	for _, w := range words {
		for i := range len(w) {
			if b := w[i]; p.class[b] == 0 {
				p.class[b] = uint8(classes)
				classes++
			}
		}
	}
	for b := byte('A'); b <= 'Z'; b++ {
		p.class[b] = p.class[lower(b)]
	}
	p.stride = classes
	row := slices.Repeat([]int32{-1}, classes)
	p.next = slices.Clone(row)
	p.ends = [][]int32{nil}
	for n, w := range words {
		s := int32(0)
		p.rest[n] = w[begins[n]:]
		for i := range begins[n] {
			at := int(s)*classes + int(p.class[w[i]])
			if p.next[at] < 0 {
				p.next[at] = int32(len(p.ends))
				p.next = append(p.next, row...)
				p.ends = append(p.ends, nil)
			}
			s = p.next[at]
		}
		p.ends[s] = append(p.ends[s], int32(n))
	}
	// Breadth first: where a word breaks off, go on with its longest suffix that begins a word.
	p.next = slices.Clone(p.next) // what growing left over is a quarter of the table
	fail := make([]int32, len(p.ends))
	var queue []int32
	for c := range classes {
		if s := p.next[c]; s > 0 {
			queue = append(queue, s)
		} else {
			p.next[c] = 0
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		f := fail[s]
		p.ends[s] = append(p.ends[s], p.ends[f]...)
		for c := range classes {
			at := int(s)*classes + c
			if t := p.next[at]; t >= 0 {
				fail[t] = p.next[int(f)*classes+c]
				queue = append(queue, t)
			} else {
				p.next[at] = p.next[int(f)*classes+c]
			}
		}
	}
	// States become offsets into the table, those that end a word negative (the bitwise complement), so that the loop needs neither a
	// product nor a second table.
	for i, s := range p.next {
		if len(p.ends[s]) > 0 {
			p.next[i] = ^(s * int32(classes))
		} else {
			p.next[i] = s * int32(classes)
		}
	}
	return p
}

// beginnings tells, for each word, how many of its bytes the automaton holds.
func beginnings(words []string) []int {
	order := make([]int, len(words))
	for n := range order {
		order[n] = n
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(words[a], words[b]) })
	out := make([]int, len(words))
	for i, n := range order {
		unlike := shortestBeginning
		if i > 0 {
			unlike = max(unlike, common(words[n], words[order[i-1]])+1)
		}
		if i+1 < len(order) {
			unlike = max(unlike, common(words[n], words[order[i+1]])+1)
		}
		out[n] = min(unlike, len(words[n]))
	}
	return out
}

// common is how many bytes two words begin with alike.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// scan calls visit for each place where a word stands, with a position in it, in the order of the text.
func (p *prefilter) scan(text string, visit func(at int, word int32)) {
	s, next, class := int32(0), p.next, &p.class
	for i := range len(text) {
		s = next[s+int32(class[text[i]])]
		if s < 0 {
			s = ^s
			for _, w := range p.ends[int(s)/p.stride] {
				if begins(text[i+1:], p.rest[w]) {
					visit(i, w)
				}
			}
		}
	}
}

// begins reports whether a text begins with a word that is in lower case, whatever the text's own.
func begins(text, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		if lower(text[i]) != word[i] {
			return false
		}
	}
	return true
}
