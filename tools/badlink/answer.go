package badlink

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Response is an answer that no receiver gave.
type Response struct {
	Status int // 0: 200
	Header http.Header
	Body   string
}

func (r Response) status() int {
	if r.Status == 0 {
		return http.StatusOK
	}
	return r.Status
}

// raw returns the response as it stands on a connection, which ends with it.
func (r Response) raw() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status(), http.StatusText(r.status()))
	fmt.Fprintf(&b, "Date: %s\r\nConnection: close\r\n", time.Now().UTC().Format(http.TimeFormat))
	_ = r.Header.Write(&b) // a builder takes everything
	if r.status() != http.StatusNoContent {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
	}
	b.WriteString("\r\n" + r.Body)
	return []byte(b.String())
}

// Answer answers without the receiver.
func Answer(r Response) Mode {
	return always(fmt.Sprintf("answered %d", r.status()), func(x *exchange) { x.answer(r) })
}

// Reply answers as reply decides, without the receiver. Where it returns false
// the request is left alone.
func Reply(reply func(*Request) (Response, bool)) Mode {
	return Mode{"answered", func(x *exchange, name string) bool {
		r, ok := reply(x.sent)
		if ok {
			x.fate(name)
			x.answer(r)
		}
		return ok
	}}
}

// Reset breaks the connection off once the request was read.
func Reset() Mode { return always("reset", (*exchange).reset) }

// Silent never answers; the client has to give up.
func Silent() Mode { return always("never answered", (*exchange).hold) }

// Trickle answers without the receiver, byte by byte with a pause after each:
// one a second, for example. The status line is no exception.
func Trickle(r Response, pause time.Duration) Mode {
	return always("trickled", func(x *exchange) { x.trickle(r, pause) })
}

// portalPath is where a portal redirects to.
const portalPath = "/portal"

const portalPage = `<!DOCTYPE html>
<html><head><title>Welcome aboard</title></head>
<body><p>Please accept the terms to use this network.</p></body></html>
`

// Portal is a captive portal: every request is answered 200 with an HTML page,
// or, with redirect, 302 to an address of this link where that page is.
func Portal(redirect bool) Mode {
	page := Response{Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: portalPage}
	return always("portal", func(x *exchange) {
		if redirect && x.sent.Path != portalPath {
			x.answer(Response{Status: http.StatusFound, Header: http.Header{"Location": {x.link.URL + portalPath}}})
			return
		}
		x.answer(page)
	})
}
