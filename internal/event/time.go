package event

// PlausibleSinceMS is 2026-01-01 UTC in milliseconds. No taffrail ran before
// it, so a wall clock that shows an earlier time has not been set since boot.
const PlausibleSinceMS = 1767225600000

// EffectiveTime returns the time of the tick's samples in milliseconds since
// 1970, and whether it may leave the device. The log's tools, the index and the
// shipper all take a sample's time from here and from nowhere else.
//
// A clock that has visibly not been set gives no usable time; such a tick is
// kept and shown, and not sent.
func (t *Tick) EffectiveTime() (ms int64, ok bool) {
	return t.WallMS, t.WallMS >= PlausibleSinceMS
}
