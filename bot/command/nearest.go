package command

import "slices"

// nearest returns up to n of the names that take the fewest edits to reach, nearest first. For more than one, those that are far off are
// left out.
func nearest(name string, names []string, n int) []string {
	type scored struct {
		name     string
		distance int
	}
	runes := []rune(name)
	if len(runes) > maxName {
		runes = runes[:maxName]
	}
	all := make([]scored, 0, len(names))
	for _, other := range names {
		d := distance(runes, []rune(other))
		if n > 1 && d > max(2, len(runes)/2) {
			continue
		}
		all = append(all, scored{other, d})
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.distance - b.distance })
	var near []string
	for _, s := range all {
		if len(near) == n {
			break
		}
		if !slices.Contains(near, s.name) {
			near = append(near, s.name)
		}
	}
	return near
}

// distance is Levenshtein's: insertions, deletions and replacements of one character.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
