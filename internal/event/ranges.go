package event

import "slices"

// Range is the records From to To of the log, both included.
type Range struct {
	From uint64 `msgpack:"from"`
	To   uint64 `msgpack:"to"`
}

// RangeSet is a set of record indexes, kept as sorted ranges that neither
// overlap nor touch.
type RangeSet []Range

// Add puts r into the set.
func (s *RangeSet) Add(r Range) {
	if r.To < r.From {
		return
	}
	set := *s
	// The ranges [i, j) overlap r or touch it and become one with it.
	i, _ := slices.BinarySearchFunc(set, r, func(have, r Range) int {
		if have.To < r.From && have.To+1 < r.From { // without a wrap-around
			return -1
		}
		return 1
	})
	j := i
	for j < len(set) && (set[j].From <= r.To || set[j].From-1 == r.To) {
		r.From = min(r.From, set[j].From)
		r.To = max(r.To, set[j].To)
		j++
	}
	*s = slices.Replace(set, i, j, r)
}

// Contains reports whether the set holds index.
func (s RangeSet) Contains(index uint64) bool {
	_, found := slices.BinarySearchFunc(s, index, func(have Range, index uint64) int {
		switch {
		case have.To < index:
			return -1
		case have.From > index:
			return 1
		}
		return 0
	})
	return found
}

// Prefix returns the last index of the range that holds index 1, or 0.
func (s RangeSet) Prefix() uint64 {
	if len(s) > 0 && s[0].From <= 1 {
		return s[0].To
	}
	return 0
}
