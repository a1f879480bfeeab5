package shipper

import (
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
	// ErrRefused: the receiver does not take the chunk as it is (4xx). It is
	// not sent again within the cycle.
	ErrRefused = errors.New("chunk refused")
	// ErrNotReceiver: something answered that is no import API, a captive
	// portal for one, or the address or the credentials are wrong.
	ErrNotReceiver = errors.New("not the receiver")
)

// SendError is a chunk's failed attempt.
type SendError struct {
	Kind       error // one of the above
	Status     int   // of the answer, 0 without one
	Reason     string
	RetryAfter time.Duration // what the answer asks for, 0 for nothing
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

// judge returns nil for an import API's success, and what went wrong otherwise.
// body is the beginning of the answer.
func judge(resp *http.Response, body []byte, now time.Time) *SendError {
	e := &SendError{Status: resp.StatusCode, Reason: excerpt(body, resp.Status)}
	switch code := resp.StatusCode; {
	case code == http.StatusOK || code == http.StatusNoContent:
		if err := judgeBody(resp.Header.Get("Content-Type"), body); err != "" {
			e.Kind, e.Reason = ErrNotReceiver, err
			return e
		}
		return nil
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
	default:
		e.Kind = ErrRefused
	}
	return e
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
		line = line[:limit] + "…"
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
