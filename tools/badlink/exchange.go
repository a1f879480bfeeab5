package badlink

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// exchange is one request and what is done with it.
type exchange struct {
	link  *Link
	w     http.ResponseWriter
	req   *http.Request
	sent  *Request
	entry int // in the record of imports
}

// read reads the whole request. Where it ends before its body does, what came of
// it goes on to the receiver, and false is returned.
func (x *exchange) read() bool {
	path := x.req.URL.Path
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.req.Body, maxBody))
	x.link.record.count(path, 1, int64(len(body)), 0)
	whole := err == nil
	x.sent = newRequest(x.req, body)
	if !x.sent.Import {
		return whole
	}
	x.entry = x.link.record.add(Import{
		At:          x.sent.At,
		Path:        path,
		Batch:       x.sent.Batch,
		Chunk:       x.sent.Chunk,
		LinesHeader: x.sent.Lines,
		Header:      x.sent.Header,
		Bytes:       len(body),
		JSONLBytes:  len(x.sent.JSONL),
		Lines:       len(x.sent.lines()),
		SHA256:      x.sent.SHA256,
		Whole:       whole && x.sent.JSONL != nil,
	})
	if whole {
		if x.link.opts.OnImport != nil {
			x.link.opts.OnImport(x.sent)
		}
		return true
	}
	x.fate(FateBroken)
	if len(body) > 0 {
		x.deliverPart(body)
	}
	return false
}

// FateBroken is the fate of an import whose connection broke while it was sent.
const FateBroken = "connection broken"

func (x *exchange) fate(name string) {
	x.link.record.update(x.entry, func(i *Import) { i.Fate = name })
}

// to returns a request to the receiver with another body.
func (x *exchange) to(ctx context.Context, body io.Reader, length int64) (*http.Request, error) {
	out, err := http.NewRequestWithContext(ctx, x.req.Method, x.link.target.String(), body)
	if err != nil {
		return nil, err
	}
	out.URL.Path, out.URL.RawPath, out.URL.RawQuery = x.req.URL.Path, x.req.URL.RawPath, x.req.URL.RawQuery
	out.Header = x.req.Header.Clone()
	for _, hop := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		out.Header.Del(hop)
	}
	out.ContentLength = length
	return out, nil
}

// forward passes a body on and returns the receiver's answer, whose body the
// caller closes. An import that was read is delivered whatever becomes of its
// client.
func (x *exchange) forward(body []byte) (*http.Response, error) {
	if x.link.target == nil {
		return x.scripted(), nil
	}
	ctx := x.req.Context()
	if x.sent.Import {
		ctx = x.link.ctx
	}
	out, err := x.to(ctx, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, err
	}
	resp, err := x.link.transport.RoundTrip(out)
	if err != nil {
		return nil, fmt.Errorf("pass on: %w", err)
	}
	x.link.record.update(x.entry, func(i *Import) { i.Delivered, i.Stored = time.Now(), resp.StatusCode })
	return resp, nil
}

// scripted is the answer where there is no receiver.
func (x *exchange) scripted() *http.Response {
	status := http.StatusNotFound
	if x.sent.Import {
		status = http.StatusNoContent
		x.link.record.update(x.entry, func(i *Import) { i.Delivered, i.Stored = time.Now(), status })
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
}

// deliver passes a body on and drops the answer.
func (x *exchange) deliver(body []byte) error {
	resp, err := x.forward(body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// deliverPart sends the beginning of a body as it would come out of a cable that
// is pulled: the receiver is told the length of all of it.
func (x *exchange) deliverPart(body []byte) {
	if x.link.target == nil {
		return
	}
	length := max(x.req.ContentLength, int64(len(body))+1)
	out, err := x.to(x.link.ctx, bytes.NewReader(body), length)
	if err != nil {
		return
	}
	// It fails in the end, that is what it is for.
	if resp, err := x.link.transport.RoundTrip(out); err == nil {
		_ = resp.Body.Close()
	}
}

// pass passes the request on and the answer back.
func (x *exchange) pass() { x.passBody(x.sent.Body) }

// passBody is pass with another body. Where the receiver does not answer, the
// client sees its connection break, not an answer that nobody gave.
func (x *exchange) passBody(body []byte) {
	resp, err := x.forward(body)
	if err != nil {
		x.reset()
	}
	x.relay(resp)
}

// relay answers what the receiver answered.
func (x *exchange) relay(resp *http.Response) {
	defer resp.Body.Close()
	header := x.w.Header()
	for name, values := range resp.Header {
		header[name] = values
	}
	header.Del("Connection")
	x.start(resp.StatusCode)
	n, err := io.Copy(x.w, resp.Body)
	x.wrote(n)
	if err != nil {
		x.reset()
	}
}

// answer answers by itself.
func (x *exchange) answer(r Response) {
	header := x.w.Header()
	for name, values := range r.Header {
		header[name] = values
	}
	x.start(r.status())
	n, err := io.WriteString(x.w, r.Body)
	x.wrote(int64(n))
	if err != nil {
		x.reset()
	}
}

func (x *exchange) start(status int) {
	x.w.WriteHeader(status)
	x.link.record.update(x.entry, func(i *Import) { i.Status = status })
}

func (x *exchange) wrote(n int64) { x.link.record.count(x.req.URL.Path, 0, 0, n) }

// reset breaks the client's connection off. It does not return.
func (x *exchange) reset() {
	if c := connOf(x.req.Context()); c != nil {
		c.breakOff()
	}
	panic(http.ErrAbortHandler)
}

// hold keeps the client waiting until it gives up, or the link ends.
func (x *exchange) hold() {
	select {
	case <-x.req.Context().Done():
	case <-x.link.ctx.Done():
	}
}

// trickle answers byte by byte.
func (x *exchange) trickle(r Response, pause time.Duration) {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.reset()
	}
	defer c.Close()
	x.link.record.update(x.entry, func(i *Import) { i.Status = r.status() })
	for _, b := range r.raw() {
		if _, err := c.Write([]byte{b}); err != nil || !wait(x.link.ctx, pause) {
			return
		}
		x.wrote(1)
	}
}
