package reconcile

import (
	"testing"

	"taffrail/internal/victoria"
)

func TestRepeatedCountsBeyondTheFirst(t *testing.T) {
	got := Repeated([]victoria.Series{
		{Timestamps: []int64{1, 1, 1, 2}},
		{Timestamps: []int64{1, 2, 3}},
		{Timestamps: []int64{5, 5}},
		{},
	})
	if got != 3 {
		t.Errorf("%d samples are repeated, want 3", got)
	}
}
