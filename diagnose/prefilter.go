package diagnose

import "slices"

// prefilter finds every literal of a set in a text in one pass (Aho and Corasick, as a dense automaton over classes of bytes). ASCII
// case does not matter. The library that the module has for this allocates for each match; this one costs one table look-up a byte,
// which is what keeps a megabyte of log at a few milliseconds for the whole catalogue.
type prefilter struct {
	class  [256]uint8
	stride int
	next   []int32 // next[state*stride+class]: the state to go to; negative when that state ends a literal
	ends   [][]int32
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// newPrefilter builds the automaton; the index of a word is what visit is told.
func newPrefilter(words []string) *prefilter {
	p := &prefilter{}
	// Class 0 is every byte that stands in no word.
	classes := 1
	for _, w := range words {
		for i := range len(w) {
			if b := lower(w[i]); p.class[b] == 0 {
				p.class[b] = uint8(classes)
				classes++
			}
		}
	}
	for b := byte('A'); b <= 'Z'; b++ {
		p.class[b] = p.class[lower(b)]
	}
	p.stride = classes
	row := make([]int32, classes)
	for i := range row {
		row[i] = -1
	}
	p.next = slices.Clone(row)
	p.ends = [][]int32{nil}
	for n, w := range words {
		s := int32(0)
		for i := range len(w) {
			at := int(s)*classes + int(p.class[lower(w[i])])
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

// scan calls visit with the words that end at each position where any does.
func (p *prefilter) scan(text string, visit func(end int, words []int32)) {
	s, next, class := int32(0), p.next, &p.class
	for i := range len(text) {
		s = next[s+int32(class[text[i]])]
		if s < 0 {
			s = ^s
			visit(i, p.ends[int(s)/p.stride])
		}
	}
}
