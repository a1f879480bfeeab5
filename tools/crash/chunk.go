package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"taffrail/internal/event"
)

// sent is one chunk, or some of its lines, on its way to the receiver.
type sent struct {
	batch   string
	chunk   int
	part    string            // which lines: "" for all, "3-7", or "part" of one
	lines   []uint64          // a hash of each
	digest  [sha256.Size]byte // of the JSONL
	planned bool              // its plan was in the log when it came by
}

// parseSent reads an import of the shipper and returns its lines as well. One that
// names no batch is a probe, and has none.
func parseSent(h http.Header, body []byte) (s sent, jsonl []byte, err error) {
	s = sent{batch: h.Get("X-Batch-ID"), part: h.Get("X-Chunk-Lines")}
	index := h.Get("X-Chunk-Index")
	if s.chunk, err = strconv.Atoi(index); err != nil && (s.batch != "" || index != "") || err == nil && s.batch == "" {
		return sent{}, nil, fmt.Errorf("a request names batch %q and chunk %q", s.batch, index)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		jsonl, err = io.ReadAll(io.LimitReader(unzip, maxBody))
	}
	switch {
	case err != nil:
		return sent{}, nil, fmt.Errorf("chunk %d of batch %s: %w", s.chunk, s.batch, err)
	case s.batch == "" && (len(jsonl) > 0 || s.part != ""):
		return sent{}, nil, fmt.Errorf("a request without a batch has %d bytes of JSONL", len(jsonl))
	}
	s.digest = sha256.Sum256(jsonl)
	for line := range bytes.Lines(jsonl) {
		hash := fnv.New64a()
		hash.Write(line)
		s.lines = append(s.lines, hash.Sum64())
	}
	return s, jsonl, nil
}

// String names the chunk for a message.
func (s *sent) String() string {
	name := fmt.Sprintf("chunk %d of batch %s (%x…)", s.chunk, s.batch, s.digest[:4])
	if s.part != "" {
		name = "lines " + s.part + " of " + name
	}
	return name
}

// chunkID names a chunk.
type chunkID struct {
	batch string
	chunk int
}

func (s *sent) id() chunkID { return chunkID{s.batch, s.chunk} }

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
	whole := make(map[chunkID][]uint64)
	for i := range chunks {
		if s := &chunks[i]; s.part == "" {
			whole[s.id()] = s.lines
		}
	}
	var early []string
	for i := range chunks {
		s := &chunks[i]
		switch problem := s.compare(plans[s.batch], whole[s.id()]); {
		case problem != "":
			differences = append(differences, fmt.Sprintf("%s %s", s, problem))
		case !s.planned:
			early = append(early, fmt.Sprintf("%s was sent before its plan was in the log", s))
		}
	}
	return append(differences, early...)
}

// compare returns what is wrong with a chunk, or "". Of a part only the lines are
// known: they are compared with those of the whole, if that was ever sent.
func (s *sent) compare(plan *event.Plan, whole []uint64) string {
	switch {
	case plan == nil:
		return "was sent and its plan is not in the log"
	case s.chunk < 0 || s.chunk >= len(plan.Chunks):
		return fmt.Sprintf("was sent and its plan has %d chunks", len(plan.Chunks))
	}
	chunk := plan.Chunks[s.chunk]
	switch {
	case s.part == "" && !bytes.Equal(chunk.SHA256, s.digest[:]):
		return fmt.Sprintf("has the digest %x in its plan", chunk.SHA256)
	case s.part == "":
		return ""
	case s.part == "part" && len(s.lines) == 1:
		return "" // of a line that is too large by itself
	}
	var from, to int
	if n, err := fmt.Sscanf(s.part, "%d-%d", &from, &to); n != 2 || err != nil || s.part != fmt.Sprintf("%d-%d", from, to) {
		return "are none"
	}
	switch {
	case from < 0 || to < from || to >= chunk.Lines || len(s.lines) != to-from+1:
		return fmt.Sprintf("are %d lines, and its plan has %d", len(s.lines), chunk.Lines)
	case whole != nil && (to >= len(whole) || !slices.Equal(whole[from:to+1], s.lines)):
		return "are other lines than those of the chunk"
	}
	return ""
}

// repeats returns how many chunks were sent before.
func repeats(chunks []sent) int {
	type key struct {
		chunkID
		part string
	}
	seen := make(map[key]bool)
	for i := range chunks {
		seen[key{chunks[i].id(), chunks[i].part}] = true
	}
	return len(chunks) - len(seen)
}

// parts returns how many requests held only some lines of a chunk.
func parts(chunks []sent) (n int) {
	for i := range chunks {
		if chunks[i].part != "" {
			n++
		}
	}
	return n
}
