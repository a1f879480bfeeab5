package event

// PlausibleSinceMS is 2026-01-01 UTC in milliseconds. No taffrail ran before
// it, so a wall clock that shows an earlier time has not been set since boot.
const PlausibleSinceMS = 1767225600000

// EffectiveTime returns the time of the tick's samples in milliseconds since
// 1970, and whether it is known. The log's tools, the index and the shipper all
// take a sample's time from here and from nowhere else.
//
// Under a trusted clock it is the wall time of the tick. Otherwise it is what was
// decided later: boot time and the decision's offset. While nothing is decided,
// or where it was decided that the time is unknown, the wall time is returned for
// want of a better one, and false.
func (t *Tick) EffectiveTime() (ms int64, ok bool) {
	switch d := t.Decision; {
	case t.Trusted:
		return t.WallMS, t.WallMS >= PlausibleSinceMS
	case d != nil && d.Verdict != VerdictUnknown:
		ms = t.BootMS + d.OffsetMS
		return ms, ms >= PlausibleSinceMS
	}
	return t.WallMS, false
}

// Held reports whether the tick's time is still to be decided.
func (t *Tick) Held() bool { return !t.Trusted && t.Decision == nil }
