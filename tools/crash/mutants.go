package main

// mutants are the defects that the harness must find, each in a trial that is made
// for it.
func mutants() []mutant {
	return []mutant{{
		name:  "early-ack",
		shows: "a chunk counts as sent before the receiver has answered: what it did not take is missing",
		by:    atReceiver,
		mode:  "merging", pace: stops, kills: 10,
		edits: []edit{{"shipper/delivery.go",
			"		if failure = d.sendChunk(ctx, i); failure != nil {\n",
			`		early := event.Ack{Stamp: d.s.opts.Now(), Batch: d.b.plan.Batch, Chunks: []int{i}, Samples: d.b.plan.Chunks[i].Samples}
		if _, err := d.s.log.Append(&early); err != nil {
			return err
		}
		if failure = d.sendChunk(ctx, i); failure != nil {
`}},
	}, {
		name:  "no-fsync",
		shows: "an append is acknowledged from memory: what is there when the power goes is missing",
		by:    witnessed,
		mode:  "merging", pace: stops, kills: 10,
		edits: []edit{
			{"log/log.go", "*wal.Log", "*lateWAL"},
			{"log/log.go", "	l.wal = w\n", "	l.wal = &lateWAL{Log: w}\n"},
			// A killed process loses nothing of what it wrote, only a machine
			// without power does. This log loses as much as a page cache that
			// writes back every second.
			{"log/log.go", "func uvarintLen(", `type lateWAL struct {
	*wal.Log
	late  []lateEntry
	since time.Time
}

type lateEntry struct {
	index uint64
	data  []byte
}

func (w *lateWAL) Write(index uint64, data []byte) error {
	if len(w.late) == 0 {
		w.since = time.Now()
	}
	w.late = append(w.late, lateEntry{index, append([]byte(nil), data...)})
	if time.Since(w.since) < time.Second {
		return nil
	}
	return w.writeBack()
}

func (w *lateWAL) writeBack() error {
	for _, e := range w.late {
		if err := w.Log.Write(e.index, e.data); err != nil {
			return err
		}
	}
	w.late = nil
	return nil
}

func (w *lateWAL) Sync() error { return nil }

func (w *lateWAL) Close() error { return errors.Join(w.writeBack(), w.Log.Close()) }

func uvarintLen(`},
		},
	}, {
		name:  "cursor-too-far",
		shows: "a batch's range goes one record beyond what was sent: that tick is missing",
		by:    atReceiver,
		mode:  "merging", pace: stops, kills: 10,
		edits: []edit{{"shipper/plan.go",
			"	plan := event.Plan{Range: event.Range{From: from, To: g.to}, FirstLine: firstLine}\n",
			"	plan := event.Plan{Range: event.Range{From: from, To: g.to + 1}, FirstLine: firstLine}\n"}},
	}, {
		name:  "late-plan",
		shows: "a plan is on disk after its chunks were sent: a repeat after a crash has other bytes and another id",
		by:    planned,
		mode:  "merging", pace: stops, kills: 10,
		edits: []edit{
			{"shipper/shipper.go",
				"	index, err := s.log.Append(&b.plan)\n",
				"	index, err := s.log.LastIndex()+1, error(nil)\n"},
			{"shipper/delivery.go",
				"	d.ack.Batch, d.ack.Stamp = d.b.plan.Batch, d.s.opts.Now()\n",
				`	if ledger := d.s.log.Ledger(); ledger.Open == nil || ledger.Open.Plan.Batch != d.b.plan.Batch {
		if _, err := d.s.log.Append(&d.b.plan); err != nil {
			return err
		}
	}
	d.ack.Batch, d.ack.Stamp = d.b.plan.Batch, d.s.opts.Now()
`},
		},
	}, {
		name:  "no-settling",
		shows: "what the receiver acknowledged counts as stored: what it had in memory when it was killed is missing",
		by:    atReceiver,
		mode:  "merging", pace: storm, kills: 6,
		edits: []edit{{"shipper/delivery.go",
			"	if d.mixed || len(d.ack.Doubt) > 0 {\n",
			`	trust := event.Settle{Stamp: s.opts.Now(), Ranges: []event.Range{plan.Range}, Samples: plan.Samples(), Proof: event.ProofCount}
	if _, err := s.log.Append(&trust); err != nil {
		return
	}
	if d.mixed || len(d.ack.Doubt) > 0 {
`}},
	}, {
		name:  "count-with-dedup-off",
		shows: "samples are counted at a receiver that does not merge: one that is there twice hides one that is missing",
		by:    atReceiver,
		mode:  "plain", pace: swaps, kills: 3,
		edits: []edit{{"shipper/look.go",
			"	if dedup > 0 && dedup <= time.Millisecond && ",
			"	if dedup <= time.Millisecond && "}},
	}, {
		name:  "short-window",
		shows: "what was sent a second ago and can be seen counts as stored: it was in memory only, and is missing",
		by:    atReceiver,
		mode:  "merging", pace: steady, kills: 6,
		edits: []edit{
			{"shipper/settle.go", "	settleLag = time.Minute\n", "	settleLag = time.Second\n"},
			{"shipper/settle.go",
				"minSettleInterval, maxSettleInterval = time.Minute, 10 * time.Minute\n",
				"minSettleInterval, maxSettleInterval = time.Second, 10 * time.Minute\n"},
		},
	}, {
		name:  "repeat-in-doubt",
		shows: "a chunk whose answer was lost is sent again at once to a receiver that does not merge: it is there twice",
		by:    atReceiver,
		mode:  "plain", pace: quiet, kills: 10,
		edits: []edit{{"shipper/uncertain.go",
			"	case st.reader == nil || st.denied || st.props.Known && st.props.Dedup > 0:\n",
			"	case true:\n"}},
	}, {
		name:  "any-connection",
		shows: "an answer over another connection proves what was sent before: that the receiver was killed in between goes unnoticed",
		by:    atReceiver,
		mode:  "blind", pace: storm, kills: 6,
		edits: []edit{
			{"shipper/proof.go",
				"		proven := b.conn == c.conn && b.conn != 0 && c.at.Sub(b.at) >= c.window\n",
				"		proven := c.at.Sub(b.at) >= c.window\n"},
			{"shipper/proof.go",
				"c.conn != 0 && b.conn != c.conn && c.window > 0",
				"c.conn != 0 && b.conn != c.conn && c.window < 0"},
		},
	}}
}
