package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// importPath is VictoriaMetrics' endpoint for JSON lines.
const importPath = "/api/v1/import"

// Active reports whether samples are sent: a URL is set, and enabled is not
// false.
func (r Remote) Active() bool {
	return r.URL != "" && (r.Enabled == nil || *r.Enabled)
}

// ImportURL returns where samples are sent: URL, with /api/v1/import where it
// has no path of its own. It is empty where URL is.
func (r Remote) ImportURL() string {
	u, err := url.Parse(r.URL)
	if err != nil || r.URL == "" {
		return r.URL
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = importPath
	}
	return u.String()
}

// ClockSkewURL returns whose Date header the clock is compared with:
// monitoring.clock_skew_url, else /health at the remote's origin, with the same
// credentials; empty where there is neither.
func (c Config) ClockSkewURL() string {
	if c.Monitoring.ClockSkewURL != "" || !c.Remote.Active() {
		return c.Monitoring.ClockSkewURL
	}
	u, err := url.Parse(c.Remote.URL)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: "/health"}).String()
}

// DegradedThreshold returns after how long without an upload the agent is
// degraded: health.degraded_threshold, else twice the upload interval, and at
// least a second.
func (c Config) DegradedThreshold() time.Duration {
	if c.Health.DegradedThreshold != nil {
		return c.Health.DegradedThreshold.Std()
	}
	interval := c.Remote.UploadInterval.Std()
	return max(time.Second, interval+min(interval, 1<<63-1-interval))
}

// RetryMaxAttempts returns how many times a request is sent at most in one
// upload cycle, the first time included: one where retries are disabled or
// max_attempts is 0.
func (r Remote) RetryMaxAttempts() int {
	if !r.Retry.Enabled {
		return 1
	}
	return max(1, r.Retry.MaxAttempts)
}

// maxTokenBytes bounds a token file; servers take headers of 8 KiB.
const maxTokenBytes = 8 << 10

// Token returns the bearer token: auth_token, or what auth_token_file holds
// now, without white space around it. It is empty where neither is set.
func (r Remote) Token() (string, error) {
	if r.AuthTokenFile == "" {
		return r.AuthToken, nil
	}
	f, err := openToken(r.AuthTokenFile)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	switch {
	case len(b) > maxTokenBytes:
		return "", fmt.Errorf("read token: %s is longer than %v", r.AuthTokenFile, Size(maxTokenBytes))
	case token == "":
		return "", fmt.Errorf("read token: %s is empty", r.AuthTokenFile)
	case strings.ContainsFunc(token, notInHeader):
		return "", fmt.Errorf("read token: %s holds a character that an HTTP header cannot carry", r.AuthTokenFile)
	}
	return token, nil
}

// openToken opens a token file that none but its owner can read or write.
func openToken(path string) (*os.File, error) {
	// Looked at before it is opened: a pipe would block.
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathProblem(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&^0o600 != 0 {
		return nil, fmt.Errorf("%s has mode %04o and others may use it; run chmod 600 %s", path, mode, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, pathProblem(path, err)
	}
	return f, nil
}

func pathProblem(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func notInHeader(r rune) bool { return r <= ' ' || r >= 0x7f }

func checkURL(key, text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || !validPort(u.Port()) {
		// The parser's own error repeats the text with its password.
		return bad(key, "%q is not a URL of scheme %s with a host; write %s://host:8428", MaskURL(text), strings.Join(schemes, " or "), schemes[0])
	}
	return nil
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}
