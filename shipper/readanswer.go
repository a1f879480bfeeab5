package shipper

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// maxLeftover is how much of an answer is read only to keep the connection. A new
// one costs about as much.
const maxLeftover = 32 << 10

// readAnswer is a read API's answer of status 200.
type readAnswer struct {
	resp *http.Response
	wire *wireReader   // as it comes
	body *bufio.Reader // unpacked and bounded
}

// begin judges the head and the first bytes, and makes the body ready to be read.
func (a *readAnswer) begin(c readCall) error {
	status := a.resp.StatusCode
	media, _, _ := mime.ParseMediaType(a.resp.Header.Get("Content-Type"))
	if status >= 300 && status < 400 {
		a.drop()
		return &readError{kind: errNoAccess, status: status, reason: "a redirect is not followed; is a portal in between?"}
	}
	if err := a.unpack(c.limit); err != nil {
		return a.badStatus(media, nil, err)
	}
	start, err := a.body.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return a.badStatus(media, nil, err)
	}
	if status != http.StatusOK {
		return a.badStatus(media, start, nil)
	}
	switch {
	case isPage(media, start):
		return &readError{kind: errNoAccess, status: status, reason: "a page in place of data; is a captive portal in between?"}
	case media != c.media:
		return &readError{kind: errUnknown, status: status, reason: fmt.Sprintf("data of type %q in place of %s", media, c.media)}
	}
	return nil
}

// badStatus says what an answer of another status than 200 means. Without one, or
// when its body could not be read, err is what remains.
func (a *readAnswer) badStatus(media string, start []byte, err error) error {
	status := a.resp.StatusCode
	if status == http.StatusOK {
		return err
	}
	a.drop()
	e := &readError{kind: errUnknown, status: status, reason: excerpt(start, http.StatusText(status))}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		e.kind = errNoAccess
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status < 400, status >= 500:
	case isPage(media, start), noSuchPath(start):
		e.kind = errNoAccess
	}
	return e
}

// noSuchPath reports whether an answer is what VictoriaMetrics, vmagent, vminsert
// and vmauth give with status 400 for a path that they do not serve.
func noSuchPath(body []byte) bool {
	return bytes.Contains(body, []byte("unsupported path requested")) || bytes.Contains(body, []byte("missing route for"))
}

// isPage reports whether an answer is made for a browser.
func isPage(media string, start []byte) bool {
	return media == "text/html" || media == "application/xhtml+xml" || bytes.HasPrefix(bytes.TrimSpace(start), []byte("<"))
}

// unpack makes the body ready. An answer of unknown length whose end only the
// connection's end marks is not taken: it looks complete wherever it is cut.
func (a *readAnswer) unpack(limit int64) error {
	var body io.Reader = a.wire
	switch encoding := strings.ToLower(a.resp.Header.Get("Content-Encoding")); encoding {
	case "gzip":
		if a.resp.ContentLength == 0 {
			break
		}
		zip, err := gzip.NewReader(body)
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		body = zip
	case "", "identity":
		if a.resp.ContentLength < 0 && a.resp.ProtoMajor == 1 && len(a.resp.TransferEncoding) == 0 {
			return errors.New("its end is not marked")
		}
	default:
		return fmt.Errorf("it is packed as %.20q", encoding)
	}
	a.body = bufio.NewReaderSize(&boundedReader{body, limit}, 16<<10)
	return nil
}

// drop reads what is left, if that is little, so that the connection stays.
func (a *readAnswer) drop() {
	_, _ = io.CopyN(io.Discard, a.wire, maxLeftover)
}

func (a *readAnswer) close() { _ = a.resp.Body.Close() }

// wireReader counts an answer's bytes as they come, and bounds each wait for them.
type wireReader struct {
	body  io.Reader
	count *atomic.Uint64
	stall *stallTimer
}

// Read reads from the connection.
func (w *wireReader) Read(p []byte) (int, error) {
	w.stall.start()
	defer w.stall.stop()
	n, err := w.body.Read(p)
	w.count.Add(uint64(n))
	return n, err
}

// errTooLong says that an answer is longer than it may be.
var errTooLong = errors.New("the answer is too long")

// boundedReader is an io.LimitReader that does not pass the limit off as the end.
type boundedReader struct {
	r    io.Reader
	left int64 // negative once there was too much
}

// Read returns errTooLong beyond the limit, and ever after.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLong
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, errTooLong
	}
	return n, err
}

// lineReader gives the lines of an answer one by one, and keeps one at a time.
type lineReader struct {
	r     *bufio.Reader
	limit int // bytes of a line
	buf   []byte
}

// next returns the next line without its end, valid until the next call, and
// io.EOF after the last. A last line without an end is an error.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		switch {
		case err == nil && len(l.buf) == 0:
			return part[:len(part)-1], nil
		case err == nil:
			l.buf = append(l.buf, part[:len(part)-1]...)
			return l.buf, nil
		case errors.Is(err, io.EOF) && len(part)+len(l.buf) > 0:
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(l.buf)+len(part) > l.limit:
			return nil, fmt.Errorf("a line of over %d bytes: %w", l.limit, errTooLong)
		}
		l.buf = append(l.buf, part...)
	}
}
