package badlink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// CutBody passes on only the beginning of the body, to a random byte, and
// answers 204 as if that were all: what a proxy does that loses the end of a
// request. Where the receiver cannot be reached the connection breaks.
func CutBody() Mode {
	return always("body cut", func(x *exchange) {
		body := x.sent.Body
		if len(body) > 0 {
			body = body[:x.link.intN(len(body))]
		}
		if x.deliver(body) != nil {
			x.reset()
		}
		x.answer(Response{Status: http.StatusNoContent})
	})
}

// Stored passes the request on, drops the receiver's answer, and then does what
// another mode does: the receiver has it all, and its client does not know.
// Stored(Reset()) loses answers, Stored(Silent()) has the client wait for them in
// vain, Stored(Answer(Response{Status: 400})) refuses what was stored. Where the
// receiver cannot be reached the connection breaks.
func Stored(m Mode) Mode {
	return Mode{"stored, " + m.name, func(x *exchange, name string) bool {
		resp, err := x.forward(x.sent.Body)
		if err != nil {
			x.fate(name)
			x.reset()
		}
		defer resp.Body.Close()
		if !m.take(x, name) {
			x.relay(resp) // it must not be passed on once more
		}
		return true
	}}
}

// LoseAnswers breaks the connection off once the receiver has stored the body.
func LoseAnswers() Mode { return Named("answer lost", Stored(Reset())) }

// lateBodies are the bodies that are delivered after their clients gave up.
type lateBodies struct {
	mu      sync.Mutex // guards what follows
	delayed map[[sha256.Size]byte]bool
	pending int
	none    chan struct{} // closed when pending gets to 0; nil while it is
}

// first reports whether a body was never delayed before, and counts it as
// pending then.
func (b *lateBodies) first(digest [sha256.Size]byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.delayed[digest] {
		return false
	}
	if b.delayed == nil {
		b.delayed = make(map[[sha256.Size]byte]bool)
	}
	b.delayed[digest] = true
	if b.pending++; b.none == nil {
		b.none = make(chan struct{})
	}
	return true
}

func (b *lateBodies) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending--; b.pending == 0 {
		close(b.none)
		b.none = nil
	}
}

// Late does not answer. Once the client has given up, and after a delay, the
// receiver gets the body all the same. Each body is delayed at most once; a
// repeat is left alone, however often it comes.
func Late(delay time.Duration) Mode {
	return Mode{"late", func(x *exchange, name string) bool {
		digest := x.sent.SHA256
		if x.sent.JSONL == nil {
			digest = sha256.Sum256(x.sent.Body)
		}
		if !x.link.late.first(digest) {
			return false
		}
		x.fate(name)
		x.hold()
		if x.link.begin() {
			go func() {
				defer x.link.work.Done()
				defer x.link.late.finish()
				if wait(x.link.ctx, delay) {
					// A receiver that is away then loses it.
					_ = x.deliver(x.sent.Body)
				}
			}()
		} else {
			x.link.late.finish()
		}
		x.reset()
		return true
	}}
}

// WaitLate waits until no late body is to be delivered any more, those of clients
// that still wait included.
func (l *Link) WaitLate(ctx context.Context) error {
	l.late.mu.Lock()
	none := l.late.none
	l.late.mu.Unlock()
	if none == nil {
		return nil
	}
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("wait for late bodies"), ctx.Err())
	}
}

// Match says which lines of JSONL are meant. A line is without what ends it.
type Match func(line []byte) bool

// Contains matches lines that hold a text.
func Contains(text string) Match {
	return func(line []byte) bool { return bytes.Contains(line, []byte(text)) }
}

// Refuse answers requests with r of which a line matches, without the receiver,
// and leaves the others alone.
func Refuse(r Response, match Match) Mode {
	return If(func(req *Request) bool {
		for _, line := range req.lines() {
			if match(line) {
				return true
			}
		}
		return false
	}, Answer(r))
}

// DropLines passes a request on without the lines that match, as a receiver does
// that takes no more labels and says nothing of it.
func DropLines(match Match) Mode {
	return always("lines dropped", func(x *exchange) {
		kept, _ := x.split(match)
		x.passBody(kept)
	})
}

// Partial passes a request on without the lines that match and answers which
// those are: {"accepted":25,"rejected":[{"line":3,"reason":"…"}]}, lines from 0.
func Partial(reason string, match Match) Mode {
	type rejected struct {
		Line   int    `json:"line"`
		Reason string `json:"reason"`
	}
	return always("partly accepted", func(x *exchange) {
		kept, left := x.split(match)
		if x.deliver(kept) != nil {
			x.reset()
		}
		answer := struct {
			Accepted int        `json:"accepted"`
			Rejected []rejected `json:"rejected"`
		}{Accepted: len(x.sent.lines()) - len(left), Rejected: []rejected{}}
		for _, n := range left {
			answer.Rejected = append(answer.Rejected, rejected{n, reason})
		}
		text, err := json.Marshal(answer)
		if err != nil {
			x.reset()
		}
		x.answer(Response{Header: http.Header{"Content-Type": {"application/json"}}, Body: string(text)})
	})
}

// split returns the body without the lines that match, and which lines those are.
func (x *exchange) split(match Match) (body []byte, left []int) {
	var kept []byte
	for n, line := range x.sent.lines() {
		if match(line) {
			left = append(left, n)
			continue
		}
		kept = append(append(kept, line...), '\n')
	}
	return pack(x.req.Header, kept), left
}
