package shipper

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What came of sending a chunk. A *SendError wraps one of them.
var (
	// ErrUnavailable: no answer, or one that asks to try again (408, 429, 5xx).
	ErrUnavailable = errors.New("receiver unavailable")
	// ErrRefused: the receiver does not take the body as it is (400, 413, 422 and
	// the like), or took some of its lines and does not say which.
	ErrRefused = errors.New("chunk refused")
	// ErrNotReceiver: something answered that is no import API, a captive
	// portal for one, or the address or the credentials are wrong. Nothing is
	// given up for that.
	ErrNotReceiver = errors.New("not the receiver")
)

// SendError is a chunk's failed attempt.
type SendError struct {
	Kind       error // one of the above
	Status     int   // of the answer, 0 without one
	Reason     string
	RetryAfter time.Duration // what the answer asks for, 0 for nothing
	// Doubt says that the receiver may have stored the body all the same.
	Doubt   bool
	timeout bool
}

// Error says what happened and, where the receiver can be told, what to do.
func (e *SendError) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("%s: %s", e.Kind, e.Reason)
	}
	return fmt.Sprintf("%s: HTTP %d: %s", e.Kind, e.Status, e.Reason)
}

// Unwrap returns the kind.
func (e *SendError) Unwrap() error { return e.Kind }

// maxRetryAfter caps what a receiver can ask for; one that says a year is wrong.
const maxRetryAfter = 2 * time.Minute

// refusedLine is a line that a receiver took the rest of its body without.
type refusedLine struct {
	line   int // of the body, from 0
	reason string
}

// judge returns the lines that an import API's success leaves out, mostly none,
// or what went wrong. body is the beginning of the answer, and lines how many
// were sent.
func judge(resp *http.Response, body []byte, lines int, now time.Time) ([]refusedLine, *SendError) {
	e := &SendError{Status: resp.StatusCode, Reason: excerpt(body, resp.Status)}
	switch code := resp.StatusCode; {
	case code == http.StatusOK || code == http.StatusNoContent:
		if err := judgeBody(resp.Header.Get("Content-Type"), body); err != "" {
			e.Kind, e.Reason = ErrNotReceiver, err
			return nil, e
		}
		refused, ok := perLine(body, lines)
		if !ok {
			e.Kind = ErrRefused
			return nil, e
		}
		return refused, nil
	case code >= 200 && code < 300:
		e.Kind, e.Reason = ErrNotReceiver, "no import API answers so; is a portal or a proxy in between?"
	case code >= 300 && code < 400:
		e.Kind = ErrNotReceiver
		e.Reason = fmt.Sprintf("redirect to %q is not followed; is a portal in between, or remote.url wrong?", resp.Header.Get("Location"))
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind, e.Reason = ErrNotReceiver, "the receiver does not accept the credentials; see remote.auth_token"
	case code == http.StatusNotFound:
		e.Kind, e.Reason = ErrNotReceiver, "nothing is at this address; see remote.url"
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		e.Kind, e.RetryAfter = ErrUnavailable, parseRetryAfter(resp.Header.Get("Retry-After"), now)
		e.Doubt = code >= 500
	default:
		// VictoriaMetrics was seen to store a whole body that it answered 400
		// for, since a checksum at its end was wrong.
		e.Kind, e.Doubt = ErrRefused, code == http.StatusBadRequest
	}
	return nil, e
}

// perLine reads an answer that counts lines:
//
//	{"accepted":25,"rejected":[{"line":3,"reason":"…"}]}
//
// with lines counted from 0. It returns false where the numbers do not add up. An
// answer that does not count is one for all lines.
func perLine(body []byte, lines int) (refused []refusedLine, ok bool) {
	var answer struct {
		Accepted *int `json:"accepted"`
		Rejected []struct {
			Line   *int   `json:"line"`
			Reason string `json:"reason"`
		} `json:"rejected"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Accepted == nil && len(answer.Rejected) == 0 {
		return nil, true
	}
	seen := make(map[int]bool)
	for _, r := range answer.Rejected {
		if r.Line == nil || *r.Line < 0 || *r.Line >= lines || seen[*r.Line] {
			return nil, false
		}
		seen[*r.Line] = true
		refused = append(refused, refusedLine{*r.Line, r.Reason})
	}
	if lines == 1 && answer.Accepted != nil && *answer.Accepted == 0 && len(refused) == 0 {
		return []refusedLine{{0, "not accepted"}}, true // which one is plain
	}
	if answer.Accepted != nil && *answer.Accepted+len(refused) != lines {
		return nil, false
	}
	return refused, true
}

// judgeBody returns why the body of a success is none. An import API says
// nothing or answers in JSON; a page comes from something else.
func judgeBody(contentType string, body []byte) string {
	text := strings.TrimSpace(string(body))
	media, _, _ := mime.ParseMediaType(contentType)
	if text == "" || strings.HasPrefix(text, "{") && media != "text/html" {
		return ""
	}
	return fmt.Sprintf("the answer is no import API's but %s; is a captive portal in between?", excerpt(body, "empty"))
}

// excerpt returns the first line of a body, shortened, for a person to read.
func excerpt(body []byte, otherwise string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if line == "" {
		return otherwise
	}
	const limit = 120
	if len(line) > limit {
		line = strings.ToValidUTF8(line[:limit], "") + "…"
	}
	return strconv.Quote(line)
}

// parseRetryAfter reads a Retry-After header, seconds or an HTTP date (RFC 9110,
// 10.2.3). What cannot be read or lies in the past is 0; what is too long is
// capped.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		if seconds > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
