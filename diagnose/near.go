package diagnose

import "strings"

// Near says that two names are so alike that one is likely meant for the other: a few letters differ, or one holds the other.
func Near(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b {
		return true
	}
	if len(a) > 3 && len(b) > 3 && (strings.Contains(a, b) || strings.Contains(b, a)) || extends(a, b) || extends(b, a) {
		return true
	}
	longest := max(len(a), len(b))
	return longest >= 3 && distance(a, b) <= max(1, longest/4)
}

// extends says that a is b and more words: "api-server" and "api".
func extends(a, b string) bool {
	return len(b) > 1 && (strings.HasPrefix(a, b+"-") || strings.HasSuffix(a, "-"+b) || strings.HasPrefix(a, b+"_") || strings.HasSuffix(a, "_"+b))
}

// Nearest returns the name of the list that is most like the given one, "" when none is near.
func Nearest(name string, names []string) string {
	best, at := "", -1
	for _, n := range names {
		if n == name || !Near(n, name) {
			continue
		}
		if d := distance(strings.ToLower(n), strings.ToLower(name)); at < 0 || d < at {
			best, at = n, d
		}
	}
	return best
}

// distance counts the letters to add, drop or change (Levenshtein), over names that are short by nature.
func distance(a, b string) int {
	if len(a) > 253 || len(b) > 253 {
		return 253
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
