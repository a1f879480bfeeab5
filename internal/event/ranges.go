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

// Clone returns a copy that shares nothing with the set.
func (s RangeSet) Clone() RangeSet { return slices.Clone(s) }

// Len returns how many indexes the set holds.
func (s RangeSet) Len() uint64 {
	n := uint64(0)
	for _, r := range s {
		n += r.To - r.From + 1
	}
	return n
}

// Missing returns the first range of indexes from from to to that the set does
// not hold, and false where it holds them all.
func (s RangeSet) Missing(from, to uint64) (Range, bool) {
	for _, r := range s {
		if r.To < from {
			continue
		}
		if r.From > from {
			to = min(to, r.From-1)
			break
		}
		if r.To >= to {
			return Range{}, false
		}
		from = r.To + 1 // without a wrap-around
	}
	return Range{from, to}, from <= to
}

// Overlaps reports whether the ranges have an index in common.
func (r Range) Overlaps(other Range) bool { return r.From <= other.To && other.From <= r.To }

// Holds reports whether all of other lies in r.
func (r Range) Holds(other Range) bool { return r.From <= other.From && other.To <= r.To }
