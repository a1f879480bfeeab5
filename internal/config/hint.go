package config

import "strings"

func paths(cfg *Config) []string {
	var all []string
	for _, n := range flatten(cfg) {
		all = append(all, n.path)
	}
	return all
}

// hint says what was probably meant by wrong: the one candidate that ends in
// it (the block was forgotten) or the nearest spelling; else what could stand
// there. sep separates the parts of a candidate.
func hint(wrong string, candidates, here []string, sep string) string {
	last := strings.TrimPrefix(wrong, envPrefix)
	if sep == "." {
		last = wrong[strings.LastIndex(wrong, sep)+1:]
	}
	var ending []string
	nearest, best := "", min(3, (len(last)+1)/2)+1
	for _, c := range candidates {
		if strings.HasSuffix(c, sep+last) {
			ending = append(ending, c)
		}
		if d := editDistance(wrong, c, best); d < best {
			nearest, best = c, d
		}
	}
	switch {
	case nearest != "":
		return "did you mean " + nearest + "?"
	case len(ending) == 1:
		return "did you mean " + ending[0] + "?"
	case len(here) > 0:
		return "known here: " + strings.Join(here, ", ")
	}
	return "see taffrail check for all keys; a dot of a key is an underscore"
}

// editDistance returns how many single-character changes lead from a to b, or
// limit where that is not less.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], limit)
}
