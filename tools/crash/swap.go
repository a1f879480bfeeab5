package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// swapShare: one chunk of this many does not get through, if there is one to go
// in its place.
const swapShare = 5

// swapper is a link that delivers one chunk twice and another never. Both have
// samples of the same series, and as many, so that nobody who only counts sees what
// is missing.
type swapper struct {
	rand    *rand.Rand
	last    map[string]delivered // by the shape
	swaps   int
	samples int  // of what was delivered twice
	over    bool // no more of it
}

// delivered is the last body of a shape that was passed on.
type delivered struct {
	body    []byte
	samples int
	twice   bool
}

func newSwapper(r *rand.Rand) *swapper {
	return &swapper{rand: r, last: make(map[string]delivered)}
}

// pass returns body, or one of its shape that was passed on before.
func (s *swapper) pass(body, jsonl []byte) []byte {
	shape, samples := shapeOf(jsonl)
	before, ok := s.last[shape]
	if ok && !s.over && !before.twice && !bytes.Equal(body, before.body) && s.rand.IntN(swapShare) == 0 {
		s.swaps++
		s.samples += before.samples
		s.last[shape] = delivered{before.body, samples, true}
		return before.body
	}
	s.last[shape] = delivered{body, samples, false}
	return body
}

// shapeOf returns the series of a body and how many samples of each are in it, as
// text, and how many that are in all.
func shapeOf(jsonl []byte) (shape string, samples int) {
	var text []byte
	for line := range bytes.Lines(jsonl) {
		series, values, _ := bytes.Cut(line, []byte(`,"values":[`))
		values, _, _ = bytes.Cut(values, []byte("]"))
		n := 1 + bytes.Count(values, []byte{','})
		text = fmt.Appendf(text, "%s %d\n", series, n)
		samples += n
	}
	return string(text), samples
}
