package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"taffrail/internal/event"
)

// sent is one chunk on its way to the receiver.
type sent struct {
	batch   string
	chunk   int
	digest  [sha256.Size]byte // of the JSONL
	planned bool              // its plan was in the log when it came by
}

// parseSent reads a request of the shipper.
func parseSent(h http.Header, body []byte) (sent, error) {
	s := sent{batch: h.Get("X-Batch-ID")}
	var err error
	if s.chunk, err = strconv.Atoi(h.Get("X-Chunk-Index")); err != nil || s.batch == "" {
		return sent{}, fmt.Errorf("a request names batch %q and chunk %q", s.batch, h.Get("X-Chunk-Index"))
	}
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return sent{}, fmt.Errorf("chunk %d of batch %s: %w", s.chunk, s.batch, err)
	}
	h256 := sha256.New()
	if _, err := io.Copy(h256, io.LimitReader(unzip, maxBody)); err != nil {
		return sent{}, fmt.Errorf("chunk %d of batch %s: %w", s.chunk, s.batch, err)
	}
	copy(s.digest[:], h256.Sum(nil))
	return s, nil
}

// mentions reports whether the end of the log, as it is on disk at this moment,
// has the text of a batch's id in it. Only a plan, an acknowledgement, or the
// ledger in a segment's header can, and the plan goes before the others.
func mentions(logDir, batch string) (bool, error) {
	segments, err := filepath.Glob(filepath.Join(logDir, "[0-9]*"))
	if err != nil {
		return false, err
	}
	slices.Sort(segments)
	for _, path := range slices.Backward(segments) {
		data, err := os.ReadFile(path)
		if err != nil {
			return false, fmt.Errorf("look for the plan of batch %s: %w", batch, err)
		}
		if bytes.Contains(data, []byte(batch)) {
			return true, nil
		}
	}
	return false, nil
}

// compareChunks returns a line for each chunk whose plan is not in the log, or
// has other bytes, and behind them one for each that was sent before its plan was
// there.
func compareChunks(chunks []sent, plans map[string]*event.Plan) (differences []string) {
	var early []string
	for _, c := range chunks {
		name := fmt.Sprintf("chunk %d of batch %s (%x…)", c.chunk, c.batch, c.digest[:4])
		plan := plans[c.batch]
		switch {
		case plan == nil:
			differences = append(differences, name+" was sent and its plan is not in the log")
		case c.chunk < 0 || c.chunk >= len(plan.Chunks):
			differences = append(differences, fmt.Sprintf("%s was sent and its plan has %d chunks", name, len(plan.Chunks)))
		case !bytes.Equal(plan.Chunks[c.chunk].SHA256, c.digest[:]):
			differences = append(differences, fmt.Sprintf("%s has the digest %x in its plan", name, plan.Chunks[c.chunk].SHA256))
		case !c.planned:
			early = append(early, name+" was sent before its plan was in the log")
		}
	}
	return append(differences, early...)
}

// repeats returns how many chunks were sent before.
func repeats(chunks []sent) int {
	type key struct {
		batch string
		chunk int
	}
	seen := make(map[key]bool)
	for _, c := range chunks {
		seen[key{c.batch, c.chunk}] = true
	}
	return len(chunks) - len(seen)
}
