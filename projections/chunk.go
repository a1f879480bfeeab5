package projections

import (
	"context"
	"database/sql"

	"taffrail/internal/event"
)

// States of a chunk, in upload_checkpoints.state.
const (
	chunkPlanned      = "planned"      // lines of it are to be sent
	chunkAcknowledged = "acknowledged" // none is, and the receiver answered for some
	chunkDoubt        = "doubt"        // it was sent, and no answer came for some of it
	chunkRejected     = "rejected"     // the receiver refused all of its samples
	chunkSettled      = "settled"      // acknowledged or in doubt, and seen at the receiver
	// Its batch was planned anew, or its records were deleted, before all of the
	// batch was taken.
	chunkReplaced = "replaced"
)

// chunkKey is a chunk by the record of its plan and its position in there.
type chunkKey struct {
	plan  uint64
	index int
}

// chunk is a row of the table upload_checkpoints.
type chunk struct {
	chunkKey
	batch    string
	rng      event.Range
	first    int // line of the batch
	more     bool
	lines    int
	samples  int
	bytes    int
	sha256   []byte
	state    string
	acked    int // samples
	rejected int
	planned  int64 // wall clock
	ackedMS  int64 // 0: not yet
	modified bool
}

// chunkOf returns the row of a chunk of which nothing was sent yet.
func chunkOf(open *event.OpenPlan, i int) *chunk {
	plan, p := &open.Plan, &open.Plan.Chunks[i]
	c := &chunk{
		chunkKey: chunkKey{open.Index, i}, batch: plan.Batch, rng: plan.Range, first: plan.FirstLine, more: plan.More,
		lines: p.Lines, samples: p.Samples, bytes: p.Bytes, sha256: p.SHA256,
		state: chunkPlanned, planned: plan.WallMS,
	}
	for _, before := range plan.Chunks[:i] {
		c.first += before.Lines
	}
	return c
}

// chunkState returns how far a chunk has come.
func chunkState(open *event.OpenPlan, i int) string {
	s, samples := &open.Chunks[i], open.Plan.Chunks[i].Samples
	switch {
	case s.Rejected > 0 && s.Rejected >= samples:
		return chunkRejected
	case !open.Done(i):
		return chunkPlanned
	case s.Doubt && s.Acked+s.Rejected < samples:
		return chunkDoubt
	}
	return chunkAcknowledged
}

// unsettled reports whether a look at the receiver can still tell more.
func (c *chunk) unsettled() bool { return c.state == chunkAcknowledged || c.state == chunkDoubt }

const chunkColumns = 17

func (c *chunk) row() []any {
	sha := c.sha256
	if sha == nil {
		sha = []byte{}
	}
	return withSum(int64(c.plan), int64(c.index), c.batch,
		int64(c.rng.From), int64(c.rng.To), int64(c.first), flag(c.more),
		int64(c.lines), int64(c.samples), int64(c.bytes), sha, c.state, int64(c.acked), int64(c.rejected),
		c.planned, nullable(c.ackedMS, c.ackedMS != 0))
}

// loadChunks returns the rows that a condition selects.
func loadChunks(ctx context.Context, conn *sql.Conn, where string, args ...any) (chunks []*chunk, err error) {
	err = loadRows(ctx, conn, "upload_checkpoints", "WHERE "+where, func(row []any) error {
		c := &chunk{
			chunkKey: chunkKey{uint64(intOf(row[0])), int(intOf(row[1]))}, batch: textOf(row[2]),
			rng:   event.Range{From: uint64(intOf(row[3])), To: uint64(intOf(row[4]))},
			first: int(intOf(row[5])), more: intOf(row[6]) != 0,
			lines: int(intOf(row[7])), samples: int(intOf(row[8])), bytes: int(intOf(row[9])),
			state: textOf(row[11]), acked: int(intOf(row[12])), rejected: int(intOf(row[13])),
			planned: intOf(row[14]), ackedMS: intOf(row[15]),
		}
		if sum, ok := row[10].([]byte); ok {
			c.sha256 = append([]byte(nil), sum...)
		}
		chunks = append(chunks, c)
		return nil
	}, args...)
	return chunks, err
}
