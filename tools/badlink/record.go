package badlink

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Import is what is remembered of a request to an import API.
type Import struct {
	At          time.Time // when all of it was there
	Path        string
	Batch       string // X-Batch-ID
	Chunk       int    // X-Chunk-Index; -1 where it names none
	LinesHeader string // X-Chunk-Lines
	Header      http.Header
	Bytes       int // of the body, as it was sent
	JSONLBytes  int
	Lines       int               // counted in the JSONL
	SHA256      [sha256.Size]byte // of the JSONL
	// Whole says that the body came to its end and could be unpacked.
	Whole bool

	// Fate is the name of the mode that took the request, "" where it was passed
	// on as it was.
	Fate string
	// Delivered is when the receiver had answered to the body or to what was
	// passed on of it, zero if it did not; Stored is the status it answered.
	Delivered time.Time
	Stored    int
	// Status is what the client was answered, 0 for nothing.
	Status int
}

// Count is how often a path was asked for, and what its bodies had.
type Count struct {
	Requests  int
	BytesUp   int64 // bodies of the requests
	BytesDown int64 // bodies of the answers, as far as they were written
}

// Traffic is what the connections carried, headers included.
type Traffic struct {
	Up, Down    int64
	Connections int64
	// Contact is when the first byte came in from a client since the link came
	// up last, zero before; Last is when the last byte went either way, ever.
	Contact, Last time.Time
}

// record is what a link remembers.
type record struct {
	mu      sync.Mutex // guards what follows
	imports []Import
	counts  map[string]Count
}

// noEntry stands for a request that is not remembered by itself.
const noEntry = -1

func (r *record) add(i Import) (entry int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.imports = append(r.imports, i)
	return len(r.imports) - 1
}

func (r *record) update(entry int, change func(*Import)) {
	if entry == noEntry {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.imports[entry])
}

func (r *record) count(path string, requests int, up, down int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[string]Count)
	}
	c := r.counts[path]
	r.counts[path] = Count{c.Requests + requests, c.BytesUp + up, c.BytesDown + down}
}

// Imports returns what was sent to an import API, in the order in which it was
// there.
func (l *Link) Imports() []Import {
	l.record.mu.Lock()
	defer l.record.mu.Unlock()
	return slices.Clone(l.record.imports)
}

// Counts returns what went to each path.
func (l *Link) Counts() map[string]Count {
	l.record.mu.Lock()
	defer l.record.mu.Unlock()
	counts := make(map[string]Count, len(l.record.counts))
	for path, c := range l.record.counts {
		counts[path] = c
	}
	return counts
}

// Traffic returns what all connections carried so far.
func (l *Link) Traffic() Traffic {
	t := Traffic{
		Up:          l.wire.carried[0].Load(),
		Down:        l.wire.carried[1].Load(),
		Connections: l.wire.accepted.Load(),
	}
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	t.Contact, t.Last = l.wire.contact, l.wire.last
	return t
}
