package reconcile

import (
	"reflect"
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

func TestOnceLeavesOneOfEach(t *testing.T) {
	got := Once([]victoria.Series{
		{Labels: map[string]string{"a": "b"}, Timestamps: []int64{1, 1, 2, 3, 3, 3}, Values: []float64{1, 2, 3, 4, 5, 6}},
		{},
	})
	want := []victoria.Series{
		{Labels: map[string]string{"a": "b"}, Timestamps: []int64{1, 2, 3}, Values: []float64{1, 3, 4}},
		{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
