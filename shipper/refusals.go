package shipper

import (
	"slices"

	"taffrail/internal/event"
)

// refusals remember lines that the receiver does not take, so that they are not
// looked for.
type refusals struct {
	lines map[string][]refusedTimes // by the key of the series
	n     int
}

// refusedTimes are those of a line in a window, or of several lines in any.
type refusedTimes struct {
	window  int // anyWindow: of all
	firstMS int64
	lastMS  int64
}

const anyWindow = -1

// maxRefusedTimes bounds the memory. Beyond it a series' lines become one, and
// what was taken between them is not looked for either.
const maxRefusedTimes = 4096

func (r *refusals) add(window int, line *event.RejectedLine) {
	if r.lines == nil {
		r.lines = make(map[string][]refusedTimes)
	}
	list := r.lines[line.Series]
	if last := len(list) - 1; r.n >= maxRefusedTimes && last >= 0 {
		l := &list[last]
		*l = refusedTimes{anyWindow, min(l.firstMS, line.FirstMS), max(l.lastMS, line.LastMS)}
		return
	}
	r.lines[line.Series] = append(list, refusedTimes{window, line.FirstMS, line.LastMS})
	r.n++
}

// takeOut takes those lines out of what a window lacks.
func (r *refusals) takeOut(window int, missing lacks) {
	for key, times := range missing {
		list := r.lines[key]
		if len(list) == 0 {
			continue
		}
		left := slices.DeleteFunc(times, func(ms int64) bool {
			return slices.ContainsFunc(list, func(l refusedTimes) bool {
				return (l.window == window || l.window == anyWindow) && l.firstMS <= ms && ms <= l.lastMS
			})
		})
		if missing[key] = left; len(left) == 0 {
			delete(missing, key)
		}
	}
}
