package collectors

import (
	"errors"
	"fmt"
	"strings"

	"taffrail/internal/event"
)

// gather closes the round and returns its tick, which is valid until the next
// is made. The samples stand in the order of the jobs, whoever answered first:
// the log is at its best where ticks resemble each other. Collectors that have
// not answered are late from now on.
func (s *Scheduler) gather(onChange bool) *event.Tick {
	s.reset(s.round.stamp, s.round.trusted)
	for _, w := range s.workers {
		if r := w.answer; r != nil {
			s.finish(r, s.merge(r, onChange), false)
		}
		w.answer, w.gathered = nil, false
	}
	s.round = round{}
	return &s.tick
}

// appendLate appends what came after its round, each in a tick of its own.
func (s *Scheduler) appendLate() {
	for _, r := range s.late {
		s.reset(r.stamp, r.trusted)
		s.finish(r, s.merge(r, true), true)
		s.append(&s.tick)
	}
	clear(s.late)
	s.late = s.late[:0]
}

// dropLate notes what came after its round and keeps none of it.
func (s *Scheduler) dropLate() {
	for _, r := range s.late {
		s.finish(r, nil, true)
	}
	clear(s.late)
	s.late = s.late[:0]
}

func (s *Scheduler) reset(stamp event.Stamp, trusted bool) {
	clear(s.tick.Samples) // let go of texts and forgotten series
	clear(s.seen)
	s.tick = event.Tick{Stamp: stamp, Trusted: trusted, Samples: s.tick.Samples[:0]}
}

// merge adds the samples of r to the tick, with onChange only those texts that
// the sink does not have yet. It returns an error for the series that stand in
// the tick already.
func (s *Scheduler) merge(r *result, onChange bool) error {
	var first *event.Series
	doubled := 0
	for i := range r.samples {
		sample := &r.samples[i]
		key := sample.Series.Key()
		if _, found := s.seen[key]; found {
			if doubled++; first == nil {
				first = sample.Series
			}
			continue
		}
		s.seen[key] = struct{}{}
		if onChange && sample.Series.Type == event.Text && s.texts.has(key, sample.Text) {
			continue
		}
		s.tick.Samples = append(s.tick.Samples, *sample)
	}
	if doubled > 0 {
		return fmt.Errorf("merge tick: %d samples refused, the first: %w: %s", doubled, ErrDuplicate, first)
	}
	return nil
}

// append hands a tick to the sink. Its error is kept as the state that
// AppendError shows, until an Append works again.
func (s *Scheduler) append(tick *event.Tick) {
	if len(tick.Samples) == 0 {
		return
	}
	_, err := s.sink.Append(tick)
	if err != nil {
		err = fmt.Errorf("append tick: %w", err)
	} else {
		s.texts.store(tick)
	}
	s.mu.Lock()
	s.appendErr = err
	s.mu.Unlock()
	if err != nil {
		s.logFailure(&s.appendTh, "append", err, "tick lost", "")
	} else if s.appendTh.recovered() {
		s.log.Info().Msg("append works again")
	}
}

// texts knows the text that the sink took last for each series.
type texts struct {
	stored map[string]string // by the series' key
}

func (t *texts) has(key, text string) bool {
	stored, found := t.stored[key]
	return found && stored == text
}

func (t *texts) store(tick *event.Tick) {
	for i := range tick.Samples {
		sample := &tick.Samples[i]
		if sample.Series.Type != event.Text {
			continue
		}
		// The bound is for sources that name a new series for every text:
		// then all are passed on once more than needed.
		if len(t.stored) >= MaxSamples {
			clear(t.stored)
		}
		t.stored[sample.Series.Key()] = strings.Clone(sample.Text)
	}
}

// AppendError returns why the last Append failed, or nil if it did not.
func (s *Scheduler) AppendError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appendErr
}

// join is errors.Join that leaves a single error as it is.
func join(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}
