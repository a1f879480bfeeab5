package event

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRangeSetAgreesWithANaiveSet(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2_000 {
		var set RangeSet
		var naive [80]bool
		for range r.IntN(25) {
			from := uint64(r.IntN(70))
			add := Range{from, from + uint64(r.IntN(10))}
			if r.IntN(10) == 0 {
				add.From, add.To = add.To+1, add.From // empty
			}
			set.Add(add)
			for i := add.From; i <= add.To; i++ {
				naive[i] = true
			}
		}
		for i, in := range naive {
			if set.Contains(uint64(i)) != in {
				t.Fatalf("%v contains %d: %t", set, i, !in)
			}
		}
		for i, r := range set {
			if r.To < r.From || i > 0 && r.From <= set[i-1].To+1 {
				t.Fatalf("%v is not in its shortest form", set)
			}
		}
		prefix := uint64(0)
		for prefix+1 < uint64(len(naive)) && naive[prefix+1] {
			prefix++
		}
		if set.Prefix() != prefix {
			t.Fatalf("%v has the prefix %d, want %d", set, set.Prefix(), prefix)
		}
		n := uint64(0)
		for _, in := range naive {
			if in {
				n++
			}
		}
		if set.Len() != n {
			t.Fatalf("%v has %d indexes, want %d", set, set.Len(), n)
		}
		checkMissing(t, set, naive[:], uint64(r.IntN(70)), uint64(r.IntN(80)))
	}
}

func checkMissing(t *testing.T, set RangeSet, naive []bool, from, to uint64) {
	t.Helper()
	var want Range
	found := false
	for i := from; i <= to && (!found || !naive[i]); i++ {
		if !naive[i] {
			if !found {
				want.From = i
			}
			want.To, found = i, true
		}
	}
	got, ok := set.Missing(from, to)
	if ok != found || ok && got != want {
		t.Fatalf("from %d to %d %v lacks %v, %t, want %v, %t", from, to, set, got, ok, want, found)
	}
}

func TestRangesOverlapAndHold(t *testing.T) {
	for a := range uint64(6) {
		for b := a; b < 6; b++ {
			for c := range uint64(6) {
				for d := c; d < 6; d++ {
					overlap, hold := false, true
					for i := c; i <= d; i++ {
						in := a <= i && i <= b
						overlap, hold = overlap || in, hold && in
					}
					r, other := Range{a, b}, Range{c, d}
					if r.Overlaps(other) != overlap || other.Overlaps(r) != overlap || r.Holds(other) != hold {
						t.Errorf("%v and %v: overlap %t, hold %t", r, other, r.Overlaps(other), r.Holds(other))
					}
				}
			}
		}
	}
}

func TestRangeSetAddDoesNotChangeAClone(t *testing.T) {
	set := RangeSet{{1, 2}, {5, 6}, {9, 10}}
	l := Ledger{Acknowledged: set}
	clone := l.Clone()
	l.Acknowledged.Add(Range{3, 9})
	if want := (RangeSet{{1, 2}, {5, 6}, {9, 10}}); !slices.Equal(clone.Acknowledged, want) {
		t.Fatalf("the clone became %v", clone.Acknowledged)
	}
	if want := (RangeSet{{1, 10}}); !slices.Equal(l.Acknowledged, want) {
		t.Fatalf("%v, want %v", l.Acknowledged, want)
	}
}

func TestRangeSetAtTheEndOfTheIndexes(t *testing.T) {
	const last = ^uint64(0)
	var set RangeSet
	set.Add(Range{last - 5, last})
	set.Add(Range{last - 9, last - 8})
	set.Add(Range{last - 3, last})
	set.Add(Range{1, 3})
	if want := (RangeSet{{1, 3}, {last - 9, last - 8}, {last - 5, last}}); !slices.Equal(set, want) {
		t.Fatalf("%v, want %v", set, want)
	}
	if r, ok := set.Missing(last-6, last); !ok || r != (Range{last - 6, last - 6}) {
		t.Fatalf("%v, %t is missing", r, ok)
	}
	if r, ok := set.Missing(last-5, last); ok {
		t.Fatalf("%v is missing", r)
	}
	set.Add(Range{2, last})
	if want := (RangeSet{{1, last}}); !slices.Equal(set, want) {
		t.Fatalf("%v, want %v", set, want)
	}
}
