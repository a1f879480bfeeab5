package event

// Clock says that the wall clock changed against boot time, that it came to be
// trusted, or which times ticks have that were taken before it was.
type Clock struct {
	Stamp          // on the new clock
	BootID  string `msgpack:"boot_id"`
	Trusted bool   `msgpack:"trusted"`
	// Source is what the trust rests on: "kernel", "http_date", "rtc", or "".
	Source string `msgpack:"source"`
	// StepMS is by how much wall time went forward more than boot time did
	// since the record before.
	StepMS   int64     `msgpack:"step_ms"`
	Decision *Decision `msgpack:"decision,omitempty"`
}

// Kind returns KindClock.
func (c *Clock) Kind() Kind { return KindClock }

// Verdicts on the times of ticks that were taken under a clock that nobody
// trusted.
const (
	// VerdictShift: the clock came to be trusted in the same boot. A tick's time
	// is its boot time plus the offset.
	VerdictShift = "shift"
	// VerdictAsIs: trust did not come, and the wall clock was plausible. A
	// tick's time is its boot time plus the offset, which is what the wall
	// clock showed last, moved by as little as keeps ticks apart.
	VerdictAsIs = "as_is"
	// VerdictUnknown: trust did not come, and the wall clock was wrong. The
	// ticks have no time and are not sent.
	VerdictUnknown = "unknown"
)

// Decision fixes the times of a boot's untrusted ticks, once and for all.
type Decision struct {
	BootID string `msgpack:"boot_id"`
	// Range holds the ticks that are decided: those in it that are untrusted,
	// of this boot, and not decided before. An open range, whose To is 0, also
	// decides the ticks of the boot that are still to come.
	Range    Range  `msgpack:"range"`
	Verdict  string `msgpack:"verdict"`
	OffsetMS int64  `msgpack:"offset_ms"`
	// Samples is how many sendable samples the ticks of the range hold so far,
	// and LastMS the time of the last of these ticks, 0 without one.
	Samples int   `msgpack:"samples"`
	LastMS  int64 `msgpack:"last_ms"`
}
