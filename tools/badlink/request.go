package badlink

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Headers by which a shipper names what it sends.
const (
	batchHeader = "X-Batch-ID"
	chunkHeader = "X-Chunk-Index"
	linesHeader = "X-Chunk-Lines"
)

// Request is a request as it came in.
type Request struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte // as it was sent
	// What follows is of requests to an import API only.
	Import bool
	JSONL  []byte // the body, unpacked; nil if it cannot be
	Batch  string
	Chunk  int               // -1 where it names none
	Lines  string            // what X-Chunk-Lines says
	SHA256 [sha256.Size]byte // of the JSONL
	At     time.Time         // when all of it was there
}

// newRequest reads what a request says of itself. A body that cannot be unpacked
// is none of its errors: the receiver is to judge it.
func newRequest(req *http.Request, body []byte) *Request {
	r := &Request{
		Method: req.Method,
		Path:   req.URL.Path,
		Header: req.Header,
		Body:   body,
		Chunk:  -1,
		At:     time.Now(),
	}
	if r.Import = isImport(req); !r.Import {
		return r
	}
	r.Batch, r.Lines = req.Header.Get(batchHeader), req.Header.Get(linesHeader)
	if n, err := strconv.Atoi(req.Header.Get(chunkHeader)); err == nil {
		r.Chunk = n
	}
	if jsonl, err := unpack(req.Header, body); err == nil {
		r.JSONL, r.SHA256 = jsonl, sha256.Sum256(jsonl)
	}
	return r
}

// unpack returns a body without its content encoding.
func unpack(h http.Header, body []byte) ([]byte, error) {
	if h.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpack body: %w", err)
	}
	jsonl, err := io.ReadAll(io.LimitReader(unzip, maxBody))
	if err != nil {
		return nil, fmt.Errorf("unpack body: %w", err)
	}
	return jsonl, nil
}

// pack is the inverse of unpack.
func pack(h http.Header, jsonl []byte) []byte {
	if h.Get("Content-Encoding") != "gzip" {
		return jsonl
	}
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = zip.Write(jsonl) // a buffer takes everything
	_ = zip.Close()
	return b.Bytes()
}

// lines returns the lines of the JSONL, without what ends them.
func (r *Request) lines() [][]byte {
	if len(r.JSONL) == 0 {
		return nil
	}
	return slices.Collect(func(yield func([]byte) bool) {
		for line := range bytes.Lines(r.JSONL) {
			if !yield(bytes.TrimSuffix(line, []byte("\n"))) {
				return
			}
		}
	})
}
