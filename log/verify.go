package eventlog

import (
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

	"taffrail/internal/event"
)

// Verification is what Verify found.
type Verification struct {
	Segments []SegmentCheck `json:"segments"`
	// Gaps are indexes that no segment holds and no damage explains: removed
	// by retention, or lost with their segment.
	Gaps    []event.Range `json:"gaps"`
	Records int           `json:"records"`
	Damaged bool          `json:"damaged"`
}

// SegmentCheck is what Verify found in one segment.
type SegmentCheck struct {
	File    string   `json:"file"`
	SHA256  string   `json:"sha256"`
	Bytes   int64    `json:"bytes"`
	First   uint64   `json:"first"` // index of the first and the last record
	Last    uint64   `json:"last"`
	Records int      `json:"records"`
	Damage  []Damage `json:"damage"`
	// Chain says how the header's digest of the segment before compares:
	// one of the Chain constants.
	Chain string `json:"chain"`
}

// What a segment's header proves of the segment before it.
const (
	ChainStart  = "start"  // the log begins here
	ChainOK     = "ok"     // the segment before is here and has the digest
	ChainAbsent = "absent" // the segment before is not here, or was not when the next began
	ChainBroken = "broken" // another segment stands there, or other bytes
	ChainNone   = "none"   // the header cannot be read
)

// Damage is a CorruptionError in print.
type Damage struct {
	Segment string `json:"segment"`
	Offset  int64  `json:"offset"`
	End     int64  `json:"end"`
	Reason  string `json:"reason"`
}

// AsDamage returns what err says about a damaged place, if it does.
func AsDamage(err error) (Damage, bool) {
	var c *CorruptionError
	if !errors.As(err, &c) {
		return Damage{}, false
	}
	return Damage{filepath.Base(c.Segment), c.Offset, c.End, c.Reason}, true
}

// Verify reads the whole log at path and checks every checksum, every record's
// content, the order of indexes and the chain of the segments' digests. The
// error says that reading failed; damage is not an error.
func Verify(path string) (Verification, error) {
	segments, err := segmentsAt(path)
	if err != nil {
		return Verification{}, err
	}
	v := Verification{Gaps: []event.Range{}}
	var before *SegmentCheck
	next := uint64(0) // index that should follow; 0 where anything may
	for _, s := range segments {
		check, err := verifySegment(s, before)
		if err != nil {
			return Verification{}, err
		}
		if next > 0 && s.first > next {
			v.Gaps = append(v.Gaps, event.Range{From: next, To: s.first - 1})
		}
		if check.Last > 0 {
			next = max(next, check.Last+1)
		}
		if d := check.Damage; len(d) > 0 && d[len(d)-1].End == check.Bytes {
			next = 0 // who knows what stood there
		}
		v.Records += check.Records
		v.Damaged = v.Damaged || len(check.Damage) > 0 || check.Chain == ChainBroken
		v.Segments = append(v.Segments, check)
		before = &check
	}
	return v, nil
}

func verifySegment(s segmentFile, before *SegmentCheck) (SegmentCheck, error) {
	check := SegmentCheck{File: filepath.Base(s.path), Damage: []Damage{}, Chain: ChainNone}
	info, err := os.Stat(s.path)
	if err != nil {
		return check, err
	}
	sum, err := digest(s.path)
	if err != nil {
		return check, err
	}
	check.Bytes, check.SHA256 = info.Size(), hex.EncodeToString(sum)
	r, err := OpenReader(s.path)
	if err != nil {
		return check, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if d, ok := AsDamage(err); ok {
			check.Damage = append(check.Damage, d)
			continue
		}
		if err != nil {
			return check, err
		}
		if check.Records == 0 {
			check.First = rec.Index
			if header, ok := rec.Event.(*event.SegmentHeader); ok {
				check.Chain = chain(header, before)
			}
		}
		check.Records++
		check.Last = rec.Index
	}
	if s.first != 0 && check.First != 0 && check.First != s.first && len(check.Damage) == 0 {
		check.Damage = append(check.Damage, Damage{Segment: check.File, Reason: "the file's name is not the index of its first record"})
	}
	return check, nil
}

func chain(header *event.SegmentHeader, before *SegmentCheck) string {
	switch {
	case header.Previous == "":
		return ChainStart
	case before == nil || header.Previous != before.File || len(header.PreviousSHA256) == 0:
		return ChainAbsent
	case hex.EncodeToString(header.PreviousSHA256) == before.SHA256:
		return ChainOK
	}
	return ChainBroken
}
