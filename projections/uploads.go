package projections

import (
	"context"
	"database/sql"

	"taffrail/internal/event"
)

// States of a chunk, in upload_checkpoints.state.
const (
	chunkPlanned      = "planned"
	chunkAcknowledged = "acknowledged"
	chunkReplaced     = "replaced" // its batch was planned anew before all of it was taken
)

// chunk is a row of the table upload_checkpoints.
type chunk struct {
	planIdx  uint64
	index    int
	batch    string
	rng      event.Range
	first    int // line of the batch
	more     bool
	lines    int
	samples  int
	bytes    int
	sha256   []byte
	state    string
	planned  int64
	acked    int64 // 0: not yet
	modified bool
}

// uploads folds plans and acknowledgements. At most one batch is open.
type uploads struct {
	open  []*chunk // of the batch that was planned last, while it is not complete
	dirty []*chunk
	table table
}

func newUploads() uploads {
	return uploads{table: table{name: "upload_checkpoints", columns: 15}}
}

func (u *uploads) load(ctx context.Context, conn *sql.Conn) error {
	return loadRows(ctx, conn, "upload_checkpoints",
		"WHERE plan_idx = (SELECT max(plan_idx) FROM upload_checkpoints WHERE state = 'planned') ORDER BY chunk_index",
		func(row []any) error {
			c := &chunk{
				planIdx: uint64(intOf(row[0])), index: int(intOf(row[1])), batch: textOf(row[2]),
				rng:   event.Range{From: uint64(intOf(row[3])), To: uint64(intOf(row[4]))},
				first: int(intOf(row[5])), more: intOf(row[6]) != 0,
				lines: int(intOf(row[7])), samples: int(intOf(row[8])), bytes: int(intOf(row[9])),
				state: textOf(row[11]), planned: intOf(row[12]), acked: intOf(row[13]),
			}
			if sum, ok := row[10].([]byte); ok {
				c.sha256 = append([]byte(nil), sum...)
			}
			u.open = append(u.open, c)
			return nil
		})
}

// apply folds the next record and returns the ranges whose ticks are
// acknowledged or deleted by it.
func (u *uploads) apply(rec *event.Record) []mark {
	switch ev := rec.Event.(type) {
	case *event.SegmentHeader:
		// What is acknowledged also where the records that say so are damaged.
		marks := make([]mark, 0, len(ev.Ledger.Acknowledged))
		for _, r := range ev.Ledger.Acknowledged {
			marks = append(marks, mark{r, uploadAcked})
		}
		return marks
	case *event.Plan:
		u.plan(rec.Index, ev)
	case *event.Ack:
		if done := u.acknowledge(ev); done != nil {
			return []mark{{*done, uploadAcked}}
		}
	case *event.Drop:
		return []mark{{ev.Range, uploadDropped}}
	}
	return nil
}

func (u *uploads) plan(idx uint64, plan *event.Plan) {
	for _, c := range u.open {
		c.state = chunkReplaced
		u.touch(c)
	}
	u.open = nil
	line := plan.FirstLine
	for i, p := range plan.Chunks {
		c := &chunk{
			planIdx: idx, index: i, batch: plan.Batch, rng: plan.Range, first: line, more: plan.More,
			lines: p.Lines, samples: p.Samples, bytes: p.Bytes, sha256: p.SHA256,
			state: chunkPlanned, planned: plan.WallMS,
		}
		line += p.Lines
		u.open = append(u.open, c)
		u.touch(c)
	}
}

// acknowledge marks chunks of the open batch. When that completes the batch, it
// returns the range that is acknowledged, if the batch held all of it.
func (u *uploads) acknowledge(ack *event.Ack) *event.Range {
	if len(u.open) == 0 || u.open[0].batch != ack.Batch {
		return nil
	}
	for _, i := range ack.Chunks {
		if i < 0 || i >= len(u.open) || u.open[i].state != chunkPlanned {
			continue
		}
		u.open[i].state, u.open[i].acked = chunkAcknowledged, ack.WallMS
		u.touch(u.open[i])
	}
	for _, c := range u.open {
		if c.state != chunkAcknowledged {
			return nil
		}
	}
	done, more := u.open[0].rng, u.open[0].more
	u.open = nil
	if more {
		return nil
	}
	return &done
}

// openPlan returns the record of the plan of the batch that is open, or 0.
func (u *uploads) openPlan() int64 {
	if len(u.open) == 0 {
		return 0
	}
	return int64(u.open[0].planIdx)
}

func (u *uploads) touch(c *chunk) {
	if !c.modified {
		c.modified = true
		u.dirty = append(u.dirty, c)
	}
}

func (u *uploads) flush(ctx context.Context, conn *sql.Conn) error {
	for _, c := range u.dirty {
		sha := c.sha256
		if sha == nil {
			sha = []byte{}
		}
		if err := u.table.put(ctx, conn, withSum(int64(c.planIdx), int64(c.index), c.batch,
			int64(c.rng.From), int64(c.rng.To), int64(c.first), flag(c.more),
			int64(c.lines), int64(c.samples), int64(c.bytes), sha, c.state,
			c.planned, nullable(c.acked, c.acked != 0))); err != nil {
			return err
		}
		c.modified = false
	}
	u.dirty = nil
	return nil
}
