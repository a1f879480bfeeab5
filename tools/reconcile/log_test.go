package reconcile

import (
	"errors"
	"io"
	"maps"
	"math"
	"testing"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

const newYear = event.PlausibleSinceMS

func series(t *testing.T, name string, typ event.Type, labels ...event.Label) *event.Series {
	t.Helper()
	s, err := event.NewSeries(name, typ, 0, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fold gives foldLog events and errors in order.
func fold(items ...any) (Log, error) {
	index := uint64(0)
	return foldLog(func() (event.Record, error) {
		if len(items) == 0 {
			return event.Record{}, io.EOF
		}
		item := items[0]
		items = items[1:]
		if err, ok := item.(error); ok {
			return event.Record{}, err
		}
		index++
		return event.Record{Index: index, Event: item.(event.Event)}, nil
	})
}

func tick(ms int64, samples ...event.Sample) *event.Tick {
	ctx := &event.Context{DeviceID: "d", Tags: event.Labels{{Name: "site", Value: "north"}}}
	return &event.Tick{Trusted: true, Stamp: event.Stamp{WallMS: ms}, Context: ctx, Samples: samples}
}

func TestFoldLogTakesWhatCanBeSent(t *testing.T) {
	usage := series(t, "cpu.usage-%", event.Gauge, event.Label{Name: "core.id", Value: "0"}, event.Label{Name: "none", Value: ""})
	text := series(t, "os", event.Text)
	l, err := fold(
		tick(newYear, event.Sample{Series: usage, Value: 1}, event.Sample{Series: text, Text: "x"}),
		&event.Plan{Batch: "b", Range: event.Range{From: 1, To: 1}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}},
		&event.Ack{Batch: "b", Chunks: []int{0}, Samples: 1},
		tick(newYear+1, event.Sample{Series: usage, Value: math.NaN()}),
		tick(newYear+2, event.Sample{Series: usage, Value: 2}),
		tick(1000, event.Sample{Series: usage, Value: 3}),
	)
	if err != nil {
		t.Fatal(err)
	}
	const labels = `{"__name__":"cpu_usage__","core_id_56d8a5aa":"0","device_id":"d","empty_labels":"none","site":"north"}`
	if len(l.Points) != 1 || !maps.Equal(l.Points[labels], map[int64]float64{newYear: 1, newYear + 2: 2}) {
		t.Errorf("points are %v", l.Points)
	}
	if l.Appended != 2 || l.Acknowledged != 1 || len(l.Problems) > 0 {
		t.Errorf("appended %d, acknowledged %d, problems %q", l.Appended, l.Acknowledged, l.Problems)
	}
}

func TestFoldLogNotesProblems(t *testing.T) {
	a := series(t, "a", event.Gauge)
	clash := series(t, "b", event.Gauge, event.Label{Name: "device_id", Value: "x"})
	l, err := fold(
		tick(newYear, event.Sample{Series: a, Value: 1}),
		&eventlog.CorruptionError{Segment: "s", Offset: 1, End: 2, Reason: "flipped"},
		tick(newYear, event.Sample{Series: a, Value: 1}),
		tick(newYear+1, event.Sample{Series: clash, Value: 1}),
	)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Problems) != 3 {
		t.Errorf("problems are %q, want a damage, a sample that is there twice and a clash of labels", l.Problems)
	}
	broken := errors.New("broken card")
	if _, err := fold(broken); !errors.Is(err, broken) {
		t.Errorf("the fold returned %v", err)
	}
}
