package diagnose

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// candidatesPerPattern bounds the lines on which a pattern's regular expression is tried: those nearest the end, where a crash stands.
	candidatesPerPattern = 64
	// hitsPerPattern bounds what a rule is told.
	hitsPerPattern = 12
)

// scanner searches a log for all rules' patterns at once.
type scanner struct {
	filter   *prefilter
	patterns []compiled
	byWord   [][]int32 // word -> patterns
}

type compiled struct {
	rule int
	name string
	re   expression // nil when the words suffice
}

func newScanner(rules []Rule) (*scanner, error) {
	s := &scanner{}
	words := map[string]int{}
	expressions := map[string]expression{} // some rules share theirs
	var list []string
	for r := range rules {
		for _, p := range rules[r].Log {
			c := compiled{rule: r, name: p.Name}
			if p.Regexp != "" {
				re, ok := expressions[p.Regexp]
				if !ok {
					var err error
					if re, err = newExpression(p.Regexp); err != nil {
						return nil, fmt.Errorf("rule %q: pattern %q: %w", rules[r].ID, p.Name, err)
					}
					expressions[p.Regexp] = re
				}
				c.re = re
			}
			n := int32(len(s.patterns))
			s.patterns = append(s.patterns, c)
			for _, w := range p.Words {
				w = lowerWord(w)
				if w == "" || strings.Contains(w, "\n") {
					return nil, fmt.Errorf("rule %q: pattern %q: the word %q is empty or goes beyond a line", rules[r].ID, p.Name, w)
				}
				i, ok := words[w]
				if !ok {
					i = len(list)
					words[w] = i
					list = append(list, w)
					s.byWord = append(s.byWord, nil)
				}
				s.byWord[i] = append(s.byWord[i], n)
			}
		}
	}
	s.filter = newPrefilter(list)
	return s, nil
}

func lowerWord(w string) string {
	b := []byte(w)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

// lastLines keeps the numbers of the last candidate lines of one pattern.
type lastLines struct {
	n     int
	lines [candidatesPerPattern]int32
}

func (q *lastLines) add(line int32) {
	if q.n > 0 && q.lines[(q.n-1)%candidatesPerPattern] == line {
		return
	}
	q.lines[q.n%candidatesPerPattern] = line
	q.n++
}

// scan returns the hits of each rule, by its index, in the order of the log.
func (s *scanner) scan(l *Log) map[int][]Hit {
	candidates := map[int32]*lastLines{}
	line := 0 // index into l.starts of the line that holds the position
	s.filter.scan(l.text, func(at int, word int32) {
		for line+1 < len(l.starts) && int(l.starts[line+1]) <= at {
			line++
		}
		for _, p := range s.byWord[word] {
			q := candidates[p]
			if q == nil {
				q = &lastLines{}
				candidates[p] = q
			}
			q.add(int32(line + 1))
		}
	})
	entries := map[int32]entry{}
	hits := map[int][]Hit{}
	for p := range s.patterns {
		q := candidates[int32(p)]
		if q == nil {
			continue
		}
		c := &s.patterns[p]
		var found []Hit
		for k := q.n - 1; k >= 0 && k >= q.n-candidatesPerPattern && len(found) < hitsPerPattern; k-- {
			n := q.lines[k%candidatesPerPattern]
			e, ok := entries[n]
			if !ok {
				e = readEntry(l.Line(int(n)))
				entries[n] = e
			}
			h := Hit{Pattern: c.name, Log: l, Line: int(n), Text: e.text, Level: e.level}
			if c.re != nil {
				re := c.re()
				h.groups, h.names = re.FindStringSubmatch(e.text), re.SubexpNames()
				if line := l.Line(int(n)); h.groups == nil && line != e.text {
					h.groups = re.FindStringSubmatch(line)
				}
				if h.groups == nil && strings.Contains(e.text, `\"`) { // logfmt writes msg="failed calling webhook \"x\""
					h.groups = re.FindStringSubmatch(strings.ReplaceAll(e.text, `\"`, `"`))
				}
				if h.groups == nil {
					continue
				}
			}
			found = append(found, h)
		}
		hits[c.rule] = append(hits[c.rule], found...)
	}
	for r := range hits {
		sortHits(hits[r])
	}
	return hits
}

func sortHits(hits []Hit) {
	slices.SortStableFunc(hits, func(a, b Hit) int { return a.Line - b.Line })
}

// Scan searches a log for all rules' patterns and returns how many lines were hit. Diagnose does this by itself; Scan is there to measure
// it.
func (e *Engine) Scan(l *Log) int {
	n := 0
	for _, hits := range e.scanner.scan(l) {
		n += len(hits)
	}
	return n
}

// Literals returns the words that the rules' patterns look for first.
func Literals(rules []Rule) []string {
	var out []string
	for _, r := range rules {
		for _, p := range r.Log {
			for _, w := range p.Words {
				if w = lowerWord(w); !slices.Contains(out, w) {
					out = append(out, w)
				}
			}
		}
	}
	return out
}
